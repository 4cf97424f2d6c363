"""Probes: what exactly is taken from a trained model, and what the answers come to."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise, permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PAIR, TINY
from rendered import noise, render

from mbt_cli.architecture import MBT as Spec
from mbt_cli.attention import Watch, attended
from mbt_cli.claim import claimed
from mbt_cli.cost import cost
from mbt_cli.data import make_ready, one_by_one
from mbt_cli.data.clips import Batch, Clips
from mbt_cli.data.excerpt import excerpt
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.data.views import audio_view
from mbt_cli.dataset import Views
from mbt_cli.disguise import ROWS_HZ, Disguises, delayed, mean_views, partners
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.executors import Here
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.feed import normalised, spans
from mbt_cli.job import Job, execute
from mbt_cli.loss import loss
from mbt_cli.model import build
from mbt_cli.model.mbt import predict
from mbt_cli.model.transformer import Attention
from mbt_cli.probes import COLLAPSED, Attended, probed, probes, shapley, unprobed
from mbt_cli.recipes import recipe
from mbt_cli.revisit import Visit, evaluate_again, probe, visit
from mbt_cli.rollout import captured
from mbt_cli.runs import Run, finished
from mbt_cli.scoring import evaluate, evaluations
from mbt_cli.source import Source
from mbt_cli.stream import Streamed
from mbt_cli.wiring import FUSIONS, Line, matched, parse, without

VIEWS = Views(span_s=0.23, frames=5, size=13, mel_bins=17, audio_mean=-3.0, audio_std=2.0)
TEST, VALIDATION, C = 19, 11, 3
BOTH = ("audio", "video")
BOTTLENECKS = [name for name in FUSIONS if "bottleneck" in name]


class Held(Clips):
    """Clips in memory, each as long as what is shown of it."""

    def __init__(self, lost=(), groups=("",)):
        random = np.random.default_rng(0)
        splits = ["test"] * TEST + ["validation"] * VALIDATION
        entries = tuple(
            Entry(str(i), Path(), split, (i % C,), 0.0, 0.23, group=groups[i % len(groups)])
            for i, split in enumerate(splits)
        )
        super().__init__(Manifest(entries, ("a", "b", "c"), multi_label=False, fingerprint=""), {})
        n, shapes = len(splits), VIEWS.shapes
        self.arrays = {
            "audio": random.normal(-3, 2, (n, *shapes["audio"])).astype(np.float16),
            "video": random.integers(0, 255, (n, *shapes["video"]), np.uint8),
        }
        self.gone, self.asked = lost, []

    def batches(self, wanted):
        for one in wanted:
            self.asked.append(one)
            kept = one.places[~np.isin(one.places, self.gone)]
            views = {m: self.arrays[m][kept] for m in one.at} if len(kept) else {}
            yield Batch(kept, views)


def experiment(fusion="bottleneck", **changes) -> Experiment:
    fields = {
        "depth": 5, "width": 22, "heads": 11, "mlp_ratio": 1.5, "bottlenecks": 3, "fusion_layer": 2,
        "tubelet": (2, 5, 7), "patch": (11, 5), "head_init": "xavier", "position_std": 1.0,
    }  # fmt: skip
    base = recipe("folder")
    model = Spec(fusion=fusion, **(fields | changes))
    return replace(base, model=model, data=replace(base.data, views=VIEWS))


def trained(one: Experiment):
    """A model that no training has made dull: its attention is sharp."""
    torch.manual_seed(0)
    made = build(one.model, VIEWS.shapes, C).eval()
    for module in made.modules():
        if isinstance(module, Attention):
            torch.nn.init.normal_(module.qkv.weight, std=0.5)
    return made


def score(how=None, data=None, one=None, model=None):
    one = one or experiment()
    return evaluate(model or trained(one), one, data or Held(), how or Evaluation()).scores


def by_hand(model, arrays, rows):
    with torch.inference_mode():
        inputs = normalised({m: arrays[m][rows] for m in model.spec.modalities}, VIEWS, "cpu")
        return predict(model(inputs)).numpy()


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(("fusion", "gone"), list(product(FUSIONS, BOTH)))
def test_without_a_modality_the_blocks_of_the_other_run_the_wiring_without_it(fusion, gone, share):
    """Bottleneck tokens stay, and are read and written by the other modality alone."""
    one = experiment(fusion, share_weights=share)
    model, data, (left,) = trained(one), Held(), {*BOTH} - {gone}
    with torch.inference_mode():
        views = normalised({left: data.arrays[left][:TEST]}, VIEWS, "cpu")
        z = {left: model.embed[left](views[left])}
        if model.fsn is not None:
            z["fsn"] = model.fsn.expand(TEST, -1, -1)
        for layer in model.layers:
            blocks = {}
            for line, block in (both for step in layer.steps() for both in step):
                blocks |= {block: line} if left in line.writes else {}
            ((block, line),) = blocks.items()
            (rest,) = [one for step in without(((line,),), gone) for one in step]
            x, context = (torch.cat([z[s] for s in side], 1) for side in (rest.writes, rest.reads))
            sizes = [z[stream].shape[1] for stream in rest.writes]
            z |= dict(zip(rest.writes, block(x, context).split(sizes, 1), strict=True))
        answer = model.classify(model.norm(z[left][:, 0])).numpy()
    found = score(Evaluation(removed=(gone,)), one=one, model=model)
    np.testing.assert_allclose(found, answer, atol=1e-4)
    assert abs(found - score(one=one, model=model)).max() > 1e-3


@pytest.mark.parametrize("gone", BOTH)
@pytest.mark.parametrize("fusion", ["late", "cross_attention"])
def test_without_a_modality_a_model_is_that_of_the_other_one(fusion, gone):
    one = experiment(fusion)
    model, (left,) = trained(one), {*BOTH} - {gone}
    alone = experiment("late", modalities=(left,))
    other = build(alone.model, VIEWS.shapes, C).eval()
    turn = f".blocks.{BOTH.index(left)}."
    weights = {n.replace(turn, ".blocks.0."): v for n, v in model.state_dict().items()
               if gone not in n and (".blocks." not in n or turn in n)}  # fmt: skip
    other.load_state_dict(weights)
    found = score(Evaluation(removed=(gone,)), one=one, model=model)
    np.testing.assert_allclose(found, score(one=alone, model=other), atol=1e-5)


@pytest.mark.parametrize("fusion", BOTTLENECKS)
@pytest.mark.parametrize("gone", BOTH)
def test_without_a_modality_and_bottlenecks_the_other_encoder_answers_alone(fusion, gone):
    """And it is run by its own blocks, whatever the order of the strategy's lines."""
    one = experiment(fusion)
    model, data = trained(one), Held()
    found = score(Evaluation(removed=(gone,), fusion="late"), one=one, model=model)
    (left,) = {*BOTH} - {gone}
    with torch.inference_mode():
        x = model.embed[left](normalised({left: data.arrays[left][:TEST]}, VIEWS, "cpu")[left])
        for layer in model.layers:
            lines = [line for step in layer.steps() for line in step]
            (block,) = [block for line, block in lines if left in line.writes]
            x = block(x, x)
        answer = model.classify(model.norm(x[:, 0])).numpy()
    np.testing.assert_allclose(found, answer, atol=1e-5)


