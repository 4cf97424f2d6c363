"""Clips shorter than the span asked of them, clips of one modality alone, and files that take long.

The files are rendered (`tests/rendered.py`): each picture tells its number, each sound is known.
"""

import pickle
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from rendered import noise, numbers, render

from mbt_cli.data import media
from mbt_cli.data.clip import ClipError, read_clip

RATE_HZ = 11_000


@pytest.fixture(scope="module")
def exact(tmp_path_factory) -> Path:
    """Seven seconds of 25 pictures and 11,000 samples each, the sound without loss."""
    path = tmp_path_factory.mktemp("loop") / "exact.mov"
    return render(path, sound=noise(7, RATE_HZ), audio="pcm_s16le", rate_hz=RATE_HZ,
                  options={"bf": "2", "g": "25"})  # fmt: skip


@pytest.mark.parametrize("start_s", [0.0, 0.28, 3.32])
@pytest.mark.parametrize("lasts_s", [0.2, 0.68, 1.0, 1.28, 2.96])
def test_a_short_clip_is_shown_and_heard_again_and_again_from_its_start(exact, start_s, lasts_s):
    frames, span_s = 75, 3.0  # a picture of the file each, at its middle
    clip = read_clip(exact, start_s=start_s, span_s=span_s, frames=frames, lasts_s=lasts_s)
    turn, first = round(lasts_s * 25), round(start_s * 25)
    assert numbers(clip.frames) == [first + k % turn for k in range(frames)]
    samples, begin = round(lasts_s * RATE_HZ), round(start_s * RATE_HZ)
    once = noise(7, RATE_HZ)[0, begin : begin + samples]
    assert len(clip.sound) == round(span_s * RATE_HZ) and clip.rate_hz == RATE_HZ
    for begin in range(0, len(clip.sound), samples):
        turn_of_sound = clip.sound[begin : begin + samples]
        assert np.allclose(turn_of_sound, once[: len(turn_of_sound)], atol=1 / 32_768)


def test_a_turn_is_what_the_clip_alone_is(exact):
    alone = read_clip(exact, start_s=1.5, span_s=0.8, frames=4)
    looped = read_clip(exact, start_s=1.5, span_s=2.0, frames=10, lasts_s=0.8)
    assert np.array_equal(looped.frames, alone.frames[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]])
    assert np.array_equal(looped.sound, np.resize(alone.sound, 22_000))


def test_a_moment_at_which_the_clip_begins_again_shows_its_first_picture(exact):
    """0.6 s are three times 0.2 s, though in floating point 0.6 % 0.2 is nearly 0.2."""
    assert 0.6 % 0.2 > 0.19
    for frames in (3, 9, 15):
        clip = read_clip(exact, start_s=0.0, span_s=1.2, frames=frames, lasts_s=0.2)
        middles_s = [Fraction(6, 10) * (2 * k + 1) / frames for k in range(frames)]
        assert numbers(clip.frames) == [int(at_s % Fraction(1, 5) * 25) for at_s in middles_s]


def test_a_clip_that_lasts_as_long_as_the_span_or_longer_is_not_looped(exact):
    plain = read_clip(exact, start_s=2.2, span_s=1.3, frames=7)
    for lasts_s in (1.3, 1.31, 4.0, 100.0, float("inf")):
        clip = read_clip(exact, start_s=2.2, span_s=1.3, frames=7, lasts_s=lasts_s)
        assert np.array_equal(clip.frames, plain.frames)
        assert np.array_equal(clip.sound, plain.sound)


def test_only_the_clip_has_to_be_in_the_file_not_the_span(exact):
    clip = read_clip(exact, start_s=6.4, span_s=5.0, frames=125, lasts_s=0.6)
    assert set(numbers(clip.frames)) == {*range(160, 175)}
    with pytest.raises(ClipError, match=r"before the end of the asked span 6\.40-8\.40 s\."):
        read_clip(exact, start_s=6.4, span_s=5.0, frames=125, lasts_s=2.0)


def test_a_clip_whose_stream_ends_a_little_early_is_silent_there_at_each_turn(tmp_path):
    path = render(tmp_path / "early.mov", times_s=np.arange(50) / 25, sound=noise(1.9, RATE_HZ),
                  audio="pcm_s16le", rate_hz=RATE_HZ)  # fmt: skip
    clip = read_clip(path, start_s=0.0, span_s=6.0, frames=3, lasts_s=2.0)
    turns = clip.sound.reshape(3, 22_000)
    assert not turns[:, 20_900:].any() and turns[:, 20_800:20_900].any(axis=1).all()


