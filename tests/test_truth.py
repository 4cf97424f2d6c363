"""Sound against picture, and the rarer kinds of file, where the right answer is known.

The files are rendered (`tests/rendered.py`): each picture tells its number; here the sound beeps.
"""

import av
import numpy as np
import pytest
from rendered import noise, numbers, render

from mbt_cli.data.clip import ClipError, read_clip
from mbt_cli.data.probe import probe

BEEP_S = 0.023
BEEPS_S = np.cumsum([0.31, *np.tile([0.37, 0.53, 0.29, 0.41], 7)])  # some 11.5 s, no two alike
VARIABLE_S = np.cumsum([0.0, *np.tile([0.02, 0.07, 0.03, 0.11], 53)])  # some 12 s


def beep(rate_hz: int) -> np.ndarray:
    """A sweep from 700 to 2900 Hz, which is like itself at one place only."""
    time_s = np.arange(round(BEEP_S * rate_hz)) / rate_hz
    sweep = np.sin(2 * np.pi * (700 + 1100 * time_s / BEEP_S) * time_s)
    return (0.6 * np.hanning(len(time_s)) * sweep).astype(np.float32)


def beeping(rate_hz: int, seconds: float = 12.2) -> np.ndarray:
    sound = np.zeros((1, round(seconds * rate_hz)), np.float32)
    for at_s in BEEPS_S[seconds - BEEP_S > BEEPS_S]:
        place = round(at_s * rate_hz)
        sound[0, place : place + len(beep(rate_hz))] = beep(rate_hz)
    return sound


def beeps_in(sound: np.ndarray, rate_hz: int) -> list[float]:
    """When each beep begins, in seconds; those cut off at the edges are left out."""
    shape = beep(rate_hz).astype(float)
    alike = np.correlate(sound.astype(float), shape, "valid") / (shape @ shape)
    found = []
    while len(alike) and alike.max() > 0.7:
        place = int(alike.argmax())
        found.append(place / rate_hz)
        alike[max(0, place - round(0.1 * rate_hz)) : place + round(0.1 * rate_hz)] = 0
    return sorted(found)


SWEPT = {
    "even.mp4": {"times_s": np.arange(305) / 25, "options": {"bf": "3", "g": "37"}},
    "variable.mp4": {"times_s": VARIABLE_S, "options": {"bf": "2", "g": "53"}, "clock": 12_800},
    "late.mp4": {"times_s": 0.92 + np.arange(281) / 25, "options": {"bf": "2", "g": "29"}},
    "even.mkv": {"times_s": np.arange(305) / 25, "options": {"bf": "2", "g": "31"}},
    "variable.mkv": {"times_s": VARIABLE_S, "options": {"bf": "3", "g": "41"}, "clock": 1000,
                     "audio": "libopus"},
    "late.mkv": {"times_s": 0.92 + np.arange(281) / 25, "audio": "flac"},
}  # fmt: skip


@pytest.mark.parametrize("name", SWEPT)
def test_beeps_are_heard_to_a_millisecond_beside_the_right_pictures_at_any_start(tmp_path, name):
    rate_hz = 48_000
    path, times_s = tmp_path / name, SWEPT[name]["times_s"]
    render(path, sound=beeping(rate_hz), rate_hz=rate_hz, **SWEPT[name])
    with av.open(str(path)) as file:  # an encoder may begin the sound before time 0
        zero_s = file.start_time / av.time_base
    rng = np.random.default_rng(17)
    for start_s in rng.uniform(0, 10, 25):
        clip = read_clip(path, start_s=start_s, span_s=1.9, frames=11)
        middles_s = start_s + (np.arange(11) + 0.5) * 1.9 / 11 + zero_s
        shown = np.searchsorted(times_s, middles_s + 0.00051, side="right") - 1
        assert numbers(clip.frames) == np.maximum(shown, 0).tolist()
        begins_s = BEEPS_S - zero_s - start_s
        whole = begins_s[(begins_s > 0.002) & (begins_s < 1.9 - BEEP_S - 0.002)]
        heard = np.array(beeps_in(clip.sound, rate_hz))
        heard = heard[(heard > 0.002) & (heard < 1.9 - BEEP_S - 0.002)]
        assert len(heard) == len(whole) >= 3
        assert np.abs(heard - whole).max() < 0.001


