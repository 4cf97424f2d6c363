"""Runs on very many classes: what is kept of them, and what follows from that."""

import json
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pytest
import scored
from rendered import noise, render
from scored import few, names

from mbt_cli import samples, tally
from mbt_cli.audit import Audit, audit
from mbt_cli.compare import compare
from mbt_cli.cost import cost
from mbt_cli.data.clips import Batch, Clips, Wanted
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.findings import findings_of
from mbt_cli.job import Job, execute
from mbt_cli.metrics import figures, tagged
from mbt_cli.question import ask
from mbt_cli.recipes import SYNTHETIC, recipe
from mbt_cli.record import Record
from mbt_cli.report import report, texts
from mbt_cli.resample import drawn, replicates
from mbt_cli.revisit import evaluate_again
from mbt_cli.runs import Run, run_folder
from mbt_cli.source import Source
from mbt_cli.study import Study
from mbt_cli.tables import of_runs
from mbt_cli.tagging import TOP, pruned
from mbt_cli.task import FEW, Task
from mbt_cli.terminal import headline

C, VIDEOS = 71, 101
CLASSES = tuple(f"class {k}" for k in range(C))
GROUPS = {"first": CLASSES[:3], "last": CLASSES[-2:]}
WIDE = Task(CLASSES, True, True, GROUPS)


