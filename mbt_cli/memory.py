"""A batch in parts, where it does not fit into memory: the same gradients, fewer clips at a time.

b batch, c classes.
"""

from collections.abc import Callable, Mapping
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli.errors import MbtError
from mbt_cli.loss import Targets
from mbt_cli.model import Network
from mbt_cli.model.masks import Mask

SAID = ("can't allocate memory", "not enough memory", "out of memory")
"""By torch, on the CPU and on devices whose errors have no class of their own."""

Views = Mapping[str, Tensor]
Objective = Callable[[Views, Targets], Float[Tensor, ""]]
"""The mean loss of some clips."""


def gradients(
    model: Network,
    objective: Objective,
    views: Views,
    targets: Targets,
    clips: int,
    seed: int | None,
) -> Float[Tensor, ""]:
    """Adds the gradients of a batch's mean loss to the parameters, so many clips at a time; that
    loss.

    What the model draws it draws from `seed` (None: nothing is drawn), in each part for the whole
    batch: however it is cut, the gradients are the same but for rounding.
    """
    whole = len(next(iter(views.values())))
    draws = seed is not None
    masks = [one for one in model.modules() if isinstance(one, Mask)] if draws else []
    losses = []
    for first in range(0, whole, clips):
        cut = slice(first, first + clips)
        part = {m: view[cut] for m, view in views.items()}
        share = len(next(iter(part.values()))) / whole
        for mask in masks:
            mask.part = first, whole
        if seed is not None:
            torch.manual_seed(seed)
        loss = objective(part, _cut(targets, cut)) * share
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def halved(clips: int, error: Exception) -> int:
    """How many clips to try at a time after so many did not fit.

    Raises the error where it is another one, MbtError where a single clip does not fit.
    """
    text = str(error).lower()
    if not isinstance(error, MemoryError | torch.OutOfMemoryError) and all(
        said not in text for said in SAID
    ):
        raise error
    if clips == 1:
        raise MbtError(
            "Out of memory with one clip at a time: make the model or data.views smaller, or use"
            " fewer --workers."
        ) from error
    return ceil(clips / 2)


def _cut(targets: Targets, cut: slice) -> Tensor | Mapping[str, Tensor]:
    if isinstance(targets, Mapping):
        return {m: labels[cut] for m, labels in targets.items()}
    return targets[cut]
