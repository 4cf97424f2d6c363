"""Curves. Values in, figures out.

One style for all: a colour, a marker and a line style for each strategy (Okabe and Ito's palette,
which colour-blind readers can tell apart), seeds as small points, their mean as a large one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import shorten
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mbt_cli.sheet import FAINT, label, page
from mbt_cli.statistics import summary

LATE = "late"
"""The strategy that every figure shows in grey, and as a level where it has no place on x."""

STYLES = {
    LATE: ("#4D4D4D", "X", (0, (6, 2))),
    "bottleneck": ("#0072B2", "o", "-"),
    "cross_attention": ("#D55E00", "s", (0, (5, 1.5))),
    "self_attention": ("#009E73", "^", (0, (1.5, 1.2))),
    "bottleneck_video_first": ("#CC79A7", "v", (0, (6, 1.5, 1.5, 1.5))),
    "bottleneck_audio_first": ("#E69F00", "D", (0, (3, 1, 1, 1, 1, 1))),
    "": ("#56B4E9", "P", (0, (8, 2))),
}
"""Colour, marker and line style by strategy; lines that are no strategy take them in order."""


@dataclass(frozen=True)
class Mark:
    """A cell as a figure shows it."""

    line: str
    """Whose line it is on: the value of the study's `by`."""
    place: str | None
    """Where it stands on x; None for late fusion where x means nothing to it."""
    values: tuple[float, ...]
    """One a seed."""
    gmacs: float
    hollow: bool
    """Fusion by name that can exchange nothing."""


@dataclass(frozen=True)
class Axis:
    """What the cells are drawn along."""

    word: str
    says: str
    """What the word means; may be empty."""
    places: tuple[str, ...]
    ordered: bool
    """Whether a line from place to place means something."""

    @property
    def label(self) -> str:
        return ", ".join(filter(None, (self.word, self.says)))


def along(marks: Sequence[Mark], axis: Axis, title: str, measure: str) -> Figure:
    """The measure against x."""
    figure, (ax,) = page(title, _legend(marks, axis), _caption(marks), width=7.6, height=3.6)
    _curves(ax, marks, axis, size=7.0)
    ax.set_xlabel(axis.label)
    ax.set_ylabel(measure)
    ax.margins(y=0.08)
    return figure


def against_cost(marks: Sequence[Mark], axis: Axis, title: str, measure: str) -> Figure:
    """The measure against the cost of a forward pass; means carry their place on x."""
    beside = "Numbers" if axis.ordered else "Words"
    caption = f"{_caption(marks, band=False)} {beside}: {axis.label}."
    legend = _legend(marks, axis, level=False)
    figure, (ax,) = page(title, legend, caption, width=7.6, height=3.8)
    ax.grid(True, axis="x")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    named = axis.places[:: ceil(len(axis.places) / 6)] if axis.ordered else axis.places
    labels, dots = [], []
    for turn, (line, (colour, marker, dashes)) in enumerate(_styles(marks).items()):
        mine = [mark for mark in marks if mark.line == line and mark.values]
        means = [summary(mark.values).mean for mark in mine]
        if axis.ordered:
            ax.plot([m.gmacs for m in mine], means, color=colour, ls=dashes, lw=1.2, alpha=0.6)
        for mark, mean in zip(mine, means, strict=True):
            _dots(ax, mark.gmacs, mark, colour, 6.0)
            size, side = max(10 - 1.5 * turn, 5.0), -1 if turn % 2 else 1
            ax.plot(mark.gmacs, mean, marker, **_face(mark.hollow, colour, size))
            if mark.place is None or mark.place in named:
                labels.append((mark.gmacs, mean, mark.place or LATE, colour, side))
            dots += [(mark.gmacs, value) for value in (*mark.values, mean)]
    ax.set_xlabel("GMACs: 10⁹ multiply-accumulates, executed for one clip and one view")
    ax.set_ylabel(measure)
    ax.margins(x=0.06 if axis.ordered else 0.14, y=0.14)
    label(ax, labels, dots)
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
    legend = [*_legend(marks, axis), Line2D([], [], label=f"chance ({chance})", **guess)]
    explained = f"{axis.word}: {axis.says}." if axis.says else ""
    spare = rows * columns - len(groups)
    figure, axes = page(
        title, [] if spare else legend, f"{_caption(marks)} {explained}", width=8.4,
        height=2.05 * rows + 0.85 * (rows - 1), rows=rows, columns=columns, names=0.5,
    )  # fmt: skip
    for place, (ax, ((word, says), panel)) in enumerate(zip(axes, groups.items(), strict=False)):
        ax.axhline(chance, **guess)
        _curves(ax, panel, axis, size=5.0)
        said = shorten(says, 37, placeholder=" …")
        ax.set_title(said, loc="left", fontsize=9, color=FAINT, pad=5)
        ax.annotate(word, (0, 1), (0, 19), "axes fraction", "offset points", weight="bold")
        if place % columns == 0:
            ax.set_ylabel(measure)
        if axis.ordered and place + columns >= len(groups):
            ax.set_xlabel(axis.word)
        ax.margins(y=0.08)
    for ax in axes[len(groups) :]:
        ax.set_axis_off()
    if spare:
        axes[-1].legend(handles=legend, loc="center left", frameon=False, handlelength=2.6)
    axes[0].set_ylim(bottom=axes[0].get_ylim()[0] - 0.04)
    return figure


