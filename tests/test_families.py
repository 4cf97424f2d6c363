"""Models of several families in one study: how they are told apart, compared, and drawn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from recorded import GROUPS, fill, manifest
from recorded import record as recorded
from typer.testing import CliRunner

from mbt_cli import ghosts, plates
from mbt_cli.architecture import AttendFusion
from mbt_cli.architecture.attend_fusion import PRESETS
from mbt_cli.cli import app
from mbt_cli.contrasts import contrasts
from mbt_cli.cost import cost
from mbt_cli.data.manifest import Manifest
from mbt_cli.dataset import Features, YouTube8M
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.findings import cell_name, command, findings_of
from mbt_cli.grid import load_grid
from mbt_cli.names import value
from mbt_cli.notes import notes
from mbt_cli.question import ask, base_of
from mbt_cli.recipes import YOUTUBE8M, YOUTUBE8M_SMALL, recipe
from mbt_cli.study import Study

TAGS: Manifest = replace(manifest(), tagging=True)
SINGLES = ("FC (audio alone)", "FC (video alone)", "attention (audio alone)",
           "attention (video alone)")  # fmt: skip


def study_of(base: Experiment, grid: str = "attend_fusion") -> Study:
    return ask(load_grid(grid), "youtube8m", base, {}, TAGS)


def names_of(study: Study) -> list[str]:
    return [cell_name(study, cell) for cell in study.cells]


def without(study: Study, gone: Sequence[str]) -> Study:
    cells = zip(study.cells, names_of(study), strict=True)
    return replace(study, cells=tuple(cell for cell, name in cells if name not in gone))


def test_a_cell_is_called_by_its_model_in_as_many_words_as_tell_it_from_the_others() -> None:
    names = names_of(study_of(YOUTUBE8M))
    assert len({*names}) == len(names) == 16
    assert {*SINGLES, "FC early", "FCRN late", "Attend-Fusion hybrid", "MBT late",
            "FC late, widths 1024", "FC late, widths 10000 + 10000"} < {*names}  # fmt: skip
    small = names_of(study_of(YOUTUBE8M_SMALL))
    assert "FC late" in small
    assert not any(name.startswith("MBT") for name in small)  # means alone are no tokens


@pytest.mark.parametrize("name", ["synthetic", "synthetic_features", "youtube8m"])
def test_what_runs_a_study_asks_for_clips_only_where_they_are_not_built_in(name: str) -> None:
    grid = load_grid("fusion_layer" if name == "synthetic" else "attend_fusion")
    said = command(ask(grid, name, recipe(name), {}, TAGS))
    assert f" --recipe {name} " in said and (" --data DIR " in said) == (name == "youtube8m")


def test_a_network_without_attention_is_a_level_along_what_only_attention_has() -> None:
    study = study_of(YOUTUBE8M, "attend_fusion_attention")
    assert [study.place(cell) is None for cell in study.cells] == [True] + [False] * 6
    assert names_of(study)[0] == "FC late"
    assert len({*names_of(study)}) == 7
    assert {value(study.cells[0], name) for name in (study.x, study.by)} == {"none"}


@pytest.mark.parametrize(
    ("grid", "name"),
    [("fusion_layer", "youtube8m"), ("attend_fusion", "synthetic"),
     ("attend_fusion_widths", "youtube8m_mbt"), ("windows", "youtube8m")],
)  # fmt: skip
def test_a_question_about_other_models_is_refused_in_a_sentence(grid: str, name: str) -> None:
    with pytest.raises(MbtError, match=rf"^The grid {grid} .* recipe {name}.*--recipe\.$"):
        base_of(load_grid(grid), name, {})


def test_every_cell_of_several_modalities_is_compared_with_the_better_one_alone(
    tmp_path: Path,
) -> None:
    study = study_of(YOUTUBE8M_SMALL)
    reached = dict(zip(SINGLES, (0.2, 0.4, 0.5, 0.1), strict=True))
    for cell, name in zip(study.cells, names_of(study), strict=True):
        for seed in range(3):
            recorded(study, cell, seed, tmp_path, validation=reached.get(name, 0.9))
    pairs = {one.one.name: one.other.name for one in contrasts(findings_of(study, tmp_path)).alone}
    assert pairs == {
        "FC early": "FC (video alone)", "FC late": "FC (video alone)",
        # without cells of their own kind: the best of all
        "FCRN late": "attention (audio alone)", "FCRGN late": "attention (audio alone)",
        **dict.fromkeys([f"Attend-Fusion {where}" for where in ("early", "late", "hybrid")],
                        "attention (audio alone)"),
    }  # fmt: skip


def test_one_of_two_modalities_alone_does_not_stand_for_the_better(tmp_path: Path) -> None:
    study = without(study_of(YOUTUBE8M_SMALL), ["attention (audio alone)"])
    reached = {"FC (video alone)": 0.4, "attention (video alone)": 0.1}
    for cell, name in zip(study.cells, names_of(study), strict=True):
        recorded(study, cell, 0, tmp_path, validation=reached.get(name, 0.2))
    pairs = {one.one.name: one.other.name for one in contrasts(findings_of(study, tmp_path)).alone}
    assert {*pairs.values()} == {"FC (video alone)"}


def test_without_a_modality_alone_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    study = without(study_of(YOUTUBE8M_SMALL), SINGLES)
    fill(study, tmp_path, seeds=1)
    assert not contrasts(findings_of(study, tmp_path)).alone


def test_vocabularies_are_asked_beside_one_another_and_not_compared(tmp_path: Path) -> None:
    base = YOUTUBE8M_SMALL.at("data.classes", len(TAGS.classes))
    study = study_of(base, "attend_fusion_vocabulary")
    names = names_of(study)
    asked = dict.fromkeys(name.split(" = ")[-1] for name in names)
    assert len(asked) > 2 and [*asked][-1] == "all"
    assert names[-1] == "attention_layers = 1 at vocabulary = all"
    fill(study, tmp_path, seeds=1)
    found = findings_of(study, tmp_path)
    pairs = [(one.one.vocabulary, one.other.vocabulary) for one in contrasts(found).all]
    assert pairs and all(one == other for one, other in pairs)
    assert any(f"vocabularies of their own ({', '.join(asked)})" in note for note in notes(found))
    others = study_of(base)
    fill(others, tmp_path, seeds=1)
    assert not any("vocabular" in note for note in notes(findings_of(others, tmp_path)))


def test_published_sizes_are_shown_only_under_the_conditions_of_the_paper() -> None:
    shown, unlike = ghosts.sizes(study_of(YOUTUBE8M).cells)
    assert [(one.parameters, one.value) for one in shown] == [(72e6, 0.7564), (341e6, 0.7596)]
    assert not unlike
    shown, unlike = ghosts.sizes(study_of(YOUTUBE8M_SMALL).cells)
    assert not shown
    (said,) = unlike
    assert "data.views.form is mean here and mean_std there" in said
    others = ask(load_grid("fusion_layer"), "synthetic", recipe("synthetic"), {}, manifest())
    assert ghosts.sizes(others.cells) == ([], ())


def test_f1_is_drawn_against_size_where_videos_are_tagged(tmp_path: Path) -> None:
    study = without(study_of(YOUTUBE8M), [f"MBT {s}" for s in ("late",)])
    fill(study, tmp_path, seeds=2)
    found = findings_of(study, tmp_path)
    plate = plates.plates(found)["size"]
    assert "In grey: Attend-Fusion, published in Awan et al. 2024" in plate.says
    figure = plate.draw()
    assert figure.axes[0].get_xscale() == "log"
    told = {text.get_text() for text in figure.axes[0].texts}
    assert any(text.startswith("FC Late Fusion") for text in told)
    assert all(cell.cost.parameters for cell in found.cells)


def test_models_stand_below_one_another_with_their_names_in_full(tmp_path: Path) -> None:
    study = study_of(YOUTUBE8M_SMALL)
    fill(study, tmp_path, seeds=1)
    found = findings_of(study, tmp_path)
    ax = plates.plates(found)["GAP"].draw().axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == names_of(study)
    points = {(x, y) for line in ax.lines for x, y in zip(*line.get_data(), strict=True)}
    ticks = ax.get_yticks()
    assert points == {(cell.test("GAP")[0], y) for cell, y in zip(found.cells, ticks, strict=True)}


def test_where_another_family_is_best_the_report_says_where_its_modalities_alone_are_asked(
    tmp_path: Path,
) -> None:
    study = study_of(recipe("synthetic_features"))
    for cell, name in zip(study.cells, names_of(study), strict=True):
        recorded(study, cell, 0, tmp_path, validation=0.9 if name.startswith("MBT b") else 0.5)
    found = findings_of(study, tmp_path)
    assert found.best.name.startswith("MBT bottleneck")
    (said,) = (note for note in notes(found) if "What fusing gains" in note)
    assert "Of MBT the recipe youtube8m has none" in said


def test_groups_of_a_world_of_tags_are_drawn_too(tmp_path: Path) -> None:
    study = study_of(recipe("synthetic_features"))
    fill(study, tmp_path, seeds=1)
    assert {*study.data.groups} == {*GROUPS}
    figure = plates.plates(findings_of(study, tmp_path))["groups"].draw()
    first, *others = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == [*GROUPS]
    assert [text.get_text() for text in first.get_yticklabels()] == names_of(study)
    assert all(ax.get_ylim() == first.get_ylim() for ax in others)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_parameters_that_their_paper_states(name: str) -> None:
    preset = PRESETS[name]
    data = YouTube8M(classes=preset.classes, views=Features(form="mean_std"))
    made = cost(Experiment(data=data, model=preset.model), preset.classes).parameters
    assert abs(made / preset.stated - 1) < 0.005
    assert preset.made_of(replace(preset.model, head_bias=-5.0, dropout=0.1))
    assert not preset.made_of(replace(preset.model, fused_widths=(4095,)))
    assert not preset.made_of(recipe("synthetic").model)


def test_the_price_list_says_what_is_a_reconstruction() -> None:
    words = ["flops", "--grid", "attend_fusion", "--recipe", "youtube8m"]
    said = " ".join(CliRunner().invoke(app, words, env={"COLUMNS": "200"}).output.split())
    for parameters, stated in (("72,047,212", "72 M"), ("341,106,860", "341 M")):
        assert (
            f"{parameters} parameters is a reconstruction to the stated total of {stated}" in said
        )
    other = CliRunner().invoke(app, [*words, "--set", "data.classes=3862"]).output
    assert "reconstruction" not in other


def test_a_modality_alone_has_one_form_whatever_its_fusion() -> None:
    audio = ("audio",)
    forms = {AttendFusion(modalities=audio, fusion=f).canonical() for f in ("early", "late")}
    assert len(forms) == 1
