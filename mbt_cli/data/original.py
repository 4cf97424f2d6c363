"""A video file read from its first frame to its last; what is damaged in it is an error.

Source: FFmpeg through PyAV. Streams and times are reckoned as clip.py does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av import AudioFrame, AudioStream, FFmpegError, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition

from mbt_cli.data.clip import ClipError

BACK_S = 0.1
"""Time stamps may run so far backwards: a chunk of sound on top of others (VGGSound: 21 ms)."""


@dataclass(frozen=True)
class Original:
    """An open file; without `video` or `audio`, it has no such stream (a cover is no video)."""

    path: Path
    limit_s: float
    file: InputContainer
    video: VideoStream | None
    audio: AudioStream | None

    @classmethod
    def open(cls, path: Path, limit_s: float) -> "Original":
        """Raises ClipError."""
        if not path.exists():
            raise ClipError(f"{path} does not exist.")
        if not path.is_file() or not path.stat().st_size:
            raise ClipError(f"{path} is {'empty' if path.is_file() else 'no file'}.")
        with _reading(path):
            file = av.open(f"file:{path}")  # bare, "a:b.mp4" would be a protocol called "a"
        video, audio = file.streams.best("video"), file.streams.best("audio")
        if not isinstance(video, VideoStream) or video.disposition & Disposition.attached_pic:
            video = None
        if not isinstance(audio, AudioStream):
            audio = None
        opened = cls(path, limit_s, file, video, audio)
        if not opened.streams:
            raise opened.fault("has neither a video nor a sound stream")
        for stream in opened.streams:
            if stream.codec_context is None:
                raise opened.fault(f"has a {stream.type} stream of an unknown codec")
            stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
        return opened

    @property
    def streams(self) -> list[VideoStream | AudioStream]:
        return [stream for stream in (self.video, self.audio) if stream is not None]

    @property
    def zero_s(self) -> float:
        """The stamp at which players begin."""
        return (self.file.start_time or 0) / av.time_base

    def fault(self, reason: str) -> ClipError:
        return ClipError(f"{self.path} {reason}.")

    def check_time(self, what: str, time_s: float, before_s: float) -> None:
        if time_s < before_s - BACK_S:
            raise self.fault(f"leaps back in its {what} from {before_s:.2f} s to {time_s:.2f} s")
        if time_s > self.limit_s:
            raise self.fault(
                f"goes on at {time_s:.0f} s of its {what}, and {self.limit_s:.0f} s are allowed:"
                " cut it, or mend its time stamps"
            )

    def frames(self) -> Iterator[VideoFrame | AudioFrame]:
        """All of them, in the order they lie in the file. Raises ClipError."""
        with _reading(self.path):
            for packet in self.file.demux(*self.streams):
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame | AudioFrame):
                        if frame.is_corrupt:
                            what = f"damaged {packet.stream.type} packet"
                            raise self.fault(f"has a {what} at {frame.time or 0:.2f} s")
                        yield frame


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise ClipError(f"{path} cannot be decoded: {error.strerror}.") from error
