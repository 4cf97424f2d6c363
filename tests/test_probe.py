"""What a scan says about a clip: the facts, or the one reason why it cannot be used.

The files are rendered (`tests/rendered.py`), or real ones beside the checkout.
"""

import functools
import os
import pickle
from contextlib import nullcontext
from dataclasses import astuple, fields, replace
from hashlib import blake2b
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import SHARED
from rendered import noise, numbers, render

from mbt_cli.data import media
from mbt_cli.data.clip import ClipError, read_clip
from mbt_cli.data.evidence import SILENT, Heard, Part, Seen
from mbt_cli.data.fault import REASONS, Unreached
from mbt_cli.data.pictures import Pictures
from mbt_cli.data.probe import Probe, probe
from mbt_cli.data.span import Span

DATA = SHARED / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real media in {DATA}")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.mov"
    stereo = noise(6.7, 11_000, channels=2)
    return render(path, sound=stereo, audio="pcm_s16le", rate_hz=11_000, size=(48, 80),
                  options={"bf": "2", "g": "25"})  # fmt: skip


def test_a_good_file_is_told_with_all_its_facts(good):
    content = good.read_bytes()
    found = probe(good)
    assert found.peak == pytest.approx(float(np.abs(noise(6.7, 11_000)).max()), abs=1e-4)
    assert found.audio_end_s == pytest.approx(6.7)
    assert replace(found, peak=0.0, audio_end_s=6.7) == Probe(
        bytes=len(content),
        hash=blake2b(content, digest_size=8).hexdigest(),
        duration_s=7.0,
        video_end_s=7.0,
        audio_end_s=6.7,
        width=80,
        height=48,
        frame_rate=25.0,
        frames=175,
        video_codec="h264",
        audio_codec="pcm_s16le",
        rate_hz=11_000,
        channels=2,
        video_streams=1,
        audio_streams=1,
    )


def test_it_is_plain_values_that_go_from_process_to_process(good):
    for found in (probe(good), probe(good, np.float64(1.0), np.float64(2.0)), probe(Path("no"))):
        assert pickle.loads(pickle.dumps(found)) == found
        assert {type(value) for value in astuple(found)} <= {str, int, float, bool}
        annotated = [field.type for field in fields(found)]
        assert [type(value) for value in astuple(found)] == annotated


def test_of_a_clip_only_its_own_part_is_told(good):
    found = probe(good, 2.0, 3.4)
    assert (found.reason, found.frames, found.duration_s) == ("", 35, 7.0)
    assert (found.video_end_s, found.audio_end_s) == (3.4, 3.4)
    part = noise(6.7, 11_000)[0, 22_000:37_400]
    assert found.peak == pytest.approx(float(np.abs(part).max()), abs=1e-4)
    assert found.peak < probe(good).peak
    to_the_end = probe(good, 6.0)
    assert (to_the_end.video_end_s, to_the_end.frames) == (7.0, 25)
    assert to_the_end.audio_end_s == pytest.approx(6.7)
    assert probe(good, 6.0, 60.0) == to_the_end
    assert probe(good, 2.01, 3.41).frames == 36, "one is half over when the clip starts"


def test_what_lies_outside_the_clip_is_not_decoded(tmp_path, monkeypatch):
    path = render(tmp_path / "long.mp4", times_s=np.arange(1501) / 25, sound=noise(60, 8_000),
                  rate_hz=8_000, options={"g": "25"})  # fmt: skip
    told = []
    real = media.PictureTimes.of
    monkeypatch.setattr(
        media.PictureTimes, "of", lambda self, picture: (told.append(1), real(self, picture))[1]
    )
    found = probe(path, 40.0, 43.0)
    assert (found.reason, found.frames) == ("", 75)
    assert 75 < len(told) < 75 + 2 * 25 + 9
    told.clear()
    path.write_bytes(bad(path, (41.0, 41.2)))
    found = probe(path, 40.0, 43.0)
    assert found.reason == "damaged" and found.frames > 50
    assert len(told) < 75 + 2 * 25 + 9, "damage within the clip needs no second look"


def test_pictures_are_measured_upright(good):
    if not (DATA / "videos" / "video_90.mov").exists():
        pytest.skip("needs the real video_90.mov")
    found = probe(DATA / "videos" / "video_90.mov")
    assert (found.width, found.height) == (320, 568)


