"""Attend-Fusion: identities of its layers, what may depend on what, what is refused, a run."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn import Linear
from torch.testing import assert_close as close

from mbt_cli import measure, pace
from mbt_cli.architecture import MBT
from mbt_cli.architecture import AttendFusion as Spec
from mbt_cli.attention import attended
from mbt_cli.cost import cost
from mbt_cli.data.clips import Batch, Clips
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Features, YouTube8M
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.feed import normalised
from mbt_cli.grid import Grid
from mbt_cli.job import Job, execute
from mbt_cli.model import build
from mbt_cli.model.attend_fusion import AttendFusion, Dense, SelfAttention
from mbt_cli.model.masks import Dropout
from mbt_cli.prices import prices
from mbt_cli.probes import probed, probes, unprobed
from mbt_cli.record import Record
from mbt_cli.revisit import probe
from mbt_cli.runs import Run
from mbt_cli.scoring import evaluate
from mbt_cli.source import Source
from mbt_cli.train import fit
from mbt_cli.wiring import FSN, FUSIONS

B, N, C = 2, 3, 19
SHAPES = {"audio": (7, N), "video": (11, N)}
BOTH = ("audio", "video")
SMALL = Spec(
    widths=(13,), attention_layers=2, attention_width=35, chunks=5, fused_widths=(23, 17),
    dropout=0.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def model(shapes=SHAPES, **changes) -> AttendFusion:
    """In double precision; no bias is zero, and attention adds something."""
    spec = replace(SMALL, **changes)
    spec.check()
    spec.check_views(shapes)
    made = AttendFusion(spec, shapes, C).double().eval()
    for module in made.modules():
        if isinstance(module, Linear) and module.bias is not None:
            torch.nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, SelfAttention):
            torch.nn.init.xavier_uniform_(module.out.weight)
    return made


def views(shapes=SHAPES):
    return {m: torch.randn(B, *shape, dtype=torch.float64) for m, shape in shapes.items()}


def answer(made, seen):
    (logits,) = made(seen).values()
    return logits


def side_by_side(view):
    """Mean before deviation: all values of the first vector, then those of the next."""
    return torch.cat([view[:, :, i] for i in range(view.shape[2])], 1)


# What it computes


def test_without_attention_it_is_the_fully_connected_network():
    made, seen = model(attention_layers=0, widths=(13, 5)), views()
    encoded = []
    for m in BOTH:
        h = side_by_side(seen[m])
        for layer in made.encoders[m].dense:
            h = torch.relu(h @ layer.linear.weight.T + layer.linear.bias)
        encoded.append(h)
    h = torch.cat(encoded, 1)
    for layer in made.fused:
        h = torch.relu(h @ layer.linear.weight.T + layer.linear.bias)
    close(answer(made, seen), h @ made.head.weight.T + made.head.bias)
    assert [layer.linear.out_features for layer in made.fused] == [23, 17]


def test_late_fusion_attends_in_each_stream_before_they_are_put_side_by_side():
    made, seen = model(), views()
    encoded = []
    for m in BOTH:
        x = made.encoders[m].dense(side_by_side(seen[m])[:, None])
        for layer in made.encoders[m].attention:
            x = layer(x)
        encoded.append(x[:, 0])
    assert len(made.encoders["audio"].attention) == 2
    close(answer(made, seen), made.head(made.fused(torch.cat(encoded, 1))))


@pytest.mark.parametrize("heads", [1, 7])
def test_chunks_of_the_one_query_key_and_value_attend_to_one_another(heads):
    made = SelfAttention(13, 5, replace(SMALL, attention_width=5 * 7 * 3, heads=heads)).double()
    x = torch.randn(B, 1, 13, dtype=torch.float64)
    normed = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
    q, k, v = (  # (b, chunk, head, d), of the query's values in their order
        part.reshape(B, 5, heads, 21 // heads)
        for part in (normed @ made.qkv.weight.T + made.qkv.bias).chunk(3, -1)
    )
    read = torch.zeros_like(v)
    for b, h, i in product(range(B), range(heads), range(5)):
        scores = torch.stack([q[b, i, h] @ k[b, j, h] for j in range(5)])
        weights = (scores / (21 // heads) ** 0.5).softmax(0)
        close(made.heads_weights(x)[b, h, i], weights)
        read[b, i, h] = sum(w * v[b, j, h] for j, w in enumerate(weights))
    close(made(x), x + read.reshape(B, 1, 105) @ made.out.weight.T + made.out.bias)


def test_attention_is_watched_in_the_precision_of_its_weights_whatever_it_is_given():
    made = SelfAttention(13, 5, SMALL).double()
    x = torch.randn(B, 1, 13, dtype=torch.bfloat16)
    close(made.heads_weights(x), made.heads_weights(x.double()))


def test_one_token_reads_itself_which_is_two_projections():
    made = SelfAttention(13, 1, replace(SMALL, heads=5)).double()
    x = torch.randn(B, 1, 13, dtype=torch.float64)
    weight, bias = made.qkv.weight[-35:], made.qkv.bias[-35:]
    value = F.layer_norm(x, (13,)) @ weight.T + bias
    close(made(x), x + value @ made.out.weight.T + made.out.bias)
    assert (made.heads_weights(x) == 1).all()


def test_vectors_as_tokens_are_encoded_alone_read_one_another_and_are_averaged():
    made, seen = model(tokens="vectors", attention_layers=1, heads=7), views()
    encoded = []
    for m in BOTH:
        z = torch.stack([made.encoders[m].dense(seen[m][:, :, i]) for i in range(N)], 1)
        (layer,) = made.encoders[m].attention
        q, k, v = (y.reshape(B, N, 7, 5) for y in layer.qkv(F.layer_norm(z, (13,))).chunk(3, -1))
        weights = (torch.einsum("bnhd,bmhd->bhnm", q, k) / 5**0.5).softmax(-1)
        read = torch.einsum("bhnm,bmhd->bnhd", weights, v).reshape(B, N, 35)
        encoded.append((z + layer.out(read)).mean(1))
    close(answer(made, seen), made.head(made.fused(torch.cat(encoded, 1))))


@pytest.mark.parametrize("layers", [0, 2])
def test_the_order_of_segments_matters_just_where_they_are_one_vector(layers):
    seen = views()
    turned = {m: view[:, :, [2, 0, 1]] for m, view in seen.items()}
    for tokens, fusion in product(("vectors", "chunks", "one"), ("early", "late", "hybrid")):
        made = model(tokens=tokens, fusion=fusion, attention_layers=layers)
        same = torch.allclose(answer(made, seen), answer(made, turned), atol=1e-12)
        assert same == (tokens == "vectors")


def test_early_fusion_is_one_encoder_of_all_vectors_and_hybrid_fusion_both():
    seen, other = views(), ("video", "audio")
    joint = torch.cat([side_by_side(seen[m]) for m in BOTH], 1)
    for modalities in (BOTH, other):  # named in any order
        early = model(fusion="early", modalities=modalities)
        encoder = early.encoders["joint"]
        close(answer(early, seen), early.head(early.fused(encoder(joint[:, None]))))
        assert [*early.encoders] == ["joint"]
    hybrid = model(fusion="hybrid")
    parts = [hybrid.encoders[m](side_by_side(seen[m])[:, None]) for m in BOTH]
    parts.append(hybrid.encoders["joint"](joint[:, None]))
    close(answer(hybrid, seen), hybrid.head(hybrid.fused(torch.cat(parts, 1))))


def test_vectors_of_all_modalities_lie_side_by_side_place_by_place():
    made, seen = model(fusion="early", tokens="vectors"), views()
    joint = torch.cat([seen["audio"], seen["video"]], 1).mT
    close(answer(made, seen), made.head(made.fused(made.encoders["joint"](joint))))


@pytest.mark.parametrize("block", ["residual", "gated"])
def test_a_residual_layer_of_zero_weights_is_the_identity(block):
    layer = Dense(13, 13, replace(SMALL, block=block))
    torch.nn.init.zeros_(layer.linear.weight)
    torch.nn.init.zeros_(layer.linear.bias)
    x = torch.randn(B, 13)
    assert torch.equal(layer(x), x)


def test_a_layer_adds_to_its_input_and_a_gate_says_how_much():
    x = torch.randn(B, 13)
    for block, width in product(("plain", "residual", "gated"), (13, 5)):
        layer = Dense(13, width, replace(SMALL, block=block))
        h = torch.relu(layer.linear(x))
        if block == "gated":
            h = torch.sigmoid(h @ layer.gate.weight.T + layer.gate.bias) * h
        if block != "plain":
            h = h + (x if width == 13 else x @ layer.skip.weight.T)
        close(layer(x), h)


def test_the_block_is_that_of_every_fully_connected_layer():
    made = model(block="gated", widths=(13, 13), fusion="hybrid")
    layers = [one for one in made.modules() if isinstance(one, Dense)]
    assert len(layers) == 3 * 2 + 2 and all(one.gate is not None for one in layers)


def test_attention_is_where_it_is_asked_for():
    made = model(fusion="hybrid", attended=("audio", "joint"))
    assert {s: len(e.attention) for s, e in made.encoders.items()} == {
        "audio": 2, "video": 0, "joint": 2,
    }  # fmt: skip


def test_without_any_layer_the_vectors_themselves_are_classified():
    made, seen = model(attention_layers=0, widths=(), fused_widths=()), views()
    x = torch.cat([side_by_side(seen[m]) for m in BOTH], 1)
    close(answer(made, seen), x @ made.head.weight.T + made.head.bias)


# What depends on what


@pytest.mark.parametrize("tokens", ["chunks", "vectors", "one"])
@pytest.mark.parametrize("fusion", ["early", "late", "hybrid"])
def test_an_encoder_has_gradients_of_its_own_modality_alone_and_the_joint_one_of_all(
    fusion, tokens
):
    made = model(fusion=fusion, tokens=tokens)
    for stream, encoder in made.encoders.items():
        seen, found = {m: view.requires_grad_() for m, view in views().items()}, []
        hook = encoder.register_forward_hook(lambda *args, found=found: found.append(args[2]))
        made(seen)
        hook.remove()
        found[0].square().sum().backward()
        moved = {m for m, view in seen.items() if view.grad is not None and view.grad.any()}
        assert moved == ({*BOTH} if stream == "joint" else {stream})


@pytest.mark.parametrize("fusion", ["early", "late", "hybrid"])
def test_a_removed_modality_is_zeros_in_the_joint_stream_and_after_its_encoder(fusion):
    made, seen = model(fusion=fusion), views()
    whole = answer(made, seen)
    for gone in BOTH:
        made.rewire(fusion, (gone,))
        found = answer(made, seen)
        close(found, answer(made, seen | {gone: torch.randn_like(seen[gone])}), rtol=0, atol=0)
        made.rewire(fusion)
        hooks = [
            made.encoders[gone].register_forward_hook(lambda _, __, y: torch.zeros_like(y))
            for _ in range(gone in made.encoders)
        ]
        close(found, answer(made, seen | {gone: torch.zeros_like(seen[gone])}))
        for hook in hooks:
            hook.remove()
        assert not torch.allclose(found, whole)
        close(answer(made, seen), whole)


def test_a_modality_alone_has_one_encoder_and_needs_no_other_view():
    made = model(modalities=("video",), fusion="hybrid")
    assert [*made.encoders] == ["video"]
    answer(made, {"video": views()["video"]})


# How it begins


def test_weights_begin_by_xavier_and_biases_and_what_attention_adds_at_zero():
    made = build(replace(SMALL, block="gated", head_bias=-7.0), SHAPES, C)
    for name, parameter in made.named_parameters():
        if name == "head.bias":
            assert (parameter == -7).all()
        elif name.endswith(("bias", "out.weight")):
            assert not parameter.any(), name
        else:
            parts = parameter.chunk(3) if "qkv" in name else (parameter,)
            for part in parts:
                limit = (6 / sum(part.shape)) ** 0.5
                assert 0.8 * limit < part.abs().max() <= limit, name


def test_in_training_outputs_of_fully_connected_layers_are_dropped_and_the_rest_rescaled():
    drop, x = Dropout(0.4), torch.ones(101, 103)
    drop.train()
    found = drop(x)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert abs(float((found == 0).float().mean()) - 0.4) < 0.02
    assert torch.equal(drop.eval()(x), x)
    assert Dropout(0.0).train()(x) is x
    made = model(dropout=0.4, block="gated")
    assert sum(isinstance(one, Dropout) for one in made.modules()) == 2 + 2 + 2 * 2
    layer, x = (
        Dense(13, 103, replace(SMALL, dropout=0.4, block="gated")).train(),
        torch.randn(1, 13),
    )
    changed = layer(x) - layer.skip(x)
    whole = layer.eval()(x) - layer.skip(x)
    kept = changed.abs() > 1e-6
    close(changed[kept], whole[kept] / 0.6)
    assert (kept != (whole.abs() > 1e-6)).any()


def test_with_attention_a_new_model_answers_as_it_would_without():
    made = build(SMALL, SHAPES, C)
    bare = build(replace(SMALL, attention_layers=0), SHAPES, C)
    bare.load_state_dict({n: v for n, v in made.state_dict().items() if ".attention." not in n})
    seen = {m: view.float() for m, view in views().items()}
    close(answer(made.eval(), seen), answer(bare.eval(), seen))


def test_in_training_what_attention_adds_is_dropped_and_what_it_is_added_to_stays():
    layer = SelfAttention(103, 5, replace(SMALL, dropout=0.4)).train()
    x = torch.randn(1, 1, 103)
    added = layer(x) - x
    whole = layer.eval()(x) - x
    kept = added.abs() > 1e-6
    close(added[kept], whole[kept] / 0.6, atol=1e-5, rtol=1e-4)
    assert 0.3 < float(kept.float().mean()) < 0.9


# What is refused


def test_another_fusion_and_a_bottleneck_token_are_refused():
    made = model(fusion="hybrid")
    with pytest.raises(MbtError, match="late cannot run this model: .* here hybrid"):
        made.rewire("late")
    with pytest.raises(MbtError, match="without_token is 1, but Attend-Fusion has no bottleneck"):
        made.rewire("hybrid", (), 1)
    with pytest.raises(MbtError, match="leaves a bottleneck token out, but the model has none"):
        Evaluation(without_token=1).check(made.spec)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"attention_layers": -1}, "model.attention_layers must be at least 0, but is -1."),
        ({"attention_width": 0}, "model.attention_width must be at least 1, but is 0."),
        ({"heads": 0}, "model.heads must be at least 1, but is 0."),
        ({"chunks": 0}, "model.chunks must be at least 1, but is 0."),
        ({"dropout": -0.1}, "model.dropout must be at least 0, but is -0.1."),
        ({"dropout": 1.0}, "model.dropout must be below 1, but is 1.0."),
        ({"modalities": ()}, "model.modalities must name each modality once: ()."),
        ({"modalities": ("audio",) * 2},
         "model.modalities must name each modality once: ('audio', 'audio')."),
        ({"widths": (7, 0)}, "model.widths and model.fused_widths must be 1 or more each."),
        ({"fused_widths": (0,)}, "model.widths and model.fused_widths must be 1 or more each."),
        ({"attended": ("audio", "vidoe")},
         "No stream of model.attended is called 'vidoe'. Did you mean 'video'? There are: audio,"
         " joint, video."),
        ({"widths": ()},
         "model.widths names no layer, but attention needs vectors of one width: give one width at"
         " least, or set model.attention_layers to 0."),
        ({"heads": 2},
         "model.attention_width (35) must be a multiple of model.heads times model.chunks (10)."),
        ({"tokens": "vectors", "heads": 3},
         "model.attention_width (35) must be a multiple of model.heads (3)."),
    ],
)  # fmt: skip
def test_what_is_no_model_is_one_sentence(changes, sentence):
    with pytest.raises(MbtError) as told:
        replace(SMALL, **changes).check()
    assert str(told.value) == sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_width": 1, "chunks": 1},
        {"widths": (1,), "fused_widths": (1,)},
        {"widths": (), "fused_widths": (), "attention_layers": 0},
        {"attention_layers": 0, "heads": 2},
        {"tokens": "vectors", "heads": 7},
        {"modalities": ("audio",), "attended": ("audio", "joint"), "dropout": 0.99},
    ],
)
def test_what_is_a_small_model_is_one(changes):
    replace(SMALL, **changes).check()


def test_views_of_unlike_numbers_of_vectors_have_no_place_by_place():
    odd = {"audio": (7, 3), "video": (11, 5)}
    with pytest.raises(MbtError, match="not as many of them: {'audio': 3, 'video': 5}"):
        replace(SMALL, tokens="vectors", fusion="early").check_views(odd)
    for allowed in ({"tokens": "vectors", "fusion": "late"}, {"fusion": "hybrid"}):
        made = model(odd, **allowed)
        assert answer(made, views(odd)).shape == (B, C)


def test_pictures_and_sound_are_refused():
    with pytest.raises(MbtError, match=r"audio has the shape \(1, 23, 17\): ask it of a recipe"):
        SMALL.check_views({"audio": (1, 23, 17), "video": (3, 5, 13, 19)})


def test_what_attends_to_what_stays_where_nothing_attends_but_for_the_chunks():
    """Each vector by itself and then the mean is another network than all of them side by side."""
    bare = replace(SMALL, attention_layers=0)
    assert replace(bare, tokens="one", chunks=7).canonical() == bare.canonical()
    assert replace(bare, tokens="vectors").canonical() != bare.canonical()


def test_one_model_has_one_form_however_it_is_spelled():
    bare = replace(SMALL, attention_layers=0).canonical()
    for idle in ({"attended": ("audio",)}, {"attention_width": 7}, {"heads": 7}, {"chunks": 7}):
        assert replace(SMALL, attention_layers=0, **idle).canonical() == bare
    assert replace(SMALL, attended=("joint",)).canonical() == bare  # no late fusion has that stream
    assert replace(SMALL, attended=("video", "audio")).canonical() == SMALL.canonical()
    some = replace(SMALL, fusion="hybrid", attended=("video", "joint")).canonical()
    assert some.attended == ("joint", "video") and some.attention_width == SMALL.attention_width
    assert replace(SMALL, attended=("audio",)).canonical().attended == ("audio",)
    one = replace(SMALL, tokens="one")
    assert (
        replace(one, chunks=7).canonical() == one.canonical() != replace(one, heads=7).canonical()
    )
    assert replace(SMALL, chunks=7).canonical() != SMALL.canonical()
    alone = replace(SMALL, modalities=("video",))
    assert replace(alone, fusion="early").canonical() == alone.canonical()
    assert replace(SMALL, modalities=("video", "audio")).canonical() == SMALL.canonical()


# A run

LABELS = 7
TRAIN, VALIDATION, TEST = 41, 17, 13
VIEWS = Features(form="mean_std", audio_mean=0.1, video_std=0.5)


class Held(Clips):
    """Videos in memory: the first value of each modality tells a label, the rest is noise."""

    def __init__(self, classes=LABELS):
        random = np.random.default_rng(0)
        splits = ["train"] * TRAIN + ["validation"] * VALIDATION + ["test"] * TEST
        truth = random.random((len(splits), LABELS)) < 0.4
        entries = tuple(
            Entry(str(i), Path(), split, tuple(np.flatnonzero(row).tolist()))
            for i, (split, row) in enumerate(zip(splits, truth, strict=True))
        )
        names = tuple("abcdefg"[:LABELS])
        groups = {"early": ("a", "b"), "mixed": ("c", "g")}
        manifest = Manifest(entries, names, multi_label=True, fingerprint="", groups=groups)
        super().__init__(manifest.first(classes), {})
        self.arrays = {
            m: random.normal(0, 0.03, (len(splits), *shape)).astype(np.float16)
            for m, shape in VIEWS.shapes.items()
        }
        for array in self.arrays.values():
            array[:, :LABELS, 0] += 2 * truth

    def batches(self, wanted):
        for one in wanted:
            yield Batch(one.places, {m: self.arrays[m][one.places] for m in one.at})


class Kept:
    """A log in memory."""

    def __init__(self):
        self.rows = []

    def row(self, values):
        self.rows.append(values)

    def best(self, weights):
        pass

    def step(self, state, *, last):
        pass


def experiment(vocabulary=0, **changes) -> Experiment:
    model = replace(SMALL, dropout=0.1, widths=(29,), **changes)
    return Experiment(
        data=YouTube8M(classes=LABELS, vocabulary=vocabulary, views=VIEWS),
        model=model,
        training=Training(
            optimizer="adamw", learning_rate=3e-3, epochs=23, batch_size=8, warmup_epochs=0.0
        ),
    )


@pytest.fixture(scope="module")
def fitted():
    torch.set_num_threads(1)
    return fit(experiment(), Held(), log := Kept()), log


def test_a_run_learns_and_gives_the_same_weights_again(fitted):
    done, log = fitted
    losses = [row["loss"] for row in log.rows if "loss" in row]
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5])
    again = fit(experiment(), Held(), Kept())
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, done.model.state_dict()[name]), name
    assert evaluate(done.model, experiment(), Held(), Evaluation()).figures["mAP"] > 0.8


def test_what_is_dropped_depends_on_seed_and_step_alone():
    """Whatever was drawn before, and in however many parts a batch is learned from."""
    one = experiment().at("training.epochs", 1)
    rows = []
    for clips in (8, 3):
        held = Held()
        rows.append(_losses(one, held, clips))
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)
    assert rows[0] != pytest.approx(_losses(one.at("training.seed", 1), Held(), 8), rel=1e-3)
    assert rows[0] != pytest.approx(_losses(one.at("model.dropout", 0.0), Held(), 8), rel=1e-3)


def _losses(one, held, clips):
    log = Kept()
    with pytest.MonkeyPatch.context() as patch:
        from mbt_cli import train

        whole = train.gradients
        patch.setattr(
            train, "gradients", lambda *given: whole(*given[:4], min(clips, given[4]), given[5])
        )
        fit(one, held, log)
    return [row["loss"] for row in log.rows if "loss" in row]


def test_every_probe_of_it_can_be_asked(fitted):
    done, _ = fitted
    asked = probes(experiment())
    assert {*asked} == {
        "audio removed", "video removed", "audio averaged", "video averaged",
        "audio and video averaged", "audio shuffled", "video shuffled",
    }  # fmt: skip
    held = Held()
    whole = evaluate(done.model, experiment(), held, Evaluation())
    for name, how in asked.items():
        scored = evaluate(done.model, experiment(), held, how)
        assert not np.allclose(scored.scores, whole.scores), name
    seen = normalised({m: held.arrays[m][whole.places] for m in BOTH}, VIEWS, "cpu")
    with torch.inference_mode():
        close(torch.from_numpy(whole.scores), answer(done.model, seen))
        done.model.rewire("late", ("audio",))
        alone = answer(done.model, seen)
        done.model.rewire("late")
    removed = evaluate(done.model, experiment(), held, asked["audio removed"])
    close(torch.from_numpy(removed.scores), alone)


def test_sound_that_is_features_cannot_be_shifted(fitted):
    with pytest.raises(MbtError, match="trained on features, which have none: leave it out"):
        evaluate(fitted[0].model, experiment(), Held(), Evaluation(shift_ms=10))


def test_features_have_no_several_spans(fitted):
    with pytest.raises(MbtError, match="all of a video's are looked at: leave it out"):
        evaluate(fitted[0].model, experiment(), Held(), Evaluation(crops=3))


@pytest.mark.parametrize("tokens", ["chunks", "vectors", "one"])
def test_what_every_layer_of_attention_reads_is_watched(tokens):
    one = experiment(tokens=tokens, fusion="hybrid", attended=("audio", "joint"))
    made, held = build(one.model, VIEWS.shapes, LABELS), Held()
    lines = attended(made, one, held, "test")
    assert [(line.name, line.layer) for line in lines] == [
        (f"{stream} <- {stream}", layer) for stream in ("audio", "joint") for layer in (0, 1)
    ]
    n = {"chunks": 5, "vectors": 2, "one": 1}[tokens]
    seen = normalised({m: held.arrays[m][held.places("test")] for m in BOTH}, VIEWS, "cpu")
    encoder = made.encoders["audio"]
    with torch.inference_mode():
        x = encoder.dense(made.laid_out(seen["audio"]))
        weights = encoder.attention[1].heads_weights(encoder.attention[0](x))
    spread = -(weights * weights.log()).sum(-1).mean()
    for line in lines:
        (stream,) = line.reads
        assert line.clips == TEST
        assert line.shares == {stream: {stream: pytest.approx(1)}} and line.alike == {stream: 1}
        assert len(line.tokens[stream]) == n and sum(line.tokens[stream]) == pytest.approx(1)
        assert (line.entropy is None) == (tokens == "one")
    if n > 1:
        assert lines[1].entropy == pytest.approx(float(spread / np.log(n)), rel=1e-5)
    assert lines[1].tokens["audio"] == pytest.approx(weights.mean((0, 1, 2)).tolist(), rel=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_mbt_learns_from_vectors_and_is_probed_like_of_clips(fusion):
    model = MBT(fusion=fusion, fusion_layer=1, depth=3, width=22, heads=2, bottlenecks=3)
    one = replace(experiment(), model=model).at("training.epochs", 2)
    done, held = fit(one, Held(), Kept()), Held()
    whole = evaluate(done.model, one, held, Evaluation())
    asked = probes(one)
    assert ("token 3 removed" in asked) == (FSN in FUSIONS[fusion])
    for name, how in asked.items():
        found = evaluate(done.model, one, held, how)
        assert found.scores.shape == whole.scores.shape, name
    with pytest.raises(MbtError, match="trained on features"):
        evaluate(done.model, one, held, Evaluation(shift_ms=10))
    for line in attended(done.model, one, held, "test"):
        assert {m: len(given) for m, given in line.tokens.items()} == dict.fromkeys(line.reads, 3)
        assert sum(sum(given) for given in line.tokens.values()) == pytest.approx(1, abs=1e-5)


# A vocabulary


def test_the_first_classes_of_a_manifest_are_the_same_clips_with_fewer_labels():
    whole = Held().manifest
    few = whole.first(3)
    assert few.classes == ("a", "b", "c")
    assert few.groups == {"early": ("a", "b"), "mixed": ("c",)}
    assert [(e.name, e.split) for e in few.entries] == [(e.name, e.split) for e in whole.entries]
    for mine, theirs in zip(few.entries, whole.entries, strict=True):
        assert mine.labels == tuple(label for label in theirs.labels if label < 3)
    assert whole.first(LABELS) is whole


def test_a_run_learns_and_scores_the_first_classes_of_its_vocabulary():
    one, held = experiment(vocabulary=3).at("training.epochs", 1), Held(3)
    done = fit(one, held, Kept())
    scored = evaluate(done.model, one, held, Evaluation())
    assert done.model.head.out_features == scored.scores.shape[1] == 3
    assert {*scored.figures["classes"]} == {"a", "b", "c"}


def test_a_vocabulary_of_more_classes_than_there_are_is_refused():
    with pytest.raises(MbtError, match="data.vocabulary is 5, but there are 3 classes"):
        replace(experiment(), data=YouTube8M(vocabulary=5)).learns(3)


def test_a_run_from_its_first_record_to_its_probes(tmp_path):
    """Of a vocabulary, with what it reads; from arrays on disk."""
    held, folder = Held(), tmp_path / "arrays"
    folder.mkdir()
    for name, array in held.arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "ready.json").write_text('{"left_out": {}}')
    one = experiment(vocabulary=3, tokens="vectors").at("training.epochs", 2)
    source = Source(held.manifest, VIEWS, folder)
    price = cost(one, LABELS)
    job = Job(one, price, source, tmp_path / "run", "cpu", 1, 0.0, "best")
    execute(job, lambda _: None)
    run = Run(tmp_path / "run")
    assert run.facts["classes"] == ["a", "b", "c"]
    assert run.facts["groups"] == {"early": ["a", "b"], "mixed": ["c"]}
    scores = run.scores(Evaluation())
    assert scores["scores"].shape == scores["labels"].shape == (TEST, 3)
    first = held.labels(held.places("test"))[:, :3]
    assert (scores["labels"] == first).all()
    assert unprobed(run)
    probe(run, source, "cpu")
    found = probed(run)
    assert {one.name: one.meaning for one in found.probes}["audio removed"] == (
        "zeros in place of what was made of audio"
    )
    assert [line.name for line in found.attention] == [
        f"{m} <- {m}" for m in BOTH for _ in range(2)
    ]
    assert all(len(line.tokens[line.reads[0]]) == 2 for line in found.attention)
    assert set(found.shapley) == {*BOTH}


def test_clips_of_other_classes_are_refused_whatever_the_vocabulary(tmp_path):
    run = Run(tmp_path)
    Record(tmp_path).begin(experiment(vocabulary=3), {"classes": ["a", "b", "d"]})
    with pytest.raises(MbtError, match="knows 3 classes .* and these clips have 3 others"):
        probe(run, Source(Held().manifest, VIEWS, None), "cpu")


def test_it_is_measured_like_any_other_model(monkeypatch):
    for name, value in {"LEAST": 3, "MOST": 5, "ENOUGH_S": 0.0}.items():
        monkeypatch.setattr(pace, name, value)
    one = experiment(vocabulary=3)
    price = prices(Grid(lambda base: [base], x="model", by="model"), one)[0]
    assert (price.classes, price.cost) == (3, cost(one, LABELS))
    measure.check([price])
    found = measure.measure(measure.Job(one, price.classes, "cpu", 1), lambda _: None)
    assert found.passes == 3
