"""A whole video file made small, so that any span of it decodes fast: the room that prepares.

s samples. Source: FFmpeg through PyAV. Second t of the new file shows and sounds what second t of
the old one does, as `clip.read_clip` reckons it.
"""

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import numpy as np
from av import AudioFrame, AudioResampler, VideoFrame
from jaxtyping import Float32

from mbt_cli.data.original import Original
from mbt_cli.data.prepared import Form, Loud, Prepared
from mbt_cli.files import whole

LIMIT_S = 4 * 3600.0
"""Longer files are refused: a wrong time stamp must not fill the disk with stills and silence."""

_ROUNDED_S = 0.00051  # Matroska rounds time stamps to 1 ms
_GAP_S = 0.002  # sound later than this follows a gap, as in clip.py
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
    old = Original.open(source, limit_s)
    seen, heard = old.video is not None, old.audio is not None
    with old.file, whole(target) as part, Prepared(part, form, seen=seen, heard=heard) as new:
        pictures = _Pictures(old, new) if seen else None
        sound = _Sound(old, new) if heard else None
        for frame in old.frames():
            if pictures and isinstance(frame, VideoFrame):
                pictures.add(frame)
            elif sound and isinstance(frame, AudioFrame):
                sound.add(frame)
        for layer in (pictures, sound, new):
            if layer:
                layer.finish()


class _Pictures:
    """Takes pictures as they come, shows at each place of the grid the one then on display."""

    def __init__(self, old: Original, new: Prepared) -> None:
        self.old, self.new, stream = old, new, old.video
        rate = stream and (stream.average_rate or stream.guessed_rate)
        self.step_s = float(1 / (rate or 25))
        self.avi = old.file.format.name == "avi"  # it stores no presentation times
        self.on_display: VideoFrame | None = None
        self.time_s = -self.step_s
        self.shown = 0

    def add(self, picture: VideoFrame) -> None:
        stamp = picture.dts if self.avi or picture.pts is None else picture.pts
        time_s = self.time_s + self.step_s
        if stamp is not None and picture.time_base:
            time_s = float(stamp * picture.time_base) - self.old.zero_s
        before = self.on_display
        if before is None:
            if self.new.audio:  # which begins at second 0; else the pictures must
                self.shown = max(0, floor((time_s + _ROUNDED_S) * self.new.form.rate_hz))
        else:
            self.old.check_time("video", time_s, self.time_s)
            if _shape(picture) != _shape(before):
                raise self.old.fault(f"changes its picture size at {time_s:.2f} s")
            self._show(before, time_s)
        self.on_display, self.time_s = picture, time_s

    def _show(self, picture: VideoFrame, end_s: float) -> None:
        end = ceil((end_s - _ROUNDED_S) * self.new.form.rate_hz)
        if end > self.shown:
            self.new.show(picture, range(self.shown, end))
            self.shown = end

    def finish(self) -> None:
        last = self.on_display
        if last is None:
            raise self.old.fault("has no picture that decodes")
        shown_s = float((last.duration or 0) * (last.time_base or 0)) or self.step_s
        end_s = self.time_s + shown_s
        self.old.check_time("video", end_s, end_s)
        self._show(last, end_s)


def _shape(picture: VideoFrame) -> tuple[int, int, int]:
    return picture.width, picture.height, picture.rotation


class _Sound:
    """Takes chunks of sound as they come, mixes them to one channel, lays them out by their stamps.

    Chunks whose stamps agree are placed together, by the median of their stamps.
    """

    def __init__(self, old: Original, new: Prepared) -> None:
        self.old, self.new = old, new
        self.old_hz = 0
        self.tick_s = self.end_s = 0.0
        self.times_s: list[float] = []
        self.chunks: list[Float32[np.ndarray, " chunk"]] = []
        self.mixers: dict[tuple[str, str], AudioResampler] = {}
        self.resampler = AudioResampler("fltp", "mono", new.form.sound_hz)
        self.laid = 0  # samples of the old rate, from second 0 on
        self.due_s = 0.0  # when the next chunk should begin

    def add(self, chunk: AudioFrame) -> None:
        self.old_hz = self.old_hz or chunk.sample_rate
        if chunk.sample_rate != self.old_hz:
            raise self.old.fault(f"changes its sampling rate at {self.end_s:.2f} s")
        time_s = self.end_s
        if chunk.pts is not None and chunk.time_base:
            time_s = float(chunk.pts * chunk.time_base) - self.old.zero_s
            self.tick_s = float(chunk.time_base)
        self.old.check_time("sound", time_s, self.end_s)
        late = time_s - self.due_s >= _GAP_S + self.tick_s
        if self.chunks and (late or len(self.chunks) == _TOGETHER):
            self._lay_out()
        if not self.chunks and (late or not self.laid):
            self.due_s = time_s
        self.times_s.append(time_s)
        self.chunks.append(self._mono(chunk))
        self.due_s += chunk.samples / self.old_hz
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
        sound = np.concatenate(self.chunks)
        late = round(place_s * self.old_hz) - self.laid
        self.times_s, self.chunks = [], []
        if self.laid and abs(late) < (_GAP_S + self.tick_s) * self.old_hz:
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
            raise self.old.fault("has no sound that decodes")
        self._hear(None)
