"""A step down: how fast, by which rule, along gradients of which norm.

Recipe: Nagrani et al. 2021, sec. 4.2, and the official code.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbt_cli.experiment import Training


def descend(
    model: nn.Module, optimizer: torch.optim.Optimizer, rate: float, clip_norm: float
) -> Float[Tensor, ""]:
    """One step down the gradients; the norm of all of them before they were clipped."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return norm


def learning_rate(step: int, how: Training, steps_per_epoch: int) -> float:
    """At a step from 0: linear warm-up times a cosine that starts where the warm-up ends.

    As the official schedule: at step 0 it is 0, and after the last step the cosine starts again.
    """
    warmup, total = how.warmup_epochs * steps_per_epoch, how.epochs * steps_per_epoch
    rise = min(1.0, step / warmup) if warmup else 1.0
    past = max(0.0, step - warmup) / max(1, total - int(warmup)) % 1
    fall = how.final_rate + (1 - how.final_rate) * 0.5 * (1 + math.cos(math.pi * past))
    return how.learning_rate * rise * fall


def optimizer_of(model: nn.Module, how: Training) -> torch.optim.Optimizer:
    """Weight decay is for the weights of linear layers alone."""
    decayed = {m.weight for m in model.modules() if isinstance(m, nn.Linear)}
    groups = [
        {"params": [p for p in model.parameters() if (p in decayed) == decay], "weight_decay": rate}
        for decay, rate in ((True, how.weight_decay), (False, 0.0))
    ]
    if how.optimizer == "sgd":
        return torch.optim.SGD(groups, how.learning_rate, how.momentum)
    return torch.optim.AdamW(groups, how.learning_rate, (how.momentum, how.beta2), fused=True)
