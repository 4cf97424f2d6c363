"""A prepared file shows and sounds at each second what the old one did, and decodes anywhere.

The files are rendered here: each picture is a barcode of its number, each sound is known.
"""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import SHARED
from rendered import KINDS, TURNS, barcode, noise, numbers, render

from mbt_cli.data.clip import ClipError, read_clip
from mbt_cli.data.transcode import transcode
from mbt_cli.errors import Unwritable


def prepared(source: Path, **asked: int | float) -> Path:
    target = source.with_name(f"{source.name}.new")
    transcode(source, target, **asked)
    return target


def pictures(path: Path) -> tuple[list[int], list[float]]:
    """The number of each picture, and its time in seconds."""
    with av.open(str(path)) as file:
        found = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in file.decode(video=0)]
    return numbers(np.stack([picture for picture, _ in found])), [time_s for _, time_s in found]


def on_display(times_s: Sequence[float], places: Sequence[int], rate_hz: int = 25) -> list[int]:
    """Which picture is the last whose time is not after each place, to 0.5 ms, as in clip.py."""
    at = np.searchsorted(np.array(times_s) - 5e-4, np.array(places) / rate_hz, side="right") - 1
    return np.maximum(at, 0).tolist()


RATES = {
    "25": (np.arange(50) / 25, 25),
    "30": (np.arange(60) / 30, 30),
    "29.97": (np.arange(60) * 1001 / 30_000, 30_000),
    "12.5": (np.arange(26) / 12.5, 25),
    "60": (np.arange(121) / 60, 60),
    "variable": (np.array([0, 0.04, 0.3, 0.31, 0.32, 1.2, 1.24, 1.9, 2.0]), 12_800),
}


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_each_of_25_pictures_a_second_is_the_one_on_display_at_its_time(tmp_path, name, suffix):
    times_s, clock = RATES[name]
    old = render(tmp_path / f"old.{suffix}", times_s=times_s, clock=clock, sound=noise(2, 8_000),
                 rate_hz=8_000, options={"bf": "2", "g": "30"})  # fmt: skip
    shown, stamps_s = pictures(prepared(old))
    assert np.allclose(stamps_s, np.arange(len(shown)) / 25)
    assert shown == on_display(times_s, range(len(shown)))
    assert times_s[-1] < len(shown) / 25 < times_s[-1] + 0.2


def test_the_last_picture_is_shown_as_long_as_it_was(tmp_path):
    old = render(tmp_path / "old.mp4", times_s=np.arange(20) / 10, rate=10)
    assert pictures(prepared(old))[0] == on_display(np.arange(20) / 10, range(50))


def test_another_rate_and_size_are_given_as_asked(tmp_path):
    old = render(tmp_path / "old.mp4", size=(96, 128), sound=noise(7, 44_100))
    new = prepared(old, rate_hz=10, short_side=48, sound_hz=22_050)
    shown, stamps_s = pictures(new)
    assert np.allclose(stamps_s, np.arange(70) / 10) and shown == on_display(
        np.arange(175) / 25, range(70), 10
    )
    clip = read_clip(new, start_s=1.0, span_s=1.0, frames=2)
    assert clip.frames.shape == (2, 48, 64, 3) and clip.rate_hz == 22_050


@pytest.mark.parametrize("kind", KINDS)
def test_any_container_reads_the_same_before_and_after(tmp_path, kind):
    form = KINDS[kind]
    rate_hz = form.get("rate_hz", 44_100)
    old = render(tmp_path / kind, sound=noise(7, rate_hz, channels=2), **form)
    new = prepared(old)
    for start_s in (0.0, 0.2, 0.78, 2.28, 5.48):
        before = read_clip(old, start_s=start_s, span_s=1.4, frames=35)
        after = read_clip(new, start_s=start_s, span_s=1.4, frames=35)
        moments_s = start_s + (np.arange(35) + 0.5) / 25
        late = np.array(numbers(before.frames)) - numbers(after.frames)
        assert set(late) <= ({0} if kind != "late.ts" and kind != "grid.mpg" else {0, 1}), moments_s
        assert after.rate_hz == 16_000 and len(after.sound) == 22_400
        assert in_step(before.sound, before.rate_hz, after.sound) < 1


