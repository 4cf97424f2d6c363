"""How training went: the rows of a cell's runs over epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mbt_cli.findings import Cell, Findings
from mbt_cli.runs import Run
from mbt_cli.statistics import summary

Curve = dict[int, float]
"""A value at each epoch, from 1."""


@dataclass(frozen=True)
class Course:
    """Of a cell; one curve a seed in each."""

    name: str
    line: str
    """The value of the study's `by`."""
    training: Sequence[Curve]
    """The objective, over each epoch's steps: of the clips as they were augmented."""
    validation: Sequence[Curve]
    """The same of the validation clips; empty curves where the record does not have it."""
    measure: Sequence[Curve]
    """On the validation clips."""


def courses(found: Findings) -> list[Course]:
    """Of the chosen cell, of late fusion, and of the worst on validation: each once."""
    tried = [cell for cell in found.cells if cell.runs]
    worst = min(tried, key=lambda cell: summary(cell.validation(found.measure)).mean)
    twin = found.best.experiment.at("model.fusion", "late").cell
    late = [cell for cell in tried if cell.experiment.cell == twin]
    shown = {cell.name: cell for cell in (found.best, *late, worst)}
    each = (course(cell, found) for cell in shown.values())
    return [one for one in each if one.training]


def mean(curves: Sequence[Curve]) -> Curve:
    """At the epochs that all of them reached."""
    epochs = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    return {epoch: fmean(curve[epoch] for curve in curves) for epoch in sorted(epochs)}


def course(cell: Cell, found: Findings) -> Course:
    """Of one cell, out of its runs' records."""
    line = found.study.line(cell.experiment)
    each = [_curves(run, found.measure) for run in cell.runs]
    training, validation, measure = ([curves[i] for curves in each if curves[i]] for i in range(3))
    return Course(cell.name, line, training, validation, measure)


def _curves(run: Run, measure: str) -> tuple[Curve, Curve, Curve]:
    steps: dict[int, list[float]] = {}
    checked: tuple[Curve, Curve] = ({}, {})
    for row in run.curve():
        if "loss" in row:
            steps.setdefault(row["epoch"], []).append(row["loss"])
        for curve, name in zip(checked, ("loss", measure), strict=True):
            if (value := row.get("validation", {}).get(name)) is not None:
                curve[row["epoch"]] = float(value)
    return {epoch: fmean(values) for epoch, values in steps.items()}, *checked