@pytest.mark.parametrize("fusion", BOTTLENECKS)
def test_without_its_only_bottleneck_token_a_model_is_its_late_fusion(fusion):
    one = experiment(fusion, bottlenecks=1)
    model = trained(one)
    off = score(Evaluation(fusion="late"), one=one, model=model)
    np.testing.assert_allclose(
        score(Evaluation(without_token=1), one=one, model=model), off, atol=1e-5
    )
    assert abs(off - score(one=one, model=model)).max() > 1e-3


@pytest.mark.parametrize("token", [1, 2, 3])
def test_without_a_token_a_model_has_the_others(token):
    one = experiment()
    model, fewer = trained(one), experiment(bottlenecks=2)
    other, weights = build(fewer.model, VIEWS.shapes, C), model.state_dict()
    kept = [i for i in range(3) if i + 1 != token]
    other.load_state_dict(weights | {"fsn": weights["fsn"][kept]})
    found = score(Evaluation(without_token=token), one=one, model=model)
    np.testing.assert_allclose(found, score(one=fewer, model=other), atol=1e-5)


@pytest.mark.parametrize("modality", BOTH)
def test_an_averaged_modality_shows_its_mean_over_the_validation_clips(modality):
    model, data = trained(experiment()), Held()
    arrays = {m: v[:TEST].astype(np.float32) for m, v in data.arrays.items()}
    mean = data.arrays[modality][TEST:].astype(np.float64).mean(0)
    arrays[modality][:] = mean
    found = score(Evaluation(averaged=(modality,)), data, model=model)
    np.testing.assert_allclose(found, by_hand(model, arrays, slice(TEST)), atol=1e-4)
    np.testing.assert_allclose(mean_views(data, BOTH)[modality], mean, rtol=1e-6)


def test_with_all_modalities_averaged_all_clips_have_one_answer():
    found = score(Evaluation(averaged=BOTH))
    np.testing.assert_allclose(found, found[:1].repeat(TEST, 0), atol=1e-6)


