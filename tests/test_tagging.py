"""The measures of YouTube-8M, each as plain loops find it."""

from math import exp

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score

from mbt_cli import tagging
from mbt_cli.tagging import TOP, Pruned, figures, first, pruned

CASES = [
    # videos, classes, share of labels, ties
    (7, 5, 0.4, False),
    (11, 3, 0.3, True),
    (13, 23, 0.1, False),
    (17, 29, 0.2, True),
    (5, 31, 0.9, False),  # more labels than 20
    (19, 37, 0.02, True),  # videos without labels, classes without positives
    (3, 2, 0.5, True),
    (2, 41, 0.7, True),
]
SEEDS = range(11)


def made(n: int, c: int, share: float, ties: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, n, c])
    labels = rng.random((n, c)) < share
    scores = (rng.standard_normal((n, c)) * 2 + labels).astype(np.float32)
    return (np.round(scores) if ties else scores), labels


def ranking(row: np.ndarray) -> list[int]:
    return sorted(range(len(row)), key=lambda c: (-row[c], c))


def area(items: list[tuple[float, bool]]) -> float:
    """Over the hits, the share of hits among the items that score at least as high."""
    total = 0.0
    for score, hit in items:
        if hit:
            above = [h for s, h in items if s >= score]
            total += sum(above) / len(above)
    return total


def f1(pairs: set[tuple[int, int]], truth: set[tuple[int, int]]) -> float | None:
    return 2 * len(pairs & truth) / (len(pairs) + len(truth)) if pairs or truth else None


def macro(pairs: set[tuple[int, int]], truth: set[tuple[int, int]], c: int) -> float | None:
    each = [
        f1({p for p in pairs if p[1] == one}, {t for t in truth if t[1] == one}) for one in range(c)
    ]
    known = [one for one in each if one is not None]
    return sum(known) / len(known) if known else None


def by_hand(scores: np.ndarray, labels: np.ndarray, threshold: float | None) -> dict[str, object]:
    n, c = scores.shape
    tops = [ranking(row)[:TOP] for row in scores]
    truth = {(v, k) for v in range(n) for k in range(c) if labels[v, k]}
    items = [(float(scores[v, k]), (v, k) in truth, k) for v in range(n) for k in tops[v]]
    chance = {(v, k): 1 / (1 + exp(-float(scores[v, k]))) for v in range(n) for k in tops[v]}
    each = {}
    for k in range(c):
        if many := sum(1 for t in truth if t[1] == k):
            each[f"c{k}"] = area([(s, hit) for s, hit, of in items if of == k]) / many
    shares = []
    for v in range(n):
        if many := int(labels[v].sum()):
            shares.append(sum(bool(labels[v, k]) for k in ranking(scores[v])[:many]) / many)

    def told(at: float) -> set[tuple[int, int]]:
        return {one for one, p in chance.items() if p >= at}

    best = max((f1(told(p), truth) or 0.0 for p in chance.values()), default=0.0)
    chosen = told(threshold) if threshold is not None else set()
    return {
        "GAP": area([(s, hit) for s, hit, _ in items]) / len(truth) if truth else None,
        "mAP": sum(each.values()) / len(each) if each else None,
        "hit1": sum(bool(labels[v, tops[v][0]]) for v in range(n)) / n,
        "PERR": sum(shares) / len(shares) if shares else None,
        "F1_micro": f1(chosen, truth),
        "F1_macro": macro(chosen, truth, c),
        **{f"F1_top{k}": f1({(v, one) for v in range(n) for one in tops[v][:k]}, truth)
           for k in (1, 3, 5)},
        "classes": each,
        "best": best,
    }  # fmt: skip


def names(c: int) -> list[str]:
    return [f"c{k}" for k in range(c)]


