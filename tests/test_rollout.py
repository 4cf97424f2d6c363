"""Where an answer came from. Sizes are distinct primes, so no two axes can be confused."""

from itertools import product

import pytest
import torch
from torch.nn import functional as F

from mbt_cli import rollout as room
from mbt_cli.architecture import MBT as Spec
from mbt_cli.model.mbt import MBT
from mbt_cli.model.transformer import Attention
from mbt_cli.rollout import (
    LEARNED,
    captured,
    crossed,
    mixing,
    places_of,
    read_out,
    rollout,
    steps,
    traced,
)
from mbt_cli.spread import spread
from mbt_cli.wiring import FSN, FUSIONS, parse, reach

DEPTH, BOTTLENECKS, C = 5, 3, 13
SHAPES = {"audio": (1, 23, 17), "video": (3, 5, 13, 19)}
GRIDS = {"audio": [2, 3], "video": [2, 2, 2]}
TWO = ("audio", "video")
CROSS_TALK = "audio fsn <- audio; video <- fsn video audio; audio <- audio fsn then fsn <- video"
"""A wiring of nobody's: every way of crossing at once."""
CASES = list(product([*FUSIONS, CROSS_TALK], (0, 2, 4), (False, True)))


def model(fusion: str, fusion_layer: int = 2, **changes) -> MBT:
    torch.manual_seed(0)
    fields = {
        "depth": DEPTH, "width": 22, "heads": 11, "mlp_ratio": 1.5, "bottlenecks": BOTTLENECKS,
        "tubelet": (2, 5, 7), "patch": (11, 5), "head_init": "xavier", "position_std": 1.0,
    }  # fmt: skip
    made = MBT(Spec(fusion=fusion, fusion_layer=fusion_layer, **(fields | changes)), SHAPES, C)
    for module in made.modules():
        if isinstance(module, Attention):  # sharp attention: no two maps are alike
            torch.nn.init.normal_(module.qkv.weight, std=0.5)
    return made.eval()


def views(clips: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {m: torch.randn(clips, *shape, generator=generator) for m, shape in SHAPES.items()}


def mixings_of(made: MBT) -> list[torch.Tensor]:
    with captured(made) as maps, torch.inference_mode():
        made(views())
    return [mixing(step, mine, places_of(made)) for step, mine in steps(made, maps)]


def matrix_of(made: MBT) -> torch.Tensor:
    mixings = mixings_of(made)
    return traced(torch.eye(len(mixings[0])), mixings)


@pytest.mark.parametrize(("fusion", "layer", "share"), CASES)
def test_what_an_output_can_depend_on_is_where_its_rollout_is_not_zero(fusion, layer, share):
    made = model(fusion, layer, share_weights=share)
    places, matrix = places_of(made), matrix_of(made)
    after = reach(made.spec.wirings(), TWO)
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(matrix)))
    for target, source in product(TWO, TWO):
        block = matrix[places[target], places[source]]
        assert (block.sum() > 0) == (source in after[target])


@pytest.mark.parametrize(("fusion", "layer", "share"), CASES)
def test_the_ways_of_crossing_add_up_to_the_rollout_exactly(fusion, layer, share):
    made = model(fusion, layer, share_weights=share)
    places, mixings = places_of(made), mixings_of(made)
    matrix = traced(torch.eye(len(mixings[0])), mixings)
    for source, target in (TWO, TWO[::-1]):
        ways = crossed(source, mixings, places)
        whole = matrix[:, places[source]].sum(1)
        torch.testing.assert_close(ways.sum(1), whole)
        assert not ways[places[target], 0].any()


def test_content_that_has_crossed_stays_crossed_when_it_comes_back():
    made = model("self_attention", 0)
    ways = crossed("audio", mixings_of(made), places_of(made))
    assert (ways[places_of(made)["audio"], -1] > 0.01).all()


@pytest.mark.parametrize(("fusion", "layer"), [("late", 0), ("bottleneck", DEPTH - 1)])
def test_nothing_crosses_where_no_later_layer_reads(fusion, layer):
    _, found = rollout(model(fusion, layer), views())
    for crossing in found.crossings:
        assert sum(crossing.through) == crossing.directly == 0
        assert found.shares[crossing.target][crossing.source] == 0
    assert found.shares["video"]["video"] > 0


def test_bottleneck_fusion_crosses_through_its_tokens_alone_and_self_attention_through_none():
    _, by_tokens = rollout(model("bottleneck", 1), views())
    _, directly = rollout(model("self_attention", 1), views())
    for crossing in by_tokens.crossings:
        assert len(crossing.through) == BOTTLENECKS
        assert min(crossing.through) > 0 and crossing.directly == 0
        assert len(set(crossing.through)) == BOTTLENECKS
    for crossing in directly.crossings:
        assert crossing.through == () and crossing.directly > 0.1


