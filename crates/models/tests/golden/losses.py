"""Losses and their slopes."""

import random

import torch
import torch.nn.functional as F

from plain import draw, leaf, shares, write


def reconstruction(numbers):
    output, target = draw(numbers, 3, 5, scale=2.0), shares(numbers, 3, 5)
    per_row = {
        "cross_entropy": lambda y: F.binary_cross_entropy_with_logits(y, target, reduction="none"),
        "squared_error": lambda y: F.mse_loss(y, target, reduction="none"),
    }
    cases = {}
    for name, errors in per_row.items():
        y = leaf(output)
        rows = errors(y).sum(1)
        rows.mean().backward()
        cases[name] = {"rows": rows, "mean": rows.mean(), "slope": y.grad}
    return {"output": output, "target": target, **cases}


def classes(numbers):
    logits, labels = draw(numbers, 4, 3, scale=2.0), torch.tensor([2, 0, 1, 0])
    cases = []
    for smoothing in [0.0, 0.1]:
        y = leaf(logits)
        loss = F.cross_entropy(y, labels, label_smoothing=smoothing)
        loss.backward()
        cases.append({"smoothing": smoothing, "mean": loss, "slope": y.grad})
    return {"logits": logits, "labels": labels, "cases": cases}


def gaussian(numbers):
    """The likelihood with one variance for all values; those in [0, 1] have the mean σ(output)."""
    output = draw(numbers, 2, 4)
    cases = []
    for squashed in [True, False]:
        x = shares(numbers, 2, 4) if squashed else draw(numbers, 2, 4, scale=3.0)
        shift = torch.zeros(4) if squashed else draw(numbers, 4)
        scale = torch.ones(4) if squashed else shares(numbers, 4) + 0.5
        variance = torch.tensor([0.07])
        y = leaf(output)
        mean = y.sigmoid() if squashed else y * scale + shift
        spread = (variance * scale.square()).expand(2, 4)
        rows = -F.gaussian_nll_loss(mean, x, spread, full=True, reduction="none").sum(1)
        rows.sum().backward()
        cases.append(
            {
                "squashed": squashed,
                "x": x,
                "shift": shift,
                "scale": scale,
                "variance": variance,
                "rows": rows,
                "slope": y.grad,
            }
        )
    return {"output": output, "cases": cases}


def divergence(numbers):
    mean, log_variance = leaf(draw(numbers, 3, 4)), leaf(draw(numbers, 3, 4))
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    rows = torch.distributions.kl_divergence(posterior, prior).sum(1)
    rows.sum().backward()
    return {
        "mean": mean,
        "log_variance": log_variance,
        "rows": rows,
        "mean_slope": mean.grad,
        "log_variance_slope": log_variance.grad,
    }


def discriminator_loss(loss, real, fake, smoothing):
    """With `smoothing`, the target of the data's rows is 1 - smoothing."""
    ones, zeros = torch.full_like(real, 1.0 - smoothing), torch.zeros_like(fake)
    if loss in ("minimax", "non_saturating"):
        cross_entropy = F.binary_cross_entropy_with_logits
        return cross_entropy(real, ones) + cross_entropy(fake, zeros)
    if loss == "least_squares":
        return 0.5 * F.mse_loss(real, ones) + 0.5 * F.mse_loss(fake, zeros)
    if loss == "hinge":
        # max(0, margin - y x) with y = 1 for the data's rows and -1 for the others.
        margin = F.margin_ranking_loss
        other = torch.zeros_like(real)
        return margin(real, other, torch.ones_like(real), margin=1.0) + margin(
            fake, other, -torch.ones_like(fake), margin=1.0
        )
    return fake.mean() - real.mean()


def generator_loss(loss, fake):
    ones, zeros = torch.ones_like(fake), torch.zeros_like(fake)
    if loss == "minimax":
        return -F.binary_cross_entropy_with_logits(fake, zeros)
    if loss == "non_saturating":
        return F.binary_cross_entropy_with_logits(fake, ones)
    if loss == "least_squares":
        return 0.5 * F.mse_loss(fake, ones)
    return -fake.mean()


def adversarial(numbers):
    real, fake = draw(numbers, 6, scale=2.0), draw(numbers, 6, scale=2.0)
    cases = []
    for loss in ["minimax", "non_saturating", "least_squares", "hinge", "wasserstein_gp"]:
        smoothed = loss in ("minimax", "non_saturating", "least_squares")
        for smoothing in [0.0, 0.1] if smoothed else [0.0]:
            r, f, g = leaf(real), leaf(fake), leaf(fake)
            discriminator = discriminator_loss(loss, r, f, smoothing)
            discriminator.backward()
            generator = generator_loss(loss, g)
            generator.backward()
            cases.append(
                {
                    "loss": loss,
                    "smoothing": smoothing,
                    "discriminator": discriminator,
                    "real_slope": r.grad,
                    "fake_slope": f.grad,
                    "generator": generator,
                    "generator_slope": g.grad,
                }
            )
    return {"real": real, "fake": fake, "cases": cases}


def make():
    numbers = random.Random(2)
    sections = {
        "reconstruction": reconstruction(numbers),
        "classes": classes(numbers),
        "gaussian": gaussian(numbers),
        "divergence": divergence(numbers),
        "adversarial": adversarial(numbers),
    }
    write("losses.json", sections)