def assert_same(found: dict[str, object], truth: dict[str, object]) -> None:
    for name in ("GAP", "mAP", "hit1", "PERR", "F1_micro", "F1_macro", "F1_top1", "F1_top3",
                 "F1_top5"):  # fmt: skip
        assert found[name] == pytest.approx(truth[name], abs=1e-12), name
    each = {name: one["AP"] for name, one in found["classes"].items()}  # type: ignore[attr-defined]
    assert each == pytest.approx(truth["classes"], abs=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threshold", [None, 0.0, 0.3, 0.99, 1.0])
def test_every_measure_is_what_plain_loops_find(
    case: tuple[int, int, float, bool], threshold: float | None
) -> None:
    for seed in SEEDS:
        scores, labels = made(*case, seed)
        found = figures(pruned(scores, labels), names(case[1]), threshold)
        truth = by_hand(scores, labels, found["F1_threshold"])
        assert_same(found, truth)
        if threshold is None and labels.any():
            assert found["F1_micro"] == pytest.approx(truth["best"], abs=1e-12)
        elif threshold is not None:
            assert found["F1_threshold"] == threshold


def test_without_any_label_there_is_nothing_to_measure() -> None:
    found = figures(pruned(np.zeros((3, 5), np.float32), np.zeros((3, 5))), names(5))
    for name in ("GAP", "mAP", "PERR", "F1_micro", "F1_macro", "F1_threshold"):
        assert found[name] is None
    assert found["classes"] == {} and found["hit1"] == 0.0 and found["F1_top1"] == 0.0


def test_all_positives_count_also_outside_the_top_20() -> None:
    scores = np.arange(23, dtype=np.float32)[None, ::-1]
    labels = np.zeros((1, 23))
    labels[0, [0, 21]] = 1
    found = figures(pruned(scores, labels), names(23))
    assert found["GAP"] == 0.5
    assert found["classes"] == {"c0": {"AP": 1.0}, "c21": {"AP": 0.0}}


def test_a_video_without_labels_is_no_part_of_perr_but_a_miss_at_hit1() -> None:
    scores = np.float32([[3, 2, 1], [1, 3, 2]])
    labels = np.array([[1, 1, 0], [0, 0, 0]])
    found = figures(pruned(scores, labels), names(3))
    assert found["PERR"] == 1.0 and found["hit1"] == 0.5


def test_equal_scores_share_a_threshold_whatever_their_order() -> None:
    scores, labels = made(17, 29, 0.2, True, 3)
    turn = np.random.default_rng(0).permutation(17)
    one, other = (figures(pruned(scores[of], labels[of]), names(29)) for of in (slice(None), turn))
    assert one["GAP"] == pytest.approx(other["GAP"], abs=1e-15)
    assert one["mAP"] == pytest.approx(other["mAP"], abs=1e-15)
    flat = figures(pruned(np.zeros((5, 3), np.float32), np.eye(5, 3)), names(3))
    assert flat["GAP"] == pytest.approx(3 / 15)


@pytest.mark.parametrize("k", [1, 2, 20, 22, 23, 31])
def test_of_equal_scores_the_first_classes_are_kept(k: int) -> None:
    for seed in SEEDS:
        scores, _ = made(13, 23, 0.1, True, seed)
        assert first(scores, k).tolist() == [ranking(row)[:k] for row in scores]


def test_the_threshold_lies_between_what_is_told_and_what_is_not() -> None:
    scores = np.float32([[2.0, 1.0, -1.0]])
    of = pruned(scores, np.array([[1, 1, 0]]))
    best = tagging.best_threshold(of)
    assert best == pytest.approx((1 / (1 + exp(-1)) + 1 / (1 + exp(1))) / 2)
    whole = tagging.best_threshold(pruned(scores, np.array([[1, 1, 1]])))
    assert whole == pytest.approx(1 / (1 + exp(1)) / 2)


def test_of_equally_good_thresholds_the_highest_is_taken() -> None:
    # F1 is 2/3 with one class told (of two labels) and with four told
    of = pruned(np.float32([[4.0, 3.0, 2.0, 1.0]]), np.array([[1, 0, 0, 1]]))
    assert tagging.best_threshold(of) == pytest.approx((1 / (1 + exp(-4)) + 1 / (1 + exp(-3))) / 2)


def test_scores_of_one_probability_are_told_together() -> None:
    low = np.float64(0.5)
    of = pruned(np.array([[np.nextafter(low, 1), low]]), np.array([[1, 0]]))
    found, chances = figures(of, names(2)), tagging._chances(of)[0]
    assert (chances >= found["F1_threshold"]).tolist() == [True, chances[0] == chances[1]]


def test_neighbouring_probabilities_are_told_apart() -> None:
    rounded_down = 0
    for low in np.linspace(0.1, 2.0, 50):
        high = low
        while expit(high) == expit(low):
            high = np.nextafter(high, 9)
        found = figures(pruned(np.array([[high, low]]), np.array([[1, 0]])), names(2))
        assert found["F1_micro"] == 1.0 and expit(low) < found["F1_threshold"] <= expit(high)
        rounded_down += (expit(low) + expit(high)) / 2 == expit(low)
    assert rounded_down


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_over_all_scores_is_scikit_learns(ties: bool) -> None:
    for seed in SEEDS:
        scores, labels = made(211, 5, 0.1, ties, seed)
        for s, y in zip(scores.T, labels.T, strict=True):
            found = tagging.average_precision(s, np.flatnonzero(y))
            assert found == pytest.approx(average_precision_score(y, s), abs=1e-12)
    assert tagging.average_precision(scores[:, 0], np.array([], np.int64)) is None


def test_labels_are_told_by_their_places() -> None:
    scores, labels = made(13, 23, 0.1, False, 0)
    told = tagging.listed([np.flatnonzero(row)[::-1].tolist() for row in labels], 23)
    assert (told.toarray() == labels).all()
    whole = pruned(scores, labels)
    again = Pruned(whole.scores, whole.classes, told)
    assert figures(again, names(23)) == figures(whole, names(23))


def test_where_no_class_is_right_the_threshold_is_the_highest() -> None:
    labels = np.zeros((2, 23))
    labels[0, 22] = 1
    of = pruned(np.tile(np.arange(23, 0, -1, np.float32), (2, 1)), labels)
    found = figures(of, names(23))
    assert found["F1_micro"] == 0.0 and 1 / (1 + exp(-22)) < found["F1_threshold"] < 1
    assert found["GAP"] == found["mAP"] == 0.0