def made(lift: float = 4.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels; the last class has no positives, and the labels are always the same."""
    labels = np.random.default_rng(7).random((VIDEOS, C)) < 0.05
    labels[:, -1] = False
    scores = np.random.default_rng(seed).standard_normal((VIDEOS, C)) * 2 - 4 + lift * labels
    return scores.astype(np.float32), labels.astype(np.float32)


def manifest(labels: np.ndarray) -> Manifest:
    entries = [
        Entry(name, Path(), "test", tuple(np.flatnonzero(row).tolist()), group=f"g{i // 2}")
        for i, (name, row) in enumerate(zip(names(VIDEOS), labels, strict=True))
    ]
    return Manifest(tuple(entries), CLASSES, True, "0123456789ab", GROUPS, tagging=True)


class Unread(Clips):
    """Clips that nobody reads."""

    def batches(self, wanted: Iterable[Wanted]) -> Generator[Batch]:
        raise NotImplementedError


def scored_of(
    scores: np.ndarray, labels: np.ndarray, full: bool = True, **how: Any
) -> tally.Scored:
    """By a tally that is given some videos at a time."""
    data = Unread(manifest(labels), {})
    found = tally.tally(np.arange(VIDEOS), data, 1, full=full)
    for start in range(0, VIDEOS, 13):
        places = np.arange(start, min(start + 13, VIDEOS))
        found.add(places, scores[places], 0.5)
    return found.scored(Evaluation(**how), 0.3)


def record(study: Study, cell: Experiment, seed: int, results: Path, lift: float) -> Run:
    one = cell.at("training.seed", seed)
    scores, labels = made(lift, seed=int(one.key[:6], 16))
    done = scored_of(scores, labels)
    price = cost(one, C)
    run = Record(run_folder(results, one.key))
    facts = {"cost": {"parameters": price.parameters, "macs": price.macs}, **WIDE.record()}
    run.begin(one, {**facts, "left_out": {}, "code": "c0de"})
    assert not isinstance(done.scores, np.ndarray)
    groups = [entry.group for entry in manifest(labels).entries]
    run.tagged(Evaluation(), done.figures, done.scores, names(VIDEOS), groups)
    validation = {"GAP": lift / 10, "F1_threshold": 0.3}
    run.finish(seconds=8.0 + seed, epoch=3, validation=validation)
    return Run(run.folder)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Late fusion, and a better one."""
    found = ask(few(layers=(2,)), "synthetic", SYNTHETIC, {}, manifest(made()[1]))
    found.save(tmp_path)
    for cell, lift in zip(found.cells, (3.0, 5.0), strict=True):
        for seed in range(3):
            record(found, cell, seed, tmp_path, lift)
    return found


@pytest.fixture
def written(study: Study, tmp_path: Path) -> Study:
    """The same with its report."""
    report(study, tmp_path)
    return study


def told(study: Study, results: Path) -> Audit:
    return audit(study, results, lambda of, records: texts(of, records, results / of.name))


def test_few_classes_are_kept_whole_and_many_are_not() -> None:
    assert C > FEW
    assert WIDE.wide and not replace(WIDE, classes=CLASSES[:FEW]).wide
    assert not replace(WIDE, tagging=False).wide


@pytest.mark.parametrize("most_bytes", [0, tally.MOST_BYTES])
@pytest.mark.parametrize("without_positives", ["left_out", "zero"])
def test_figures_of_videos_that_come_in_parts_are_those_of_all_scores(
    most_bytes: int, without_positives: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "MOST_BYTES", most_bytes)
    monkeypatch.setattr(tally, "BLOCK", 17)
    monkeypatch.setattr(tally, "PART", 5)
    scores, labels = made()
    done = scored_of(scores, labels, without_positives=without_positives)
    whole = figures(scores, labels, WIDE, without_positives=without_positives, threshold=0.3)
    for name in ("GAP", "mAP", "mAP_full", "hit1", "PERR", "F1_micro", "F1_macro", "F1_threshold",
                 "F1_top1", "F1_top3", "F1_top5", "clips"):  # fmt: skip
        assert done.figures[name] == pytest.approx(whole[name], abs=1e-12), name
    assert done.figures["left_out"] == 1
    assert CLASSES[-1] not in done.figures["classes"] and len(done.figures["classes"]) == C - 1
    assert done.loss == 0.5
    assert done.places.tolist() == [*range(VIDEOS)]


def test_more_scores_than_memory_is_to_hold_lie_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_BYTES", 4 * 3 * 5)
    monkeypatch.setattr(tally, "BLOCK", 2)
    for clips, in_a_file in ((3, False), (4, True)):
        columns = tally.Columns(clips, 5)
        columns.add(np.arange(5.0 * clips, dtype=np.float32).reshape(clips, 5))
        assert (columns.file is not None) == (not columns.blocks) == in_a_file
        assert [of.tolist() for of in columns.each()][2] == [2.0, 7.0, 12.0, 17.0][:clips]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_too_full_for_them_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_BYTES", 0)
    with Path("/dev/full").open("r+b", 0) as full:
        monkeypatch.setattr(tally, "TemporaryFile", lambda **_: full)
        columns = tally.Columns(1, 5)
        with pytest.raises(MbtError, match=rf"{gettempdir()} cannot be written \(No space left"):
            columns.add(np.zeros((1, 5), np.float32))


def test_groups_of_many_classes_have_the_official_map() -> None:
    found = scored_of(*made()).figures
    each = [found["classes"][name]["AP"] for name in GROUPS["first"]]
    assert found["groups"]["first"] == {"mAP": pytest.approx(np.mean(each)), "AUC": None}
    assert found["groups"]["last"]["mAP"] == found["classes"][CLASSES[-2]]["AP"]


def test_the_map_over_all_scores_is_none_where_it_is_not_asked() -> None:
    assert scored_of(*made(), full=False).figures["mAP_full"] is None


def test_of_many_classes_several_spans_of_a_clip_cannot_be_averaged() -> None:
    data = Unread(manifest(made()[1]), {})
    with pytest.raises(MbtError, match="Of 71 classes only .* leave out crops"):
        tally.tally(np.arange(3), data, 2, full=False)
    with pytest.raises(MbtError, match="No clip of the test split can be read"):
        tally.tally(np.arange(3), data, 1, full=True).scored(Evaluation(), None)


def test_a_video_with_more_than_20_labels_keeps_as_many_classes() -> None:
    scores, labels = made()
    labels[5, :29] = 1
    done = scored_of(scores, labels)
    assert not isinstance(done.scores, np.ndarray)
    assert done.scores.scores.shape == (VIDEOS, int(labels[5].sum()))
    assert done.figures["PERR"] == pytest.approx(figures(scores, labels, WIDE)["PERR"], abs=1e-12)


def test_a_record_keeps_the_top_classes_and_all_labels(study: Study, tmp_path: Path) -> None:
    run = findings_of(study, tmp_path).runs[0]
    scores, labels = made(3.0, seed=int(run.key[:6], 16))
    arrays, of = run.scores(Evaluation()), pruned(scores, labels)
    assert {*arrays} == {"scores", "classes", "labels", "names", "groups"}
    assert arrays["scores"].shape == arrays["classes"].shape == (VIDEOS, TOP)
    assert np.array_equal(arrays["scores"], of.scores)
    assert np.array_equal(arrays["classes"], of.classes)
    assert np.array_equal(arrays["labels"].toarray(), labels)
    assert arrays["groups"][:3].tolist() == ["g0", "g0", "g1"]
    assert (run.task, run.threshold) == (replace(WIDE, classes=[*CLASSES], groups={
        name: [*of] for name, of in GROUPS.items()}), 0.3)  # fmt: skip
    wide, narrow = (run.files()[f"evaluations/{Evaluation().key}/scores.npz"], 4 * VIDEOS * C)
    assert wide < narrow


def test_figures_on_some_videos_follow_from_their_top_classes(study: Study, tmp_path: Path) -> None:
    run = findings_of(study, tmp_path).runs[0]
    scores, labels = made(3.0, seed=int(run.key[:6], 16))
    rows = np.arange(0, VIDEOS, 3)
    found = run.figures_on(frozenset(names(VIDEOS)[row] for row in rows))
    expected = tagged(pruned(scores[rows], labels[rows]), run.task, threshold=0.3)
    assert found == expected and found["clips"] == len(rows) and found["mAP_full"] is None


def test_a_sample_draws_groups_of_videos_for_gap(study: Study, tmp_path: Path) -> None:
    runs = findings_of(study, tmp_path).cells[0].runs
    found = samples.sample("late", runs, [0.1, 0.2, 0.3])
    scores, labels = made(3.0, seed=int(runs[1].key[:6], 16))
    groups = [f"g{i // 2}" for i in range(VIDEOS)]
    assert np.array_equal(found.draws[1], replicates(scores, labels, drawn(groups), WIDE))
    assert found.groups == 51


def test_draws_of_other_top_classes_are_made_again(study: Study, tmp_path: Path) -> None:
    run = findings_of(study, tmp_path).runs[0]
    samples.sample("late", [run], [0.1])
    path = run.evaluation(Evaluation()) / "scores.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"classes": np.roll(arrays["classes"], 1, axis=0)})
    again = samples.sample("late", [run], [0.1])
    (path.parent / "draws.npz").unlink()
    assert np.array_equal(again.draws, samples.sample("late", [run], [0.1]).draws)


def test_a_report_says_what_its_measures_are(written: Study, tmp_path: Path) -> None:
    page = (tmp_path / written.name / "report.md").read_text()
    assert "reaches GAP" in page and "By other measures" in page
    for name in ("mAP (pruned)", "mAP (full)", "F1 (micro)", "F1 (macro)", "Hit@1", "PERR"):
        assert f"test {name}" in page
    assert "a probability of 0.300." in page
    assert "for want of a positive test clip: 1 of 71 classes." in page
    found = json.loads((tmp_path / written.name / "report.json").read_text())
    assert found["measure"] == "GAP"
    best = findings_of(written, tmp_path).best
    (cell,) = [one for one in found["cells"] if one["name"] == found["chosen"]]
    assert cell["measures"]["F1_macro"] == best.test("F1_macro")
    assert cell["measures"]["F1_threshold"] == [0.3] * 3


def test_a_written_report_follows_from_the_top_classes(written: Study, tmp_path: Path) -> None:
    found = told(written, tmp_path)
    assert found.differences == ()
    assert "mAP over all scores, validation figures and times are as they were" in str(found)


def test_a_figure_that_does_not_follow_is_told(written: Study, tmp_path: Path) -> None:
    run = findings_of(written, tmp_path).runs[0]
    path = run.evaluation(Evaluation()) / "evaluation.json"
    was = json.loads(path.read_text())
    path.write_text(json.dumps({**was, "figures": {**was["figures"], "PERR": 0.123}}))
    (wrong,) = told(written, tmp_path).differences
    assert wrong.startswith(f"Run {run.key}: PERR is recorded as 0.123,")


def test_two_cells_are_compared_by_gap_and_their_top_classes(study: Study, tmp_path: Path) -> None:
    one, other = findings_of(study, tmp_path).cells
    page = compare(tmp_path, one.runs[0].key, other.runs[0].key)
    (table, _), *_ = (section.parts for section in page.sections)
    rows = [row.texts[0] for row in table.rows]
    assert "test GAP" in rows and "test mAP (full)" in rows and "test F1 (macro)" in rows
    assert "less GAP than" in page.answer
    classes, clips = (section.parts for section in page.sections[2:4])
    assert "in the lists of each clip's 20 top classes" in classes[1].sentences[0]
    assert "count as 0" in clips[1].sentences[0]
    assert all("class " in row.texts[1] for row in clips[0].rows)


def test_a_videos_lead_is_of_its_top_classes(study: Study, tmp_path: Path) -> None:
    from mbt_cli.moved import lead
    from mbt_cli.tagging import lead as lead_of_top

    scores, labels = made()
    few_ = np.where(scores >= np.sort(scores, axis=1)[:, -TOP, None], scores, -np.inf)
    assert lead_of_top(pruned(scores, labels)) == pytest.approx(lead(few_, labels, WIDE), abs=1e-7)
    all_but_one = pruned(np.array([[0.0, 5.0, -3.0]]), np.array([[1, 1, 0]]))
    chance = 1 / (1 + np.exp([0.0, -5.0, 3.0]))
    assert lead_of_top(all_but_one) == pytest.approx(chance[:2].mean() - chance[2])


def test_lines_and_lists_tell_gap_and_f1(study: Study, tmp_path: Path) -> None:
    from rich.console import Console

    run = findings_of(study, tmp_path).runs[0]
    found = run.figures(Evaluation()) or {}
    assert headline(found).startswith(f"GAP {found['GAP']:.3f}  F1 {found['F1_micro']:.3f}  first ")
    console = Console(width=200)
    with console.capture() as seen:
        console.print(of_runs([run]))
    assert f"{found['GAP']:.3f}" in seen.get()


def test_of_few_classes_every_score_is_kept_and_classes_have_their_auc() -> None:
    labels = scored.truth()
    task = Task(scored.CLASSES, True, True, scored.GROUPS)
    noise = np.random.default_rng(0).standard_normal(labels.shape)
    found = figures((noise + labels).astype(np.float32), labels, task)
    plain = figures((noise + labels).astype(np.float32), labels, replace(task, tagging=False))
    assert found["mAP_full"] == plain["mAP"]
    for name in ("AUC", "d_prime", "groups", "classes", "left_out", "clips"):
        assert found[name] == plain[name]
    assert found["F1_threshold"] is not None and "GAP" not in plain


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Source]:
    """A run on 13 clips with some of 71 classes each, and its clips."""
    folder, entries = tmp_path_factory.mktemp("clips"), []
    splits = ("train",) * 6 + ("validation",) * 4 + ("test",) * 3
    for k, split in enumerate(splits):
        path = render(folder / f"{k}.mp4", times_s=tuple(np.arange(25) / 25), sound=noise(1, 16_000,
                      seed=k), rate_hz=16_000)  # fmt: skip
        labels = (k % 2, 2 + k % 3, 11 + k % 5)
        entries.append(Entry(f"clip{k}", path, split, labels, 0.0, 1.0))
    clips = replace(manifest(made()[1]), entries=tuple(entries))
    one = recipe("folder")
    for name, value in {
        "data.views.span_s": 0.64, "data.views.frames": 2, "data.views.size": 32,
        "data.views.crops": 1, "model.depth": 2, "model.fusion_layer": 1, "model.width": 16,
        "model.heads": 2, "training.batch_size": 2, "training.epochs": 2,
    }.items():  # fmt: skip
        one = one.at(name, value)
    one = replace(one, data=replace(one.data, fingerprint=clips.fingerprint))
    source = Source(clips, one.data.views, None, 0)
    execute(Job(one, cost(one, C), source, folder / "run", "cpu", 1, 9.0, "best"), lambda _: None)
    return Run(folder / "run"), source