def test_nothing_can_be_averaged_without_validation_clips():
    with pytest.raises(MbtError, match="averaged shows the mean view over the validation clips"):
        score(Evaluation(averaged=("audio",)), Held(lost=range(TEST, TEST + VALIDATION)))


@pytest.mark.parametrize("modality", BOTH)
def test_a_shuffled_modality_is_that_of_the_partner_and_the_other_is_its_own(modality):
    model, data = trained(experiment()), Held()
    partner = partners(data.groups(range(TEST)))
    arrays = dict(data.arrays)
    arrays[modality] = data.arrays[modality][:TEST][partner]
    found = score(Evaluation(shuffled=modality), data, model=model)
    np.testing.assert_allclose(found, by_hand(model, arrays, slice(TEST)), atol=1e-5)


def test_what_a_model_does_not_look_at_may_be_shuffled_averaged_and_shifted():
    model = trained(experiment())
    torch.nn.init.zeros_(model.embed["audio"].project.weight)
    plain = score(model=model)
    for how in (Evaluation(shuffled="audio"), Evaluation(averaged=("audio",)),
                Evaluation(shift_ms=50)):  # fmt: skip
        assert np.array_equal(score(how, model=model), plain)
    for how in (Evaluation(shuffled="video"), Evaluation(averaged=("video",)),
                Evaluation(removed=("audio",))):  # fmt: skip
        assert abs(score(how, model=model) - plain).max() > 1e-3


@pytest.mark.parametrize("sizes", [(1,) * 7, (2, 3, 2), (5, 1, 1, 3), (3, 3), (1, 1)])
def test_every_clip_has_a_partner_of_another_group(sizes):
    groups = [str(i) for i, size in enumerate(sizes) for _ in range(size)]
    found = partners(groups)
    assert sorted(found) == [*range(len(groups))]
    assert all(groups[i] != groups[found[i]] for i in range(len(groups)))
    assert np.array_equal(found, partners(groups))


@pytest.mark.parametrize("sizes", [(7,), (5, 2), (2,), (3, 1)])
def test_no_clip_is_its_own_partner_where_one_group_is_most_of_them(sizes):
    found = partners([str(i) for i, size in enumerate(sizes) for _ in range(size)])
    assert sorted(found) == [*range(sum(sizes))] and all(found != np.arange(sum(sizes)))


def test_partners_are_no_neighbours():
    steps = (partners([str(i) for i in range(101)]) - np.arange(101)) % 101
    assert len({*steps.tolist()}) > 30


def test_a_single_clip_cannot_be_shuffled():
    with pytest.raises(MbtError, match="from another clip of the split, and there is none"):
        partners(["a"])


def test_groups_are_those_of_the_clips():
    data = Held(groups=("a", "b", "c"))
    show = Disguises(data, VIEWS, BOTH, [Evaluation(shuffled="audio")])
    assert all(
        data.manifest.entries[i].group != data.manifest.entries[j].group
        for i, j in zip(show.places, show.partner, strict=True)
    )


@pytest.mark.parametrize("shift_ms", [20, -30, 220, -220])
def test_shifted_sound_of_a_clip_that_holds_no_more_begins_or_ends_in_silence(shift_ms):
    model, data = trained(experiment()), Held()
    rows, silence = shift_ms // 10, np.log(np.float32(1e-3))
    arrays, sound = dict(data.arrays), data.arrays["audio"][:TEST]
    heard = np.full_like(sound, silence)
    if rows > 0:
        heard[:, :, rows:] = sound[:, :, :-rows]
    else:
        heard[:, :, :rows] = sound[:, :, -rows:]
    arrays["audio"] = heard
    found = score(Evaluation(shift_ms=shift_ms), data, model=model)
    np.testing.assert_allclose(found, by_hand(model, arrays, slice(TEST)), atol=1e-5)


def test_sound_that_is_shifted_out_of_the_clip_is_silence_alone():
    show = Disguises(Held(), VIEWS, BOTH, [Evaluation(shift_ms=230)])
    for late in (23, 29, -23, -400):
        heard = delayed(np.ones((2, 1, 23, 17), np.float16), np.array([late, late]), show.silence)
        assert np.array_equal(heard, np.stack([show.silence] * 2))


