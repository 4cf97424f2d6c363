"""What a network is, before there is one."""

import pytest

from mbt_cli.architecture import MBT
from mbt_cli.errors import MbtError
from mbt_cli.wiring import FUSIONS, layers, parse

TWO = ("audio", "video")


def test_frames_are_taken_at_a_uniform_stride():
    spec = MBT(sampled_frames=3)
    assert spec.frames(7) == [2, 4, 5]
    assert spec.frames(16) == [4, 8, 12]
    assert spec.frames(3) == [0, 1, 2] and spec.frames(2) == [0, 1]
    assert MBT().frames(4) == [0, 1, 2, 3]
    assert MBT(sampled_frames=1).frames(2) == [1]
    assert MBT(sampled_frames=2).frames(8) == [3, 5]


def test_as_released_rounding_may_take_one_frame_more():
    spec = MBT(sampled_frames=2, sampling="released")
    assert spec.frames(8) == [3, 5, 7]
    assert spec.frames(4) == [1, 3, 3]
    assert spec.frames(5) == [2, 3]


def test_only_a_video_is_sampled():
    uniform, released = (MBT(sampled_frames=3, sampling=how) for how in ("uniform", "released"))
    assert uniform.cut((3, 7, 11, 13)) == (3, 3, 11, 13)
    assert released.cut((3, 7, 11, 13)) == (3, 1, 33, 13)
    for spec in (uniform, released):
        assert spec.cut((1, 7, 11)) == (1, 7, 11) and spec.cut((5, 7)) == (5, 7)
    assert MBT().cut((3, 7, 11, 13)) == (3, 7, 11, 13)


def test_frames_sampled_one_by_one_need_tubelets_of_one_frame():
    with pytest.raises(MbtError, match=r"takes single frames, but model.tubelet is 2 frames long"):
        MBT(sampled_frames=3, tubelet=(2, 16, 16)).check()
    MBT(sampled_frames=3).check()
    MBT(tubelet=(2, 16, 16)).check()


def test_how_frames_are_sampled_falls_away_where_all_are_taken():
    assert MBT(sampling="released").canonical() == MBT()
    assert MBT(sampling="released", sampled_frames=2).canonical().sampling == "released"


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_layers_run_are_those_of_the_strategy(fusion):
    spec = MBT(fusion=fusion, fusion_layer=1, depth=3)
    assert spec.wirings() == layers(fusion, 1, 3, TWO)
    assert len(MBT(fusion="late", fusion_layer=8, depth=3).wirings()) == 3


def test_without_bottleneck_tokens_no_line_has_them():
    assert MBT(bottlenecks=0, fusion_layer=0, depth=2).wirings() == layers("late", 2, 2, TWO)
    odd = MBT(fusion="audio <- audio fsn; video <- fsn", bottlenecks=0, fusion_layer=0, depth=1)
    assert odd.wirings() == [parse("audio <- audio", TWO)]


def test_a_wiring_whose_tokens_nobody_reads_is_late_fusion():
    beside = MBT(fusion="each <- each; fsn <- all fsn", fusion_layer=1, depth=3)
    assert beside.canonical() == MBT(fusion="late", depth=3).canonical()


def test_spaces_make_no_other_model():
    one, other = "each<-each fsn;fsn  <- all fsn", "each <- each fsn; fsn <- all fsn"
    assert MBT(fusion=one).canonical() == MBT(fusion=other).canonical()


@pytest.mark.parametrize(
    ("readout", "joint"),
    [("cls", False), ("mean_each", False), ("mean_joint", True), ("max_joint", True),
     ("sum_joint", True)],
)  # fmt: skip
def test_a_joint_readout_is_one_vector_for_all(readout, joint):
    assert MBT(readout=readout).joint is joint


BOUNDS = [
    ("depth", 1, 0, "at least 1"), ("width", 1, 0, "at least 1"), ("heads", 1, 0, "at least 1"),
    ("bottlenecks", 0, -1, "at least 0"), ("fusion_layer", 0, -1, "at least 0"),
    ("sampled_frames", 0, -1, "at least 0"), ("pre_logits", 0, -1, "at least 0"),
    ("mlp_ratio", 0.1, 0.0, "above 0"), ("norm_eps", 1e-12, 0.0, "above 0"),
    ("stochastic_depth", 0.0, -0.1, "at least 0"), ("position_std", 0.0, -0.1, "at least 0"),
    ("stochastic_depth", 0.9, 1.0, "below 1"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "good", "bad", "bound"), BOUNDS)
def test_a_field_out_of_its_bounds_is_one_sentence(field, good, bad, bound):
    fits = {"fusion_layer": 0, "heads": 1}
    MBT(**(fits | {field: good})).check()
    with pytest.raises(MbtError) as error:
        MBT(**(fits | {field: bad})).check()
    assert str(error.value) == f"model.{field} must be {bound}, but is {bad}."


def test_fusion_may_start_after_the_last_layer_and_not_later():
    MBT(fusion_layer=12, depth=12).check()
    with pytest.raises(MbtError) as error:
        MBT(fusion_layer=13, depth=12).check()
    assert str(error.value) == (
        "model.fusion_layer is 13, but the model has 12 layers: choose 0 to 12."
    )


@pytest.mark.parametrize(
    "changes", [{"tubelet": (0, 16, 16)}, {"tubelet": (1, 16, 0)}, {"patch": (16, 0)}]
)
def test_a_patch_of_no_extent_is_refused(changes):
    with pytest.raises(MbtError) as error:
        MBT(**changes).check()
    assert str(error.value) == "model.tubelet and model.patch must be 1 or more on each axis."


def test_what_a_wiring_says_without_bottleneck_tokens_may_have_a_name():
    assert MBT(fusion="each <- all fsn", bottlenecks=0).canonical().fusion == "cross_attention"
    assert MBT(fusion="each <- all fsn").canonical().fusion == "each <- all fsn"
