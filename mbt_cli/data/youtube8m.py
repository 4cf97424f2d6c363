"""YouTube-8M by its shards of feature records: which there are, of which splits and classes.

Abu-El-Haija et al. 2016; https://research.google.com/youtube8m. Shards of 2018 are named train*,
validate* and test*.
"""

from collections import Counter
from pathlib import Path

from mbt_cli.data.listing import Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.table import at, named
from mbt_cli.dataset import YouTube8M
from mbt_cli.errors import MbtError
from mbt_cli.words import count

VOCABULARY = "vocabulary.csv"
OFFICIAL = "45058cf0"
"""The fingerprint of the names of 2018, by `Index`."""
VIDEOS = {"train": 3_888_919, "test": 1_112_356}
"""How many there are of 2018, in shards train* and validate*."""
SPLITS = {"train": "train", "valid": "test"}
"""By how the name of a shard begins. Of shards test* no labels were published."""


def listing(spec: YouTube8M, shelf: Shelf) -> tuple[Listing, dict[str, str]]:
    """The dataset without its clips, for these only the shards tell, and the split of each shard
    (a path below the root) that runs are given; videos for validation are still training ones.

    Raises MbtError.
    """
    if not shelf.shards:
        raise MbtError(
            f"No *.tfrecord lies below {shelf.root}: give the folder with the shards of YouTube-8M."
        )
    splits, notes = _folds(spec, shelf) if spec.folds else _official(shelf)
    classes = names(spec, shelf)
    whole = not spec.folds and spec.level != "segment" and spec.classes == len(classes) == 3862
    found = Listing(
        clips=(),
        classes=classes,
        class_list=class_list("youtube8m", classes, OFFICIAL),
        multi_label=True,
        tagging=True,
        official=VIDEOS if whole else {},
        notes=tuple(notes),
    )
    return found, splits


def names(spec: YouTube8M, shelf: Shelf) -> tuple[str, ...]:
    """Of the classes: `class 17` where the vocabulary is not there or says nothing, and
    `Python (17)` where several have one name. Raises MbtError."""
    path = shelf.table(VOCABULARY, form="Index,")
    found = [""] * spec.classes if path is None else _vocabulary(path)
    if len(found) != spec.classes:
        raise MbtError(
            f"{path} has {len(found):,} classes, but data.classes is {spec.classes}: give the"
            f" vocabulary of these records with --metadata, or set data.classes to {len(found)}."
        )
    often = Counter(found)
    return tuple(
        f"class {place}" if not name else f"{name} ({place})" if often[name] > 1 else name
        for place, name in enumerate(found)
    )


def _official(shelf: Shelf) -> tuple[dict[str, str], list[str]]:
    splits, notes = {}, []
    unnamed = unlabelled = 0
    for path in shelf.shards:
        name = path.rpartition("/")[2].lower()
        for start, split in SPLITS.items():
            if name.startswith(start):
                splits[path] = split
        unlabelled += name.startswith("test")
        unnamed += path not in splits and not name.startswith("test")
    if unlabelled:
        notes.append(f"{_shards(unlabelled)} named test*, whose labels are not public: left out.")
    if unnamed:
        notes.append(
            f"{_shards(unnamed)} named neither train* nor validate*: left out. With --set"
            " data.folds=6 names do not matter."
        )
    if "train" not in splits.values():
        notes.append(
            "There is no shard train*: --set data.folds=6 makes six parts of the shards there are,"
            " one of them for testing."
        )
    return splits, notes


def _folds(spec: YouTube8M, shelf: Shelf) -> tuple[dict[str, str], list[str]]:
    """Every so many-th shard for testing. Raises MbtError where there are not so many."""
    labelled = [p for p in shelf.shards if not p.rpartition("/")[2].lower().startswith("test")]
    if len(labelled) < spec.folds:
        raise MbtError(
            f"data.folds is {spec.folds}, but {shelf.root} has only"
            f" {count(len(labelled), 'shard')} with labels: ask for no more folds than shards."
        )
    splits = {
        path: "test" if place % spec.folds == spec.fold else "train"
        for place, path in enumerate(labelled)
    }
    more = len(shelf.shards) - len(labelled)
    why = f"{_shards(more)} named test*, whose labels are not public: left out."
    return splits, [why] if more else []


def _shards(n: int) -> str:
    return count(n, "shard", "is", "are")


def _vocabulary(path: Path) -> list[str]:
    """The name of each class, or none. Raises MbtError."""
    found: list[str] = []
    for line, (index, name) in named(path, ("Index", "Name")):
        if index != str(len(found)):
            raise at(path, line, f"Index '{index}' stands where {len(found)} should.")
        found.append(name.strip())
    return found
