"""Cells as a figure shows them: their marks, which look of its own each line has, and the legend.

The colours are Okabe and Ito's, which colour-blind readers can tell apart; a marker and a line
style say the same again. A hollow marker stands at the cost as published, a ringed one exchanges
nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from mbt_cli.sheet import FAINT, fitted

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
    """A cell."""

    line: str
    """Whose line it is on: the value of the study's `by`."""
    place: str | None
    """Where it stands on x; None for late fusion where x means nothing to it."""
    values: tuple[float, ...]
    """One a seed."""
    gmacs: float
    """Executed."""
    published: float
    """GMACs in the form of the official code."""
    silent: bool
    """Fusion by name that can exchange nothing."""
    parameters: int = 0
    """Of its model."""
    name: str = ""
    """What it is called, where that is not its line at its place."""


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


def styles(lines: Sequence[str]) -> dict[str, tuple[str, str, Any]]:
    """In the order of the lines, late fusion last: it is what the others are compared with."""
    lines = sorted(dict.fromkeys(lines), key=lambda line: line == LATE)
    free = [name for name in STYLES if name not in lines and name != LATE]
    names = [line if line in STYLES else free[i % len(free)] for i, line in enumerate(lines)]
    return {line: STYLES[name] for line, name in zip(lines, names, strict=True)}


def by_line(marks: Sequence[Mark]) -> Iterator[tuple[list[Mark], tuple[str, str, Any]]]:
    """The marks of each line that have values, with its style."""
    for line, style in styles([mark.line for mark in marks]).items():
        yield [mark for mark in marks if mark.line == line and mark.values], style


def face(colour: str, size: float, *, silent: bool = False, hollow: bool = False) -> dict[str, Any]:
    """How a marker looks."""
    inside, edge, width = ("white", colour, 1.2) if hollow else (colour, "white", 0.6)
    ring = [Stroke(linewidth=5.4, foreground=colour), Stroke(linewidth=3.4, foreground="white")]
    look = {"color": colour, "mfc": inside, "mec": edge, "mew": width, "ms": size, "zorder": 4}
    return look | ({"path_effects": [*ring, Normal()]} if silent else {})


def spots(
    ax: Axes, xs: Sequence[float], ys: Sequence[float], of: Sequence[Mark], colour: str,
    marker: str, size: float,
) -> None:  # fmt: skip
    """A marker for each of these marks, with its ring where it exchanges nothing."""
    for silent in (False, True):
        at = [i for i, mark in enumerate(of) if mark.silent == silent]
        if at:
            look = face(colour, size, silent=silent)
            ax.plot([xs[i] for i in at], [ys[i] for i in at], marker, ls="", **look)


def dots(ax: Axes, xs: Sequence[float], of: Sequence[Mark], colour: str, size: float) -> None:
    """Their seeds; a single one is its own mean."""
    each = [(x, value) for x, mark in zip(xs, of, strict=True) for value in mark.values
            if len(mark.values) > 1]  # fmt: skip
    if each:
        ax.plot(*zip(*each, strict=True), ".", ls="", color=colour, ms=0.65 * size, alpha=0.6)


def legend(marks: Sequence[Mark], axis: Axis, level: bool = True) -> list[Line2D]:
    """An entry a line; `level`: late fusion without a place is one."""
    entries = []
    for line, (colour, marker, dashes) in styles([mark.line for mark in marks]).items():
        mine = [mark for mark in marks if mark.line == line]
        flat = level and all(mark.place is None for mark in mine)
        entries.append(Line2D(
            [], [], ls=dashes if flat or (axis.ordered and line != LATE) else "",
            lw=1.6, marker="" if flat else marker, label=fitted(spoken(line), 2.6, 10.5),
            **face(colour, 7.0),
        ))  # fmt: skip
    if any(mark.silent for mark in marks):
        look = face(FAINT, 6.0, silent=True)
        entries.append(Line2D([], [], ls="", marker="o", label="ringed: no exchange", **look))
    return entries


def spoken(line: str) -> str:
    """A line's name in words."""
    return f"{line} fusion" if line == LATE else line.replace("_", " ")


def caption(marks: Sequence[Mark], band: bool = True) -> str:
    """What points, markers and band are."""
    seeds = sorted({len(mark.values) for mark in marks if mark.values})
    if seeds == [1]:
        return "One seed each: no spread is known."
    how_many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    said = f"Small points: {how_many} seeds. Large markers: their mean."
    if band and any(mark.place is None and len(mark.values) > 1 for mark in marks):
        said += " Band: late fusion, mean ± spread (standard deviation)."
    return said
