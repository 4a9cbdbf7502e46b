#!/usr/bin/env python3
"""What one would write instead: the encoder 784-512-256-32 behind three Python servers, as their guides have it.

  peers.py fastapi|litserve|bentoml PORT

Each answers POST /encode: {"inputs": [[784 numbers], …]} -> the codes. Needs torch, and the server's own package.
"""
import pathlib
import subprocess
import sys

import torch
from torch import nn


def encoder():
    torch.manual_seed(0)
    layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 32)]
    return nn.Sequential(*layers).eval()


def run_fastapi(port):
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Rows(BaseModel):
        inputs: list[list[float]]

    app, net = FastAPI(), encoder()

    @app.post("/encode")
    def encode(rows: Rows):
        with torch.inference_mode():
            return {"outputs": net(torch.tensor(rows.inputs)).tolist()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def run_litserve(port):
    import litserve
    from peers_litserve import Encoder

    api = Encoder(max_batch_size=64, batch_timeout=0.002, api_path="/encode")
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)


def run_bentoml(port):
    here = pathlib.Path(__file__).parent
    command = ["-m", "bentoml", "serve", "peers_bentoml:Encoder", "--host", "127.0.0.1", "--port", str(port)]
    subprocess.run([sys.executable, *command], cwd=here, check=True)


if __name__ == "__main__":
    {"fastapi": run_fastapi, "litserve": run_litserve, "bentoml": run_bentoml}[sys.argv[1]](int(sys.argv[2]))
