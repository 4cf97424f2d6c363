"""Which clips are learned from, chosen by and tested on, where metadata do not say it all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from mbt_cli.data.listing import Listed, carved
from mbt_cli.words import count

Video = Callable[[Listed], str]
"""What all clips of go together: mostly the video."""


def by_group(clip: Listed) -> str:
    """The group, where that is the video."""
    return clip.group


def by_name(clip: Listed) -> str:
    """Each clip by itself."""
    return clip.name


def settled(
    clips: Sequence[Listed],
    validation: float,
    seed: int,
    video: Video = by_group,
    same: Video = by_name,
) -> tuple[tuple[Listed, ...], list[str]]:
    """Each clip once, none for training that is for testing too, and a share of the training
    videos for validation; with notes on what that left out.

    Two clips are one where `same` says the same of them.
    """  # fmt: skip
    tested = {same(clip) for clip in clips if clip.split == "test"}
    kept: dict[str, Listed] = {}
    repeated, contradicted, overlapping = 0, 0, 0
    for clip in clips:
        if clip.split == "train" and same(clip) in tested:
            overlapping += 1
            continue
        if (known := kept.setdefault(clip.name, clip)) is not clip:
            repeated += 1
            contradicted += known.labels != clip.labels
        elif clip.split == "train" and carved(video(clip), validation, seed):
            kept[clip.name] = replace(clip, split="validation")
    notes = []
    if repeated:
        said = count(repeated, "row", "has", "have")
        notes.append(f"{said} clips that are listed before: each clip is taken once.")
    if contradicted:
        said = count(contradicted, "row", "has", "have")
        notes.append(f"{said} other labels than before: the first ones are taken.")
    if overlapping:
        said = count(overlapping, "training clip", "is", "are")
        notes.append(f"{said} listed for testing too: left out of training.")
    both = {video(c) for c in kept.values() if c.split == "test"} & {
        video(c) for c in kept.values() if c.split != "test"
    }
    if both:
        said = count(len(both), "video", "has", "have")
        notes.append(f"{said} clips for training and others for testing.")
    return tuple(kept.values()), notes


def shares(names: Iterable[str], validation: float, test: float, salt: str = "") -> dict[str, str]:
    """The split of each name: at least one for validation (and for testing, if a share of them
    is), by a hash, so that it is the same everywhere. There must be more names than splits."""
    order = sorted(names, key=lambda name: blake2b(f"{salt}{name}".encode()).digest())
    first = max(1, round(validation * len(order))) if validation else 0
    second = first + (max(1, round(test * len(order))) if test else 0)
    return {
        name: "validation" if i < first else "test" if i < second else "train"
        for i, name in enumerate(order)
    }


def absent(splits: Mapping[str, object | None]) -> list[str]:
    """Notes on the metadata files that were not found, by their names."""
    return [
        f"There is no {name}, so none of its clips." for name, path in splits.items() if not path
    ]
