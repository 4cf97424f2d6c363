"""What several seeds say together: never a bare mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Summary:
    """n values, their mean, and their spread: the sample standard deviation, None for n < 2."""

    n: int
    mean: float
    spread: float | None

    def __str__(self) -> str:
        if self.spread is None:
            return f"{self.mean:.3f} (n=1)"
        return f"{self.mean:.3f} ± {self.spread:.3f} (n={self.n})"


def summary(values: Sequence[float]) -> Summary:
    """Of one value or more."""
    return Summary(len(values), fmean(values), stdev(values) if len(values) > 1 else None)