def in_step(before: np.ndarray, rate_hz: int, after: np.ndarray, least: float = 0.99) -> float:
    """By how many ms 16 kHz sound is off; fails where the two are not alike."""
    spectrum = [np.fft.rfft(sound)[:4_000] for sound in (before, after)]
    spectrum = [part[: min(map(len, spectrum))] for part in spectrum]
    span_s = len(before) / rate_hz
    cross = spectrum[0] * np.conj(spectrum[1])
    lags_s = np.arange(-600, 601) / 100_000
    turns = np.exp(2j * np.pi * np.arange(len(cross))[None] / span_s * -lags_s[:, None])
    alike = (cross[None] * np.conj(turns)).real.sum(1)
    alike /= np.sqrt(np.prod([(abs(part) ** 2).sum() for part in spectrum]))
    assert alike.max() > least
    return float(abs(lags_s[alike.argmax()]) * 1e3)


def test_beeps_stay_where_they_were_to_a_millisecond_at_any_start(tmp_path):
    sound, rate_hz = np.zeros((1, 7 * 44_100), np.float32), 44_100
    for k in range(14):
        at = round((0.25 + k / 2) * rate_hz)
        sound[0, at : at + 441] = 0.5 * np.sin(np.arange(441) * 2 * np.pi * 2_000 / rate_hz)
    old = render(tmp_path / "beeps.mov", sound=sound, audio="pcm_s16le")
    new = prepared(old)
    for start_s in (0.0, 0.1113, 1.77, 3.333, 5.61):
        heard = read_clip(new, start_s=start_s, span_s=1.3, frames=1).sound
        begins_s = start_s + np.flatnonzero(abs(heard) > 0.1)[0] / 16_000
        truth_s = 0.25 + np.ceil((start_s - 0.25) * 2) / 2 if start_s > 0.25 else 0.25
        assert abs(begins_s - truth_s) < 0.001


@pytest.mark.parametrize(("name", "late_s"), [("late.mp4", 0.61), ("late.mkv", 3.01)])
def test_video_that_starts_late_still_does(tmp_path, name, late_s):
    old = render(tmp_path / name, times_s=late_s + np.arange(35) / 25, clock=100,
                 sound=noise(late_s + 1.5, 44_100), rate_hz=44_100)  # fmt: skip
    new = prepared(old)
    shown, stamps_s = pictures(new)
    assert np.allclose(stamps_s, late_s - 0.01 + np.arange(len(shown)) / 25), (
        "on the grid, not after"
    )
    assert shown == on_display(
        late_s + np.arange(35) / 25, range(round(late_s * 25), round(late_s * 25) + len(shown))
    )
    for start_s in (late_s - 0.6, late_s - 0.05, late_s + 0.3):
        clips = [read_clip(path, start_s=start_s, span_s=1.0, frames=25) for path in (old, new)]
        moments = np.floor((start_s + (np.arange(25) + 0.5) / 25) * 25 + 1e-6).astype(int)
        assert numbers(clips[1].frames) == on_display(late_s + np.arange(35) / 25, moments)
        assert clips[1].frames.shape == (25, 64, 64, 3)
        assert in_step(clips[0].sound, 44_100, clips[1].sound) < 0.1


@pytest.mark.parametrize("late_s", [0.7513, 0.0013])
def test_sound_that_starts_late_is_silence_until_then_and_still_in_step(tmp_path, late_s):
    old = render(tmp_path / "late.mov", sound=noise(5, 44_100), audio="pcm_s16le",
                 sound_from_s=late_s)  # fmt: skip
    new = prepared(old)
    heard = read_clip(new, start_s=0.0, span_s=5.0, frames=1).sound
    begin = round(late_s * 16_000)
    assert not heard[: max(0, begin - 20)].any() and heard[begin + 40 : begin + 180].any()
    for start_s in (0.0, 0.7, 2.0):
        clips = [read_clip(path, start_s=start_s, span_s=1.5, frames=25) for path in (old, new)]
        assert in_step(clips[0].sound, 44_100, clips[1].sound) < 0.05


