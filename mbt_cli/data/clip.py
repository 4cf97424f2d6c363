"""A span of a video file as arrays; the only room that decodes.

Axes: t frames, h w pixels (upright), s samples. Source: FFmpeg through PyAV. The picture at time t
is the one on display at t; the sound at time t is what the file's time stamps say, silence in gaps.
"""

from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, AudioResampler, AudioStream, FFmpegError, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8

from mbt_cli.errors import MbtError

_RUN_UPS_S = (0.5, 10.0)  # seek so long before the span; farther if that was too late
_WARM_UP_S = 0.2  # sound decoded before the span: Opus wants 80 ms, an MP3 reservoir may hold more
_ROUNDED_S = 0.00051  # Matroska rounds time stamps to 1 ms
_GAP_S = 0.002  # a chunk later than this follows a gap (unbroken sound in VGGSounder: 1.6 ms)
_CROWDED_S = 0.1  # a chunk may be stamped so early, on top of others (VGGSounder: 21 ms)
_MAY_MISS = 0.1  # part of the span that a stream may end too early

_scaler = VideoReformatter()  # of its own for each picture, it costs more than the scaling


class ClipError(MbtError):
    """A file cannot give the asked span; one sentence says which file and why."""


class _Unreached(ClipError):
    """Decoding began too late, or amid a torn part, to know what belongs to the span's start."""


