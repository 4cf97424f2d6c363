"""Clips mixed with one another in training (Zhang et al. 2018; for two modalities MBT, sec. 4.2).

b batch, c classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor


def draw(
    alpha: float, modalities: Sequence[str], *, independent: bool, random: np.random.Generator
) -> dict[str, float]:
    """A weight from Beta(alpha, alpha) for each modality: one for all, or one each."""
    if independent:
        return {m: float(random.beta(alpha, alpha)) for m in modalities}
    return dict.fromkeys(modalities, float(random.beta(alpha, alpha)))


def mixed(x: Float[Tensor, "b *rest"], weight: float) -> Float[Tensor, "b *rest"]:
    """Each clip with `weight` of itself and the rest of its partner: the first of a batch meets
    the last, the second the last but one; the middle of an odd batch meets itself."""
    return weight * x + (1 - weight) * x.flip(0)


def mixup(
    views: Mapping[str, Tensor], labels: Float[Tensor, "b c"], weights: Mapping[str, float]
) -> tuple[dict[str, Tensor], Float[Tensor, "b c"] | dict[str, Float[Tensor, "b c"]]]:
    """Views of each modality mixed by its weight, and the labels: for all modalities where their
    weights are one, else for each."""
    inputs = {m: mixed(view, weights[m]) for m, view in views.items()}
    if len(set(weights.values())) == 1:
        return inputs, mixed(labels, next(iter(weights.values())))
    return inputs, {m: mixed(labels, weight) for m, weight in weights.items()}
