from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
from scipy.special import softmax

from mbt_cli.metrics import (
    auc,
    average_precision,
    d_prime,
    figures,
    joint_ranks,
    joint_top,
    top,
)
from mbt_cli.task import Task

RNG = np.random.default_rng(0)


def by_hand(scores, truth):
    """Mean over positives of the precision among the clips that score at least as high."""
    at = [scores >= s for s in scores[truth == 1]]
    return np.mean([truth[above].mean() for above in at])


def few(n=37, c=5):
    scores = RNG.standard_normal((n, c)).round(1)
    labels = (RNG.random((n, c)) < 0.3).astype(np.float32)
    labels[:2] = [[0] * c, [1] * c]
    return scores, labels


def found(scores, labels, multi_label=True, tagging=False, **changes):
    names = [f"c{i}" for i in range(scores.shape[1])]
    groups = {"first": names[:2], "last": names[2:]}
    task = Task(names, multi_label, tagging, groups)
    return figures(scores, labels, task, **changes)


def test_average_precision_counts_ties_together():
    scores, truth = np.array([2.0, 1, 1, 0]), np.array([0.0, 1, 0, 1])
    assert average_precision(scores, truth) == pytest.approx((1 / 3 + 2 / 4) / 2)
    scores, labels = few()
    for s, y in zip(scores.T, labels.T, strict=True):
        assert average_precision(s, y) == pytest.approx(by_hand(s, y))


def test_auc_is_the_chance_that_a_positive_scores_above_a_negative():
    scores, labels = few()
    s, y = scores[:, 0], labels[:, 0]
    pairs = s[y == 1][:, None] - s[y == 0][None]
    assert auc(s, y) == pytest.approx((np.sign(pairs).mean() + 1) / 2)


def test_map_is_the_mean_over_classes_and_over_those_of_a_group():
    scores, labels = few()
    each = [average_precision(s, y) for s, y in zip(scores.T, labels.T, strict=True)]
    result = found(scores, labels)
    assert result["mAP"] == pytest.approx(np.mean(each))
    assert result["groups"]["first"]["mAP"] == pytest.approx(np.mean(each[:2]))
    assert result["groups"]["last"]["mAP"] == pytest.approx(np.mean(each[2:]))
    assert result["classes"]["c3"]["AP"] == each[3]
    assert result["clips"] == 37


def test_a_class_without_positives_is_left_out_and_listed():
    scores, labels = few()
    labels[:, 1] = 0
    kept = [average_precision(scores[:, i], labels[:, i]) for i in (0, 2, 3, 4)]
    result = found(scores, labels)
    assert result["left_out"] == ["c1"]
    assert result["mAP"] == pytest.approx(np.mean(kept))
    assert result["classes"]["c1"] == {"AP": None, "AUC": None}
    as_official = found(scores, labels, without_positives="zero")
    assert as_official["mAP"] == pytest.approx(np.mean([*kept, 0]))


def test_a_class_without_negatives_has_ap_1_and_no_auc():
    scores, labels = few()
    labels[:, 2] = 1
    result = found(scores, labels)
    assert result["classes"]["c2"] == {"AP": 1.0, "AUC": None}
    others = [auc(scores[:, i], labels[:, i]) for i in (0, 1, 3, 4)]
    assert result["AUC"] == pytest.approx(np.mean(others))


def test_no_class_with_positives_gives_no_mean():
    result = found(few()[0], np.zeros((37, 5)))
    assert result["mAP"] is result["AUC"] is result["d_prime"] is None


def test_d_prime_is_sqrt_2_times_the_normal_quantile():
    assert d_prime(0.5) == 0
    assert d_prime(0.9213503964748574) == pytest.approx(2.0)  # Phi(sqrt(2)) = 0.92135
    assert d_prime(1.0) is None


def test_top_k_is_for_data_of_one_label():
    scores = np.array([[3.0, 2, 1, 0, -1, -2], [0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]])
    labels = np.eye(6)[[0, 0, 1]]
    assert top(scores, labels, 1) == pytest.approx(1 / 3)
    assert top(scores, labels, 5) == pytest.approx(2 / 3)
    result = found(scores, labels, multi_label=False)
    assert (result["top1"], result["top5"]) == pytest.approx((1 / 3, 2 / 3))
    assert "top1" not in found(scores, labels)


def test_top_k_of_few_classes():
    labels = np.eye(2)[[0, 1, 1]]
    scores = np.array([[1.0, 0], [1, 0], [0, 1]])
    assert top(scores, labels, 1) == pytest.approx(2 / 3)
    assert top(scores, labels, 5) == 1.0


def test_of_equal_scores_the_first_class_is_the_highest():
    scores, labels = np.array([[1.0, 2, 2, 0], [1, 2, 2, 0]]), np.eye(4)[[1, 2]]
    assert top(scores, labels, 1) == 0.5
    assert top(scores, labels, 2) == 1.0


def test_a_hit_is_any_of_several_labels():
    scores, labels = np.array([[0.0, 2, 1], [0, 2, 1]]), np.array([[1.0, 1, 0], [1, 0, 1]])
    assert top(scores, labels, 1) == 0.5
    assert top(scores, labels, 2) == 1.0


def test_an_action_is_right_where_verb_and_noun_are():
    verbs, nouns = np.log([[0.6, 0.4]] * 4), np.log([[0.5, 0.3, 0.2]] * 4)
    scores = np.concatenate([verbs + 7, nouns - 5], 1)  # softmax does not see a constant
    labels = np.concatenate([np.eye(2)[[0, 1, 0, 1]], np.eye(3)[[0, 0, 1, 2]]], 1)
    # products in falling order: 0.30 (0,0), 0.20 (1,0), 0.18 (0,1), 0.12, 0.12, 0.08 (1,2)
    shares = [joint_top(scores, labels, (2, 3), k) for k in (1, 2, 3, 5, 6)]
    assert shares == [0.25, 0.5, 0.75, 0.75, 1.0]


@pytest.mark.parametrize("heads", [(2, 3), (3, 2), (5,), (2, 3, 5)])
def test_the_rank_of_an_answer_is_how_many_combinations_come_before_it(heads):
    """Every combination counted one by one; each head has two values, so that many are equal."""
    n, ends = 211, np.cumsum((0, *heads))
    scores = np.concatenate(
        [np.take_along_axis(RNG.standard_normal((n, 2)), RNG.integers(2, size=(n, size)), 1)
         for size in heads], 1
    )  # fmt: skip
    answers = [RNG.integers(size, size=n) for size in heads]
    labels = np.concatenate([np.eye(k)[of] for k, of in zip(heads, answers, strict=True)], 1)
    expected, ties = [], 0
    for row, truth in zip(scores, zip(*answers, strict=True), strict=True):
        parts = [softmax(row[a:b]) for a, b in pairwise(ends)]
        worth = {
            one: prod(part[k] for part, k in zip(parts, one, strict=True))
            for one in product(*map(range, heads))
        }
        equal = [one for one in worth if worth[one] == pytest.approx(worth[truth], rel=1e-9)]
        higher = [one for one in worth if worth[one] > worth[truth] and one not in equal]
        expected.append(len(higher) + sum(one < truth for one in equal))
        ties += len(equal) > 1
    assert ties > n / 3
    ranks = joint_ranks(scores, labels, heads)
    assert ranks.max() > 1
    np.testing.assert_array_equal(ranks, expected)


def test_cells_are_chosen_by_map_by_gap_or_by_accuracy():
    tasks = Task((), True), Task((), True, tagging=True), Task((), False)
    assert [task.primary for task in tasks] == ["mAP", "GAP", "top1"]
