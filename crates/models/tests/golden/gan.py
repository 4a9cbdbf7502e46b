"""A generator and a discriminator with given weights: what they put out, and every slope."""

import random

import torch
import torch.nn.functional as F

from losses import discriminator_loss, generator_loss
from plain import cubes, draw, leaf, shares, write


class Generator(torch.nn.Module):
    """Noise of 3, channels [2, 3], images of 1 x 8 x 8; the names are those of the tensors published."""

    def __init__(self):
        super().__init__()
        self.maps = torch.nn.ModuleList(
            [
                torch.nn.Linear(3, 12),
                torch.nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1),
                torch.nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1),
            ]
        )
        self.norms = torch.nn.ModuleList([torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(2)])

    def forward(self, z):
        h = self.maps[0](z).reshape(-1, 3, 2, 2)
        h = F.relu(self.norms[0](h))
        h = F.relu(self.norms[1](self.maps[1](h)))
        return torch.tanh(self.maps[2](h))

    def named(self):
        named = {}
        for i, part in enumerate(self.maps):
            named |= {f"generator.{i}.weight": part.weight, f"generator.{i}.bias": part.bias}
        for i, part in enumerate(self.norms):
            named |= {f"generator.{i}.norm.weight": part.weight}
            named |= {f"generator.{i}.norm.bias": part.bias}
        return named

    def moments(self):
        named = {}
        for i, part in enumerate(self.norms):
            named |= {f"generator.{i}.norm.mean": part.running_mean}
            named |= {f"generator.{i}.norm.variance": part.running_var}
        return named


class Discriminator(torch.nn.Module):
    """Channels [2, 3] on images of 1 x 8 x 8, batch normalised but for the first layer."""

    def __init__(self):
        super().__init__()
        self.maps = torch.nn.ModuleList(
            [
                torch.nn.Conv2d(1, 2, 3, stride=2, padding=1),
                torch.nn.Conv2d(2, 3, 3, stride=2, padding=1),
            ]
        )
        self.norm = torch.nn.BatchNorm2d(3)
        self.head = torch.nn.Linear(12, 1)

    def forward(self, x):
        h = F.leaky_relu(self.maps[0](x), 0.2)
        h = F.leaky_relu(self.norm(self.maps[1](h)), 0.2)
        return self.head(h.flatten(1)).squeeze(1)

    def named(self):
        named = {}
        for i, part in enumerate(self.maps):
            named |= {f"discriminator.body.{i}.weight": part.weight}
            named |= {f"discriminator.body.{i}.bias": part.bias}
        named |= {"discriminator.body.1.norm.weight": self.norm.weight}
        named |= {"discriminator.body.1.norm.bias": self.norm.bias}
        named |= {"discriminator.head.0.weight": self.head.weight}
        named |= {"discriminator.head.0.bias": self.head.bias}
        return named

    def moments(self):
        return {
            "discriminator.body.1.norm.mean": self.norm.running_mean,
            "discriminator.body.1.norm.variance": self.norm.running_var,
        }


def fill(numbers, named):
    """Short decimals; scales about one."""
    with torch.no_grad():
        for name, parameter in named.items():
            values = draw(numbers, *parameter.shape, scale=0.4)
            parameter.copy_(values + 1.0 if name.endswith("norm.weight") else values)


def copies(named):
    return {name: parameter.detach().clone() for name, parameter in named.items()}


def slopes(loss, named):
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True)
    return dict(zip(named, found))


def step_of_a_pair(numbers):
    """One step of either player, in training: losses, slopes and running moments."""
    generator, discriminator = Generator(), Discriminator()
    fill(numbers, generator.named())
    fill(numbers, discriminator.named())
    weights = copies(generator.named() | discriminator.named() | generator.moments())
    weights |= copies(discriminator.moments())
    noise, real = draw(numbers, 4, 3), shares(numbers, 4, 64) * 2.0 - 1.0
    generator.train()
    discriminator.train()
    fake = generator(noise)
    images = real.reshape(4, 1, 8, 8)
    on_real, on_fake = discriminator(images), discriminator(fake.detach())
    loss = discriminator_loss("non_saturating", on_real, on_fake, 0.0)
    judged = {
        "on_real": on_real,
        "on_fake": on_fake,
        "loss": loss,
        "slopes": slopes(loss, discriminator.named()),
    }
    loss = generator_loss("non_saturating", discriminator(fake))
    made = {
        "fake": fake.flatten(1),
        "loss": loss,
        "slopes": slopes(loss, generator.named()),
    }
    moments = copies(generator.moments() | discriminator.moments())
    generator.eval()
    discriminator.eval()
    in_use = {"fake": generator(noise).flatten(1), "on_real": discriminator(images)}
    return {
        "weights": weights,
        "noise": noise,
        "real": real,
        "discriminator": judged,
        "generator": made,
        "moments": moments,
        "in_use": in_use,
    }


def critic(weights, x):
    """Two dense layers; rows of 4."""
    h = F.leaky_relu(
        F.linear(x, weights["discriminator.body.0.weight"], weights["discriminator.body.0.bias"]),
        0.2,
    )
    head = weights["discriminator.head.0.weight"], weights["discriminator.head.0.bias"]
    return h, F.linear(h, *head).squeeze(1)


def slope_penalty(numbers):
    """Gulrajani et al. (2017), at points that are given."""
    shapes = {
        "discriminator.body.0.weight": (3, 4),
        "discriminator.body.0.bias": (3,),
        "discriminator.head.0.weight": (1, 3),
        "discriminator.head.0.bias": (1,),
    }
    weights = {name: leaf(draw(numbers, *shape)) for name, shape in shapes.items()}
    points = leaf(draw(numbers, 5, 4))
    height = critic(weights, points)[1].sum()
    slope = torch.autograd.grad(height, points, create_graph=True)[0]
    penalty = (slope.norm(dim=1) - 1.0).square().mean()
    # Biases move no slope: PyTorch has no gradient for them.
    moved = {name: value for name, value in weights.items() if name.endswith("weight")}
    return {
        "weights": copies(weights),
        "points": points,
        "penalty": penalty,
        "slopes": slopes(penalty, moved),
    }


def projection(numbers):
    """`D(x, y) = w · φ(x) + c + e_y · φ(x)` (Miyato and Koyama, 2018)."""
    shapes = {
        "discriminator.body.0.weight": (3, 4),
        "discriminator.body.0.bias": (3,),
        "discriminator.head.0.weight": (1, 3),
        "discriminator.head.0.bias": (1,),
        "discriminator.classes.weight": (3, 3),
    }
    weights = {name: leaf(draw(numbers, *shape)) for name, shape in shapes.items()}
    rows, labels = draw(numbers, 4, 4), torch.tensor([2, 0, 1, 0])
    features, logits = critic(weights, rows)
    chosen = F.embedding(labels, weights["discriminator.classes.weight"])
    logits = logits + (chosen * features).sum(1)
    return {
        "weights": copies(weights),
        "rows": rows,
        "labels": labels,
        "logits": logits,
        "slopes": slopes(cubes(logits), weights),
    }


def make():
    numbers = random.Random(4)
    sections = {
        "step": step_of_a_pair(numbers),
        "penalty": slope_penalty(numbers),
        "projection": projection(numbers),
    }
    write("gan.json", sections)
