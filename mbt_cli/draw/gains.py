"""What fusing gains, class by class: a row a class, the largest gain first."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mbt_cli.draw.marks import face
from mbt_cli.gains import Gain
from mbt_cli.sheet import FAINT, extent, fitted, legible, page
from mbt_cli.words import count

MOST = 40
"""Rows; of more classes half of them are the best and half the worst."""
LOOKS = (("#0072B2", "o"), ("#E69F00", "D"), ("#009E73", "^"), ("#CC79A7", "v"))
"""Of the single modalities, in the order of their names."""


def dots(gains: Sequence[Gain], title: str) -> Figure:
    """Seeds as small points, their mean as a marker whose look says which modality it is over."""
    cut = len(gains) > MOST
    shown = [*gains[: MOST // 2], *gains[-MOST // 2 :]] if cut else list(gains)
    over = sorted({gain.over for gain in gains})
    looks = dict(zip(over, (LOOKS[i % len(LOOKS)] for i in range(len(over))), strict=True))
    entries = [
        Line2D([], [], ls="", marker=marker, label=f"over {legible(name, 34)} alone",
               **face(colour, 7.0))
        for name, (colour, marker) in looks.items()
    ]  # fmt: skip
    names = [fitted(gain.name, 2.6, 9.0) for gain in shown]
    figure, (ax,) = page(
        title, entries, caption(gains), width=7.6, height=0.6 + 0.21 * (len(shown) + cut),
        left=0.35 + max(extent(name, 9.0) for name in names),
    )  # fmt: skip
    rows = [row + (cut and row >= MOST // 2) for row in range(len(shown))]
    for row, gain in zip(rows, shown, strict=True):
        colour, marker = looks[gain.over]
        if len(gain.values) > 1:
            ys = [row] * len(gain.values)
            ax.plot(gain.values, ys, ".", color=colour, ms=5, alpha=0.6)
        ax.plot(gain.mean, row, marker, **face(colour, 7.0))
    if cut:
        ax.axhline(MOST // 2, color="#BDBDBD", lw=0.8, ls=(0, (1, 3)))
    ax.axvline(0, color=FAINT, lw=1.0, zorder=1.5)
    ax.set_yticks(rows, names, fontsize=9)
    ax.set_ylim(rows[-1] + 0.7, -0.7)
    ax.grid(True, axis="x")
    ax.margins(x=0.06)
    ax.set_xlabel("gain in average precision on test")
    return figure


def caption(gains: Sequence[Gain]) -> str:
    """Which classes are here, and by what the better modality was chosen."""
    seeds = len(gains[0].values)
    said = f"Small points: {seeds} seeds. Markers: their mean." if seeds > 1 else "One seed."
    unknown = sum(gain.chosen_on == "test" for gain in gains)
    where = "validation" if unknown < len(gains) else "test"
    said += f" Which single modality is better at a class, its mean on {where} says"
    if 0 < unknown < len(gains):
        said += f" (on test for {count(unknown, 'class')}, for want of positives)"
    if len(gains) > MOST:
        said += f"; shown are the {MOST // 2} largest and smallest gains of {len(gains)} classes"
    return f"{said}."
