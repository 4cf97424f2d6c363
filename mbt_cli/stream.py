"""Clips decoded when they are needed, by processes of their own, a little ahead of who learns.

What is read depends on what is asked for alone: any number of processes gives the same batches in
the same order.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

import numpy as np

from mbt_cli.data.clips import Batch, Clips, Wanted
from mbt_cli.data.fault import ClipError
from mbt_cli.data.glance import glance
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Features, Viewed
from mbt_cli.errors import MbtError
from mbt_cli.executors import Executor, Here
from mbt_cli.salvage import salvaged

T = TypeVar("T")

AHEAD = 2
"""Batches that wait, read, for each one that is learned from."""
CHUNK = 8
"""Clips in a job: fewer than in a batch, so that all readers work on the one that is next."""
RECORDS = 32
"""Records of features that are read, and sent, together: each alone takes less time than that."""
WAITING = 256
"""Clips that may wait, read, for one that comes before them and is slow."""
_POLL_S = 0.05


class Enough(Exception):
    """Nobody wants the batches any more."""


@dataclass(frozen=True)
class Ask:
    """A clip, and for each modality where in it the span lies (0 to 1)."""

    entry: Entry
    at: Mapping[str, float]


class Streamed(Clips):
    """The clips of a manifest, from their files."""

    def __init__(
        self, manifest: Manifest, views: Viewed, executor: Executor, spare: Mapping[str, int]
    ) -> None:
        super().__init__(manifest, {})
        self.views, self.executor, self.spare = views, executor, spare
        """`spare`: how many clips of each split may be lost before that is an error."""
        self._splits: dict[str, str] = {}
        """Of clips that were lost."""

    def batches(self, wanted: Iterable[Wanted]) -> Generator[Batch]:
        if isinstance(self.executor, Here):
            return self._read(list(wanted), lambda _: None)
        enough = Event()

        def watch(_: int) -> None:
            if enough.is_set():
                raise Enough

        return ahead(self._read(list(wanted), watch), AHEAD, enough)

    def _read(self, wanted: list[Wanted], watch: Callable[[int], None]) -> Generator[Batch]:
        """Batches as they are complete; what is read before its turn waits for it."""
        asks = (ask for one in wanted for ask in self._asks(one))
        each, chunk = (RECORDS, 1) if isinstance(self.views, Features) else (1, CHUNK)
        parts = iter(lambda: list(islice(asks, each)), [])
        most = max(WAITING, *(2 * len(one.places) for one in wanted), 1)
        found: dict[int, dict[str, np.ndarray] | Exception] = {}
        first = 0
        with closing(
            salvaged(
                self.executor, shown, self.views, parts, chunk, watch, lambda: len(found) < most
            )
        ) as reading:
            for one in wanted:
                mine = range(first, first := first + len(one.places))
                while not all(place in found for place in mine):
                    place, what = next(reading)
                    values = what if isinstance(what, list) else [what] * each  # it died
                    found |= enumerate(values, place * each)
                yield self._batch(one, [found.pop(place) for place in mine])

    def _asks(self, one: Wanted) -> Iterator[Ask]:
        for row, place in enumerate(one.places):
            at = {m: float(shares[row]) for m, shares in one.at.items()}
            yield Ask(self.manifest.entries[place], at)

    def _batch(self, one: Wanted, found: list[dict[str, np.ndarray] | Exception]) -> Batch:
        kept = []
        for row, what in enumerate(found):
            if isinstance(what, Exception):
                self._lose(self.manifest.entries[one.places[row]], what)
            else:
                kept.append((one.places[row], what))
        views = {m: np.stack([views[m] for _, views in kept]) for m in one.at} if kept else {}
        return Batch(np.array([place for place, _ in kept], dtype=np.int64), views)

    def _lose(self, entry: Entry, why: Exception) -> None:
        if entry.name in self.lost:
            return
        self.lost[entry.name] = str(why)
        self._splits[entry.name] = entry.split
        if before := self.lost.keys() - self._splits.keys():  # lost before this run went on
            self._splits |= {e.name: e.split for e in self.manifest.entries if e.name in before}
        lost = sum(self._splits[name] == entry.split for name in self.lost)
        if lost > self.spare.get(entry.split, 0):
            raise MbtError(
                f"A clip that was there cannot be read any more, {entry.name}: {why} Put it back,"
                " or allow for it with a lower --min-coverage; the same command with"
                " --retry-failed goes on where this run was."
            )


def shown(views: Viewed, asks: Sequence[Ask]) -> list[dict[str, np.ndarray] | MbtError]:
    """The views of each clip, or why it cannot be read."""
    found: list[dict[str, np.ndarray] | MbtError] = []
    for ask in asks:
        try:
            found.append(glance(ask.entry, views, ask.at))
        except ClipError as error:
            found.append(error)
    return found


def ahead(things: Generator[T], many: int, enough: Event | None = None) -> Generator[T]:
    """The same things, up to so many of them made before they are asked for, by another thread.
    `enough` is set when no more of them are wanted."""
    made: Queue[T | BaseException | None] = Queue(many)
    enough = enough or Event()

    def put(thing: T | BaseException | None) -> bool:
        while not enough.is_set():
            try:
                made.put(thing, timeout=_POLL_S)
            except Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            all(put(thing) for thing in things)
            put(None)
        except BaseException as error:  # noqa: BLE001  # raised again, where things are asked for
            put(error)
        finally:
            things.close()

    maker = Thread(target=make, daemon=True)
    maker.start()
    try:
        while (thing := _got(made, maker)) is not None:
            if isinstance(thing, BaseException):
                raise thing
            yield thing
    finally:
        enough.set()
        maker.join()


def _got(made: "Queue[T | BaseException | None]", maker: Thread) -> T | BaseException | None:
    while True:
        try:
            return made.get(timeout=1.0)
        except Empty:
            if not maker.is_alive() and made.empty():
                return None
