"""One number of ours against one of theirs, or a whole array at its largest difference."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Check:
    """A difference, and how large it may be."""

    what: str
    difference: float
    allowed: float

    @property
    def share(self) -> float:
        """The difference over what is allowed; a difference that is no number is beyond it."""
        return self.difference / self.allowed if self.difference == self.difference else np.inf

    def __str__(self) -> str:
        beyond = "" if self.passed else f" (allowed {self.allowed:.1e})"
        return f"{self.what} {self.difference:.1e}{beyond}"

    @property
    def passed(self) -> bool:
        return self.share <= 1


def absolute(what: str, mine: object, theirs: object, allowed: float) -> Check:
    """The largest difference. NaN in both is no difference; another shape is infinitely far."""
    a, b = (np.asarray(_plain(x), dtype=np.float64) for x in (mine, theirs))
    if a.shape != b.shape:
        return Check(what, np.inf, allowed)
    both = np.isnan(a) & np.isnan(b)
    return Check(what, float(np.abs(np.where(both, 0, a - b)).max(initial=0)), allowed)


def relative(what: str, mine: object, theirs: object, allowed: float) -> Check:
    """The difference of two numbers over theirs."""
    a, b = float(_plain(mine)), float(_plain(theirs))
    return Check(what, abs(a - b) / abs(b), allowed)


def _plain(x: object) -> object:
    return x.detach().numpy() if isinstance(x, torch.Tensor) else x