@dataclass(frozen=True)
class Clip:
    """A span of a file.

    `frames` are RGB and upright, at the middles of equal parts of the span. `sound` is mono, at
    the file's own rate: sound[i] sounds i / rate_hz seconds after the span's start. It is not
    clipped: decoders give peaks above 1.0.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    sound: Float32[np.ndarray, " s"]
    rate_hz: int


def read_clip(
    path: Path, *, start_s: float, span_s: float, frames: int, short_side: int | None = None
) -> Clip:
    """The span from `start_s` (seconds of the file as players show it), `span_s` long.

    `frames` pictures, each the last whose time is not after the middle of its part of the span
    (the first one stands for all time before it), and round(span_s * rate_hz) samples. Streams
    are FFmpeg's default ones, channels mixed as by `ffmpeg -ac 1 out.wav`, that is, to the mean.
    With `short_side` (px), pictures are scaled to it as they come: for many of a large video.

    Raises ClipError if the file has no pictures or no sound, cannot be decoded, or either stream
    ends before the span does by more than a tenth of it (and more than a frame).
    """
    if not (0 <= start_s < np.inf and 0 < span_s < np.inf and frames > 0):
        raise ValueError(f"No span: {start_s=}, {span_s=}, {frames=}.")
    moments = [start_s + (k + 0.5) * span_s / frames for k in range(frames)]
    span = _Span(path, start_s, span_s, start_s + span_s, moments, short_side, sought=False)
    for run_up_s in _RUN_UPS_S:
        if run_up_s < start_s:
            with suppress(_Unreached):
                return _decode(replace(span, sought=True), from_s=start_s - run_up_s)
    return _decode(span, from_s=0.0)


@dataclass(frozen=True)
class _Span:
    """What is asked of a file; `sought` says that reading did not begin at its very start."""

    path: Path
    start_s: float
    span_s: float
    end_s: float
    moments: list[float]
    short_side: int | None
    sought: bool

    @property
    def must_reach_s(self) -> float:
        return self.end_s - _MAY_MISS * self.span_s

    def fault(self, reason: str) -> ClipError:
        """For what reading from the very start may mend."""
        return (_Unreached if self.sought else ClipError)(f"{self.path} {reason}.")

    def check_end(self, what: str, end_s: float, frame_s: float) -> None:
        if end_s < min(self.must_reach_s, self.end_s - frame_s) - _ROUNDED_S:
            raise ClipError(
                f"{self.path}: its {what} ends at {end_s:.2f} s, before the end of the asked span"
                f" {self.start_s:.2f}-{self.end_s:.2f} s."
            )


def _decode(span: _Span, from_s: float) -> Clip:
    path = span.path
    if not path.exists():
        raise ClipError(f"{path} does not exist.")
    if not path.is_file() or not path.stat().st_size:
        raise ClipError(f"{path} is {'empty' if path.is_file() else 'no file'}.")
    try:
        with av.open(f"file:{path}") as file:  # bare, "a:b.mp4" would be a protocol called "a"
            video, audio = _streams(path, file)
            zero_s = (file.start_time or 0) / av.time_base
            if span.sought:
                file.seek(round((from_s + zero_s) * av.time_base))
            pictures = _Pictures(span, video, zero_s, avi=file.format.name == "avi")
            sound = _Sound(span, zero_s)
            for packet in file.demux(video, audio):
                if (pictures if packet.stream_index == video.index else sound).done:
                    continue
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame):
                        pictures.add(frame)
                    elif isinstance(frame, AudioFrame):
                        sound.add(frame)
                if pictures.done and sound.done:
                    break
            return Clip(pictures.stack(), sound.lay_out(), sound.rate_hz)
    except (FFmpegError, OSError) as error:
        raise span.fault(f"cannot be decoded: {error.strerror}") from error


def _streams(path: Path, file: InputContainer) -> tuple[VideoStream, AudioStream]:
    video, audio = file.streams.best("video"), file.streams.best("audio")
    if not isinstance(video, VideoStream) or video.disposition & Disposition.attached_pic:
        raise ClipError(f"{path} has no video stream.")
    if not isinstance(audio, AudioStream):
        raise ClipError(f"{path} has no sound stream.")
    for stream in (video, audio):
        if stream.codec_context is None:
            raise ClipError(f"{path} has a {stream.type} stream of an unknown codec.")
        stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
    return video, audio


class _Pictures:
    """Takes pictures as they come, keeps those on display at the span's moments."""

    def __init__(self, span: _Span, stream: VideoStream, zero_s: float, *, avi: bool) -> None:
        self.span, self.moments, self.zero_s, self.avi = span, span.moments, zero_s, avi
        self.step_s = float(1 / (stream.average_rate or stream.guessed_rate or 25))
        self.on_display: VideoFrame | None = None
        self.time_s = -self.step_s
        self.kept: list[UInt8[np.ndarray, "h w 3"]] = []

    @property
    def done(self) -> bool:
        return len(self.kept) == len(self.moments) and self.time_s >= self.span.must_reach_s

    def add(self, picture: VideoFrame) -> None:
        if self.span.sought and self.on_display is None and not picture.key_frame:
            return
        # AVI stores no presentation times, and FFmpeg's guesses at them run backwards.
        stamp = picture.dts if self.avi or picture.pts is None else picture.pts
        time_s = self.time_s + self.step_s
        if stamp is not None and picture.time_base:
            time_s = float(stamp * picture.time_base) - self.zero_s
        past = bisect_left(self.moments, time_s - _ROUNDED_S)
        if self.on_display is not None:
            self._keep(self.on_display, past - len(self.kept))
        elif past and self.span.sought:
            raise self.span.fault(f"shows its first picture at {time_s:.2f} s")
        self.on_display, self.time_s = picture, time_s

    def _keep(self, picture: VideoFrame, times: int) -> None:
        if times <= 0:
            return
        if picture.is_corrupt:
            raise self.span.fault(f"has a damaged picture at {self.time_s:.2f} s")
        short = min(picture.width, picture.height)
        scale = (self.span.short_side or short) / short
        size = round(picture.width * scale), round(picture.height * scale)
        rgb = _scaler.reformat(picture, *size, "rgb24", threads=1).to_ndarray()
        upright = np.rot90(rgb, picture.rotation // 90).astype(np.uint8, copy=False)
        if self.kept and upright.shape != self.kept[0].shape:
            raise self.span.fault(f"changes its picture size at {self.time_s:.2f} s")
        self.kept += [upright] * times

    def stack(self) -> UInt8[np.ndarray, "t h w 3"]:
        last = self.on_display
        if last is None:
            raise self.span.fault("has no picture that decodes")
        shown_s = float((last.duration or 0) * (last.time_base or 0)) or self.step_s
        self.span.check_end("video", self.time_s + shown_s, shown_s)
        self._keep(last, len(self.moments) - len(self.kept))
        return np.stack(self.kept)


class _Sound:
    """Takes chunks of sound as they come, lays them out by their time stamps."""

    def __init__(self, span: _Span, zero_s: float) -> None:
        self.span, self.zero_s = span, zero_s
        self.rate_hz = 0
        self.tick_s = self.end_s = 0.0
        self.times_s: list[float] = []
        self.chunks: list[Float32[np.ndarray, " chunk"]] = []
        self.mixers: dict[tuple[str, str], AudioResampler] = {}

    @property
    def done(self) -> bool:
        return self.end_s >= self.span.end_s + _GAP_S + self.tick_s

    def add(self, chunk: AudioFrame) -> None:
        self.rate_hz = self.rate_hz or chunk.sample_rate
        if chunk.sample_rate != self.rate_hz:
            raise self.span.fault(f"changes its sampling rate at {self.end_s:.2f} s")
        time_s = self.end_s
        if chunk.pts is not None and chunk.time_base:
            time_s = float(chunk.pts * chunk.time_base) - self.zero_s
            self.tick_s = float(chunk.time_base)
        if self.span.sought and not self.chunks and time_s > self.span.start_s - _WARM_UP_S:
            raise self.span.fault(f"sounds from {time_s:.2f} s")
        self.times_s.append(time_s)
        self.chunks.append(self._mono(chunk))
        self.end_s = time_s + chunk.samples / self.rate_hz

    def _mono(self, chunk: AudioFrame) -> Float32[np.ndarray, " chunk"]:
        kind = chunk.layout.name, chunk.format.name
        if kind not in self.mixers:
            as_in_wav = {"rematrix_maxval": "1"}  # else a mix in floats comes out 3 dB louder
            self.mixers[kind] = AudioResampler("fltp", "mono", self.rate_hz, options=as_in_wav)
        mixed = [part.to_ndarray()[0] for part in self.mixers[kind].resample(chunk)]
        return np.concatenate(mixed).astype(np.float32, copy=False)

    def lay_out(self) -> Float32[np.ndarray, " s"]:
        """Chunks stay together while their stamps agree, placed by the median of their stamps."""
        if not self.chunks:
            raise self.span.fault("has no sound that decodes")
        self.span.check_end("sound", self.end_s, len(self.chunks[-1]) / self.rate_hz)
        begins = np.cumsum([0, *map(len, self.chunks[:-1])])
        late_s = np.array(self.times_s) - self.span.start_s - begins / self.rate_hz
        firsts = [0]
        for k, late in enumerate(late_s):
            if not -_CROWDED_S < late - late_s[firsts[-1]] < _GAP_S + self.tick_s:
                firsts.append(k)
        sound = np.zeros(round(self.span.span_s * self.rate_hz), np.float32)
        for first, after in pairwise([*firsts, len(self.chunks)]):
            run = np.concatenate(self.chunks[first:after])
            place = int(begins[first]) + round(np.median(late_s[first:after]) * self.rate_hz)
            heard = run[max(0, -place) : max(0, len(sound) - place)]
            sound[max(0, place) :][: len(heard)] = heard
        return sound
