#!/usr/bin/env python3
"""The bare forward pass of 256 rows through 784-512-256-32 by libtorch: rows a second, over so many seconds.

  forward.py THREADS SECONDS
"""
import sys
import time

import torch

from peers import encoder

torch.set_num_threads(int(sys.argv[1]))
seconds = float(sys.argv[2])
net, rows = encoder(), torch.rand(256, 784)
with torch.inference_mode():
    for _ in range(50):
        net(rows)
    passes, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        net(rows)
        passes += 1
    print(256 * passes / (time.perf_counter() - start))