@pytest.mark.parametrize("lasts_s", [0.0, -1.0, float("nan")])
def test_a_clip_that_lasts_no_time_is_our_mistake(exact, lasts_s):
    with pytest.raises(ValueError, match="No clip"):
        read_clip(exact, start_s=0.0, span_s=1.0, frames=3, lasts_s=lasts_s)
    with pytest.raises(ValueError, match="No span"):
        read_clip(exact, start_s=0.0, span_s=1.0, frames=3, of=())


@pytest.mark.parametrize("looped", [{}, {"lasts_s": 0.44}])
@pytest.mark.parametrize("start_s", [0.0, 3.7])
def test_one_modality_alone_is_the_same_as_with_the_other(exact, start_s, looped):
    span = {"start_s": start_s, "span_s": 1.1, "frames": 5, **looped}
    both = read_clip(exact, **span)
    seen, heard = read_clip(exact, **span, of=("video",)), read_clip(exact, **span, of=("audio",))
    assert np.array_equal(seen.frames, both.frames) and np.array_equal(heard.sound, both.sound)
    assert heard.rate_hz == both.rate_hz == RATE_HZ
    assert (seen.sound.shape, seen.sound.dtype, seen.rate_hz) == ((0,), np.float32, 0)
    assert (heard.frames.shape, heard.frames.dtype) == ((0, 0, 0, 3), np.uint8)


def test_the_other_modality_need_not_be_there_nor_be_whole(tmp_path, exact):
    mute = render(tmp_path / "mute.mp4", sound=None)
    blind = render(tmp_path / "blind.mp4", times_s=(), sound=noise(7, 8_000), rate_hz=8_000)
    for start_s in (0.0, 2.0):
        span = {"start_s": start_s, "span_s": 1.0, "frames": 5}
        first = round(start_s * 25)
        shown = [first + k for k in (2, 7, 12, 17, 22)]
        assert numbers(read_clip(mute, **span, of=("video",)).frames) == shown
        assert len(read_clip(blind, **span, of=("audio",)).sound) == 8_000
        for path, of in ((mute, ("audio",)), (blind, ("video",))):
            with pytest.raises(ClipError, match="has no (sound|video) stream"):
                read_clip(path, **span, of=of)
    brief = tmp_path / "brief.mov"
    render(brief, sound=noise(2, RATE_HZ), audio="pcm_s16le", rate_hz=RATE_HZ)
    late = read_clip(brief, start_s=4.0, span_s=1.0, frames=5, of=("video",))
    assert numbers(late.frames) == [102, 107, 112, 117, 122]


def test_windows_of_the_two_modalities_may_start_at_different_times(exact):
    seen = read_clip(exact, start_s=1.0, span_s=2.0, frames=2, of=("video",))
    heard = read_clip(exact, start_s=4.0, span_s=2.0, frames=2, of=("audio",))
    assert numbers(seen.frames) == [37, 62]
    truth = noise(7, RATE_HZ)[0, 4 * RATE_HZ : 6 * RATE_HZ]
    assert np.allclose(heard.sound, truth, atol=1 / 32_768)


def test_a_file_that_takes_too_long_is_given_up_in_one_sentence(exact, monkeypatch):
    clock = count(step=0.01)  # seconds by which the clock is on at each look
    monkeypatch.setattr(media, "monotonic", lambda: next(clock))
    with pytest.raises(ClipError) as caught:
        read_clip(exact, start_s=5.0, span_s=1.0, frames=3, limit_s=0.25)
    assert str(caught.value) == f"{exact} takes longer than 0.25 s to decode."
    assert caught.value.reason == "too_slow"
    assert next(clock) < 0.3, "at once, and not tried again from farther back"
    assert len(read_clip(exact, start_s=5.0, span_s=1.0, frames=3).frames) == 3


def test_a_minute_is_what_a_file_may_take_unless_told(exact, monkeypatch):
    clock = count(step=0.5)
    monkeypatch.setattr(media, "monotonic", lambda: next(clock))
    with pytest.raises(ClipError, match="takes longer than 60 s to decode"):
        read_clip(exact, start_s=0.0, span_s=7.0, frames=3)


def test_the_reason_comes_out_of_another_process_with_its_sentence():
    error = pickle.loads(pickle.dumps(ClipError("a.mp4 is empty.", "empty")))
    assert (str(error), error.reason) == ("a.mp4 is empty.", "empty")
