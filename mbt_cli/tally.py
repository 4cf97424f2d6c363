"""What an evaluation has seen so far of the clips of a split, and what that comes to.

n clips, c classes, b clips of a batch, k top classes of a clip.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from mbt_cli.data.clips import Clips
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.files import writing
from mbt_cli.metrics import Figures, figures, tagged
from mbt_cli.tagging import Pruned, average_precision, first, kept, listed

MOST_BYTES = 2 << 30
"""Of every score of a split: more of them lie in a file while clips are scored."""
BLOCK = 4096
"""Clips whose scores are written at a time."""
PART = 64
"""Classes that are read at a time."""


@dataclass(frozen=True)
class Scored:
    """The clips of a split that could be read."""

    places: Int64[np.ndarray, " n"]
    """In the manifest."""
    scores: Float[np.ndarray, "n c"] | Pruned
    """Logits; of very many classes each clip's top ones, with the labels."""
    figures: Figures
    loss: float
    """What training makes small, without mixup: the mean over clips, and over spans of a clip."""


@runtime_checkable
class Tally(Protocol):
    """Of clips that are seen batch by batch, span by span."""

    def add(
        self, places: Int64[np.ndarray, " b"], scores: Float[np.ndarray, "b c"], mean_loss: float
    ) -> None:
        """One span of some clips."""

    def scored(self, how: Evaluation, threshold: float | None) -> Scored:
        """The clips of which every span was seen. Raises MbtError where there is none."""


def tally(places: Int64[np.ndarray, " n"], data: Clips, times: int, *, full: bool) -> Tally:
    """Of clips that are each seen so many times; `full` is whether the AP of very many classes over
    all scores is asked too, which takes the room of them all.

    Raises MbtError where of very many classes a clip is to be seen several times.
    """
    if not data.manifest.task.wide:
        return Scores(places, data, times)
    if times > 1:
        raise MbtError(
            f"Of {len(data.manifest.classes)} classes only each clip's top ones are kept, and the"
            " scores of several spans of it cannot be averaged: leave out crops."
        )
    return Tops(places, data, full=full)


class Scores:
    """Of every class."""

    def __init__(self, places: Int64[np.ndarray, " n"], data: Clips, times: int) -> None:
        self.data, self.times, classes = data, times, len(data.manifest.classes)
        self.totals = {int(place): np.zeros(classes, np.float32) for place in places}
        self.losses = dict.fromkeys(self.totals, 0.0)
        self.seen = dict.fromkeys(self.totals, 0)

    def add(
        self, places: Int64[np.ndarray, " b"], scores: Float[np.ndarray, "b c"], mean_loss: float
    ) -> None:
        for place, row in zip(places.tolist(), scores, strict=True):
            self.totals[place] += row
            self.losses[place] += mean_loss
            self.seen[place] += 1

    def scored(self, how: Evaluation, threshold: float | None) -> Scored:
        times = self.times
        seen = np.array([place for place, n in self.seen.items() if n == times], dtype=np.int64)
        if not len(seen):
            raise _none(how)
        scores = np.stack([self.totals[place] for place in seen]) / times
        found = figures(
            scores, self.data.labels(seen), self.data.manifest.task,
            without_positives=how.without_positives, threshold=threshold,
        )  # fmt: skip
        return Scored(seen, scores, found, sum(self.losses[p] for p in seen) / times / len(seen))


class Tops:
    """Of very many classes: each clip's top ones, as it is seen, once."""

    def __init__(self, places: Int64[np.ndarray, " n"], data: Clips, *, full: bool) -> None:
        self.data, self.task = data, data.manifest.task
        n, c = len(places), len(self.task.classes)
        k = kept(np.array([len(data.manifest.entries[place].labels) for place in places]), c)
        self.places = np.zeros(n, np.int64)
        self.scores, self.classes = np.zeros((n, k), np.float32), np.zeros((n, k), np.int32)
        self.seen, self.losses = 0, 0.0
        self.columns = Columns(n, c) if full else None

    def add(
        self, places: Int64[np.ndarray, " b"], scores: Float[np.ndarray, "b c"], mean_loss: float
    ) -> None:
        here = slice(self.seen, self.seen + len(places))
        best = first(scores, self.scores.shape[1])
        self.places[here], self.classes[here] = places, best
        self.scores[here] = np.take_along_axis(scores, best, axis=1)
        self.seen, self.losses = here.stop, self.losses + mean_loss * len(places)
        if self.columns:
            self.columns.add(scores)

    def scored(self, how: Evaluation, threshold: float | None) -> Scored:
        if not self.seen:
            raise _none(how)
        places, entries = self.places[: self.seen], self.data.manifest.entries
        labels = listed((entries[place].labels for place in places), len(self.task.classes))
        of = Pruned(self.scores[: self.seen], self.classes[: self.seen], labels)
        full = list[float | None]()
        if self.columns:
            by_class = labels.tocsc()
            parts = np.split(by_class.indices, by_class.indptr[1:-1])
            with closing(self.columns.each()) as columns:
                full = [average_precision(s, p) for s, p in zip(columns, parts, strict=True)]
        found = tagged(
            of, self.task, without_positives=how.without_positives, threshold=threshold, full=full
        )
        return Scored(places, of, found, self.losses / self.seen)


class Columns:
    """Every score of a split, to be read class by class: in memory, or where it takes more than
    MOST_BYTES in a file that is gone with this. Raises Unwritable where the disk is full."""

    def __init__(self, clips: int, classes: int) -> None:
        self.file: IO[bytes] | None = None
        if 4 * clips * classes > MOST_BYTES:
            self.file = TemporaryFile(prefix="mbt-scores-")  # noqa: SIM115
        self.part = np.zeros((classes, min(BLOCK, clips)), np.float32)
        self.blocks, self.filled, self.clips = list[np.ndarray](), 0, 0

    def add(self, scores: Float[np.ndarray, "b c"]) -> None:
        """Some clips after the others."""
        while len(scores):
            some = scores[: self.part.shape[1] - self.filled]
            self.part[:, self.filled : self.filled + len(some)] = some.T
            self.filled, self.clips = self.filled + len(some), self.clips + len(some)
            scores = scores[len(some) :]
            if self.filled == self.part.shape[1]:
                self._keep()

    def each(self) -> Generator[Float[np.ndarray, " n"]]:
        """The scores of every class."""
        if self.filled:
            self._keep()
        blocks = self.blocks
        if self.file:
            with self.file as file:
                found = np.memmap(file, np.float32, mode="r")
            blocks = [*found.reshape(-1, *self.part.shape)]
        for start in range(0, len(self.part), PART):
            some = np.concatenate([block[start : start + PART] for block in blocks], axis=1)
            yield from some[:, : self.clips]

    def _keep(self) -> None:
        if self.file:
            with writing(Path(gettempdir())):
                self.file.write(self.part.tobytes())
                self.file.flush()
        else:
            self.blocks.append(self.part.copy())
        self.filled = 0


def _none(how: Evaluation) -> MbtError:
    return MbtError(f"No clip of the {how.split} split can be read.")
