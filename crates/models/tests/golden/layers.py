"""Layers of nets: values and slopes."""

import random

import torch
import torch.nn.functional as F

from plain import cubes, draw, leaf, write


def activations(numbers):
    x = torch.cat([draw(numbers, 9, scale=2.0), torch.tensor([-6.0, 0.0, 5.5])])
    functions = {
        "linear": lambda x: x * 1.0,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": F.relu,
        "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
        "gelu": F.gelu,
        "silu": F.silu,
        "elu": F.elu,
    }
    cases = []
    for name, function in functions.items():
        at = leaf(x)
        y = function(at)
        y.sum().backward()
        cases.append({"name": name, "y": y, "slope": at.grad})
    return {"x": x, "cases": cases}


def with_slopes(inputs, function):
    """The function's value, and the slopes of its cubes by each input."""
    leaves = {name: leaf(value) for name, value in inputs.items()}
    y = function(**leaves)
    cubes(y).backward()
    return {**inputs, "y": y, "slopes": {name: value.grad for name, value in leaves.items()}}


def convolutions(numbers):
    down = {
        "x": draw(numbers, 2, 2, 5, 6),
        "weight": draw(numbers, 3, 2, 3, 3, scale=0.3),
        "bias": draw(numbers, 3),
    }
    # Of an image of 5 x 4 that was halved to 3 x 2: the last line is one too many.
    up = {
        "x": draw(numbers, 2, 2, 3, 2),
        "weight": draw(numbers, 2, 3, 4, 4, scale=0.3),
        "bias": draw(numbers, 3),
    }
    gated = {
        "x": draw(numbers, 3, 4),
        "weight": draw(numbers, 6, 4),
        "bias": draw(numbers, 6),
    }
    return {
        "conv": with_slopes(
            down, lambda x, weight, bias: F.conv2d(x, weight, bias, stride=2, padding=1)
        ),
        "conv_transpose": with_slopes(
            up,
            lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, stride=2, padding=1)[
                :, :, :-1, :
            ],
        ),
        "gated": with_slopes(gated, lambda x, weight, bias: F.glu(F.linear(x, weight, bias), 1)),
    }


def batch_norm(numbers, layer, *shape):
    channels = shape[1]
    with torch.no_grad():
        layer.weight.copy_(draw(numbers, channels))
        layer.bias.copy_(draw(numbers, channels))
    start = {"scale": layer.weight.detach().clone(), "shift": layer.bias.detach().clone()}
    batches = []
    layer.train()
    for _ in range(3):
        x = leaf(draw(numbers, *shape, scale=2.0))
        layer.zero_grad()
        y = layer(x)
        cubes(y).backward()
        batches.append(
            {
                "x": x.detach(),
                "y": y.detach(),
                "slope": x.grad,
                "scale_slope": layer.weight.grad.clone(),
                "shift_slope": layer.bias.grad.clone(),
                "mean": layer.running_mean.clone(),
                "variance": layer.running_var.clone(),
            }
        )
    layer.eval()
    return {**start, "batches": batches, "in_use": layer(batches[0]["x"])}


def conditional_batch_norm(numbers):
    """A scale and a shift for each class; PyTorch has the normalisation, the rest is looked up."""
    labels = torch.tensor([1, 0, 2, 1])
    inputs = {
        "x": draw(numbers, 4, 2, 2, 1, scale=2.0),
        "scale": draw(numbers, 3, 2),
        "shift": draw(numbers, 3, 2),
    }

    def forward(x, scale, shift):
        normal = F.batch_norm(x, None, None, training=True)
        return normal * scale[labels][:, :, None, None] + shift[labels][:, :, None, None]

    return {"labels": labels, **with_slopes(inputs, forward)}


def spectral_norm(numbers):
    weight, left = draw(numbers, 3, 2, 2, 1), draw(numbers, 3)
    left = torch.tensor([round(value, 4) for value in F.normalize(left, dim=0).tolist()])
    matrix = weight.reshape(3, -1)
    # As published (Miyato et al., 2018, algorithm 1): v ← Wᵀ u, then u ← W v, and σ = uᵀ W v with
    # the v of before. PyTorch's σ in training has v renewed once more; in use they are the same.
    u, passes = F.normalize(left, dim=0), []
    for _ in range(3):
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
        passes.append({"weight": weight / (u @ matrix @ v), "left": u})
    layer = torch.nn.Conv2d(2, 3, (2, 1), bias=False)
    with torch.no_grad():
        layer.weight.copy_(weight)
    torch.nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=1)
    norm = layer.parametrizations.weight[0]
    norm._u.copy_(F.normalize(left, dim=0))
    norm._v.copy_(F.normalize(matrix.T @ norm._u, dim=0))
    layer.train()
    for _ in passes:
        layer.weight
    layer.eval()
    assert torch.allclose(norm._u, u)
    in_use = layer.weight
    (in_use * torch.arange(1.0, 13.0).reshape(weight.shape)).sum().backward()
    return {
        "weight": weight,
        "left": left,
        "passes": passes,
        "in_use": in_use,
        "slope": layer.parametrizations.weight.original.grad,
    }


def make():
    numbers = random.Random(3)
    sections = {
        "activations": activations(numbers),
        **convolutions(numbers),
        "batch_norm": batch_norm(numbers, torch.nn.BatchNorm2d(2), 3, 2, 2, 2),
        "batch_norm_of_rows": batch_norm(numbers, torch.nn.BatchNorm1d(3), 4, 3),
        "conditional_batch_norm": conditional_batch_norm(numbers),
        "spectral_norm": spectral_norm(numbers),
    }
    write("layers.json", sections)
