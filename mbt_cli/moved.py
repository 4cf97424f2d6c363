"""What moved between two sides: classes and clips, each by a figure that both have of it.

n clips, c classes; pairs are of seeds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy.special import expit, softmax

from mbt_cli.metrics import Figures
from mbt_cli.statistics import Summary, summary
from mbt_cli.task import Task

MOST = 10
"""Each way."""
LEAST = 5e-4
"""Smaller differences are printed as nothing."""


@dataclass(frozen=True)
class Moved:
    """A class or a clip: its figure on both sides, means over seeds."""

    name: str
    one: float
    other: float
    difference: Summary
    """One less other, over pairs of seeds."""


def most(found: Iterable[Moved]) -> list[Moved]:
    """Those that are higher on the one side, the farthest first, then those on the other."""
    order = sorted(found, key=lambda moved: (-moved.difference.mean, moved.name))
    up = [moved for moved in order if moved.difference.mean >= LEAST]
    down = [moved for moved in order if moved.difference.mean <= -LEAST]
    return up[:MOST] + down[-MOST:]


def classes(pairs: Sequence[tuple[Figures, Figures]], figure: str) -> list[Moved]:
    """Every class whose figure (AP, AUC) is defined on both sides."""
    found = []
    for name in pairs[0][0]["classes"]:
        values = [tuple(side["classes"][name].get(figure) for side in pair) for pair in pairs]
        if not any(value is None for pair in values for value in pair):
            found.append(_moved(name, values))
    return found


def clips(names: Sequence[str], pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Moved]:
    """Every clip, by what it says on both sides: (n,) of each pair."""
    values = np.array(pairs, float)  # (pairs, 2, n)
    gaps = values[:, 0] - values[:, 1]
    order = np.argsort(-gaps.mean(0), kind="stable")
    ends = dict.fromkeys([*order[: 2 * MOST].tolist(), *order[-2 * MOST :].tolist()])
    return [_moved(names[place], [tuple(pair) for pair in values[:, :, place]]) for place in ends]


def lead(
    scores: Float[np.ndarray, "n c"], labels: Shaped[np.ndarray, "n c"], task: Task
) -> Float[np.ndarray, " n"]:
    """The mean probability that each clip is given of its labels, less that of all other classes:
    1 where it is all right, -1 where it is all wrong. Sigmoids of the scores; where a clip has one
    label (of each head), softmaxes."""
    if task.heads:
        parts = np.split(scores, np.cumsum([*task.heads.values()])[:-1], axis=1)
        chances = np.concatenate([softmax(part, axis=1) for part in parts], axis=1)
    else:
        chances = expit(scores) if task.multi_label else softmax(scores, axis=1)
    return _mean(chances, labels > 0) - _mean(chances, labels == 0)


def _mean(chances: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Of the classes that a clip has; 0 where it has none."""
    return (chances * of).sum(1, dtype=float) / np.maximum(of.sum(1), 1)


def _moved(name: str, values: Sequence[Sequence[float]]) -> Moved:
    """Of one figure's value on each side, pair by pair."""
    gaps = [float(one - other) for one, other in values]
    one, other = (float(np.mean([pair[side] for pair in values])) for side in (0, 1))
    return Moved(name, one, other, summary(gaps))
