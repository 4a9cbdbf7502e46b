"""Steps of the optimisers, clipped gradients, and the course of the learning rate."""

import random

import torch

from plain import draw, write

# The rate changes on the way: rules that keep a velocity differ in where it comes in.
RATES = [0.1, 0.1, 0.05, 0.02, 0.08]


def torch_optimizer(rule, groups, momentum, decay):
    if rule == "sgd":
        return torch.optim.SGD(groups, lr=1.0)
    if rule == "momentum":
        return torch.optim.SGD(groups, lr=1.0, momentum=momentum)
    if rule == "nesterov":
        return torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=True)
    if rule == "rmsprop":
        return torch.optim.RMSprop(groups, lr=1.0, alpha=decay, eps=1e-8)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[rule]
    return kind(groups, lr=1.0, betas=(momentum, decay), eps=1e-8)


def schedules():
    epochs = 9

    def course(make):
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        schedule = make(optimizer)
        factors = []
        for _ in range(epochs):
            factors.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return factors

    kinds = torch.optim.lr_scheduler
    return {
        "epochs": epochs,
        "constant": course(lambda o: kinds.ConstantLR(o, factor=1.0)),
        "linear": course(lambda o: kinds.LinearLR(o, 1.0, 0.0, total_iters=epochs)),
        "cosine": course(lambda o: kinds.CosineAnnealingLR(o, T_max=epochs)),
        "step": course(lambda o: kinds.StepLR(o, step_size=epochs // 3, gamma=0.1)),
    }


def steps(start, gradients):
    """The parameters after each step, of every rule with and without weight decay."""
    cases = []
    for rule in ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]:
        decay = 0.9 if rule == "rmsprop" else 0.999
        for weight_decay in [0.0, 0.1]:
            parameters = {name: torch.nn.Parameter(x.clone()) for name, x in start.items()}
            # Biases are not decayed.
            groups = [
                {"params": [parameter], "weight_decay": weight_decay if name == "w" else 0.0}
                for name, parameter in parameters.items()
            ]
            optimizer = torch_optimizer(rule, groups, 0.9, decay)
            after = {name: [] for name in parameters}
            for rate, gradient in zip(RATES, gradients):
                for group in optimizer.param_groups:
                    group["lr"] = rate
                for name, parameter in parameters.items():
                    parameter.grad = gradient[name].clone()
                optimizer.step()
                for name, parameter in parameters.items():
                    after[name].append(parameter.detach().clone())
            case = {"rule": rule, "momentum": 0.9, "decay": decay, "weight_decay": weight_decay}
            cases.append({**case, **after})
    return cases


def clipped(gradient, limit):
    """PyTorch adds 1e-6 to the norm that it divides by."""
    parameters = {name: torch.nn.Parameter(torch.zeros_like(g)) for name, g in gradient.items()}
    for name, parameter in parameters.items():
        parameter.grad = gradient[name].clone()
    torch.nn.utils.clip_grad_norm_(parameters.values(), limit)
    return {"limit": limit, **{name: parameter.grad for name, parameter in parameters.items()}}


def make():
    numbers = random.Random(1)
    start = {"b": draw(numbers, 3), "faint": draw(numbers, 2), "w": draw(numbers, 2, 3)}
    # Slopes about as small as the epsilon of Adam and RMSprop show where it stands.
    gradients = [
        {
            "b": draw(numbers, 3),
            "faint": draw(numbers, 2) * 1e-8,
            "w": draw(numbers, 2, 3),
        }
        for _ in RATES
    ]
    sections = {
        "start": start,
        "rates": RATES,
        "gradients": gradients,
        "cases": steps(start, gradients),
        "clipped": [clipped(gradients[0], limit) for limit in [0.5, 2.0, 100.0]],
        "schedules": schedules(),
    }
    write("optimizers.json", sections)
