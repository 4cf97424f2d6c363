"""A page for a figure: its style, where title, legend, axes, caption and labels stand, its files.

Sizes are in inches, distances of labels in points. Text that comes from data goes through
`legible` before it is drawn.
"""

from collections.abc import Callable, Sequence
from functools import cache
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D

FAINT = "#6B6B6B"
PAPER: Any = {
    "font.family": "DejaVu Sans", "font.size": 10.5, "axes.titlesize": 10.5, "axes.labelsize": 10.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#808080",
    "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True, "grid.color": "#E6E6E6",
    "xtick.color": "#808080", "ytick.color": "#808080", "xtick.labelcolor": "#262626",
    "ytick.labelcolor": "#262626", "axes.labelcolor": "#262626", "text.color": "#262626",
    "figure.facecolor": "white", "savefig.facecolor": "white", "svg.hashsalt": "mbt-cli",
    "pdf.fonttype": 42,
}  # fmt: skip
"""The style of every figure."""
DPI = 150
KINDS = ("svg", "png", "pdf")
"""In which a figure is written."""
UNDATED = {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}
Label = tuple[float, float, str, str, int]
"""x, y, text, colour; 1 for above and -1 for below."""


def save(figure: Callable[[], Figure], stem: Path) -> list[Path]:
    """Draws the figure once in the style of the house, and writes it in each of `KINDS`."""
    files = [stem.with_name(f"{stem.name}.{kind}") for kind in KINDS]
    with mpl.rc_context(PAPER):
        drawn = figure()
        for file, kind in zip(files, KINDS, strict=True):
            drawn.savefig(file, dpi=DPI, metadata=UNDATED[kind])
    return files


def legible(text: str, most: int = 200) -> str:
    """Text of somebody's own as a figure can show it: on one line, of at most so many characters,
    □ for what the font lacks, no dollar that would begin a formula."""
    line = "".join(c for c in " ".join(text.split()) if c.isprintable())
    line = line if len(line) <= most else f"{line[: most - 2].rstrip()} …"
    return "".join(c if ord(c) in _glyphs() else "□" for c in line).replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(PAPER["font.family"])).get_charmap())


def page(
    title: str, legend: Sequence[Line2D], caption: str, *, width: float, height: float,
    rows: int = 1, columns: int = 1, names: float = 0.1, share: Literal["all", "row"] = "all",
    left: float = 0.78,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A page of axes (sizes in inches): title, legend above them, caption below.

    `share` says which axes have one y: all, or those of a row; `left` is the room for its words.
    """
    lines = wrap(title, round(width * 10.4))
    across = _across(legend, width)
    head = 0.16 + 0.23 * len(lines)
    top = head + 0.1 + 0.23 * ceil(len(legend) / across) + names
    notes = wrap(caption, round(width * 15))
    foot = 0.72 + 0.18 * len(notes)
    total = top + height + foot
    figure = Figure(figsize=(width, total))
    margin, inch = 0.12 / width, 1 / total
    figure.text(margin, 1 - 0.12 * inch, "\n".join(lines), va="top", weight="bold", fontsize=11)
    figure.text(margin, 0.1 * inch, "\n".join(notes), va="bottom", fontsize=9, color=FAINT)
    by_row = [entry for i in range(across) for entry in legend[i::across]]
    figure.legend(
        handles=by_row, loc="upper left", bbox_to_anchor=(margin / 2, 1 - head * inch),
        ncols=across, frameon=False, borderaxespad=0.2, handlelength=2.6, columnspacing=1.6,
    )  # fmt: skip
    each = (height - 0.85 * (rows - 1)) / rows
    axes = figure.subplots(rows, columns, squeeze=False, sharey=share, gridspec_kw={
        "left": left / width, "right": 1 - 0.35 / width,
        "top": 1 - top * inch, "bottom": foot * inch,
        "hspace": 0.85 / each, "wspace": 0.1,
    })  # fmt: skip
    return figure, list(axes.flat)


def _across(legend: Sequence[Line2D], width: float) -> int:
    """As many entries beside each other as there is room for."""
    wide = [0.72 + 0.082 * len(str(entry.get_label())) for entry in legend]
    for n in range(min(len(wide), 5), 1, -1):
        if sum(max(wide[i::n]) for i in range(n)) <= width - 0.1:
            return n
    return 1


def ticks(ax: Axes, places: Sequence[str], most: int, *, thin: bool) -> None:
    """Names the places of x, 0, 1, ..; only so many where they may be thinned out."""
    every = ceil(len(places) / most) if thin else 1
    room = max(8, 90 // max(len(places), 1))
    shown = ["\n".join(wrap(legible(place, 2 * room + 8), room)) for place in places[::every]]
    ax.set_xticks(range(0, len(places), every), shown)
    ax.set_xlim(-0.5, len(places) - 0.5)


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