def test_beeps_of_a_looped_clip_come_again_exactly_a_turn_later(tmp_path):
    rate_hz = 16_000
    path = render(tmp_path / "beeps.mkv", sound=beeping(rate_hz, 7.0), rate_hz=rate_hz,
                  audio="pcm_s16le")  # fmt: skip
    clip = read_clip(path, start_s=1.0, span_s=7.0, frames=35, lasts_s=1.4)
    begins_s = BEEPS_S[(BEEPS_S > 1.0) & (BEEPS_S < 2.4 - BEEP_S)] - 1.0
    expected = [turn * 1.4 + begin_s for turn in range(5) for begin_s in begins_s]
    assert np.allclose(beeps_in(clip.sound, rate_hz), expected, atol=1.5 / rate_hz)
    assert numbers(clip.frames) == [27, 32, 37, 42, 47, 52, 57] * 5


DEEP = {
    "h264.mp4": {"video": "libx264", "pixels": "yuv420p10le"},
    "hevc.mp4": {"video": "libx265", "pixels": "yuv420p10le",
                 "options": {"x265-params": "log-level=none:pools=1"}},
    "av1.mkv": {"video": "libsvtav1", "pixels": "yuv420p10le"},
    "ffv1.mkv": {"video": "ffv1", "pixels": "yuv422p10le"},
    "vp9.webm": {"video": "libvpx-vp9", "pixels": "yuv444p", "audio": "libopus"},
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_pictures_of_ten_bits_and_of_newer_codecs_are_read_like_any(tmp_path, name):
    kind = DEEP[name]
    if kind["video"] not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {kind['video']}")
    path = render(tmp_path / name, times_s=np.arange(50) / 25, sound=noise(2, 48_000),
                  rate_hz=48_000, size=(128, 192), **kind)  # fmt: skip
    for start_s in (0.0, 0.83):
        clip = read_clip(path, start_s=start_s, span_s=1.0, frames=5)
        assert clip.frames.shape == (5, 128, 192, 3)
        first = int(start_s * 25 + 1e-6)
        late = 2.5 + start_s * 25 - first
        assert numbers(clip.frames) == [first + int(late + 5 * k) for k in range(5)]


def two_of_each(path, chosen: int) -> None:
    """Pictures of 48 x 64 and of 64 x 96, sounds of seeds 0 and 1; `chosen` are the default."""
    parts = [path.with_name(f"{k}.mkv") for k in range(2)]
    for k, part in enumerate(parts):
        sound = noise(2, 8_000, seed=k)
        render(part, times_s=np.arange(50) / 25, sound=sound, rate_hz=8_000,
               audio="pcm_s16le", size=(48 + 16 * k, 64 + 32 * k), options={"bf": "0"})  # fmt: skip
    sources = [av.open(str(part)) for part in parts]
    with av.open(str(path), "w") as file:
        copies = {}
        for k, source in enumerate(sources):
            for stream in source.streams:
                copy = file.add_stream_from_template(stream)
                is_default = av.stream.Disposition.default if k == chosen else 0
                copy.disposition = av.stream.Disposition(is_default)
                copies[k, stream.index] = copy
        packets = [(k, p) for k, source in enumerate(sources) for p in source.demux()]
        packets = [(k, p) for k, p in packets if p.dts is not None]
        for k, packet in sorted(packets, key=lambda each: float(each[1].dts * each[1].time_base)):
            packet.stream = copies[k, packet.stream.index]
            file.mux(packet)
    for source in sources:
        source.close()


@pytest.mark.parametrize("chosen", [0, 1])
def test_of_several_streams_those_are_read_that_the_file_calls_its_default(tmp_path, chosen):
    path = tmp_path / "several.mkv"
    two_of_each(path, chosen)
    for start_s in (0.0, 0.6):
        clip = read_clip(path, start_s=start_s, span_s=1.0, frames=5)
        assert clip.frames.shape[1:] == (48 + 16 * chosen, 64 + 32 * chosen, 3)
        place = round(start_s * 8_000)
        truth = noise(2, 8_000, seed=chosen)[0, place : place + 8_000]
        assert np.allclose(clip.sound, truth, atol=1e-4)


@pytest.mark.parametrize("sound_first", [False, True])
def test_the_last_pictures_are_there_whichever_stream_comes_first(tmp_path, sound_first):
    """A decoder holds back pictures that wait for their turn, until it is asked for the last."""
    path, made = tmp_path / "last.mp4", tmp_path / "made.mp4"
    render(made, times_s=np.arange(50) / 25, sound=noise(3, 8_000), rate_hz=8_000,
           options={"bf": "3", "g": "100"})  # fmt: skip
    with av.open(str(made)) as source, av.open(str(path), "w") as file:
        streams = sorted(source.streams, key=lambda stream: stream.type, reverse=not sound_first)
        copies = {stream.index: file.add_stream_from_template(stream) for stream in streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                file.mux(packet)
    for start_s, frames in ((0.0, 50), (1.6, 10), (1.9, 2)):
        span = {"start_s": start_s, "span_s": 2.0 - start_s - 0.02, "frames": frames}
        for of in (("video", "audio"), ("video",)):
            assert numbers(read_clip(path, **span, of=of).frames)[-1] == 49
    assert (probe(path).frames, probe(path).video_end_s) == (50, 2.0)


@pytest.mark.parametrize("name", ["tags.avi", "tags.mp4", "tags.mkv"])
def test_a_title_in_another_alphabet_than_utf_8_is_no_reason_not_to_read(tmp_path, name):
    path, title = tmp_path / name, b"Tschaikowsky, Schwanensee"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = title.decode()
        pictures, sounds = file.add_stream("mpeg4", 25), file.add_stream("ac3", 48_000)
        pictures.width = pictures.height = 64
        grey = np.full((64, 64, 3), 128, np.uint8)
        for _ in range(25):
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1536), np.float32), "fltp", "stereo")
        silence.sample_rate = 48_000
        for _ in range(32):
            silence.pts = None
            file.mux(sounds.encode(silence))
        file.mux([*pictures.encode(None), *sounds.encode(None)])
    content = path.read_bytes()
    assert content.count(title) >= 1
    path.write_bytes(content.replace(title, "Чайковский, Лебединое оз.".encode("cp1251")))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert len(read_clip(path, start_s=0.0, span_s=1.0, frames=3).frames) == 3


def test_a_sample_that_is_no_number_is_an_error(tmp_path):
    sound = noise(2, 8_000).copy()
    sound[0, 12_007] = np.nan
    path = render(tmp_path / "nan.mkv", times_s=np.arange(50) / 25, sound=sound, rate_hz=8_000,
                  audio="pcm_f32le")  # fmt: skip
    with pytest.raises(ClipError, match="has sound that is no number") as caught:
        read_clip(path, start_s=1.0, span_s=1.0, frames=3)
    assert caught.value.reason == "damaged"
    assert np.isfinite(read_clip(path, start_s=0.0, span_s=1.0, frames=3).sound).all()


def test_lossy_stereo_is_mixed_to_the_mean(tmp_path):
    left, right = noise(2, 44_100, seed=3), noise(2, 44_100, seed=5) * np.float32(0.4)
    path = render(tmp_path / "both.mp4", times_s=np.arange(50) / 25, bit_rate=320_000,
                  sound=np.concatenate([left, right]))  # fmt: skip
    heard = read_clip(path, start_s=0.5, span_s=1.0, frames=1).sound
    mean = (left + right)[0, 22_050:66_150] / 2
    assert np.abs(heard - mean).max() < 0.05 * np.abs(mean).max()