def _curves(ax: Axes, marks: Sequence[Mark], axis: Axis, size: float) -> None:
    styles = _styles(marks)
    moving = list(dict.fromkeys(mark.line for mark in marks if mark.place is not None))
    step = min(0.18, 0.6 / max(len(moving), 1))
    for line, (colour, marker, dashes) in styles.items():
        mine = [mark for mark in marks if mark.line == line and mark.values]
        for mark in (mark for mark in mine if mark.place is None):
            _level(ax, mark, colour, dashes)
        placed = [mark for mark in mine if mark.place is not None]
        if not placed:
            continue
        shift = step * (moving.index(line) - (len(moving) - 1) / 2)
        xs = [axis.places.index(str(mark.place)) + shift for mark in placed]
        means = [summary(mark.values).mean for mark in placed]
        if axis.ordered:
            ax.plot(xs, means, color=colour, ls=dashes, lw=1.6)
        for x, mark, mean in zip(xs, placed, means, strict=True):
            _dots(ax, x + 0.4 * step, mark, colour, size)
            ax.plot(x, mean, marker, **_face(mark.hollow, colour, size))
    every = ceil(len(axis.places) / (6 if len(ax.figure.axes) > 1 else 16)) if axis.ordered else 1
    shown = [place.replace(" + ", "\n+ ") for place in axis.places[::every]]
    ax.set_xticks(range(0, len(axis.places), every), shown)
    ax.set_xlim(-0.5, len(axis.places) - 0.5)


def _dots(ax: Axes, x: float, mark: Mark, colour: str, size: float) -> None:
    """The seeds; a single one is its own mean."""
    if len(mark.values) > 1:
        xs = [x] * len(mark.values)
        ax.plot(xs, mark.values, ".", color=colour, ms=0.65 * size, alpha=0.6)


def _level(ax: Axes, mark: Mark, colour: str, dashes: Any) -> None:
    found = summary(mark.values)
    ax.axhline(found.mean, color=colour, ls=dashes, lw=1.6, zorder=1.5)
    if found.spread is not None:
        low, high = found.mean - found.spread, found.mean + found.spread
        ax.axhspan(low, high, color=colour, alpha=0.15, lw=0)


def _face(hollow: bool, colour: str, size: float) -> dict[str, Any]:
    face, edge, width = ("white", colour, 1.4) if hollow else (colour, "white", 0.6)
    return {"color": colour, "mfc": face, "mec": edge, "mew": width, "ms": size, "zorder": 4}


def _styles(marks: Sequence[Mark]) -> dict[str, tuple[str, str, Any]]:
    """In the order of the lines, late fusion last: it is what the others are compared with."""
    lines = sorted(dict.fromkeys(mark.line for mark in marks), key=lambda line: line == LATE)
    free = [name for name in STYLES if name not in lines and name != LATE]
    names = [line if line in STYLES else free[i % len(free)] for i, line in enumerate(lines)]
    return {line: STYLES[name] for line, name in zip(lines, names, strict=True)}


def _legend(marks: Sequence[Mark], axis: Axis, level: bool = True) -> list[Line2D]:
    entries = []
    for line, (colour, marker, dashes) in _styles(marks).items():
        mine = [mark for mark in marks if mark.line == line]
        flat = level and all(mark.place is None for mark in mine)
        entries.append(Line2D(
            [], [], ls=dashes if flat or (axis.ordered and line != LATE) else "",
            lw=1.6, marker="" if flat else marker, label=_words(line), **_face(False, colour, 7.0),
        ))  # fmt: skip
    if any(mark.hollow for mark in marks):
        entries.append(Line2D([], [], ls="", marker="o", label="hollow: no exchange",
                              **_face(True, FAINT, 7.0)))  # fmt: skip
    return entries


def _words(line: str) -> str:
    """For a legend; a wiring of the user's own may be long."""
    said = f"{line} fusion" if line == LATE else line.replace("_", " ")
    return shorten(said, 34, placeholder=" …")


def _caption(marks: Sequence[Mark], band: bool = True) -> str:
    seeds = sorted({len(mark.values) for mark in marks if mark.values})
    if seeds == [1]:
        return "One seed each: no spread is known."
    how_many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    said = f"Small points: {how_many} seeds. Large markers: their mean."
    if band and any(mark.place is None and len(mark.values) > 1 for mark in marks):
        said += " Band: late fusion, mean ± spread (standard deviation)."
    return said
