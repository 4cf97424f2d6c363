"""A report is rebuilt from records: its numbers are theirs, and its sentences say what they show.

The records here are real ones of runs that were not trained: only their scores are made up.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recorded import (
    CLIPS,
    GROUPS,
    LAYERS,
    SMALL,
    few,
    fields,
    fill,
    lose,
    manifest,
    reach,
    record,
    study_of,
)
from rich.console import Console

from mbt_cli.cost import cost
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import findings_of
from mbt_cli.grid import load_grid
from mbt_cli.metrics import figures as figures_of
from mbt_cli.question import ask
from mbt_cli.recipes import recipe
from mbt_cli.report import Report, report
from mbt_cli.runs import Run, run_folder
from mbt_cli.study import Study
from mbt_cli.task import Task
from mbt_cli.words import signed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, Report]:
    """The fusion layer's 13 cells at 3 seeds, and their report."""
    results = tmp_path_factory.mktemp("whole")
    study = study_of(LAYERS)
    fill(study, results)
    return study, results, report(study, results)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures: their tests are elsewhere, and they take a second a report."""
    monkeypatch.setattr("mbt_cli.plates.plates", lambda *_: {})


def page_of(study: Study, results: Path) -> str:
    return (results / study.name / "report.md").read_text()


def test_a_row_for_each_cell_in_the_grids_order(whole: tuple[Study, Path, Report]) -> None:
    study, _, found = whole
    rows = list(zip(found.table["strategy"], found.table["L_f"], strict=True))
    assert rows == [(cell.model.fusion, cell.model.fusion_layer) for cell in study.cells]
    assert rows[0] == ("late", 4)
    assert list(found.table["n"]) == [3] * 13


def test_the_tables_numbers_are_those_of_the_scores(whole: tuple[Study, Path, Report]) -> None:
    study, results, found = whole
    rows = found.table.to_dict("records")
    for row, cell in list(zip(rows, study.cells, strict=True))[::4]:
        aps, areas = [], []
        for seed in range(3):
            run = Run(run_folder(results, cell.at("training.seed", seed).key))
            kept = run.scores(Evaluation())
            task = Task(study.data.classes, True, groups=GROUPS)
            again = figures_of(kept["scores"], kept["labels"].astype(float), task)
            aps.append(again["mAP"])
            areas.append(again["groups"]["together"]["AUC"])
        assert row["mAP"] == pytest.approx(np.mean(aps), abs=1e-12)
        assert row["mAP spread"] == pytest.approx(np.std(aps, ddof=1), abs=1e-12)
        assert row["together AUC"] == pytest.approx(np.mean(areas), abs=1e-12)
        assert row["seconds"] == 9.0
        price = cost(cell, len(study.data.classes))
        assert row["parameters"] == price.parameters
        assert row["GMACs"] == price.macs / 1e9
        assert row["GFLOPs"] == 2 * row["GMACs"]
        assert row["over late"] == pytest.approx(price.macs / found.table["GMACs"][0] / 1e9 - 1)


def test_the_page_shows_the_tables_numbers(whole: tuple[Study, Path, Report]) -> None:
    study, results, found = whole
    lines = [line for line in page_of(study, results).splitlines() if line.startswith("| ")]
    shown = [
        line.replace("*", "") for line in lines if line.strip("| *").startswith("bottleneck |")
    ]
    row = found.table.iloc[2]
    assert f"| {row['mAP']:.3f} ± {row['mAP spread']:.3f} |" in shown[1]
    assert f"| {row['validation mAP']:.3f} |" in shown[1]
    assert f"| {row['over late']:+.1%} |" in shown[1]
    macs = cost(study.cells[2], len(study.data.classes)).macs
    assert f"| {macs / 1e6:#.4g} | {2 * macs / 1e6:#.4g} |" in shown[1]
    assert "| MMACs per clip and view | MFLOPs per clip and view |" in lines[0]
    assert f"| {row['together mAP']:.3f} ± {row['together mAP spread']:.3f} |" in shown[5]
    assert f"| {row['together AUC']:.3f} |" in shown[5]


def test_the_page_has_all_its_parts_in_order(whole: tuple[Study, Path, Report]) -> None:
    study, results, found = whole
    page = page_of(study, results)
    assert page.startswith("# At which layer should sound and sight begin to talk, and what does")
    parts = ["Expect late fusion's result there.", found.answer, "| strategy |", "](mAP.png)",
             "](cost.png)", "](groups.png)", "## What seeds", "## By group", *found.notes,
             "## Words", "`0123456789ab`", "211 test", "torch 2.11.0", "`c0de00000001`",
             study.cells[0].key]  # fmt: skip
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_every_file_it_names_is_there_and_no_other(whole: tuple[Study, Path, Report]) -> None:
    study, results, found = whole
    names = {"report.md", "report.html", "report.json", "table.tex", "runs.csv", "records.zip"}
    figures = ("mAP", "cost", "layers-cost", "groups")
    names |= {f"{name}.{kind}" for name in figures for kind in ("svg", "png", "pdf")}
    assert {file.name for file in found.files} == names
    assert {file.name for file in (results / study.name).iterdir()} == names


def test_the_table_for_latex_has_the_cost_once(whole: tuple[Study, Path, Report]) -> None:
    study, results, _ = whole
    text = (results / study.name / "table.tex").read_text()
    assert "MACs" in text and "FLOPs" not in text


def test_the_same_records_give_the_same_bytes(whole: tuple[Study, Path, Report]) -> None:
    study, results, found = whole
    before = {file.name: file.read_bytes() for file in found.files}
    assert {file.name: file.read_bytes() for file in report(study, results).files} == before


def test_a_line_of_runs_csv_for_each_run_with_all_its_figures(
    whole: tuple[Study, Path, Report],
) -> None:
    study, results, _ = whole
    table = pd.read_csv(results / study.name / "runs.csv", dtype={"code": str}).set_index("key")
    assert len(table) == 39
    one = study.cells[6].at("training.seed", 2)
    row, run = table.loc[one.key], Run(run_folder(results, one.key))
    found = run.figures(Evaluation())
    assert found is not None
    assert (row["model.fusion"], row["model.fusion_layer"]) == ("cross_attention", 1)
    assert (row["seed"], row["seconds"], row["best epoch"], row["clips"]) == (2, 10.0, 3, CLIPS)
    assert (row["parameters"], row["gmacs"]) == (run.cost.parameters, run.cost.gmacs)
    assert row["gflops"] == run.cost.gflops
    assert row["mAP"] == found["mAP"]
    assert row["validation mAP"] == found["mAP"]
    assert row["groups.heard.AUC"] == found["groups"]["heard"]["AUC"]
    assert row["classes.in_time.AP"] == found["classes"]["in_time"]["AP"]
    assert row["classes.in_time.AUC"] == found["classes"]["in_time"]["AUC"]
    assert (row["torch"], row["device"], row["code"]) == ("2.11.0", "a processor", "c0de00000001")


@pytest.mark.usefixtures("quick")
def test_validation_chooses_and_test_answers(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    late, good, lucky = study.cells
    for seed in range(3):
        record(study, late, seed, tmp_path, validation=0.5)
        record(study, good, seed, tmp_path, validation=0.7, skilled=lambda *_: 1.0)
        record(study, lucky, seed, tmp_path, validation=0.6, skilled=lambda *_: 5.0)
    found = report(study, tmp_path)
    assert list(found.table["chosen"]) == [False, True, False]
    assert found.table["mAP"][2] > found.table["mAP"][1]
    mean, spread = found.table["mAP"][1], found.table["mAP spread"][1]
    assert found.answer.startswith("Of 3 cells, bottleneck at L_f = 2 is best on the validation")
    assert f"reaches mAP {mean:.3f} ± {spread:.3f} (n=3), against" in found.answer
    assert f"against {found.table['mAP'][0]:.3f} ±" in found.answer
    extra = cost(good, 3).macs / cost(late, 3).macs - 1
    assert f"with {extra:.1%} more multiply-accumulates" in found.answer
    assert "exploratory" in found.notes[0]
    page = page_of(study, tmp_path)
    assert "| **bottleneck** | **2** |" in page
    assert page.count("| **chosen** |") == 1


@pytest.mark.usefixtures("quick")
def test_cells_within_the_spread_of_the_chosen_are_not_told_apart(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    for cell, validation in zip(study.cells, (0.50, 0.60, 0.595), strict=True):
        for seed in range(3):
            record(study, cell, seed, tmp_path, validation=validation + 0.01 * seed)
    notes = report(study, tmp_path).notes
    assert any("1 other cell came within one spread" in note for note in notes)


@pytest.mark.usefixtures("quick")
def test_where_late_fusion_is_best_it_is_compared_with_nothing(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    for cell, validation in zip(study.cells, (0.9, 0.6, 0.5), strict=True):
        record(study, cell, 0, tmp_path, validation=validation)
    answer = report(study, tmp_path).answer
    assert answer.startswith("Of 3 cells, late fusion is best")
    assert "against" not in answer


@pytest.mark.usefixtures("quick")
def test_what_is_missing_is_shown_counted_and_can_be_run(tmp_path: Path) -> None:
    study = replace(study_of(few(), SMALL), source="few.py", settings={"model.width": "64"})
    for seed in range(2):
        record(study, study.cells[0], seed, tmp_path)
    record(study, study.cells[1], 0, tmp_path)
    found = report(study, tmp_path)
    assert list(found.table["n"]) == [2, 1, 0]
    assert np.isnan(found.table["mAP"][2])
    (note,) = [note for note in found.notes if "are missing" in note]
    assert note.startswith("3 of 6 runs (3 cells, 2 seeds) are missing")
    command = "mbt-cli ablate --grid few.py --recipe synthetic --set model.width=64 --seeds 2"
    assert f"`{command}`" in note
    page = page_of(study, tmp_path)
    assert "| 0 | – | – | – | missing, exchanges nothing | – |" in page
    assert "bottleneck at L_f = 3: none" in page


def test_nothing_is_missing_of_a_whole_study(whole: tuple[Study, Path, Report]) -> None:
    assert not any("missing" in note for note in whole[2].notes)


def test_without_a_finished_run_there_is_no_report(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    with pytest.raises(MbtError, match=r"no finished run of few-synthetic.* ablate --grid"):
        report(study, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_one_seed_has_no_spread_and_says_so(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, seeds=1)
    found = report(study, tmp_path)
    assert found.table["mAP spread"].isna().all()
    assert "(n=1)" in found.answer
    assert "±" not in found.answer
    assert f"{found.table['mAP'][0]:.3f} (no spread) |" in page_of(study, tmp_path)
    assert any("n = 1" in note and "no statement about seeds" in note for note in found.notes)
    assert not any("±" in note for note in found.notes)


@pytest.mark.parametrize(("seeds", "said"), [(2, True), (3, False)])
@pytest.mark.usefixtures("quick")
def test_below_three_seeds_nothing_is_said_of_seeds(tmp_path: Path, seeds: int, said: bool) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, seeds=seeds)
    notes = report(study, tmp_path).notes
    assert any("no statement about seeds" in note for note in notes) == said


def test_a_bottleneck_in_the_last_layer_is_said_to_exchange_nothing(
    whole: tuple[Study, Path, Report],
) -> None:
    study, results, found = whole
    silent = found.table[found.table["silent"]]
    assert list(zip(silent["strategy"], silent["L_f"], strict=True)) == [("bottleneck", 3)]
    page = page_of(study, results)
    assert page.count("| exchanges nothing |") == 1
    (place,) = [i for i, note in enumerate(found.notes) if "nothing is exchanged" in note]
    assert found.notes[place].endswith("bottleneck at L_f = 3.")
    assert "no later layer reads" in found.notes[place + 1]


def test_chance_is_said_of_the_auc_and_never_of_ap(whole: tuple[Study, Path, Report]) -> None:
    (note,) = [note for note in whole[2].notes if "chance" in note]
    assert "`together` with late fusion, bottleneck at L_f = 3" in note
    assert "by their AUC" in note
    assert "Average precision knows no such level" in note
    for learned in ("`seen`", "cross_attention", "L_f = 2"):
        assert learned not in note


@pytest.mark.usefixtures("quick")
def test_clips_left_out_are_counted_and_the_first_named(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    lost = {f"test/9{i}": "It has no sound." for i in range(7)}
    fill(study, tmp_path, seeds=1, left_out=lost)
    found = report(study, tmp_path)
    (note,) = [note for note in found.notes if "could not be read" in note]
    assert note.startswith("7 clips")
    assert "test/94 (It has no sound.); and 2 more" in note
    assert "test/95" not in note
    assert f"Test figures are over {CLIPS} clips." in found.notes
    assert "Could not be read: 7." in page_of(study, tmp_path)


@pytest.mark.usefixtures("quick")
def test_classes_without_a_positive_clip_are_named(tmp_path: Path) -> None:
    study = study_of(few(), manifest({}, tuple(f"c{i}" for i in range(CLIPS + 2)), False))
    record(study, study.cells[0], 0, tmp_path)
    (note,) = [note for note in report(study, tmp_path).notes if "Left out of mAP" in note]
    assert note.endswith(f": c{CLIPS}, c{CLIPS + 1}.")


@pytest.mark.usefixtures("quick")
def test_mixed_code_and_environments_are_said(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    other = {"versions": {"python": "3.12.1", "mbt-cli": "0.1.0", "torch": "2.11.0"},
             "device_name": "a processor"}  # fmt: skip
    for cell, facts in zip(study.cells, ({}, {"code": "c0de00000002"}, {"environment": other}),
                           strict=True):  # fmt: skip
        record(study, cell, 0, tmp_path, **facts)
    notes = report(study, tmp_path).notes
    (code,) = [note for note in notes if "versions of the code" in note]
    assert "2 versions" in code
    assert "c0de00000001, c0de00000002" in code
    assert "--rerun-stale" in code
    assert [note for note in notes if "are mixed" in note][1:] == [
        "Runs on different versions of python are mixed: 3.11.9, 3.12.1."
    ]


def test_unmixed_runs_are_not_said_to_be_mixed(whole: tuple[Study, Path, Report]) -> None:
    assert not any("mixed" in note for note in whole[2].notes)
    assert any("GFLOPs are GMACs" in note for note in whole[2].notes)


@pytest.mark.usefixtures("quick")
def test_single_label_data_is_measured_by_accuracy_and_has_no_groups(tmp_path: Path) -> None:
    study = study_of(few(), manifest({}, tuple("abcde"), False))
    fill(study, tmp_path)
    found = report(study, tmp_path)
    runs = pd.read_csv(tmp_path / study.name / "runs.csv")
    late = runs[runs["model.fusion"] == "late"]["top1"]
    assert found.table["top1"][0] == pytest.approx(late.mean())
    assert found.table["chosen"].sum() == 1
    assert "reaches top1" in found.answer
    page = page_of(study, tmp_path)
    assert "| test top1 |" in page
    assert "By group" not in page


def test_x_may_be_a_category_and_late_fusion_a_point(tmp_path: Path) -> None:
    study = study_of(load_grid("modalities"), SMALL)
    fill(study, tmp_path, seeds=2)
    found = report(study, tmp_path)
    assert list(found.table["modalities"]) == ["audio", "video", "audio + video", "audio + video"]
    assert "bottleneck at modalities = audio + video" in found.answer
    extra = cost(study.cells[3], 3).macs / cost(study.cells[2], 3).macs - 1
    assert f"for late fusion, with {extra:.1%} more" in found.answer
    assert not found.table["silent"].any()


@pytest.mark.usefixtures("quick")
def test_cells_that_x_and_by_do_not_tell_apart_show_what_does(tmp_path: Path) -> None:
    grid = replace(LAYERS, cells=fields(model__bottlenecks=(3, 5)), name="alike")
    study = study_of(grid, SMALL)
    fill(study, tmp_path, seeds=1)
    assert list(report(study, tmp_path).table["B"]) == [3, 5]


def test_the_terminal_shows_every_cell_whole_on_ninety_columns(
    whole: tuple[Study, Path, Report],
) -> None:
    console = Console(width=90, no_color=True)
    with console.capture() as capture:
        console.print(whole[2])
    text = capture.get()
    words = " ".join(text.split())
    assert words.startswith(whole[2].answer)
    assert all(note.replace("`", "") in words for note in whole[2].notes)
    assert "report.md" in "".join(text.split())
    row = whole[2].table.iloc[5]
    assert f"{row['mAP']:.3f} ± {row['mAP spread']:.3f}" in text
    assert text.count("\ncross_attention ") >= 8
    assert "…" not in text


def test_a_report_needs_no_torch() -> None:
    code = "import sys, mbt_cli.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_study_of_late_fusion_alone_is_drawn_at_its_depth(tmp_path: Path) -> None:
    alone = replace(LAYERS, cells=lambda base: [base.at("model.fusion", "late")])
    fill(study := study_of(alone, SMALL), tmp_path, seeds=1)
    assert report(study, tmp_path).answer.startswith("Of 1 cell, late fusion is best")


@pytest.mark.usefixtures("quick")
def test_runs_are_compared_on_the_clips_that_all_of_them_scored(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, seeds=2, groups=SMALL.groups, multi_label=True)
    runs = [run for of in study.runs_of(tmp_path).values() for run in of]
    for run in runs[:4]:
        lose(run, "test/00003")
    lose(runs[5], "test/00003", "test/00110")  # and another one has lost nothing
    found = findings_of(study, tmp_path)
    names = runs[4].scores(Evaluation())["names"]
    common = [i for i, name in enumerate(names) if name not in ("test/00003", "test/00110")]
    for cell in found.cells:
        for run, reached in zip(cell.runs, cell.test("mAP"), strict=True):
            kept = Run(run.folder).scores(Evaluation())
            rows = [i for i, name in enumerate(kept["names"]) if name in names[common]]
            task = Task(study.data.classes, True, groups=SMALL.groups)
            again = figures_of(kept["scores"][rows], kept["labels"][rows].astype(float), task)
            assert reached == pytest.approx(again["mAP"], abs=1e-12)
    page = report(study, tmp_path)
    assert list(pd.read_csv(tmp_path / study.name / "runs.csv")["clips"]) == [CLIPS - 2] * 6
    table = (
        pd.read_csv(tmp_path / study.name / "runs.csv").groupby("model.fusion_layer")["mAP"].mean()
    )
    assert table[2] == pytest.approx(page.table["mAP"][1], abs=1e-9)
    notes = " ".join(page.notes)
    assert "over the test clips that every run scored" in notes
    assert f"over {CLIPS - 2} clips" in notes
    assert "2 clips could not be read, and are left out: test/00003 (It is gone.)" in notes


@pytest.mark.usefixtures("quick")
def test_clips_that_no_run_could_read_leave_the_figures_as_recorded(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, seeds=1, groups=SMALL.groups, multi_label=True)
    runs = [run for of in study.runs_of(tmp_path).values() for run in of]
    for run in runs:
        lose(run, "test/00003")
    found = findings_of(study, tmp_path)
    assert all(cell.common is None for cell in found.cells)
    assert [cell.test("clips") for cell in found.cells] == [[CLIPS - 1]] * 3
    assert "every run scored" not in " ".join(report(study, tmp_path).notes)


@pytest.mark.usefixtures("quick")
def test_a_training_clip_that_one_run_lost_changes_no_figure(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    for k, one in enumerate(study.experiments(1)):
        record(study, one, 0, tmp_path, left_out={"train/00001": "It is torn."} if k else {})
    found = findings_of(study, tmp_path)
    assert all(cell.common is None for cell in found.cells)
    assert found.left_out == {"train/00001": "It is torn."}


@pytest.mark.usefixtures("quick")
def test_the_answer_says_how_sure_it_is(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    reach(study, tmp_path, 0.5, 0.7, 0.6)
    found = report(study, tmp_path)
    (one, _) = found.contrasts.late
    known = one.difference
    assert known is not None and one.differs
    ends = f"{signed(known.low)} to {signed(known.high)}"
    said = f"The difference is {signed(known.estimate)} (95 % interval {ends}; p"
    assert said in found.answer
    assert found.answer.endswith("by Holm over 2 tests).")


@pytest.mark.usefixtures("quick")
def test_a_chosen_cell_that_is_not_told_from_late_fusion_is_said_to_be_so(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    reach(study, tmp_path, 0.5, 0.6, 0.7)  # the chosen one is a bottleneck in the last layer
    answer = report(study, tmp_path).answer
    assert answer.endswith("by Holm over 2 tests): it is not told from chance.")


@pytest.mark.usefixtures("quick")
def test_of_two_seeds_the_answer_speaks_of_clips_alone_and_nothing_is_tied(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    reach(study, tmp_path, 0.5, 0.7, 0.6, seeds=2)
    found = report(study, tmp_path)
    assert "Over clips alone the 95 % interval of the difference is +" in found.answer
    assert found.answer.endswith("with 2 seeds no statement about seeds is made.")
    assert "| tied" not in page_of(study, tmp_path)


@pytest.mark.usefixtures("quick")
def test_what_was_published_and_contradicts_itself_is_said_where_it_is_asked(
    tmp_path: Path,
) -> None:
    base = recipe("audioset_mini")
    study = ask(few(), "audioset_mini", base, {}, SMALL)
    fill(study, tmp_path, seeds=1)
    page = page_of(study, tmp_path) if report(study, tmp_path) else ""
    told = page.split("## Published numbers")[1].split("\n## ")[0]
    assert "Fig. 3 (left)" in told and "Table 6 has MBT at 40.32" in told


def test_on_the_built_in_world_nothing_published_is_said(whole: tuple[Study, Path, Report]) -> None:
    study, results, _ = whole
    assert "Published numbers" not in page_of(study, results)


def test_a_sentence_for_each_comparison_and_a_row(whole: tuple[Study, Path, Report]) -> None:
    study, results, found = whole
    page = page_of(study, results)
    for one in found.contrasts.late:
        start = str(one).partition(" (95")[0].partition(":")[0]
        assert start in page
        assert f"| {one.one.name} | {one.other.name} | " in page
    assert "exploratory" in page


@pytest.mark.usefixtures("quick")
def test_without_runs_the_records_beside_it_do(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, groups=SMALL.groups, multi_label=True)
    first = report(study, tmp_path)
    assert first.own and not first.trouble
    kept = {file.name: file.read_bytes() for file in first.files}
    shutil.rmtree(tmp_path / "runs")
    again = report(study, tmp_path)
    assert not again.own
    assert {file.name: file.read_bytes() for file in again.files} == kept
