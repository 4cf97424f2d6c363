"""A span of a file as arrays: the right picture, the right sound, or one sentence why not.

The files are rendered (`tests/rendered.py`): each picture tells its number, each sound is known.
"""

import os
import re
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import SHARED
from rendered import KINDS, TURNS, lag, noise, numbers, render

from mbt_cli.data.clip import ClipError, read_clip

DATA = SHARED / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real media in {DATA}")


@pytest.fixture(scope="module", params=KINDS)
def seven_seconds(request, tmp_path_factory) -> tuple[Path, int]:
    kind = KINDS[request.param]
    rate_hz = kind.get("rate_hz", 44_100)
    path = tmp_path_factory.mktemp("media") / request.param
    return render(path, sound=noise(7, rate_hz, channels=2), **kind), rate_hz


def first_picture_s(path: Path) -> float:
    """Some encoders begin the sound before time 0, and the file begins with it."""
    with av.open(str(path)) as file:
        pictures = file.streams.video[0]
        return float(pictures.start_time * pictures.time_base) - file.start_time / av.time_base


@pytest.mark.parametrize("start_s", [0.0, 0.2, 0.7713, 2.31, 5.48])
def test_a_span_anywhere_has_its_own_pictures_and_its_own_sound(seven_seconds, start_s):
    path, rate_hz = seven_seconds
    late_s = first_picture_s(path)
    clip = read_clip(path, start_s=start_s, span_s=1.5, frames=7)
    middles_s = start_s + (np.arange(7) + 0.5) * 1.5 / 7 - late_s
    assert numbers(clip.frames) == np.floor(middles_s * 25 + 1e-6).astype(int).tolist()
    assert clip.rate_hz == rate_hz and len(clip.sound) == round(1.5 * rate_hz)
    truth = np.pad(noise(9, rate_hz)[0], (rate_hz, 0))
    place = round((1 + start_s - late_s) * rate_hz)
    late = lag(clip.sound, truth[place:][: len(clip.sound)])
    exact = path.suffix in (".mp4", ".mov", ".avi")
    assert abs(late) <= (1 if exact else rate_hz / 1000)
    truth = truth[place - late :][: len(clip.sound)]
    for part in (slice(rate_hz // 20, rate_hz // 5), slice(-rate_hz // 10, None)):
        assert np.corrcoef(clip.sound[part], truth[part])[0, 1] > 0.7, "at its very edges too"


def test_a_picture_stays_on_display_until_the_next_one_at_a_variable_rate(tmp_path):
    times_s = [0, 0.04, 0.3, 0.31, 0.32, 1.2, 1.24, 1.9, 2.0]
    for name, clock in (("ms.mkv", 1000), ("fine.mp4", 12_800)):
        options = {"bf": "2", "g": "4"}
        path = tmp_path / name
        render(path, times_s=times_s, sound=noise(2.1, 8_000), rate_hz=8_000, options=options,
               clock=clock)  # fmt: skip
        for start_s, span_s, frames in ((0.0, 2.0, 41), (0.25, 1.0, 7), (1.0, 1.0, 9)):
            clip = read_clip(path, start_s=start_s, span_s=span_s, frames=frames)
            middles_s = start_s + (np.arange(frames) + 0.5) * span_s / frames
            shown = np.searchsorted(times_s, middles_s, side="right") - 1
            assert numbers(clip.frames) == shown.tolist()


def test_a_picture_is_on_display_from_the_very_moment_of_its_time(tmp_path):
    """Thirds of a second are not whole milliseconds: Matroska puts every second one too late."""
    for name in ("third.mkv", "third.mp4", "third.mov"):
        path = render(tmp_path / name, times_s=np.arange(30) / 30, sound=noise(1, 8_000),
                      rate_hz=8_000, rate=30)  # fmt: skip
        assert numbers(read_clip(path, start_s=0.0, span_s=1.0, frames=15).frames) == [
            *range(1, 31, 2)
        ]


def test_the_first_picture_stands_for_all_time_before_it_and_the_last_for_a_little_after(tmp_path):
    path = render(tmp_path / "late.mp4", times_s=0.6 + np.arange(35) / 25, sound=noise(2.1, 8_000),
                  rate_hz=8_000)  # fmt: skip
    clip = read_clip(path, start_s=0.0, span_s=2.08, frames=13)
    assert numbers(clip.frames) == [0, 0, 0, 0, 3, 7, 11, 15, 19, 23, 27, 31, 34]
    assert abs(lag(clip.sound, noise(2.08, 8_000)[0])) <= 1, "the sound is not moved by that"


def test_sound_that_starts_late_is_silent_until_then_and_still_in_step(tmp_path):
    path = render(tmp_path / "late.mp4", sound=noise(6, 16_000), rate_hz=16_000, sound_from_s=0.75)
    truth = np.pad(noise(6, 16_000)[0], (12_000, 0))
    for start_s in (0.0, 0.7, 2.0):
        clip = read_clip(path, start_s=start_s, span_s=1.5, frames=5)
        part = truth[round(start_s * 16_000) :][: len(clip.sound)]
        assert abs(lag(clip.sound, part)) <= 1
        assert np.corrcoef(clip.sound, part)[0, 1] > 0.95
        assert not clip.sound[: max(0, round((0.75 - start_s) * 16_000) - 1024)].any()
        assert numbers(clip.frames)[0] == round((start_s + 0.15) * 25 // 1)


def test_a_gap_in_the_sound_is_silence_and_what_follows_keeps_its_time(tmp_path):
    sound = noise(4, 44_100)
    path = render(tmp_path / "gap.mkv", sound=sound, audio="pcm_s16le", gap=(1.5, 0.5))
    truth = np.insert(sound[0], 66_150, np.zeros(22_050))
    for start_s in (0.0, 1.3, 2.6):
        clip = read_clip(path, start_s=start_s, span_s=1.0, frames=3)
        part = truth[round(start_s * 44_100) :][:44_100]
        assert np.allclose(clip.sound, part, atol=1e-4)


def test_sound_without_loss_is_given_sample_by_sample_at_any_start(tmp_path):
    sound = noise(7, 11_025)
    path = render(tmp_path / "exact.mov", sound=sound, audio="pcm_s16le", rate_hz=11_025)
    for start in (0, 1, 3_001, 20_011, 61_001):
        clip = read_clip(path, start_s=start / 11_025, span_s=1.0, frames=1)
        assert np.allclose(clip.sound, sound[0, start : start + 11_025], atol=1 / 32_768)


def test_the_number_of_samples_is_the_span_times_the_rate_rounded(tmp_path):
    path = render(tmp_path / "a.mov", sound=noise(7, 11_025), audio="pcm_s16le", rate_hz=11_025)
    for span_s in (0.1001, 1 / 3, 0.98765, 2.0):
        clip = read_clip(path, start_s=0.1, span_s=span_s, frames=2)
        assert len(clip.sound) == round(span_s * 11_025)


@pytest.mark.parametrize("audio", ["pcm_s16le", "pcm_f32le"])
def test_channels_are_mixed_to_their_mean_and_never_to_a_louder_sound(tmp_path, audio):
    left, right = noise(2, 44_100, seed=1), noise(2, 44_100, seed=2)
    times_s = np.arange(50) / 25
    both = tmp_path / "both.mkv"
    render(both, times_s=times_s, sound=np.concatenate([left, right]), audio=audio)
    mixed = read_clip(both, start_s=0.0, span_s=2.0, frames=1).sound
    assert np.allclose(mixed, (left + right)[0] / 2, atol=1e-4)
    same, mono = tmp_path / "same.mkv", tmp_path / "mono.mkv"
    render(same, times_s=times_s, sound=np.concatenate([left, left]), audio=audio)
    render(mono, times_s=times_s, sound=left, audio=audio)
    for path in (same, mono):
        assert np.allclose(
            read_clip(path, start_s=0.0, span_s=2.0, frames=1).sound, left, atol=1e-4
        )


def test_six_channels_are_mixed_as_ffmpeg_does_and_the_subwoofer_is_left_out(tmp_path):
    sound = np.concatenate([noise(1, 44_100, seed=k) for k in range(6)])
    path = render(tmp_path / "six.mkv", times_s=np.arange(25) / 25, sound=sound, audio="pcm_f32le")
    weights = np.array([0.5**0.5, 0.5**0.5, 1, 0, 0.5, 0.5])  # FL FR FC LFE BL BR
    mixed = read_clip(path, start_s=0.0, span_s=1.0, frames=1).sound
    assert np.allclose(mixed, weights / weights.sum() @ sound, atol=1e-4)


def test_peaks_above_one_are_kept(tmp_path):
    loud = noise(1, 44_100) * np.float32(5)
    path = render(tmp_path / "f.mkv", times_s=np.arange(25) / 25, sound=loud, audio="pcm_f32le")
    assert loud.max() > 1.5
    assert np.allclose(read_clip(path, start_s=0.0, span_s=1.0, frames=1).sound, loud[0])


@pytest.mark.parametrize("degrees", TURNS)
def test_pictures_are_turned_upright_as_the_file_says(tmp_path, degrees):
    path = render(tmp_path / "phone.mp4", times_s=np.arange(25) / 25, sound=noise(1, 8_000),
                  rate_hz=8_000, size=(48, 64))  # fmt: skip
    held = read_clip(path, start_s=0.0, span_s=1.0, frames=5).frames
    a, b, c, d = (side * 65536 for side in TURNS[degrees])
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    content = path.read_bytes()
    place = content.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: of the first track, the video's
    path.write_bytes(content[:place] + matrix + content[place + 36 :])
    upright = read_clip(path, start_s=0.0, span_s=1.0, frames=5).frames
    assert np.array_equal(upright, np.rot90(held, -degrees // 90, axes=(1, 2)))


def test_pictures_of_an_odd_size_keep_it(tmp_path):
    path = render(tmp_path / "odd.mp4", times_s=np.arange(25) / 25, sound=noise(1, 8_000),
                  rate_hz=8_000, size=(67, 53), pixels="yuv444p")  # fmt: skip
    frames = read_clip(path, start_s=0.0, span_s=1.0, frames=5).frames
    assert frames.shape == (5, 67, 53, 3)
    assert numbers(frames) == [2, 7, 12, 17, 22]


def test_pictures_with_b_frames_in_an_avi_come_in_the_order_they_are_shown(tmp_path):
    """AVI has no presentation times, and FFmpeg's guesses are not in order."""
    for name, video in (("old.avi", "mpeg4"), ("new.avi", "libx264")):
        path = render(tmp_path / name, sound=noise(7, 8_000), rate_hz=8_000, video=video,
                      audio="pcm_s16le", options={"g": "12", "bf": "3"})  # fmt: skip
        for start_s in (0.2, 3.0):
            shown = numbers(read_clip(path, start_s=start_s, span_s=2.0, frames=50).frames)
            assert np.array_equal(np.diff(shown), np.ones(49))


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    return render(path, sound=noise(7, 44_100), options={"bf": "2", "g": "25"})


def reason(path: Path, start_s: float = 0.0, span_s: float = 3.0, frames: int = 5) -> str:
    with pytest.raises(ClipError) as caught:
        read_clip(path, start_s=start_s, span_s=span_s, frames=frames)
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and sentence.endswith(".") and "\n" not in sentence
    return sentence.removeprefix(str(path)).lstrip(": ")


def test_a_file_that_gives_no_clip_says_why(tmp_path, good):
    assert reason(tmp_path / "missing.mp4") == "does not exist."
    assert reason(tmp_path) == "is no file."
    for name, content, why in (
        ("empty.mp4", b"", "is empty."),
        ("zeros.avi", bytes(9999), "cannot be decoded: Invalid data found when processing input."),
        ("page.mp4", b"<html>404" * 99, "cannot be decoded: Invalid data found when"),
        ("index_lost.mp4", good.read_bytes()[:20_000], "cannot be decoded: Invalid data found"),
        ("codec.mp4", good.read_bytes().replace(b"avc1", b"zzz1"), "has a video stream of an unk"),
    ):
        (tmp_path / name).write_bytes(content)
        assert reason(tmp_path / name).startswith(why)
    seen = render(tmp_path / "seen.mp4", sound=None)
    heard = render(tmp_path / "heard.mp4", times_s=(), sound=noise(4, 44_100))
    assert reason(seen) == reason(seen, start_s=2.0) == "has no sound stream."
    assert reason(heard) == reason(heard, start_s=2.0) == "has no video stream."


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    render(path, times_s=[0.0], sound=noise(4, 44_100), video="mjpeg", pixels="yuvj420p")
    with av.open(str(path)) as song, av.open(str(tmp_path / "covered.mp4"), "w") as covered:
        streams = [covered.add_stream_from_template(stream) for stream in song.streams]
        streams[0].disposition = av.stream.Disposition.attached_pic
        for packet in song.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                covered.mux(packet)
    assert reason(tmp_path / "covered.mp4") == "has no video stream."


def test_a_stream_that_ends_too_early_is_named_with_its_end_and_a_tenth_is_forgiven(tmp_path):
    seen = render(tmp_path / "seen.mov", sound=noise(2, 44_100), audio="pcm_s16le")
    assert reason(seen, 0.0, 3.0) == (
        "its sound ends at 2.00 s, before the end of the asked span 0.00-3.00 s."
    )
    assert reason(seen, 1.5, 2.0).startswith("its sound ends at 2.00 s, before")
    assert reason(seen, 20.0, 2.0).startswith("its video ends at 7.00 s, before")
    heard = tmp_path / "heard.mov"
    render(heard, times_s=np.arange(50) / 25, sound=noise(7, 44_100), audio="pcm_s16le")
    assert reason(heard, 0.0, 3.0).startswith("its video ends at 2.00 s, before")
    assert reason(heard, 1.5, 1.0, frames=1).startswith("its video ends at 2.00 s, before")
    assert reason(heard, 0.0, 2.3).startswith("its video ends at 2.00 s, before")
    forgiven = read_clip(heard, start_s=0.0, span_s=2.2, frames=11)
    assert numbers(forgiven.frames)[-2:] == [47, 49]
    forgiven = read_clip(seen, start_s=0.0, span_s=2.2, frames=11)
    assert not forgiven.sound[-6_000:].any() and forgiven.sound[-10_000:-9_000].any()
    assert numbers(read_clip(heard, start_s=1.9, span_s=0.13, frames=1).frames) == [49]
    assert reason(heard, 1.9, 0.17).startswith("its video ends at 2.00 s, before")


def test_a_file_cut_off_in_the_middle_gives_what_is_whole_and_names_its_end(tmp_path, good):
    path = tmp_path / "whole.mkv"
    render(path, sound=noise(7, 44_100), audio="pcm_s16le", options={"g": "12"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert numbers(read_clip(path, start_s=1.0, span_s=1.0, frames=5).frames) == [
        27,
        32,
        37,
        42,
        47,
    ]
    assert re.match(r"its (video|sound) ends at [0-6]\.\d\d s, before", reason(path, 4.0, 3.0))


@pytest.mark.parametrize("stream", ["video", "audio"])
def test_what_is_damaged_is_an_error_and_never_silence_or_a_still(tmp_path, good, stream):
    with av.open(str(good)) as file:
        packets = [p for p in file.demux(**{stream: 0}) if p.pts is not None and p.size]
        damaged = [(p.pos, p.size) for p in packets if 3.0 <= float(p.pts * p.time_base) < 3.5]
    content = bytearray(good.read_bytes())
    for place, size in damaged:
        content[place : place + size] = b"\xff" * size
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    assert "cannot be decoded" in reason(path, 2.0, 2.0) or "damaged" in reason(path, 2.0, 2.0)
    whole = read_clip(good, start_s=5.0, span_s=1.5, frames=5)
    beyond = read_clip(path, start_s=5.0, span_s=1.5, frames=5)
    assert np.array_equal(beyond.frames, whole.frames) and np.array_equal(beyond.sound, whole.sound)


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ({"size": (48, 64)}, "changes its picture size at 2."),
        ({"rate_hz": 32_000}, "changes its sampling rate at "),
    ],
)
def test_a_file_whose_form_changes_amid_the_span_is_an_error(tmp_path, later, why):
    first, second = tmp_path / "first.ts", tmp_path / "second.ts"
    render(first, times_s=np.arange(50) / 25, sound=noise(2, 44_100), audio="mp2")
    form = {"rate_hz": 44_100} | later
    sound = noise(2, form["rate_hz"])
    render(second, times_s=2 + np.arange(50) / 25, sound=sound, audio="mp2", sound_from_s=2, **form)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert reason(first, 0.0, 3.0).startswith(why)
    assert len(read_clip(first, start_s=0.0, span_s=1.5, frames=3).frames) == 3


def test_a_picture_that_is_only_half_there_is_an_error(tmp_path):
    path = tmp_path / "half.mkv"
    render(path, sound=noise(7, 8_000), rate_hz=8_000, audio="pcm_s16le", video="mpeg2video",
           options={"g": "12"})  # fmt: skip
    with av.open(str(path)) as file:
        packets = [p for p in file.demux(video=0) if p.pts is not None and p.is_keyframe]
        place, size = packets[4].pos, packets[4].size
    content = bytearray(path.read_bytes())
    content[place + size // 2 : place + size - 16] = b"\xff" * (size - 16 - size // 2)
    path.write_bytes(content)
    assert re.match(r"has a damaged picture at 1.92 s|cannot be dec", reason(path, 1.0, 2.0, 50))


def test_colours_are_red_green_blue_in_this_order(tmp_path):
    path = tmp_path / "red.mp4"
    with av.open(str(path), "w") as file:
        pictures, sounds = file.add_stream("libx264", 25), file.add_stream("aac", 8_000)
        pictures.width = pictures.height = 64
        red = np.broadcast_to(np.array([225, 30, 90], np.uint8), (64, 64, 3)).copy()
        for _ in range(25):
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 8_000), np.float32), "fltp", "stereo")
        silence.sample_rate = 8_000
        file.mux([*pictures.encode(None), *sounds.encode(silence), *sounds.encode(None)])
    seen = read_clip(path, start_s=0.0, span_s=1.0, frames=3).frames
    assert np.abs(seen.astype(int) - [225, 30, 90]).max() < 12


def test_a_name_that_looks_like_an_address_or_an_option_is_still_a_file(
    tmp_path, good, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("http:x.mp4", "-i.mp4", "00:01:02 50%d.mp4"):
        os.link(good, tmp_path / name)
        assert len(read_clip(Path(name), start_s=0.0, span_s=1.0, frames=3).frames) == 3


@pytest.mark.parametrize(
    "span",
    [
        {"start_s": -0.1},
        {"start_s": float("nan")},
        {"span_s": 0.0},
        {"span_s": -1.0},
        {"frames": 0},
    ],
)
def test_a_span_that_cannot_be_is_our_mistake_not_the_files(good, span):
    with pytest.raises(ValueError, match="No span"):
        read_clip(good, **({"start_s": 0.0, "span_s": 1.0, "frames": 3} | span))


REASONS = {
    "av1_video.mkv": "has no sound stream.",
    "bear-vp9-odd-dimensions.webm": "has no sound stream.",
    "corrupted.mp4": "has no sound stream.",
    "h265_video.mp4": "has no sound stream.",
    "languagebind_0.mp4": "has no sound stream.",
    "nasa_13013_no_audio.mp4": "has no sound stream.",
    "nasa_13013_no_video.mp4": "has no video stream.",
    "one_frame_8x8.mp4": "has no sound stream.",
    "v_SoccerJuggling_g23_c01.avi": "has no sound stream.",
    "video_0.mov": "has no sound stream.",
    "video_90.mov": "has no sound stream.",
}
SIZES = {  # of the others: height, width, rate_hz
    "WUzgd7C1pWA.mp4": (256, 340, 48_000),
    "big_buck_bunny_432_433.webm": (720, 1280, 44_100),
    "ffmpegpython_in1_silent.mp4": (240, 320, 44_100),
    "flipping_a_pancake.mkv": (240, 426, 48_000),
    "grid_bbal6n_h264.mp4": (288, 360, 44_100),
    "mmaction2_test.avi": (240, 320, 44_100),
    "movie_5.mp4": (240, 320, 22_050),
    "nasa_13013.mp4": (270, 480, 16_000),
    "paddlevideo_example.avi": (240, 320, 44_100),
    "realshort.mp4": (240, 320, 48_000),
    "sample_fragmented.mp4": (720, 1080, 44_100),
    "stream-of-water.mp4": (360, 480, 44_100),
    "stream-of-water.webm": (360, 480, 44_100),
    "test-1s.webm": (240, 320, 48_000),
    "tfio_small.mp4": (320, 560, 48_000),
    "v_GGSY1Qvo990.mp4": (240, 320, 44_100),
}


@needs_data
def test_every_video_in_the_wild_gives_a_clip_or_the_reason_why_not():
    for path in sorted((DATA / "videos").iterdir()):
        if path.name in REASONS:
            assert reason(path, 0.0, 1.0) == REASONS[path.name]
        else:
            height, width, rate_hz = SIZES[path.name]
            clip = read_clip(path, start_s=0.0, span_s=1.0, frames=3)
            assert clip.frames.shape == (3, height, width, 3)
            assert (clip.rate_hz, len(clip.sound)) == (rate_hz, rate_hz)
            silent = path.name in ("ffmpegpython_in1_silent.mp4", "test-1s.webm")
            assert clip.sound.any() != silent


def shown(path: Path, start_s: float, moments_s: np.ndarray) -> list[np.ndarray]:
    """By decoding all of the file and taking the last picture not after each moment."""
    with av.open(str(path)) as file:
        pictures = list(file.decode(file.streams.best("video")))
        step_s = 1 / file.streams.best("video").average_rate
        if file.format.name == "avi":
            times_s = [float(pictures[0].time + k * step_s) for k in range(len(pictures))]
        else:
            times_s = [picture.time for picture in pictures]
    last = np.searchsorted(np.array(times_s) - 1e-6, moments_s, side="right") - 1
    return [pictures[max(0, k)].to_ndarray(format="rgb24") for k in last]


@needs_data
@pytest.mark.parametrize("start_s", [0.0, 0.41, 1.0, 1.73])
def test_grid_clips_agree_with_a_plain_decode_of_all_of_the_file(start_s):
    """MPEG programme streams seek to the middle of nowhere."""
    for path in sorted((DATA / "grid_s1").rglob("*.mpg"))[:3]:
        clip = read_clip(path, start_s=start_s, span_s=1.2, frames=6)
        moments_s = start_s + (np.arange(6) + 0.5) * 0.2
        assert np.array_equal(clip.frames, shown(path, start_s, moments_s))
        with av.open(str(path)) as file:
            channels = np.concatenate([c.to_ndarray() for c in file.decode(audio=0)], axis=1)
        place = round(start_s * 44_100)
        mono = channels.mean(0)[place : place + 52_920] / 32_768
        assert np.allclose(clip.sound, mono, atol=1e-4)


WILD = [
    "videos/WUzgd7C1pWA.mp4",
    "videos/flipping_a_pancake.mkv",
    "videos/mmaction2_test.avi",
    "videos/movie_5.mp4",
    "videos/nasa_13013.mp4",
    "videos/paddlevideo_example.avi",
    "videos/stream-of-water.webm",
    "videos/tfio_small.mp4",
    "videos/v_GGSY1Qvo990.mp4",
    "vggsound_clips/M1pPtg6a_g8_000230.mp4",
    "vggsound_clips/MnEZwnRuQR8_000030.mp4",
    "vggsound_clips/nLKEdmVu3FY_000040.mp4",
    "audioset_clips/00W1lcxW-WU_40.000.mp4",
]


@needs_data
@pytest.mark.parametrize("name", WILD)
def test_a_span_in_the_middle_agrees_with_the_whole_of_a_wild_file(name):
    """Its pictures are those of a plain decode, its sound that of a plain decode within 1 ms.

    VGGSounder's clips stamp chunks up to 21 ms too early: their sound is unbroken all the same.
    """
    path, start_s, span_s = DATA / name, 1.61, 1.5
    clip = read_clip(path, start_s=start_s, span_s=span_s, frames=5)
    moments_s = start_s + (np.arange(5) + 0.5) * span_s / 5
    assert np.array_equal(clip.frames, shown(path, start_s, moments_s))
    with av.open(str(path)) as file:
        chunks = list(file.decode(file.streams.best("audio")))
    plain = np.concatenate([chunk.to_ndarray().mean(0) for chunk in chunks])
    place = round((start_s - chunks[0].time) * clip.rate_hz)
    late = lag(clip.sound, plain[place:][: len(clip.sound)])
    assert abs(late) < clip.rate_hz / 1000
    assert np.allclose(clip.sound, plain[place - late :][: len(clip.sound)], atol=2e-3)


@needs_data
def test_a_picture_filmed_on_its_side_by_a_real_camera_is_turned(tmp_path):
    """decord's video_90.mov, given a sound: 568 x 320 as stored, to be turned by -90 degrees."""
    path = tmp_path / "with_sound.mov"
    with av.open(str(DATA / "videos" / "video_90.mov")) as source, av.open(str(path), "w") as file:
        pictures = file.add_stream_from_template(source.streams.video[0])
        sounds = file.add_stream("pcm_s16le", rate=8_000, layout="mono")
        stored = source.streams.video[0]
        for packet in source.demux(stored):
            if packet.dts is not None:
                packet.stream = pictures
                file.mux(packet)
        chunk = av.AudioFrame.from_ndarray(np.ones((1, 800), np.int16), "s16", "mono")
        chunk.sample_rate = 8_000
        file.mux([*sounds.encode(chunk), *sounds.encode(None)])
    clip = read_clip(path, start_s=0.0, span_s=0.1, frames=1)
    lying = shown(DATA / "videos" / "video_90.mov", 0.0, np.array([0.05]))[0]
    assert np.array_equal(clip.frames[0], np.rot90(lying, -1))
