#!/usr/bin/env python3
"""Numbers from PyTorch that the unit tests compare with: writes the JSON files beside this script.

Needs torch 2.13.0, the release whose libtorch the project links; the CPU is enough. Inputs are short
decimals and stand in the files, so the tests depend on no random generator. What PyTorch makes of
them is computed in f64.

Where this project defines a thing otherwise than PyTorch, the formula is written out and a comment
says so.
"""

import torch

import gan
import layers
import losses
import optimizers

VERSION = "2.13.0"

if torch.__version__.split("+")[0] != VERSION:
    raise SystemExit(f"needs torch {VERSION}, this is {torch.__version__}")
for part in [optimizers, losses, layers, gan]:
    part.make()
