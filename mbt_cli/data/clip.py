"""A span of a video file as arrays.

Axes: t frames, h w pixels (upright), s samples. Source: FFmpeg through PyAV. The picture at time t
is the one on display at t; the sound at time t is what the file's time stamps say, silence in gaps.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from av import AudioFrame, FFmpegError, VideoFrame
from jaxtyping import Float32, UInt8

from mbt_cli.data.fault import ClipError, Unreached, kind
from mbt_cli.data.media import (
    BOTH,
    RUN_UPS_S,
    Deadline,
    Media,
    Modality,
    PictureTimes,
    SoundTimes,
    opened,
)
from mbt_cli.data.pictures import Pictures
from mbt_cli.data.sound import Sound
from mbt_cli.data.span import Span

__all__ = ["Clip", "ClipError", "read_clip"]


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
    path: Path,
    *,
    start_s: float,
    span_s: float,
    frames: int,
    short_side: int | None = None,
    lasts_s: float | None = None,
    of: tuple[Modality, ...] = BOTH,
    limit_s: float = 60.0,
) -> Clip:
    """The span from `start_s` (seconds of the file as players show it), `span_s` long.

    `frames` pictures, each the last whose time is not after the middle of its part of the span
    (the first one stands for all time before it), and round(span_s * rate_hz) samples. Streams
    are FFmpeg's default ones, channels mixed as by `ffmpeg -ac 1 out.wav`, that is, to the mean.
    With `short_side` (px), pictures are scaled to it as they come: for many of a large video.
    A clip that `lasts_s` seconds, less than the span, is shown again and again from its start.
    What is not `of` these modalities is neither needed nor looked at: no frames (0, 0, 0, 3), or
    no sound (0,) at 0 Hz.

    Raises ClipError if the file has no pictures or no sound, cannot be decoded, either stream
    ends before the span does by more than a tenth of it (and more than a frame), or decoding
    takes longer than `limit_s` seconds of wall-clock.
    """
    if not (0 <= start_s < np.inf and 0 < span_s < np.inf and frames > 0 and of):
        raise ValueError(f"No span: {start_s=}, {span_s=}, {frames=}, {of=}.")
    if lasts_s is not None and not lasts_s > 0:
        raise ValueError(f"No clip: {lasts_s=}.")
    middles_s = (np.arange(frames) + 0.5) * span_s / frames
    once_s = span_s if lasts_s is None else min(lasts_s, span_s)
    span = Span(path, float(start_s), float(once_s), [], short_side, sought=False)
    if once_s == span_s:
        moments = (start_s + middles_s).tolist()
        return _read(replace(span, moments=moments), of, Deadline(limit_s))
    turned_s = np.round(middles_s / once_s, 9) % 1 * once_s  # else 0.6 s are 2.99 times 0.2 s
    moments_s, order = np.unique(start_s + turned_s, return_inverse=True)
    clip = _read(replace(span, moments=moments_s.tolist()), of, Deadline(limit_s))
    pictures = clip.frames[order] if "video" in of else clip.frames
    return Clip(pictures, np.resize(clip.sound, round(span_s * clip.rate_hz)), clip.rate_hz)


def _read(span: Span, of: tuple[Modality, ...], deadline: Deadline) -> Clip:
    for run_up_s in RUN_UPS_S:
        if run_up_s < span.start_s:
            with suppress(Unreached):
                return _decode(replace(span, sought=True), of, deadline, span.start_s - run_up_s)
    return _decode(span, of, deadline, 0.0)


def _decode(span: Span, of: tuple[Modality, ...], deadline: Deadline, from_s: float) -> Clip:
    try:
        with opened(span.path, of) as media:
            pictures, sound = _takers(span, of, media)
            if span.sought:
                media.seek(from_s)
            _take(media, pictures, sound, deadline)
            return Clip(
                pictures.stack() if pictures else np.zeros((0, 0, 0, 3), np.uint8),
                sound.lay_out() if sound else np.zeros(0, np.float32),
                sound.rate_hz if sound else 0,
            )
    except (FFmpegError, OSError) as error:
        raise span.fault(f"cannot be decoded: {error.strerror}", kind(error)) from error


def _takers(
    span: Span, of: tuple[Modality, ...], media: Media
) -> tuple[Pictures | None, Sound | None]:
    if "video" in of and media.video is None:
        raise ClipError(f"{span.path} has no video stream.", "no_video")
    if "audio" in of and media.audio is None:
        raise ClipError(f"{span.path} has no sound stream.", "no_audio")
    pictures = Pictures(span, PictureTimes(media, media.video)) if media.video else None
    return pictures, Sound(span, SoundTimes(media)) if media.audio else None


def _take(media: Media, pictures: Pictures | None, sound: Sound | None, deadline: Deadline) -> None:
    """Decodes until both have what they need."""
    for packet in media.packets(deadline):
        taker = pictures if media.shows(packet) else sound
        if taker is None or taker.done:
            continue
        for frame in packet.decode():
            if isinstance(frame, VideoFrame) and pictures:
                pictures.add(frame)
            elif isinstance(frame, AudioFrame) and sound:
                sound.add(frame)
        if (pictures is None or pictures.done) and (sound is None or sound.done):
            break
