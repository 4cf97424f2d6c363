"""What seeds and clips can show of a difference, and what they cannot: never a bare mean.

n seeds, r draws of the clips (`resample.py`). A difference between two cells varies for two
reasons: other seeds give other weights, other clips another test. Its interval is

    estimate ± sqrt((t(n - 1) * error of seeds)^2 + (t(g - 1) * error of clips)^2)

with g groups of clips: it is the t interval where the seeds alone matter, and the bootstrap's where
the clips alone do (a sum of squared half-widths: Howe 1974, JASA 69, 789). Satterthwaite's degrees
of freedom would be shorter, but at three seeds cover too little, and far too little where many
comparisons are corrected for: `benchmarks/coverage.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

from mbt_cli.errors import MbtError

LEVEL = 0.05
"""Intervals are of 1 - LEVEL, and what is said to differ has a corrected p below it."""
POWER = 0.8
ENOUGH_SEEDS = 3
"""With fewer no statement about other seeds is made."""
MOST_SEEDS = 1000
"""How many seeds are tried to see a difference; more are said to be no use."""
LEAST_P = 1e-12
"""Smaller ones are not told apart."""
SLICES = 512
"""How finely the spread of seeds that a study may happen to see is cut to find its power."""


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


@dataclass(frozen=True)
class Sample:
    """A cell, as it is compared: its seeds, and what each of them reaches on which clips."""

    name: str
    seeds: tuple[int, ...]
    values: Float[np.ndarray, " n"]
    draws: Float[np.ndarray, "n r"]
    """The same on other clips: `resample.replicates` of each seed."""
    clips: str
    """A fingerprint of the clips, their labels, their groups."""
    groups: int
    """Of clips, independent of each other."""

    def at(self, seeds: Sequence[int]) -> "Sample":
        """Of some of its seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        kept = self.values[rows], self.draws[rows]
        return Sample(self.name, tuple(seeds), *kept, self.clips, self.groups)


@dataclass(frozen=True)
class Errors:
    """Why a difference is not known exactly."""

    seeds: float | None
    """Standard error from seeds; None where they are too few to tell."""
    clips: float
    """Standard error from clips, of these seeds' mean."""
    n: int
    groups: int

    def half(self, level: float = LEVEL) -> float:
        """Half the width of an interval that misses the truth `level` of the time."""
        of_seeds = 0.0 if self.seeds is None else _t(self.n, level) * self.seeds
        return float(np.hypot(of_seeds, _t(self.groups, level) * self.clips))

    def p(self, estimate: float) -> float:
        """The level at which the interval ends at zero."""
        if self.half(LEAST_P) <= abs(estimate):
            return LEAST_P if estimate else 1.0
        ends = optimize.brentq(lambda x: self.half(np.exp(x)) - abs(estimate), np.log(LEAST_P), 0)
        return float(np.exp(ends))

    def power(self, difference: float, n: int | None = None) -> float:
        """How likely a true difference is found at n seeds (these), without correction."""
        n = n or self.n
        of_seeds = self.seeds * np.sqrt(self.n / n) if self.seeds else 0.0
        chances = (np.arange(SLICES) + 0.5) / SLICES
        seen = of_seeds * np.sqrt(stats.chi2.ppf(chances, n - 1) / (n - 1))
        half = np.hypot(_t(n, LEVEL) * seen, _t(self.groups, LEVEL) * self.clips)
        total = max(np.hypot(of_seeds, self.clips), np.finfo(float).tiny)
        ends = (half - difference) / total, (half + difference) / total
        return float(sum(special.ndtr(-end).mean() for end in ends))

    def detectable(self) -> float:
        """The smallest true difference that is found in POWER of studies like this one."""
        high = self.half()
        if not high:
            return 0.0
        while self.power(high) < POWER:
            high *= 2
        return float(optimize.brentq(lambda size: self.power(size) - POWER, 0, high))

    def seeds_needed(self, difference: float) -> int | None:
        """The fewest seeds with which a true difference is found in POWER of studies on these
        clips; None where even MOST_SEEDS would not do, for the clips are too few."""
        low, high = ENOUGH_SEEDS, ENOUGH_SEEDS
        while self.power(difference, high) < POWER:
            if high >= MOST_SEEDS:
                return None
            low, high = high + 1, min(2 * high, MOST_SEEDS)
        while low < high:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if self.power(difference, middle) >= POWER else (middle + 1, high)
            )
        return low


