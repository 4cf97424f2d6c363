"""An entry: an MLflow run as it should stand there, and what it lacks as it does.

Times are in ms, as MLflow has them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

Point = tuple[str, float, int, int]
"""A metric's name, its value, when in ms, and the step."""


@dataclass(frozen=True)
class Held:
    """An MLflow run as it stands there."""

    id: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """The last value of each."""
    status: str
    ended_ms: int | None

    @property
    def rows(self) -> tuple[int, str]:
        """How many rows it was told, and their digest; '' where an older version told them."""
        count, _, digest = self.tags.get("rows", "0").partition(":")
        return int(count), digest

    @property
    def files(self) -> dict[str, str]:
        """The digests of its artifacts by name."""
        pairs = (one.rpartition(":") for one in self.tags.get("files", "").split("\n"))
        return {name: digest for name, _, digest in pairs if name}


@dataclass(frozen=True)
class News:
    """What an MLflow run lacks; it is false where it lacks nothing."""

    points: Sequence[Point]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    files: Sequence[str]
    status: bool

    def __bool__(self) -> bool:
        return any((self.points, self.params, self.tags, self.files, self.status))


@dataclass(frozen=True)
class Entry:
    """An MLflow run as it should stand there."""

    mark: tuple[str, str]
    """The tag by which it is found again."""
    origin: str
    """The tag that says whether an MLflow run of this mark is of the same beginning."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    totals: Mapping[str, float]
    """What is one number for the whole."""
    started_ms: int
    ended_ms: int | None
    status: str
    rows: Sequence[Sequence[Point]] = ()
    """What was measured over time."""
    folder: Path = Path()
    files: Mapping[str, str] | None = None
    """The digests of its artifacts by name; they lie in the folder."""

    def fits(self, held: Held) -> bool:
        """Whether an MLflow run is this one at an earlier time: all that it holds is still true."""
        if held.tags.get(self.origin) != self.tags[self.origin]:
            return False
        if held.status in ("FAILED", "FINISHED") and held.status != self.status:
            return False
        if not set(held.files) <= set(self.files or {}):
            return False  # MLflow has no way to take an artifact back
        known = {name: held.metrics.get(name, value) for name, value in self.totals.items()}
        later = (self.ended_ms or 0) > (held.ended_ms or 0)
        if not later and not all(math.isclose(known[n], v) for n, v in self.totals.items()):
            return False  # of two values at one time MLflow shows the larger
        rows, digest = held.rows
        if rows > len(self.rows):
            return self.status == "RUNNING"  # it went back to its checkpoint, and comes along again
        return digest in ("", self.digest(rows))

    def exceeds(self, held: Held, last: int) -> bool:
        """Whether MLflow holds rows, up to this step, that nobody counted."""
        rows, _ = held.rows
        told = [step for row in self.rows[:rows] for *_, step in row]
        return rows <= len(self.rows) and last > max(told, default=0)

    def news(self, held: Held) -> News:
        """What an MLflow run that fits lacks."""
        rows, _ = held.rows
        points = [point for row in self.rows[rows:] for point in row]
        points += [
            (name, value, self.ended_ms or self.started_ms, 0)
            for name, value in self.totals.items()
            if name not in held.metrics or not math.isclose(held.metrics[name], value)
        ]
        tags = dict(self.tags)
        if self.rows and rows <= len(self.rows):
            tags["rows"] = f"{len(self.rows)}:{self.digest(len(self.rows))}"
        if self.files is not None:
            tags["files"] = "\n".join(f"{name}:{digest}" for name, digest in self.files.items())
        files = [n for n, digest in (self.files or {}).items() if held.files.get(n) != digest]
        ended = self.ended_ms is not None and self.ended_ms != held.ended_ms
        return News(
            points, _changed(self.params, held.params), _changed(tags, held.tags), files,
            ended or self.status != held.status,
        )  # fmt: skip

    def digest(self, rows: int) -> str:
        """Of the first rows, but for the time: a resumed run measures the last of them again."""
        told = [[(name, value, step) for name, value, _, step in row] for row in self.rows[:rows]]
        return sha256(repr(told).encode()).hexdigest()[:10]


def _changed(mine: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in mine.items() if theirs.get(name) != text}
