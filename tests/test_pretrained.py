"""Weights from elsewhere; that the official ones are read rightly is in test_golden.py."""

from dataclasses import replace
from math import isqrt

import numpy as np
import pytest
import torch

from mbt_cli.architecture import MBT as Spec
from mbt_cli.errors import MbtError
from mbt_cli.model.mbt import MBT
from mbt_cli.model.pretrained import ATTENTION, from_image_vit, from_official

D, HEADS, HIDDEN, C = 22, 11, 33, 13
SPEC = Spec(
    depth=2, width=D, heads=HEADS, mlp_ratio=1.5, fusion_layer=1, bottlenecks=4,
    tubelet=(3, 5, 7), patch=(5, 7),
)  # fmt: skip
SHAPES = {"audio": (3, 15, 14), "video": (3, 6, 10, 21)}
RNG = np.random.default_rng(0)


def dense(path, inputs, outputs, heads=()):
    yield f"{path}/kernel", (inputs, *(heads or (outputs,)))
    yield f"{path}/bias", heads or (outputs,)


def vit(depth=2, side=3, **more):
    """An image ViT with a CLS token, as the official code keeps it."""
    sizes = {"cls": (1, 1, D), "embedding/kernel": (5, 7, 3, D), "embedding/bias": (D,)}
    sizes["Transformer/posembed_input/pos_embedding"] = (1, 1 + side**2, D)
    sizes |= {f"Transformer/encoder_norm/{part}": (D,) for part in ("scale", "bias")}
    for layer in range(depth):
        block = f"Transformer/encoderblock_{layer}"
        for norm in ("LayerNorm_0", "LayerNorm_1"):
            sizes |= {f"{block}/{norm}/{part}": (D,) for part in ("scale", "bias")}
        for part in ("query", "key", "value"):
            sizes |= dict(dense(f"{block}/{ATTENTION}/{part}", D, D, (HEADS, D // HEADS)))
        sizes[f"{block}/{ATTENTION}/out/kernel"] = (HEADS, D // HEADS, D)
        sizes[f"{block}/{ATTENTION}/out/bias"] = (D,)
        sizes |= dict(dense(f"{block}/MlpBlock_0/Dense_0", D, HIDDEN))
        sizes |= dict(dense(f"{block}/MlpBlock_0/Dense_1", HIDDEN, D))
    sizes |= more
    return {name: RNG.standard_normal(size).astype(np.float32) for name, size in sizes.items()}


def test_all_of_it_fits_our_model_and_classifier_and_bottleneck_are_left():
    model = MBT(SPEC, SHAPES, C)
    found = model.load_state_dict(from_image_vit(vit(), SPEC, SHAPES), strict=False)
    assert not found.unexpected_keys
    assert set(found.missing_keys) == {"fsn", "head.weight", "head.bias"}


def test_every_modality_starts_as_the_vit():
    tree = vit()
    state = from_image_vit(tree, SPEC, SHAPES)
    for m in ("audio", "video"):
        np.testing.assert_array_equal(state[f"embed.{m}.cls"], tree["cls"][0])
    for layer in range(2):
        block = f"Transformer/encoderblock_{layer}/MlpBlock_0/Dense_0/kernel"
        for place in range(2):
            ours = state[f"layers.{layer}.blocks.{place}.mlp.0.weight"]
            np.testing.assert_array_equal(ours, tree[block].T)


def test_as_released_the_spectrograms_cls_stays_unless_it_is_alone():
    assert "embed.audio.cls" not in from_image_vit(vit(), SPEC, SHAPES, released=True)
    assert "embed.video.cls" in from_image_vit(vit(), SPEC, SHAPES, released=True)
    alone = replace(SPEC, modalities=("audio",))
    assert "embed.audio.cls" in from_image_vit(vit(), alone, SHAPES, released=True)


def test_without_cls_readout_there_is_no_cls_and_no_position_of_it():
    tree, spec = vit(side=3), replace(SPEC, readout="mean_each")
    state = from_image_vit(tree, spec, SHAPES)
    assert not [name for name in state if name.endswith("cls")]
    assert state["embed.video.position"].shape == (2 * 2 * 3, D)
    four = from_image_vit(tree, replace(spec, bottlenecks=6), SHAPES, released=True)["fsn"]
    assert four.shape == (6, D)


def test_positions_of_the_same_grid_are_copied_and_repeated_over_frames():
    tree = vit()
    table = tree["Transformer/posembed_input/pos_embedding"][0]
    shapes = {"audio": (3, 15, 21), "video": (3, 6, 15, 21)}
    state = from_image_vit(tree, SPEC, shapes)
    np.testing.assert_allclose(state["embed.audio.position"], table)
    ours = state["embed.video.position"]
    assert ours.shape == (1 + 2 * 9, D)
    np.testing.assert_allclose(ours[1:10], table[1:])
    np.testing.assert_allclose(ours[10:], table[1:])


def test_positions_are_resized_with_corners_on_corners():
    tree = vit()
    grid = tree["Transformer/posembed_input/pos_embedding"][0, 1:].reshape(3, 3, D)
    ours = from_image_vit(tree, SPEC, SHAPES)["embed.audio.position"][1:].reshape(3, 2, D)
    np.testing.assert_allclose(ours, grid[:, [0, 2]], rtol=1e-5, atol=1e-6)
    shapes = SHAPES | {"audio": (3, 15, 35)}  # 3 x 5: the new columns lie half way
    ours = from_image_vit(tree, SPEC, shapes)["embed.audio.position"][1:].reshape(3, 5, D)
    between = (grid[:, :-1] + grid[:, 1:]) / 2
    np.testing.assert_allclose(ours[:, 1::2], between, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sampling", ["uniform", "released"])
def test_sampled_frames_have_a_grid_each(sampling):
    spec = replace(SPEC, tubelet=(1, 5, 7), sampled_frames=4, sampling=sampling)
    shapes = SHAPES | {"video": (3, 9, 15, 21)}
    state = from_image_vit(vit(), spec, shapes)
    assert state["embed.video.position"].shape == (1 + 4 * 9, D)
    assert state["embed.video.project.weight"].shape == (D, 3 * 5 * 7)


def test_a_tubelet_has_the_kernel_in_its_central_frame_or_a_share_in_each():
    tree = vit()
    kernel = np.moveaxis(tree["embedding/kernel"], (-1, -2), (0, 1))
    central, average = (
        from_image_vit(tree, SPEC, SHAPES, tubelet=how)["embed.video.project.weight"]
        .reshape(D, 3, 3, 5, 7).numpy()
        for how in ("central", "average")
    )  # fmt: skip
    np.testing.assert_array_equal(central[:, :, 1], kernel)
    assert not central[:, :, [0, 2]].any()
    default = from_image_vit(tree, SPEC, SHAPES)["embed.video.project.weight"]
    assert default.dtype == torch.float32
    np.testing.assert_array_equal(default, central.reshape(D, -1))
    for frame in range(3):
        np.testing.assert_allclose(average[:, :, frame], kernel / 3, rtol=1e-5)


def test_a_view_of_one_channel_is_taken_for_three_alike():
    tree = vit()
    mono = SHAPES | {"audio": (1, 15, 14), "video": (1, 6, 10, 21)}
    one = MBT(SPEC, mono, C)
    three = MBT(SPEC, SHAPES, C)
    for model, shapes in ((one, mono), (three, SHAPES)):
        model.load_state_dict(from_image_vit(tree, SPEC, shapes), strict=False)
    for m, shape in mono.items():
        view = torch.randn(2, *shape)
        alike = view.repeat_interleave(3, 1)
        torch.testing.assert_close(one.embed[m](view), three.embed[m](alike), rtol=1e-4, atol=1e-4)


def test_pre_logits_are_taken_where_both_have_them():
    spec = replace(SPEC, pre_logits=D)
    more = dict(dense("pre_logits", D, D))
    tree = vit(**more)
    state = from_image_vit(tree, spec, SHAPES)
    np.testing.assert_array_equal(state["pre_logits.0.weight"], tree["pre_logits/kernel"].T)
    assert "norm.weight" in state
    assert "pre_logits.0.weight" not in from_image_vit(tree, SPEC, SHAPES)
    assert "pre_logits.0.weight" not in from_image_vit(vit(), spec, SHAPES)


@pytest.mark.parametrize(("tokens", "rows"), [(2, 1), (3, 1), (5, 2), (7, 2), (10, 3), (17, 4)])
def test_as_released_bottleneck_tokens_start_as_cls_and_a_grid_of_positions(tokens, rows):
    tree = vit()
    table = tree["Transformer/posembed_input/pos_embedding"][0]
    fsn = from_image_vit(tree, replace(SPEC, bottlenecks=tokens), SHAPES, released=True)["fsn"]
    np.testing.assert_array_equal(fsn[0], table[0])
    np.testing.assert_allclose(fsn[1], table[1], rtol=1e-5)
    assert fsn.shape == (tokens, D)
    if rows > 1:
        np.testing.assert_allclose(fsn[-1], table[-1], rtol=1e-4, atol=1e-5)
        columns = (tokens - 1) // rows
        np.testing.assert_allclose(fsn[columns], table[3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 6, 8, 12])
def test_a_number_that_makes_no_grid_is_one_sentence(tokens):
    spec = replace(SPEC, bottlenecks=tokens)
    with pytest.raises(MbtError) as error:
        from_image_vit(vit(), spec, SHAPES, released=True)
    rows = max(1, isqrt(tokens - 1))
    assert str(error.value) == (
        f"The released initialisation lays {tokens - 1} bottleneck tokens besides the one from CLS"
        f" out as a grid of {rows} rows, which leaves some over: choose another model.bottlenecks."
    )
    assert "fsn" not in from_image_vit(vit(), spec, SHAPES)


def test_without_cls_all_bottleneck_tokens_are_in_the_grid():
    spec = replace(SPEC, bottlenecks=5, readout="mean_joint")
    with pytest.raises(MbtError, match="lays 5 bottleneck tokens out as a grid of 2 rows"):
        from_image_vit(vit(), spec, SHAPES, released=True)


def test_another_patch_and_feature_vectors_are_one_sentence():
    with pytest.raises(MbtError, match=r"The ViT's patch is 5x7, but the model's is 3x7"):
        from_image_vit(vit(), replace(SPEC, patch=(3, 7)), SHAPES)
    with pytest.raises(MbtError, match=r"The ViT's patch is 5x7, but the model's is 5x3: make the"):
        from_image_vit(vit(), replace(SPEC, tubelet=(3, 5, 3)), SHAPES)
    with pytest.raises(MbtError, match=r"cannot initialise audio: its views are feature vectors"):
        from_image_vit(vit(), SPEC, SHAPES | {"audio": (5, 7)})


def test_a_wiring_the_official_code_has_not_is_one_sentence():
    spec = replace(SPEC, fusion="self_attention")
    with pytest.raises(MbtError) as error:
        from_image_vit(vit(), spec, SHAPES)
    assert str(error.value) == (
        "The official code has a block for each modality or one for all, and none for 'audio video'"
        " alone: set model.share_weights=true, or choose another model.fusion."
    )
    with pytest.raises(MbtError, match="none for 'audio video' alone"):
        from_official({}, spec)
    with pytest.raises(MbtError, match="none for 'fsn' alone"):
        from_official({}, replace(SPEC, fusion="each <- each fsn; fsn <- all fsn", fusion_layer=0))
    assert from_image_vit(vit(), replace(spec, share_weights=True), SHAPES)


def test_a_vit_of_fewer_layers_names_what_it_lacks():
    with pytest.raises(KeyError, match="encoderblock_1"):
        from_image_vit(vit(depth=1), SPEC, SHAPES)
