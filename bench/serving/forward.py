#!/usr/bin/env python3
"""The bare forward pass of 256 rows through 784-512-256-32 by libtorch: rows a second, the best of five.

  forward.py THREADS
"""
import sys
import time

import torch

from peers import encoder

torch.set_num_threads(int(sys.argv[1]))
net, rows = encoder(), torch.rand(256, 784)
best = float("inf")
with torch.inference_mode():
    for _ in range(50):
        net(rows)
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            net(rows)
        best = min(best, (time.perf_counter() - start) / 200)
print(256 / best)
