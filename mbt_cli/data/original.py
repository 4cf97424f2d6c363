"""A video file read from its first frame to its last; what is damaged in it is an error."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from av import AudioFrame, FFmpegError, VideoFrame

from mbt_cli.data.fault import ClipError, kind
from mbt_cli.data.media import Deadline, Media, opened

BACK_S = 0.1
"""Time stamps may run so far backwards: a chunk of sound on top of others (VGGSound: 21 ms)."""


@dataclass(frozen=True)
class Original:
    """An open file, and the time in it that nothing may lie beyond."""

    media: Media
    limit_s: float

    def fault(self, why: str, reason: str = "damaged") -> ClipError:
        return ClipError(f"{self.media.path} {why}.", reason)

    def check_time(self, what: str, time_s: float, before_s: float) -> None:
        if time_s < before_s - BACK_S:
            raise self.fault(f"leaps back in its {what} from {before_s:.2f} s to {time_s:.2f} s")
        if time_s > self.limit_s:
            raise self.fault(
                f"goes on at {time_s:.0f} s of its {what}, and {self.limit_s:.0f} s are allowed:"
                " cut it, or mend its time stamps"
            )

    def frames(self, deadline: Deadline) -> Iterator[VideoFrame | AudioFrame]:
        """All of them, in the order they lie in the file. Raises ClipError."""
        with _reading(self.media.path):  # where a full disk is not meant
            for packet in self.media.packets(deadline):
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame | AudioFrame):
                        if frame.is_corrupt:
                            what = f"damaged {packet.stream.type} packet"
                            raise self.fault(f"has a {what} at {frame.time or 0:.2f} s")
                        yield frame


@contextmanager
def original(path: Path, limit_s: float) -> Iterator[Original]:
    """The file, with the streams it has. Raises ClipError."""
    with ExitStack() as stack:
        with _reading(path):
            media = stack.enter_context(opened(path))
        one = Original(media, limit_s)
        if not media.streams:
            raise one.fault("has neither a video nor a sound stream", "undecodable")
        yield one


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise ClipError(f"{path} cannot be decoded: {error.strerror}.", kind(error)) from error
