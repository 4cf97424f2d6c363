"""Kinetics-400 by its csv files, or by its folders: 10 s of YouTube each, with one class.

Kay et al. 2017. `label,youtube_id,time_start,time_end,split`, or `train/<class>/clip.mp4`. Its
test list has no labels, so the validation list is the test.
"""

from collections.abc import Iterator
from pathlib import Path

from mbt_cli.data.folder import sorted_into
from mbt_cli.data.listing import Listed, Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import absent, settled
from mbt_cli.data.table import at, named, rows, span
from mbt_cli.data.youtube import VIDEO_ID, checked, listed
from mbt_cli.dataset import Kinetics
from mbt_cli.errors import MbtError
from mbt_cli.words import count

CLASSES = 400
OFFICIAL = "3e358540"
"""The fingerprint of the sorted labels."""

TABLES = {
    "train": ("kinetics-400_train.csv", "kinetics_400_train.csv", "train.csv"),
    "test": (
        "kinetics-400_val.csv", "kinetics_400_val.csv", "kinetics-400_validate.csv",
        "kinetics_400_validate.csv", "val.csv", "validate.csv",
    ),
}  # fmt: skip
FORM = r"\"?label\"?,\"?youtube_id\"?,"
SPLITS = {"train": "train", "val": "test", "validate": "test", "validation": "test"}
"""What the official splits are to us, by their names in lists and of folders."""

SOUNDS = (
    "blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball",
    "laughing", "mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar",
    "playing clarinet", "playing drums", "playing guitar", "playing harmonica", "playing keyboard",
    "playing organ", "playing piano", "playing saxophone", "playing trombone", "playing trumpet",
    "playing violin", "playing xylophone", "ripping paper", "shoveling snow", "shuffling cards",
    "singing", "stomping grapes", "tap dancing", "tapping guitar", "tapping pen", "tickling",
)  # fmt: skip
"""Of the 34 classes of Arandjelovic and Zisserman 2017 those whose names are in Kinetics-400, as
public lists have them."""

Clip = tuple[Listed, str]
"""A clip without labels, and its class."""


def listing(spec: Kinetics, shelf: Shelf) -> Listing:
    """All clips of the lists, or of the folders, that are of the classes of `spec`.

    Raises MbtError where there are neither, or a row is not as it should be.
    """
    tables = {split: shelf.table(*names, form=FORM) for split, names in TABLES.items()}
    notes: list[str] = []
    if any(tables.values()):
        notes += absent({f"{split}.csv of Kinetics ({'train' if split == 'train' else 'val'})": p
                         for split, p in tables.items()})  # fmt: skip
        clips = [clip for split, path in tables.items() if path
                 for clip in _by_list(path, split, shelf)]  # fmt: skip
    else:
        clips = list(_by_folder(shelf))
    if not clips:
        raise MbtError(
            f"{shelf.missing(*TABLES['train'][2:], *TABLES['test'][4:])} Kinetics-400's download"
            " has them; else sort the clips into train/<class> and val/<class>."
        )
    every = {label for _, label in clips}
    if spec.classes == "all":
        classes, name = tuple(sorted(every)), "kinetics"
        if len(classes) != CLASSES:
            found = count(len(classes), "class")
            notes.append(f"The clips are of {found}, not of Kinetics' {CLASSES}.")
    else:
        classes, name = sounds(shelf, every), "kinetics_sounds"
        notes.append(
            "These are not the paper's list of 36 classes, which was never printed: figures cannot"
            " be compared."
        )
    places = {label: place for place, label in enumerate(classes)}
    labelled = [
        Listed(clip.name, clip.split, (places[label],), clip.path, clip.start_s, clip.end_s,
               clip.cut, clip.group)
        for clip, label in clips if label in places
    ]  # fmt: skip
    kept, said = settled(labelled, spec.validation, spec.split_seed)
    return Listing(
        clips=kept,
        classes=classes,
        class_list=class_list(name, classes, OFFICIAL),
        multi_label=False,
        notes=(*notes, *said),
    )


def sounds(shelf: Shelf, every: set[str]) -> tuple[str, ...]:
    """The classes of Kinetics-Sounds: the user's list, else the first publication's.

    Raises MbtError where a class of the user's list has no clip.
    """
    if (path := shelf.table("kinetics_sounds.txt")) is None:
        return SOUNDS
    found: list[str] = []
    for line, row in rows(path):
        label = ",".join(row).strip()
        if label not in every:
            raise at(path, line, f"no clip is of class '{label}'.")
        if label in found:
            raise at(path, line, f"'{label}' stands there twice.")
        found.append(label)
    if not found:
        raise at(path, 1, "there are no classes.")
    return tuple(sorted(found))


def _by_list(path: Path, split: str, shelf: Shelf) -> Iterator[Clip]:
    columns = ("label", "youtube_id", "time_start", "time_end", "split")
    for line, (label, video, start, end, said) in named(path, columns):
        if not label.strip():
            raise at(path, line, "the label is empty.")
        if SPLITS.get(said) != split:
            raise at(path, line, f"split '{said}' stands in a list of other clips.")
        start_s, end_s = span(path, line, start, end)
        yield listed(shelf, checked(path, line, video), start_s, end_s, split, ()), label


def _by_folder(shelf: Shelf) -> Iterator[Clip]:
    for label, name, split in sorted_into(shelf, SPLITS):
        stem = Path(name).stem
        group = stem[:11] if VIDEO_ID.fullmatch(stem[:11]) and stem[11:12] in ("", "_") else stem
        yield Listed(name, split, (), shelf.root / name, group=group), label.replace("_", " ")
