"""What goes into the model at a step: which span of which clip, as normalised views.

b batch.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli.data.clips import MIDDLE
from mbt_cli.dataset import Viewed

DRAWS = ("order", "drops", "mixup", "windows")
"""What a run draws, each on its own."""


def drawn(seed: int, what: str, when: int) -> np.random.Generator:
    """What a run draws for one purpose at one epoch or step, whatever was drawn before."""
    return np.random.default_rng([seed, DRAWS.index(what), when])


def windows(
    views: Viewed, modalities: tuple[str, ...], clips: int, seed: int, step: int
) -> dict[str, Float[np.ndarray, " b"]]:
    """Where in each clip of a step the span lies that is learned from: shares of its room, from 0
    to 1. Synchronous, unless they are asynchronous (paper, sec. 4.2 and Fig. 8)."""
    if views.windows == "one":
        return spans(modalities, clips, MIDDLE)
    random = drawn(seed, "windows", step)
    if views.windows == "random":
        return dict.fromkeys(modalities, random.random(clips))
    return {m: random.random(clips) for m in modalities}


def crops(many: int) -> list[float]:
    """Where the spans of a test clip lie: uniformly spaced from its start to its end, one alone in
    its middle (paper, sec. 4.2)."""
    return [MIDDLE] if many == 1 else np.linspace(0, 1, many).tolist()


def spans(
    modalities: tuple[str, ...], clips: int, share: float
) -> dict[str, Float[np.ndarray, " b"]]:
    """The same place for all."""
    return {m: np.full(clips, share) for m in modalities}


def normalised(
    shown: Mapping[str, np.ndarray], views: Viewed, device: str
) -> dict[str, Float[Tensor, "b *view"]]:
    """Views as the model takes them."""
    found = {}
    for m, one in shown.items():
        mean, std = views.scale[m]
        found[m] = (torch.from_numpy(one).to(device).float() - mean) / std
    return found
