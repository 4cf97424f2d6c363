"""The built-in world of features: videos whose labels are known, and where each answer lies.

t seconds, c values. Shards of frame-level records in YouTube-8M's form: 8, 16 or 24 seconds of 1024
values for the picture and 128 for the sound. On a ground that differs from video to video, with
noise in every second, lie directions, each for a fact. Once there is a cut, once a bang: each lasts
a quarter of the video. Each label belongs to a group that says where its answer is:

    seen        only the picture tells    bright, crowded, moving, outdoors
    heard       only the sound tells      loud, speech, music, echo
    both        either tells              rain, night
    together    one seen XOR one heard    neither alone tells anything, nor does their sum
    early       in the first half         the cut (seen), the bang (heard): means tell nothing
    in_time     cut and bang coincide     neither alone tells anything, nor do means of both
    varied      as much up as down        flicker (seen), tremble (heard): means tell nothing

With one modality, `together` and `in_time` have an AUC of 0.5, and `together` has it with any
linear model. With `mean` and `mean_std`, `early` and `in_time` have 0.5 whatever the model, and
with `mean` `varied` too; `mean_std` tells `varied`, `segments` tell `early` and `in_time`, and
`segments_std` all. Facts are balanced exactly where the number of videos is a multiple of 16; in
one video of four cut and bang coincide. Whoever knows only in which half each falls gets an AUC of
0.83 on `in_time`.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from mbt_cli.data.example import sequence_example
from mbt_cli.data.features import BIAS, OF_SECONDS, SCALE
from mbt_cli.data.manifest import SPLITS, Entry, Manifest, fingerprint
from mbt_cli.data.tfrecord import size, write
from mbt_cli.dataset import FEATURES, SyntheticFeatures
from mbt_cli.files import whole

VERSION = 1
"""Of the generator; in every fingerprint. A change of what is written raises it."""

SECONDS = (8, 16, 24)
"""How long a video may be: an even number of seconds in each quarter."""
SLOTS = 4
"""The cut and the bang each fill one of so many equal parts of the video."""
RECORDS = 250
"""In a shard."""

GROUPS = {
    "seen": ("bright", "crowded", "moving", "outdoors"),
    "heard": ("loud", "speech", "music", "echo"),
    "both": ("rain", "night"),
    "together": ("bright^loud", "crowded^speech", "moving^music"),
    "early": ("early_cut", "early_bang"),
    "in_time": ("in_time",),
    "varied": ("flicker", "tremble"),
}
SAYS = {
    "seen": "only the picture tells",
    "heard": "only the sound tells",
    "both": "either of them tells",
    "together": "seen XOR heard: neither suffices",
    "early": "in the first half of the video",
    "in_time": "cut and bang at the same time",
    "varied": "by its deviation, not its mean",
}
CLASSES = tuple(name for names in GROUPS.values() for name in names)
SHOWN = {
    "video": (*GROUPS["seen"], *GROUPS["both"]),
    "audio": (*GROUPS["heard"], *GROUPS["both"]),
}
"""What each modality shows all the time."""
EVENT = {"video": "cut", "audio": "bang"}
WAVERS = {"video": "flicker", "audio": "tremble"}

STRENGTH = {"video": 2.0, "audio": 1.0}
"""How far a fact moves a video: the length of its direction."""
GROUND, NOISE = 0.1, 0.25
"""Deviation of each value from video to video, and from second to second."""

Facts = dict[str, Any]
"""What happens in a video (or, as arrays, in each video of a split)."""


def manifest(spec: SyntheticFeatures, folder: Path) -> Manifest:
    """Every video of a world; nothing is written yet."""
    entries = []
    for split in SPLITS:
        facts = happenings(spec.world, split, videos := getattr(spec, split))
        truth, offset = np.stack([facts[name] for name in CLASSES], 1), 0
        for i in range(videos):
            labels = tuple(int(place) for place in np.flatnonzero(truth[i]))
            offset = offset if i % RECORDS else 0
            path = _path(spec, split, i // RECORDS, folder)
            seconds = int(facts["seconds"][i])
            entries.append(
                Entry(f"{split}/{i:05d}", path, split, labels, 0.0, float(seconds),
                      f"{split}/{i:05d}", offset)
            )  # fmt: skip
            offset += size(_bytes(len(entries[-1].name), len(labels), seconds))
    sizes = (spec.train, spec.validation, spec.test)
    return Manifest(
        entries=tuple(entries),
        classes=CLASSES,
        multi_label=True,
        tagging=True,
        fingerprint=fingerprint(("synthetic_features", VERSION, spec.world, *sizes)),
        groups=GROUPS,
        says=SAYS,
    )


def render(spec: SyntheticFeatures, entry: Entry) -> None:
    """Writes the shard that holds a video, whole or not at all. Raises Unwritable."""
    split, videos = entry.split, getattr(spec, entry.split)
    facts = happenings(spec.world, split, videos)
    first = RECORDS * int(entry.path.stem.removeprefix(split))
    with whole(entry.path) as file:
        for i in range(first, min(first + RECORDS, videos)):
            fact = {name: values[i] for name, values in facts.items()}
            random = np.random.default_rng([VERSION, spec.world, SPLITS.index(split), videos, 1, i])
            vectors = {OF_SECONDS[m]: stored(video(fact, m, spec.world, random)) for m in FEATURES}
            labels = [place for place, name in enumerate(CLASSES) if fact[name]]
            write(file, [sequence_example(f"{split}/{i:05d}", labels, vectors)])


@cache
def happenings(world: int, split: str, videos: int) -> Facts:
    """What happens in each video of a split: arrays (videos,) of bools, slots and seconds."""
    random = np.random.default_rng([VERSION, world, SPLITS.index(split), videos, 0])

    def balanced(cases: int) -> np.ndarray:
        return random.permutation(np.arange(videos) % cases)

    alone = ("outdoors", "echo", *GROUPS["both"], *GROUPS["varied"])
    facts: Facts = {name: balanced(2) == 1 for name in alone}
    for name in GROUPS["together"]:
        case, (seen, heard) = balanced(4), name.split("^")
        facts |= {seen: case % 2 == 1, heard: case // 2 == 1, name: (case == 1) | (case == 2)}
    case = balanced(SLOTS * SLOTS)
    facts["cut"], facts["bang"] = case % SLOTS, case // SLOTS
    facts["in_time"] = facts["cut"] == facts["bang"]
    for name in ("cut", "bang"):
        facts[f"early_{name}"] = facts[name] < SLOTS // 2
    facts["seconds"] = np.array(SECONDS)[balanced(len(SECONDS))]
    return facts


def video(
    fact: Facts, modality: str, world: int, random: np.random.Generator
) -> Float32[np.ndarray, "t c"]:
    """The feature vectors of one modality of a video."""
    towards, t = directions(world, modality), int(fact["seconds"])
    width = FEATURES[modality]
    found = GROUND * random.standard_normal(width, np.float32)
    for name in SHOWN[modality]:
        found = found + (0.5 if fact[name] else -0.5) * towards[name]
    found = found + NOISE * random.standard_normal((t, width), np.float32)
    slot, each = fact[EVENT[modality]], t // SLOTS
    found[slot * each : (slot + 1) * each] += towards["event"]
    if fact[WAVERS[modality]]:  # in every quarter as much up as down
        signs = np.concatenate([random.permutation(np.arange(each) % 2 * 2 - 1)
                                for _ in range(SLOTS)])  # fmt: skip
        found += signs[:, None] * towards["waver"]
    return found.astype(np.float32)


@cache
def directions(world: int, modality: str) -> Mapping[str, Float32[np.ndarray, " c"]]:
    """What each fact adds to a modality's vectors, at right angles to each other."""
    random = np.random.default_rng([VERSION, world, len(SPLITS), *modality.encode()])
    names = (*SHOWN[modality], "event", "waver")
    axes, _ = np.linalg.qr(random.standard_normal((FEATURES[modality], len(names))))
    return {
        name: (STRENGTH[modality] * axis).astype(np.float32)
        for name, axis in zip(names, axes.T, strict=True)
    }


def stored(vectors: Float32[np.ndarray, "t c"]) -> UInt8[np.ndarray, "t c"]:
    """The bytes that stand for the values."""
    return np.rint((vectors - BIAS) / SCALE).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=1024)
def _bytes(name: int, labels: int, seconds: int) -> int:
    """Of a record: its labels are all below 128, a byte each."""
    blank = {OF_SECONDS[m]: np.zeros((seconds, width), np.uint8) for m, width in FEATURES.items()}
    return len(sequence_example("-" * name, [0] * labels, blank))


def _path(spec: SyntheticFeatures, split: str, shard: int, folder: Path) -> Path:
    below = folder / f"world{spec.world}-v{VERSION}" / f"{split}-{getattr(spec, split)}"
    return below / f"{split}{shard:04d}.tfrecord"
