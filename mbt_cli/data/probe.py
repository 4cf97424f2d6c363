"""What one clip of a file is: everything a scan of a dataset keeps of it, by decoding it once.

Where `reason` is empty, `read_clip` gives every window between the clip's start and the nearer of
its two ends. Times are seconds of the file, as in `read_clip`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b, file_digest
from math import inf
from pathlib import Path

import av
from av import AudioFrame, FFmpegError, VideoFrame

from mbt_cli.data.evidence import Heard, Part, Seen
from mbt_cli.data.fault import ClipError, Unreached, kind
from mbt_cli.data.media import (
    RUN_UPS_S,
    Deadline,
    Media,
    PictureTimes,
    SoundTimes,
    check_file,
    is_cover,
    opened,
)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Plain values: for tables, and from one process to another."""

    reason: str = ""
    """Why the clip cannot be used: the first of `fault.REASONS` that holds; none where it can."""
    detail: str = ""
    """The sentence that goes with it."""
    bytes: int = 0
    """Of the file."""
    hash: str = ""
    """Of the whole file's content: blake2b of 8 bytes, in hexadecimals."""
    duration_s: float = 0.0
    """Of the file, as it says itself."""
    video_end_s: float = 0.0
    """Where the pictures end that really decode, or the clip if that is earlier."""
    audio_end_s: float = 0.0
    """The same of the sound."""
    width: int = 0
    """Of the first picture in pixels, upright."""
    height: int = 0
    frame_rate: float = 0.0
    """Pictures a second, on average over the file."""
    frames: int = 0
    """Pictures on display in the clip."""
    video_codec: str = ""
    audio_codec: str = ""
    rate_hz: int = 0
    """Samples a second, as decoded."""
    channels: int = 0
    video_streams: int = 0
    """In the file, covers not counted. The default one is looked at."""
    audio_streams: int = 0
    peak: float = 0.0
    """The largest absolute sample of the clip, mixed to mono: as the model would hear it."""
    silent: bool = False
    """Whether there is sound, and it peaks below `evidence.SILENT`."""
    still: bool = False
    """Whether there are pictures, all the same but for `evidence.STILL`."""


def probe(
    path: Path, start_s: float = 0.0, end_s: float | None = None, limit_s: float = 120.0
) -> Probe:
    """Of the clip from `start_s` to `end_s`, or to the end of the file.

    Gives up after decoding for `limit_s` seconds of wall-clock. A bad file raises nothing.
    """
    found = Probe()
    end_s = inf if end_s is None else end_s
    try:
        check_file(path)
        found = _of_disk(path)
        if not 0 <= start_s < end_s:
            raise ClipError(f"{path} has no clip from {start_s:g} s to {end_s:g} s.", "out_of_file")
        part = Part(path, float(start_s), float(end_s), sought=False)
        return replace(_scan(part, Deadline(limit_s)), bytes=found.bytes, hash=found.hash)
    except ClipError as error:
        return replace(found, reason=error.reason, detail=str(error))
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror}."
        return replace(found, reason=kind(error), detail=detail)


def _of_disk(path: Path) -> Probe:
    state = path.stat()
    return Probe(bytes=state.st_size, hash=_hash(path, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=64)  # the clips of one long video follow each other
def _hash(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001  # they tell versions
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=8)).hexdigest()


def _scan(part: Part, deadline: Deadline) -> Probe:
    for run_up_s in RUN_UPS_S:
        if run_up_s < part.start_s:
            with suppress(Unreached):
                sought = replace(part, sought=True, troubles={})
                return _look(sought, deadline, part.start_s - run_up_s)
    return _look(part, deadline, 0.0)


def _look(part: Part, deadline: Deadline, from_s: float) -> Probe:
    try:
        with opened(part.path) as media:
            if part.sought:
                media.seek(from_s)
            seen = Seen(part, PictureTimes(media, media.video)) if media.video else None
            heard = Heard(part, SoundTimes(media)) if media.audio else None
            for frame in _frames(part, media, seen, heard, deadline):
                if isinstance(frame, VideoFrame) and seen:
                    seen.add(frame)
                elif isinstance(frame, AudioFrame) and heard:
                    heard.add(frame)
            found = _with_sound(_with_pictures(_of_file(media), part, seen), part, heard)
    except (FFmpegError, OSError) as error:
        bad = Unreached if part.sought else ClipError
        raise bad(f"{part.path} cannot be decoded: {error.strerror}.", kind(error)) from error
    duration_s = found.duration_s or max(found.video_end_s, found.audio_end_s)
    detail = part.troubles.get(part.reason, "")
    return replace(found, duration_s=duration_s, reason=part.reason, detail=detail)


def _frames(
    part: Part, media: Media, seen: Seen | None, heard: Heard | None, deadline: Deadline
) -> Iterator[object]:
    """Until both streams have reached the clip's end; packets that do not decode are noted."""
    at_s: float | None = part.start_s
    packets = media.packets(deadline)
    while not ((seen is None or seen.done) and (heard is None or heard.done)):
        try:
            packet = next(packets, None)
            if packet is None:
                return
            taker = seen if media.shows(packet) else heard
            if taker is None or taker.done:
                continue
            at_s = media.time_s(packet)
            yield from packet.decode()
        except FFmpegError as error:
            at = "at an unknown time" if at_s is None else f"at {at_s:.2f} s"
            why = f"cannot be decoded {at}: {error.strerror}"
            part.trouble("damaged", why, -inf if at_s is None else at_s)


def _of_file(media: Media) -> Probe:
    video, audio, streams = media.video, media.audio, media.file.streams
    return Probe(
        duration_s=(media.file.duration or 0) / av.time_base,
        frame_rate=float(video.average_rate or video.guessed_rate or 0) if video else 0.0,
        video_codec=video.codec_context.codec.canonical_name if video else "",
        audio_codec=audio.codec_context.codec.canonical_name if audio else "",
        video_streams=sum(not is_cover(stream) for stream in streams.video),
        audio_streams=len(streams.audio),
    )


def _with_pictures(found: Probe, part: Part, seen: Seen | None) -> Probe:
    if seen is None:
        part.trouble("no_video", "has no video stream", inf)
        return found
    seen.finish()
    width, height = seen.size
    return replace(
        found,
        video_end_s=seen.end_s,
        width=width,
        height=height,
        frames=seen.frames,
        still=seen.still,
    )


def _with_sound(found: Probe, part: Part, heard: Heard | None) -> Probe:
    if heard is None:
        part.trouble("no_audio", "has no sound stream", inf)
        return found
    heard.finish()
    return replace(
        found,
        audio_end_s=heard.end_s,
        rate_hz=heard.rate_hz,
        channels=heard.channels,
        peak=heard.peak,
        silent=heard.silent,
    )
