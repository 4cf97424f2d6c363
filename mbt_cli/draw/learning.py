"""How training went: the loss over epochs with its gap to validation, and the measure below it."""

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mbt_cli.courses import Course, Curve, mean
from mbt_cli.draw.marks import styles
from mbt_cli.sheet import FAINT, fitted, lines, page

DASHED = (0, (4, 1.6))


def curves(courses: Sequence[Course], title: str, measure: str, remark: str = "") -> Figure:
    """A column a cell: thin lines are seeds, thick ones their mean."""
    looks = styles([course.line for course in courses])
    checked = any(course.validation for course in courses)
    entries: list[Artist] = [Line2D([], [], color=FAINT, lw=2, label="training")]
    if checked or any(course.measure for course in courses):
        entries.append(Line2D([], [], color=FAINT, lw=2, ls=DASHED, label="validation"))
    if checked:
        gap = Patch(color=FAINT, alpha=0.2, lw=0, label="gap")
        entries.append(gap)
    seeds = max(len(course.training) for course in courses)
    said = "Thin: seeds. Thick: their mean." if seeds > 1 else "One seed."
    said += " Training: mean over the steps of an epoch. Validation: at its end."
    room = 6.0 / len(courses)
    names = [
        lines(_unbroken(fitted(course.name, 2.4 * room, 9.0)), room, 9.0) for course in courses
    ]
    figure, axes = page(
        title, entries, f"{said} {remark}".strip(), width=7.6, height=3.9, rows=2,
        columns=len(courses), names=0.16 + 0.16 * max(map(len, names)), share="row", between=0.45,
    )  # fmt: skip
    for place, course in enumerate(courses):
        loss, below = axes[place], axes[place + len(courses)]
        colour = looks[course.line][0]
        learned = _curve(loss, course.training, colour, "-")
        tested = _curve(loss, course.validation, colour, DASHED)
        at = [epoch for epoch in learned if epoch in tested]
        low, high = ([curve[epoch] for epoch in at] for curve in (learned, tested))
        loss.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
        _curve(below, course.measure, colour, DASHED)
        loss.set_title("\n".join(names[place]), loc="left", fontsize=9, pad=6)
        below.set_xlabel("epoch")
        for ax in (loss, below):
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes[0].set_ylabel("loss")
    axes[len(courses)].set_ylabel(measure)
    return figure


def _unbroken(name: str) -> str:
    """A value stays on the line of its field."""
    return name.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")


def _curve(ax: Axes, seeds: Sequence[Curve], colour: str, dashes: Any) -> Curve:
    """Draws the seeds and returns their mean."""
    if len(seeds) > 1:
        for curve in seeds:
            ax.plot(list(curve), list(curve.values()), color=colour, ls=dashes, lw=0.7, alpha=0.45)
    middle = mean(seeds)
    marker = "o" if len(middle) == 1 else ""
    ax.plot(list(middle), list(middle.values()), color=colour, ls=dashes, lw=2, marker=marker, ms=4)
    return middle
