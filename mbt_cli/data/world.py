"""The built-in world: rendered videos whose labels are known, and where each label's answer lies.

t frames, h w pixels, s samples. A clip is one second: 8 pictures of 64x64 (H.264) and mono sound
at 16 kHz (AAC). A block drifts over a noisy ground while a tone sounds; it may rain or be night;
once there is a flash, once a beep. Each label belongs to a group that says where its answer is:

    seen        only the picture tells        the block's colour, size, direction; an early flash
    heard       only the sound tells          the tone's pitch, harmonics, tremolo; an early beep
    both        either tells                  rain (streaks, hiss), night (dark, crickets)
    together    one seen XOR one heard        neither alone tells anything, nor does their sum
    in_time     flash and beep coincide       neither alone tells anything

Facts are balanced exactly where the number of clips is a multiple of 16: the four cases of each
pair behind `together`, the slots of flash and beep. In one clip of four these coincide. Whoever
knows only in which half each falls (`early_flash`, `early_beep`) gets an AUC of 0.83 on `in_time`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float32, UInt8

from mbt_cli.data.manifest import SPLITS, Entry, Manifest, fingerprint
from mbt_cli.dataset import Synthetic
from mbt_cli.files import part_of, writing

VERSION = 1
"""Of the generator; in every fingerprint. A change of what is rendered raises it."""

SIZE, FRAMES, RATE_HZ, LENGTH_S = 64, 8, 16_000, 1.0
SLOTS = 4
"""The flash and the beep each happen in one of so many equal parts of the clip."""

GROUPS = {
    "seen": ("warm", "large", "rising", "early_flash"),
    "heard": ("high", "buzzy", "pulsing", "early_beep"),
    "both": ("rain", "night"),
    "together": ("warm^high", "large^buzzy", "rising^pulsing"),
    "in_time": ("in_time",),
}
SAYS = {
    "seen": "only the picture tells",
    "heard": "only the sound tells",
    "both": "either of them tells",
    "together": "seen XOR heard: neither suffices",
    "in_time": "flash and beep at the same time",
}
CLASSES = tuple(name for names in GROUPS.values() for name in names)

Facts = dict[str, Any]
"""What happens in a clip (or, as arrays, in each clip of a split)."""

H264 = {"preset": "veryfast", "crf": "20", "mbtree": "0"}
"""Without mbtree: on pictures so small it gives other bytes in one process of four (seen in x264's
SIMD code), and runs would not be repeatable."""

_REFORMATTER = av.video.reformatter.VideoReformatter()
"""One for the process: a new scaler for each picture costs more than scaling."""


def manifest(spec: Synthetic, folder: Path) -> Manifest:
    """Every clip of a world; nothing is rendered yet."""
    entries = []
    for split in SPLITS:
        facts = happenings(spec.world, split, clips := getattr(spec, split))
        truth = np.stack([facts[name] for name in CLASSES], 1)
        for i in range(clips):
            labels = tuple(int(place) for place in np.flatnonzero(truth[i]))
            path = folder / f"world{spec.world}-v{VERSION}" / f"{split}-{clips}" / f"{i:05d}.mp4"
            entries.append(Entry(f"{split}/{i:05d}", path, split, labels, 0.0, LENGTH_S))
    sizes = (spec.train, spec.validation, spec.test)
    return Manifest(
        entries=tuple(entries),
        classes=CLASSES,
        multi_label=True,
        fingerprint=fingerprint(("synthetic", VERSION, spec.world, *sizes)),
        groups=GROUPS,
        says=SAYS,
    )


def render(spec: Synthetic, entry: Entry) -> None:
    """Writes the clip's mp4, whole or not at all. Raises Unwritable."""
    i = int(entry.path.stem)
    clips = getattr(spec, entry.split)
    facts = happenings(spec.world, entry.split, clips)
    fact = {name: values[i] for name, values in facts.items()}
    rng = np.random.default_rng([VERSION, spec.world, SPLITS.index(entry.split), clips, 1, i])
    part = part_of(entry.path)
    with writing(entry.path):
        encode(picture(fact, rng), sound(fact, rng), part)
        part.replace(entry.path)