def test_rows_that_a_spectrogram_pads_stay_padded():
    """AST's: no row goes beyond the sound's end, and what is missing is zeros, no silence."""
    views = replace(VIEWS, spectrogram="ast", span_s=0.31)
    show = Disguises(Held(), views, BOTH, [Evaluation(shift_ms=20)])
    assert (show.silence[0, 29:] == 0).all() and (show.silence[0, :29] < -15).all()
    sound = np.arange(1, 32, dtype=np.float16)[None, None, :, None].repeat(17, 3)
    later, earlier = delayed(sound.repeat(2, 0), np.array([2, -3]), show.silence)
    assert later[0, :, 0].tolist() == [*show.silence[0, :2, 0], *range(1, 28), 0, 0]
    assert earlier[0, :, 0].tolist() == [*range(4, 30), *show.silence[0, :3, 0], 0, 0]


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """Three clips of 2.33 s, of which 0.23 s are shown, each amid a longer file."""
    folder, entries = tmp_path_factory.mktemp("clips"), []
    for k, split in enumerate(("test", "test", "validation")):
        path = render(folder / f"{k}.mov", times_s=tuple(np.arange(75) / 25), audio="pcm_s16le",
                      sound=noise(3, 16_000, seed=k), rate_hz=16_000)  # fmt: skip
        entries.append(Entry(f"clip{k}", path, split, (k % 2,), 0.3, 2.63))
    return Manifest(tuple(entries), ("a", "b"), multi_label=False, fingerprint="f")


@pytest.mark.parametrize("shift_ms", [200, -200, 10, 1000, -1030])
def test_shifted_sound_of_a_longer_clip_is_read_at_the_other_time(longer, shift_ms):
    clips = Streamed(longer, VIEWS, Here(), {})
    show = Disguises(clips, VIEWS, BOTH, [how := Evaluation(shift_ms=shift_ms)])
    batches = list(clips.batches(show.wanted(slice(2), 0.5)))
    places, shown = show.shown(how, 0.5, batches)
    assert places.tolist() == [0, 1]
    middle_s = 0.3 + (2.33 - 0.23) / 2
    for row, entry in enumerate(longer.entries[:2]):
        start_s = middle_s - shift_ms / 1000
        there = replace(entry, start_s=start_s, end_s=start_s + 0.23)
        assert np.array_equal(shown["audio"][row], excerpt(there, VIEWS, {"audio": 0.5})["audio"])
        assert np.array_equal(shown["video"][row], excerpt(entry, VIEWS, {"video": 0.5})["video"])


@pytest.mark.parametrize("shift_ms", [1100, -1100])
def test_sound_from_before_or_after_a_clip_is_silence_though_the_file_goes_on(longer, shift_ms):
    """Its room on either side is 1.05 s."""
    clips = Streamed(longer, VIEWS, Here(), {})
    show = Disguises(clips, VIEWS, BOTH, [how := Evaluation(shift_ms=shift_ms)])
    batches = list(clips.batches(show.wanted(slice(2), 0.5)))
    _, shown = show.shown(how, 0.5, batches)
    edge = excerpt(longer.entries[0], VIEWS, {"audio": float(shift_ms < 0)})["audio"]
    late = np.array([np.sign(shift_ms) * round(ROWS_HZ * 0.05)])
    assert np.array_equal(shown["audio"][:1], delayed(edge[None], late, show.silence))


def test_shuffled_sound_may_be_shifted_too():
    model, data = trained(experiment()), Held()
    partner, arrays = partners(data.groups(range(TEST))), dict(data.arrays)
    arrays["audio"] = delayed(
        data.arrays["audio"][:TEST][partner], np.full(TEST, 2),
        audio_view(np.zeros(3680, np.float32), 16_000, 17, 23).numpy(),
    )  # fmt: skip
    found = score(Evaluation(shuffled="audio", shift_ms=20), data, model=model)
    np.testing.assert_allclose(found, by_hand(model, arrays, slice(TEST)), atol=1e-5)


def test_evaluations_in_one_pass_are_what_each_is_alone_and_read_each_view_once(monkeypatch):
    """In three parts: the clips themselves, their partners, and sound at three other times."""
    monkeypatch.setattr("mbt_cli.scoring.BATCH", 7)
    one, data = experiment(), Held()
    hows = [Evaluation(), *probes(one).values(), Evaluation(shift_ms=50, averaged=("video",))]
    model = trained(one)
    many = evaluations(model, one, data, hows)
    seen = [one for one in data.asked if one.places[0] < TEST]
    assert [sorted(one.at) for one in seen] == [[*BOTH], [*BOTH], *[["audio"]] * 3] * 3
    for how, done in zip(hows, many, strict=True):
        assert np.array_equal(done.scores, score(how, one=one, model=model)), how
    assert np.array_equal(many[0].scores, score(one=one, model=model))


def test_evaluations_in_one_pass_are_of_the_same_spans():
    one = experiment()
    with pytest.raises(ValueError, match="as many crops"):
        evaluations(trained(one), one, Held(), [Evaluation(), Evaluation(crops=2)])


