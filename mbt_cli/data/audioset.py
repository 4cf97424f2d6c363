"""AudioSet by its csv files: 10 s of YouTube each, with one or several of 527 classes.

Gemmeke et al. 2017. `id, start, end, "label,label"`, a space after each comma; three lines of
comment. Copies that went through a spreadsheet are refused: they lose ids, and labels.
"""

import re
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from mbt_cli.data.listing import Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import absent, by_group, settled
from mbt_cli.data.table import at, named, rows, span
from mbt_cli.data.youtube import checked, listed
from mbt_cli.dataset import AudioSet
from mbt_cli.errors import MbtError
from mbt_cli.words import count

CLASSES = 527
OFFICIAL = "be38347b"
"""The fingerprint of the display names, by `index`."""

BALANCED, UNBALANCED, EVAL, LABELS = (
    "balanced_train_segments.csv", "unbalanced_train_segments.csv", "eval_segments.csv",
    "class_labels_indices.csv",
)  # fmt: skip

TABLES = {"balanced": (BALANCED,), "500k": (UNBALANCED,), "full": (BALANCED, UNBALANCED)}
SEGMENTS = {BALANCED: 22_160, UNBALANCED: 2_041_789, EVAL: 20_371}
"""How many each file has."""

SPREADSHEET = re.compile(r"#[A-Z0/]+[!?]|#N/A")
"""What a spreadsheet makes of an id that begins with - or =."""

Segment = tuple[str, float, float, tuple[int, ...]]


def listing(spec: AudioSet, shelf: Shelf) -> Listing:
    """The training segments that `spec.train` says, and the eval segments as test.

    Raises MbtError where a file is missing or damaged.
    """
    classes, places = labels(shelf.needed(LABELS, source="AudioSet's download page"))
    tables = {name: shelf.table(name) for name in (*TABLES[spec.train], EVAL)}
    if not any(tables.values()):
        raise MbtError(f"{shelf.missing(*tables)} AudioSet's download page has them.")
    cache: dict[str, tuple[int, ...]] = {}

    def read(name: str) -> Iterator[Segment]:
        path = tables[name]
        return iter(()) if path is None else segments(path, places, cache)

    train: Iterator[Segment] = chain.from_iterable(map(read, TABLES[spec.train]))
    if spec.train == "500k":
        train = iter(capped(list(train), spec.cap, spec.subset_seed))
    clips = [
        listed(shelf, video, start_s, end_s, split, found)
        for split, part in (("train", train), ("test", read(EVAL)))
        for video, start_s, end_s, found in part
    ]
    # A video has one segment: the one that is in both lists may start elsewhere.
    kept, notes = settled(clips, spec.validation, spec.split_seed, same=by_group)
    official = {"test": SEGMENTS[EVAL]}
    if spec.train != "500k":
        official["train"] = sum(SEGMENTS[name] for name in TABLES[spec.train])
    return Listing(
        clips=kept,
        classes=classes,
        class_list=class_list("audioset", classes, OFFICIAL),
        multi_label=True,
        official=official,
        notes=(*absent(tables), *notes),
    )


def labels(path: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """The display names by index, and the index of each id ("mid"). Raises MbtError."""
    classes: list[str] = []
    places: dict[str, int] = {}
    for line, (index, mid, name) in named(path, ("index", "mid", "display_name")):
        if index != str(len(classes)):
            raise at(path, line, f"index '{index}' stands where {len(classes)} should.")
        if not mid.startswith("/") or mid in places or name in classes:
            raise at(path, line, f"'{mid}', '{name}' is no class, or stands there twice.")
        places[mid] = len(classes)
        classes.append(name)
    if not classes:
        raise at(path, 1, "there are no classes.")
    return tuple(classes), places


def segments(
    path: Path, places: dict[str, int], cache: dict[str, tuple[int, ...]]
) -> Iterator[Segment]:
    """Id, start, end and classes of each row; `cache` has those of label lists met before.

    Raises MbtError for a file that a spreadsheet, or anything else, has damaged.
    """
    for line, row in rows(path, spaced=True):
        video = row[0]
        if video.startswith("#") and not SPREADSHEET.match(video):
            continue
        if len(row) != 4 or video.startswith("#"):
            raise at(path, line, f"{_damage(row)}: get the file anew.")
        found = cache.get(row[3])
        if found is None:
            found = cache[row[3]] = _classes(path, line, row[3], places)
        yield (checked(path, line, video), *span(path, line, row[1], row[2]), found)


def capped(offered: list[Segment], cap: int, seed: int) -> list[Segment]:
    """Those taken when they are offered in an order that only `seed` and their ids say, and each is
    taken unless one of its classes has `cap` already."""
    order = sorted(
        range(len(offered)),
        key=lambda i: (blake2b(f"{seed} {offered[i][0]}".encode(), digest_size=8).digest(),
                       offered[i]),
    )  # fmt: skip
    counts: Counter[int] = Counter()
    taken = []
    for i in order:
        if all(counts[label] < cap for label in offered[i][3]):
            counts.update(offered[i][3])
            taken.append(i)
    return [offered[i] for i in sorted(taken)]


def _classes(path: Path, line: int, text: str, places: dict[str, int]) -> tuple[int, ...]:
    mids = [mid.strip() for mid in text.split(",")]
    for mid in mids:
        if mid not in places:
            raise at(path, line, f"'{mid}' is no label of {LABELS}.")
    return tuple(sorted({places[mid] for mid in mids}))


def _damage(row: list[str]) -> str:
    if SPREADSHEET.match(row[0]):
        return f"a spreadsheet has put '{row[0]}' in the place of an id"
    if len(row) < 4:
        return f"the row has {count(len(row), 'field')}, not 4"
    if any(field.strip() for field in row[4:]):
        return "the labels have lost their quotes, and stand in several columns"
    return "empty columns follow, as a spreadsheet writes them"
