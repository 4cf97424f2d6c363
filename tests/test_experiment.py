import inspect
import json
from dataclasses import fields, replace

import pytest

from mbt_cli import experiment as module
from mbt_cli.architecture import MBT
from mbt_cli.dataset import GridCorpus, Synthetic, Views
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.recipes import RECIPES, recipe


def test_a_field_at_its_default_does_not_enter_the_key():
    assert Experiment().at("model.width", 768).key == Experiment().key
    assert Experiment().at("model.width", 384).key != Experiment().key


def test_every_field_moves_the_key():
    base = recipe("synthetic").at("model.tubelet", "1,8,8").at("model.sampled_frames", 4)
    base = base.at("training.mixup", 0.3)
    keys = {base.key: "nothing"}
    for name, value in base.flat().items():
        if name in ("data.dataset", "model.family", "data.fingerprint"):
            continue
        other = {
            "data.views.spectrogram": "ast",
            "data.views.windows": "random",
            "model.fusion": "self_attention",
            "model.modalities": "audio",
            "model.readout": "mean_each",
            "model.gelu": "exact",
            "model.head_init": "zeros",
            "training.optimizer": "sgd",
            "training.precision": "bfloat16",
            "model.tubelet": "1,8,4",
            "model.patch": "3,7",
            "model.share_weights": "true",
            "model.sampling": "released",
            "training.mixup_independent": "true",
        }.get(name)
        if other is None:
            other = value + 1 if isinstance(value, int) else value / 2 + 0.013
        assert keys.setdefault(base.at(name, other).key, name) == name


def test_other_clips_are_another_run():
    base = recipe("synthetic")
    other = replace(base, data=replace(base.data, fingerprint="other"))
    assert other.key != base.key


def test_datasets_with_the_same_fields_do_not_share_a_key():
    views = recipe("synthetic").data.views
    keys = {Experiment(data=kind(views=views)).key for kind in (Synthetic, GridCorpus)}
    assert len(keys) == 2


@pytest.mark.parametrize("fusion", ["late", "bottleneck", "cross_attention", "self_attention"])
def test_fusion_that_never_starts_is_late_fusion(fusion):
    late = MBT(fusion="late", depth=5, fusion_layer=0).canonical()
    assert MBT(fusion=fusion, depth=5, fusion_layer=5).canonical() == late
    assert (late.fusion_layer, late.bottlenecks) == (5, 0)


def test_a_bottleneck_of_no_tokens_is_late_fusion():
    none = MBT(fusion="bottleneck", bottlenecks=0, fusion_layer=3)
    assert none.canonical() == MBT(fusion="late").canonical()


def test_bottlenecks_fall_away_where_no_line_has_fsn():
    assert MBT(fusion="cross_attention", bottlenecks=7).canonical().bottlenecks == 0
    assert MBT(fusion="bottleneck", bottlenecks=7).canonical().bottlenecks == 7
    hub = "each <- each fsn; fsn <- all fsn"
    assert MBT(fusion=hub, bottlenecks=7).canonical().bottlenecks == 7


def test_a_wiring_that_has_a_name_goes_by_it():
    assert MBT(fusion="each <- all").canonical().fusion == "cross_attention"
    assert MBT(fusion="video fsn <- video fsn then audio fsn <- audio fsn").canonical().fusion == (
        "bottleneck_video_first"
    )
    assert MBT(fusion="fsn <- all fsn").canonical().fusion == "fsn <- all fsn"


@pytest.mark.parametrize("fusion", ["cross_attention", "self_attention", "bottleneck", "late"])
def test_all_strategies_of_one_modality_are_one_run(fusion):
    alone = MBT(fusion=fusion, modalities=("audio",)).canonical()
    assert alone == MBT(fusion="late", modalities=("audio",)).canonical()


def test_the_order_of_modalities_is_no_other_run():
    assert MBT(modalities=("video", "audio")).canonical().modalities == ("audio", "video")


def test_a_setting_of_another_optimizer_falls_away():
    sgd = Training(optimizer="sgd", beta2=0.5)
    assert sgd.canonical() == Training(optimizer="sgd")
    assert Training(optimizer="adamw", beta2=0.5).canonical().beta2 == 0.5


def test_a_record_is_read_back_as_it_was():
    changes = {
        "mbt": {"model.tubelet": "2,3,5", "model.share_weights": "true"},
        "attend_fusion": {"model.widths": "2,3,5", "model.attended": "audio"},
    }
    for name in RECIPES:
        base = recipe(name)
        for field, value in changes[base.model.family].items():
            base = base.at(field, value)
        assert Experiment.from_record(json.loads(json.dumps(base.record()))) == base