def test_a_clip_counts_only_where_all_that_is_shown_of_it_could_be_read():
    model, data = trained(experiment()), Held(lost=[5, 11])
    partner = partners(data.groups(range(TEST)))
    done = evaluate(model, experiment(), data, Evaluation(shuffled="audio"))
    kept = [i for i in range(TEST) if not {i, partner[i]} & {5, 11}]
    assert done.places.tolist() == kept and len(kept) < TEST - 2
    arrays = {"audio": data.arrays["audio"][:TEST][partner], "video": data.arrays["video"]}
    np.testing.assert_allclose(done.scores, by_hand(model, arrays, kept), atol=1e-5)


def test_a_model_is_as_it_was_after_every_probe_and_after_one_that_fails():
    one = experiment()
    model, arrays = trained(one), Held().arrays
    before = by_hand(model, arrays, slice(5))
    for how in probes(one).values():
        score(how, one=one, model=model)
        assert np.array_equal(by_hand(model, arrays, slice(5)), before), how
    with pytest.raises(MbtError, match="cannot run this model"):
        score(Evaluation(fusion="self_attention", removed=("audio",)), one=one, model=model)
    assert np.array_equal(by_hand(model, arrays, slice(5)), before)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (Evaluation(removed=("sound",)), "No modality of the model"),
        (Evaluation(shuffled="vidio"), "Did you mean 'video'?"),
        (Evaluation(removed=BOTH), "leaves nothing to answer from"),
        (Evaluation(removed=("audio",), averaged=("audio",)), "audio is named more than once"),
        (Evaluation(averaged=("video",), shuffled="video"), "video is named more than once"),
        (Evaluation(shift_ms=25), "give 20 or 30."),
        (Evaluation(shift_ms=-25), "give -30 or -20."),
        (Evaluation(shift_ms=10, removed=("audio",)), "no sound of the clip is heard"),
        (Evaluation(shift_ms=10, averaged=("audio",)), "no sound of the clip is heard"),
        (Evaluation(without_token=4), "the model has 3 bottleneck tokens"),
        (Evaluation(without_token=-1), "the model has 3 bottleneck tokens"),
    ],
)
def test_what_cannot_be_asked_of_a_model_is_one_sentence(how, sentence):
    with pytest.raises((MbtError, UnknownName)) as caught:
        score(how)
    assert sentence in str(caught.value)
    if how.without_token == 4:
        with pytest.raises(MbtError, match="but the model has none"):
            how.check(experiment("late").model)


def test_the_order_of_modalities_is_no_part_of_a_key():
    asked = Evaluation().at("averaged", "video, audio")
    assert asked.averaged == ("video", "audio")
    assert asked.key == Evaluation(averaged=BOTH).key != Evaluation(removed=BOTH).key
    assert asked.canonical() == Evaluation(averaged=BOTH)
    assert asked.at("averaged", "") == Evaluation()
    with pytest.raises(MbtError, match="takes a whole number"):
        Evaluation().at("without_token", "one")


def test_a_line_is_run_by_the_block_that_writes_its_modalities():
    late, first = parse("late", BOTH), parse("bottleneck_video_first", BOTH)
    assert matched(late, first) == [1, 0] and matched(late, late) == [0, 1]
    assert matched(parse("self_attention", BOTH), late) is None
    assert matched(late[0][:1] and (late[0][:1],), late) is None


def test_a_wiring_that_writes_other_modalities_together_cannot_run_the_blocks():
    with pytest.raises(MbtError, match="write other modalities together"):
        score(Evaluation(fusion="audio video <- all; fsn audio <- fsn"))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_run_has_the_probes_that_make_sense_for_it(fusion):
    one = experiment(fusion)
    found = probes(one)
    assert len({how.key for how in found.values()} - {Evaluation().key}) == len(found)
    for how in found.values():
        score(how, one=one)
    tokens = [name for name in found if name.startswith("token")]
    assert len(tokens) == (3 if "bottleneck" in fusion else 0)
    assert ("bottlenecks off" in found) == ("bottleneck" in fusion)
    assert ("fusion off" in found) == (fusion == "cross_attention")
    assert [how.shift_ms for how in found.values() if how.shift_ms] == [-100, 100]
    assert found["audio and video averaged"].averaged == BOTH
    assert {"audio removed", "video averaged", "audio shuffled", "video shuffled"} <= {*found}


def test_probes_are_of_the_clips_that_are_asked_for():
    base = Evaluation(split="validation", crops=2)
    assert all((how.split, how.crops) == ("validation", 2) for how in probes(
        experiment(), base).values())  # fmt: skip