def copied(source: Path, path: Path, cover: bool = False, **options: str) -> Path:
    """The packets of a file in another one, its first pictures as a cover if so asked."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=options) as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        if cover:
            streams[0].disposition = av.stream.Disposition.attached_pic
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return path


def test_a_file_that_does_not_know_how_long_it_is_lasts_as_long_as_it_decodes(tmp_path):
    made = render(tmp_path / "made.mkv", sound=noise(7.1, 8_000), rate_hz=8_000,
                  audio="pcm_s16le", options={"bf": "0"})  # fmt: skip
    path = copied(made, tmp_path / "live.mkv", live="1")
    with av.open(str(path)) as file:
        assert file.duration is None
    assert probe(path).duration_s == pytest.approx(7.1)


def test_a_cover_is_no_video(tmp_path):
    song = render(tmp_path / "song.mp4", times_s=[0.0], sound=noise(4, 44_100), video="mjpeg",
                  pixels="yuvj420p")  # fmt: skip
    path = copied(song, tmp_path / "covered.mp4", cover=True)
    found = probe(path)
    assert (why(path), found.video_streams, found.audio_streams) == ("no_video", 0, 1)


def test_a_clip_in_a_file_without_an_index_is_told_from_its_start(tmp_path):
    """There, seeking leads amid pictures that need others before them."""
    path = render(tmp_path / "broadcast.ts", sound=noise(7, 48_000), rate_hz=48_000,
                  audio="mp2", options={"g": "75", "bf": "0"})  # fmt: skip
    assert probe(path).frames == 175
    for start_s in (0.5, 2.3, 3.6, 5.2):
        assert probe(path, start_s, start_s + 0.4).frames in (10, 11)


def test_pictures_before_the_first_key_frame_reached_are_not_looked_at(tmp_path):
    """Decoders that make something up of them do not always say so."""
    path = render(tmp_path / "a.mp4", times_s=np.arange(50) / 25, options={"g": "25", "bf": "0"})
    span = Span(path, 1.2, 0.4, [1.3, 1.5], None, sought=True)
    part = Part(path, 1.2, 1.6, sought=True)
    with av.open(str(path)) as file:
        opened = media.Media(path, file, file.streams.video[0], None)
        takers = [
            taker(asked, media.PictureTimes(opened, file.streams.video[0]))
            for taker, asked in ((Pictures, span), (Seen, part))
        ]
        for k, picture in enumerate(file.decode(video=0)):
            for taker in takers if k >= 7 else ():
                taker.add(picture)
                assert (taker.on_display is not None) == (k >= 25)
    assert numbers(takers[0].stack()) == [32, 37]


def test_sound_that_is_reached_too_late_is_looked_for_farther_back(tmp_path):
    part = Part(tmp_path / "a.mkv", 3.0, 4.0, sought=True)
    with av.open(str(silence(tmp_path, 0.5))) as file:
        opened = media.Media(tmp_path, file, None, file.streams.audio[0])
        chunk = next(file.decode(audio=0))
        for at_s, enough in ((2.79, True), (2.81, False), (3.5, False)):
            chunk.pts = round(at_s / chunk.time_base)
            heard = Heard(part, media.SoundTimes(opened))
            with nullcontext() if enough else pytest.raises(Unreached, match="sounds from"):
                heard.add(chunk)
            Heard(replace(part, sought=False), media.SoundTimes(opened)).add(chunk)


def silence(tmp_path: Path, amplitude: float, channels: int = 1) -> Path:
    sound = np.zeros((channels, 16_000), np.float32)
    sound[0, 7_001] = amplitude
    sound[-1, 7_001] = amplitude if channels == 1 else -amplitude
    return render(tmp_path / f"{amplitude}{channels}.mkv", times_s=np.arange(50) / 25,
                  sound=sound, rate_hz=8_000, audio="pcm_f32le")  # fmt: skip


def test_silence_is_a_peak_of_the_mix_below_80_db(tmp_path):
    assert SILENT == 10 ** (-80 / 20)
    for amplitude, silent in ((0.0, True), (0.99e-4, True), (1.01e-4, False), (0.5, False)):
        found = probe(silence(tmp_path, amplitude))
        assert (found.silent, found.peak) == (silent, pytest.approx(amplitude))
    opposed = probe(silence(tmp_path, 0.5, channels=2))
    assert (opposed.silent, opposed.peak, opposed.channels) == (True, 0.0, 2)
    loud = silence(tmp_path, 1.7)
    assert probe(loud).peak == pytest.approx(1.7), "not clipped"
    assert probe(loud, 0.0, 0.87).silent and probe(loud, 0.88).silent, "the clip, to a sample"
    assert not probe(loud, 0.5, 1.5).silent


@pytest.mark.parametrize(("change", "still"), [(0, True), (3, True), (8, False), (60, False)])
def test_a_video_is_still_if_all_its_pictures_are_nearly_the_first(tmp_path, change, still):
    path = tmp_path / "still.mkv"
    rng = np.random.default_rng(19)
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("ffv1", 25)
        pictures.width, pictures.height, pictures.pix_fmt = 160, 128, "gray"
        first = rng.integers(60, 180, (128, 160), np.uint8)
        for k in range(50):
            now = first.copy()
            if k == 31:
                now[:64, :80] += np.uint8(change)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(now, format="gray")))
        file.mux(pictures.encode(None))
    assert probe(path).still == still
    assert probe(path, 0.0, 1.2).still and probe(path, 1.4).still


def bad(path: Path, where: tuple[float, float], stream: str = "video") -> bytes:
    """The file with all packets of a stream between two times overwritten."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        for packet in file.demux(**{stream: 0}):
            if (
                packet.pts is not None
                and where[0] <= float(packet.pts * packet.time_base) < where[1]
            ):
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    return bytes(content)


