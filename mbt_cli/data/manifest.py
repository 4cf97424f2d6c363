"""Which clips there are: where each lies, its labels, its split. No torch, no media."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from mbt_cli.task import Task

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """One clip of a dataset."""

    name: str
    """Stands for the clip in records and messages; unique in the manifest."""
    path: Path
    split: str
    labels: tuple[int, ...]
    """Places in `Manifest.classes`."""
    start_s: float = 0.0
    """Where the clip begins in its file, in seconds."""
    end_s: float | None = None
    """Where it ends in its file; None where that is not known, and need not be."""
    group: str = ""
    """What it was cut from (a video, a participant): clips of one group are not independent."""
    offset: int = 0
    """Byte of its file where its record begins; 0 where the file is the clip."""


@runtime_checkable
class Columns(Protocol):
    """Entries that are made when they are asked for: what is asked of all is told without them."""

    def of_split(self, split: str) -> Bool[np.ndarray, " n"]:
        """Which are of a split."""

    def first(self, classes: int) -> Sequence[Entry]:
        """The same, of whose labels only those below so many are known."""


@dataclass(frozen=True)
class Manifest:
    """A dataset, frozen: the fingerprint changes when clips, labels or splits do."""

    entries: Sequence[Entry]
    classes: tuple[str, ...]
    multi_label: bool
    """Whether a clip may have several labels (sigmoid, mAP) or has one (softmax, accuracy too)."""
    fingerprint: str
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Named sets of classes that a report gives figures for; no class is in two."""
    says: Mapping[str, str] = field(default_factory=dict)
    """What a group's name means, for people; may lack some."""
    heads: Mapping[str, int] = field(default_factory=dict)
    """Where a clip has one label of each of several kinds (verb, noun): how many classes each kind
    has, in the order in which they stand in `classes`."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Clips of each split by the metadata, found or not; {} where nothing can be missing."""
    class_list: str = ""
    """What the list of classes is called, with its version."""
    lost: str = ""
    """Why not all that were expected are here: how many for each reason, and one of them."""
    tagging: bool = False
    """Whether the several labels of a clip are found among many (GAP), as in YouTube-8M."""

    @property
    def task(self) -> Task:
        """What is asked of its clips."""
        return Task(self.classes, self.multi_label, self.tagging, self.groups, self.heads)

    def first(self, classes: int) -> "Manifest":
        """The same clips, of whose labels only those of the first so many classes are known; it
        keeps its fingerprint, for no clip is another."""
        if classes == len(self.classes):
            return self
        known = self.classes[:classes]
        entries: Sequence[Entry]
        if isinstance(self.entries, Columns):
            entries = self.entries.first(classes)
        else:
            entries = tuple(
                replace(entry, labels=tuple(label for label in entry.labels if label < classes))
                for entry in self.entries
            )
        return replace(
            self,
            entries=entries,
            classes=known,
            groups={name: tuple(c for c in of if c in known) for name, of in self.groups.items()},
        )

    @cached_property
    def of_records(self) -> bool:
        """Whether clips are records of shards, many of them in a file."""
        return any(entry.offset for entry in self.entries)

    def count(self, split: str) -> int:
        """Clips in a split."""
        if isinstance(self.entries, Columns):
            return int(self.entries.of_split(split).sum())
        return sum(entry.split == split for entry in self.entries)


def fingerprint(parts: Iterable[object]) -> str:
    """Twelve hex digits that stand for these values in this order."""
    sum_ = blake2b(digest_size=6)
    for part in parts:
        sum_.update(repr(part).encode() + b"\n")
    return sum_.hexdigest()