def test_a_modality_alone_and_many_tokens_have_no_probes_of_their_own():
    assert probes(experiment("late", modalities=("audio",))) == {}
    for tokens, many in ((1, 0), (2, 2), (16, 16), (17, 0)):
        found = probes(experiment(bottlenecks=tokens))
        assert sum("token" in name for name in found) == many


def test_all_shifts_are_asked_where_the_clip_is_long_enough():
    one = experiment()
    for span_s, many in ((1.0, 6), (0.99, 4), (0.2, 2), (0.19, 0)):
        long = replace(one, data=replace(one.data, views=replace(VIEWS, span_s=span_s)))
        assert sum(bool(how.shift_ms) for how in probes(long).values()) == many


def orders(values):
    """Shapley values by their definition: over all orders in which players come together."""
    players = sorted(frozenset().union(*values))
    found = dict.fromkeys(players, 0.0)
    ways = list(permutations(players))
    for way in ways:
        for before, after in pairwise(frozenset(way[:k]) for k in range(len(way) + 1)):
            (player,) = after - before
            found[player] += (values[after] - values[before]) / len(ways)
    return found


@pytest.mark.parametrize("players", ["a", "ab", "abc", "abcde"])
def test_shapley_values_are_means_over_orders_and_add_up(players):
    random, sets = np.random.default_rng(0), [frozenset()]
    for player in players:
        sets += [one | {player} for one in sets]
    values = {one: float(random.random()) for one in sets}
    found = shapley(values)
    assert found == pytest.approx(orders(values))
    assert sum(found.values()) == pytest.approx(values[frozenset(players)] - values[frozenset()])


def test_a_player_that_adds_nothing_is_worth_nothing():
    values = {frozenset(): 0.25, frozenset("a"): 0.75, frozenset("b"): 0.25, frozenset("ab"): 0.75}
    assert shapley(values) == pytest.approx({"a": 0.5, "b": 0.0})


def lines_of(model, one=None) -> list[Attended]:
    return attended(model, one or experiment(), Held(), "test")


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_equal_attention_has_the_entropy_of_equal_shares(fusion, share):
    one = experiment(fusion, share_weights=share)
    model = trained(one)
    for module in model.modules():
        if isinstance(module, Attention):
            torch.nn.init.zeros_(module.qkv.weight)
    found = lines_of(model, one)
    assert [(line.layer, line.writes, line.reads) for line in found] == [
        (layer, line.writes, line.reads)
        for layer, wiring in enumerate(one.model.wirings()) for step in wiring for line in step
    ]  # fmt: skip
    for line in found:
        assert line.clips == TEST and len(line.heads) == 11 and not line.collapsed
        assert line.entropy == pytest.approx(1) and min(line.heads) == pytest.approx(1)
        assert {*line.shares} == {*line.writes}
        for shares in line.shares.values():
            assert shares == pytest.approx(line.alike) and sum(shares.values()) == pytest.approx(1)


def test_attention_on_one_key_has_collapsed():
    model = trained(experiment())
    for module in model.modules():
        if isinstance(module, Attention):
            module.qkv.weight.data *= 100
    found = lines_of(model)
    assert all(line.entropy < COLLAPSED and line.collapsed for line in found)
    assert not any(line.collapsed for line in lines_of(trained(experiment())))


def test_the_means_are_over_clips_heads_and_queries():
    model, data = trained(experiment()), Held()
    found = lines_of(model)
    sums = [0.0] * len(found)
    with torch.inference_mode():
        for clip in range(TEST):
            inputs = normalised({m: data.arrays[m][[clip]] for m in BOTH}, VIEWS, "cpu")
            with captured(model) as maps:
                model(inputs)
            for turn, weights in enumerate(maps):
                sums[turn] += float(weights[-3:, -3:].sum(1).mean()) / TEST  # fsn is last
    for line, mean in zip(found, sums, strict=True):
        if "fsn" in line.writes:
            assert line.shares["fsn"]["fsn"] == pytest.approx(mean, rel=1e-4)
            assert line.name in ("audio fsn <- audio fsn", "video fsn <- video fsn")


def test_entropy_is_that_of_each_query_not_of_their_mean():
    """Queries that each read one key of their own have none."""
    weights = torch.eye(7).expand(2, 11, 7, 7)
    watch = Watch(0, Line(("audio",), ("audio",)), {"audio": 7})
    watch.add(weights)
    watch.add(torch.full((3, 11, 7, 7), 1 / 7))
    seen = watch.seen()
    assert seen.clips == 5 and seen.entropy == pytest.approx(3 / 5)