@pytest.mark.parametrize("pause_s", [0.5, 0.0113, 61.0])
def test_a_gap_in_the_sound_is_silence_and_what_follows_keeps_its_time(tmp_path, pause_s):
    old = render(tmp_path / "gap.mkv", sound=noise(6, 44_100), audio="pcm_s16le",
                 times_s=np.arange(round((6 + pause_s) * 2)) / 2, gap=(2.5, pause_s))  # fmt: skip
    new = prepared(old)
    for start_s in (0.0, 1.9, 1.9 + pause_s, 3 + pause_s):
        clips = [read_clip(path, start_s=start_s, span_s=2.0, frames=2) for path in (old, new)]
        assert in_step(clips[0].sound, 44_100, clips[1].sound) < 0.1
    whole = read_clip(new, start_s=0.0, span_s=6 + pause_s, frames=1).sound
    silent = whole[round(2.505 * 16_000) : round((2.495 + pause_s) * 16_000)]
    assert abs(silent).max(initial=0) < 0.001


def test_stamps_that_wander_do_not_cut_the_sound_and_drift_does_not_add_up(tmp_path):
    """Matroska rounds to 1 ms; a recorder's clock may be wrong by 1 in 200."""
    old = render(tmp_path / "ms.mkv", sound=noise(7, 44_100), audio="pcm_s16le")
    sound = read_clip(prepared(old), start_s=0.0, span_s=7.0, frames=1).sound
    assert in_step(noise(7, 16_000)[0], 16_000, sound, least=0.9999) < 0.3
    drifting = tmp_path / "drift.mkv"
    with av.open(str(old)) as file, av.open(str(drifting), "w") as slow:
        streams = {s.index: slow.add_stream_from_template(s) for s in file.streams}
        for packet in file.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts = packet.dts = round(packet.pts * 1.005)
                packet.stream = streams[packet.stream_index]
                slow.mux(packet)
    new = prepared(drifting)
    for start_s in (0.5, 3.0, 6.0):
        clips = [read_clip(path, start_s=start_s, span_s=0.1, frames=1) for path in (drifting, new)]
        assert in_step(clips[0].sound, 44_100, clips[1].sound, least=0.5) < 4


@pytest.mark.parametrize("turns", range(5))
def test_a_crowded_chunk_at_any_place_cuts_nothing(tmp_path, turns):
    """VGGSound's clips have chunks stamped 10 and 20 ms too early amid unbroken sound."""
    good = render(tmp_path / "good.mov", sound=noise(7, 16_000), rate_hz=16_000, audio="pcm_s16le")
    old = tmp_path / "crowded.mkv"
    with av.open(str(good)) as file, av.open(str(old), "w") as crowded:
        streams = {s.index: crowded.add_stream_from_template(s) for s in file.streams}
        for turn, packet in enumerate(file.demux()):
            if not packet.size:
                continue
            if packet.stream.type == "audio" and (turn % 5 == turns or packet.pts == 0):
                packet.pts = packet.dts = packet.pts - 320 if packet.pts else 24
            packet.stream = streams[packet.stream_index]
            crowded.mux(packet)
    sound = read_clip(prepared(old), start_s=0.0, span_s=6.9, frames=1).sound
    assert in_step(noise(7, 16_000)[0, : len(sound)], 16_000, sound, least=0.9999) < 0.3