@dataclass(frozen=True)
class Difference:
    """One cell's measure less another's, over their common seeds and clips."""

    estimate: float
    errors: Errors
    seeds: tuple[int, ...]

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.estimate - self.errors.half()

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.estimate + self.errors.half()

    @property
    def p(self) -> float | None:
        """Of no difference; None where there are too few seeds for a statement."""
        return None if self.errors.seeds is None else self.errors.p(self.estimate)


def difference(one: Sample, other: Sample) -> Difference:
    """Of two cells, paired by seed and by clip.

    Raises MbtError where they are not alike: seeds that only one of them has or has twice, other
    clips or labels, or no second group of clips to say what chance does.
    """
    _alike(one, other)
    order = [other.seeds.index(seed) for seed in one.seeds]
    each, draws = one.values - other.values[order], one.draws - other.draws[order]
    n, groups = len(each), one.groups
    known = ~np.isnan(draws).any(0)
    # a bootstrap's variance is of g - 1 parts in g
    moved = np.atleast_2d(np.cov(draws[:, known])) * groups / (groups - 1)
    if n < ENOUGH_SEEDS:
        errors = Errors(None, float(np.sqrt(moved.mean())), n, groups)
    else:
        # what clips do to all seeds alike; what they do to each apart is in the spread of seeds
        alike = (moved.sum() - np.trace(moved)) / (n * (n - 1))
        of_seeds = float(each.std(ddof=1) / np.sqrt(n))
        errors = Errors(of_seeds, float(np.sqrt(max(alike, 0.0))), n, groups)
    return Difference(float(each.mean()), errors, one.seeds)


def corrected(
    ps: Sequence[float], method: Literal["holm", "fdr_bh"], tests: int | None = None
) -> list[float]:
    """Each p for that many tests (by default as many as there are): Holm (1979) holds the chance of
    any false finding at LEVEL, Benjamini and Hochberg (1995) the share of false ones among them.

    Where the data chose which tests to look at, all among which they chose are `tests`: those that
    are not looked at count as if they had found nothing.
    """
    from statsmodels.stats.multitest import multipletests

    unseen = [1.0] * ((tests or len(ps)) - len(ps))
    return multipletests([*ps, *unseen], LEVEL, method)[1][: len(ps)].tolist() if ps else []


def _t(many: int, level: float) -> float:
    """Half an interval's width over the standard error, of so many values."""
    return -float(special.stdtrit(many - 1, level / 2))


def _alike(one: Sample, other: Sample) -> None:
    for cell in (one, other):
        if double := sorted({seed for seed in cell.seeds if cell.seeds.count(seed) > 1}):
            raise MbtError(
                f"{cell.name} has seed {_list(double)} more than once: its runs are not like those"
                " of other cells. Remove the copies: mbt-cli runs list shows them."
            )
    for cell, lacking in ((other, one), (one, other)):
        if missing := sorted(set(cell.seeds) - set(lacking.seeds)):
            raise MbtError(
                f"{lacking.name} has no run at seed {_list(missing)}, and {cell.name} has: run it,"
                " or compare the seeds that both have."
            )
    if one.clips != other.clips:
        raise MbtError(
            f"{one.name} and {other.name} were scored on other clips or labels: they cannot be"
            " compared clip by clip."
        )
    if one.groups < 2:
        raise MbtError(
            f"All test clips of {one.name} are of one group: nothing is known of other clips."
        )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
