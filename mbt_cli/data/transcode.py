"""A whole video file made small, so that spans anywhere in it decode fast; the room that prepares.

Axes: h w pixels (upright), s samples. Source: FFmpeg through PyAV; H.264 and FLAC in mp4. Second t
of the new file shows and sounds what second t of the old one does, as `clip.read_clip` reckons it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import BinaryIO, Self

import av
import numpy as np
from av import AudioFrame, AudioResampler, AudioStream, FFmpegError, Packet, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32

from mbt_cli.data.clip import ClipError
from mbt_cli.files import whole

LIMIT_S = 4 * 3600.0
"""Longer files are refused: a wrong time stamp must not fill the disk with stills and silence."""

H264 = {"preset": "veryfast", "tune": "fastdecode", "crf": "22", "bf": "0", "mbtree": "0"}
"""Without mbtree: with it, small pictures gave other bytes now and then (see `world.H264`)."""
FLAC, FLOATS = ("flac", "s16"), ("pcm_f32le", "flt")
"""How sound is kept, without loss and without an encoder's delay: 16 bits; as it is, if louder."""

_ROUNDED_S = 0.00051  # Matroska rounds time stamps to 1 ms
_GAP_S = 0.002  # sound later than this follows a gap, as in clip.py
_CROWDED_S = 0.1  # stamps may run so far backwards, as in clip.py
_TOGETHER = 64  # chunks of sound placed by one median: 1.5 s of AAC
_BLOCK = 1152  # samples in a packet of the new sound: 72 ms
_SILENCE = 100_000  # samples of silence made at a time, however long it is


class _Loud(Exception):
    """A peak above 1.0, which 16 bits do not hold."""


@dataclass(frozen=True)
class _Form:
    """What is asked of the new file; whose name is told when the old one is at fault."""

    source: Path
    short_side: int
    rate_hz: int
    sound_hz: int
    limit_s: float

    def fault(self, reason: str) -> ClipError:
        return ClipError(f"{self.source} {reason}.")

    def check_time(self, what: str, time_s: float, before_s: float) -> None:
        if time_s < before_s - _CROWDED_S:
            raise self.fault(f"leaps back in its {what} from {before_s:.2f} s to {time_s:.2f} s")
        if time_s > self.limit_s:
            raise self.fault(
                f"is too long: its {what} goes on at {time_s:.0f} s, and {self.limit_s:.0f} s are"
                " allowed; cut it, or mend its time stamps"
            )


def transcode(
    source: Path,
    target: Path,
    *,
    short_side: int = 256,
    rate_hz: int = 25,
    sound_hz: int = 16_000,
    limit_s: float = LIMIT_S,
) -> None:
    """Writes `source` anew as an mp4 at `target`, whole or not at all; the same bytes each time.

    Pictures: upright, `short_side` px (even; never enlarged), `rate_hz` a second, each the one on
    display at its time, a key frame twice a second. Sound: the channels' mean at `sound_hz`; peaks
    above 1.0 are kept. It begins at second 0, silent where the old sound starts late or has a gap.
    A stream that the old file lacks, the new one lacks too; a cover is no video.

    Raises ClipError if anything in the file is damaged, changes its form, leaps back in time, lies
    beyond `limit_s`, or if there is neither picture nor sound. Raises Unwritable.
    """
    form = _Form(source, short_side, rate_hz, sound_hz, limit_s)
    try:
        _write(form, target, FLAC)
    except _Loud:
        _write(form, target, FLOATS)


def _write(form: _Form, target: Path, kept: tuple[str, str]) -> None:
    with _opened(form) as old:
        video, audio = _streams(form, old)
        zero_s = (old.start_time or 0) / av.time_base
        with whole(target) as file, _Film(file, form, video, audio, kept) as film:
            avi = old.format.name == "avi"
            pictures = _Pictures(form, film, video, zero_s, avi)
            sound = _Sound(form, film, zero_s)
            for frame in _frames(form, old, video, audio):
                if isinstance(frame, VideoFrame):
                    pictures.add(frame)
                else:
                    sound.add(frame)
            if video:
                pictures.finish()
            if audio:
                sound.finish()
            film.finish()


def _opened(form: _Form) -> InputContainer:
    path = form.source
    if not path.exists():
        raise form.fault("does not exist")
    if not path.is_file() or not path.stat().st_size:
        raise form.fault(f"is {'empty' if path.is_file() else 'no file'}")
    with _reading(form):
        return av.open(f"file:{path}")  # bare, "a:b.mp4" would be a protocol called "a"


@contextmanager
def _reading(form: _Form) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise form.fault(f"cannot be decoded: {error.strerror}") from error


