"""The sound of a span, mixed to mono and laid out by its time stamps.

Axes: s samples at the file's own rate.
"""

from itertools import pairwise

import numpy as np
from av import AudioFrame, AudioResampler
from jaxtyping import Float32

from mbt_cli.data.fault import ClipError
from mbt_cli.data.media import WARM_UP_S, SoundTimes
from mbt_cli.data.span import Span

GAP_S = 0.002  # a chunk later than this follows a gap (unbroken sound in VGGSounder: 1.6 ms)
_CROWDED_S = 0.1  # a chunk may be stamped so early, on top of others (VGGSounder: 21 ms)


class Mono:
    """Mixes chunks as `ffmpeg -ac 1 out.wav` does, that is, to the mean of their channels."""

    def __init__(self) -> None:
        self.mixers: dict[tuple[str, str, int], AudioResampler] = {}

    def of(self, chunk: AudioFrame) -> Float32[np.ndarray, " chunk"]:
        kind = chunk.layout.name, chunk.format.name, chunk.sample_rate
        if kind not in self.mixers:
            as_in_wav = {"rematrix_maxval": "1"}  # else a mix in floats comes out 3 dB louder
            self.mixers[kind] = AudioResampler("fltp", "mono", kind[2], options=as_in_wav)
        mixed = [part.to_ndarray()[0] for part in self.mixers[kind].resample(chunk)]
        return np.concatenate(mixed).astype(np.float32, copy=False)


class Sound:
    """Takes chunks of sound as they come, lays them out by their time stamps."""

    def __init__(self, span: Span, times: SoundTimes) -> None:
        self.span, self.times, self.mono = span, times, Mono()
        self.rate_hz = 0
        self.times_s: list[float] = []
        self.chunks: list[Float32[np.ndarray, " chunk"]] = []

    @property
    def done(self) -> bool:
        return self.times.end_s >= self.span.end_s + GAP_S + self.times.tick_s

    def add(self, chunk: AudioFrame) -> None:
        self.rate_hz = self.rate_hz or chunk.sample_rate
        if chunk.sample_rate != self.rate_hz:
            change = f"changes its sampling rate at {self.times.end_s:.2f} s"
            raise self.span.fault(change, "changes_form")
        time_s = self.times.of(chunk)
        if self.span.sought and not self.chunks and time_s > self.span.start_s - WARM_UP_S:
            raise self.span.fault(f"sounds from {time_s:.2f} s", "undecodable")
        self.times_s.append(time_s)
        self.chunks.append(self.mono.of(chunk))

    def lay_out(self) -> Float32[np.ndarray, " s"]:
        """Chunks stay together while their stamps agree, placed by the median of their stamps."""
        if not self.chunks:
            raise self.span.fault("has no sound that decodes", "undecodable")
        self.span.check_end("sound", self.times.end_s, len(self.chunks[-1]) / self.rate_hz)
        begins = np.cumsum([0, *map(len, self.chunks[:-1])])
        late_s = np.array(self.times_s) - self.span.start_s - begins / self.rate_hz
        firsts = [0]
        for k, late in enumerate(late_s):
            if not -_CROWDED_S < late - late_s[firsts[-1]] < GAP_S + self.times.tick_s:
                firsts.append(k)
        sound = np.zeros(round(self.span.span_s * self.rate_hz), np.float32)
        for first, after in pairwise([*firsts, len(self.chunks)]):
            run = np.concatenate(self.chunks[first:after])
            place = int(begins[first]) + round(np.median(late_s[first:after]) * self.rate_hz)
            heard = run[max(0, -place) : max(0, len(sound) - place)]
            sound[max(0, place) :][: len(heard)] = heard
        if not np.isfinite(sound).all():
            raise ClipError(f"{self.span.path} has sound that is no number.", "damaged")
        return sound
