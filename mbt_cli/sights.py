"""What is to be seen in each figure, in a sentence or two: for those who cannot see it."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from mbt_cli.courses import Course, mean
from mbt_cli.draw.bill import front
from mbt_cli.draw.marks import Mark
from mbt_cli.draw.probes import Drops
from mbt_cli.findings import Findings
from mbt_cli.gains import Gain
from mbt_cli.ghosts import Comparison, Sized
from mbt_cli.statistics import summary
from mbt_cli.words import count, unit_of

LISTED = 6
"""Things that a sentence names."""


def along(found: Findings, word: str) -> str:
    """Of the measure along x."""
    ranked = sorted(
        ((summary(cell.test(found.measure)), cell) for cell in found.cells if cell.runs),
        key=lambda pair: -pair[0].mean,
    )
    (high, best), (low, worst) = ranked[0], ranked[-1]
    said = f"{found.measure} on test of {count(len(ranked), 'cell')} along {word}"
    if len(ranked) == 1:
        return f"{said}: {best.name} has {high}."
    return f"{said}: {best.name} is highest with {high}, {worst.name} lowest with {low}."


def against_cost(marks: Sequence[Mark], measure: str) -> str:
    """Of the measure against cost."""
    best, unit = front(marks), unit_of(mark.gmacs for mark in marks)
    names = [
        f"{_cell(m)} ({unit.scale * m.gmacs:#.4g} {unit.letter}MACs, {summary(m.values).mean:.3f})"
        for m in best
    ]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (
        f"{measure} on test against executed cost. No other cell is better and cheaper than:"
        f" {', '.join(names[:LISTED])}{more}."
    )


def against_size(marks: Sequence[Mark], ghosts: Sequence[Sized]) -> str:
    """Of F1 against the number of parameters."""
    tried = [mark for mark in marks if mark.values]
    least, most = (key(tried, key=lambda mark: mark.parameters) for key in (min, max))
    best = max(tried, key=lambda mark: summary(mark.values).mean)
    said = [
        f"{_cell(mark)} ({mark.parameters:,} parameters, {summary(mark.values).mean:.3f})"
        for mark in (least, most, best)
    ]
    grey = "; ".join(f"{g.name} in {g.source} ({g.parameters:,.0f}, {g.value:.4f})" for g in ghosts)
    return (
        f"F1 on test against the number of parameters: smallest {said[0]}, largest {said[1]}, best"
        f" {said[2]}." + f" In grey: {grey}." * bool(grey)
    )


def costs(marks: Sequence[Mark]) -> str:
    """Of the cost along x."""
    lines, unit = dict.fromkeys(mark.line for mark in marks), unit_of(m.gmacs for m in marks)
    said = []
    for line in lines:
        mine = [mark for mark in marks if mark.line == line]
        run = [unit.scale * m.gmacs for m in mine]
        told = [unit.scale * m.published for m in mine]
        said.append(
            f"{_name(line)} {_span(run)}" + (f" ({_span(told)} as published)" * (told != run))
        )
    return f"{unit.letter}MACs of a forward pass: {'; '.join(said)}."


def groups(panels: Mapping[tuple[str, str], Sequence[Mark]]) -> str:
    """Of the groups' panels."""
    said = []
    for (name, _), marks in panels.items():
        means = [summary(mark.values).mean for mark in marks if mark.values]
        said += [f"{_name(name)} {_span(means, '.2f')}"] if means else []
    return f"AUC on test by group of labels, lowest to highest cell: {'; '.join(said)}."


def gains(rows: Sequence[Gain]) -> str:
    """Of the gains by class, the largest first."""
    better, worse = (sum(sign * row.mean >= 0.01 for row in rows) for sign in (1, -1))
    most, least = (
        f"{_name(row.name)} ({row.mean:+.3f} over {row.over} alone)" for row in (rows[0], rows[-1])
    )
    return (
        f"Average precision gained by fusing, class by class: of {count(len(rows), 'class')},"
        f" {better} gain 0.01 or more and {worse} lose as much; most for {most}, least for {least}."
    )


def learning(courses: Sequence[Course], measure: str) -> str:
    """Of the learning curves."""
    said = []
    for course in courses:
        loss = list(mean(course.training).values())
        told = f"{course.name}: training loss {loss[0]:.3g} to {loss[-1]:.3g}"
        if tested := list(mean(course.validation).values()):
            told += f", validation loss {tested[-1]:.3g} at the end"
        if reached := list(mean(course.measure).values()):
            told += f", validation {measure} {reached[-1]:.3f} at the end"
        said.append(told)
    return f"Over the epochs. {'; '.join(said)}."


def probes(drops: Drops, measure: str) -> str:
    """Of the drops by probe."""
    said = []
    for cell, of in drops.items():
        means = {probe: fmean(values) for probe, values in of.items() if values}
        if means:
            worst = max(means, key=lambda probe: means[probe])
            said.append(f"{cell} loses most by {_name(worst)} ({means[worst]:+.3f})")
    return f"Drop of {measure} on test by probe: {'; '.join(said[:LISTED])}."


def published(beside: Comparison) -> str:
    """Of the series in grey."""
    names = [ghost.name for ghost in beside.ghosts]
    return f"In grey, as published: {'; '.join(names)}." if names else ""


def _cell(mark: Mark) -> str:
    if mark.name:
        return _name(mark.name)
    return mark.line if mark.place is None else f"{_name(mark.line)} at {_name(mark.place)}"


def _name(text: str) -> str:
    """A label of somebody's own, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:58]} …"


def _span(values: Sequence[float], form: str = "#.4g") -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"
