"""A page for a figure: its style, where title, legend, axes, caption and labels stand, its files.

Sizes are in inches, distances of labels in points.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

FAINT = "#6B6B6B"
PAPER: Any = {
    "font.family": "DejaVu Sans", "font.size": 10.5, "axes.titlesize": 10.5, "axes.labelsize": 10.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#808080",
    "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True, "grid.color": "#E6E6E6",
    "xtick.color": "#808080", "ytick.color": "#808080", "xtick.labelcolor": "#262626",
    "ytick.labelcolor": "#262626", "axes.labelcolor": "#262626", "text.color": "#262626",
    "figure.facecolor": "white", "savefig.facecolor": "white", "svg.hashsalt": "mbt-cli",
}  # fmt: skip
"""The style of every figure."""
DPI = 200
Label = tuple[float, float, str, str, int]
"""x, y, text, colour; 1 for above and -1 for below."""


def save(figure: Callable[[], Figure], stem: Path) -> list[Path]:
    """Draws the figure in the style of the house, and writes it as SVG and as PNG."""
    files = [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")]
    with mpl.rc_context(PAPER):
        drawn = figure()
        drawn.savefig(files[0], metadata={"Date": None})
        drawn.savefig(files[1], dpi=DPI)
    return files


def page(
    title: str, legend: Sequence[Line2D], caption: str, *, width: float, height: float,
    rows: int = 1, columns: int = 1, names: float = 0.1,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A page of axes (sizes in inches): title, legend above them, caption below."""
    lines = wrap(title, round(width * 10.4))
    across = 4 if len(legend) == 4 else 3
    head = 0.16 + 0.23 * len(lines)
    top = head + 0.1 + 0.23 * ceil(len(legend) / across) + names
    notes = wrap(caption, round(width * 15))
    foot = 0.72 + 0.18 * len(notes)
    total = top + height + foot
    figure = Figure(figsize=(width, total))
    left, inch = 0.12 / width, 1 / total
    figure.text(left, 1 - 0.12 * inch, "\n".join(lines), va="top", weight="bold", fontsize=11)
    figure.text(left, 0.1 * inch, "\n".join(notes), va="bottom", fontsize=9, color=FAINT)
    by_row = [entry for i in range(across) for entry in legend[i::across]]
    figure.legend(
        handles=by_row, loc="upper left", bbox_to_anchor=(left / 2, 1 - head * inch), ncols=across,
        frameon=False, borderaxespad=0.2, handlelength=2.6, columnspacing=1.6,
    )  # fmt: skip
    each = (height - 0.85 * (rows - 1)) / rows
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True, gridspec_kw={
        "left": 0.78 / width, "right": 1 - 0.35 / width,
        "top": 1 - top * inch, "bottom": foot * inch,
        "hspace": 0.85 / each, "wspace": 0.1,
    })  # fmt: skip
    return figure, list(axes.flat)


def label(ax: Axes, labels: Sequence[Label], dots: Sequence[tuple[float, float]]) -> None:
    """Writes each label above or below its point, as near as nothing is in its way."""
    ax.autoscale_view()
    inch = ax.figure.dpi
    taken = [_box(ax.transData.transform(dot) * 72 / inch, 3.0, 3.0) for dot in dots]
    for x, y, text, colour, side in labels:
        at = ax.transData.transform((x, y)) * 72 / inch
        for up in range(12, 90, 3):
            box = _box((at[0], at[1] + side * up), 3.2 * len(text) + 1, 5.0)
            if not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        ax.annotate(text, (x, y), (0, side * up), "data", "offset points", ha="center", va="center",
                    fontsize=9, color=colour, zorder=5)  # fmt: skip


def _box(at: Any, half_width: float, half_height: float) -> tuple[float, float, float, float]:
    x, y = map(float, at)
    return x - half_width, y - half_height, x + half_width, y + half_height


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