def test_a_bottleneck_token_that_nobody_reads_carries_nothing():
    maps = {"in": torch.rand(8, 8), "out": torch.rand(8, 8)}
    places = {"audio": slice(0, 2), "video": slice(2, 5), FSN: slice(5, 8)}
    (step,) = parse("audio fsn <- audio fsn; video fsn <- video fsn", TWO)
    for name in maps:
        maps[name] = [torch.rand(5, 5).softmax(1), torch.rand(6, 6).softmax(1)]
    maps["out"][1][:, 4] = 0  # the second of the tokens, as video reads them
    maps["out"][1] /= maps["out"][1].sum(1, keepdim=True)
    mixings = [mixing(step, mine, places) for mine in maps.values()]
    row = torch.zeros(8)
    row[2:5] = 1 / 3
    through = (row @ crossed("audio", mixings, places))[1:-1]
    assert through[1] == 0 and (through[[0, 2]] > 0).all()


def test_two_tokens_by_hand():
    places = {"audio": slice(0, 1), "video": slice(1, 2), FSN: slice(2, 2)}
    (step,) = parse("video <- audio video", TWO)
    one = mixing(step, [torch.tensor([[0.6, 0.4]])], places)
    torch.testing.assert_close(one, torch.tensor([[1.0, 0.0], [0.3, 0.7]]))
    (back,) = parse("audio <- video", TWO)
    other = mixing(back, [torch.tensor([[1.0]])], places)
    torch.testing.assert_close(other, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    both = traced(torch.eye(2), [one, other])
    torch.testing.assert_close(both, torch.tensor([[0.65, 0.35], [0.3, 0.7]]))
    # audio's 0.65: 0.5 never left, 0.15 went over to video and came back
    torch.testing.assert_close(
        crossed("audio", [one, other], places), torch.tensor([[0.5, 0.15], [0.0, 0.3]])
    )


def test_a_stream_of_several_writers_takes_the_mean_of_their_maps():
    places = {"audio": slice(0, 1), "video": slice(1, 2), FSN: slice(2, 3)}
    (step,) = parse("bottleneck", TWO)
    audio, video = torch.tensor([[0.1, 0.9], [0.3, 0.7]]), torch.tensor([[0.2, 0.8], [0.6, 0.4]])
    found = 2 * mixing(step, [audio, video], places) - torch.eye(3)
    torch.testing.assert_close(
        found, torch.tensor([[0.1, 0, 0.9], [0, 0.2, 0.8], [0.15, 0.3, 0.55]])
    )


@pytest.mark.parametrize("fusion", ["cross_attention", "bottleneck_audio_first"])
def test_the_maps_are_the_attention_really_used(fusion):
    """One head: its map times its values is the attention's output, line by line."""
    made, outputs, values = model(fusion, 1, heads=1, share_weights=True), [], []

    def keep(attention, inputs, output):
        outputs.append(output[0])
        values.append(attention.project(*inputs)[2][0, 0])

    attentions = {m for m in made.modules() if isinstance(m, Attention)}
    for attention in attentions:
        attention.register_forward_hook(keep)
    with captured(made) as maps, torch.inference_mode():
        made(views())
        outs = [m.out for m in attentions]
        assert len(maps) == len(outputs) > len(attentions)
        for turn, (weights, value, output) in enumerate(zip(maps, values, outputs, strict=True)):
            layer = made.layers[min(turn // 2, DEPTH - 1)]
            out = layer.blocks[0].attention.out
            assert out in outs
            torch.testing.assert_close(F.linear(weights @ value, out.weight, out.bias), output)


def test_heads_are_averaged():
    made = model("late")
    seen = []
    attention = made.layers[0].blocks[0].attention
    attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with captured(made) as maps, torch.inference_mode():
        made(views())
        q, k, _ = attention.project(*seen[0])
    per_head = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)[0]
    torch.testing.assert_close(maps[0], per_head.mean(0))


def test_shared_weights_keep_a_map_for_every_line():
    """By module, a layer's second line would overwrite its first."""
    made = model("cross_attention", 0, share_weights=True)
    with captured(made) as maps, torch.inference_mode():
        made(views())
    assert len(maps) == 2 * DEPTH
    audio, video = 1 + 2 * 3, 1 + 2 * 2 * 2
    assert [len(one) for one in maps[:2]] == [audio, video]


def test_capturing_ends_with_its_block_and_changes_no_answer():
    made = model("bottleneck")
    with torch.inference_mode():
        before = made(views())
        with captured(made) as maps:
            during = made(views())
        found = len(maps)
        made(views())
    assert len(maps) == found
    torch.testing.assert_close(before, during, rtol=0, atol=0)


def test_rows_sum_to_one_in_bfloat16_too():
    made = model("bottleneck")
    with torch.autocast("cpu", torch.bfloat16):
        _, found = rollout(made, views())
    assert sum(found.shares["audio"].values()) == pytest.approx(1, abs=1e-5)


def test_lines_that_did_not_run_and_rows_that_do_not_add_up_are_bugs():
    made = model("bottleneck")
    with captured(made) as maps, torch.inference_mode():
        made(views())
    with pytest.raises(RuntimeError, match="lines were to run"):
        steps(made, maps[1:])
    step, mine = steps(made, maps)[0]
    with pytest.raises(RuntimeError, match="off its sum by 0.005"):
        mixing(step, [mine[0] * 1.01, *mine[1:]], places_of(made))
    with pytest.raises(RuntimeError, match="off its sum"):
        mixing(step, [mine[0] * torch.nan, *mine[1:]], places_of(made))
    with pytest.raises(ValueError, match="unpack"), captured(made):
        made(views(clips=2))


@pytest.mark.parametrize("readout", ["cls", "mean_each", "mean_joint", "max_joint", "sum_joint"])
def test_the_answer_is_made_of_what_is_read_out(readout):
    made = model("bottleneck", readout=readout)
    places = places_of(made)
    rows = read_out(made.spec, places)
    audio, video = (place.stop - place.start for place in (places["audio"], places["video"]))
    cls = readout == "cls"
    assert (audio, video) == (6 + cls, 8 + cls) and places[FSN] == slice(14 + 2 * cls, 17 + 2 * cls)
    share = audio / (audio + video) if readout.endswith("joint") else 0.5
    assert float(rows["audio"].sum()) == pytest.approx(share)
    assert float(sum(rows.values()).sum()) == pytest.approx(1)
    tokens = [int(row.count_nonzero()) for row in rows.values()]
    assert tokens == ([1, 1] if cls else [audio, video])
    assert rows["video"][places["video"].start] > 0

    _, found = rollout(made, views())
    assert found.weights == {m: pytest.approx(float(row.sum())) for m, row in rows.items()}
    whole = sum(rows.values()) @ matrix_of(made)
    for m in TWO:
        patches = whole[places[m]][int(cls) :]
        torch.testing.assert_close(found.heat[m].flatten(), patches)
        assert list(found.heat[m].shape) == GRIDS[m]
        assert sum(found.shares[m].values()) == pytest.approx(1, abs=1e-6)
        mine = sum(found.weights[o] * found.shares[o][m] for o in TWO)
        assert mine == pytest.approx(float(patches.sum()), abs=1e-6)
    assert found.shares["audio"][LEARNED] > 0


def test_a_crossing_is_a_share_of_its_target():
    made = model("bottleneck", 0, readout="mean_each")
    _, found = rollout(made, views())
    assert [(one.source, one.target) for one in found.crossings] == [TWO, TWO[::-1]]
    for one in found.crossings:  # without CLS, all of a source's tokens are patches
        assert sum(one.through) == pytest.approx(found.shares[one.target][one.source], abs=1e-6)


def test_one_modality_alone_has_no_crossing():
    _, found = rollout(model("bottleneck", modalities=("video",)), views())
    assert found.crossings == () and found.weights == {"video": 1.0}
    assert set(found.shares["video"]) == {"video", LEARNED}


def test_a_rewired_model_is_rolled_out_as_it_runs():
    made = model("bottleneck", 0)
    made.rewire("late")
    _, found = rollout(made, views())
    assert found.shares["audio"]["video"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampled_frames": 3, "tubelet": (1, 5, 7)},
        {"sampled_frames": 2, "tubelet": (1, 5, 7), "sampling": "released"},
    ],
)
def test_spread_heat_is_constant_in_each_patch_and_nowhere_else(changes):
    made = model("late", **changes)
    for m, embed in made.embed.items():
        values = torch.randperm(len(embed.position) - 1).float().reshape(embed.grid)
        over = spread(embed, values, SHAPES[m][1:])
        assert over.shape == SHAPES[m][1:]
        patches = embed.patches(over[None, None])
        torch.testing.assert_close(patches, values.reshape(1, -1, 1).expand_as(patches))
        assert int(over.isfinite().sum()) == patches.numel()


def test_the_room_asserts_at_run_time(monkeypatch):
    monkeypatch.setattr(room, "EXACT", -1.0)
    with pytest.raises(RuntimeError, match="off its sum"):
        rollout(model("late"), views())