def test_a_record_too_old_to_know_a_field_has_its_default():
    record = Experiment().record()
    del record["model"]["gelu"], record["training"]
    assert Experiment.from_record(record) == Experiment()


def test_a_record_of_a_newer_schema_is_refused():
    with pytest.raises(MbtError, match="update mbt-cli"):
        Experiment.from_record(Experiment().record() | {"schema": module.SCHEMA + 1})


def test_a_record_of_an_unknown_kind_is_refused():
    record = Experiment().record()
    record["model"]["family"] = "perceiver"
    with pytest.raises(MbtError, match="perceiver"):
        Experiment.from_record(record)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model.width", "192", 192),
        ("training.learning_rate", "1e-3", 1e-3),
        ("training.learning_rate", "2", 2.0),
        ("model.share_weights", "True", True),
        ("model.tubelet", "2, 8,8", (2, 8, 8)),
        ("model.modalities", "video", ("video",)),
        ("model.gelu", "exact", "exact"),
        ("model.fusion", "each <- each; fsn <- all fsn", "each <- each; fsn <- all fsn"),
        ("data.views.size", "32", 32),
    ],
)
def test_text_is_read_as_the_type_of_its_field(name, text, value):
    found = recipe("synthetic").at(name, text).flat()[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("model.widht", "3", "Did you mean 'model.width'?"),
        ("model", "3", "No field is called 'model'"),
        ("model.width.x", "3", "No field is called"),
        ("data.fingerprint", "x", "No field is called"),
        ("model.family", "mbt", "No field is called"),
        ("model.width", "wide", "model.width takes a whole number, but got 'wide'."),
        ("training.epochs", "2.5", "training.epochs takes a whole number, but got '2.5'."),
        ("training.learning_rate", "fast", "takes a number"),
        ("model.share_weights", "yes", "takes true or false"),
        ("model.tubelet", "2,8", "takes 3 values, as in 2,8,8"),
        ("model.gelu", "tahn", "Did you mean 'tanh'?"),
    ],
)
def test_a_wrong_setting_is_one_sentence(name, text, sentence):
    with pytest.raises(MbtError) as caught:
        recipe("synthetic").at(name, text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("model.fusion_layer", 5, "choose 0 to 4"),
        ("model.fusion_layer", -1, "must be at least 0"),
        ("model.heads", 5, "multiple of model.heads"),
        ("model.depth", 0, "must be at least 1"),
        ("model.bottlenecks", -1, "must be at least 0"),
        ("model.mlp_ratio", 0, "must be above 0"),
        ("model.stochastic_depth", 1.0, "must be below 1"),
        ("model.tubelet", "0,8,8", "1 or more"),
        ("model.modalities", "audio,audio", "each modality once"),
        ("model.modalities", "audio,smell", "No modality of synthetic is called 'smell'"),
        ("training.learning_rate", "nan", "must be above 0"),
        ("training.batch_size", 0, "must be at least 1"),
        ("data.views.size", 0, "must be at least 1"),
        ("data.test", 0, "must be at least 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name, value, sentence):
    with pytest.raises(MbtError, match=sentence):
        recipe("synthetic").at(name, value).check()


def test_late_fusion_asks_nothing_of_the_fusion_layer():
    recipe("synthetic").at("model.fusion", "late").at("model.depth", 1).check()


def test_a_patch_larger_than_the_view_is_refused():
    with pytest.raises(MbtError, match="model.tubelet"):
        recipe("synthetic").at("model.tubelet", "9,8,8").check()


def test_runs_of_a_cell_differ_in_the_seed_alone():
    base = recipe("synthetic")
    assert base.at("training.seed", 3).cell == base.cell
    assert base.at("training.seed", 3).key != base.key
    assert base.at("model.width", 64).cell != base.cell


def test_evaluations_have_keys_of_their_own():
    others = Evaluation(split="validation"), Evaluation(fusion="late")
    assert len({e.key for e in (Evaluation(), *others)}) == 3


def test_every_field_says_what_it_is():
    for kind in (Experiment, Synthetic, GridCorpus, Views, MBT, Training, Evaluation):
        source = inspect.getsource(kind)
        for one in fields(kind):
            if one.name not in ("data", "model", "training", "views"):
                after = source.split(f"\n    {one.name}: ")[1]
                assert after.split("\n")[1].strip().startswith('"""'), one.name


def test_every_recipe_is_sound():
    for name in RECIPES:
        recipe(name).check()
    with pytest.raises(UnknownName, match="Did you mean 'synthetic'"):
        recipe("sinthetic")
