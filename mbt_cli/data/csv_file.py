"""Clips by a csv file of the user's own: `path`, `labels`, `start`, `end`, `split`, `group`."""

import os
from dataclasses import replace
from pathlib import Path

from mbt_cli.data.listing import Listed, Listing, class_list
from mbt_cli.data.manifest import SPLITS
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import settled, shares
from mbt_cli.data.table import at, named, rows, seconds, span
from mbt_cli.dataset import Csv
from mbt_cli.errors import MbtError
from mbt_cli.words import count

NEEDED, OPTIONAL = ("path", "labels"), ("start", "end", "split", "group")

Row = tuple[int, Listed, tuple[str, ...]]
"""Line, the clip without labels, its labels."""


def listing(spec: Csv, shelf: Shelf) -> Listing:
    """All rows of the file. Raises MbtError where there is none, or a row is wrong."""
    path = file_of(shelf)
    found = [
        _row(path, line, fields, spec, shelf) for line, fields in named(path, NEEDED, OPTIONAL)
    ]
    classes = tuple(sorted({label for *_, labels in found for label in labels}))
    if len(classes) < 2:
        raise MbtError(f"{path} has {count(len(classes), 'label')}; at least 2 are needed.")
    places = {label: place for place, label in enumerate(classes)}
    chosen = _chosen(path, [(line, clip) for line, clip, _ in found], spec)
    seen: dict[str, tuple[str, ...]] = {}
    clips = []
    for line, clip, labels in found:
        if seen.setdefault(clip.name, labels) != labels:
            raise at(path, line, f"{clip.name} has other labels than in a line before.")
        split = clip.split if clip.split in ("validation", "test") else chosen.get(clip.group)
        placed = tuple(sorted(places[label] for label in labels))
        clips.append(replace(clip, split=split or "train", labels=placed))
    kept, notes = settled(clips, 0.0, 0)
    return Listing(kept, classes, class_list("csv", classes), spec.multi_label, notes=tuple(notes))


def file_of(shelf: Shelf) -> Path:
    """The file given with --metadata, else the only one that has the columns. Raises MbtError."""
    if shelf.given is not None:
        shelf.taken.append(shelf.given)
        return shelf.given
    fitting = [path for path in shelf.tables(".csv") if set(NEEDED) <= _header(path)]
    if len(fitting) != 1:
        found = ", ".join(map(str, fitting)) or "none"
        raise MbtError(
            f"One csv file with the columns path and labels is needed below {shelf.shelves}, but"
            f" found {found}. Give it with --metadata clips.csv."
        )
    shelf.taken.append(fitting[0])
    return fitting[0]


def _header(path: Path) -> set[str]:
    try:
        return {name.strip() for name in next(rows(path), (1, []))[1]}
    except MbtError:  # whatever it is, it is not the list
        return set()


def _row(path: Path, line: int, fields: list[str], spec: Csv, shelf: Shelf) -> Row:
    name, said, start, end, split, group = (field.strip() for field in fields)
    parts = said.split("|") if spec.multi_label else [said]
    labels = tuple(sorted({part.strip() for part in parts}))
    if "" in labels:
        raise at(path, line, "a label is empty.")
    split = "validation" if split == "val" else split
    if split and split not in SPLITS:
        raise at(path, line, f"'{split}' is no split, only {', '.join(SPLITS)} are.")
    below = _below(path, line, name, shelf)
    start_s = seconds(path, line, start) if start else 0.0
    end_s = span(path, line, start or "0", end)[1] if end else None
    times = f"_{start or 0}" + (f"_{end}" if end else "") if start or end else ""
    file = shelf.root / below
    there = os.path.isfile(file)  # noqa: PTH113  # of a name too long Path.is_file raises
    clip = Listed(
        below + times, split, (), file if there else None, start_s, end_s,
        "whole" if times else "clip", group or below,
    )  # fmt: skip
    return line, clip, labels


def _below(path: Path, line: int, name: str, shelf: Shelf) -> str:
    """A path of the list as it is below the root. Raises MbtError where it is not."""
    root = os.path.abspath(shelf.root)  # noqa: PTH100  # Path.absolute leaves .. in
    full = os.path.normpath(os.path.join(root, name))  # noqa: PTH118
    if not name or "\0" in name or full == root or not full.startswith(root.rstrip("/") + "/"):
        raise at(path, line, f"'{name}' is no file below {shelf.root}.")
    return os.path.relpath(full, root).replace(os.sep, "/")


def _chosen(path: Path, clips: list[tuple[int, Listed]], spec: Csv) -> dict[str, str]:
    """The split of each group whose clips the file does not give one. Raises MbtError."""
    said = {clip.split for _, clip in clips}
    if said == {""}:
        return _shared(path, {clip.group for _, clip in clips}, spec, spec.test)
    for line, clip in clips:
        if not clip.split:
            raise at(path, line, "the split is empty, but other rows have one.")
    if "validation" in said or "train" not in said:
        return {}
    return _shared(path, {clip.group for _, clip in clips if clip.split == "train"}, spec, 0.0)


def _shared(path: Path, groups: set[str], spec: Csv, test: float) -> dict[str, str]:
    chosen = shares(groups, spec.validation, test, f"{spec.split_seed} ")
    if "train" not in chosen.values():
        raise MbtError(
            f"{path} has {count(len(groups), 'group')} of clips, of which"
            f" data.validation={spec.validation} and data.test={spec.test} leave none to learn"
            " from. Make them smaller, or give more clips."
        )
    return chosen
