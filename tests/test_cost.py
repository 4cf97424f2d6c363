from dataclasses import replace
from itertools import product
from typing import get_args, get_type_hints

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mbt_cli.architecture import MBT, AttendFusion, Model
from mbt_cli.cost import (
    AS_PUBLISHED,
    COSTS,
    as_published,
    attend_fusion_cost,
    cost,
    mbt_as_published,
    mbt_cost,
    overhead,
    tokens,
)
from mbt_cli.dataset import Features, Synthetic, Views, YouTube8M
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.model import MODELS, build, fusion
from mbt_cli.model.count import counted, counted_model
from mbt_cli.published import CLASSES as PAPER_CLASSES
from mbt_cli.published import MODEL as PAPER
from mbt_cli.published import SHAPES as PAPER_SHAPES
from mbt_cli.recipes import RECIPES, recipe
from mbt_cli.wiring import FSN, FUSIONS

CLASSES = 13
SMALL = Experiment(
    data=Synthetic(views=Views(span_s=0.23, frames=5, size=19, mel_bins=17)),
    model=MBT(depth=3, width=22, heads=11, mlp_ratio=1.5, tubelet=(2, 5, 7), patch=(11, 5),
              bottlenecks=3, fusion_layer=1),
)  # fmt: skip
SHAPES = SMALL.data.views.shapes
READOUTS = get_args(get_type_hints(MBT)["readout"])
READ_BY_NOBODY = ("each <- each; fsn <- all fsn", "each <- each fsn; fsn <- all fsn")
OWN = (*READ_BY_NOBODY, "video <- audio", "audio fsn <- video then each <- fsn each")


def model_of(**fields):
    return replace(SMALL.model, **fields)


def agree(model, shapes=SHAPES):
    """The closed form is what torch counts, to the digit."""
    found = counted_model(model, shapes, CLASSES)
    assert found == mbt_cost(model.canonical(), shapes, CLASSES), model
    return found


@pytest.mark.parametrize("name", [*FUSIONS, *OWN])
def test_the_closed_form_is_what_torch_counts(name):
    """At every L_f and number of bottleneck tokens; sharing and read-outs in turn, so that every
    strategy, and every L_f and number, meets each of them."""
    start = [*FUSIONS, *OWN].index(name)
    numbers = (0, 1, 3) if "fsn" in FUSIONS.get(name, name) else (3, 3)
    for turn, (layer, b) in enumerate(product((0, 1, 2), numbers), start):
        share, readout = bool(turn % 2), READOUTS[turn % len(READOUTS)]
        agree(
            model_of(fusion=name, fusion_layer=layer, bottlenecks=b, share_weights=share,
                     readout=readout, depth=2)
        )  # fmt: skip


@pytest.mark.parametrize("readout", READOUTS)
def test_it_is_for_every_readout_of_one_modality_and_two(readout):
    for modalities in (("audio",), ("video",), ("video", "audio")):
        agree(model_of(readout=readout, pre_logits=17, modalities=modalities, depth=1))


