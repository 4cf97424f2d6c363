"""VGGSound by its csv files: 10 s of YouTube each, with one of 309 classes.

Chen et al. 2020. Either `vggsound.csv` (id, start, label, split; no header, but copies with one go
round), or `train.csv` and `test.csv` (`<id>_<start>.mp4`, label). Classes are in sorted order.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from mbt_cli.data.listing import Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import absent, settled
from mbt_cli.data.table import at, rows
from mbt_cli.data.youtube import checked, listed
from mbt_cli.dataset import VGGSound
from mbt_cli.errors import MbtError
from mbt_cli.words import count

CLASSES = 309
OFFICIAL = "e7079f42"
"""The fingerprint of the sorted labels."""

CLIPS = {"train": 183_730, "test": 15_446}
LENGTH_S = 10.0

WHOLE = r"filename,|\"?[\w-]{11}\"?,\d+,"
HALF = r"\"?[\w-]{11}_\d{6}\.mp4\"?,"
CLASS_ROW = r"[^,\"]+,\d+,[a-z ]+\s*$|\"[^\"]+\",\d+,"
"""How a line of each file begins: `train.csv`, `test.csv` and `stat.csv` are other datasets' names
too."""

NAME = re.compile(r"([A-Za-z0-9_-]{11})_([0-9]{6})\.mp4")

Row = tuple[Path, int, str, int, str, str]
"""File, line, id, start, label, split."""


def listing(spec: VGGSound, shelf: Shelf) -> Listing:
    """All clips of `vggsound.csv`, or of `train.csv` and `test.csv`.

    Raises MbtError where a file is missing or a row is not as it should be.
    """
    both = shelf.table("vggsound.csv", form=WHOLE)
    halves: dict[str, Path | None] = {"train.csv": None, "test.csv": None}
    notes: list[str] = []
    if both is None:
        halves = {name: shelf.table(name, form=HALF) for name in halves}
        notes += absent(halves)
        if not any(halves.values()):
            raise MbtError(
                f"{shelf.missing('vggsound.csv', *halves)} VGGSound's repository has them: give"
                " their folder with --metadata."
            )
        clips = [row for name, path in halves.items() if path for row in half(path, name[:-4])]
    else:
        clips = list(whole(both))
    if (stat := shelf.table("stat.csv", form=CLASS_ROW)) is not None:
        classes = tuple(sorted(names(stat)))
    else:
        classes = tuple(sorted({label for *_, label, _ in clips}))
        if len(classes) != CLASSES:
            notes.append(
                f"There is no stat.csv: the clips' labels make {count(len(classes), 'class')},"
                f" not VGGSound's {CLASSES}."
            )
    places = {name: place for place, name in enumerate(classes)}
    found = []
    for path, line, video, start, label, split in clips:
        if label not in places:
            close = get_close_matches(label, classes, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise at(path, line, f"'{label}' is no class of {stat}.{hint}")
        found.append(listed(shelf, video, float(start), start + LENGTH_S, split, (places[label],)))
    # A clip of two labels keeps the first: refusing would make a public list of no use to anyone
    # who cannot mend it, and dropping it would change the official counts.
    kept, said = settled(found, spec.validation, spec.split_seed)
    return Listing(
        clips=kept,
        classes=classes,
        class_list=class_list("vggsound", classes, OFFICIAL),
        multi_label=False,
        official=CLIPS,
        notes=(*notes, *said),
    )


def whole(path: Path) -> Iterator[Row]:
    """The rows of `vggsound.csv`. Raises MbtError."""
    for line, row in rows(path):
        if len(row) != 4:
            raise at(
                path, line, f"the row has {count(len(row), 'field')}, not id, start, label, split."
            )
        video, start, label, split = row
        if line == 1 and split == "split":
            continue
        if not (start.isascii() and start.isdigit() and len(start) < 7):
            raise at(path, line, f"'{start}' is no start in whole seconds.")
        if split not in CLIPS:
            raise at(path, line, f"'{split}' is no split, only train and test are.")
        yield path, line, checked(path, line, video), int(start), label, split


def half(path: Path, split: str) -> Iterator[Row]:
    """The rows of `train.csv` or `test.csv`. Raises MbtError."""
    for line, row in rows(path):
        if len(row) != 2:
            raise at(
                path,
                line,
                f"the row has {count(len(row), 'field')}, not a file's name and a label.",
            )
        if (found := NAME.fullmatch(row[0])) is None:
            raise at(path, line, f"'{row[0]}' is no name like <id>_<start, 6 digits>.mp4.")
        yield path, line, found[1], int(found[2]), row[1], split


def names(stat: Path) -> list[str]:
    """The labels that `stat.csv` counts. Raises MbtError."""
    found: list[str] = []
    for line, row in rows(stat):
        if not row[0].strip() or row[0] in found:
            raise at(stat, line, f"'{row[0]}' is no class, or stands there twice.")
        found.append(row[0])
    return found
