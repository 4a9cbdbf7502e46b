"""The encoder for BentoML, with its adaptive batching of up to 64 requests."""
import bentoml
import numpy
import torch

from peers import encoder


@bentoml.service(traffic={"timeout": 30})
class Encoder:
    def __init__(self):
        self.net = encoder()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000, route="/encode")
    def encode(self, inputs: numpy.ndarray) -> numpy.ndarray:
        with torch.inference_mode():
            return self.net(torch.as_tensor(inputs, dtype=torch.float32)).numpy()
