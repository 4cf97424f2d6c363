"""The measure of things whose names are long, one below the other: in one panel, or one a group.

The same functions as in `curves.py`, turned by a quarter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mbt_cli.draw.marks import Axis, Mark, by_line, caption, face, legend
from mbt_cli.draw.shades import Shade
from mbt_cli.sheet import FAINT, extent, fitted, page, room_of
from mbt_cli.statistics import summary


def along(
    marks: Sequence[Mark], axis: Axis, title: str, measure: str, ghosts: Sequence[Shade] = ()
) -> Figure:
    """The measure of things whose names are long: one below the other, the first at the top."""
    said = " ".join([caption(marks), *dict.fromkeys(ghost.says for ghost in ghosts)]).strip()
    rows, names = len(axis.places), [fitted(place, 2.6, 10.0) for place in axis.places]
    figure, (ax,) = page(
        title, legend(marks, axis), said, width=7.6, height=0.6 + 0.25 * rows,
        left=0.35 + max(extent(name, 10.0) for name in names),
    )  # fmt: skip
    _rows(ax, marks, axis, size=7.0)
    ax.set_yticks(range(0, -rows, -1), names, fontsize=10)
    ax.set_xlabel(measure)
    ax.margins(x=0.05, y=0.5 / max(rows, 1))
    return figure


def panels(
    groups: Mapping[tuple[str, str], Sequence[Mark]], axis: Axis, title: str, measure: str,
    chance: float,
) -> Figure:  # fmt: skip
    """One narrow panel a group beside the others, named by a word; y is shared."""
    marks = [mark for panel in groups.values() for mark in panel]
    guess: Any = {"color": FAINT, "ls": ":", "lw": 1.3}
    entries = [*legend(marks, axis), Line2D([], [], label=f"chance ({chance})", **guess)]
    rows, names = len(axis.places), [fitted(place, 2.2, 9.0) for place in axis.places]
    left = 0.35 + max(extent(name, 9.0) for name in names)
    said = f"{caption(marks)} Along x: {measure}."
    figure, axes = page(
        title, entries, said, width=left + 1.1 * len(groups), height=0.4 + 0.23 * rows,
        columns=len(groups), names=0.3, left=left,
    )  # fmt: skip
    for ax, ((word, _), panel) in zip(axes, groups.items(), strict=True):
        ax.axvline(chance, **guess)
        _rows(ax, panel, axis, size=5.5)
        ax.set_title(fitted(word, room_of(ax), 9.5), loc="left", fontsize=9.5, weight="bold")
        ax.set_xlim(min(chance - 0.1, *(v for mark in panel for v in mark.values)) - 0.02, 1.05)
        ax.set_xticks([chance, 1.0])
    axes[0].set_yticks(range(0, -rows, -1), names, fontsize=9)
    axes[0].margins(y=0.5 / max(rows, 1))
    return figure


def _rows(ax: Axes, marks: Sequence[Mark], axis: Axis, size: float) -> None:
    """Each mark at the height of its place, the first place at the top."""
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    for mine, (colour, marker, _) in by_line(marks):
        for mark in mine:
            y, mean = -axis.places.index(str(mark.place)), summary(mark.values).mean
            if len(mark.values) > 1:
                ys = [y] * len(mark.values)
                ax.plot(mark.values, ys, ".", color=colour, ms=0.65 * size, alpha=0.6)
            ax.plot(mean, y, marker, ls="", **face(colour, size, silent=mark.silent))
