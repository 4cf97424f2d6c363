"""The measure along x: one panel, or one for each group of classes."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mbt_cli.draw.marks import Axis, Mark, by_line, caption, dots, legend, spots
from mbt_cli.draw.shades import Shade, shades
from mbt_cli.sheet import FAINT, fitted, page, room_of, ticks
from mbt_cli.statistics import summary


def along(
    marks: Sequence[Mark], axis: Axis, title: str, measure: str, ghosts: Sequence[Shade] = ()
) -> Figure:
    """The measure against x, beside published numbers."""
    entries = [*legend(marks, axis), *shades(ghosts)]
    bars = any(std is not None for ghost in ghosts for _, _, std in ghost.points)
    notes = dict.fromkeys(ghost.says for ghost in ghosts)
    said = " ".join([caption(marks), *notes, "Grey bars: standard deviation." * bars]).strip()
    figure, (ax,) = page(title, entries, said, width=7.6, height=3.6)
    for ghost, look in zip(ghosts, shades(ghosts), strict=True):
        ghost.draw(ax, axis, look)
    _curves(ax, marks, axis, size=7.0)
    ax.set_xlabel(axis.label)
    ax.set_ylabel(measure)
    ax.margins(y=0.08)
    return figure


def panels(
    groups: Mapping[tuple[str, str], Sequence[Mark]], axis: Axis, title: str, measure: str,
    chance: float,
) -> Figure:  # fmt: skip
    """One panel a group, named by a word and a sentence; y is shared, chance is dotted."""
    marks = [mark for panel in groups.values() for mark in panel]
    columns = len(groups) if len(groups) < 5 else 3
    rows = ceil(len(groups) / columns)
    guess: Any = {"color": FAINT, "ls": ":", "lw": 1.3}
    entries = [*legend(marks, axis), Line2D([], [], label=f"chance ({chance})", **guess)]
    explained = f"{axis.word}: {axis.says}." if axis.says else ""
    spare, gap = rows * columns - len(groups), 0.85 if axis.ordered else 1.1
    figure, axes = page(
        title, [] if spare else entries, f"{caption(marks)} {explained}", width=8.4,
        height=2.05 * rows + gap * (rows - 1), rows=rows, columns=columns, names=0.5, between=gap,
    )  # fmt: skip
    for place, (ax, ((word, says), panel)) in enumerate(zip(axes, groups.items(), strict=False)):
        ax.axhline(chance, **guess)
        _curves(ax, panel, axis, size=5.0)
        ax.set_title(fitted(says, room_of(ax), 9.0), loc="left", fontsize=9, color=FAINT, pad=5)
        name = fitted(word, 0.86 * room_of(ax), 10.5)
        ax.annotate(name, (0, 1), (0, 19), "axes fraction", "offset points", weight="bold")
        if place % columns == 0:
            ax.set_ylabel(measure)
        if axis.ordered and place + columns >= len(groups):
            ax.set_xlabel(axis.word)
        ax.margins(y=0.08)
    for ax in axes[len(groups) :]:
        ax.set_axis_off()
    if spare:
        axes[-1].legend(handles=entries, loc="center left", frameon=False, handlelength=2.6)
    axes[0].set_ylim(bottom=axes[0].get_ylim()[0] - 0.04)
    return figure


def _curves(ax: Axes, marks: Sequence[Mark], axis: Axis, size: float) -> None:
    moving = list(dict.fromkeys(mark.line for mark in marks if mark.place is not None))
    step = min(0.18, 0.6 / max(len(moving), 1))
    for mine, (colour, marker, dashes) in by_line(marks):
        for mark in (mark for mark in mine if mark.place is None):
            level(ax, mark.values, colour, dashes)
        placed = [mark for mark in mine if mark.place is not None]
        if not placed:
            continue
        shift = step * (moving.index(placed[0].line) - (len(moving) - 1) / 2)
        xs = [axis.places.index(str(mark.place)) + shift for mark in placed]
        means = [summary(mark.values).mean for mark in placed]
        if axis.ordered:
            ax.plot(xs, means, color=colour, ls=dashes, lw=1.6)
        dots(ax, [x + 0.4 * step for x in xs], placed, colour, size)
        spots(ax, xs, means, placed, colour, marker, size)
    ticks(ax, axis.places, 6 if len(ax.figure.axes) > 1 else 16, thin=axis.ordered)


def level(ax: Axes, values: Sequence[float], colour: str, dashes: Any) -> None:
    """A line over all of x, with its spread as a band."""
    found = summary(values)
    ax.axhline(found.mean, color=colour, ls=dashes, lw=1.6, zorder=1.5)
    if found.spread is not None:
        low, high = found.mean - found.spread, found.mean + found.spread
        ax.axhspan(low, high, color=colour, alpha=0.15, lw=0)
