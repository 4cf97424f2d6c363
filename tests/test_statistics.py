"""What seeds and clips can show: intervals that hold, refusals of what is not alike.

How often intervals hold is simulated in `benchmarks/coverage.py`; here is what they are made of.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mbt_cli.errors import MbtError
from mbt_cli.statistics import (
    LEAST_P,
    MOST_SEEDS,
    Errors,
    Sample,
    corrected,
    difference,
    summary,
)

GROUPS, DRAWS = 101, 401


def sample_of(values: list[float], draws: "np.ndarray | None" = None, **other: object) -> Sample:
    if draws is None:
        draws = np.tile(np.array(values)[:, None], DRAWS)
    made = Sample("a cell", tuple(range(len(values))), np.array(values), draws, "clips", GROUPS)
    return replace(made, **other)


def test_a_summary_has_n_mean_and_spread() -> None:
    found = summary([0.2, 0.3, 0.7])
    assert (found.n, found.mean) == (3, pytest.approx(0.4))
    assert found.spread == pytest.approx(np.std([0.2, 0.3, 0.7], ddof=1))
    assert str(found) == "0.400 ± 0.265 (n=3)"
    assert str(summary([0.25])) == "0.250 (n=1)"


def test_where_clips_play_no_part_the_interval_is_students() -> None:
    values = [0.11, 0.13, 0.18]
    found = difference(sample_of(values), sample_of([0.0, 0.0, 0.0]))
    truth = stats.ttest_1samp(values, 0)
    low, high = truth.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.p == pytest.approx(truth.pvalue, rel=1e-6)
    assert found.estimate == pytest.approx(np.mean(values))


def test_seeds_are_paired() -> None:
    one = sample_of([0.5, 0.7, 0.9])
    other = sample_of([0.7, 0.4, 0.6], seeds=(2, 0, 1))  # of seeds 0, 1, 2: 0.4, 0.6, 0.7
    assert difference(one, other).estimate == pytest.approx(0.4 / 3)
    assert difference(one, other).errors.seeds == pytest.approx(
        np.std([0.1, 0.1, 0.2], ddof=1) / np.sqrt(3)
    )


def test_what_clips_do_to_all_seeds_alike_is_the_clips_part() -> None:
    rng = np.random.default_rng(0)
    moved = 0.02 * rng.standard_normal(DRAWS)
    found = difference(sample_of([0.1] * 3, 0.1 + np.tile(moved, (3, 1))), sample_of([0.0] * 3))
    assert found.errors.seeds == pytest.approx(0, abs=1e-12)
    clips = moved.std(ddof=1) * np.sqrt(GROUPS / (GROUPS - 1))
    assert found.errors.clips == pytest.approx(clips)
    assert found.high - found.estimate == pytest.approx(stats.t.isf(0.025, GROUPS - 1) * clips)


def test_what_clips_do_to_each_seed_apart_is_counted_once() -> None:
    rng = np.random.default_rng(1)
    draws = 0.02 * rng.standard_normal((3, 20011))
    found = difference(sample_of([0.08, 0.1, 0.12], draws), sample_of([0.0] * 3, 0 * draws))
    assert found.errors.clips < 0.003  # it is in the spread of the seeds already
    assert found.errors.seeds == pytest.approx(0.02 / np.sqrt(3))


def test_clips_that_both_cells_share_do_not_count() -> None:
    rng = np.random.default_rng(2)
    hard = 0.1 * rng.standard_normal((1, DRAWS))
    one, other = sample_of([0.5] * 3, 0.5 + hard + np.zeros((3, 1))), sample_of([0.4] * 3)
    other = replace(other, draws=0.4 + hard + np.zeros((3, 1)))
    assert difference(one, other).errors.clips == pytest.approx(0, abs=1e-9)


def test_the_parts_are_added_as_squares_of_half_widths() -> None:
    errors = Errors(0.03, 0.04, 3, GROUPS)
    t = stats.t.isf(0.025, 2), stats.t.isf(0.025, GROUPS - 1)
    assert errors.half() == pytest.approx(np.hypot(t[0] * 0.03, t[1] * 0.04))


@pytest.mark.parametrize("estimate", [0.001, 0.05, -0.2, 0.7])
def test_p_is_the_level_at_which_the_interval_ends_at_zero(estimate: float) -> None:
    errors = Errors(0.03, 0.04, 3, GROUPS)
    assert errors.half(errors.p(estimate)) == pytest.approx(abs(estimate), rel=1e-6)


def test_p_without_a_difference_is_one_and_without_a_spread_the_least() -> None:
    assert Errors(0.03, 0.04, 3, GROUPS).p(0.0) == pytest.approx(1)
    assert Errors(0.0, 0.0, 3, GROUPS).p(0.0) == 1
    assert Errors(0.0, 0.0, 3, GROUPS).p(0.1) == LEAST_P


@pytest.mark.parametrize("n", [1, 2])
def test_below_three_seeds_nothing_is_said_of_seeds(n: int) -> None:
    rng = np.random.default_rng(3)
    draws = rng.standard_normal((n, DRAWS))
    found = difference(sample_of([0.3] * n, draws), sample_of([0.1] * n, 0 * draws))
    assert found.p is None
    assert found.errors.seeds is None
    clips = draws.mean(0).std(ddof=1) * np.sqrt(GROUPS / (GROUPS - 1))
    assert found.errors.half() == pytest.approx(stats.t.isf(0.025, GROUPS - 1) * clips)


def test_draws_in_which_nothing_is_known_are_left_out() -> None:
    rng = np.random.default_rng(4)
    draws = np.tile(rng.standard_normal(DRAWS), (3, 1))
    holed = draws.copy()
    holed[1, 7] = np.nan
    found = difference(sample_of([0.3] * 3, holed), sample_of([0.1] * 3, 0 * draws))
    left = difference(
        sample_of([0.3] * 3, np.delete(draws, 7, 1)),
        sample_of([0.1] * 3, np.delete(0 * draws, 7, 1)),
    )
    assert found.errors == left.errors


@pytest.mark.parametrize(("seeds", "said"), [
    ((0, 1, 1), r"other has seed 1 more than once"),
    ((0, 1, 3), r"other has no run at seed 2, and a cell has|a cell has no run at seed 3"),
])  # fmt: skip
def test_unlike_seeds_are_refused_and_named(seeds: tuple[int, ...], said: str) -> None:
    other = sample_of([0.1, 0.2, 0.3], seeds=seeds, name="other")
    with pytest.raises(MbtError, match=said):
        difference(sample_of([0.2, 0.3, 0.4]), other)
    with pytest.raises(MbtError, match=said):
        difference(other, sample_of([0.2, 0.3, 0.4]))


def test_unlike_clips_are_refused() -> None:
    other = sample_of([0.1, 0.2, 0.3], clips="other clips", name="other")
    with pytest.raises(MbtError, match=r"a cell and other were scored on other clips or labels"):
        difference(sample_of([0.2, 0.3, 0.4]), other)


def test_clips_of_one_group_say_nothing_of_other_clips() -> None:
    alone = sample_of([0.1, 0.2, 0.3], groups=1)
    with pytest.raises(MbtError, match=r"All test clips of a cell are of one group"):
        difference(alone, alone)


def test_some_seeds_of_a_cell_are_those_in_that_order() -> None:
    found = sample_of([0.1, 0.2, 0.3]).at((2, 0))
    assert found.seeds == (2, 0)
    assert found.values.tolist() == [0.3, 0.1]
    assert found.draws[:, 0].tolist() == [0.3, 0.1]


def test_power_of_seeds_alone_is_that_of_students_test() -> None:
    from statsmodels.stats.power import TTestPower

    errors = Errors(0.02 / np.sqrt(5), 0.0, 5, GROUPS)
    for size in (0.0, 0.01, 0.03, 0.05):
        truth = TTestPower().power(size / 0.02, 5, 0.05)
        assert errors.power(size) == pytest.approx(truth, abs=2e-3)


def test_power_is_how_often_a_difference_is_found() -> None:
    rng = np.random.default_rng(5)
    n, of_seeds, of_clips, true = 4, 0.03, 0.02, 0.07
    found = []
    for _ in range(4001):
        each = true + of_clips * rng.standard_normal() + of_seeds * rng.standard_normal(n)
        errors = Errors(float(each.std(ddof=1) / np.sqrt(n)), of_clips, n, GROUPS)
        found.append(errors.half() < abs(each.mean()))
    planned = Errors(of_seeds / np.sqrt(n), of_clips, n, GROUPS).power(true)
    assert planned == pytest.approx(np.mean(found), abs=0.025)


def test_the_smallest_detectable_difference_is_found_in_four_of_five() -> None:
    errors = Errors(0.03, 0.01, 3, GROUPS)
    assert errors.power(errors.detectable()) == pytest.approx(0.8, abs=1e-6)
    assert Errors(0.0, 0.0, 3, GROUPS).detectable() == 0


@pytest.mark.parametrize("size", [0.012, 0.015, 0.02, 0.025, 0.03, 0.04])
def test_the_seeds_needed_are_the_fewest_that_do(size: float) -> None:
    errors = Errors(0.02, 0.001, 3, GROUPS)
    needed = errors.seeds_needed(size)
    assert needed is not None and needed > 3
    assert errors.power(size, needed) >= 0.8 > errors.power(size, needed - 1)


def test_with_more_seeds_their_error_falls_and_that_of_clips_stays() -> None:
    errors = Errors(0.02, 0.005, 3, GROUPS)
    more = Errors(0.02 * np.sqrt(3 / 12), 0.005, 12, GROUPS)
    assert errors.power(0.02, 12) == pytest.approx(more.power(0.02))


def test_where_clips_move_seeds_against_each_other_their_part_is_none() -> None:
    moved = 0.02 * np.random.default_rng(6).standard_normal(DRAWS)
    draws = 0.1 + np.stack([moved, -moved, 0 * moved])
    found = difference(sample_of([0.1, 0.11, 0.12], draws), sample_of([0.0] * 3))
    assert found.errors.clips == 0


def test_three_seeds_are_the_fewest_that_are_asked_for() -> None:
    assert Errors(1e-6, 1e-6, 3, GROUPS).seeds_needed(0.5) == 3


def test_where_clips_are_too_few_no_seeds_do() -> None:
    errors = Errors(0.01, 0.02, 3, GROUPS)
    assert errors.seeds_needed(0.01) is None
    assert errors.power(0.01, MOST_SEEDS) < 0.8


def test_corrections_are_those_of_their_authors() -> None:
    ps = [0.01, 0.04, 0.03, 0.5]
    assert corrected(ps, "holm") == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert corrected(ps, "fdr_bh") == pytest.approx(stats.false_discovery_control(ps).tolist())
    assert corrected([], "holm") == []


def test_tests_that_are_not_looked_at_count() -> None:
    assert corrected([0.01, 0.004], "holm", 10) == pytest.approx([0.09, 0.04])
    assert corrected([0.01, 0.004], "fdr_bh", 10) == pytest.approx([0.05, 0.04])
