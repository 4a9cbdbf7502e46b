"""Inputs as short decimals, outputs as nested lists, and the files they stand in."""

import json
from pathlib import Path

import torch

DIRECTORY = Path(__file__).resolve().parent

torch.set_default_dtype(torch.float64)


def draw(numbers, *shape, scale=1.0):
    """Normal numbers of two decimals."""
    count = torch.Size(shape).numel()
    values = [round(numbers.gauss(0.0, scale), 2) for _ in range(count)]
    return torch.tensor(values).reshape(shape)


def shares(numbers, *shape):
    """Numbers between 0 and 1 of two decimals, the ends among them."""
    count = torch.Size(shape).numel()
    values = [round(numbers.random(), 2) for _ in range(count)]
    values[0], values[-1] = 0.0, 1.0
    return torch.tensor(values).reshape(shape)


def plain(x):
    """Tensors as nested lists of at most eight significant digits."""
    if isinstance(x, torch.Tensor):
        x = x.detach().tolist()
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(value) for value in x]
    if isinstance(x, float):
        x = float(f"{x:.8g}")
        return int(x) if x == int(x) else x
    return x


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def write(name, sections):
    """One line for each entry of a section, or for each case of a list of them."""
    blocks = []
    for key, value in plain(sections).items():
        if isinstance(value, dict):
            entries = [f"{json.dumps(name)}: {compact(entry)}" for name, entry in value.items()]
            body = "{\n" + ",\n".join(entries) + "\n}"
        elif value and isinstance(value[0], dict):
            body = "[\n" + ",\n".join(compact(case) for case in value) + "\n]"
        else:
            body = compact(value)
        blocks.append(f"{json.dumps(key)}: {body}")
    (DIRECTORY / name).write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


def leaf(x):
    return x.clone().requires_grad_(True)


def cubes(y):
    """A loss with another slope for every output. Squares would not do: a normalised batch keeps theirs."""
    return y.pow(3).sum() / 3.0
