"""A study has the figures its records allow, and each says what is to be seen in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbt_cli import gains, plates
from mbt_cli.cost import as_published, cost
from mbt_cli.courses import courses, mean
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.draw.marks import Mark
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.findings import Findings, findings_of
from mbt_cli.grid import Grid, load_grid
from mbt_cli.metrics import figures as figures_of
from mbt_cli.question import ask
from mbt_cli.recipes import SYNTHETIC, recipe
from mbt_cli.record import Record
from mbt_cli.runs import run_folder
from mbt_cli.sheet import KINDS
from mbt_cli.study import Study
from mbt_cli.task import Task

CLASSES = ("bark", "glow", "spark")
CLIPS = 23
SKILLS = {"late": 1.0, "bottleneck": 2.0, "cross_attention": 0.5}


def manifest(groups: Mapping[str, tuple[str, ...]], classes: tuple[str, ...]) -> Manifest:
    clips = tuple(Entry(f"test/{i}", Path("none"), "test", (0,)) for i in range(CLIPS))
    return Manifest(clips, classes, True, "0123456789ab", groups)


def study_of(
    grid: Grid, base: Experiment = SYNTHETIC, name: str = "synthetic",
    groups: Mapping[str, tuple[str, ...]] | None = None, classes: tuple[str, ...] = CLASSES,
) -> Study:  # fmt: skip
    return ask(grid, name, base, {}, manifest(groups or {}, classes))


def few(name: str = "few") -> Grid:
    """Late fusion, and two strategies at L_f = 1 and 3 of 4 layers."""

    def cells(base: Experiment) -> Any:
        yield base.at("model.fusion", "late")
        for fusion in ("bottleneck", "cross_attention"):
            yield from (base.at("model.fusion", fusion).at("model.fusion_layer", n) for n in (1, 3))

    return replace(load_grid("fusion_layer"), cells=cells, name=name)


def record(
    results: Path, study: Study, one: Experiment, seed: int, *, skills: Sequence[float] = (),
    checked: bool = True, losses: bool = True, told: Mapping[str, float] | None = None,
    lost: int = 0, done: bool = True,
) -> None:  # fmt: skip
    """A run whose scores are drawn, class by class, at given skills; validation may have been told
    otherwise, and the last clips may be lost."""
    one, classes = one.at("training.seed", seed), study.data.classes
    rng = np.random.default_rng([seed, int(one.cell, 16)])
    labels = (rng.random((CLIPS, len(classes))) < 0.5).astype(float)
    labels[0], labels[1] = 1, 0
    lift = list(skills) or [SKILLS[one.model.fusion]] * len(classes)
    scores = rng.standard_normal(labels.shape) * 0.3 + labels * lift
    names = [f"test/{i}" for i in range(CLIPS)]
    if lost:
        scores, labels, names = scores[:-lost], labels[:-lost], names[:-lost]
    found = figures_of(scores, labels, Task(classes, True, groups=study.data.groups))
    price = cost(one, len(classes))
    run = Record(run_folder(results, one.key))
    run.begin(one, {
        "cost": {"parameters": price.parameters, "macs": price.macs}, "classes": list(classes),
        "left_out": {}, "code": "c0de00000001", "multi_label": True,
        "environment": {"versions": {"python": "3"}, "device_name": "it", "device": "cpu"},
    })  # fmt: skip
    for epoch in (1, 2, 3):
        for step in (0, 1):
            run.row({"step": 2 * epoch + step, "epoch": epoch, "loss": 6.0 / epoch + step + seed})
        loss = {"loss": 8.0 / epoch} if losses else {}
        run.row({"epoch": epoch, "step": 2 * epoch, "validation": {"mAP": 0.2 * epoch} | loss})
    run.evaluated(Evaluation(), found, scores, labels, names)
    if not done:
        return
    found["classes"] |= {name: {"AP": value} for name, value in (told or {}).items()}
    best = found if checked else {name: v for name, v in found.items() if name != "classes"}
    gone = {f"test/{i}": "gone" for i in range(CLIPS - lost, CLIPS)}
    run.finish(seconds=8.0, epoch=3, validation=best, lost=gone)


def fill(study: Study, results: Path, seeds: int = 2, **how: Any) -> Findings:
    for one in study.experiments(seeds):
        record(results, study, one, one.training.seed, **how)
    return findings_of(study, results)


def alone(found: Findings, modality: str) -> Experiment:
    """The chosen cell with one modality, as the grid `modalities` has it."""
    grid = load_grid("modalities")
    base = found.best.experiment
    (cell,) = [c for c in grid.ask(base) if c.model.modalities == (modality,)]
    return cell


@pytest.fixture
def bare(tmp_path: Path) -> Findings:
    return fill(study_of(few()), tmp_path)


def marks_of(found: Findings) -> list[Mark]:
    return list(plates.plates(found)["cost"].draw.args[0])  # type: ignore[attr-defined]


def test_a_study_of_layers_has_its_measure_its_costs_and_its_learning(bare: Findings) -> None:
    assert list(plates.plates(bare)) == ["mAP", "cost", "layers-cost", "learning"]


def test_every_figure_is_written_in_every_format_and_says_something(
    bare: Findings, tmp_path: Path
) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    drawn = plates.drawn(bare, folder)
    assert {file.name for file in folder.iterdir()} == {
        f"{figure.name}.{kind}" for figure in drawn for kind in KINDS
    }
    assert all(figure.says.endswith(".") and len(figure.says) > 40 for figure in drawn)


def test_groups_and_probes_have_figures_where_there_are_any(tmp_path: Path) -> None:
    found = fill(study_of(few(), groups={"seen": ("glow",), "heard": ("bark",)}), tmp_path)
    drops = {cell.name: {"sound shifted": (0.1, 0.2)} for cell in found.cells}
    shown = plates.plates(found, drops)
    assert {"groups", "probes"} <= set(shown)
    assert "seen" in shown["groups"].says
    assert f"{found.best.name} loses most by sound shifted (+0.150)" in shown["probes"].says
    assert "probes" not in plates.plates(found, {"late fusion": {}})
    panel, _ = shown["groups"].draw().axes
    areas = [area for cell in found.cells[1:3] for area in cell.test("groups", "seen", "AUC")]
    dots = [line for line in panel.get_lines() if line.get_marker() == "."]
    assert [float(y) for y in np.asarray(dots[0].get_ydata())] == areas
    assert shown["probes"].draw().axes


def test_marks_carry_both_costs_and_what_is_silent(bare: Findings) -> None:
    marks = marks_of(bare)
    assert [mark.place for mark in marks] == [None, "1", "3", "1", "3"]
    assert [mark.silent for mark in marks] == [False, False, True, False, False]
    for mark, cell in zip(marks, bare.cells, strict=True):
        assert mark.gmacs == cell.cost.gmacs
        assert mark.published == as_published(cell.experiment, 3) / 1e9
        assert list(mark.values) == cell.test("mAP")
    assert [mark.published > 1.01 * mark.gmacs for mark in marks] == [False] * 3 + [True] * 2


def test_the_sentences_name_the_highest_and_the_front(bare: Findings) -> None:
    shown = plates.plates(bare)
    ranked = sorted(bare.cells, key=lambda cell: -np.mean(cell.test("mAP")))
    assert (
        f"{ranked[0].name} is highest with {np.mean(ranked[0].test('mAP')):.3f}"
        in shown["mAP"].says
    )
    assert f"{ranked[-1].name} lowest" in shown["mAP"].says
    assert "late (1.340 MMACs" in shown["cost"].says
    assert "as published" in shown["layers-cost"].says


def test_a_grid_of_anything_else_has_no_cost_by_layer(tmp_path: Path) -> None:
    cells = [SYNTHETIC.at("model.bottlenecks", n) for n in (1, 3)]
    grid = Grid(lambda _: cells, x="model.bottlenecks", by="model.fusion", name="b")
    found = fill(study_of(grid), tmp_path)
    assert "layers-cost" not in plates.plates(found)
    (ax,) = plates.plates(found)["mAP"].draw().axes
    assert ax.get_xlabel() == "$B$, the number of bottleneck tokens"


def test_gains_are_over_the_modality_that_is_better_on_validation(
    bare: Findings, tmp_path: Path
) -> None:
    skills = {"audio": (2.0, 0.0, 0.3), "video": (0.0, 2.0, 0.1)}
    for modality, of in skills.items():
        for seed in (0, 1):
            record(tmp_path, bare.study, alone(bare, modality), seed, skills=of)
    found = gains.gains(bare)
    assert {row.name: row.over for row in found if row.name != "spark"} == {
        "bark": "audio", "glow": "video",
    }  # fmt: skip
    assert found[0].name == "spark"
    assert [row.mean for row in found] == sorted((row.mean for row in found), reverse=True)
    runs = {run.key: run for run in findings_of(bare.study, tmp_path).runs}
    assert runs
    single = Record(run_folder(tmp_path, alone(bare, found[0].over).at("training.seed", 1).key))
    ours = bare.best.runs[1].figures(Evaluation())
    theirs = single.figures(Evaluation())
    assert ours and theirs
    assert found[0].values[1] == pytest.approx(
        ours["classes"]["spark"]["AP"] - theirs["classes"]["spark"]["AP"]
    )
    assert {row.chosen_on for row in found} == {"validation"}
    assert "gains" in plates.plates(bare)
    assert "spark" in plates.plates(bare)["gains"].says
    assert gains.missing(bare) is None


def test_validation_alone_says_which_modality_is_better(bare: Findings, tmp_path: Path) -> None:
    for modality, value in (("audio", 0.3), ("video", 0.1)):
        skills = (0.0, 0.0, 0.0) if modality == "audio" else (3.0, 3.0, 3.0)
        told = dict.fromkeys(CLASSES, value)
        record(tmp_path, bare.study, alone(bare, modality), 0, skills=skills, told=told)
    assert {row.over for row in gains.gains(bare)} == {"audio"}


def test_a_run_that_is_not_finished_gives_no_gains(bare: Findings, tmp_path: Path) -> None:
    record(tmp_path, bare.study, alone(bare, "audio"), 0)
    record(tmp_path, bare.study, alone(bare, "video"), 0, done=False)
    assert gains.gains(bare) == []


def test_gains_are_on_the_clips_that_all_runs_scored(tmp_path: Path) -> None:
    study = study_of(few())
    for i, one in enumerate(study.experiments(1)):
        record(tmp_path, study, one, 0, lost=5 * (i == 0), skills=(0.3, 0.3, 0.3))
    found = findings_of(study, tmp_path)
    for modality in ("audio", "video"):
        record(tmp_path, study, alone(found, modality), 0, skills=(0.2, 0.2, 0.2))
    common = frozenset(f"test/{i}" for i in range(CLIPS - 5))
    one = gains.gains(found)[0]
    runs = [found.best.runs[0], Record(run_folder(tmp_path, alone(found, one.over).key))]
    ours, theirs = (run.figures_on(common)["classes"][one.name]["AP"] for run in runs)
    assert one.values == (pytest.approx(ours - theirs),)


def test_where_validation_has_no_classes_test_says_which_is_better(
    bare: Findings, tmp_path: Path
) -> None:
    for modality in ("audio", "video"):
        record(tmp_path, bare.study, alone(bare, modality), 1, checked=False)
    found = gains.gains(bare)
    assert {row.chosen_on for row in found} == {"test"}
    assert {len(row.values) for row in found} == {1}


def test_gains_pair_runs_of_the_same_seed(bare: Findings, tmp_path: Path) -> None:
    record(tmp_path, bare.study, alone(bare, "audio"), 0)
    record(tmp_path, bare.study, alone(bare, "video"), 1)
    assert gains.gains(bare) == []


def test_without_single_modalities_there_are_no_gains_and_their_command_is_told(
    tmp_path: Path,
) -> None:
    base = SYNTHETIC.at("training.epochs", 7).at("model.width", 16)
    found = fill(study_of(few(), base), tmp_path)
    assert "gains" not in plates.plates(found)
    said = gains.missing(found)
    assert said is not None
    assert said.endswith(
        "`mbt-cli ablate --grid modalities --recipe synthetic --set model.width=16"
        " --set training.epochs=7 --seeds 3`"
    )


def test_a_chosen_cell_of_one_modality_has_no_gains_to_miss(tmp_path: Path) -> None:
    grid = Grid(lambda base: [base.at("model.modalities", "audio")], x="model.modalities",
                by="model.fusion", name="one")  # fmt: skip
    found = fill(study_of(grid), tmp_path)
    assert gains.gains(found) == []
    assert gains.missing(found) is None


def test_courses_are_of_the_chosen_cell_late_fusion_and_the_worst(bare: Findings) -> None:
    found = courses(bare)
    means = {cell.name: np.mean(cell.validation("mAP")) for cell in bare.cells}
    worst = min(means, key=lambda name: means[name])
    assert [course.name for course in found] == [
        *dict.fromkeys((bare.best.name, "late fusion", worst))
    ]
    assert found[0].training == [
        {1: 6.5, 2: 3.5, 3: 2.5}, {1: 7.5, 2: 4.5, 3: 3.5},
    ]  # fmt: skip
    assert found[0].validation == [{1: 8.0, 2: 4.0, 3: pytest.approx(8 / 3)}] * 2
    assert found[0].measure == [{1: 0.2, 2: 0.4, 3: pytest.approx(0.6)}] * 2
    assert "training loss 7 to 3" in plates.plates(bare)["learning"].says


def test_a_record_without_a_validation_loss_still_has_its_curves(tmp_path: Path) -> None:
    found = fill(study_of(few()), tmp_path, losses=False)
    assert all(not course.validation for course in courses(found))
    assert all(course.training and course.measure for course in courses(found))
    assert "validation loss" not in plates.plates(found)["learning"].says
    assert plates.plates(found)["learning"].draw().axes


def test_a_mean_is_over_the_epochs_that_all_seeds_reached() -> None:
    assert mean([{1: 2.0, 2: 3.0}, {1: 4.0}]) == {1: 3.0}
    assert mean([]) == {}


def test_published_curves_stand_in_the_figures_of_a_study_like_theirs(tmp_path: Path) -> None:
    base = (
        recipe("audioset_mini").at("data.views.span_s", 4.0).at("model.tubelet", "2,16,16")
        .at("model.bottlenecks", 5)
    )  # fmt: skip

    def cells(one: Experiment) -> Any:
        yield one.at("model.fusion", "late")
        yield from (one.at("model.fusion_layer", n) for n in (0, 8))

    grid = replace(few(), cells=cells)
    found = fill(study_of(grid, base, "audioset_mini"), tmp_path / "like")
    shown = plates.plates(found)
    assert (
        "In grey, as published: bottleneck, Nagrani et al. 2021, Fig. 3 (left)" in shown["mAP"].says
    )
    assert "Fig. 3 (right)" in shown["layers-cost"].says
    (ax,) = shown["mAP"].draw().axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "8", "12"]
    assert shown["layers-cost"].draw().axes
    assert not [said for said in plates.unlike(found) if "Fig. 3" in said]
    other = fill(
        study_of(grid, base.at("data.views.span_s", 2.0), "audioset_mini"), tmp_path / "unlike"
    )
    said = [said for said in plates.unlike(other) if "Fig. 3" in said]
    assert all("data.views.span_s is 2.0 here and 4.0 there" in one for one in said)
    assert {one.partition(" (")[2][:4] for one in said} == {"left", "righ"}
    assert "In grey" not in plates.plates(other)["mAP"].says
    assert plates.unlike(fill(study_of(few()), tmp_path / "ours")) == []


def test_hostile_classes_groups_and_questions_are_drawn(tmp_path: Path) -> None:
    names = ("$x^2$", "two\nlines 😀", "w" * 211)
    grid = replace(few(), question="What of $y$?\n\nNothing.")
    found = fill(study_of(grid, groups={"$g$": names[:1], "w" * 97: names[1:]}, classes=names),
                 tmp_path, seeds=1)  # fmt: skip
    for modality in ("audio", "video"):
        record(tmp_path, found.study, alone(found, modality), 0)
    for name, plate in plates.plates(found).items():
        plate.draw().draw_without_rendering()
        assert "\n" not in plate.says, name
    assert plates.plates(found)["mAP"].draw().texts[0].get_text() == r"What of \$y\$?"
