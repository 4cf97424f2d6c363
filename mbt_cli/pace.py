"""How long a forward pass over one clip takes: batch 1, evaluation mode, without gradients."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mbt_cli.model import Network

WARM_UP = 3
"""Passes before the first that counts."""
LEAST, MOST, ENOUGH_S = 10, 500, 2.0
"""Passes that count, at least and at most; between these, as many as fit into so many seconds."""


@dataclass(frozen=True)
class Pace:
    """Of passes that were timed one by one."""

    median_ms: float
    q1_ms: float
    """A quarter of the passes took less."""
    q3_ms: float
    """A quarter of the passes took more."""
    passes: int
    """How many were timed."""


def pace(
    model: "Network", views: "Mapping[str, Tensor]", device: str, enough_s: float | None = None
) -> Pace:
    """Of a model on that device, over these views (1, c, *space); in the caller's mode."""
    wait, enough_s = _waiter(device), ENOUGH_S if enough_s is None else enough_s

    def passed() -> float:
        wait()
        began = time.perf_counter()
        model(views)
        wait()
        return time.perf_counter() - began

    for _ in range(WARM_UP):
        passed()
    times = [passed() for _ in range(LEAST)]
    while len(times) < MOST and sum(times) < enough_s:
        times.append(passed())
    q1, median, q3 = (1e3 * q for q in quantiles(times, n=4, method="inclusive"))
    return Pace(median, q1, q3, len(times))


def _waiter(device: str) -> Callable[[], None]:
    """Waits until the device has done what it was told."""
    import torch

    if device.startswith("cuda"):
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device == "mps" else lambda: None
