"""Each cell with late fusion and with the chosen: what is said, what is not, and why."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recorded import CLIPS, LAYERS, SMALL, few, fill, lose, reach, study_of

from mbt_cli.contrasts import Contrasts, contrasts
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.findings import findings_of
from mbt_cli.grid import load_grid
from mbt_cli.record import Record
from mbt_cli.resample import drawn, replicates
from mbt_cli.runs import Run
from mbt_cli.samples import sample
from mbt_cli.statistics import corrected, difference
from mbt_cli.study import Study
from mbt_cli.task import Task
from mbt_cli.words import percent, signed


def told(study: Study, results: Path) -> Contrasts:
    return contrasts(findings_of(study, results))


@pytest.fixture
def filled(tmp_path: Path) -> Callable[[int], Contrasts]:
    def make(seeds: int) -> Contrasts:
        study = study_of(few(), SMALL)
        fill(study, tmp_path, seeds=seeds, validation=None)
        return told(study, tmp_path)

    return make


def test_each_cell_is_compared_with_late_fusion_and_the_chosen_with_the_rest(
    tmp_path: Path,
) -> None:
    study = study_of(LAYERS, SMALL)
    fill(study, tmp_path)
    found = told(study, tmp_path)
    names = [cell.name for cell in findings_of(study, tmp_path).cells]
    assert [one.one.name for one in found.late] == names[1:]
    assert {one.other.name for one in found.late} == {"late fusion"}
    best = found.best.name
    assert {one.one.name for one in found.chosen} == {best}
    assert [one.other.name for one in found.chosen] == [n for n in names[1:] if n != best]
    assert {one.tests for one in found.late} == {12}
    assert {one.tests for one in found.chosen} == {13 * 12 // 2}


def test_a_difference_is_that_of_the_runs_scores(filled: Callable[[int], Contrasts]) -> None:
    found = filled(3)
    one = found.late[0]
    assert one.difference is not None
    samples = []
    for cell in (one.one, one.other):
        values, draws = [], []
        for run in cell.runs:
            kept = run.scores(Evaluation())
            weights = [*drawn(kept["names"].tolist())]
            draws.append(replicates(kept["scores"], kept["labels"], weights, Task((), True)))
            values.append((run.figures(Evaluation()) or {})["mAP"])
        base = sample(cell.name, cell.runs, values)
        samples.append(replace(base, values=np.array(values), draws=np.stack(draws)))
    again = difference(*samples)
    assert one.difference == again
    assert one.holm == pytest.approx(
        corrected([d.difference.p or 0 for d in found.late if d.difference], "holm")[0]
    )


def test_a_large_difference_is_said_in_a_sentence(filled: Callable[[int], Contrasts]) -> None:
    one = filled(3).late[0]
    assert one.differs and not one.tied
    known = one.difference
    assert known is not None
    assert str(one).startswith(
        f"bottleneck at L_f = 2 reaches {known.estimate:.3f} more mAP than late fusion (95 %"
        f" interval {signed(known.low)} to {signed(known.high)}; p "
    )
    assert str(one).endswith("by Holm over 2 tests; n = 3 seeds).")


def test_what_is_not_told_apart_says_what_would_have_been(
    filled: Callable[[int], Contrasts],
) -> None:
    one = filled(3).late[1]  # a bottleneck in the last layer
    assert one.tied and not one.differs
    known = one.difference
    assert known is not None
    assert "bottleneck at L_f = 3 and late fusion are not told apart: " in str(one)
    assert f"A true difference of {known.errors.detectable():.3f} would be found in 80 %" in str(
        one
    )


@pytest.mark.parametrize("seeds", [1, 2])
def test_of_one_or_two_seeds_no_statement_is_made(
    filled: Callable[[int], Contrasts], seeds: int
) -> None:
    found = filled(seeds)
    for one in found.all:
        assert one.holm is None and one.bh is None
        assert not one.differs
        assert f"with n = {seeds} no statement about seeds" in str(one)
        assert f"over {CLIPS} groups of clips alone" in str(one)


def test_a_seed_that_one_cell_lacks_is_left_out_of_both_and_named(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, seeds=4)
    gone = study.cells[1].at("training.seed", 2)
    Record(tmp_path / "runs" / gone.key).remove()
    one, other = told(study, tmp_path).late
    assert one.difference is not None and one.difference.seeds == (0, 1, 3)
    assert "bottleneck at L_f = 2 lacks seed 2, left out here of late fusion too." in str(one)
    assert other.difference is not None and other.difference.seeds == (0, 1, 2, 3)
    assert "lacks" not in str(other)


@pytest.mark.parametrize("place", [0, 1])
def test_a_run_that_is_there_twice_is_refused_and_named(tmp_path: Path, place: int) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path)
    run = tmp_path / "runs" / study.cells[place].at("training.seed", 1).key
    shutil.copytree(run, run.with_name("0123456789"))
    one, other = told(study, tmp_path).late
    name = ("late fusion", "bottleneck at L_f = 2")[place]
    assert one.difference is None
    assert f"not compared: {name} has seed 1 more than once" in str(one)
    assert (other.difference is None) == (place == 0)


def test_runs_on_other_clips_are_refused_and_named(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path)
    run = Record(tmp_path / "runs" / study.cells[1].at("training.seed", 1).key)
    kept, figures = run.scores(Evaluation()), run.figures(Evaluation()) or {}
    labels = kept["labels"].astype(float)
    labels[0] = 1 - labels[0]
    run.evaluated(Evaluation(), figures, kept["scores"], labels, kept["names"].tolist())
    one, other = told(study, tmp_path).late
    assert one.difference is None and "has runs on other clips or labels" in str(one)
    assert run.key in str(one)
    assert other.difference is not None


def test_the_order_of_clips_does_not_matter(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path)
    before = told(study, tmp_path).late[0].difference
    run = Record(tmp_path / "runs" / study.cells[1].at("training.seed", 1).key)
    kept, figures = run.scores(Evaluation()), run.figures(Evaluation()) or {}
    scores, labels, names = (kept[name][::-1] for name in ("scores", "labels", "names"))
    run.evaluated(Evaluation(), figures, scores, labels.astype(float), names.tolist())
    assert told(study, tmp_path).late[0].difference == before


def test_clips_that_some_runs_lost_are_left_out_of_all(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, groups=SMALL.groups, multi_label=True)
    lose(Run(tmp_path / "runs" / study.cells[1].key), "test/00003")
    for one in told(study, tmp_path).all:
        assert one.difference is not None
        assert one.difference.errors.groups == CLIPS - 1


def test_draws_are_kept_and_made_again_where_the_scores_are_others(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path)
    first = told(study, tmp_path)
    run = Record(tmp_path / "runs" / study.cells[1].at("training.seed", 1).key)
    kept = run.evaluation(Evaluation()) / "draws.npz"
    stamp = kept.stat().st_mtime_ns
    assert [one.difference for one in told(study, tmp_path).all] == [
        one.difference for one in first.all
    ]
    assert kept.stat().st_mtime_ns == stamp
    arrays, figures = run.scores(Evaluation()), run.figures(Evaluation()) or {}
    labels = arrays["labels"].astype(float)
    run.evaluated(Evaluation(), figures, -arrays["scores"], labels, arrays["names"].tolist())
    again = told(study, tmp_path).late[0]
    assert again.difference != first.late[0].difference
    assert kept.stat().st_mtime_ns != stamp


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", b"no archive at all"])
def test_damaged_draws_are_made_again(tmp_path: Path, damage: bytes) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path)
    first = [one.difference for one in told(study, tmp_path).all]
    for file in tmp_path.glob("runs/*/evaluations/*/draws.npz"):
        file.write_bytes(damage)
    assert [one.difference for one in told(study, tmp_path).all] == first


def test_scores_without_groups_are_of_clips_that_are_their_own(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path)
    first = [one.difference for one in told(study, tmp_path).all]
    for file in tmp_path.glob("runs/*/evaluations/*/scores.npz"):
        with np.load(file) as arrays:
            kept = {name: arrays[name] for name in ("scores", "labels", "names")}
        np.savez(file, **kept)
    assert [one.difference for one in told(study, tmp_path).all] == first


def test_modalities_alone_have_no_late_fusion_to_be_compared_with(tmp_path: Path) -> None:
    study = study_of(load_grid("modalities"), SMALL)
    fill(study, tmp_path)
    found = told(study, tmp_path)
    (one,) = found.late
    assert one.one.experiment.model.fusion == "bottleneck"
    assert one.other.experiment.model.modalities == ("audio", "video")


def test_where_late_fusion_is_chosen_it_is_compared_with_every_cell_once(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    reach(study, tmp_path, 0.9, 0.6, 0.5)
    found = told(study, tmp_path)
    assert found.best.name == "late fusion"
    assert len(found.late) == len(found.chosen) == 2
    assert found.over_late(found.best) is None


def test_tied_is_said_of_cells_whose_interval_has_zero_in_it(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)

    def skilled(one: Experiment, _group: str) -> float:
        return 3.0 if one.model.fusion == "late" else 1.0

    fill(study, tmp_path, skilled=skilled)
    found = told(study, tmp_path)
    cells = findings_of(study, tmp_path).cells
    for cell in cells:
        mine = [one for one in found.all if cell.name in (one.one.name, one.other.name)
                and found.best.name in (one.one.name, one.other.name)]  # fmt: skip
        assert found.tied(cell) == (cell.name != found.best.name and any(one.tied for one in mine))


def test_signs_and_shares_as_they_are_printed() -> None:
    assert [signed(v) for v in (0.1234, -0.1234, 0.0004, -0.0004)] == [
        "+0.123", "−0.123", "0.000", "0.000",
    ]  # fmt: skip
    assert percent(0.95) == "95 %"


def test_only_holms_correction_says_that_cells_differ(
    filled: Callable[[int], Contrasts],
) -> None:
    one = filled(3).late[0]
    assert replace(one, holm=0.049, bh=0.2).differs
    assert not replace(one, holm=0.051, bh=0.02).differs