def test_sound_that_is_stamped_on_top_of_other_sound_keeps_to_its_stamps(tmp_path):
    good = render(tmp_path / "good.mov", sound=noise(7, 16_000), rate_hz=16_000, audio="pcm_s16le")
    old = tmp_path / "early.mkv"
    with av.open(str(good)) as file, av.open(str(old), "w") as early:
        streams = {s.index: early.add_stream_from_template(s) for s in file.streams}
        for packet in file.demux():
            if packet.size:
                if packet.stream.type == "audio" and packet.pts > 48_000:
                    packet.pts = packet.dts = packet.pts - min(800, (packet.pts - 48_000) // 2)
                packet.stream = streams[packet.stream_index]
                early.mux(packet)
    new = prepared(old)
    for start_s, early_s in ((0.5, 0), (5.0, 0.05)):
        sound = read_clip(new, start_s=start_s, span_s=1.0, frames=1).sound
        truth = noise(7, 16_000)[0, round((start_s + early_s) * 16_000) :][:16_000]
        assert in_step(truth, 16_000, sound) < 1


def test_sound_of_the_same_rate_is_kept_sample_by_sample_at_any_start(tmp_path):
    old = render(tmp_path / "exact.mov", sound=noise(7, 16_000), rate_hz=16_000, audio="pcm_s16le")
    new = prepared(old)
    for start in (0, 1, 8_191, 40_011, 95_003):
        clip = read_clip(new, start_s=start / 16_000, span_s=1.0, frames=1)
        assert np.allclose(clip.sound, noise(7, 16_000)[0, start : start + 16_000], atol=1 / 32_768)
    assert end_s(new, "audio") == 7.0, "not a sample more or less"


def end_s(path: Path, kind: str) -> float:
    with av.open(str(path)) as file:
        last = list(file.decode(**{kind: 0}))[-1]
    return last.time + (last.samples / 16_000 if kind == "audio" else 1 / 25)


def test_channels_are_mixed_to_their_mean_and_six_as_ffmpeg_does(tmp_path):
    left, right = noise(2, 16_000, seed=1), noise(2, 16_000, seed=2)
    form = {"times_s": np.arange(50) / 25, "audio": "pcm_f32le", "rate_hz": 16_000}
    both = render(tmp_path / "both.mkv", sound=np.concatenate([left, right]), **form)
    mixed = read_clip(prepared(both), start_s=0.0, span_s=2.0, frames=1).sound
    assert np.allclose(mixed, (left + right)[0] / 2, atol=1e-4)
    six = np.concatenate([noise(2, 16_000, seed=k) for k in range(6)])
    weights = np.array([0.5**0.5, 0.5**0.5, 1, 0, 0.5, 0.5])  # FL FR FC LFE BL BR
    around = render(tmp_path / "six.mkv", sound=six, **form)
    mixed = read_clip(prepared(around), start_s=0.0, span_s=2.0, frames=1).sound
    assert np.allclose(mixed, weights / weights.sum() @ six, atol=1e-4)


@pytest.mark.parametrize(("peak", "codec"), [(0.99, "flac"), (1.0, "flac"), (1.7, "pcm_f32le")])
def test_peaks_above_one_are_kept_and_only_they_take_the_space_of_floats(tmp_path, peak, codec):
    sound = noise(2, 16_000)
    loud = np.float32(sound / abs(sound).max() * peak)
    old = render(tmp_path / "loud.mkv", times_s=np.arange(50) / 25, sound=loud, audio="pcm_f32le",
                 rate_hz=16_000)  # fmt: skip
    new = prepared(old)
    kept = read_clip(new, start_s=0.5, span_s=1.0, frames=1).sound
    assert np.allclose(kept, loud[0, 8_000:24_000], atol=1 / 32_768)
    assert abs(kept - loud[0, 8_000:24_000]).mean() < 0.3 / 32_768, "rounded, not cut"
    with av.open(str(new)) as file:
        assert file.streams.audio[0].codec_context.name == codec


@pytest.mark.parametrize("degrees", TURNS)
def test_pictures_are_turned_upright(tmp_path, degrees):
    held = render(tmp_path / "phone.mp4", times_s=np.arange(25) / 25, sound=noise(1, 8_000),
                  rate_hz=8_000, size=(48, 64))  # fmt: skip
    a, b, c, d = (side * 65536 for side in TURNS[degrees])
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    content = held.read_bytes()
    place = content.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: of the first track, the video's
    held.write_bytes(content[:place] + matrix + content[place + 36 :])
    before = read_clip(held, start_s=0.0, span_s=1.0, frames=5).frames
    after = read_clip(prepared(held), start_s=0.0, span_s=1.0, frames=5).frames
    assert before.shape == after.shape
    assert abs(before.astype(int) - after).mean() < 6


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((64, 64), (64, 64)),
        ((360, 480), (256, 342)),
        ((480, 270), (456, 256)),
        ((721, 405), (456, 256)),
        ((121, 161), (120, 160)),
        ((255, 257), (254, 256)),
        ((256, 256), (256, 256)),
    ],
)
def test_the_short_side_is_256_and_even_and_small_pictures_are_not_enlarged(tmp_path, old, new):
    path = render(tmp_path / "old.mkv", times_s=np.arange(5) / 25, size=old, pixels="yuv444p")
    transcode(path, tmp_path / "new.mp4")
    with av.open(str(tmp_path / "new.mp4")) as file:
        video = file.streams.video[0]
        assert (video.height, video.width) == new
        assert video.codec_context.pix_fmt == "yuv420p"
        shown = [picture.to_ndarray(format="rgb24") for picture in file.decode(video)]
    assert numbers(np.stack(shown)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("space", ["bt709", "smpte170m", "full"])
def test_colours_are_those_of_the_old_file(tmp_path, space):
    old = tmp_path / "red.mkv"
    full = space == "full"
    with av.open(str(old), "w") as file:
        stream = file.add_stream("mjpeg" if full else "libx264", 25)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if full else "yuv420p"
        if not full:
            stream.codec_context.options = {"colorspace": space}
        red = np.broadcast_to(np.array([225, 30, 90], np.uint8), (64, 96, 3)).copy()
        for _ in range(25):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        file.mux(stream.encode(None))
    new = prepared(old)
    with av.open(str(old)) as before, av.open(str(new)) as after:
        colours = [
            next(file.decode(video=0)).to_ndarray(format="rgb24").mean((0, 1))
            for file in (before, after)
        ]
    assert abs(colours[0] - colours[1]).max() < 4


def test_there_is_a_key_frame_each_second_and_no_b_frame(tmp_path):
    new = prepared(render(tmp_path / "old.mp4", sound=None))
    with av.open(str(new)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.pts is not None]
        keys = [packet.pts * packet.time_base for packet in packets if packet.is_keyframe]
        assert all(packet.pts == packet.dts for packet in packets)
    assert keys[0] == 0 and 0 < max(b - a for a, b in pairwise([*keys, 7])) <= 1


def test_the_same_file_gives_the_same_bytes_in_this_process_and_in_another(tmp_path):
    old = render(tmp_path / "old.mp4", size=(96, 128), sound=noise(7, 44_100))
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    transcode(old, first)
    subprocess.run([sys.executable, "-c", CALL, old, second], check=True)
    assert first.read_bytes() == second.read_bytes()
    transcode(old, first)
    assert first.read_bytes() == second.read_bytes(), "and in place of what is there"


CALL = """
import sys
from pathlib import Path
from mbt_cli.data.transcode import transcode
transcode(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_stream_that_is_not_there_is_not_made_up(tmp_path):
    seen = render(tmp_path / "seen.mp4", sound=None)
    heard = render(tmp_path / "heard.mp4", times_s=(), sound=noise(4, 44_100))
    for path, why in ((seen, "has no sound stream."), (heard, "has no video stream.")):
        new = prepared(path)
        for one in (path, new):
            with pytest.raises(ClipError, match=why):
                read_clip(one, start_s=0.0, span_s=1.0, frames=2)
    assert pictures(prepared(seen))[0] == list(range(175))
    with av.open(str(prepared(heard))) as file:
        sound = np.concatenate([part.to_ndarray()[0] for part in file.decode(audio=0)]) / 32_768
    assert in_step(noise(4, 16_000)[0], 16_000, sound[: 4 * 16_000], least=0.98) < 0.1


def test_pictures_with_b_frames_in_an_avi_come_in_the_order_they_are_shown(tmp_path):
    """AVI has no presentation times, and FFmpeg's guesses are not in order."""
    for name, video in (("old.avi", "mpeg4"), ("new.avi", "libx264")):
        old = render(tmp_path / name, sound=noise(7, 8_000), rate_hz=8_000, video=video,
                     audio="pcm_s16le", options={"g": "12", "bf": "3"})  # fmt: skip
        shown = pictures(prepared(old))[0]
        assert len(shown) > 170 and np.array_equal(np.diff(shown), np.ones(len(shown) - 1))


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    render(path, times_s=[0.0], sound=noise(4, 44_100), video="mjpeg", pixels="yuvj420p")
    with av.open(str(path)) as song, av.open(str(tmp_path / "covered.mp4"), "w") as covered:
        streams = [covered.add_stream_from_template(stream) for stream in song.streams]
        streams[0].disposition = av.stream.Disposition.attached_pic
        for packet in song.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                covered.mux(packet)
    with av.open(str(prepared(tmp_path / "covered.mp4"))) as file:
        assert [stream.type for stream in file.streams] == ["audio"]


def test_pictures_alone_that_start_late_begin_at_once(tmp_path):
    """The file may begin with a stream that is not taken."""
    old = tmp_path / "two.mp4"
    with av.open(str(old), "w") as file:
        streams = [file.add_stream("libx264", 25) for _ in range(2)]
        for stream, side in zip(streams, (64, 16), strict=True):
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
        for stream, side, k in ((streams[1], 16, 0), *((streams[0], 64, k) for k in range(25))):
            frame = av.VideoFrame.from_ndarray(barcode(k, side, side), format="rgb24")
            frame.pts = 25 + k if side == 64 else k
            file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))
    shown, stamps_s = pictures(prepared(old))
    assert stamps_s[0] == 0 and shown == [0] * 25 + list(range(25))