@pytest.fixture(scope="module")
def lossy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lossy") / "lossy.mp4"
    return render(path, sound=noise(7, 44_100), options={"bf": "2", "g": "25"})


def why(path: Path, start_s: float = 0.0, end_s: float | None = None) -> str:
    found = probe(path, start_s, end_s)
    assert found.reason in REASONS and found.detail
    assert found.detail.startswith(str(path)) and found.detail.endswith(".")
    assert "\n" not in found.detail
    return found.reason


def test_a_file_that_gives_no_clip_has_one_reason_by_name(tmp_path, lossy):
    content = lossy.read_bytes()
    for name, inside, reason in (
        ("empty.mp4", b"", "empty"),
        ("zeros.avi", bytes(9999), "undecodable"),
        ("page.mp4", b"<html>404" * 99, "undecodable"),
        ("index_lost.mp4", content[:20_000], "undecodable"),
        ("codec.mp4", content.replace(b"avc1", b"zzz1"), "undecodable"),
        ("pictures.mp4", bad(lossy, (-9, 99)), "undecodable"),
        ("sound.mp4", bad(lossy, (-9, 99), "audio"), "undecodable"),
    ):
        (tmp_path / name).write_bytes(inside)
        assert why(tmp_path / name) == reason, name
        found = probe(tmp_path / name)
        assert found.bytes == len(inside)
        assert found.hash == (blake2b(inside, digest_size=8).hexdigest() if inside else "")
    assert why(tmp_path) == why(tmp_path / "missing.mp4") == "missing"
    assert why(tmp_path / "empty.mp4" / "below.mp4") == "missing"
    assert why(tmp_path / ("long" * 99)) == "unreadable"
    mute = render(tmp_path / "mute.mp4", sound=None)
    blind = render(tmp_path / "blind.mp4", times_s=(), sound=noise(4, 8_000), rate_hz=8_000)
    assert (why(mute), why(mute, 2.0, 3.0)) == ("no_audio", "no_audio")
    assert (why(blind), why(blind, 2.0, 3.0)) == ("no_video", "no_video")
    assert (probe(mute).frames, probe(mute).silent) == (175, False)
    assert (probe(blind).rate_hz, probe(blind).still) == (8_000, False)


def test_a_file_that_may_not_be_read_says_so(tmp_path, good):
    path = tmp_path / "secret.mov"
    path.write_bytes(good.read_bytes())
    path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # who may read everything
            os.seteuid(65_534)
        assert why(path) == "unreadable"
        with pytest.raises(ClipError, match="Permission denied") as caught:
            read_clip(path, start_s=0.0, span_s=1.0, frames=1)
    finally:
        os.seteuid(user)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("stream", ["video", "audio"])
