"""1,000 draws of 20,000 clips, two runs of 527 classes: our way against scikit-learn's.

The latter is `average_precision_score` with each draw's weights, and is timed on a few draws of
every eighth class; both on all cores. It ends with an error where the two are not equal to 1e-9.

    python benchmarks/resample.py
"""

import time
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
from sklearn.metrics import average_precision_score

from mbt_cli.resample import DRAWS, average_precision, drawn, replicates
from mbt_cli.task import Task

CLIPS, CLASSES, RUNS, LABELS = 20_000, 527, 2, 2.7
"""As AudioSet's evaluation list: labels are those of a clip, on average."""
SOME, EVERY = 2, 8


def made() -> tuple[np.ndarray, np.ndarray]:
    """Scores of two runs, and labels whose numbers go from 30 to a third of all clips."""
    rng = np.random.default_rng(0)
    share = np.geomspace(0.0015, 0.35, CLASSES)
    share *= LABELS / share.sum()
    labels = rng.random((CLIPS, CLASSES)) < np.maximum(share, 0.0015)
    lift = 1.5 * labels
    scores = rng.standard_normal((RUNS, CLIPS, CLASSES)) + lift
    return np.round(scores, 2).astype(np.float32), labels  # with ties


def main() -> None:
    scores, labels = made()
    names = [f"{i}" for i in range(CLIPS)]
    began = time.perf_counter()
    draws = [*drawn(names)]
    for one in scores:
        replicates(one, labels, draws, Task((), multi_label=True))
    ours_s = time.perf_counter() - began

    def slow(column: int) -> tuple[int, list[float]]:
        truth, mine = labels[:, column], scores[0][:, column]
        return column, [
            float(average_precision_score(truth, mine, sample_weight=draws[0][:, draw]))
            for draw in range(SOME)
        ]

    columns = range(0, CLASSES, EVERY)
    began = time.perf_counter()
    with ThreadPoolExecutor(cpu_count()) as pool:
        found = dict(pool.map(slow, columns))
    each_s = (time.perf_counter() - began) / (len(columns) * SOME)
    theirs_s = each_s * CLASSES * DRAWS * RUNS
    off = max(
        float(np.abs(average_precision(scores[0][:, c], labels[:, c], draws[0])[:SOME] - aps).max())
        for c, aps in found.items()
    )
    print(
        f"ours {ours_s:.1f} s, scikit-learn {theirs_s:,.0f} s (from {len(columns) * SOME} of its"
        f" calls): {theirs_s / ours_s:.0f} times as fast; largest difference {off:.1e}"
    )
    if off > 1e-9:
        raise SystemExit("They differ by more than 1e-9.")


if __name__ == "__main__":
    main()
