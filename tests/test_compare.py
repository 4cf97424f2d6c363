"""Two runs, cells or studies beside each other: what is said of them is what their records hold."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from scipy.special import expit, softmax
from scored import CLASSES, CLIPS, few, names, record, study_of, truth

from mbt_cli.compare import compare
from mbt_cli.document import Document, Items, Table
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import findings_of
from mbt_cli.grid import load_grid
from mbt_cli.moved import Moved, lead, most
from mbt_cli.record import Record
from mbt_cli.runs import Run, run_folder
from mbt_cli.samples import sample
from mbt_cli.statistics import Summary, difference
from mbt_cli.study import Study
from mbt_cli.task import Task

LATE, FUSED = "late fusion", "bottleneck at L_f = 2"


def filled(results: Path, seeds: int = 3) -> Study:
    """Late fusion, and a bottleneck that is better, at one class by far, and validates best."""
    study, lift = study_of(few(layers=(2,)), results), np.full(len(CLASSES), 1.0)
    better = np.where(np.array(CLASSES) == "warm^high", 5.0, 2.5)
    for seed in range(seeds):
        record(study, study.cells[0], seed, results, lift=lift)
        record(study, study.cells[1], seed, results, lift=better, validation=0.6)
    return study


def run_at(study: Study, results: Path, cell: int, seed: int) -> Run:
    return Run(run_folder(results, study.cells[cell].at("training.seed", seed).key))


def table(page: Document, title: str) -> Table:
    (found,) = [part for section in page.sections if section.title == title
                for part in section.parts if isinstance(part, Table)]  # fmt: skip
    return found


def rows(page: Document, title: str) -> dict[str, tuple[str, ...]]:
    return {row.texts[0]: row.texts[1:] for row in table(page, title).rows}


def notes(page: Document) -> str:
    return " ".join(sentence for section in page.sections for part in section.parts
                    if isinstance(part, Items) for sentence in part.sentences)  # fmt: skip


def test_the_answer_is_the_paired_difference_with_its_interval(tmp_path: Path) -> None:
    study = filled(tmp_path)
    page = compare(tmp_path, FUSED, LATE)
    late, fused = findings_of(study, tmp_path).cells
    found = difference(*(sample(c.name, c.runs, c.test("mAP")) for c in (fused, late)))
    assert found.estimate > 0.05
    assert page.answer.startswith(
        f"A, {FUSED}, reaches {found.estimate:.3f} more mAP than B, {LATE} (95 % interval"
        f" +{found.low:.3f} to +{found.high:.3f}; p"
    )
    ratio = fused.cost.macs / late.cost.macs
    assert page.answer.endswith(f"; n = 3 seeds). A takes {ratio:.3f} times the multiply-accumu"
                                "lates of B.")  # fmt: skip
    back = compare(tmp_path, LATE, FUSED).answer
    assert f"reaches {found.estimate:.3f} less mAP" in back
    assert f"interval −{found.high:.3f} to −{found.low:.3f}" in back


def test_the_table_has_both_sides_and_what_they_cost(tmp_path: Path) -> None:
    study = filled(tmp_path)
    late, fused = findings_of(study, tmp_path).cells
    told = rows(compare(tmp_path, FUSED, LATE), "Figures")
    assert told["what"][:2] == (FUSED, LATE)
    assert told["seeds"][:2] == ("0, 1, 2", "0, 1, 2")
    values = np.array([fused.test("mAP"), late.test("mAP")])
    for text, mine in zip(told["test mAP"], values, strict=False):
        assert text == f"{mine.mean():.3f} ± {mine.std(ddof=1):.3f} (n=3)"
    gap = np.subtract(*(cell.test("groups", "together", "AUC") for cell in (fused, late)))
    assert told["together AUC"][2] == f"+{gap.mean():.3f} ± {gap.std(ddof=1):.3f}"
    assert told["parameters"][:2] == (f"{fused.cost.parameters:,}", f"{late.cost.parameters:,}")
    assert told["GMACs per clip and view"][2] == f"{fused.cost.macs / late.cost.macs:.3f} times"


def test_only_what_differs_in_the_settings_is_told(tmp_path: Path) -> None:
    study = filled(tmp_path)
    told = rows(compare(tmp_path, FUSED, LATE), "What differs")
    assert told == {"model.fusion": ("bottleneck", "late"), "model.fusion_layer": ("2", "4"),
                    "model.bottlenecks": ("4", "0")}  # fmt: skip
    record(study, study.cells[1], 1, tmp_path, code="c0de00000002", environment={
        "versions": {"torch": "2.12.0"}, "device_name": "another", "device": "cpu"})  # fmt: skip
    told = rows(compare(tmp_path, FUSED, LATE), "What differs")
    assert told["code"] == ("c0de00000001, c0de00000002", "c0de00000001")
    assert told["device"] == ("a processor, another", "a processor")
    assert told["torch"] == ("2.11.0, 2.12.0", "2.11.0")
    assert told["python"] == ("3.11.9, –", "3.11.9")


def test_the_classes_that_moved_most_come_by_their_ap_with_its_spread(tmp_path: Path) -> None:
    study = filled(tmp_path)
    late, fused = findings_of(study, tmp_path).cells
    told = rows(compare(tmp_path, FUSED, LATE), "Classes that moved most")
    assert next(iter(told)) == "warm^high"
    one, other = (np.array(cell.test("classes", "warm^high", "AP")) for cell in (fused, late))
    areas = np.subtract(*(c.test("classes", "warm^high", "AUC") for c in (fused, late)))
    gap = one - other
    assert told["warm^high"] == (
        f"{one.mean():.3f}", f"{other.mean():.3f}", f"+{gap.mean():.3f} ± {gap.std(ddof=1):.3f}",
        f"+{areas.mean():.3f} ± {areas.std(ddof=1):.3f}",
    )  # fmt: skip
    order = [float(row[2].split()[0].replace("−", "-")) for row in told.values()]
    assert order == sorted(order, reverse=True)


def test_the_clips_that_moved_most_come_with_labels_and_both_leads(tmp_path: Path) -> None:
    study = filled(tmp_path)
    told = table(compare(tmp_path, FUSED, LATE), "Clips that moved most").rows
    leads = np.empty((2, 3, CLIPS))
    for side, cell in enumerate((1, 0)):
        for seed in range(3):
            chances = expit(run_at(study, tmp_path, cell, seed).scores(Evaluation())["scores"])
            own = (chances * truth()).sum(1) / np.maximum(truth().sum(1), 1)
            others = (chances * (1 - truth())).sum(1) / np.maximum((1 - truth()).sum(1), 1)
            leads[side, seed] = own - others
    gaps = (leads[0] - leads[1]).mean(0)
    order = np.argsort(-gaps)
    down = [place for place in order[-10:] if gaps[place] <= -5e-4]
    assert 0 < len(down) < 10
    expected = [f"test/{place:05d}" for place in [*order[:10], *down]]
    assert [row.texts[0] for row in told] == expected
    place = int(order[0])
    labels = [name for name, on in zip(CLASSES, truth()[place], strict=True) if on]
    spread = (leads[0] - leads[1])[:, place].std(ddof=1)
    assert told[0].texts == (
        expected[0], ", ".join(labels), f"{leads[0, :, place].mean():.3f}",
        f"{leads[1, :, place].mean():.3f}", f"+{gaps[place]:.3f} ± {spread:.3f}",
    )  # fmt: skip


def test_a_clips_lead_is_of_probabilities_of_what_it_may_be() -> None:
    scores = np.array([[3.0, -1.0, 0.5, 7.0, 2.0]])
    labels = np.array([[1, 0, 0, 0, 1]])
    p = softmax(scores[0])
    found = lead(scores, np.array([[0, 0, 0, 1, 0]]), Task((), False))
    assert found == pytest.approx([p[3] - (1 - p[3]) / 4])
    one, two = softmax(scores[0, :2]), softmax(scores[0, 2:])
    found = lead(scores, labels, Task((), False, heads={"verb": 2, "noun": 3}))
    assert found == pytest.approx([(one[0] + two[2]) / 2 - (one[1] + two[0] + two[1]) / 3])
    truth = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]])
    many = lead(np.array([[90.0, -90.0, 90.0]] * 3), truth, Task((), True))
    assert many == pytest.approx([1, -2 / 3, 2 / 3])


def test_two_single_runs_say_nothing_of_seeds(tmp_path: Path) -> None:
    study = filled(tmp_path)
    a, b = (run_at(study, tmp_path, cell, seed) for cell, seed in ((1, 2), (0, 1)))
    page = compare(tmp_path, a.key[:5], b.key)
    gap = a.figures(Evaluation())["mAP"] - b.figures(Evaluation())["mAP"]
    assert f"run {a.key} (bottleneck L_f=2, seed 2), reaches {gap:.3f} more" in page.answer
    assert f"over {CLIPS} groups of clips alone; n = 1)" in page.answer
    assert "p = " not in page.answer and "p < " not in page.answer
    assert "no statement about seeds. They are of different seeds" in notes(page)
    assert rows(page, "Figures")["seeds"][:2] == ("2", "1")
    b = run_at(study, tmp_path, 0, 2)
    assert "different seeds" not in notes(compare(tmp_path, a.key, b.key))


def test_two_seeds_of_one_cell_differ_in_nothing_else(tmp_path: Path) -> None:
    study = filled(tmp_path, seeds=2)
    page = compare(tmp_path, *(run_at(study, tmp_path, 0, seed).key for seed in (0, 1)))
    assert "Nothing but the seed" in notes(page)


def test_below_three_seeds_no_p_is_told(tmp_path: Path) -> None:
    filled(tmp_path, seeds=2)
    page = compare(tmp_path, FUSED, LATE)
    assert "clips alone; n = 2)" in page.answer
    assert "With n = 2 the interval is of clips alone, with no statement about seeds" in notes(page)


def test_seeds_that_only_one_has_are_left_out_and_said(tmp_path: Path) -> None:
    study = filled(tmp_path)
    record(study, study.cells[0], 5, tmp_path, lift=3.0)
    page = compare(tmp_path, FUSED, LATE)
    assert f"Left out of {LATE}, for the other side lacks it: seed 5." in notes(page)
    assert rows(page, "Figures")["seeds"][:2] == ("0, 1, 2", "0, 1, 2")
    one = run_at(study, tmp_path, 1, 1)
    page = compare(tmp_path, one.key, f"cell:{run_at(study, tmp_path, 0, 5).key[:6]}")
    assert rows(page, "Figures")["seeds"][:2] == ("1", "1")
    assert "seed 0, 2, 5" in notes(page)
    lone = run_at(study, tmp_path, 0, 5)
    with pytest.raises(MbtError, match=r"no seed in common \(5; 0, 1, 2\)"):
        compare(tmp_path, lone.key, FUSED)


def test_what_is_not_told_apart_says_what_would_have_been_found(tmp_path: Path) -> None:
    study = study_of(few(layers=(2,)), tmp_path)
    for seed in range(3):
        for cell in study.cells:
            record(study, cell, seed, tmp_path)
    answer = compare(tmp_path, FUSED, LATE).answer
    assert answer.startswith(f"A, {FUSED}, and B, {LATE}, are not told apart: ")
    assert "would be found in 80 % of such comparisons" in answer


def test_equal_scores_are_the_same(tmp_path: Path) -> None:
    study, scores = study_of(few(layers=(2,)), tmp_path), truth() + 0.5
    for cell in study.cells:
        record(study, cell, 0, tmp_path, scores=scores)
    page = compare(tmp_path, FUSED, LATE)
    assert f"A, {FUSED}, reaches the same mAP as B, {LATE}, on these clips" in page.answer
    assert "No class has another AP." in notes(page)
    assert "No clip is told better" in notes(page)


@pytest.mark.parametrize("as_asked", ["few:{}", "few-synthetic:{}", "few : {}", "{}"])
def test_a_cell_goes_by_its_name_in_a_report(tmp_path: Path, as_asked: str) -> None:
    filled(tmp_path)
    other = compare(tmp_path, as_asked.format(FUSED), as_asked.format(LATE))
    assert other.answer == compare(tmp_path, FUSED, LATE).answer


def test_studies_are_compared_by_what_they_chose_and_tell_their_shared_cells(
    tmp_path: Path,
) -> None:
    filled(tmp_path)
    other = study_of(few("other", layers=(2, 0)), tmp_path)
    for seed in range(3):
        record(other, other.cells[2], seed, tmp_path, validation=0.9)
    page = compare(tmp_path, "few", "other-synthetic")
    assert f"A, {FUSED} (few-synthetic), " in page.answer
    assert "B, bottleneck at L_f = 0 (other-synthetic)" in page.answer
    assert "A study is compared by the cell that it chose" in notes(page)
    shared = table(page, "Cells of both").rows
    assert [row.texts for row in shared] == [(LATE, LATE, "3", ""), (FUSED, FUSED, "3", "A")]
    assert [row.strong for row in shared] == [False, True]


def test_studies_that_chose_the_same_cell_have_nothing_to_compare(tmp_path: Path) -> None:
    filled(tmp_path)
    study_of(few("other", layers=(2, 0)), tmp_path)
    page = compare(tmp_path, "few", "other")
    assert page.answer.startswith("Both studies chose the same cell")
    assert [row.texts[3] for row in table(page, "Cells of both").rows] == ["", "A and B"]


def test_studies_without_a_cell_in_common_say_so(tmp_path: Path) -> None:
    filled(tmp_path)
    other = study_of(load_grid("modalities"), tmp_path)
    other = replace(other, cells=other.cells[:2])
    other.save(tmp_path)
    for seed in range(3):
        record(other, other.cells[0], seed, tmp_path)
    assert "They share none." in notes(compare(tmp_path, "few", "modalities"))


def test_a_name_of_several_things_must_be_given_in_full(tmp_path: Path) -> None:
    filled(tmp_path)
    study = study_of(few("other"), tmp_path)
    one = replace(study, name="other-again", cells=(study.cells[0].at("model.width", 64),))
    one.save(tmp_path)
    with pytest.raises(MbtError, match="'late fusion' is a cell of 2 studies.*other-again:late"):
        compare(tmp_path, LATE, FUSED)
    with pytest.raises(MbtError, match="'other' is the grid of 2 studies.*'other-"):
        compare(tmp_path, "other", FUSED)
    assert compare(tmp_path, "few:late fusion", FUSED).answer
    record(one, one.cells[0], 0, tmp_path)
    page = compare(tmp_path, "few:late fusion", "other-again:late fusion")
    told = rows(page, "Figures")["what"]
    assert told[0] != told[1] and all(LATE in name for name in told[:2])


@pytest.mark.parametrize(("asked", "said"), [
    ("late fusoin", r"No run, cell or study in .* 'late fusoin'\. Did you mean 'late fusion'\?"),
    ("fev", "Did you mean 'few'"),
    ("few:botleneck at L_f = 2", "No cell of few .* Did you mean 'bottleneck at L_f = 2'"),
    ("fewer-synthetic:late fusion", "No study in .* Did you mean 'few-synthetic'"),
    ("0123456789", "No run in"), ("cell:zz", "No run in"), ("", "No run, cell or study"),
])  # fmt: skip
def test_what_is_misspelt_is_said_with_the_nearest(tmp_path: Path, asked: str, said: str) -> None:
    filled(tmp_path, seeds=1)
    with pytest.raises(UnknownName, match=said):
        compare(tmp_path, FUSED, asked)


def test_what_is_the_same_is_not_compared(tmp_path: Path) -> None:
    study = filled(tmp_path, seeds=2)
    run = run_at(study, tmp_path, 1, 0)
    for one, other in ((run.key, run.key[:7]), (FUSED, f"cell:{run.key}"), (run.key, FUSED),
                       ("few", FUSED)):  # fmt: skip
        with pytest.raises(MbtError, match=f"have runs in common.*{run.key}.*share none"):
            compare(tmp_path, one, other)


def test_a_run_that_is_not_done_or_not_scored_is_said(tmp_path: Path) -> None:
    study = filled(tmp_path, seeds=1)
    for seed, how in ((7, "running"), (8, "failed"), (9, "finished")):
        one = study.cells[0].at("training.seed", seed)
        run = Record(run_folder(tmp_path, one.key))
        run.begin(one, {})
        if how == "failed":
            run.fail(MbtError("No room."))
        if how == "finished":
            run.finish(seconds=1.0)
        said = "was not scored on test" if how == "finished" else f"{run.key} is {how}"
        with pytest.raises(MbtError, match=said):
            compare(tmp_path, run.key, FUSED)
    other = study_of(few("other", layers=(0,)), tmp_path)
    with pytest.raises(MbtError, match="L_f = 0 has no finished run that was scored"):
        compare(tmp_path, "bottleneck at L_f = 0", FUSED)
    record(other, other.cells[1], 0, tmp_path)
    (run_at(other, tmp_path, 1, 0).evaluation(Evaluation()) / "scores.npz").unlink()
    with pytest.raises(MbtError, match=r"The scores of run \w+ cannot be read"):
        compare(tmp_path, "bottleneck at L_f = 0", FUSED)


def other_data(results: Path, **how: object) -> Study:
    """A study on other clips."""
    return study_of(few("other", layers=(0,)), results, fingerprint="ba9876543210", **how)


def test_on_other_data_the_clips_of_the_same_name_are_compared(tmp_path: Path) -> None:
    mine = filled(tmp_path)
    study = other_data(tmp_path)
    there = [*names()[:83], *(f"test/a much longer name {i}" for i in range(13))]
    labels = np.concatenate([truth()[:83], truth()[-13:]])
    for seed in range(3):
        record(study, study.cells[1], seed, tmp_path, clips=there, labels=labels)
    page = compare(tmp_path, FUSED, "bottleneck at L_f = 0")
    assert (
        "over the 83 test clips that both were scored on; 18 more only A was, 13 only B"
        in notes(page)
    )
    assert rows(page, "What differs")["data.fingerprint"] == ("0123456789ab", "ba9876543210")
    kept = frozenset(names()[:83])
    values = [[run_at(one, tmp_path, 1, seed).figures_on(kept)["mAP"] for seed in range(3)]
              for one in (mine, study)]  # fmt: skip
    told = rows(page, "Figures")["test mAP"]
    for text, of in zip(told, values, strict=False):
        assert text.startswith(f"{np.mean(of):.3f} ± ")
    shown = {row.texts[0] for row in table(page, "Clips that moved most").rows}
    assert shown <= kept


def test_other_labels_clips_or_classes_are_one_sentence(tmp_path: Path) -> None:
    filled(tmp_path, seeds=1)
    study = other_data(tmp_path)
    asked = "other:bottleneck at L_f = 0", FUSED
    record(study, study.cells[1], 0, tmp_path, labels=1 - truth())
    with pytest.raises(MbtError, match="were scored on other clips or labels"):
        compare(tmp_path, *asked)
    record(study, study.cells[1], 0, tmp_path, clips=[f"x/{i}" for i in range(CLIPS)])
    with pytest.raises(MbtError, match="were scored on other test clips: they share none"):
        compare(tmp_path, *asked)
    study = other_data(tmp_path, classes=(*CLASSES[:4], "late"), groups={})
    record(study, study.cells[1], 0, tmp_path)
    with pytest.raises(MbtError, match="only one of them knows the classes in_time, late"):
        compare(tmp_path, *asked)
    study = other_data(tmp_path, classes=CLASSES[::-1])
    record(study, study.cells[1], 0, tmp_path)
    with pytest.raises(MbtError, match="their classes are in another order"):
        compare(tmp_path, *asked)
    study = other_data(tmp_path, multi_label=False)
    record(study, study.cells[1], 0, tmp_path, labels=np.eye(5)[np.arange(CLIPS) % 5])
    with pytest.raises(MbtError, match="a clip has one label for one of them"):
        compare(tmp_path, *asked)


def test_where_a_clip_has_one_label_accuracy_is_compared(tmp_path: Path) -> None:
    study = study_of(few(layers=(2,)), tmp_path, multi_label=False, groups={})
    labels = np.eye(5)[np.arange(CLIPS) % 5]
    for seed in range(3):
        for cell, lift in zip(study.cells, (0.5, 3.0), strict=True):
            record(study, cell, seed, tmp_path, labels=labels, lift=lift)
    page = compare(tmp_path, FUSED, LATE)
    assert "more top1 than B" in page.answer
    assert "test top1" in rows(page, "Figures")


def test_an_older_record_is_compared_as_any(tmp_path: Path) -> None:
    study = filled(tmp_path, seeds=1)
    before = compare(tmp_path, FUSED, LATE)
    run = run_at(study, tmp_path, 0, 0)
    arrays = run.scores(Evaluation())
    del arrays["groups"]
    np.savez(run.evaluation(Evaluation()) / "scores.npz", **arrays)
    facts = json.loads((run.folder / "run.json").read_text())
    del facts["groups"], facts["heads"], facts["multi_label"]
    (run.folder / "run.json").write_text(json.dumps(facts))
    assert compare(tmp_path, FUSED, LATE) == before


def test_the_command_prints_the_page_and_writes_it(
    tmp_path: Path, here: Callable[..., CompletedProcess[str]]
) -> None:
    filled(tmp_path)
    for kind, head in (("md", "# "), ("html", "<!doctype html>")):
        out = tmp_path / f"page.{kind}"
        done = here("compare", FUSED, LATE, "--results", tmp_path, "--out", out)
        assert done.returncode == 0
        assert "test mAP" in done.stdout and str(out) in done.stdout
        assert out.read_text().lower().startswith(head)
        assert "warm^high" in out.read_text()
    done = here("compare", FUSED, LATE, "--results", tmp_path, "--out", tmp_path / "page.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ends in .md or .html" in done.stderr
    done = here("compare", FUSED, "late fusoin", "--results", tmp_path)
    assert done.returncode == 1 and "Did you mean 'late fusion'?" in done.stderr


@pytest.mark.parametrize(("up", "down"), [(7, 3), (10, 0), (13, 23)])
def test_at_most_ten_each_way_and_the_farthest_of_them(up: int, down: int) -> None:
    gaps = [*(1e-3 * (i + 1) for i in range(up)), *(-1e-3 * (i + 1) for i in range(down)), 4e-4]
    each = [Moved(f"{gap}", gap, 0.0, Summary(1, gap, None)) for gap in gaps]
    order = sorted(gaps, reverse=True)
    kept = [*order[: min(up, 10)], *order[len(order) - min(down, 10) :]]
    assert [one.difference.mean for one in most(each)] == kept
