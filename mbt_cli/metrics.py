"""From scores and labels to figures: mAP and its kin.

n clips, c classes. AP and AUC are scikit-learn's, d-prime is as in AudioSet's baselines, top-k as
in the official code.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int64

from mbt_cli import tagging
from mbt_cli.tagging import Pruned, pruned
from mbt_cli.task import Task

Figures = dict[str, Any]
"""Plain values for JSON; one that is not defined (AUC of a class without positives) is None."""


WithoutPositives = Literal["left_out", "zero"]
"""What a class without positives is to a mean over classes."""


def figures(
    scores: Float[np.ndarray, "n c"],
    labels: Float[np.ndarray, "n c"],
    task: Task,
    *,
    without_positives: WithoutPositives = "left_out",
    threshold: float | None = None,
) -> Figures:
    """Every figure of one evaluation.

    `mAP` is the mean of AP over classes with positives (`left_out` lists the others; with "zero"
    they count as 0), `AUC` the mean over classes with positives and negatives, `d_prime` comes
    from that mean; `groups` has mAP and AUC over each group's classes, `classes` AP and AUC of
    each. Where a clip has one label, `top1` and `top5` are the shares of clips whose label is
    among the first and the first five scores. Where it has one of each of several kinds, whose
    numbers of classes are `heads`, they are the shares of clips of which all are right (Epic's
    action), ranked by the product of the kinds' softmaxes, and `heads` has both for each kind.
    Where clips are tagged, there are all of `tagging.figures`, F1 at a threshold or at the best
    one; mAP is then the official one, of each clip's 20 top classes, `mAP_full` that of all scores,
    as is all that is said of classes and groups.
    """
    classes, heads = task.classes, task.heads
    each = {
        name: {"AP": average_precision(s, y), "AUC": auc(s, y)}
        for name, s, y in zip(classes, scores.T, labels.T, strict=True)
    }
    left_out = [name for name, one in each.items() if one["AP"] is None]
    if without_positives == "zero":
        for name in left_out:
            each[name]["AP"] = 0.0
    found: Figures = {"clips": len(scores), **_means(each, classes)}
    if task.tagging:
        official = _official(pruned(scores, labels), task, without_positives, threshold)
        found = {"clips": len(scores), **official, "mAP_full": found["mAP"], "AUC": found["AUC"]}
    found["d_prime"] = d_prime(found["AUC"])
    if heads:
        sizes = [*heads.values()]
        ranks = joint_ranks(scores, labels, sizes)
        found["top1"], found["top5"] = (float((ranks < k).mean()) for k in (1, 5))
        ends = np.cumsum(sizes)[:-1]
        parts = zip(heads, *(np.split(x, ends, axis=1) for x in (scores, labels)), strict=True)
        found["heads"] = {
            head: {"top1": top(s, y, 1), "top5": top(s, y, 5)} for head, s, y in parts
        }
    elif not task.multi_label:
        found["top1"], found["top5"] = (top(scores, labels, k) for k in (1, 5))
    found["groups"] = {group: _means(each, names) for group, names in task.groups.items()}
    found["classes"] = each
    found["left_out"] = left_out
    return found


def tagged(
    of: Pruned,
    task: Task,
    *,
    without_positives: WithoutPositives = "left_out",
    threshold: float | None = None,
    full: Sequence[float | None] = (),
) -> Figures:
    """The figures of very many classes, of which each clip's top ones are known: `tagging.figures`.

    `full` is each class's AP over all scores, and `mAP_full` their mean, where they are known.
    `classes` has the official AP of those with positives, `left_out` tells how many have none.
    """
    found = _official(of, task, without_positives, threshold)
    each = found.pop("classes")
    known = [one or 0.0 for one in full] if without_positives == "zero" else full
    return {
        "clips": len(of),
        **found,
        "mAP_full": _mean(known),
        "groups": {
            group: {"mAP": _mean([each[n]["AP"] for n in names if n in each]), "AUC": None}
            for group, names in task.groups.items()
        },
        "classes": each,
        "left_out": len(task.classes) - len(each),
    }


def _official(
    of: Pruned, task: Task, without_positives: WithoutPositives, threshold: float | None
) -> Figures:
    found = tagging.figures(of, task.classes, threshold)
    if without_positives == "zero":
        found["mAP"] = sum(one["AP"] for one in found["classes"].values()) / len(task.classes)
    return found


def average_precision(
    scores: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"]
) -> float | None:
    """Non-interpolated; ties share a threshold. None without positives, where sklearn says 0."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores)) if truth.any() else None


def auc(scores: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"]) -> float | None:
    """Area under the ROC curve: the chance that a positive scores above a negative."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores)) if truth.any() and not truth.all() else None


def d_prime(area: float | None) -> float | None:
    """sqrt(2) times the normal quantile of the mean AUC; None at an AUC of 0 or 1."""
    from scipy.special import ndtri

    return math.sqrt(2) * float(ndtri(area)) if area is not None and 0 < area < 1 else None


def top(scores: Float[np.ndarray, "n c"], labels: Float[np.ndarray, "n c"], k: int) -> float:
    """Share of clips with a label among their k highest scores: top-k accuracy where a clip has
    one label, Hit@k where it may have several (the official prec@1 at k = 1).

    Of equal scores that of the first class counts as the highest, as in the official code.
    """
    first = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(labels, first, axis=1).any(1).mean())


def joint_top(
    scores: Float[np.ndarray, "n c"], labels: Float[np.ndarray, "n c"], heads: Sequence[int], k: int
) -> float:
    """Top-k accuracy of all heads together: an action is right where verb and noun are.

    `heads` are the numbers of classes of the answers, side by side in c. A combination's score is
    the product of the heads' softmaxes; of equal ones the first counts as the higher.
    """
    return float((joint_ranks(scores, labels, heads) < k).mean())


def joint_ranks(
    scores: Float[np.ndarray, "n c"], labels: Float[np.ndarray, "n c"], heads: Sequence[int]
) -> Int64[np.ndarray, " n"]:
    """How many combinations of the heads' classes score higher than a clip's true one."""
    from scipy.special import log_softmax

    ends, ranks = np.cumsum(heads)[:-1], np.zeros(len(scores), np.int64)
    for row, (some, truth) in enumerate(zip(scores[:, None], labels[:, None], strict=True)):
        each = [log_softmax(head, axis=1) for head in np.split(some, ends, axis=1)]
        (score,) = _combined(each, np.add)
        (true,) = _combined(np.split(truth, ends, axis=1), np.multiply)
        ranks[row] = min(
            (score > score[place]).sum() + (score[:place] == score[place]).sum()
            for place in np.flatnonzero(true)
        )
    return ranks


def _combined(parts: Sequence[np.ndarray], how: np.ufunc) -> np.ndarray:
    """One value (n, a * b * ..) for each combination of the values (n, a), (n, b), ..."""
    whole = parts[0]
    for part in parts[1:]:
        whole = how(whole[:, :, None], part[:, None]).reshape(len(whole), -1)
    return whole


def _means(each: Mapping[str, Mapping[str, float | None]], names: Sequence[str]) -> Figures:
    return {f"{m}": _mean([each[n][one] for n in names]) for m, one in _OF.items()}


_OF = {"mAP": "AP", "AUC": "AUC"}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
