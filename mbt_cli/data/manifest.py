"""Which clips there are: where each lies, its labels, its split. No torch, no media."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Manifest:
    """A dataset, frozen: the fingerprint changes when clips, labels or splits do."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]
    multi_label: bool
    """Whether a clip may have several labels (sigmoid, mAP) or has one (softmax, accuracy too)."""
    fingerprint: str
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Named sets of classes that a report gives figures for; no class is in two."""
    says: Mapping[str, str] = field(default_factory=dict)
    """What a group's name means, for people; may lack some."""

    def count(self, split: str) -> int:
        """Clips in a split."""
        return sum(entry.split == split for entry in self.entries)


def fingerprint(parts: Iterable[object]) -> str:
    """Twelve hex digits that stand for these values in this order."""
    sum_ = blake2b(digest_size=6)
    for part in parts:
        sum_.update(repr(part).encode() + b"\n")
    return sum_.hexdigest()