@pytest.mark.parametrize("sampling", ["uniform", "released"])
def test_it_is_where_frames_are_sampled(sampling):
    counts = []
    for frames, shape in product((2, 3, 7), ((3, 5, 19, 19), (3, 8, 20, 14))):
        model = model_of(sampled_frames=frames, sampling=sampling, tubelet=(1, 5, 7), depth=1)
        shapes = SHAPES | {"video": shape}
        agree(model, shapes)
        counts.append(tokens(model, shapes)["video"])
    # 4 x 2 of 5 x 7 in a frame of 20 x 14; 19 leaves 4 over, which the released way joins
    each = {"uniform": (2, 3, 5, 2, 3, 7), "released": (2, 3, 5, 3, 3, 7)}[sampling]
    rows = [n * 19 // 5 if sampling == "released" else 3 * n for n in each[:3]]
    assert counts[::2] == [1 + 2 * row for row in rows]
    assert counts[1::2] == [1 + 8 * n for n in each[3:]]


@pytest.mark.parametrize("name", [*FUSIONS, *READ_BY_NOBODY])
def test_it_is_for_three_modalities(name):
    shapes = SHAPES | {"radar": (2, 29)}
    model = model_of(fusion=name, modalities=("video", "radar", "audio"), depth=2)
    agree(model, shapes)


VECTORS = {"audio": (7, 3), "video": (11, 3)}
DENSE = AttendFusion(widths=(13, 13, 5), attention_layers=2, attention_width=30, chunks=5,
                     fused_widths=(23, 17))  # fmt: skip


@pytest.mark.parametrize("block", ["plain", "residual", "gated"])
@pytest.mark.parametrize("fusion", ["early", "late", "hybrid"])
@pytest.mark.parametrize("tokens", ["chunks", "vectors", "one"])
def test_it_is_for_attend_fusion(fusion, block, tokens):
    """Of two modalities and of one, with attention in all encoders, in some and in none."""
    for modalities, attended, layers, widths in product(
        (("audio", "video"), ("video",)), ((), ("joint",), ("video",)), (0, 2), ((13, 13, 5), ())
    ):
        if layers and not widths:
            continue
        spec = replace(
            DENSE, fusion=fusion, block=block, tokens=tokens, modalities=modalities, widths=widths,
            attended=attended, attention_layers=layers, heads=2 + len(attended),
            fused_widths=widths[::-1],
        )  # fmt: skip
        spec.check()
        found = counted_model(spec, VECTORS, CLASSES)
        assert found == attend_fusion_cost(spec.canonical(), VECTORS, CLASSES), spec
        assert AS_PUBLISHED[spec.family](spec.canonical(), VECTORS, CLASSES) == found.macs


def test_it_is_for_attend_fusion_of_every_form_of_features():
    for form, kind in product(get_args(get_type_hints(Features)["form"]), ("chunks", "vectors")):
        views = Features(form=form, segments=5)
        one = Experiment(data=YouTube8M(views=views), model=replace(DENSE, tokens=kind))
        assert counted(one, CLASSES) == cost(one, CLASSES)


def test_attend_fusion_has_the_papers_72_million_parameters():
    """Means and deviations, 4,716 classes; the sum written out."""
    audio, video = (256 + 1) * 1024, (2048 + 1) * 1024
    attention = 3 * 4 * (1024 + 1) * 1024
    fused = (2048 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 4716
    one = Experiment(data=YouTube8M(classes=4716), model=AttendFusion())
    assert audio + video + 2 * attention + fused == 72_047_212
    assert cost(one, 4716).parameters == counted(one, 4716).parameters == 72_047_212
    assert abs(72_047_212 / 72e6 - 1) < 0.005


def test_fully_connected_late_fusion_has_the_papers_341_million_parameters():
    streams = (256 + 1) * 10_000 + (2048 + 1) * 10_000 + 2 * (10_000 + 1) * 10_000
    fused = (20_000 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 4716
    model = AttendFusion(widths=(10_000, 10_000), attention_layers=0)
    one = Experiment(data=YouTube8M(classes=4716), model=model)
    assert cost(one, 4716).parameters == counted(one, 4716).parameters == streams + fused
    assert abs((streams + fused) / 341e6 - 1) < 0.005


@pytest.mark.parametrize("name", [*FUSIONS, *OWN])
def test_it_is_for_the_strategies_of_mbt_on_vectors(name):
    for layer, many in product((0, 1, 2), (1, 3)):
        shapes = {m: (values, many) for m, (values, _) in VECTORS.items()}
        agree(model_of(fusion=name, fusion_layer=layer), shapes)


def test_a_run_costs_what_the_classes_cost_that_it_learns():
    for model in (DENSE, replace(SMALL.model, tubelet=(1, 1, 1))):
        few = Experiment(data=YouTube8M(vocabulary=5, views=Features(segments=3)), model=model)
        all_ = few.at("data.vocabulary", 0)
        assert cost(few, 13) == cost(all_, 5) == counted(few, 13) == counted(few, 5)
        assert as_published(few, 13) == as_published(all_, 5)
        assert cost(few, 13) != cost(all_, 13)


@pytest.mark.parametrize("name", RECIPES)
def test_it_is_for_every_recipe(name):
    assert counted(recipe(name), CLASSES) == cost(recipe(name), CLASSES)


def test_every_family_has_its_formulas():
    families = {one.family for one in get_args(Model)}
    assert set(COSTS) == set(AS_PUBLISHED) == set(MODELS) == families


def test_a_line_nobody_reads_costs_nothing():
    deaf, whispers = READ_BY_NOBODY
    late = agree(model_of(fusion="late"))
    assert agree(model_of(fusion=deaf)) == late
    # in the last layer nobody reads fsn any more: a block and its tokens fewer than in others
    heard = agree(model_of(fusion=whispers, fusion_layer=1)).parameters - late.parameters
    block = (agree(model_of(fusion="late", depth=4)).parameters - late.parameters) // 2
    assert heard == block + SMALL.model.bottlenecks * SMALL.model.width


def test_a_shared_layer_in_which_nobody_is_read_has_no_block():
    """Nobody reads what `fsn` is told: only the layers below it have a block."""
    silent = model_of(fusion="fsn <- all fsn", fusion_layer=1, share_weights=True)
    short = model_of(fusion="late", depth=1, share_weights=True)
    assert agree(silent) == agree(short)
    built = build(silent, SHAPES, CLASSES)
    with pytest.raises(MbtError, match="has 1 blocks a layer, and this model, .* has 0"):
        built.rewire("late")


@pytest.mark.parametrize("name", [*FUSIONS, *OWN])
def test_every_parameter_that_is_counted_is_used(name):
    torch.manual_seed(0)
    views = {m: torch.randn(1, *shape) for m, shape in SHAPES.items()}
    for turn, (layer, share) in enumerate(product((0, 2), (False, True))):
        spec = model_of(
            fusion=name, fusion_layer=layer, share_weights=share, readout=READOUTS[turn],
            pre_logits=7 * turn,
        )  # fmt: skip
        built = build(spec, SHAPES, CLASSES)
        sum(logits.sum() for logits in built(views).values()).backward()
        assert [n for n, p in built.named_parameters() if p.grad is None] == []
        total = sum(p.numel() for p in built.parameters())
        assert total == mbt_cost(spec.canonical(), SHAPES, CLASSES).parameters


def test_attention_is_not_lost_where_no_fused_kernel_is_counted():
    """Torch counts none of it on the CPU: there full self-attention would cost what late does."""
    late, full = (model_of(fusion=f, fusion_layer=0) for f in ("late", "self_attention"))
    more = agree(full).macs - agree(late).macs
    n, m = (tokens(late, SHAPES)[name] for name in ("audio", "video"))
    assert more == late.depth * 2 * late.width * ((n + m) ** 2 - n**2 - m**2) > 0


def officially(layer, z):
    """A layer as the official code runs it: every line over all its tokens, own rows kept."""
    for step in layer.steps():
        takes = {}
        for line, block in step:
            either = (*line.writes, *(s for s in line.reads if s not in line.writes))
            x = fusion.join(z, either)
            for stream, take in fusion.split(block(x, x), z, either):
                if stream in line.writes:
                    takes.setdefault(stream, []).append(take)
        z = z | {stream: torch.stack(some).mean(0) for stream, some in takes.items()}
    return z


@pytest.mark.parametrize(
    ("name", "share"), [*((f, False) for f in FUSIONS), ("cross_attention", True)]
)
def test_as_published_is_what_the_official_form_costs_for_the_same_output(name, share, monkeypatch):
    model = model_of(fusion=name, share_weights=share, head_init="xavier")
    torch.manual_seed(0)
    views = {m: torch.randn(2, *shape, dtype=torch.float64) for m, shape in SHAPES.items()}
    built = build(model, SHAPES, CLASSES).double()
    cheap = built(views)
    monkeypatch.setattr(fusion.Layer, "forward", officially)
    for m, logits in built(views).items():
        torch.testing.assert_close(logits, cheap[m], rtol=1e-9, atol=1e-9)
    found = counted_model(model, SHAPES, CLASSES)
    assert found.macs == mbt_as_published(model.canonical(), SHAPES, CLASSES)


@pytest.mark.parametrize("layer", range(4))
def test_cross_attention_as_published_is_a_block_over_all_tokens_for_each_modality(layer):
    """By hand: what `each <- all` saves in a fused layer is, for each modality, the rest's rows."""
    cross = SMALL.at("model.fusion", "cross_attention").at("model.fusion_layer", layer)
    d, h, length = 22, 33, tokens(cross.model, SHAPES)
    n, m = length["audio"], length["video"]
    block = 4 * (n + m) * d * d + 2 * (n + m) ** 2 * d + 2 * (n + m) * d * h
    alone = sum(4 * k * d * d + 2 * k * k * d + 2 * k * d * h for k in (n, m))
    late = cost(SMALL.at("model.fusion", "late"), CLASSES).macs
    assert as_published(cross, CLASSES) == late + (3 - layer) * (2 * block - alone)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        x = torch.empty(1, n + m, d)
        fusion.Block(d, 11, h, "tanh", 1e-6, 0.0)(x, x)
    assert counter.get_total_flops() == 2 * block


@pytest.mark.parametrize("name", [*FUSIONS, *OWN])
def test_as_published_is_never_below_and_differs_only_where_a_line_reads_others(name):
    reads_others = ("cross_attention", *OWN[1:])
    for layer in range(4):
        one = SMALL.at("model.fusion", name).at("model.fusion_layer", layer)
        extra = as_published(one, CLASSES) - cost(one, CLASSES).macs
        assert extra > 0 if name in reads_others and layer < 3 else extra == 0, (layer, extra)


def test_parameters_are_those_of_the_official_tree():
    # vitb_param_tree: rgb 32 x 224 x 224 in 2 x 16 x 16 tubelets, spectrogram 800 x 128, 3 channels
    shapes = {"audio": (3, 800, 128), "video": (3, 32, 224, 224)}
    model = replace(PAPER, fusion_layer=8)
    assert mbt_cost(model, shapes, PAPER_CLASSES).parameters == 175_009_295


def test_tokens_of_the_papers_setting():
    assert tokens(PAPER, PAPER_SHAPES) == {"audio": 201, "video": 785, FSN: 5}


def test_a_gflop_is_half_a_gmac():
    price = cost(SMALL, CLASSES)
    assert price.gflops == 2 * price.gmacs == 2 * price.macs / 1e9


def test_overhead_is_over_late_fusion_of_the_same_model():
    late = cost(SMALL.at("model.fusion", "late"), CLASSES).macs
    assert overhead(SMALL.at("model.fusion", "late"), CLASSES) == 0
    assert overhead(SMALL, CLASSES) == cost(SMALL, CLASSES).macs / late - 1 > 0
