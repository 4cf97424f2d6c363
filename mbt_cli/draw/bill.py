"""What a forward pass costs: the measure against it, and itself along x.

Filled markers stand at the cost that was executed. A hollow one stands where the form of the
official code would, of the same cell: only where that differs.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from math import ceil

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mbt_cli.draw.marks import (
    LATE,
    Axis,
    Mark,
    by_line,
    caption,
    dots,
    face,
    legend,
    spoken,
    spots,
)
from mbt_cli.draw.shades import Shade, shades
from mbt_cli.sheet import FAINT, Label, fitted, label, page, ticks
from mbt_cli.statistics import summary
from mbt_cli.words import unit_of

CROWD = 30
"""So many cells, and only those of the front have words beside them."""


def against_cost(marks: Sequence[Mark], axis: Axis, title: str, measure: str) -> Figure:
    """The measure against cost, with the Pareto front: the cells that no other beats in both."""
    (scale, unit), crowd = _unit(marks), len(marks) > CROWD
    line = Line2D([], [], color=FAINT, lw=0.9, label="Pareto front")
    entries = [*legend(marks, axis, level=False), *_hollow(marks), line]
    said = f"{caption(marks, band=False)} Pareto front: the cells that no other beats in both."
    if not crowd:
        said += f" {'Numbers' if axis.ordered else 'Words'}: {axis.label}."
    figure, (ax,) = page(title, entries, said, width=7.6, height=4.2)
    ax.grid(True, axis="x")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    best = front(marks)
    ends = [(scale * mark.gmacs, summary(mark.values).mean) for mark in best]
    steps = list(chain(*([(x, y), (after, y)] for (x, y), (after, _) in pairwise(ends)), ends[-1:]))
    ax.plot(*zip(*steps, strict=True), color=FAINT, lw=0.9, zorder=1.8)
    named = axis.places[:: ceil(len(axis.places) / 6)] if axis.ordered else axis.places
    first: list[Label] = []
    labels: list[Label] = []
    taken = _on(steps)
    for turn, (mine, (colour, marker, dashes)) in enumerate(by_line(marks)):
        if not mine:
            continue
        means = [summary(mark.values).mean for mark in mine]
        xs, others = ([scale * g for g in of] for of in zip(*map(_costs, mine), strict=True))
        size, side = max(10 - 1.5 * turn, 5.0) * (0.7 if crowd else 1), -1 if turn % 2 else 1
        if axis.ordered:
            ax.plot(xs, means, color=colour, ls=dashes, lw=1.2, alpha=0.6)
        if any(map(_differs, mine)):
            ax.hlines(means, xs, others, color=colour, lw=0.7, alpha=0.35, zorder=1.6)
            look = face(colour, 0.75 * size, hollow=True)
            ax.plot(others, means, marker, ls="", **look | {"zorder": 3})
        dots(ax, xs, mine, colour, 6.0)
        spots(ax, xs, means, mine, colour, marker, size)
        taken += [*zip(xs, means, strict=True), *zip(others, means, strict=True)]
        taken += [(x, y) for x, mark in zip(xs, mine, strict=True) for y in mark.values]
        for x, mean, mark in zip(xs, means, mine, strict=True):
            if mark in best:
                first.append((x, mean, _name(mark), colour, side))
            elif not crowd and (mark.place is None or mark.place in named):
                labels.append(
                    (x, mean, fitted(mark.name or mark.place or LATE, 1.8, 9.0), colour, side)
                )
    ax.set_xlabel(f"{unit} for one clip and one view")
    ax.set_ylabel(measure)
    ax.margins(x=0.08 if axis.ordered else 0.14, y=0.14)
    label(ax, [*labels, *first], taken)
    return figure


def cost_along(
    marks: Sequence[Mark], axis: Axis, title: str, ghosts: Sequence[Shade] = ()
) -> Figure:
    """The cost against x: filled and whole as executed, hollow and thin as published."""
    scale, unit = _unit(marks)
    marks = [mark for mark in marks if mark.values]
    entries = [*legend(marks, axis), *_hollow(marks), *shades(ghosts)]
    said = "Filled: as executed, multiply-accumulates of matrix products."
    if any(map(_differs, marks)):
        said += " Hollow: in the form of the official code, of the same output."
    said = " ".join([said, *dict.fromkeys(ghost.says for ghost in ghosts)])
    figure, (ax,) = page(title, entries, said, width=7.6, height=3.4)
    for ghost, look in zip(ghosts, shades(ghosts), strict=True):
        points = tuple((place, scale * y, std) for place, y, std in ghost.points)
        Shade(ghost.name, points, ghost.says).draw(ax, axis, look, on_top=True)
    for mine, (colour, marker, dashes) in by_line(marks):
        for mark in (mark for mark in mine if mark.place is None):
            ax.axhline(scale * mark.gmacs, color=colour, ls=dashes, lw=1.6, zorder=1.5)
        placed = [mark for mark in mine if mark.place is not None]
        if not placed:
            continue
        xs = [float(axis.places.index(str(mark.place))) for mark in placed]
        if any(map(_differs, placed)):
            ys = [scale * mark.published for mark in placed]
            thin = face(colour, 6.0, hollow=True)
            ax.plot(xs, ys, marker=marker, ls=dashes, lw=0.8, **thin)
        ys = [scale * mark.gmacs for mark in placed]
        ax.plot(xs, ys, color=colour, ls=dashes, lw=1.6, zorder=2)
        spots(ax, xs, ys, placed, colour, marker, 6.0)
    ticks(ax, axis.places, 16, thin=axis.ordered)
    ax.set_xlabel(axis.label)
    ax.set_ylabel(f"{unit.split(':')[0]} a clip and view")
    ax.margins(y=0.08)
    return figure


def front(marks: Iterable[Mark]) -> list[Mark]:
    """The cells that no other beats in mean measure and executed cost, the cheapest first."""
    found: list[Mark] = []
    tried = [mark for mark in marks if mark.values]
    for mark in sorted(tried, key=lambda mark: (mark.gmacs, -summary(mark.values).mean)):
        if not found or summary(mark.values).mean > summary(found[-1].values).mean:
            found.append(mark)
    return found


def _on(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points along a line, so that no label is written over it."""
    parts = [i / 40 for i in range(41)]
    return [(a + part * (c - a), b + part * (d - b))
            for (a, b), (c, d) in pairwise(corners) for part in parts]  # fmt: skip


def _costs(mark: Mark) -> tuple[float, float]:
    return mark.gmacs, mark.published


def _differs(mark: Mark) -> bool:
    return abs(mark.published - mark.gmacs) > 1e-9 * mark.gmacs


def _hollow(marks: Sequence[Mark]) -> list[Line2D]:
    look = face(FAINT, 6.0, hollow=True)
    entry = Line2D([], [], ls="", marker="o", label="hollow: as published", **look)
    return [entry] if any(map(_differs, marks)) else []


def _name(mark: Mark) -> str:
    """The words of a cell."""
    at_place = " ".join(filter(None, (spoken(mark.line), mark.place)))
    return fitted(mark.name or at_place, 2.6, 9.0)


def _unit(marks: Iterable[Mark]) -> tuple[float, str]:
    """What costs given in GMACs are multiplied by, and what the axis says."""
    unit = unit_of(mark.gmacs for mark in marks)
    return unit.scale, f"{unit.letter}MACs: {unit.power} multiply-accumulates"
