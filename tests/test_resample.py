"""What a measure comes to on clips drawn again: by a fast way, and equal to the slow one."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mbt_cli import resample
from mbt_cli.metrics import joint_top
from mbt_cli.resample import (
    BLOCK,
    CELLS,
    WORTH_THREADS,
    average_precision,
    drawn,
    mean_average_precision,
    replicates,
)
from mbt_cli.tagging import gap, pruned
from mbt_cli.task import Task

N, C, DRAWS = 211, 7, 113
TAGGING = Task((), True, tagging=True)


def scores_of(ties: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random((N, C)) < np.linspace(0.02, 0.9, C)
    scores = (rng.standard_normal((N, C)) + labels).astype(np.float32)
    return (np.round(scores) if ties else scores), labels


def weights_of(groups: list[str], draws: int = DRAWS) -> np.ndarray:
    return np.concatenate([*drawn(groups, draws)], 1)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_of_every_draw_is_scikit_learns(ties: bool) -> None:
    scores, labels = scores_of(ties)
    weights = weights_of([f"{i}" for i in range(N)])
    for column in range(C):
        found = average_precision(scores[:, column], labels[:, column], weights)
        for draw in range(0, DRAWS, 11):
            truth = average_precision_score(
                labels[:, column], scores[:, column], sample_weight=weights[:, draw]
            )
            assert found[draw] == pytest.approx(truth, abs=1e-9)


def test_ties_everywhere_are_the_share_of_positives() -> None:
    labels = np.arange(13) < 5
    found = average_precision(np.zeros(13, np.float32), labels, np.ones((13, 1), np.float32))
    assert found == pytest.approx([5 / 13], abs=1e-12)


def test_repeating_a_clip_is_weighing_it() -> None:
    scores, labels = scores_of(ties=True, seed=3)
    weights = np.random.default_rng(1).integers(0, 4, (N, 1)).astype(np.float32)
    rows = np.repeat(np.arange(N), weights[:, 0].astype(int))
    found = mean_average_precision(scores, labels, weights)
    truth = [average_precision_score(labels[rows, c], scores[rows, c]) for c in range(C)]
    assert found[0] == pytest.approx(np.mean(truth), abs=1e-9)


def test_a_class_that_vanishes_in_a_draw_is_left_out_of_that_draw_alone() -> None:
    scores, labels = scores_of(ties=False)
    weights = np.ones((N, 2), np.float32)
    weights[labels[:, 0], 1] = 0  # no positive of the rare class in the second draw
    both = [average_precision(scores[:, c], labels[:, c], weights) for c in range(C)]
    assert np.isnan(both[0][1]) and not np.isnan(both[0][0])
    found = mean_average_precision(scores, labels, weights)
    assert found[0] == pytest.approx(np.mean([one[0] for one in both]), abs=1e-12)
    assert found[1] == pytest.approx(np.mean([one[1] for one in both[1:]]), abs=1e-12)


def test_a_class_without_positives_counts_in_no_draw() -> None:
    scores, labels = scores_of(ties=False)
    weights = weights_of([f"{i}" for i in range(N)])
    bare = np.concatenate([labels, np.zeros((N, 1), bool)], 1)
    more = np.concatenate([scores, scores[:, :1]], 1)
    assert np.array_equal(
        mean_average_precision(more, bare, weights), mean_average_precision(scores, labels, weights)
    )


def test_nothing_is_known_where_no_class_has_a_positive() -> None:
    scores, labels = scores_of(ties=False)
    weights = np.zeros((N, 3), np.float32)
    weights[~labels.any(1), 1:] = 1
    assert np.isnan(mean_average_precision(scores, labels, weights)).all()


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(5)
    labels = rng.random((1009, 101)) < 0.1
    scores = rng.standard_normal(labels.shape).astype(np.float32)
    assert scores.size > WORTH_THREADS
    weights = weights_of([f"{i}" for i in range(1009)], 3)
    apart = [average_precision(scores[:, c], labels[:, c], weights) for c in range(101)]
    found = mean_average_precision(scores, labels, weights)
    assert found == pytest.approx(np.mean(apart, axis=0), abs=1e-12)


def test_clips_of_one_group_are_drawn_together() -> None:
    groups = [f"video {i // 3}" for i in range(N)]
    weights = weights_of(groups)
    for video in range(N // 3):
        rows = weights[3 * video : 3 * video + 3]
        assert (rows == rows[0]).all()
    many = len(set(groups))
    assert (weights[::3].sum(0) == many).all()  # as many groups as there are
    assert weights[::3].mean() == pytest.approx(1)
    assert weights[::3].var() == pytest.approx(1, rel=0.1)  # each of them drawn with replacement


def test_draws_are_the_same_every_time_and_each_is_another() -> None:
    groups = [f"{i % 17}" for i in range(N)]
    first, again = weights_of(groups, 2 * BLOCK + 3), weights_of(groups, 2 * BLOCK + 3)
    assert first.shape == (N, 2 * BLOCK + 3)
    assert np.array_equal(first, again)
    assert len(np.unique(first, axis=1).T) == 2 * BLOCK + 3


def test_one_label_a_clip_is_measured_by_accuracy() -> None:
    rng = np.random.default_rng(2)
    labels = np.eye(C)[rng.integers(C, size=N)]
    scores = rng.standard_normal((N, C)) + labels
    weights = weights_of([f"{i}" for i in range(N)])
    found = replicates(scores, labels, [weights[:, :5], weights[:, 5:]], Task((), False))
    right = scores.argmax(1) == labels.argmax(1)
    assert found == pytest.approx((weights * right[:, None]).sum(0) / N, abs=1e-6)
    assert found.std() > 0


def test_several_heads_are_right_together() -> None:
    rng = np.random.default_rng(3)
    heads = {"verb": 3, "noun": 4}
    labels = np.concatenate([np.eye(k)[rng.integers(k, size=N)] for k in heads.values()], 1)
    scores = rng.standard_normal((N, C)) + labels
    ones = np.ones((N, 1), np.float32)
    found = replicates(scores, labels, [ones], Task((), False, heads=heads))
    assert found[0] == pytest.approx(joint_top(scores, labels, [3, 4], 1), abs=1e-9)


def test_the_mean_over_a_single_class_is_that_class() -> None:
    scores, labels = scores_of(ties=True)
    weights = weights_of([f"{i}" for i in range(N)])
    one = average_precision(scores[:, 3], labels[:, 3], weights)
    assert np.array_equal(mean_average_precision(scores[:, 3:4], labels[:, 3:4], weights), one)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("cells", [1, 97, CELLS])
def test_gap_of_every_draw_is_that_of_the_videos_really_drawn(
    ties: bool, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 29 classes, more than are looked at of a video; some videos have no label."""
    monkeypatch.setattr(resample, "CELLS", cells)
    rng = np.random.default_rng(11)
    labels = rng.random((N, 29)) < 0.05
    scores = (2 * rng.standard_normal((N, 29)) + labels).astype(np.float32)
    scores = np.round(scores) if ties else scores
    weights = weights_of([f"video {i // 3}" for i in range(N)])
    found = replicates(scores, labels, [weights[:, :5], weights[:, 5:]], TAGGING)
    assert len(found) == DRAWS and found.std() > 0
    for draw in range(0, DRAWS, 7):
        rows = np.repeat(np.arange(N), weights[:, draw].astype(int))
        assert found[draw] == pytest.approx(gap(pruned(scores[rows], labels[rows])), abs=1e-12)


def test_gap_is_not_known_of_draws_without_labels_and_0_without_hits() -> None:
    labels = np.zeros((3, 29))
    labels[0, 28] = 1
    scores = np.tile(np.arange(29, 0, -1.0), (3, 1))
    weights = np.float32([[1, 0], [1, 2], [1, 1]])
    assert replicates(scores, labels, [weights], TAGGING) == pytest.approx([0, np.nan], nan_ok=True)
