"""What a measure would have been on other clips of the same kind: the clips there are, drawn again.

n clips, c classes, g groups, r draws. Clips of one group (a video, a participant, a speaker) are
drawn together, as they are not independent: Efron & Tibshirani 1993, ch. 8.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped
from scipy.sparse import csr_array

from mbt_cli.metrics import joint_ranks
from mbt_cli.tagging import TOP, Pruned, pruned
from mbt_cli.task import Task

DRAWS = 1000
BLOCK = 100
"""Draws at a time: of 20,000 clips they take 8 MB, which a processor's cache holds."""
WORTH_THREADS = 100_000
"""Scores from which on threads are worth their start."""
CELLS = 1 << 22
"""Counts that a thread holds at a time, of ranks in draws."""

Weights = Float32[np.ndarray, "n r"]
"""How often each clip is in each draw."""
Block = Float32[np.ndarray, "n _"]
"""The same of some of the draws."""


def drawn(groups: Sequence[str], draws: int = DRAWS) -> Iterator[Block]:
    """The same draws of the same groups every time, some at a time. As many groups are drawn as
    there are, each as likely as the others, with replacement."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    for start in range(0, draws, BLOCK):
        random, many = np.random.default_rng([start, len(names)]), min(BLOCK, draws - start)
        taken = random.integers(len(names), size=(many, len(names)))
        counts = np.stack([np.bincount(one, minlength=len(names)) for one in taken], 1)
        yield counts.astype(np.float32)[group]


def replicates(
    scores: Float[np.ndarray, "n c"], labels: Shaped[np.ndarray, "n c"], draws: Iterable[Block],
    task: Task,
) -> Float[np.ndarray, " r"]:  # fmt: skip
    """The measure by which cells are compared (`Task.primary`) on each draw of the clips.

    A class without positives in a draw is left out of that draw's mAP, for all runs alike: they
    share labels and draws.
    """
    if task.tagging:
        return tagged(pruned(scores, labels), draws)
    if task.multi_label:
        of = partial(mean_average_precision, scores, labels > 0)
    else:
        of = partial(_share, _right(scores, labels, task.heads))
    return np.concatenate([of(weights) for weights in draws])


def tagged(of: Pruned, draws: Iterable[Block]) -> Float[np.ndarray, " r"]:
    """GAP (`tagging.gap`) on each draw of the videos; NaN where they have no label."""
    scores, hits = (x[:, :TOP].ravel() for x in (of.scores, of.hits))
    ranked = Ranked(
        scores, hits, np.repeat(np.arange(len(of), dtype=np.int32), len(scores) // len(of))
    )
    labels, least = of.of_video.astype(float), max(CELLS // max(ranked.ranks, 1), 1)

    def each(weights: Block) -> np.ndarray:
        return _over(ranked.area(weights)[0], labels @ weights)

    with ThreadPoolExecutor(cpu_count()) as pool:
        found = []
        for weights in draws:
            parts = [weights[:, at : at + least] for at in range(0, weights.shape[1], least)]
            found += [*pool.map(each, map(np.ascontiguousarray, parts))]
    return np.concatenate(found)


def mean_average_precision(
    scores: Float[np.ndarray, "n c"], truth: Bool[np.ndarray, "n c"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """mAP of each draw over its classes with positives; NaN where there are none."""

    def each(column: int) -> np.ndarray:
        return average_precision(scores[:, column], truth[:, column], weights)

    with ThreadPoolExecutor(cpu_count()) as pool:
        every = map if scores.size < WORTH_THREADS else pool.map
        found = np.stack([*every(each, np.flatnonzero(truth.any(0)).tolist())])
    known = ~np.isnan(found)
    total, many = found.sum(0, where=known), known.sum(0)
    return np.divide(total, many, out=np.full_like(total, np.nan), where=many > 0)


def average_precision(
    scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """AP of each draw as scikit-learn's, non-interpolated, ties sharing a threshold; NaN without
    positives."""
    area, positives = Ranked(scores, truth, np.arange(len(scores))).area(weights)
    return _over(area, positives)


class Ranked:
    """A list of scored items, each of a clip, as it is drawn.

    Precision is asked only where a positive stands, so an item matters by the positives that it
    stands above: one sparse product counts them in all draws.
    """

    def __init__(
        self, scores: Float[np.ndarray, " m"], truth: Bool[np.ndarray, " m"],
        clip: Int[np.ndarray, " m"],
    ) -> None:  # fmt: skip
        levels = np.unique(scores[truth])
        rank = len(levels) - np.searchsorted(levels, scores, side="right")
        self.ranks, clips = len(levels), int(clip.max(initial=-1)) + 1
        self._items = _members(rank, clip, (self.ranks, clips))
        self._hits = _members(rank[truth], clip[truth], (self.ranks, clips))

    def area(self, weights: Weights) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
        """The sum of precisions over the positives of each draw, and how many these are."""
        # sums of whole numbers below 2^24 are exact in float32
        hits, items = ((of @ weights).astype(np.float64) for of in (self._hits, self._items))
        above = items.cumsum(0)
        precision = np.divide(hits.cumsum(0), above, out=np.zeros_like(above), where=above > 0)
        return np.einsum("kr,kr->r", hits, precision), hits.sum(0)


def _members(
    rank: Int[np.ndarray, " m"], clip: Int[np.ndarray, " m"], shape: tuple[int, int]
) -> csr_array:
    """(ranks, clips): how many items of each rank a clip has; those of later ranks are left out."""
    order = np.argsort(rank, kind="stable")
    ends = np.searchsorted(rank[order], np.arange(shape[0] + 1))
    order = order[: ends[-1]]
    return csr_array((np.ones(len(order), np.float32), clip[order], ends), shape)


def _over(area: np.ndarray, many: np.ndarray) -> Float[np.ndarray, " r"]:
    return np.divide(area, many, out=np.full_like(area, np.nan), where=many > 0)


def _right(
    scores: Float[np.ndarray, "n c"], labels: Shaped[np.ndarray, "n c"], heads: Mapping[str, int]
) -> Bool[np.ndarray, " n"]:
    """Whether each clip's label is the first by score; of several heads, whether all are."""
    if heads:
        return joint_ranks(scores, labels.astype(np.float32), [*heads.values()]) == 0
    return labels[np.arange(len(labels)), scores.argmax(1)] > 0


def _share(right: Bool[np.ndarray, " n"], weights: Weights) -> Float[np.ndarray, " r"]:
    return weights[right].sum(0, dtype=np.float64) / weights.sum(0, dtype=np.float64)
