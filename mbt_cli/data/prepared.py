"""A prepared file while it is written: H.264 and sound without loss, in mp4.

h w pixels, s samples. Any second of it decodes fast: key frames once a second, no B-frames, and
nothing that takes a decoder time (neither CABAC nor the deblocking filter). Measured on VGGSound's
clips (4 s, 8 pictures, CRF 24): 14 ms a clip; with both, 23 ms and 7 % less to store.

Sound is FLAC, 16 bits: a packet sounds when its stamp says, with no encoder's delay, sample by
sample at any seek, in a third of the space of floats. Where a peak is above 1.0, the file's sound
is floats instead (PCM), which decode as fast. AAC would take 40 % of FLAC's space, but is lossy.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av import AudioFrame, AudioStream, Packet, VideoFrame, VideoStream
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32

H264 = {"preset": "veryfast", "tune": "fastdecode", "crf": "24", "bf": "0", "mbtree": "0"}
"""Without mbtree: with it, small pictures gave other bytes now and then (see `world.H264`)."""

_BLOCK = 1152  # samples in a packet of sound


class Loud(Exception):
    """A peak above 1.0, which 16 bits do not hold."""


@dataclass(frozen=True)
class Form:
    """What a prepared file is like; `floats` says how its sound is kept."""

    short_side: int
    rate_hz: int
    sound_hz: int
    floats: bool = False


class Prepared:
    """Takes pictures by their place on the grid of 1 / rate_hz s, and sound one after another."""

    def __init__(self, file: BinaryIO, form: Form, *, seen: bool, heard: bool) -> None:
        self.form, self.mp4 = form, av.open(file, "w", format="mp4")
        self.video: VideoStream | None = None
        self.audio: AudioStream | None = None
        if seen:
            group = {"g": str(form.rate_hz)}
            self.video = self.mp4.add_stream("libx264", rate=form.rate_hz, options=H264 | group)
            self.video.pix_fmt, self.video.codec_context.thread_count = "yuv420p", 1
        if heard:
            codec, self.kind = ("pcm_f32le", "flt") if form.floats else ("flac", "s16")
            audio = self.mp4.add_stream(codec, rate=form.sound_hz, layout="mono")
            assert isinstance(audio, AudioStream)
            audio.codec_context.format, self.audio = self.kind, audio
        self.scaler, self.back = VideoReformatter(), VideoReformatter()
        self.sized = not seen
        self.waiting: list[Packet[Any]] = []  # sound, until the size of pictures is known
        self.rest = np.zeros(0, np.float32)
        self.sounded = 0

    def __enter__(self) -> "Prepared":
        return self

    def __exit__(self, *_: object) -> None:
        self.mp4.close()

    def show(self, picture: VideoFrame, places: range) -> None:
        """One picture at these places of the grid."""
        assert self.video is not None
        small = self._small(picture)
        if not self.sized:
            self.video.width, self.video.height, self.sized = small.width, small.height, True
        for place in places:
            small.pts, small.time_base = place, Fraction(1, self.form.rate_hz)
            self._mux(self.video.encode(small))

    def _small(self, picture: VideoFrame) -> VideoFrame:
        """Upright, of the new size; by way of the colours that clip.py would give."""
        sides = picture.width, picture.height
        short = max(2, min(self.form.short_side, *sides) // 2 * 2)
        across, down = (round(side * short / min(sides) / 2) * 2 for side in sides)
        rgb = self.scaler.reformat(picture, across, down, "rgb24", threads=1).to_ndarray()
        upright = np.ascontiguousarray(np.rot90(rgb, picture.rotation // 90), np.uint8)
        frame = VideoFrame.from_ndarray(upright, format="rgb24")
        return self.back.reformat(frame, format="yuv420p", threads=1)

    def hear(self, sound: Float32[np.ndarray, " s"]) -> None:
        """What sounds next, from second 0 on. Raises Loud where it cannot be kept."""
        if not self.form.floats and abs(sound).max(initial=0) > 1:
            raise Loud
        self.rest = np.concatenate([self.rest, sound])
        whole = len(self.rest) // _BLOCK * _BLOCK
        self._encode(self.rest[:whole])
        self.rest = self.rest[whole:]

    def _encode(self, sound: Float32[np.ndarray, " s"]) -> None:
        assert self.audio is not None
        kept: np.ndarray = sound
        if not self.form.floats:
            kept = np.rint(sound * 32768).clip(-32768, 32767).astype(np.int16)
        for at in range(0, len(kept), _BLOCK):
            block = AudioFrame.from_ndarray(kept[None, at : at + _BLOCK], self.kind, "mono")
            block.sample_rate, block.pts = self.form.sound_hz, self.sounded
            block.time_base = Fraction(1, self.form.sound_hz)
            self.sounded += block.samples
            self._mux(self.audio.encode(block))

    def _mux(self, packets: list["Packet[Any]"]) -> None:
        self.waiting += packets
        if self.sized:
            self.mp4.mux(self.waiting)
            self.waiting = []

    def finish(self) -> None:
        if self.audio:
            self._encode(self.rest)
            self._mux(self.audio.encode(None))
        if self.video:
            self._mux(self.video.encode(None))