def test_what_is_damaged_is_so_where_it_is_damaged(tmp_path, lossy, stream):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bad(lossy, (3.0, 3.5), stream))
    found = probe(path)
    assert found.reason == "damaged" and " 3." in found.detail
    assert (found.rate_hz, found.width, found.bytes) == (44_100, 64, path.stat().st_size)
    assert found.frames > 100 and found.video_end_s == pytest.approx(7, abs=0.05)
    assert why(path, 2.0, 4.0) == why(path, 3.1, 3.2) == why(path, 2.0) == "damaged"
    assert not probe(path, 0.0, 2.0).reason
    assert not probe(path, 5.0, 6.5).reason and not probe(path, 5.0).reason


def test_one_bad_packet_in_the_middle_is_damage(tmp_path, lossy):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bad(lossy, (3.0, 3.03)))
    assert why(path) == "damaged"


def test_a_picture_that_is_only_half_there_is_damage_where_it_is_on_display(tmp_path):
    path = render(tmp_path / "half.mkv", sound=noise(7, 8_000), rate_hz=8_000, audio="pcm_s16le",
                  video="mpeg2video", options={"g": "12"})  # fmt: skip
    with av.open(str(path)) as file:
        place, size = next((p.pos, p.size) for p in file.demux(video=0) if p.pts == 1920)
    content = bytearray(path.read_bytes())
    content[place + size // 2 : place + size * 7 // 10] = b"\xff" * (size * 7 // 10 - size // 2)
    path.write_bytes(content)
    assert why(path) == why(path, 1.5, 2.0) == "damaged"
    assert probe(path).detail == f"{path} has a damaged picture at 1.92 s."
    assert not probe(path, 0.0, 1.92).reason and not probe(path, 3.0).reason


def test_a_sample_that_is_no_number_is_damage(tmp_path):
    found = probe(silence(tmp_path, float("nan")))
    assert (found.reason, found.peak) == ("damaged", 0.0)
    assert "has sound that is no number at 0.8" in found.detail


def test_damage_weighs_more_than_that_a_stream_is_missing(tmp_path):
    whole = render(tmp_path / "whole.mp4", sound=None, options={"bf": "0", "g": "25"})
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bad(whole, (3.0, 3.1)))
    assert why(path) == "damaged"
    assert [*REASONS].index("damaged") < [*REASONS].index("no_audio")


@pytest.mark.parametrize(("later", "what"), [({"size": (48, 64)}, "picture size"),
                                             ({"rate_hz": 32_000}, "sampling rate")])  # fmt: skip
def test_a_clip_that_changes_its_form_says_when(tmp_path, later, what):
    first, second = tmp_path / "first.ts", tmp_path / "second.ts"
    options = {"g": "12"}
    render(first, times_s=np.arange(50) / 25, sound=noise(2, 44_100), audio="mp2", options=options)
    form = {"rate_hz": 44_100} | later
    render(second, times_s=2 + np.arange(150) / 25, sound=noise(6, form["rate_hz"]), audio="mp2",
           sound_from_s=2, options=options, **form)  # fmt: skip
    first.write_bytes(first.read_bytes() + second.read_bytes())
    found = probe(first)
    assert found.reason == "changes_form"
    assert f"changes its {what} at " in found.detail
    assert why(first, 1.5, 2.5) == "changes_form"
    assert not probe(first, 0.0, 1.5).reason


def test_a_clip_past_the_end_of_either_stream_is_out_of_the_file(good):
    assert why(good, 7.0) == why(good, 8.0, 9.0) == why(good, 1e6, 2e6) == "out_of_file"
    found = probe(good, 6.8, 7.0)
    assert found.reason == "out_of_file"
    assert found.detail.endswith("has sound until 6.70 s, and the clip starts at 6.80 s.")
    assert not probe(good, 6.6, 9.0).reason, "what is short is another's to judge"


@pytest.mark.parametrize("clip", [(3.0, 3.0), (3.0, 2.0), (-1.0, 2.0), (float("nan"), 2.0)])
def test_a_clip_that_metadata_put_nowhere_is_out_of_the_file(good, clip):
    assert why(good, *clip) == "out_of_file"
    assert probe(good, *clip).hash == probe(good).hash


def test_a_file_that_takes_too_long_is_given_up(good, monkeypatch):
    clock = count(step=0.01)
    monkeypatch.setattr(media, "monotonic", lambda: next(clock))
    found = probe(good, 5.0, 6.0, limit_s=0.25)
    assert (found.reason, found.bytes) == ("too_slow", good.stat().st_size)
    assert found.detail == f"{good} takes longer than 0.25 s to decode."
    assert next(clock) < 0.3
    slow = count()
    monkeypatch.setattr(media, "monotonic", lambda: next(slow))
    assert "longer than 120 s" in probe(good).detail


