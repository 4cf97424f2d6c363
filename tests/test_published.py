"""Published numbers have a source each, and stand beside a study only under the same conditions."""

import re
from dataclasses import replace

import pytest

from mbt_cli.dataset import AudioSet, Synthetic
from mbt_cli.experiment import Experiment
from mbt_cli.ghosts import Comparison, comparison
from mbt_cli.grid import load_grid
from mbt_cli.published import CONFLICTS, PRINTED, READ, TRAINED, conflicts, results
from mbt_cli.recipes import RECIPES, recipe

FIG3 = (
    recipe("audioset_mini")
    .at("data.views.span_s", 4.0)
    .at("model.tubelet", "2,16,16")
    .at("model.bottlenecks", 5)
)
"""The conditions of Fig. 3, as our recipe has all but these."""
SOURCE = "Nagrani et al. 2021, Fig. 3 (left)"


def beside(base: Experiment, grid: str = "fusion_layer", measure: str = "mAP") -> Comparison:
    asked = load_grid(grid)
    return comparison(asked.ask(base), asked.x, asked.by, measure)


def of(found: Comparison, source: str = SOURCE) -> dict[str, dict[object, float]]:
    """Values by the series' model and place."""
    return {
        ghost.name.removesuffix(f", {source}"): {at: value for at, value, _ in ghost.points}
        for ghost in found.ghosts
        if ghost.name.endswith(source)
    }


def test_every_number_has_a_source_and_a_mark_that_says_where_it_was_read() -> None:
    assert len(results()) == 217
    for row in results():
        assert re.match(r"(Fig\. \d+|Table \d+|sec\. 4|README|abstract)", row.where), row
        assert row.paper
        assert row.mark in READ
        assert row.value > 0
        assert row.std is None or 0 < row.std < 1


def test_every_setting_is_a_field_of_an_experiment_and_a_value_it_can_have() -> None:
    bases = {base.data.dataset: base for base in RECIPES.values()}
    fixed = ("data.dataset",)
    for row in results():
        for name, wanted in row.settings.items():
            base = bases[row.settings["data.dataset"]]
            assert name in base.flat()
            for value in wanted.split("|") if name not in fixed else ():
                base.at(name, value)


def test_the_costs_of_the_table_are_those_of_fig_3() -> None:
    rows = [row for row in results() if row.where == "Fig. 3 (right)"]
    for model, fusion in (
        ("bottleneck", "bottleneck"),
        ("vanilla cross-attention", "cross_attention"),
    ):
        assert [r.value for r in rows if r.model == model] == list(PRINTED[fusion])


def test_a_study_at_the_conditions_of_fig_3_gets_its_two_curves() -> None:
    found = of(beside(FIG3))
    assert {name: list(points) for name, points in found.items()} == {
        "bottleneck": [0, 2, 4, 6, 8, 10, 12],
        "vanilla cross-attention": [0, 2, 4, 6, 8, 10, 12],
    }
    assert found["bottleneck"][8] == pytest.approx(0.4244)
    assert found["vanilla cross-attention"][10] == pytest.approx(0.4187)
    assert found["bottleneck"][12] == pytest.approx(0.406)
    (ghost, _) = (ghost for ghost in beside(FIG3).ghosts if ghost.name.endswith("(left)"))
    assert [std for _, _, std in ghost.points][:3] == pytest.approx([0.0038, 0.0025, 0.0029])
    assert "t=4, B=4" in ghost.note
    assert READ["V"] in ghost.note
    assert TRAINED in ghost.note


def test_its_costs_stand_beside_ours_in_gmacs() -> None:
    source = "Nagrani et al. 2021, Fig. 3 (right)"
    found = of(beside(FIG3, measure="GMACs"), source)
    assert list(found["bottleneck"].values()) == list(PRINTED["bottleneck"])
    assert list(found["vanilla cross-attention"].values()) == list(PRINTED["cross_attention"])
    assert not any(TRAINED in ghost.note for ghost in beside(FIG3, measure="GMACs").ghosts)


