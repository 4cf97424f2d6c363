"""A whole video file made small, so that any span of it decodes fast: the room that prepares.

s samples. Source: FFmpeg through PyAV. Second t of the new file shows and sounds what second t of
the old one does, as `clip.read_clip` reckons it.
"""

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, inf
from pathlib import Path

import numpy as np
from av import AudioFrame, AudioResampler, VideoFrame
from jaxtyping import Float32

from mbt_cli.data.media import ROUNDED_S, Deadline, PictureTimes, SoundTimes
from mbt_cli.data.original import Original, original
from mbt_cli.data.prepared import Form, Loud, Prepared
from mbt_cli.data.sound import GAP_S, Mono
from mbt_cli.files import whole

LIMIT_S = 4 * 3600.0
"""Longer files are refused: a wrong time stamp must not fill the disk with stills and silence."""

_TOGETHER = 64  # chunks of sound placed by one median: 1.5 s of AAC
_SILENCE = 100_000  # samples of silence made at a time, however long it is


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
    display at its time; a key frame a second. Sound: the channels' mean at `sound_hz`, from second
    0 on, silent where the old one starts late or has a gap; peaks above 1.0 are kept. A stream
    that the old file lacks, the new one lacks too (a cover is no video).

    Raises ClipError if anything in the file is damaged, changes its form, leaps back in time or
    lies beyond `limit_s`, or if it has neither pictures nor sound. Raises Unwritable.
    """
    form = Form(short_side, rate_hz, sound_hz)
    try:
        _write(source, target, form, limit_s)
    except Loud:
        _write(source, target, replace(form, floats=True), limit_s)


def _write(source: Path, target: Path, form: Form, limit_s: float) -> None:
    with original(source, limit_s) as old:
        video, audio = old.media.video, old.media.audio
        seen, heard = video is not None, audio is not None
        with whole(target) as part, Prepared(part, form, seen=seen, heard=heard) as new:
            pictures = _Pictures(old, new, PictureTimes(old.media, video)) if video else None
            sound = _Sound(old, new, SoundTimes(old.media)) if audio else None
            for frame in old.frames(Deadline(inf)):
                if pictures and isinstance(frame, VideoFrame):
                    pictures.add(frame)
                elif sound and isinstance(frame, AudioFrame):
                    sound.add(frame)
            for layer in (pictures, sound, new):
                if layer:
                    layer.finish()


class _Pictures:
    """Takes pictures as they come, shows at each place of the grid the one then on display."""

    def __init__(self, old: Original, new: Prepared, times: PictureTimes) -> None:
        self.old, self.new, self.times = old, new, times
        self.on_display: VideoFrame | None = None
        self.shown = 0

    def add(self, picture: VideoFrame) -> None:
        before, before_s, time_s = self.on_display, self.times.time_s, self.times.of(picture)
        if before is None:
            if self.new.audio:  # which begins at second 0; else the pictures must
                self.shown = max(0, floor((time_s + ROUNDED_S) * self.new.form.rate_hz))
        else:
            self.old.check_time("video", time_s, before_s)
            if _shape(picture) != _shape(before):
                why = f"changes its picture size at {time_s:.2f} s"
                raise self.old.fault(why, "changes_form")
            self._show(before, time_s)
        self.on_display = picture

    def _show(self, picture: VideoFrame, end_s: float) -> None:
        end = ceil((end_s - ROUNDED_S) * self.new.form.rate_hz)
        if end > self.shown:
            self.new.show(picture, range(self.shown, end))
            self.shown = end

    def finish(self) -> None:
        last = self.on_display
        if last is None:
            raise self.old.fault("has no picture that decodes", "undecodable")
        end_s = self.times.time_s + self.times.shown_s(last)
        self.old.check_time("video", end_s, end_s)
        self._show(last, end_s)


def _shape(picture: VideoFrame) -> tuple[int, int, int]:
    return picture.width, picture.height, picture.rotation


class _Sound:
    """Takes chunks of sound as they come, mixes them to one channel, lays them out by their stamps.

    Chunks whose stamps agree are placed together, by the median of their stamps.
    """

    def __init__(self, old: Original, new: Prepared, times: SoundTimes) -> None:
        self.old, self.new, self.times, self.mono = old, new, times, Mono()
        self.old_hz = 0
        self.times_s: list[float] = []
        self.chunks: list[Float32[np.ndarray, " chunk"]] = []
        self.resampler = AudioResampler("fltp", "mono", new.form.sound_hz)
        self.laid = 0  # samples of the old rate, from second 0 on
        self.due_s = 0.0  # when the next chunk should begin

    def add(self, chunk: AudioFrame) -> None:
        self.old_hz = self.old_hz or chunk.sample_rate
        if chunk.sample_rate != self.old_hz:
            why = f"changes its sampling rate at {self.times.end_s:.2f} s"
            raise self.old.fault(why, "changes_form")
        before_s, time_s = self.times.end_s, self.times.of(chunk)
        self.old.check_time("sound", time_s, before_s)
        late = time_s - self.due_s >= GAP_S + self.times.tick_s
        if self.chunks and (late or len(self.chunks) == _TOGETHER):
            self._lay_out()
        if not self.chunks and (late or not self.laid):
            self.due_s = time_s
        self.times_s.append(time_s)
        self.chunks.append(self.mono.of(chunk))
        self.due_s += chunk.samples / self.old_hz

    def _lay_out(self) -> None:
        """All of it at the old rate: a new start of the resampler would round to its new one."""
        begins = np.cumsum([0, *map(len, self.chunks[:-1])])
        place_s = float(np.median(np.array(self.times_s) - begins / self.old_hz))
        sound = np.concatenate(self.chunks)
        late = round(place_s * self.old_hz) - self.laid
        self.times_s, self.chunks = [], []
        if self.laid and abs(late) < (GAP_S + self.times.tick_s) * self.old_hz:
            late = 0
        while late > 0:
            silence = min(late, _SILENCE)
            self._lay(np.zeros(silence, np.float32))
            late -= silence
        self._lay(sound[-late:])  # what lies before second 0, or on top of others, is left out
        self.due_s = self.laid / self.old_hz

    def _lay(self, sound: Float32[np.ndarray, " s"]) -> None:
        if not len(sound):
            return
        chunk = AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        chunk.sample_rate, chunk.pts = self.old_hz, self.laid
        chunk.time_base = Fraction(1, self.old_hz)
        self.laid += len(sound)
        self._hear(chunk)

    def _hear(self, chunk: AudioFrame | None) -> None:
        for part in self.resampler.resample(chunk):
            if part is not None:  # so PyAV ends where there was nothing to resample
                self.new.hear(part.to_ndarray()[0])

    def finish(self) -> None:
        if self.chunks:
            self._lay_out()
        if not self.laid:
            raise self.old.fault("has no sound that decodes", "undecodable")
        self._hear(None)