def test_the_end_of_each_stream_stays_where_it_is(tmp_path):
    old = render(tmp_path / "old.mov", times_s=np.arange(100) / 25, sound=noise(2, 44_100),
                 audio="pcm_s16le")  # fmt: skip
    new = prepared(old)
    for path in (old, new):
        with pytest.raises(ClipError, match="its sound ends at 2.00 s, before the end"):
            read_clip(path, start_s=0.0, span_s=3.0, frames=2)
    assert end_s(new, "video") == 4.0 and abs(end_s(new, "audio") - 2.0) < 1e-4


def reason(source: Path, **asked: float) -> str:
    """Why it is refused; nothing may be left behind."""
    target = source.parent / "target" / "new.mp4"
    target.parent.mkdir(exist_ok=True)
    with pytest.raises(ClipError) as caught:
        transcode(source, target, **asked)
    assert not list(target.parent.iterdir())
    sentence = str(caught.value)
    assert sentence.startswith(str(source)) and sentence.endswith(".") and "\n" not in sentence
    return sentence.removeprefix(str(source)).strip()


def test_a_file_that_is_none_says_why(tmp_path):
    good = render(tmp_path / "good.mp4", sound=noise(7, 44_100)).read_bytes()
    assert reason(tmp_path / "missing.mp4") == "does not exist."
    (tmp_path / "folder").mkdir()
    assert reason(tmp_path / "folder") == "is no file."
    for name, content, why in (
        ("empty.mp4", b"", "is empty."),
        ("zeros.avi", bytes(9999), "cannot be decoded: Invalid data found when processing input."),
        ("page.mp4", b"<html>404" * 99, "cannot be decoded: Invalid data found when"),
        ("index_lost.mp4", good[:20_000], "cannot be decoded: Invalid data found"),
        ("codec.mp4", good.replace(b"avc1", b"zzz1"), "has a video stream of an unk"),
        ("words.srt", b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "has neither a video nor a"),
    ):
        (tmp_path / name).write_bytes(content)
        assert reason(tmp_path / name).startswith(why)


