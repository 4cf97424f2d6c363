"""Epic-Kitchens-100 by its csv files: segments of long egocentric videos, a verb and a noun each.

Damen et al. 2022. Times are read, never frame numbers: these are of 60 fps for videos of 59.94.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mbt_cli.data.listing import Listed, Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import absent, settled
from mbt_cli.data.table import at, clock, named
from mbt_cli.dataset import EpicKitchens
from mbt_cli.errors import MbtError

CLASSES = {"verb": 97, "noun": 300, "action": 397}
OFFICIAL = {"verb": "81520c38", "noun": "855270e2", "action": "f8003c32"}
"""The fingerprints of the keys by id, and of both after another with `verb: ` and `noun: `."""

TABLES = {"train": "EPIC_100_train.csv", "test": "EPIC_100_validation.csv"}
SEGMENTS = {"train": 67_217, "test": 9_668}
SOURCE = "Epic-Kitchens-100's repository of annotations"
COLUMNS = (
    "narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp",
    "verb_class", "noun_class",
)  # fmt: skip
NARRATION = re.compile(r"((P\d\d)_\d{2,3})_\d+", re.ASCII)


def listing(spec: EpicKitchens, shelf: Shelf) -> Listing:
    """All segments of the training list, and of the validation list as test.

    Raises MbtError where a file is missing or a row is not as it should be.
    """
    kinds = ("verb", "noun") if spec.target == "action" else (spec.target,)
    words = {
        kind: keys(shelf.needed(f"EPIC_100_{kind}_classes.csv", source=SOURCE))
        for kind in ("verb", "noun")
    }
    tables = {name: shelf.table(name) for name in TABLES.values()}
    if not any(tables.values()):
        raise MbtError(f"{shelf.missing(*tables)} {SOURCE} has them.")
    clips = [
        clip
        for split, name in TABLES.items()
        if (path := tables[name]) is not None
        for clip in segments(path, split, shelf, words, kinds)
    ]
    kept, notes = settled(clips, spec.validation, spec.split_seed, video=video)
    if spec.target == "action":
        classes = tuple(f"{kind}: {word}" for kind in kinds for word in words[kind])
    else:
        classes = tuple(words[spec.target])
    return Listing(
        clips=kept,
        classes=classes,
        class_list=class_list(f"epic_kitchens_{spec.target}", classes, OFFICIAL[spec.target]),
        multi_label=False,
        heads={kind: len(words[kind]) for kind in kinds} if spec.target == "action" else {},
        official=SEGMENTS,
        notes=(*absent(tables), *notes),
    )


def video(clip: Listed) -> str:
    """What a segment was cut from; its group is the participant, who has several."""
    return clip.name.rpartition("_")[0]


def keys(path: Path) -> list[str]:
    """The words of a list of classes, by their ids. Raises MbtError."""
    found: list[str] = []
    for line, (number, key) in named(path, ("id", "key")):
        if number != str(len(found)):
            raise at(path, line, f"id '{number}' stands where {len(found)} should.")
        if not key or key in found:
            raise at(path, line, f"'{key}' is no class, or stands there twice.")
        found.append(key)
    if not found:
        raise at(path, 1, "there are no classes.")
    return found


def segments(
    path: Path, split: str, shelf: Shelf, words: dict[str, list[str]], kinds: tuple[str, ...]
) -> Iterator[Listed]:
    """The rows of a list, labelled by `kinds`. Raises MbtError."""
    for line, (name, person, film, start, stop, *numbers) in named(path, COLUMNS):
        found = NARRATION.fullmatch(name)
        if found is None or found.groups() != (film, person):
            raise at(
                path, line, f"narration '{name}' of video '{film}' by '{person}': not as in"
                " P01_11_0, P01_11, P01."
            )  # fmt: skip
        start_s, end_s = clock(path, line, start), clock(path, line, stop)
        if end_s <= start_s:
            raise at(path, line, f"the segment ends at {stop}, not after it starts at {start}.")
        labels, before = [], 0
        for kind, number in zip(("verb", "noun"), numbers, strict=True):
            if not (number.isascii() and number.isdigit() and int(number) < len(words[kind])):
                last = f"EPIC_100_{kind}_classes.csv (0 to {len(words[kind]) - 1})"
                raise at(path, line, f"'{number}' is no {kind} class of {last}.")
            if kind in kinds:
                labels.append(before + int(number))
                before = len(words[kind])
        yield Listed(name, split, tuple(labels), shelf.find(film), start_s, end_s, "whole", person)