def test_a_run_takes_the_threshold_of_its_best_epoch_to_the_test_clips_and_to_its_probes(
    trained: tuple[Run, Source],
) -> None:
    run, source = trained
    validation, test = run.status["validation"], run.figures(Evaluation()) or {}
    rows = [row["validation"] for row in run.curve() if "validation" in row]
    assert run.threshold == validation["F1_threshold"] == test["F1_threshold"] is not None
    best = rows[run.status["epoch"] - 1]
    assert best["GAP"] == validation["GAP"] == max(row["GAP"] for row in rows)
    for how in (Evaluation(fusion="late"), Evaluation(split="validation")):
        (found,) = evaluate_again(run, [how], source, "cpu")
        assert found["F1_threshold"] == run.threshold
    assert found["F1_micro"] == validation["F1_micro"] and found["GAP"] == validation["GAP"]


def test_the_map_over_all_scores_is_of_the_run_on_its_test_clips_alone(
    trained: tuple[Run, Source],
) -> None:
    run, source = trained
    (other,) = evaluate_again(run, [Evaluation(fusion="late")], source, "cpu")
    assert other["mAP_full"] is run.status["validation"]["mAP_full"] is None
    found = run.figures(Evaluation()) or {}
    assert found["mAP_full"] >= found["mAP"] > 0
    assert run.scores(Evaluation())["scores"].shape == (3, TOP)
    assert run.task.wide and run.task.primary == "GAP"
    assert run.figures_of(run.scores(Evaluation()), run.task) == {**found, "mAP_full": None}
