"""The encoder for LitServe, which gathers up to 64 requests for up to 2 ms."""
import litserve
import torch

from peers import encoder


class Encoder(litserve.LitAPI):
    def setup(self, device):
        self.net = encoder()

    def decode_request(self, request):
        return torch.tensor(request["inputs"])

    def batch(self, requests):
        self.rows = [len(rows) for rows in requests]
        return torch.cat(requests)

    def predict(self, rows):
        with torch.inference_mode():
            return self.net(rows)

    def unbatch(self, codes):
        return list(codes.split(self.rows))

    def encode_response(self, codes):
        return {"outputs": codes.tolist()}