@cache
def happenings(world: int, split: str, clips: int) -> Facts:
    """What happens in each clip of a split: arrays (clips,) of bools, and of slots."""
    rng = np.random.default_rng([VERSION, world, SPLITS.index(split), clips, 0])

    def balanced(cases: int) -> np.ndarray:
        return rng.permutation(np.arange(clips) % cases)

    facts: Facts = {"rain": balanced(2) == 1, "night": balanced(2) == 1}
    for name in GROUPS["together"]:
        case, (seen, heard) = balanced(4), name.split("^")
        facts |= {seen: case % 2 == 1, heard: case // 2 == 1, name: (case == 1) | (case == 2)}
    case = balanced(SLOTS * SLOTS)
    facts["flash"], facts["beep"] = case % SLOTS, case // SLOTS
    facts["in_time"] = facts["flash"] == facts["beep"]
    for name in ("flash", "beep"):
        facts[f"early_{name}"] = facts[name] < SLOTS // 2
    return facts


def picture(fact: Facts, rng: np.random.Generator) -> UInt8[np.ndarray, "t h w 3"]:
    """A coloured block drifts over a grey, noisy, sloping ground with two still distractors."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    t = np.arange(FRAMES, dtype=np.float32) / FRAMES
    ground = (60 if fact["night"] else 100) + rng.uniform(-15, 15)
    slope = rng.uniform(-20, 20, (2, 3)).astype(np.float32)
    still = ground + (x - 0.5)[..., None] * slope[0] + (y - 0.5)[..., None] * slope[1]
    for _ in range(2):
        r, (cx, cy) = rng.uniform(0.05, 0.10), rng.uniform(0.1, 0.9, 2)
        still[(abs(x - cx) < r) & (abs(y - cy) < r)] += rng.uniform(-40, 40, 3)
    frames = np.repeat(still[None].astype(np.float32), FRAMES, 0)

    r = rng.uniform(0.17, 0.21) if fact["large"] else rng.uniform(0.09, 0.12)
    cx, speed = rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.6)
    cy = rng.uniform(0.4, 0.6) + (t - 0.44) * (-speed if fact["rising"] else speed)
    green = 140 + 60 * rng.uniform(0, 1)
    colour = np.array([240, green, 130] if fact["warm"] else [130, green, 240])
    frames[(abs(x - cx) < r) & (abs(y - cy[:, None, None]) < r)] = colour * rng.uniform(0.8, 1.1)

    if fact["rain"]:  # bright streaks, elsewhere in each picture
        for frame in frames:
            for _ in range(10):
                left, top = rng.integers(SIZE - 2), rng.integers(SIZE - 16)
                frame[top : top + 16, left : left + 2] += 90
    each = FRAMES // SLOTS
    frames[fact["flash"] * each : (fact["flash"] + 1) * each] += 50
    frames += 10 * rng.standard_normal(frames.shape, dtype=np.float32)
    return frames.clip(0, 255).astype(np.uint8)


def sound(fact: Facts, rng: np.random.Generator) -> Float32[np.ndarray, " s"]:
    """A tone in its manner over a quiet noise, in [-1, 1]."""
    t = np.arange(RATE_HZ, dtype=np.float32) / RATE_HZ
    pitch_hz = rng.uniform(620, 1100) if fact["high"] else rng.uniform(300, 540)
    phase = 2 * np.pi * (pitch_hz * t + rng.uniform())
    wave: np.ndarray = np.sin(phase)
    if fact["buzzy"]:
        wave = np.sum([np.sin(k * phase) / k for k in (1, 2, 3, 4)], 0) / 1.3
    if fact["pulsing"]:
        wave = wave * (0.55 + 0.45 * np.sin(2 * np.pi * (rng.uniform(5, 7) * t + rng.uniform())))
    wave = 0.25 * wave * rng.uniform(0.6, 1.2)
    wave += rng.uniform(0.004, 0.012) * rng.standard_normal(RATE_HZ, dtype=np.float32)
    if fact["rain"]:
        wave += 0.015 * np.diff(rng.standard_normal(RATE_HZ, dtype=np.float32), prepend=0)
    if fact["night"]:  # crickets: a faint chirp near 6 kHz
        chirp = np.sin(2 * np.pi * rng.uniform(5500, 6500) * t)
        wave += 0.02 * chirp * (np.sin(2 * np.pi * (12 * t + rng.uniform())) > 0)
    start = int((fact["beep"] + rng.uniform(0.25, 0.55)) * RATE_HZ / SLOTS)
    partials = np.sin(2 * np.pi * np.arange(1500, 8000, 1500)[:, None] * t[:1600])  # 100 ms
    wave[start : start + 1600] += 0.2 * np.hanning(1600) * partials.sum(0)
    return wave.clip(-1, 1).astype(np.float32)


def encode(
    frames: UInt8[np.ndarray, "t h w 3"], samples: Float32[np.ndarray, " s"], path: Path
) -> None:
    """An mp4 of H.264 and AAC, on one thread: the same bytes from the same arrays."""
    with av.open(path, "w", format="mp4") as mp4:
        video = mp4.add_stream("libx264", rate=FRAMES, options=H264)
        video.width, video.height, video.pix_fmt, video.thread_count = SIZE, SIZE, "yuv420p", 1
        audio = mp4.add_stream("aac", rate=RATE_HZ, layout="mono", options={"aac_coder": "fast"})
        audio.bit_rate = 48_000
        for frame in frames:
            rgb = av.VideoFrame.from_ndarray(frame, format="rgb24")
            mp4.mux(video.encode(_REFORMATTER.reformat(rgb, format="yuv420p", threads=1)))
        mp4.mux(video.encode())
        for start in range(0, len(samples), 1024):
            part = np.ascontiguousarray(samples[None, start : start + 1024])
            heard = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            heard.sample_rate, heard.pts = RATE_HZ, start
            mp4.mux(audio.encode(heard))
        mp4.mux(audio.encode())
