"""Clips made ready for runs: rendered, decoded into arrays where these fit, and enough of them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from math import ceil, floor
from typing import Any, Protocol, runtime_checkable

from mbt_cli.claim import claimed
from mbt_cli.data import Work, cache, make_ready, rendered
from mbt_cli.data.cache import Cached
from mbt_cli.data.manifest import SPLITS, Manifest
from mbt_cli.dataset import Data, Rendered
from mbt_cli.errors import MbtError
from mbt_cli.executors import Executor
from mbt_cli.salvage import salvaged
from mbt_cli.source import Source

AGAIN_S = 1.0
"""How long to wait before what others work on is looked at again."""
CHUNK = 32
"""Clips in a job."""
CACHE_GB = 64.0
"""Arrays that are larger are not made, unless the user says so."""


@runtime_checkable
class Bars(Protocol):
    """What the user sees while clips are made ready."""

    def bar(
        self, title: str, total: int, things: str = "clips"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """A bar for so many things; call what it gives with how many more are done."""

    def say(self, sentence: str) -> None:
        """What the user should know, and need do nothing about."""


def ready(
    data: Data, manifest: Manifest, executor: Executor, show: Bars, *, min_coverage: float,
    cache_gb: float = CACHE_GB, readers: int = 0, splits: Sequence[str] = (), crops: int = 0,
) -> Source:  # fmt: skip
    """Where runs get these clips from. Arrays are made where each clip shows one span, always the
    same, and all of them fit into `cache_gb` (10^9 bytes); else clips are decoded when they are
    needed, by so many `readers`.

    Raises MbtError where less than `min_coverage` (a fraction) of a split, or none of it, can be
    read; `splits` says which are needed, by default all.
    """
    enough(manifest, {}, min_coverage, splits)
    views = data.views
    fixed = views.windows == "one" and (crops or views.crops) == 1
    source = Source(manifest, views, None, readers, spare(manifest, min_coverage))
    if not fixed or cache.size(manifest, views) > 1e9 * cache_gb:
        if isinstance(data, Rendered):
            rendered(data, manifest.entries, _work(executor, show))
        if fixed:
            needed = cache.size(manifest, views) / 1e9
            show.say(
                f"The views of all clips take {needed:{',.1f' if needed >= 1 else '.1g'}} GB, more"
                f" than --cache-gb {cache_gb:g}: clips are decoded when they are needed."
            )
        return source
    clips = _in_arrays(data, manifest, executor, show)
    enough(manifest, clips.left_out, min_coverage, splits)
    if lost := clips.left_out:
        show.say(f"{_named(manifest, lost)} They are left out.")
    return replace(source, folder=cache.folder_of(manifest, views))


def enough(
    manifest: Manifest, left_out: Mapping[str, str], min_coverage: float, splits: Sequence[str] = ()
) -> None:
    """Raises MbtError where a split has no clip, or less than this fraction of those expected."""
    named = f"{_named(manifest, left_out)} " if left_out else ""
    gone = [e for e in manifest.entries if e.name in left_out] if left_out else []
    for split in splits or SPLITS:
        lost = [entry.name for entry in gone if entry.split == split]
        there, expected = manifest.count(split) - len(lost), _expected(manifest, split)
        if not there:
            if lost:
                why = left_out[lost[0]]
            elif expected:
                why = f"Of {expected:,} expected ones there is none. Lost: {manifest.lost}."
            else:
                why = "The metadata list none: get their list too, or name it with --metadata."
            raise MbtError(f"No clip of the {split} split can be read. {why}")
        if there < _least(manifest, split, min_coverage):
            why = f" Lost: {manifest.lost}." if manifest.lost else ""
            raise MbtError(
                f"{named}The {split} split has {there:,} of {expected:,} expected clips"
                f" ({there / expected:.1%}).{why} Mend or add clips, or do without them:"
                f" --min-coverage {floor(100 * there / expected) / 100}."
            )


def spare(manifest: Manifest, min_coverage: float) -> dict[str, int]:
    """How many more clips of each split may be missing before less than this fraction is there."""
    return {
        split: max(0, manifest.count(split) - _least(manifest, split, min_coverage))
        for split in SPLITS
    }


def _least(manifest: Manifest, split: str, min_coverage: float) -> int:
    """Clips that must be there; 0.55 of 100 are 55, though in floating point they are more."""
    return ceil(round(min_coverage * _expected(manifest, split), 6))


def _expected(manifest: Manifest, split: str) -> int:
    return manifest.expected.get(split, manifest.count(split))


def _named(manifest: Manifest, left_out: Mapping[str, str]) -> str:
    name, why = next(iter(left_out.items()))
    listed = len(manifest.entries)
    return f"{len(left_out)} of {listed} clips cannot be read; the first, {name}: {why}"


def _in_arrays(data: Data, manifest: Manifest, executor: Executor, show: Bars) -> Cached:
    """By this command, or by another one that is at it."""
    folder, waited = cache.folder_of(manifest, data.views), False
    while True:
        with nullcontext(True) if cache.complete(folder) else claimed(folder) as mine:
            if mine:
                return make_ready(data, manifest, _work(executor, show))
        if not waited:
            show.say("Another command reads these clips: waiting for it.")
            waited = True
        time.sleep(AGAIN_S)


def _work(executor: Executor, show: Bars) -> Work:
    def work(
        title: str, function: Callable[[Any, Any], Any], shared: Any, things: Sequence[Any],
        noun: str = "clips",
    ) -> Iterator[tuple[int, Any]]:  # fmt: skip
        with show.bar(title, len(things), noun) as advance:
            chunk = CHUNK if noun == "clips" else 1
            yield from salvaged(executor, function, shared, things, chunk, advance)

    return work
