"""The official measures of YouTube-8M: videos that have some of very many classes.

n videos, c classes, k top classes of each video. Definitions: eval_util.py, and its calculators of
average precision, in the official code (github.com/google/youtube-8m). They see of every video its
20 top classes, and count all its labels. Of equal scores of one video that of the first class is
the higher; in a list over videos equal scores share a threshold, where the official code shuffles
them (seed 0).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.sparse import csr_array
from scipy.special import expit

TOP = 20
"""Classes of a video that measures see."""
GUESSES = (1, 3, 5)
"""Classes that a video is given where no threshold says how many: YouTube-8M has 3.0 a video."""
SHOWN = {
    "GAP": "GAP", "mAP": "mAP (pruned)", "mAP_full": "mAP (full)", "F1_micro": "F1 (micro)",
    "F1_macro": "F1 (macro)", "hit1": "Hit@1", "PERR": "PERR",
}  # fmt: skip
"""Measures that a report shows, and what it calls them."""


@dataclass(frozen=True, eq=False)
class Pruned:
    """Videos' top classes and all their labels."""

    scores: Float[np.ndarray, "n k"]
    """The highest first. k is TOP, or as many labels as a video has at most, where they are more
    (PERR asks for these), or c."""
    classes: Int[np.ndarray, "n k"]
    """Whose scores they are."""
    labels: csr_array
    """(n, c): 1 where a video has the class."""

    def __len__(self) -> int:
        return len(self.scores)

    def packed(self) -> dict[str, np.ndarray]:
        """As it is kept: each video's labels are `label_classes` up to its `label_ends`."""
        ends, places = self.labels.indptr, self.labels.indices
        return {"scores": self.scores, "classes": self.classes,
                "label_ends": ends, "label_classes": places}  # fmt: skip

    @cached_property
    def hits(self) -> Bool[np.ndarray, "n k"]:
        """Whether the video has the class."""
        rows = np.repeat(np.arange(len(self)), self.classes.shape[1])
        found = np.asarray(self.labels[rows, self.classes.ravel()])
        return found.reshape(self.classes.shape) > 0

    @property
    def of_video(self) -> Int[np.ndarray, " n"]:
        """How many labels each video has."""
        return np.diff(self.labels.indptr)

    @property
    def of_class(self) -> Int[np.ndarray, " c"]:
        """How many videos each class has."""
        return np.bincount(self.labels.indices, minlength=self.labels.shape[1])


def pruned(scores: Float[np.ndarray, "n c"], labels: Shaped[np.ndarray, "n c"]) -> Pruned:
    """Of every score."""
    many = csr_array((labels > 0).astype(np.uint8))
    classes = first(scores, kept(np.diff(many.indptr), scores.shape[1]))
    return Pruned(np.take_along_axis(scores, classes, axis=1), classes, many)


def listed(labels: Iterable[Sequence[int]], classes: int) -> csr_array:
    """Every video's labels (n, c), told by their places."""
    each = [sorted({*some}) for some in labels]
    ends = np.cumsum([0, *map(len, each)])
    places = np.fromiter((place for some in each for place in some), np.int32, ends[-1])
    return csr_array((np.ones(len(places), np.uint8), places, ends), (len(each), classes))


def unpacked(arrays: Mapping[str, np.ndarray], classes: int) -> dict[str, Any]:
    """What was kept, with the labels as a sparse array (n, c); names and the like as they are."""
    ends, places = arrays["label_ends"], arrays["label_classes"]
    labels = csr_array((np.ones(len(places), np.uint8), places, ends), (len(ends) - 1, classes))
    return {name: v for name, v in arrays.items() if "label_" not in name} | {"labels": labels}


def top(arrays: Mapping[str, Any]) -> Pruned:
    """What was unpacked, or the same rows of all of it, as measures see it."""
    return Pruned(arrays["scores"], arrays["classes"], arrays["labels"])


def kept(of_video: Int[np.ndarray, " n"], classes: int) -> int:
    """How many classes of each video are kept."""
    return min(max(TOP, int(of_video.max(initial=0))), classes)