@pytest.mark.parametrize("stream", ["video", "audio"])
def test_what_is_damaged_is_refused_and_never_a_still_or_silence(tmp_path, stream):
    path = render(tmp_path / "bad.mp4", sound=noise(7, 44_100), options={"bf": "2", "g": "25"})
    with av.open(str(path)) as file:
        packets = [p for p in file.demux(**{stream: 0}) if p.pts is not None and p.size]
        damaged = [(p.pos, p.size) for p in packets if 3.0 <= float(p.pts * p.time_base) < 3.5]
    content = bytearray(path.read_bytes())
    for place, size in damaged:
        content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    assert re.match(r"cannot be decoded|has a damaged", reason(path))


def test_a_picture_of_which_a_part_is_lost_is_refused(tmp_path):
    path = render(tmp_path / "half.mkv", sound=noise(7, 8_000), rate_hz=8_000, audio="pcm_s16le",
                  video="mpeg2video", options={"g": "12"})  # fmt: skip
    with av.open(str(path)) as file:
        packets = [p for p in file.demux(video=0) if p.pts is not None and p.is_keyframe]
        place, size = packets[4].pos, packets[4].size
    content = bytearray(path.read_bytes())
    content[place + size // 2 : place + size - 16] = b"\xff" * (size - 16 - size // 2)
    path.write_bytes(content)
    assert re.match(r"has a damaged video packet at 1.92 s|cannot be dec", reason(path))


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ({"size": (48, 64)}, "changes its picture size at "),
        ({"rate_hz": 32_000}, "changes its sampling rate at "),
    ],
)
def test_a_file_whose_form_changes_is_refused(tmp_path, later, why):
    first, second = tmp_path / "first.ts", tmp_path / "second.ts"
    render(first, times_s=np.arange(50) / 25, sound=noise(2, 44_100), audio="mp2")
    form = {"rate_hz": 44_100} | later
    sound = noise(2, form["rate_hz"])
    render(second, times_s=2 + np.arange(50) / 25, sound=sound, audio="mp2", sound_from_s=2, **form)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert reason(first).startswith(why)


