"""A grid asked of a recipe: cells, settings, and the runs that belong to it."""

from pathlib import Path

import numpy as np
import pytest

from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.grid import Grid, grids, load_grid
from mbt_cli.question import ask, base_of
from mbt_cli.recipes import RECIPES, recipe
from mbt_cli.record import Record
from mbt_cli.runs import run_folder
from mbt_cli.study import studies, study

LAYERS = load_grid("fusion_layer")


def manifest(fingerprint="f00d"):
    entries = tuple(Entry(s, Path("here"), s, (0,)) for s in ("train", "validation", "test"))
    return Manifest(entries, ("dog", "cat"), True, fingerprint, {"pets": ("dog", "cat")})


def asked(grid=LAYERS, settings=None, clips=None, name="synthetic"):
    settings = settings or {}
    return ask(grid, name, base_of(grid, name, settings), settings, clips or manifest())


def record(results, experiment, done=True):
    run = Record(run_folder(results, experiment.key))
    run.begin(experiment, {})
    run.evaluated(Evaluation(), {"mAP": 1.0}, np.zeros((1, 2)), np.zeros((1, 2)), ["a"])
    if done:
        run.finish(seconds=0.0, epoch=1, validation={"mAP": 1.0})


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("grid", grids())
def test_a_grid_has_cells_on_every_recipe_or_says_why_not(grid, name):
    one, base = load_grid(grid), recipe(name)
    family, why = base.model.family, ""
    if one.family not in ("", family):
        why = f"models of the family {one.family}, and the recipe {name} has one of {family}: "
    elif one.x not in base.told() or one.by not in base.told():
        why = f"The grid {grid} cannot be asked of the recipe {name}: No field is called '[^?]*$"
    if why:
        with pytest.raises(MbtError, match=why):
            base_of(one, name, {})
        return
    cells = asked(one, name=name).cells
    assert len({cell.key for cell in cells}) == len(cells)
    assert all(cell == cell.canonical() for cell in cells)


def test_every_grid_has_a_question_for_the_head_of_its_report():
    for name in grids():
        question = load_grid(name).question
        assert "?" in question.split("\n\n")[0]
        assert len(question.split("\n\n")) > 1


def test_cells_that_are_one_run_are_asked_once():
    twice = Grid(
        lambda base: [base.at("model.fusion_layer", 4), base.at("model.fusion", "late"), base],
        x="model.fusion_layer", by="model.fusion",
    )  # fmt: skip
    assert [cell.model.fusion for cell in asked(twice).cells] == ["late", "bottleneck"]


def test_seeds_are_crossed_with_the_cells_and_move_nothing_else():
    one = asked()
    runs = one.experiments(3)
    assert len(runs) == 39
    assert len({run.key for run in runs}) == 39
    assert [run.training.seed for run in runs] == [0] * 13 + [1] * 13 + [2] * 13
    assert {run.cell for run in runs} == {cell.cell for cell in one.cells}


def test_other_clips_are_other_runs():
    keys = [{cell.key for cell in asked(clips=manifest(f)).cells} for f in ("f00d", "beef")]
    assert not keys[0] & keys[1]


def test_settings_reach_every_cell_and_name_the_study():
    one = asked(settings={"training.epochs": "2", "model.width": "64"})
    assert {cell.model.width for cell in one.cells} == {64}
    assert one.name == "fusion_layer-synthetic-epochs=2-width=64"
    odd = asked(load_grid("modalities"), {"model.fusion_layer": "1"})
    assert odd.name == "modalities-synthetic-fusion_layer=1"


def test_a_setting_of_what_the_grid_varies_in_passing_is_refused():
    sly = Grid(
        lambda base: [base.at("model.width", 64), base], x="model.fusion_layer", by="model.fusion",
        name="sly",
    )  # fmt: skip
    with pytest.raises(MbtError, match="model.width is what the grid sly varies"):
        base_of(sly, "synthetic", {"model.width": "128"})


def test_finished_runs_are_found_by_cell_whatever_the_seeds(tmp_path):
    one = asked()
    late, other = one.cells[:2]
    for seed in (4, 0):
        record(tmp_path, late.at("training.seed", seed))
    record(tmp_path, other, done=False)
    record(tmp_path, recipe("synthetic").at("model.width", 64))
    found = one.runs_of(tmp_path)
    assert [run.experiment.training.seed for run in found[late.cell]] == [0, 4]
    assert sum(map(len, found.values())) == 2
    assert list(found) == [cell.cell for cell in one.cells]


def test_a_study_is_read_back_as_it_was_saved(tmp_path):
    one = asked(settings={"model.width": "64"})
    one.save(tmp_path)
    assert studies(tmp_path) == {one.name: one}
    assert study(tmp_path, None) == study(tmp_path, "fusion_layer") == one
    with pytest.raises(MbtError, match="Did you mean"):
        study(tmp_path, "fusion_layer-sinthetic-width=64")


def test_a_damaged_study_is_one_sentence(tmp_path):
    one = asked()
    one.save(tmp_path)
    (tmp_path / one.name / "study.json").write_text('{"name": 3}')
    with pytest.raises(MbtError, match="is damaged, or of another version"):
        study(tmp_path, None)


def test_a_title_tells_what_the_grid_varies():
    width = Grid(
        lambda base: [base.at("model.width", w) for w in (32, 64)], x="model.width",
        by="model.fusion",
    )  # fmt: skip
    one = asked(width)
    titles = [one.title(run) for run in one.experiments(1)]
    assert titles == [f"bottleneck L_f=2 width={w} seed 0" for w in (32, 64)]
    alone = asked(load_grid("modalities"))
    assert alone.title(alone.cells[0]) == "late (audio alone) seed 0"
