"""The clips that a run learns from, batch by batch: which were asked for, and what they show.

b clips of a batch, c classes. Where the views come from is told in `cache.py` (arrays on disk) and
in `stream.py` (files, decoded when they are needed).
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Int64

from mbt_cli.data.manifest import Manifest
from mbt_cli.data.records import Records, files

MIXED = 8
"""Shards whose records are mixed with each other in an epoch."""
MIDDLE = 0.5
"""Where in a clip its one span lies, where it has no other."""


@dataclass(frozen=True)
class Wanted:
    """A batch that is to be read."""

    places: Int64[np.ndarray, " b"]
    """Of its clips in the manifest."""
    at: Mapping[str, np.ndarray]
    """For each modality that is needed, (b,) shares: where in each clip the span lies, from 0, at
    its start, to 1."""


@dataclass(frozen=True)
class Batch:
    """What could be read of it: not always all; where it is nothing, there are no views."""

    places: Int64[np.ndarray, " b"]
    views: Mapping[str, np.ndarray]
    """(b, c, *space) of each modality, before it is normalised."""


class Clips(ABC):
    """Those of a manifest that can be read."""

    def __init__(self, manifest: Manifest, left_out: Mapping[str, str]) -> None:
        self.manifest = manifest
        self.left_out = dict(left_out)
        """Why clips could not be read, by their names, before anything was learned."""
        self.lost: dict[str, str] = {}
        """The same of clips that could not be read any more since then."""

    @abstractmethod
    def batches(self, wanted: Iterable[Wanted]) -> Generator[Batch]:
        """Each wanted batch, in their order. Raises MbtError where too much is lost."""

    def places(self, split: str) -> Int64[np.ndarray, " n"]:
        """Where the clips of a split stand in the manifest."""
        entries = self.manifest.entries
        if isinstance(entries, Records):
            mine = entries.of_split(split)
            if self.left_out:
                mine &= [name not in self.left_out for name in entries.names]
            return np.flatnonzero(mine)
        kept = [
            i
            for i, entry in enumerate(entries)
            if entry.split == split and entry.name not in self.left_out
        ]
        return np.array(kept, dtype=np.int64)

    def shuffled(
        self, places: Int64[np.ndarray, " n"], random: np.random.Generator
    ) -> Int64[np.ndarray, " n"]:
        """The order in which an epoch takes them, from wherever they are read. Records of shards
        are mixed with those of a few shards, and these follow each other in an order drawn anew:
        disks read thousands of shards nearly from end to end."""
        mixed = places[random.permutation(len(places))]
        if not self.manifest.of_records:
            return mixed
        shards, of = np.unique(self._shards[mixed], return_inverse=True)
        turn = random.permutation(len(shards)) // MIXED
        return mixed[np.argsort(turn[of], kind="stable")]

    @cached_property
    def _shards(self) -> Int32[np.ndarray, " n"]:
        """Which shard holds each clip."""
        return files(self.manifest.entries)

    def labels(self, places: Int64[np.ndarray, " b"]) -> Float32[np.ndarray, "b c"]:
        """The labels of some clips, multi-hot."""
        hot = np.zeros((len(places), len(self.manifest.classes)), np.float32)
        for row, place in enumerate(places):
            hot[row, list(self.manifest.entries[place].labels)] = 1
        return hot

    def groups(self, places: Iterable[Any]) -> list[str]:
        """What some clips were cut from; a clip itself where that is not known."""
        entries = (self.manifest.entries[place] for place in places)
        return [entry.group or entry.name for entry in entries]

    def names(self, places: Iterable[Any]) -> list[str]:
        """What some clips are called."""
        return [self.manifest.entries[place].name for place in places]