def test_time_that_leaps_back_is_refused(tmp_path):
    first = render(tmp_path / "first.ts", sound=noise(7, 44_100), audio="mp2")
    again = tmp_path / "again.ts"
    again.write_bytes(first.read_bytes() * 2)
    assert re.match(r"leaps back in its (video|sound) from \d", reason(again))


def test_what_goes_on_beyond_the_limit_is_refused(tmp_path):
    path = render(tmp_path / "long.mp4", sound=noise(7, 44_100))
    said = reason(path, limit_s=5.0)
    assert re.match(r"goes on at 5 s of its (video|sound), and 5 s are allowed: cut it, or", said)
    still = render(tmp_path / "still.mkv", times_s=[0, 0.04, 5_000_000])
    assert "5000000 s of its video, and 14400 s are" in reason(still)
    heard = render(tmp_path / "heard.mkv", times_s=(), sound=noise(2, 8_000), rate_hz=8_000,
                   audio="pcm_s16le", gap=(1.0, 5_000_000))  # fmt: skip
    assert "s of its sound, and 14400 s are" in reason(heard)


def test_a_last_picture_that_would_stay_for_weeks_is_refused(tmp_path):
    good = render(tmp_path / "good.mp4", times_s=np.arange(5) / 25, options={"bf": "0"})
    old = tmp_path / "weeks.mp4"
    with av.open(str(good)) as file, av.open(str(old), "w") as long:
        stream = long.add_stream_from_template(file.streams.video[0])
        for packet in file.demux():
            if packet.size:
                if packet.pts == 4 * 512:
                    packet.duration = 2**31 - 1
                packet.stream = stream
                long.mux(packet)
    assert re.search(r"^goes on at \d+ s of its video, and 14400 s are allowed", reason(old))