CHANGES = {
    "data.views.span_s": "8.0", "data.views.frames": "4", "data.views.size": "112",
    "data.views.mel_bins": "64", "data.views.windows": "one", "data.views.crops": "1",
    "data.train": "500k", "model.tubelet": "1,16,16", "model.patch": "32,16",
    "model.width": "384", "model.heads": "6", "model.mlp_ratio": "2.0",
    "model.readout": "mean_each",
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES)
def test_any_other_condition_removes_the_curves_and_is_named(field: str) -> None:
    found = beside(FIG3.at(field, CHANGES[field]))
    assert not of(found)
    said = [sentence for sentence in found.unlike if SOURCE in sentence]
    assert len(said) == 2
    for sentence in said:
        there = dict(FIG3.flat())[field]
        plain = ",".join(map(str, there)) if isinstance(there, tuple) else str(there)
        assert f"{field} is {CHANGES[field]} here and {plain} there" in sentence


def test_the_number_of_bottlenecks_is_a_condition_of_bottlenecks_alone() -> None:
    found = beside(FIG3.at("model.bottlenecks", 4))
    assert set(of(found)) == {"vanilla cross-attention"}
    assert [s for s in found.unlike if SOURCE in s] == [
        f"bottleneck, {SOURCE}, is not of these conditions: model.bottlenecks is 4 here and 5"
        " there."
    ]


def test_fewer_layers_of_a_grid_get_the_points_they_have() -> None:
    cells = [FIG3.at("model.fusion_layer", layer) for layer in (0, 3, 8)]
    found = comparison(cells, "model.fusion_layer", "model.fusion", "mAP")
    assert {name: list(points) for name, points in of(found).items()} == {"bottleneck": [0, 8]}


def test_another_dataset_measure_or_question_gets_nothing() -> None:
    nothing = Comparison((), ())
    assert beside(recipe("synthetic")) == nothing
    assert beside(replace(FIG3, data=Synthetic())) == nothing
    assert beside(FIG3, measure="top1") == nothing
    assert comparison([FIG3], "model.width", "model.fusion", "mAP") == nothing


def test_our_recipes_meet_the_tables_of_their_datasets_with_the_papers_mixup() -> None:
    tables = {"audioset_mini": ("Table 1", 0.313), "vggsound": ("Table 3", 0.523),
              "epic_kitchens": ("Table 2", 0.13)}  # fmt: skip
    for name, (table, sound) in tables.items():
        base = recipe(name).at("training.mixup_independent", True)
        measure = "mAP" if name == "audioset_mini" else "top1"
        (points,) = of(beside(base, "modalities", measure), f"2021, {table}").values()
        assert list(points) == [("audio",), ("video",), ("audio", "video")]
        assert points["audio",] == pytest.approx(sound)
    missed = beside(recipe("audioset_mini"), "modalities").unlike
    assert any("Table 1" in s and "training.mixup_independent is False here" in s for s in missed)


def test_of_a_table_that_varies_more_the_nearest_rows_are_taken() -> None:
    found = of(beside(recipe("audioset_mini"), "modalities"), "2021, Table 6")
    values = {at: value for points in found.values() for at, value in points.items()}
    assert values == {("audio",): 0.3055, ("video",): 0.2543, ("audio", "video"): 0.4237}


def test_spans_get_what_was_published_of_windows() -> None:
    found = of(beside(recipe("audioset_mini"), "windows"), "Nagrani et al. 2021, Fig. 8")
    assert list(found["synchronous"]) == [2.0, 4.0, 6.0, 8.0]
    assert found["asynchronous"][8.0] == pytest.approx(0.4252)
    notes = {ghost.note for ghost in beside(recipe("audioset_mini"), "windows").ghosts}
    assert all("L_f is not printed" in note for note in notes)


def test_conflicts_name_both_sources_and_their_numbers_are_in_the_table() -> None:
    (first, second) = conflicts(AudioSet(train="500k"))
    assert "Table 1" in first
    assert "Fig. 5" in first
    assert "49.6" in first
    assert "52.1" in first
    assert "never published" in second
    assert conflicts(AudioSet())
    assert conflicts(AudioSet(train="full")) == ()
    assert conflicts(Synthetic()) == ()
    known = {row.value for row in results()}
    for sentence in (sentence for said in CONFLICTS.values() for sentence in said):
        assert {float(number) for number in re.findall(r"\d\d\.\d+", sentence)} <= known
