"""The pictures on display at the moments of a span.

Axes: t moments, h w pixels (upright).
"""

from bisect import bisect_left

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from mbt_cli.data.media import ROUNDED_S, PictureTimes
from mbt_cli.data.span import Span

_scaler = VideoReformatter()  # of its own for each picture, it costs more than the scaling


class Pictures:
    """Takes pictures as they come, keeps those on display at the span's moments."""

    def __init__(self, span: Span, times: PictureTimes) -> None:
        self.span, self.times = span, times
        self.on_display: VideoFrame | None = None
        self.since_s = -np.inf
        self.kept: list[UInt8[np.ndarray, "h w 3"]] = []

    @property
    def done(self) -> bool:
        every = len(self.kept) == len(self.span.moments)
        return every and self.since_s >= self.span.must_reach_s

    def add(self, picture: VideoFrame) -> None:
        if self.span.sought and self.on_display is None and not picture.key_frame:
            return
        time_s = self.times.of(picture)
        past = bisect_left(self.span.moments, time_s - ROUNDED_S)
        if self.on_display is not None:
            self._keep(self.on_display, past - len(self.kept))
        elif past and self.span.sought:
            raise self.span.fault(f"shows its first picture at {time_s:.2f} s", "undecodable")
        self.on_display, self.since_s = picture, time_s

    def _keep(self, picture: VideoFrame, times: int) -> None:
        if times <= 0:
            return
        if picture.is_corrupt:
            raise self.span.fault(f"has a damaged picture at {self.since_s:.2f} s", "damaged")
        short = min(picture.width, picture.height)
        scale = (self.span.short_side or short) / short
        size = round(picture.width * scale), round(picture.height * scale)
        rgb = _scaler.reformat(picture, *size, "rgb24", threads=1).to_ndarray()
        upright = np.rot90(rgb, picture.rotation // 90).astype(np.uint8, copy=False)
        if self.kept and upright.shape != self.kept[0].shape:
            change = f"changes its picture size at {self.since_s:.2f} s"
            raise self.span.fault(change, "changes_form")
        self.kept += [upright] * times

    def stack(self) -> UInt8[np.ndarray, "t h w 3"]:
        last = self.on_display
        if last is None:
            raise self.span.fault("has no picture that decodes", "undecodable")
        shown_s = self.times.shown_s(last)
        self.span.check_end("video", self.since_s + shown_s, shown_s)
        self._keep(last, len(self.span.moments) - len(self.kept))
        return np.stack(self.kept)
