"""Moments in Time by its csv files, or by its folders: 3 s each, with one class.

Monfort et al. 2019. `class/clip.mp4,class,...` without a header, or `training/<class>/clip.mp4`.
Its test list has no labels, so the validation list is the test.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mbt_cli.data.folder import sorted_into
from mbt_cli.data.listing import Listed, Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import absent, settled
from mbt_cli.data.table import at, rows
from mbt_cli.dataset import Moments
from mbt_cli.errors import MbtError
from mbt_cli.words import count

CLASSES = 305
"""Of version 2."""

OFFICIAL = "50145d09"
"""The fingerprint of version 2's list, in its order."""

TABLES = {"train": "trainingSet.csv", "test": "validationSet.csv"}
FOLDERS = {"training": "train", "validation": "test"}
LISTS = ("moments_categories.txt", "category_momentsv2.txt")

Row = tuple[Path | None, int, Listed, str]
"""The list, the line, the clip without labels, its class."""


def listing(spec: Moments, shelf: Shelf) -> Listing:
    """All clips of the lists, or of the folders.

    Raises MbtError where there are neither, or a row is not as it should be.
    """
    tables = {name: shelf.table(name) for name in TABLES.values()}
    notes: list[str] = []
    if any(tables.values()):
        notes += absent(tables)
        clips = [row for split, name in TABLES.items() if (path := tables[name])
                 for row in _by_list(path, split, shelf)]  # fmt: skip
    else:
        clips = list(_by_folder(shelf))
    if not clips:
        raise MbtError(
            f"{shelf.missing(*tables)} Moments in Time's download has them; else sort the clips"
            " into training/<class> and validation/<class>."
        )
    if (words := shelf.table(*LISTS)) is not None:
        classes = categories(words)
    else:
        classes = tuple(sorted({label for *_, label in clips}))
        notes.append(
            f"There is no {LISTS[0]}: the clips' labels make {count(len(classes), 'class')}."
        )
    places = {label: place for place, label in enumerate(classes)}
    found = []
    for path, line, clip, label in clips:
        if label not in places:
            why = f"'{label}' is no class of {words}."
            raise at(path, line, why) if path else MbtError(f"{clip.path}: {why}")
        found.append(Listed(clip.name, clip.split, (places[label],), clip.path, group=clip.group))
    kept, said = settled(found, spec.validation, spec.split_seed)
    return Listing(
        clips=kept,
        classes=classes,
        class_list=class_list("moments", classes, OFFICIAL),
        multi_label=False,
        notes=(*notes, *said),
    )


def categories(path: Path) -> tuple[str, ...]:
    """The classes by their numbers (`clapping,0`), or in the order of the lines.

    Raises MbtError.
    """
    found: list[str] = []
    for line, row in rows(path):
        label = row[0].strip()
        if not label or label in found:
            raise at(path, line, f"'{label}' is no class, or stands there twice.")
        if len(row) > 2 or (len(row) == 2 and row[1].strip() != str(len(found))):
            raise at(path, line, f"'{','.join(row)}' should be a class and number {len(found)}.")
        found.append(label)
    if not found:
        raise at(path, 1, "there are no classes.")
    return tuple(found)


def _by_list(path: Path, split: str, shelf: Shelf) -> Iterator[Row]:
    for line, row in rows(path):
        folder, slash, name = row[0].partition("/")
        if not slash or "/" in name or "\\" in row[0] or ".." in (folder, name) or not folder:
            raise at(path, line, f"'{row[0]}' is no name like clapping/clip.mp4.")
        if len(row) < 2 or not row[1]:
            raise at(path, line, "there is no class after the clip's name.")
        stem = Path(name).stem
        file = shelf.find_in(folder, stem) or shelf.find(stem)
        yield path, line, Listed(row[0], split, (), file, group=_video(stem)), row[1]


def _by_folder(shelf: Shelf) -> Iterator[Row]:
    for label, name, split in sorted_into(shelf, FOLDERS):
        clip = Listed(name, split, (), shelf.root / name, group=_video(Path(name).stem))
        yield None, 0, clip, label


def _video(stem: str) -> str:
    """`yt-<id>_12` is the 12th second of a video, and so with the other sites."""
    return re.sub(r"_\d+$", "", stem)