def test_every_head_has_its_own_entropy():
    weights = torch.full((2, 3, 7, 7), 1 / 7)
    weights[:, 1] = torch.eye(7)
    watch = Watch(0, Line(("audio",), ("audio",)), {"audio": 7})
    watch.add(weights)
    assert watch.seen().heads == pytest.approx((1, 0, 1))
    assert watch.seen().entropy == pytest.approx(2 / 3)


def test_a_line_of_one_key_has_no_entropy():
    watch = Watch(0, Line(("audio",), ("fsn",)), {"audio": 7, "fsn": 1})
    watch.add(torch.ones(2, 11, 7, 1))
    assert watch.seen().entropy is None and not watch.seen().collapsed


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_scored_clips_is_that_of_training_over_all_of_them(smoothing, monkeypatch):
    monkeypatch.setattr("mbt_cli.scoring.BATCH", 7)
    one = experiment().at("training.label_smoothing", smoothing)
    model, data = trained(one), Held()
    done = evaluate(model, one, data, Evaluation(split="validation", crops=1))
    places = data.places("validation")
    with torch.inference_mode():
        inputs = normalised({m: data.arrays[m][places] for m in BOTH}, VIEWS, "cpu")
        truth = torch.from_numpy(data.labels(places))
        whole = loss(model(inputs), truth, False, smoothing)
    assert done.loss == pytest.approx(float(whole), rel=1e-5)
    twice = evaluate(model, one, data, Evaluation(split="validation", crops=2))
    assert twice.loss == pytest.approx(done.loss)  # each of its spans is the same


def test_reading_probes_needs_no_torch():
    code = "import sys; from mbt_cli.probes import probed; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_spans_of_no_shift_are_those_of_training():
    show = Disguises(Held(), VIEWS, BOTH, [Evaluation()])
    (plain,) = show.wanted(slice(5), 0.25)
    assert {m: v.tolist() for m, v in plain.at.items()} == {
        m: v.tolist() for m, v in spans(BOTH, 5, 0.25).items()
    }