def first(scores: Float[np.ndarray, "n c"], k: int) -> Int[np.ndarray, "n k"]:
    """The classes of every video's k highest scores, the highest first; of equal ones the first."""
    if k >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    found = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    least = np.take_along_axis(scores, found, axis=1).min(1, keepdims=True)
    tied = (scores >= least).sum(1) > k  # which of equal ones were taken, no one knows
    found[tied] = np.sort(np.argsort(-scores[tied], axis=1, kind="stable")[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def figures(of: Pruned, classes: Sequence[str], threshold: float | None = None) -> dict[str, Any]:
    """Every measure, by its name. What has no value, as without any label, is None.

    F1 is of the classes among a video's 20 top ones whose probability is at least the threshold:
    that of another split, or the one that is best here. `classes` has each class's AP where it has
    positives.
    """
    best = best_threshold(of) if threshold is None else threshold
    chosen = np.zeros((len(of), 0), bool) if best is None else _chances(of) >= best
    each = average_precisions(of)
    return {
        "GAP": gap(of),
        "mAP": float(np.nanmean(each)) if of.labels.nnz else None,
        "hit1": float(of.hits[:, 0].mean()),
        "PERR": perr(of),
        "F1_micro": f1_micro(of, chosen),
        "F1_macro": f1_macro(of, chosen),
        "F1_threshold": best,
        **{f"F1_top{k}": f1_micro(of, np.ones((len(of), k), bool)) for k in GUESSES},
        "classes": {
            name: {"AP": float(value)}
            for name, value in zip(classes, each, strict=True)
            if not np.isnan(value)
        },
    }


def gap(of: Pruned) -> float | None:
    """Global average precision: that of one list of all videos' top classes, over all labels."""
    if not of.labels.nnz:
        return None
    scores, hits = (x[:, :TOP].ravel() for x in (of.scores, of.hits))
    return _area(scores, np.flatnonzero(hits)) / of.labels.nnz


def average_precisions(of: Pruned) -> Float[np.ndarray, " c"]:
    """Of each class: that of the list of videos that have it among their top classes, over all its
    positives; NaN without any."""
    lists, scores, hits = (x[:, :TOP].ravel() for x in (of.classes, of.scores, of.hits))
    positives = of.of_class
    order = np.argsort(lists.astype(np.min_scalar_type(len(positives))), kind="stable")
    ends = np.bincount(lists, minlength=len(positives)).cumsum()
    areas = np.full(len(positives), np.nan)
    for one in np.flatnonzero(positives):
        mine = order[ends[one - 1] if one else 0 : ends[one]]
        areas[one] = _area(scores[mine], np.flatnonzero(hits[mine])) / positives[one]
    return areas


def perr(of: Pruned) -> float | None:
    """Precision at equal recall rate: of as many top classes as a video has labels the share that
    are right; the mean over videos with labels."""
    many = of.of_video
    asked = np.arange(of.classes.shape[1]) < many[:, None]
    right = (of.hits & asked).sum(1)
    return float((right[many > 0] / many[many > 0]).mean()) if many.any() else None


def best_threshold(of: Pruned) -> float | None:
    """The probability from which on a class is told where F1 (micro) is highest, of all that tell
    other classes; midway to the next lower one that occurs. Of equally good ones the highest; None
    without labels."""
    if not of.labels.nnz:
        return None
    chances, hits = _chances(of).ravel(), of.hits[:, :TOP].ravel()
    levels, here, above = _steps(chances, np.flatnonzero(hits))
    worth = 2 * here.cumsum() / (above + of.labels.nnz)
    least = levels[np.argmax(worth)] if len(levels) else chances.max()
    below = chances.max(where=chances < least, initial=0.0)
    middle = (least + below) / 2
    return float(middle if middle > below else least)


def f1_micro(of: Pruned, chosen: Bool[np.ndarray, "n j"]) -> float | None:
    """Of all videos' labels together, where so many of the first classes are chosen or not; None
    where there are neither labels nor choices."""
    k = min(chosen.shape[1], of.classes.shape[1])
    many = int(chosen[:, :k].sum()) + of.labels.nnz
    return float(2 * (of.hits[:, :k] & chosen[:, :k]).sum() / many) if many else None


def f1_macro(of: Pruned, chosen: Bool[np.ndarray, "n j"]) -> float | None:
    """The mean F1 of classes, of those that any video has or is given; a class that no video has is
    0 where it is given."""
    k, c = chosen.shape[1], of.labels.shape[1]
    classes, hits = of.classes[:, :k], of.hits[:, :k]
    right = np.bincount(classes[chosen & hits], minlength=c)
    many = np.bincount(classes[chosen], minlength=c) + of.of_class
    return float((2 * right[many > 0] / many[many > 0]).mean()) if many.any() else None


def average_precision(
    scores: Float[np.ndarray, " n"], positives: Int[np.ndarray, " p"]
) -> float | None:
    """Of all scores of one class, as scikit-learn's, by the places of its positives; None without
    any."""
    return _area(scores, positives) / len(positives) if len(positives) else None


def lead(of: Pruned) -> Float[np.ndarray, " n"]:
    """The mean probability that each video is given of its labels, less that of all other classes,
    where those that were not kept count as 0."""
    chances = expit(of.scores.astype(np.float64))
    own, many = (chances * of.hits).sum(1), of.of_video
    others = of.labels.shape[1] - many
    return own / np.maximum(many, 1) - (chances.sum(1) - own) / np.maximum(others, 1)


def _steps(
    scores: Float[np.ndarray, " m"], positives: Int[np.ndarray, " p"]
) -> tuple[Float[np.ndarray, " l"], Int[np.ndarray, " l"], Int[np.ndarray, " l"]]:
    """Every score at which positives stand, the highest first; how many stand there, and how many
    items score at least as high. Nothing is sorted but these."""
    levels, here = np.unique(scores[positives], return_counts=True)
    rank = np.searchsorted(levels, scores, side="right")
    above = np.bincount(rank, minlength=len(levels) + 1)[:0:-1].cumsum()
    return levels[::-1], here[::-1], above


def _area(scores: Float[np.ndarray, " m"], positives: Int[np.ndarray, " p"]) -> float:
    """The sum of precisions over the positives of a list."""
    _, here, above = _steps(scores, positives)
    return float((here * here.cumsum() / above).sum())


def _chances(of: Pruned) -> Float[np.ndarray, "n j"]:
    """Probabilities of the classes that measures see."""
    return expit(of.scores[:, :TOP].astype(np.float64))