def test_a_file_that_has_changed_has_another_hash(tmp_path, good):
    path = tmp_path / "a.mov"
    path.write_bytes(good.read_bytes())
    before = probe(path).hash
    assert before == probe(good).hash == probe(path, 1.0, 2.0).hash
    path.write_bytes(good.read_bytes() + b"\0" * 8)
    assert probe(path).hash != before


def test_streams_that_start_late_are_no_fault(tmp_path):
    path = render(tmp_path / "late.mp4", times_s=0.6 + np.arange(35) / 25, sound=noise(1, 8_000),
                  rate_hz=8_000, sound_from_s=0.9)  # fmt: skip
    for start_s in (0.0, 0.3, 1.0):
        assert not probe(path, start_s, 1.8).reason


WILD = {
    "videos/av1_video.mkv": "no_audio",
    "videos/bear-vp9-odd-dimensions.webm": "no_audio",
    "videos/corrupted.mp4": "damaged",
    "videos/h265_video.mp4": "no_audio",
    "videos/languagebind_0.mp4": "no_audio",
    "videos/nasa_13013_no_audio.mp4": "no_audio",
    "videos/nasa_13013_no_video.mp4": "no_video",
    "videos/one_frame_8x8.mp4": "no_audio",
    "videos/v_SoccerJuggling_g23_c01.avi": "no_audio",
    "videos/video_0.mov": "no_audio",
    "videos/video_90.mov": "no_audio",
}
"""By their README. All others there can be used."""


def wild() -> list[str]:
    folders = ("videos", "vggsound_clips", "vas_clips", "audioset_clips", "grid_s1/s1")
    found = [path for folder in folders for path in sorted((DATA / folder).rglob("*.*"))]
    grid = [path for path in found if path.suffix == ".mpg"]
    return [str(path.relative_to(DATA)) for path in found if path not in grid[5:]]


@functools.cache
def whole(name: str) -> Probe:
    return probe(DATA / name)


@needs_data
@pytest.mark.parametrize("name", wild())
def test_of_every_wild_file_the_reason_is_known_or_any_window_can_be_read(name):
    path, found = DATA / name, whole(name)
    assert found.reason == WILD.get(name, "")
    rng = np.random.default_rng(len(name))
    if found.reason:
        return
    end_s = min(found.video_end_s, found.audio_end_s)
    for start_s, until_s in ((0.0, end_s), (0.0, end_s / 7), (0.6 * end_s, end_s)):
        part = probe(path, start_s, until_s)
        assert not part.reason
        nearly = min(part.video_end_s, part.audio_end_s)
        assert nearly == pytest.approx(until_s, abs=1e-6)
        begin_s, finish_s = sorted(rng.uniform(start_s, nearly, 2))
        for a, b in ((start_s, nearly), (begin_s, finish_s), (nearly - 0.05, nearly)):
            clip = read_clip(path, start_s=a, span_s=b - a, frames=3)
            assert clip.frames.shape == (3, found.height, found.width, 3)
            assert clip.rate_hz == found.rate_hz
            assert np.abs(clip.sound).max(initial=0) <= part.peak + 1e-6


@needs_data
def test_the_facts_of_wild_files_are_those_of_their_readme():
    silent = {"videos/ffmpegpython_in1_silent.mp4", "videos/test-1s.webm"}
    for name in wild():
        assert whole(name).silent == (name in silent), name
    nasa = whole("videos/nasa_13013.mp4")
    assert (nasa.video_streams, nasa.audio_streams) == (2, 2)
    mp3 = whole("videos/mmaction2_test.avi")
    assert (mp3.video_codec, mp3.audio_codec, mp3.frames) == ("mpeg4", "mp3", 164)
    av1 = whole("videos/av1_video.mkv")
    assert (av1.video_codec, av1.frames, av1.duration_s) == ("av1", 125, 5.0)
    odd = whole("videos/v_GGSY1Qvo990.mp4")
    assert (odd.frame_rate, odd.frames) == (19.62, 355)
    assert odd.peak == pytest.approx(1.047, abs=1e-3)
    assert whole("videos/corrupted.mp4").frames == 49
