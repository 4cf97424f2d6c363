"""The built-in world: balanced facts, known answers, nothing that leaks."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from mbt_cli.data import world
from mbt_cli.data.clip import read_clip
from mbt_cli.dataset import Synthetic

CLIPS = 16 * 11


@pytest.fixture(scope="module")
def facts():
    return world.happenings(3, "train", CLIPS)


def rate(*facts):
    return np.logical_and.reduce(facts).mean()


def test_every_fact_is_true_of_half_the_clips_and_in_time_of_a_quarter(facts):
    for name in world.CLASSES:
        assert facts[name].mean() == (0.25 if name == "in_time" else 0.5), name


def test_neither_half_of_a_pair_tells_anything_of_their_xor(facts):
    for name in world.GROUPS["together"]:
        seen, heard = name.split("^")
        assert (facts[name] == (facts[seen] ^ facts[heard])).all()
        for half in (seen, heard):
            assert rate(facts[name], facts[half]) == 0.25


def test_neither_the_flash_nor_the_beep_tells_whether_they_coincide(facts):
    assert (facts["in_time"] == (facts["flash"] == facts["beep"])).all()
    for what in ("flash", "beep"):
        for slot in range(world.SLOTS):
            there = facts[what] == slot
            assert there.mean() == 1 / world.SLOTS
            assert rate(there, facts["in_time"]) == there.mean() / 4
        assert (facts[f"early_{what}"] == (facts[what] < world.SLOTS / 2)).all()
    assert rate(facts["early_flash"], facts["early_beep"]) == 0.25


def test_splits_and_worlds_are_other_clips_and_the_same_every_time():
    world.happenings.cache_clear()
    again = world.happenings(3, "train", CLIPS)
    for other in (("test", 3), ("train", 4)):
        facts = world.happenings(other[1], other[0], CLIPS)
        assert not np.array_equal(facts["rain"], again["rain"])


def test_what_is_rendered_does_not_change_under_a_version():
    """Raise world.VERSION with any change that breaks this: fingerprints must tell them apart."""
    facts = world.happenings(0, "train", 48)
    fact = {name: values[5] for name, values in facts.items()}
    frames, wave = world.picture(fact, rng := np.random.default_rng(7)), world.sound(fact, rng)
    assert frames.shape == (8, 64, 64, 3)
    assert world.VERSION == 1
    assert frames.astype(np.int64).sum() == pytest.approx(8_515_032, rel=1e-5)
    assert abs(wave).sum() == pytest.approx(1816.5, rel=1e-4)


def rendered(folder, clips=24, split="train"):
    spec = Synthetic(world=5, train=clips, validation=1, test=1)
    entries = [e for e in world.manifest(spec, folder).entries if e.split == split]
    for entry in entries:
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        world.render(spec, entry)
    return spec, entries


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return rendered(tmp_path_factory.mktemp("world"), clips=48)


def test_a_clip_is_a_real_mp4_of_one_second(clips):
    _, entries = clips
    with av.open(entries[0].path) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate) == (64, 64, 8)
        assert audio.codec_context.sample_rate == 16_000


AGAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_world import rendered
rendered(Path(sys.argv[1]), clips=48)
"""


def test_every_process_renders_the_same_bytes(clips, tmp_path):
    _, entries = clips
    for name in "ab":
        here = str(tmp_path / name), str(Path(__file__).parent)
        subprocess.run([sys.executable, "-c", AGAIN, *here], check=True)
        for entry in entries:
            again = tmp_path / name / entry.path.relative_to(entry.path.parents[2])
            assert again.read_bytes() == entry.path.read_bytes(), entry.name


def test_what_is_decoded_is_what_was_rendered(clips):
    spec, entries = clips
    facts = world.happenings(spec.world, "train", spec.train)
    bright, loud = [], []
    for i, entry in enumerate(entries):
        clip = read_clip(entry.path, start_s=0.0, span_s=1.0, frames=8)
        assert clip.rate_hz == world.RATE_HZ and len(clip.sound) == world.RATE_HZ
        slots = clip.frames.reshape(world.SLOTS, -1).mean(1)
        bright.append(slots.argmax() == facts["flash"][i])
        high = np.abs(np.fft.rfft(clip.sound.reshape(world.SLOTS, -1)))[:, 1450:].mean(1)
        loud.append(high.argmax() == facts["beep"][i])
    assert np.mean(bright) == 1.0
    assert np.mean(loud) > 0.9


def test_what_no_label_tells_is_drawn_for_every_clip(clips):
    spec, entries = clips
    facts = world.happenings(spec.world, "train", spec.train)
    plain = ~facts["rain"] & ~facts["night"] & (facts["flash"] != 0)
    greys = {
        round(float(np.median(read_clip(e.path, start_s=0.0, span_s=1.0, frames=8).frames[0])))
        for e, is_plain in zip(entries, plain, strict=True) if is_plain
    }  # fmt: skip
    assert max(greys) - min(greys) > 10


def test_labels_of_the_manifest_are_the_facts(clips):
    spec, entries = clips
    facts = world.happenings(spec.world, "train", spec.train)
    for i, entry in enumerate(entries):
        assert {world.CLASSES[k] for k in entry.labels} == {
            name for name in world.CLASSES if facts[name][i]
        }


def test_all_clips_are_equally_long(clips):
    lengths = set()
    for entry in clips[1]:
        with av.open(entry.path) as file:
            lengths.add((file.duration, *(stream.duration for stream in file.streams)))
    assert len(lengths) == 1


def test_a_manifest_names_its_clips_by_version_world_and_number(tmp_path):
    spec = Synthetic(train=5, validation=3, test=2)
    one = world.manifest(spec, tmp_path)
    assert [one.count(s) for s in ("train", "validation", "test")] == [5, 3, 2]
    assert len({entry.name for entry in one.entries}) == 10
    for other in (replace(spec, world=1), replace(spec, test=3)):
        assert world.manifest(other, tmp_path).fingerprint != one.fingerprint
    assert world.manifest(spec, tmp_path / "elsewhere").fingerprint == one.fingerprint
