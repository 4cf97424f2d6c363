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
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

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


def fitted(text: str, inches: float, size: float) -> str:
    """The same, shortened to a width at a font size."""
    most = 200
    while extent(legible(text, most), size) > inches and most > 3:
        most -= 1
    return legible(text, most)


def lines(text: str, inches: float, size: int | float) -> list[str]:
    """Text that is legible already, in lines of at most this width."""
    most = max(round(inches * 160 / size), 4)
    found = wrap(text, most)
    while most > 4 and any(extent(line, size) > inches for line in found):
        most -= 1
        found = wrap(text, most)
    return found


def extent(text: str, size: int | float) -> float:
    """The width of a line at a font size, in inches; a little more for what hinting may add."""
    return 1.02 * size / 72 * sum(map(_advance, text.replace(r"\$", "").replace("$", "")))


@cache
def _advance(character: str) -> float:
    """In ems."""
    font = get_font(findfont(PAPER["font.family"]))
    font.set_size(100, 72)
    return float(font.load_char(ord(character)).linearHoriAdvance) / 65536 / 100


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(PAPER["font.family"])).get_charmap())


def page(
    title: str, legend: Sequence[Artist], caption: str, *, width: float, height: float,
    rows: int = 1, columns: int = 1, names: float = 0.1, share: Literal["all", "row"] = "all",
    left: float = 0.78, between: float = 0.85,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A page of axes (sizes in inches): title, legend above them, caption below.

    `share` says which axes have one y: all, or those of a row; `left` is the room for its words,
    `between` that between rows.
    """
    heads, notes = lines(title, 0.86 * width, 11.0), lines(caption, width - 0.24, 9.0)
    short = [entry for entry in legend if _wide(entry) < 3.4]
    long = [entry for entry in legend if entry not in short]
    across = _across(short, width)
    head = 0.16 + 0.23 * len(heads)
    below = head + 0.23 * ceil(len(short) / across)
    top = below + 0.23 * len(long) + 0.1 + names
    foot = 0.72 + 0.18 * len(notes)
    total = top + height + foot
    figure = Figure(figsize=(width, total), dpi=DPI)
    margin, inch = 0.12 / width, 1 / total
    figure.text(margin, 1 - 0.12 * inch, "\n".join(heads), va="top", weight="bold", fontsize=11)
    figure.text(margin, 0.1 * inch, "\n".join(notes), va="bottom", fontsize=9, color=FAINT)
    by_row = [entry for i in range(across) for entry in short[i::across]]
    for entries, at, columns_ in ((by_row, head, across), (long, below, 1)):
        figure.legend(
            handles=entries, loc="upper left", bbox_to_anchor=(margin / 2, 1 - at * inch),
            ncols=columns_, frameon=False, borderaxespad=0.2, handlelength=2.6, columnspacing=1.6,
        )  # fmt: skip
    each = (height - between * (rows - 1)) / rows
    axes = figure.subplots(rows, columns, squeeze=False, sharey=share, gridspec_kw={
        "left": left / width, "right": 1 - 0.35 / width,
        "top": 1 - top * inch, "bottom": foot * inch,
        "hspace": between / each, "wspace": 0.1,
    })  # fmt: skip
    return figure, list(axes.flat)


def _across(legend: Sequence[Artist], width: float) -> int:
    """As many entries beside each other as there is room for."""
    wide = list(map(_wide, legend))
    for n in range(min(len(wide), 5), 1, -1):
        if sum(max(wide[i::n]) for i in range(n)) <= width - 0.1:
            return n
    return 1


def _wide(entry: Artist) -> float:
    return 0.75 + extent(str(entry.get_label()), 10.5)


def ticks(ax: Axes, places: Sequence[str], most: int, *, thin: bool) -> None:
    """Names the places of x, 0, 1, ..; only so many where they may be thinned out."""
    shown = places[:: ceil(len(places) / most) if thin else 1]
    room = room_of(ax) / max(len(shown), 1) - 0.08
    names = ["\n".join(lines(fitted(place, 1.8 * room, 10.5), room, 10.5)[:2]) for place in shown]
    ax.set_xticks([places.index(place) for place in shown], names)
    ax.set_xlim(-0.5, len(places) - 0.5)


def room_of(ax: Axes) -> float:
    """The width of axes in inches."""
    return float(ax.bbox.width) / ax.figure.dpi


def label(ax: Axes, labels: Sequence[Label], dots: Sequence[tuple[float, float]]) -> None:
    """Writes each label beside its point, within the axes and as near as nothing is in its way, and
    nearer to no other that has one; where that cannot be, or far away, a thin line leads to it."""
    ax.autoscale_view()
    inch = ax.figure.dpi
    taken = np.array([_box(ax.transData.transform(dot) * 72 / inch, 3.0, 3.0) for dot in dots])
    low, high = np.reshape(ax.bbox.extents, (2, 2)) * 72 / inch
    named = np.array([ax.transData.transform(one[:2]) for one in labels]) * 72 / inch
    for place, (x, y, text, colour, side) in enumerate(labels):
        half = 36 * extent(text, 9.0) + 1
        offsets = [(aside * (half + 5), up * side * far) for far in range(12, 260, 4)
                   for up in (1, -1) for aside in (0, 0.5, -0.5, 1, -1)]  # fmt: skip
        boxes = np.array([_box(named[place] + offset, half, 5.5) for offset in offsets])
        inside = (boxes[:, :2] >= low).all(axis=1) & (boxes[:, 2:] <= high).all(axis=1)
        free = [i for i in np.flatnonzero(inside) if not _overlaps(boxes[i], taken).any()]
        away = _away(boxes, named)
        clear = away[:, place] <= away.min(axis=1)
        chosen = int(next((i for i in free if clear[i]), free[0] if free else 0))
        taken = np.vstack([taken, boxes[chosen]])
        led = abs(offsets[chosen][1]) > 20 or not clear[chosen]
        ax.annotate(
            text, (x, y), offsets[chosen], "data", "offset points", ha="center", va="center",
            fontsize=9, color=colour, zorder=5,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.6,
                        "shrinkA": 0, "shrinkB": 3} if led else None,
        )  # fmt: skip


def _box(at: np.ndarray, half_width: float, half_height: float) -> tuple[float, ...]:
    x, y = map(float, at)
    return x - half_width, y - half_height, x + half_width, y + half_height


def _away(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far each box (b) is from each point (p): (b, p)."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return np.hypot(*np.moveaxis(np.maximum(np.maximum(low - points, points - high), 0), -1, 0))


def _overlaps(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of the boxes overlap this one."""
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    return (low < high).all(axis=1)
