"""From scores and labels to figures: mAP and its kin.

n clips, c classes. Source of each definition: `scikit-learn`; d-prime as in AudioSet's baselines.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Figures = dict[str, Any]
"""Plain values for JSON; one that is not defined (AUC of a class without positives) is None."""


def figures(
    scores: Float[np.ndarray, "n c"],
    labels: Float[np.ndarray, "n c"],
    classes: Sequence[str],
    *,
    groups: Mapping[str, Sequence[str]],
    multi_label: bool,
    without_positives: Literal["left_out", "zero"] = "left_out",
) -> Figures:
    """Every figure of one evaluation.

    `mAP` is the mean of AP over classes with positives (`left_out` lists the others; with "zero"
    they count as 0), `AUC` the mean over classes with positives and negatives, `d_prime` comes
    from that mean; `groups` has mAP and AUC over each group's classes, `classes` AP and AUC of
    each. Where a clip has one label, `top1` and `top5` are the shares of clips whose label is
    among the first and the first five scores.
    """
    each = {
        name: {"AP": average_precision(s, y), "AUC": auc(s, y)}
        for name, s, y in zip(classes, scores.T, labels.T, strict=True)
    }
    left_out = [name for name, one in each.items() if one["AP"] is None]
    if without_positives == "zero":
        for name in left_out:
            each[name]["AP"] = 0.0
    found: Figures = {"clips": len(scores), **_means(each, classes)}
    found["d_prime"] = d_prime(found["AUC"])
    if not multi_label:
        found["top1"], found["top5"] = (top(scores, labels, k) for k in (1, 5))
    found["groups"] = {group: _means(each, names) for group, names in groups.items()}
    found["classes"] = each
    found["left_out"] = left_out
    return found


def primary(multi_label: bool) -> str:
    """The figure by which epochs and cells are chosen: mAP, or accuracy for one label a clip."""
    return "mAP" if multi_label else "top1"


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
    """Share of clips of one label each whose label is among the k highest scores."""
    from sklearn.metrics import top_k_accuracy_score

    classes = range(scores.shape[1])
    if k >= len(classes):
        return 1.0
    if len(classes) == 2:
        return float((scores.argmax(1) == labels.argmax(1)).mean())
    return float(top_k_accuracy_score(labels.argmax(1), scores, k=k, labels=list(classes)))


def _means(each: Mapping[str, Mapping[str, float | None]], names: Sequence[str]) -> Figures:
    return {f"{m}": _mean([each[n][one] for n in names]) for m, one in _OF.items()}


_OF = {"mAP": "AP", "AUC": "AUC"}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
