"""A media file, opened: its default streams, packet by packet, and when each frame is on.

Times are seconds of the file as players show it: its first picture or sound is at 0. Source:
FFmpeg through PyAV, one thread for each file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

import av
from av import AudioFrame, AudioStream, Packet, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition

from mbt_cli.data.fault import ClipError

Modality = Literal["video", "audio"]
BOTH: tuple[Modality, ...] = ("video", "audio")

RUN_UPS_S = (0.25, 1.0, 10.0)
"""Reading begins so long before a span; farther if that was too late, at last at the file's start.
Where there are key frames and an index, the first is enough: 0.2 s is what sound needs."""
WARM_UP_S = 0.2
"""Sound decoded before a span: Opus wants 80 ms, an MP3 reservoir may hold more."""
ROUNDED_S = 0.00051
"""Matroska rounds time stamps to 1 ms."""


class Deadline:
    """A moment of the wall clock after which a file is given up."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s, self.at_s = limit_s, monotonic() + limit_s

    def check(self, path: Path) -> None:
        if monotonic() > self.at_s:
            late = f"{path} takes longer than {self.limit_s:g} s to decode."
            raise ClipError(late, "too_slow")


@dataclass(frozen=True)
class Media:
    """An open file; a stream that was not asked for, or is not there, is None."""

    path: Path
    file: InputContainer
    video: VideoStream | None
    audio: AudioStream | None

    @property
    def streams(self) -> list[VideoStream | AudioStream]:
        return [stream for stream in (self.video, self.audio) if stream is not None]

    @property
    def zero_s(self) -> float:
        """The time stamp of the file's beginning."""
        return (self.file.start_time or 0) / av.time_base

    def seek(self, to_s: float) -> None:
        """To a key frame before `to_s`, where the file's index knows of one."""
        self.file.seek(round((to_s + self.zero_s) * av.time_base))

    def packets(self, deadline: Deadline) -> Iterator[Packet]:  # type: ignore[type-arg]  # at run time it takes none
        """Of the streams, from here on. Raises ClipError when it is too late."""
        for packet in self.file.demux(self.streams):
            deadline.check(self.path)
            yield packet

    def shows(self, packet: Packet) -> bool:  # type: ignore[type-arg]
        """Whether it belongs to the pictures, and so at the end the one that asks for the last
        ones, whose `stream_index` is always 0."""
        return self.video is not None and packet.stream.index == self.video.index

    def time_s(self, packet: Packet) -> float | None:  # type: ignore[type-arg]
        stamp = packet.dts if packet.pts is None else packet.pts
        return None if stamp is None else float(stamp * packet.time_base) - self.zero_s


@contextmanager
def opened(path: Path, of: tuple[Modality, ...] = BOTH) -> Iterator[Media]:
    """The file with FFmpeg's default streams `of` these modalities, as far as it has them.

    Raises ClipError for a file that is not there, is empty or has a stream of an unknown codec;
    FFmpegError where FFmpeg gives up.
    """
    check_file(path)
    # Bare, "a:b.mp4" would be a protocol called "a". Titles of old files are in any alphabet.
    with av.open(f"file:{path}", metadata_errors="replace") as file:
        video = file.streams.best("video") if "video" in of else None
        audio = file.streams.best("audio") if "audio" in of else None
        media = Media(
            path,
            file,
            video if isinstance(video, VideoStream) and not is_cover(video) else None,
            audio if isinstance(audio, AudioStream) else None,
        )
        for stream in media.streams:
            if stream.codec_context is None:
                raise ClipError(f"{path} has a {stream.type} stream of an unknown codec.")
            stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
        yield media


def check_file(path: Path) -> None:
    """Raises ClipError for a file that is not there, or is empty."""
    if not path.exists():
        raise ClipError(f"{path} does not exist.", "missing")
    if not path.is_file():
        raise ClipError(f"{path} is no file.", "missing")
    if not path.stat().st_size:
        raise ClipError(f"{path} is empty.", "empty")


def is_cover(stream: VideoStream) -> bool:
    """Whether it is a picture that goes with a song."""
    return bool(stream.disposition & Disposition.attached_pic)


class Clock:
    """Seconds of the file, of the time stamps of one stream."""

    def __init__(self, media: Media) -> None:
        self.zero_s = media.zero_s
        self.tick: tuple[int, int] | None = None

    def at_s(self, frame: VideoFrame | AudioFrame, stamp: int | None) -> float | None:
        """None where the frame has no stamp."""
        if self.tick is None and (base := frame.time_base):  # asked once: PyAV makes it anew
            self.tick = base.numerator, base.denominator
        if stamp is None or self.tick is None:
            return None
        ticks, second = self.tick
        return stamp * ticks / second - self.zero_s

    @property
    def tick_s(self) -> float:
        """How fine the stamps are; 0 where there were none."""
        return self.tick[0] / self.tick[1] if self.tick else 0.0


class PictureTimes:
    """When pictures are shown, told one after the other."""

    def __init__(self, media: Media, stream: VideoStream) -> None:
        self.clock = Clock(media)
        # AVI stores no presentation times, and FFmpeg's guesses at them run backwards.
        self.decoding_order = media.file.format.name == "avi"
        self.step_s = float(1 / (stream.average_rate or stream.guessed_rate or 25))
        self.time_s = -self.step_s

    def of(self, picture: VideoFrame) -> float:
        """Of the next picture; one without a time stamp follows a step after the last."""
        stamp = picture.dts if self.decoding_order or picture.pts is None else picture.pts
        stamped_s = self.clock.at_s(picture, stamp)
        self.time_s = self.time_s + self.step_s if stamped_s is None else stamped_s
        return self.time_s

    def shown_s(self, picture: VideoFrame) -> float:
        """How long it is on display."""
        return float((picture.duration or 0) * (picture.time_base or 0)) or self.step_s


class SoundTimes:
    """When chunks of sound begin, told one after the other."""

    def __init__(self, media: Media) -> None:
        self.clock = Clock(media)
        self.tick_s = self.end_s = 0.0

    def of(self, chunk: AudioFrame) -> float:
        """Of the next chunk; one without a time stamp follows the last at once."""
        stamped_s = self.clock.at_s(chunk, chunk.pts)
        if stamped_s is not None:
            self.tick_s = self.clock.tick_s
        time_s = self.end_s if stamped_s is None else stamped_s
        self.end_s = time_s + chunk.samples / chunk.sample_rate
        return time_s
