"""Millions of entries in a few arrays: some 60 bytes each, quick to send to another process.

n entries, m labels of all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import SupportsIndex, overload

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int32, Int64

from mbt_cli.data.manifest import SPLITS, Entry


@dataclass(frozen=True, eq=False)
class Words:
    """Short texts, one after the other."""

    text: bytes
    ends: Int64[np.ndarray, " n"]

    @staticmethod
    def of(words: Iterable[str]) -> "Words":
        each = [word.encode() for word in words]
        return Words(b"".join(each), np.cumsum([len(word) for word in each], dtype=np.int64))

    def __getitem__(self, place: int) -> str:
        return self.text[self.ends[place - 1] if place else 0 : self.ends[place]].decode()

    def __iter__(self) -> Iterator[str]:
        start = 0
        for end in self.ends.tolist():
            yield self.text[start:end].decode()
            start = end


@dataclass(frozen=True, eq=False)
class Records(Sequence[Entry]):
    """Clips that are records of shards, as entries that are made when they are asked for."""

    names: Words
    groups: Words
    shards: tuple[Path, ...]
    shard: Int32[np.ndarray, " n"]
    """Which of them holds each."""
    split: Int8[np.ndarray, " n"]
    """Its place in SPLITS."""
    labels: Int32[np.ndarray, " m"]
    ends: Int64[np.ndarray, " n"]
    """Of each entry's labels."""
    start_s: Float32[np.ndarray, " n"]
    end_s: Float32[np.ndarray, " n"]
    offset: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.shard)

    @overload
    def __getitem__(self, place: SupportsIndex) -> Entry: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Entry, ...]: ...

    def __getitem__(self, place: SupportsIndex | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        i = index(place) + len(self) * (index(place) < 0)
        if not 0 <= i < len(self):
            raise IndexError(place)
        labels = self.labels[self.ends[i - 1] if i else 0 : self.ends[i]]
        return Entry(
            self.names[i], self.shards[self.shard[i]], SPLITS[self.split[i]],
            tuple(labels.tolist()), float(self.start_s[i]), float(self.end_s[i]), self.groups[i],
            int(self.offset[i]),
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records) and len(self) == len(other) and (
            all(one == another for one, another in zip(self, other, strict=True))
        )  # fmt: skip

    __hash__ = None  # type: ignore[assignment]  # as of any value that holds arrays

    def of_split(self, split: str) -> Bool[np.ndarray, " n"]:
        """Which are of a split."""
        return self.split == SPLITS.index(split)

    def first(self, classes: int) -> "Records":
        """The same, of whose labels only those below so many are known."""
        known = self.labels < classes
        ends = np.concatenate([[0], np.cumsum(known)])[self.ends]
        return replace(self, labels=self.labels[known], ends=ends)


def files(entries: Sequence[Entry]) -> Int32[np.ndarray, " n"]:
    """Which file holds each entry: they are numbered."""
    if isinstance(entries, Records):
        return entries.shard
    known: dict[Path, int] = {}
    return np.array([known.setdefault(e.path, len(known)) for e in entries], np.int32)