def _streams(form: _Form, old: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """FFmpeg's default ones, as clip.py takes them; a cover is no video."""
    video, audio = old.streams.best("video"), old.streams.best("audio")
    if not isinstance(video, VideoStream) or video.disposition & Disposition.attached_pic:
        video = None
    if not isinstance(audio, AudioStream):
        audio = None
    if not (video or audio):
        raise form.fault("has neither a video nor a sound stream")
    for stream in filter(None, (video, audio)):
        if stream.codec_context is None:
            raise form.fault(f"has a {stream.type} stream of an unknown codec")
        stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
    return video, audio


def _frames(
    form: _Form, old: InputContainer, *streams: VideoStream | AudioStream | None
) -> Iterator[VideoFrame | AudioFrame]:
    """All of them, in the order they lie in the file; the first damaged one is an error."""
    with _reading(form):
        for packet in old.demux(*filter(None, streams)):
            for frame in packet.decode():
                if not isinstance(frame, VideoFrame | AudioFrame):
                    continue
                if packet.is_corrupt or frame.is_corrupt:
                    time_s = frame.time or 0.0
                    raise form.fault(f"has a damaged {packet.stream.type} packet at {time_s:.2f} s")
                yield frame


class _Film:
    """The new file: pictures by their place on its grid, sound one after another."""

    def __init__(
        self, file: BinaryIO, form: _Form, seen: object, heard: object, kept: tuple[str, str]
    ) -> None:
        self.form, self.kept = form, kept
        self.mp4 = av.open(file, "w", format="mp4")
        self.video = self.audio = None
        if seen:
            group = {"g": str(max(1, form.rate_hz // 2))}
            self.video = self.mp4.add_stream("libx264", rate=form.rate_hz, options=H264 | group)
            self.video.pix_fmt, self.video.codec_context.thread_count = "yuv420p", 1
        if heard:
            self.audio = self.mp4.add_stream(kept[0], rate=form.sound_hz, layout="mono")
            self.audio.codec_context.format = kept[1]
        self.scaler, self.back = VideoReformatter(), VideoReformatter()
        self.size: tuple[int, int] | None = None
        self.waiting: list[Packet] = []  # sound, until the size of pictures is known
        self.sounded = 0
        self.rest = np.zeros(0, np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.mp4.close()

    def show(self, picture: VideoFrame, places: range) -> None:
        """One picture at these places of the grid."""
        assert self.video is not None
        small = self._small(picture)
        for place in places:
            small.pts, small.time_base = place, Fraction(1, self.form.rate_hz)
            self._mux(self.video.encode(small))

    def _small(self, picture: VideoFrame) -> VideoFrame:
        """Upright, of the new size, in the colours that clip.py gives it."""
        assert self.video is not None
        sides = picture.width, picture.height
        short = min(self.form.short_side, *sides)
        across, down = (
            max(2, round(side * (short // 2 * 2) / min(sides) / 2) * 2) for side in sides
        )
        rgb = self.scaler.reformat(picture, across, down, "rgb24", threads=1).to_ndarray()
        upright = np.ascontiguousarray(np.rot90(rgb, picture.rotation // 90))
        if self.size is None:
            self.video.height, self.video.width = upright.shape[:2]
            self.size = upright.shape[:2]
        frame = VideoFrame.from_ndarray(upright, format="rgb24")
        return self.back.reformat(frame, format="yuv420p", threads=1)

    def hear(self, sound: Float32[np.ndarray, " s"]) -> None:
        """What sounds next."""
        if self.kept == FLAC and abs(sound).max(initial=0) > 1:
            raise _Loud
        self.rest = np.concatenate([self.rest, sound])
        whole = len(self.rest) // _BLOCK * _BLOCK
        self._encode(self.rest[:whole])
        self.rest = self.rest[whole:]

    def _encode(self, sound: Float32[np.ndarray, " s"]) -> None:
        assert self.audio is not None
        if self.kept == FLAC:
            sound = np.rint(sound * 32768).clip(-32768, 32767).astype(np.int16)
        for at in range(0, len(sound), _BLOCK):
            block = AudioFrame.from_ndarray(sound[None, at : at + _BLOCK], self.kept[1], "mono")
            block.sample_rate, block.pts = self.form.sound_hz, self.sounded
            block.time_base = Fraction(1, self.form.sound_hz)
            self.sounded += block.samples
            self._mux(self.audio.encode(block))

    def _mux(self, packets: list[Packet]) -> None:
        self.waiting += packets
        if not self.video or self.size:
            self.mp4.mux(self.waiting)
            self.waiting = []

    def finish(self) -> None:
        if self.audio:
            self._encode(self.rest)
            self._mux(self.audio.encode(None))
        if self.video:
            self._mux(self.video.encode(None))


class _Pictures:
    """Takes pictures as they come, shows at each place of the grid the one then on display."""

    def __init__(
        self, form: _Form, film: _Film, stream: VideoStream | None, zero_s: float, avi: bool
    ) -> None:
        self.form, self.film, self.zero_s, self.avi = form, film, zero_s, avi
        self.step_s = float(1 / ((stream and (stream.average_rate or stream.guessed_rate)) or 25))
        self.on_display: VideoFrame | None = None
        self.time_s = -self.step_s
        self.shown = 0

    def add(self, picture: VideoFrame) -> None:
        stamp = picture.dts if self.avi or picture.pts is None else picture.pts
        time_s = self.time_s + self.step_s
        if stamp is not None and picture.time_base:
            time_s = float(stamp * picture.time_base) - self.zero_s
        before = self.on_display
        if before is None:
            if self.film.audio:  # which begins at second 0; else the pictures must
                self.shown = max(0, floor((time_s + _ROUNDED_S) * self.form.rate_hz))
        else:
            self.form.check_time("video", time_s, self.time_s)
            if _shape(picture) != _shape(before):
                raise self.form.fault(f"changes its picture size at {time_s:.2f} s")
            self._show(before, time_s)
        self.on_display, self.time_s = picture, time_s

    def _show(self, picture: VideoFrame, end_s: float) -> None:
        end = ceil((end_s - _ROUNDED_S) * self.form.rate_hz)
        if end > self.shown:
            self.film.show(picture, range(self.shown, end))
            self.shown = end

    def finish(self) -> None:
        last = self.on_display
        if last is None:
            raise self.form.fault("has no picture that decodes")
        shown_s = float((last.duration or 0) * (last.time_base or 0)) or self.step_s
        self._show(last, self.time_s + shown_s)


def _shape(picture: VideoFrame) -> tuple[int, int, int]:
    return picture.width, picture.height, picture.rotation


class _Sound:
    """Takes chunks of sound as they come, mixes them to one channel, lays them out by their stamps.

    Chunks whose stamps agree are placed together, by the median of their stamps.
    """

    def __init__(self, form: _Form, film: _Film, zero_s: float) -> None:
        self.form, self.film, self.zero_s = form, film, zero_s
        self.old_hz = 0
        self.tick_s = self.end_s = 0.0
        self.times_s: list[float] = []
        self.chunks: list[Float32[np.ndarray, " chunk"]] = []
        self.mixers: dict[tuple[str, str], AudioResampler] = {}
        self.resampler = AudioResampler("fltp", "mono", form.sound_hz)
        self.laid = 0  # samples of the old rate, from second 0 on

    def add(self, chunk: AudioFrame) -> None:
        self.old_hz = self.old_hz or chunk.sample_rate
        if chunk.sample_rate != self.old_hz:
            raise self.form.fault(f"changes its sampling rate at {self.end_s:.2f} s")
        time_s = self.end_s
        if chunk.pts is not None and chunk.time_base:
            time_s = float(chunk.pts * chunk.time_base) - self.zero_s
            self.tick_s = float(chunk.time_base)
        self.form.check_time("sound", time_s, self.end_s)
        if self.chunks:
            late_s = time_s - self.times_s[0] - sum(map(len, self.chunks)) / self.old_hz
            if len(self.chunks) == _TOGETHER or not -_CROWDED_S < late_s < _GAP_S + self.tick_s:
                self._lay_out()
        self.times_s.append(time_s)
        self.chunks.append(self._mono(chunk))
        self.end_s = time_s + chunk.samples / self.old_hz

    def _mono(self, chunk: AudioFrame) -> Float32[np.ndarray, " chunk"]:
        kind = chunk.layout.name, chunk.format.name
        if kind not in self.mixers:
            as_in_wav = {"rematrix_maxval": "1"}  # else a mix in floats comes out 3 dB louder
            self.mixers[kind] = AudioResampler("fltp", "mono", self.old_hz, options=as_in_wav)
        mixed = [part.to_ndarray()[0] for part in self.mixers[kind].resample(chunk)]
        return np.concatenate(mixed).astype(np.float32, copy=False)

    def _lay_out(self) -> None:
        """All of it at the old rate: a new start of the resampler would round to its new one."""
        begins = np.cumsum([0, *map(len, self.chunks[:-1])])
        place_s = float(np.median(np.array(self.times_s) - begins / self.old_hz))
        sound, late = np.concatenate(self.chunks), round(place_s * self.old_hz) - self.laid
        self.times_s, self.chunks = [], []
        if self.laid and abs(late) < (_GAP_S + self.tick_s) * self.old_hz:
            late = 0
        while late > 0:
            silence = min(late, _SILENCE)
            self._lay(np.zeros(silence, np.float32))
            late -= silence
        self._lay(sound[-late:])

    def _lay(self, sound: Float32[np.ndarray, " s"]) -> None:
        chunk = AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        chunk.sample_rate, chunk.pts = self.old_hz, self.laid
        chunk.time_base = Fraction(1, self.old_hz)
        self.laid += len(sound)
        self._hear(chunk)

    def _hear(self, chunk: AudioFrame | None) -> None:
        for part in self.resampler.resample(chunk):
            if part is not None:  # so PyAV ends where there was nothing to resample
                self.film.hear(part.to_ndarray()[0])

    def finish(self) -> None:
        if self.chunks:
            self._lay_out()
        if not self.laid:
            raise self.form.fault("has no sound that decodes")
        self._hear(None)
