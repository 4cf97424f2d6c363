"""Published series that can be drawn beside a study: those of the same conditions, no others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mbt_cli import settings
from mbt_cli.experiment import Experiment
from mbt_cli.published import READ, TRAINED, Result, results


@dataclass(frozen=True)
class Ghost:
    """A published series under the conditions of a study."""

    name: str
    """The model, with paper and table."""
    points: tuple[tuple[Any, float, float | None], ...]
    """x, value and standard deviation in the unit of the study."""
    note: str
    """How its models learned, and where its numbers were read."""


@dataclass(frozen=True)
class Comparison:
    """What was published of a study's question."""

    ghosts: tuple[Ghost, ...] = ()
    unlike: tuple[str, ...] = ()
    """Why others are not of the same conditions, a sentence a series."""


def comparison(cells: Sequence[Experiment], x: str, by: str, measure: str) -> Comparison:
    """The published series that vary what a study varies, along x and from line to line.

    A series is there only where each of its numbers that has a cell (the same x, the same line)
    has one of its conditions: dataset, train set, views, model. How long was trained and from which
    weights is none of them: `published.TRAINED` says it.
    """
    ghosts, unlike = [], []
    for rows in _series(cells[0].data.dataset, x, by, measure):
        points: dict[str, tuple[Any, float, float | None]] = {}
        other: dict[str, str] = {}
        for point in dict.fromkeys((row.settings[x], row.settings[by]) for row in rows):
            pairs = [
                (_differing(cell, row), row, cell)
                for row in rows
                if (row.settings[x], row.settings[by]) == point
                for cell in cells
                if not {x, by} & _differing(cell, row).keys()
            ]
            if pairs:
                differing, row, cell = min(pairs, key=lambda pair: len(pair[0]))
                other |= differing
                std = None if row.std is None else round(row.std * row.scale, 6)
                points[point[0]] = (cell.flat()[x], round(row.value * row.scale, 6), std)
        name = f"{rows[0].model}, {rows[0].source}"
        if other:
            unlike.append(f"{name}, is not of these conditions: {'; '.join(other.values())}.")
        elif points:
            note = f"{rows[0].source}{_common(rows)}: {READ[rows[0].mark]}."
            note = note if measure == "GMACs" else f"{note} {TRAINED}"
            ghosts.append(Ghost(name, tuple(points.values()), note))
    return Comparison(tuple(ghosts), tuple(unlike))


@dataclass(frozen=True)
class Sized:
    """A published model of known size."""

    name: str
    parameters: float
    value: float
    """F1, as a fraction."""
    source: str


def sizes(cells: Sequence[Experiment]) -> tuple[list[Sized], tuple[str, ...]]:
    """Published F1 with parameters, where some cell is of their conditions; else why not, a
    sentence a paper."""
    found, unlike = [], dict[str, str]()
    tables = [r for r in results() if r.settings.get("data.dataset") == cells[0].data.dataset]
    for row in (row for row in tables if row.metric == "F1"):
        size = next((r.value for r in tables if (r.model, r.metric) == (row.model, "params")), None)
        differing = min((_differing(cell, row) for cell in cells), key=len)
        if differing:
            said = "; ".join(differing.values())
            unlike[row.source] = f"F1 in {row.source}, is not of these conditions: {said}."
        elif size is not None:
            f1 = round(row.value * row.scale, 6)
            found.append(Sized(f"{row.model}, published", size, f1, row.source))
    return found, tuple(unlike.values())


def _series(dataset: str, x: str, by: str, measure: str) -> Iterator[list[Result]]:
    """The lines of each table in which both x and by vary."""
    tables: dict[str, list[Result]] = {}
    for row in results():
        if row.measure == measure and row.settings.get("data.dataset") == dataset:
            tables.setdefault(row.source, []).append(row)
    for rows in tables.values():
        fields = [{row.settings.get(name) for row in rows} for name in (x, by)]
        if all(len(values) > 1 and None not in values for values in fields):
            models = dict.fromkeys(row.model for row in rows)
            yield from ([row for row in rows if row.model == model] for model in models)


def _common(rows: Sequence[Result]) -> str:
    """What the notes of all these rows say."""
    notes = [row.note.split("; ") for row in rows]
    said = [part for part in notes[0] if part and all(part in note for note in notes)]
    return f" ({', '.join(said)})" if said else ""


def _differing(cell: Experiment, row: Result) -> dict[str, str]:
    """What a cell has otherwise than a published number, in words by field."""
    values = cell.flat()
    found = {name: settings.text(values.get(name)) for name in row.settings}
    return {
        name: f"{name} is {found[name]} here and {wanted.replace('|', ' or ')} there"
        for name, wanted in row.settings.items()
        if found[name] not in wanted.split("|")
    }
