"""The measures of YouTube-8M on 5,000 videos of 3,862 classes: our way against plain ways.

Each against scikit-learn or numpy, side by side in one run, on the same scores; some of the plain
ways on a part of the work, from which the whole is told. It ends with an error where two ways are
not equal to 1e-9.

    python benchmarks/tagging.py
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score, f1_score

from mbt_cli import tagging
from mbt_cli.resample import DRAWS, drawn, tagged
from mbt_cli.tagging import TOP, Pruned

VIDEOS, CLASSES, LABELS = 5_000, 3_862, 3.0
DRAWN, SOME = 20_000, 5
EVERY = 16
"""Of the classes, for scikit-learn's AP of each."""


def made(videos: int, classes: int, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, many of them equal where there are few digits; the first classes are the most
    frequent."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(10, 10 + classes)
    labels = rng.random((videos, classes), np.float32) < share * (LABELS / share.sum())
    scores = rng.standard_normal((videos, classes), np.float32) - 4 + 4 * labels
    return np.round(scores, digits), labels


def took(work: Callable[[], object]) -> tuple[float, np.ndarray]:
    """Seconds, the best of three, and what was found."""
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        found = work()
        best = min(best, time.perf_counter() - began)
    return best, np.array(found, float)


def plain_top(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]


def plain_gap(of: Pruned) -> float:
    hits = of.hits[:, :TOP].ravel()
    return average_precision_score(hits, of.scores[:, :TOP].ravel()) * hits.sum() / of.labels.nnz


def plain_map(of: Pruned, every: int = 1) -> list[float]:
    """Of some classes, from the lists of the videos that have them among their top ones."""
    classes, scores, hits = (x[:, :TOP] for x in (of.classes, of.scores, of.hits))
    found = []
    for one in np.flatnonzero(of.of_class)[::every]:
        here = classes == one
        right = hits[here]
        area = average_precision_score(right, scores[here]) * right.sum() if right.any() else 0.0
        found.append(area / of.of_class[one])
    return found


def plain_full(scores: np.ndarray, labels: np.ndarray, every: int) -> list[float]:
    there = np.flatnonzero(labels.any(0))[::every]
    return [average_precision_score(labels[:, one], scores[:, one]) for one in there]


def full(of: Pruned, scores: np.ndarray) -> list[float | None]:
    by_class = of.labels.tocsc()
    parts = np.split(by_class.indices, by_class.indptr[1:-1])
    return [
        tagging.average_precision(np.ascontiguousarray(scores[:, one]), part)
        for one, part in enumerate(parts) if len(part)
    ]  # fmt: skip


def plain_f1(of: Pruned, thresholds: np.ndarray) -> float:
    """The best of some thresholds, by scikit-learn; what is not among the 20 counts as missed."""
    chances, hits = (x[:, :TOP].ravel() for x in (tagging._chances(of), of.hits))
    lost = np.ones(of.labels.nnz - hits.sum(), bool)
    truth = np.concatenate([hits, lost])
    return max(f1_score(truth, np.concatenate([chances >= at, ~lost])) for at in thresholds)


def plain_draws(of: Pruned, weights: np.ndarray) -> list[float]:
    """GAP of some draws by scikit-learn, each video with its weight."""
    scores, hits, found = of.scores[:, :TOP].ravel(), of.hits[:, :TOP], []
    for draw in weights.T.astype(float):
        each = np.repeat(draw, hits.shape[1])
        area = average_precision_score(hits.ravel(), scores, sample_weight=each)
        found.append(area * (hits.sum(1) @ draw) / (of.of_video @ draw))
    return found


def told(name: str, ours: tuple[float, np.ndarray], theirs: tuple[float, np.ndarray],
         share: float = 1, each: slice = slice(None)) -> None:  # fmt: skip
    """A line of the table; theirs was `share` of the work, for `each` of what was found."""
    (ours_s, found), (theirs_s, again) = ours, theirs
    theirs_s /= share
    off = float(np.abs(np.atleast_1d(found)[each] - again).max())
    print(f"| {name} | {ours_s:.3f} | {theirs_s:,.2f} | {theirs_s / ours_s:,.1f} | {off:.0e} |")
    if off > 1e-9:
        raise SystemExit("They differ by more than 1e-9.")


def main() -> None:
    scores, labels = made(VIDEOS, CLASSES, 2)
    of = tagging.pruned(scores, labels)
    print(f"{VIDEOS:,} videos, {CLASSES:,} classes, {labels.sum(1).mean():.1f} labels a video\n")
    print("| what | ours s | plain s | ratio | difference |")
    print("|---|---|---|---|---|")
    told("top 20, against a sort", took(partial(tagging.first, scores, TOP)),
         took(partial(plain_top, scores)))  # fmt: skip
    told("GAP, against scikit-learn", took(partial(tagging.gap, of)), took(partial(plain_gap, of)))
    each = took(lambda: (x := tagging.average_precisions(of))[~np.isnan(x)])
    told("mAP pruned, against scikit-learn's AP of each class", each,
         took(partial(plain_map, of, EVERY)), 1 / EVERY, slice(None, None, EVERY))  # fmt: skip
    told("mAP full, the same", took(partial(full, of, scores)),
         took(partial(plain_full, scores, labels, EVERY)), 1 / EVERY,
         slice(None, None, EVERY))  # fmt: skip
    best = tagging.best_threshold(of) or 0.0
    chances = np.unique(tagging._chances(of))
    some = np.append(chances[:: len(chances) // SOME], best)
    told("best threshold of F1, against all by scikit-learn",
         took(lambda: tagging.f1_micro(of, tagging._chances(of) >= tagging.best_threshold(of))),
         took(partial(plain_f1, of, some)), len(some) / len(chances))  # fmt: skip
    names = [f"{k}" for k in range(CLASSES)]
    seconds, _ = took(lambda: [tagging.figures(of, names)["GAP"]])
    print(f"\nAll measures but mAP full, of top classes: {seconds:.3f} s.\n")
    scores, labels = made(DRAWN, 500, 7)
    of, began = tagging.pruned(scores, labels), time.perf_counter()
    draws = [*drawn([f"{k}" for k in range(DRAWN)])]
    print(f"{DRAWS:,} draws of {DRAWN:,} videos: {time.perf_counter() - began:.1f} s\n")
    print("| what | ours s | plain s | ratio | difference |")
    print("|---|---|---|---|---|")
    told(f"GAP of {DRAWS:,} draws, against scikit-learn", took(partial(tagged, of, draws)),
         took(partial(plain_draws, of, draws[0][:, :SOME])), SOME / DRAWS,
         slice(SOME))  # fmt: skip


if __name__ == "__main__":
    main()