@pytest.fixture(scope="module")
def run(longer, tmp_path_factory):
    """A finished run on clips longer than what is shown of them, in arrays; and its clips."""
    folder = tmp_path_factory.mktemp("run")
    names = ("train", "train", "validation", "test", "test", "test")
    entries = tuple(
        replace(longer.entries[i % 3], name=f"clip{i}", split=split, labels=(i % 2,))
        for i, split in enumerate(names)
    )
    manifest = replace(longer, entries=entries)
    one = replace(experiment(), training=replace(recipe("folder").training, epochs=1, batch_size=2))
    one = replace(one, data=replace(one.data, fingerprint="f"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MBT_CACHE", str(folder / "cache"))
        arrays = make_ready(one.data, manifest, one_by_one).folder
    source = Source(manifest, VIEWS, arrays)
    execute(Job(one, cost(one, 2), source, folder / "run", "cpu", 1, 9.0, "best"), lambda _: None)
    return Run(folder / "run"), source


def test_arrays_hold_one_span_so_shifted_sound_is_decoded(run):
    run, source = run
    how, files = Evaluation(shift_ms=-400), replace(source, folder=None)
    evaluate_again(run, [how], source, "cpu")
    found = run.scores(how)
    shutil.rmtree(run.evaluation(how))
    evaluate_again(run, [how], files, "cpu")
    assert np.array_equal(run.scores(how)["scores"], found["scores"])
    assert not np.array_equal(run.scores(Evaluation())["scores"], found["scores"])


def test_a_run_is_probed_once_and_what_is_missing_is_asked_again(run):
    run, source = run
    assert probed(run) is None and unprobed(run)
    assert visit(Visit(run.folder, source, "cpu", 1), lambda _: None)
    files = sorted(run.folder.rglob("evaluations/*/*.*"))
    asked = {how.key for how in (Evaluation(), *probes(run.experiment).values())}
    assert {path.parent.name for path in files} >= asked and len(asked) == 14
    times = {path: path.stat().st_mtime_ns for path in files}
    lost = run.evaluation(Evaluation(shuffled="video"))
    (lost / "evaluation.json").unlink()
    assert unprobed(run) and probed(run) is None
    with claimed(run.folder):
        assert not visit(Visit(run.folder, source, "cpu", 1), lambda _: None)
    assert unprobed(run)
    assert visit(Visit(run.folder, source, "cpu", 1), lambda _: None) and not unprobed(run)
    now = {path: path.stat().st_mtime_ns for path in sorted(files)}
    assert {path.parent for path in files if now[path] != times[path]} == {lost}
    (run.evaluation(Evaluation()) / "attention.json").unlink()
    assert unprobed(run) and probed(run) is None
    probe(run, source, "cpu")
    assert not unprobed(run)


def test_what_probes_say_is_read_from_the_record(run):
    run, source = run
    probe(run, source, "cpu")
    found, top1 = probed(run), run.figures(Evaluation())["top1"]
    assert (found.measure, found.as_trained) == ("top1", top1)
    assert {one.name: one.how for one in found.probes} == probes(run.experiment)
    for one in found.probes:
        assert one.value == run.figures(one.how)["top1"]
        assert one.change == one.value - top1
    nothing = run.figures(Evaluation(averaged=BOTH))["top1"]
    assert found.nothing == nothing
    assert sum(found.shapley.values()) == pytest.approx(top1 - nothing)
    alone = {m: run.figures(Evaluation(averaged=(m,)))["top1"] for m in BOTH}
    assert found.reliance == {m: top1 - alone[m] for m in BOTH}
    audio = (alone["video"] - nothing + top1 - alone["audio"]) / 2
    assert found.shapley["audio"] == pytest.approx(audio)
    assert "test top1 where every modality that is not there" in found.value_function
    assert [line.layer for line in found.attention] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert found.collapsed == tuple(line for line in found.attention if line.entropy < COLLAPSED)


def test_a_modality_is_worth_what_it_adds_alone_and_to_the_other(run, tmp_path):
    """What is averaged is what is not there."""
    run, source = run
    probe(run, source, "cpu")
    copy = Run(shutil.copytree(run.folder, tmp_path / run.key))
    values = {(): 0.9, ("audio",): 0.3, ("video",): 0.8, BOTH: 0.1}
    for some, value in values.items():
        file = copy.evaluation(Evaluation(averaged=some)) / "evaluation.json"
        found = json.loads(file.read_text())
        found["figures"]["top1"] = value
        file.write_text(json.dumps(found))
    found = probed(copy)
    assert found.shapley == pytest.approx({"audio": 0.65, "video": 0.15})
    assert found.reliance == pytest.approx({"audio": 0.6, "video": 0.1})


def test_probes_of_other_clips_stand_beside_those_of_its_own(run):
    run, source = run
    base = Evaluation(split="validation")
    assert probed(run, base) is None
    probe(run, replace(source, manifest=replace(source.manifest, entries=tuple(
        replace(entry, split="validation") if entry.split == "test" else entry
        for entry in source.manifest.entries))), "cpu", base)  # fmt: skip
    found = probed(run, base)
    assert found.as_trained == run.figures(base)["top1"]
    assert found.value_function.startswith("validation top1")
    assert found.attention[0].clips == 4


def said(done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_the_commands_probe_what_is_finished_once_and_say_what_cannot_be(mbt, tmp_path, logged):
    (tmp_path / "pair.py").write_text(PAIR)
    words = ("ablate", "--grid", tmp_path / "pair.py", *TINY, "--results", tmp_path / "results",
             "--seeds", 1, "--workers", 2, "--probes")  # fmt: skip
    none = mbt(*words, "--keep", "none", MLFLOW_TRACKING_URI=logged)
    assert none.returncode == 1 and "leave out --keep none" in none.stderr
    assert "Probing: 2 runs" in said(mbt(*words, MLFLOW_TRACKING_URI=logged))
    runs = {r.experiment.model.fusion: r for r in finished(tmp_path / "results").values()}
    assert all(probed(one) for one in runs.values())
    for one in runs.values():
        (told,) = [row["validation"] for row in one.curve() if "validation" in row]
        assert told["loss"] > 0 and "loss" not in one.status["validation"]
    again = said(mbt(*words, MLFLOW_TRACKING_URI=logged))
    assert "2 finished, 0 to do" in again and "Probing" not in again
    one = runs["bottleneck"]
    show = ("evaluate", one.key, "--probes", "--results", tmp_path / "results")
    shown, found = said(mbt(*show)), probed(one)
    for name in ("as trained", "sound 500 ms earlier", "token 4 removed", "Shapley value"):
        assert name in shown, name
    for one_probe in found.probes:
        assert f"{one_probe.name} {one_probe.meaning} {one_probe.value:.3f}" in shown
    assert f"as trained less {found.nothing:.3f}" in shown
    refused = mbt(*show, "--set", "fusion=late")
    assert refused.returncode == 1 and "leave out --set fusion" in refused.stderr
    refused = mbt(*show[:2], *show[3:], "--set", "removed=sound")
    assert refused.returncode == 1 and "modality of the model is called 'sound'" in refused.stderr
    shutil.rmtree(one.folder / "evaluations" / Evaluation(shuffled="audio").key)
    (one.folder / "weights.safetensors").unlink()
    bare = mbt(*words, MLFLOW_TRACKING_URI=logged)
    assert bare.returncode == 1
    assert "1 run cannot be probed: no weights were kept" in bare.stderr
