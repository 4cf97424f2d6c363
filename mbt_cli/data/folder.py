"""Clips sorted into folders: one for each class, perhaps within one for each split."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from mbt_cli.data.listing import Listed, Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import shares
from mbt_cli.dataset import Folder
from mbt_cli.errors import MbtError
from mbt_cli.words import count

SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
"""Folders that are splits, if all are: a class of trains may well be called `train`."""


def listing(spec: Folder, shelf: Shelf) -> Listing:
    """All clips below the folders of the classes. Raises MbtError where there are too few."""
    paths = [_readable(path).split("/") for path in shelf.media]
    loose = [path[0] for path in paths if len(path) == 1]
    tops = {path[0] for path in paths if len(path) > 1}
    found = _by_split(paths) if tops and tops <= SPLITS.keys() else _by_class(paths, spec, shelf)
    if len(classes := tuple(sorted({name for name, _, _ in found}))) < 2:
        raise MbtError(
            f"{shelf.root} has {count(len(classes), 'folder')} of clips; at least 2 are needed, one"
            " for each class (<class>/clip.mp4, or <split>/<class>/clip.mp4)."
        )
    notes = []
    if loose:
        said = count(len(loose), "clip", "lies", "lie")
        notes.append(f"{said} in no class's folder, left out: {loose[0]}.")
    if tops <= SPLITS.keys():
        found = _with_validation(found, spec, shelf)
    places = {label: place for place, label in enumerate(classes)}
    clips = tuple(
        Listed(name, split, (places[label],), shelf.root / name)
        for label, name, split in sorted(found, key=lambda clip: clip[1])
    )
    return Listing(clips, classes, class_list("folder", classes), multi_label=False,
                   notes=tuple(notes))  # fmt: skip


Found = list[tuple[str, str, str]]
"""Class, path below the root, split."""


def sorted_into(shelf: Shelf, splits: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Class, path below the root, and split of each clip at `<split>/<class>/clip`, at whatever
    depth; `splits` says what the folders are called and what they are."""
    for path in shelf.media:
        parts = path.split("/")
        if len(parts) >= 3 and parts[-3] in splits:
            yield parts[-2], path, splits[parts[-3]]


def _readable(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise MbtError(f"The name of {path!r} is no UTF-8 text. Rename it.") from None
    return path


def _by_split(paths: list[list[str]]) -> Found:
    return [(path[1], "/".join(path), SPLITS[path[0]]) for path in paths if len(path) > 2]


def _by_class(paths: list[list[str]], spec: Folder, shelf: Shelf) -> Found:
    classes: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if len(path) > 1:
            classes[path[0]].append("/".join(path))
    found = []
    for label, names in classes.items():
        _enough(shelf, label, len(names), spec.validation, spec.test)
        split = shares(names, spec.validation, spec.test, f"{spec.split_seed} ")
        found += [(label, name, split[name]) for name in names]
    return found


def _with_validation(found: Found, spec: Folder, shelf: Shelf) -> Found:
    """The same; where no folder is for validation, a share of each class's training clips is."""
    splits = {split for _, _, split in found}
    for needed in ("train", "test"):
        if needed not in splits:
            raise MbtError(
                f"{shelf.root} has folders of {' and '.join(sorted(splits))}, but none of {needed}."
                " Add one, or leave out the folders of the splits."
            )
    if "validation" in splits:
        return found
    classes: dict[str, list[str]] = defaultdict(list)
    for label, name, split in found:
        if split == "train":
            classes[label].append(name)
    chosen: dict[str, str] = {}
    for label, names in classes.items():
        _enough(shelf, label, len(names), spec.validation, 0.0)
        chosen |= shares(names, spec.validation, 0.0, f"{spec.split_seed} ")
    return [(label, name, chosen.get(name, split)) for label, name, split in found]


def _enough(shelf: Shelf, label: str, clips: int, validation: float, test: float) -> None:
    least = 3 if test else 2
    if clips < least:
        raise MbtError(
            f"{shelf.root} has {count(clips, 'clip')} of '{label}'; at least {least} are needed,"
            f" one for each of train, validation{' and test' if test else ''}."
        )
    taken = sum(max(1, round(share * clips)) for share in (validation, test) if share)
    if taken >= clips:
        raise MbtError(
            f"Of {count(clips, 'clip')} of '{label}', data.validation={validation} and"
            f" data.test={test} leave none to learn from. Make them smaller."
        )