def test_killed_at_any_moment_it_leaves_nothing_under_the_name(tmp_path):
    old = render(tmp_path / "old.mp4", size=(240, 320), sound=noise(7, 44_100))
    target = tmp_path / "target" / "new.mp4"
    target.parent.mkdir()
    writing = subprocess.Popen([sys.executable, "-c", CALL, old, target])
    until = time.monotonic() + 60
    while not list(target.parent.iterdir()) and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.05)
    writing.send_signal(signal.SIGKILL)
    assert writing.wait() == -signal.SIGKILL
    left = [path.name for path in target.parent.iterdir()]
    assert len(left) == 1 and left[0].endswith(f".{writing.pid}.part")


def test_a_disk_that_takes_no_more_is_not_the_files_fault(tmp_path):
    old = render(tmp_path / "old.mp4", size=(240, 320), sound=noise(7, 44_100))
    target = tmp_path / "target" / "new.mp4"
    with pytest.raises(Unwritable, match="No such file"):
        transcode(old, target)
    target.parent.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ask = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(Unwritable, match="File too large"):
            transcode(old, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ask)
    assert not list(target.parent.iterdir())


def test_a_name_that_looks_like_an_address_is_still_a_file(tmp_path, monkeypatch):
    good = render(tmp_path / "good.mp4", times_s=np.arange(25) / 25, sound=noise(1, 8_000),
                  rate_hz=8_000)  # fmt: skip
    monkeypatch.chdir(tmp_path)
    os.link(good, tmp_path / "http:x.mp4")
    transcode(Path("http:x.mp4"), Path("file:y 50%d.mp4"))
    assert (tmp_path / "file:y 50%d.mp4").stat().st_size


REAL = [("videos", "*"), ("vggsound_clips", "*"), ("vas_clips", "*/*"), ("audioset_clips", "*")]


@pytest.mark.parametrize(("folder", "pattern"), REAL)
def test_every_real_video_reads_the_same_before_and_after_or_says_why(tmp_path, folder, pattern):
    place = SHARED / "data" / folder
    if not place.is_dir():
        pytest.skip(f"needs the real videos in {place}")
    for old in sorted(place.glob(pattern)):
        new = tmp_path / f"{old.name}.mp4"
        if old.name == "corrupted.mp4":
            with pytest.raises(ClipError, match="cannot be decoded: Invalid data"):
                transcode(old, new)
            continue
        transcode(old, new)
        for start_s in (0.0, 0.2, 3.48, 6.0):
            same_clip(old, new, start_s)


def same_clip(old: Path, new: Path, start_s: float) -> None:
    """Two spans of 20 pictures, each at the moment when the new file shows it first."""
    span_s = 0.8
    moment = {"start_s": start_s, "span_s": span_s, "frames": 1}
    try:
        before = read_clip(old, **moment)
    except ClipError as error:
        with pytest.raises(ClipError) as caught:
            read_clip(new, **moment)
        told = [str(one).split(maxsplit=1)[1] for one in (error, caught.value)]
        assert told[0] == told[1] or "ends at" in told[0]
        return
    after = read_clip(new, **moment)
    assert after.rate_hz == 16_000
    if abs(before.sound).max() > 1e-3:
        assert in_step(before.sound, before.rate_hz, after.sound) < 1
    else:
        assert abs(after.sound).max() < 2e-3
    for k in (3, 11):
        at = start_s + k / 25  # a span whose only moment is just after this place of the grid
        instant = {"start_s": at - 0.1998, "span_s": 0.4, "frames": 1} if at > 0.2 else moment
        seen = read_clip(old, **instant).frames[0]
        shown = read_clip(new, **instant).frames[0]
        scale = av.VideoFrame.from_ndarray(np.ascontiguousarray(seen), format="rgb24")
        small = scale.reformat(shown.shape[1], shown.shape[0], "rgb24").to_ndarray()
        assert abs(small.astype(int) - shown).mean() < 7, (old.name, at)
