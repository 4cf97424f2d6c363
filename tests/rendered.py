"""Media files with known answers: each picture a barcode of its number, each sound a known one."""

import functools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

KINDS = {
    "long.mp4": {"options": {"bf": "3", "g": "1000", "sc_threshold": "0"}},
    "short.mp4": {"options": {"bf": "2", "g": "10"}},
    "ms.mkv": {"options": {"bf": "2", "g": "25"}},
    "opus.mkv": {"audio": "libopus", "rate_hz": 48_000},
    "pcm.mov": {"audio": "pcm_s16le", "rate_hz": 22_050},
    "late.ts": {"options": {"bf": "2", "g": "25"}, "audio": "mp2"},
    "grid.mpg": {"video": "mpeg1video", "audio": "mp2", "options": {"g": "12", "bf": "2"}},
    "sharp.avi": {"video": "mpeg4", "audio": "pcm_s16le", "options": {"g": "12"}},
}
"""A file of each kind of container and codec: how it is rendered."""
TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}  # clockwise on display


def barcode(number: int, height: int = 64, width: int = 64) -> np.ndarray:
    """16 bits in a 4 x 4 grid of dark and bright blocks, least first, along rows."""
    bits = (number >> np.arange(16) & 1).reshape(4, 4)
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    grey = np.where(bits[rows][:, columns], 225, 30).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def number(picture: np.ndarray) -> int:
    height, width = picture.shape[:2]
    rows, columns = ((np.arange(4) * 2 + 1) * side // 8 for side in (height, width))
    bits = picture[rows][:, columns].mean(-1) > 127
    return int((bits.ravel().astype(int) << np.arange(16)).sum())


def numbers(pictures: np.ndarray) -> list[int]:
    return [number(picture) for picture in pictures]


@functools.cache
def noise(seconds: float, rate_hz: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Low noise (below 3 kHz), the same at any rate: never twice the same, so its place is sure."""
    rng, time_s = np.random.default_rng(seed), np.arange(round(seconds * rate_hz)) / rate_hz
    sound = np.zeros(len(time_s))
    for frequency_hz, phase in zip(rng.uniform(100, 3000, 97), rng.uniform(0, 7, 97), strict=True):
        sound += np.sin(2 * np.pi * frequency_hz * time_s + phase)
    return np.tile(np.float32(0.03 * sound), (channels, 1))


def render(
    path: Path,
    *,
    times_s: Sequence[float] = tuple(np.arange(175) / 25),
    sound: np.ndarray | None = None,
    rate_hz: int = 44_100,
    sound_from_s: float = 0.0,
    gap: tuple[float, float] = (0.0, 0.0),
    video: str = "libx264",
    audio: str = "aac",
    options: dict[str, str] | None = None,
    size: tuple[int, int] = (64, 64),
    pixels: str = "yuv420p",
    rate: int = 25,
    clock: int | None = None,
    bit_rate: int = 192_000,
) -> Path:
    """Picture k at times_s[k] (in ticks of 1 / clock s), and `sound` (channels, samples)."""
    clock = clock or rate
    with av.open(str(path), "w") as file:
        if len(times_s):
            pictures = file.add_stream(video, rate=rate, options=options or {})
            pictures.height, pictures.width = size
            pictures.pix_fmt, pictures.codec_context.thread_count = pixels, 1
            pictures.codec_context.time_base = Fraction(1, clock)
        if sound is not None:
            channels = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
            sounds = file.add_stream(audio, rate=rate_hz, layout=channels)
            sounds.bit_rate = bit_rate
            into = sounds.codec_context.format.name
            step = sounds.codec_context.frame_size or 441
            begin, pause = gap
            for at in range(0, sound.shape[1], step):
                part = sound[:, at : at + step]
                if into.startswith("s"):
                    whole = np.int16 if into.startswith("s16") else np.int32
                    part = np.round(part * -float(np.iinfo(whole).min)).astype(whole)
                if not into.endswith("p"):
                    part = np.ascontiguousarray(part.T).reshape(1, -1)
                chunk = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), into, channels)
                late_s = sound_from_s + (pause if at >= round(begin * rate_hz) else 0)
                chunk.sample_rate, chunk.time_base = rate_hz, Fraction(1, rate_hz)
                chunk.pts = at + round(late_s * rate_hz)
                file.mux(sounds.encode(chunk))
            file.mux(sounds.encode(None))
        for k, time_s in enumerate(times_s):
            picture = av.VideoFrame.from_ndarray(barcode(k, *size), format="rgb24")
            picture.pts, picture.time_base = round(time_s * clock), Fraction(1, clock)
            file.mux(pictures.encode(picture))
        if len(times_s):
            file.mux(pictures.encode(None))
    return path


def lag(heard: np.ndarray, truth: np.ndarray) -> int:
    """How many samples `heard` comes after `truth`, where both are most alike."""
    n = 2 * len(truth)
    alike = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(truth, n)), n)
    best = int(alike.argmax())
    return best - n if best > n // 2 else best
