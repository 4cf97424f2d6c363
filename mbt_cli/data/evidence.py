"""What a clip shows and sounds like as it is decoded, with what is wrong with it.

The two witnesses of `data/probe.py`. Times are seconds of the file.
"""

from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path

import numpy as np
from av import AudioFrame, VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import Int16

from mbt_cli.data.fault import REASONS, Unreached
from mbt_cli.data.media import ROUNDED_S, WARM_UP_S, PictureTimes, SoundTimes
from mbt_cli.data.sound import Mono

SILENT = 1e-4
"""A peak below this is silence: -80 dB of full scale, 3 steps of 16 bits."""
STILL = 4
"""Pictures whose thumbnails differ from the first one's by no more (of 255) are all the same."""
THUMBNAIL = 16
"""Its height and width in pixels: each the mean of its part of the picture, in grey."""

_scaler = VideoReformatter()


@dataclass(frozen=True)
class Part:
    """The clip looked at, and what is wrong with it; see `Span` for `sought`."""

    path: Path
    start_s: float
    end_s: float
    sought: bool
    troubles: dict[str, str] = field(default_factory=dict)

    def trouble(self, reason: str, why: str, at_s: float = -inf) -> None:
        """Kept; before the clip's start, reading from farther back may mend it."""
        if self.sought and at_s < self.start_s:
            raise Unreached(f"{self.path} {why}.", reason)
        self.troubles.setdefault(reason, f"{self.path} {why}.")

    @property
    def reason(self) -> str:
        """The first of REASONS that holds; none where the clip can be used."""
        return next((reason for reason in REASONS if reason in self.troubles), "")

    def check_end(self, what: str, end_s: float) -> None:
        if end_s <= self.start_s + ROUNDED_S:
            why = f"has {what} until {end_s:.2f} s, and the clip starts at {self.start_s:.2f} s"
            self.trouble("out_of_file", why, inf)


class Seen:
    """Takes pictures as they come, looks at those on display in the clip."""

    def __init__(self, part: Part, times: PictureTimes) -> None:
        self.part, self.times = part, times
        self.on_display: VideoFrame | None = None
        self.since_s = -inf
        self.first: Int16[np.ndarray, "h w"] | None = None
        self.end_s, self.frames, self.size, self.same = 0.0, 0, (0, 0), True

    @property
    def done(self) -> bool:
        return self.since_s >= self.part.end_s

    @property
    def still(self) -> bool:
        return self.frames > 0 and self.same

    def add(self, picture: VideoFrame) -> None:
        if self.part.sought and self.on_display is None and not picture.key_frame:
            return
        time_s = self.times.of(picture)
        if self.on_display is not None:
            self._look(self.on_display, until_s=time_s)
        elif self.part.sought and time_s > self.part.start_s + ROUNDED_S:
            self.part.trouble("undecodable", f"shows its first picture at {time_s:.2f} s")
        self.on_display, self.since_s = picture, time_s

    def _look(self, picture: VideoFrame, until_s: float) -> None:
        if until_s <= self.part.start_s or self.since_s >= self.part.end_s:
            return
        at = f"at {self.since_s:.2f} s"
        if picture.is_corrupt:
            self.part.trouble("damaged", f"has a damaged picture {at}", self.since_s)
        size = picture.width, picture.height
        if picture.rotation % 180:
            size = picture.height, picture.width
        thumbnail = _scaler.reformat(
            picture, THUMBNAIL, THUMBNAIL, "gray", interpolation=Interpolation.AREA, threads=1
        ).to_ndarray()
        if self.first is None:
            self.first, self.size = thumbnail.astype(np.int16), size
        if size != self.size:
            self.part.trouble("changes_form", f"changes its picture size {at}", self.since_s)
        self.same &= bool(np.abs(thumbnail - self.first).max() <= STILL)
        self.frames += 1

    def finish(self) -> None:
        """After the last picture."""
        if self.on_display is None:
            self.part.trouble("undecodable", "has no picture that decodes")
            return
        end_s = self.since_s + self.times.shown_s(self.on_display)
        self._look(self.on_display, until_s=end_s)
        self.end_s = min(end_s, self.part.end_s)
        self.part.check_end("pictures", end_s)


class Heard:
    """Takes chunks of sound as they come, listens to those in the clip."""

    def __init__(self, part: Part, times: SoundTimes) -> None:
        self.part, self.times, self.mono = part, times, Mono()
        self.rate_hz = self.channels = 0
        self.end_s = self.peak = 0.0
        self.heard = False

    @property
    def done(self) -> bool:
        return self.times.end_s >= self.part.end_s + WARM_UP_S  # a window at the end reads on

    @property
    def silent(self) -> bool:
        return self.heard and self.peak < SILENT

    def add(self, chunk: AudioFrame) -> None:
        time_s = self.times.of(chunk)
        if not self.rate_hz:
            self.rate_hz, self.channels = chunk.sample_rate, chunk.layout.nb_channels
            if self.part.sought and time_s > self.part.start_s - WARM_UP_S:
                self.part.trouble("undecodable", f"sounds from {time_s:.2f} s")
        if chunk.sample_rate != self.rate_hz:
            change = f"changes its sampling rate at {time_s:.2f} s"
            self.part.trouble("changes_form", change, time_s)
        begin, end = (
            round((at_s - time_s) * chunk.sample_rate) if isfinite(at_s) else chunk.samples
            for at_s in (self.part.start_s, self.part.end_s)
        )
        if begin < chunk.samples and end > 0:
            peak = float(np.abs(self.mono.of(chunk)[max(0, begin) : end]).max(initial=0.0))
            if not isfinite(peak):
                what = f"has sound that is no number at {time_s:.2f} s"
                self.part.trouble("damaged", what, time_s)
            self.heard, self.peak = True, max(self.peak, peak)

    def finish(self) -> None:
        """After the last chunk."""
        if not self.rate_hz:
            self.part.trouble("undecodable", "has no sound that decodes")
            return
        self.end_s = min(self.times.end_s, self.part.end_s)
        self.part.check_end("sound", self.times.end_s)
