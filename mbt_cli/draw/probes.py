"""What each probe takes from a cell: how far the measure drops when something is disturbed."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mbt_cli.draw.marks import face, styles
from mbt_cli.sheet import FAINT, extent, fitted, legible, page

Drops = Mapping[str, Mapping[str, Sequence[float]]]
"""Cell -> probe -> drop of the measure, one a seed."""

MOST = 6
"""Cells beside each other; of more only the first are shown."""


def drops(of: Drops, lines: Mapping[str, str], title: str, measure: str) -> Figure:
    """A row a probe, a marker a cell; `lines` says whose line a cell is on, for its look."""
    known = [cell for cell in of if any(of[cell].values())]
    cells = known[:MOST]
    probes = list(dict.fromkeys(probe for cell in cells for probe in of[cell]))
    alike = len({lines.get(cell, cell) for cell in cells}) < len(cells)
    own = {cell: cell if alike else lines.get(cell, cell) for cell in cells}
    looks = {cell: styles(list(own.values()))[name] for cell, name in own.items()}
    entries = [
        Line2D([], [], ls="", marker=marker, label=legible(cell, 40), **face(colour, 7.0))
        for cell, (colour, marker, _) in looks.items()
    ]
    names = [fitted(probe, 2.6, 9.0) for probe in probes]
    height = 0.5 + len(probes) * max(0.3, 0.16 * len(cells))
    said = "Small points: seeds. Markers: their mean. Right of the line the measure drops."
    if len(known) > MOST:
        said += f" Shown are {MOST} of {len(known)} cells."
    figure, (ax,) = page(title, entries, said, width=7.6, height=height,
                         left=0.35 + max(extent(name, 9.0) for name in names))  # fmt: skip
    for place, cell in enumerate(cells):
        colour, marker, _ = looks[cell]
        shift = 0.7 * (place - (len(cells) - 1) / 2) / max(len(cells), 2)
        for row, probe in enumerate(probes):
            if values := of[cell].get(probe, ()):
                if len(values) > 1:
                    ax.plot(values, [row + shift] * len(values), ".", color=colour, ms=5, alpha=0.6)
                ax.plot(fmean(values), row + shift, marker, **face(colour, 6.5))
    ax.axvline(0, color=FAINT, lw=1.0, zorder=1.5)
    ax.set_yticks(range(len(probes)), names, fontsize=9)
    ax.set_ylim(len(probes) - 0.4, -0.6)
    ax.grid(True, axis="x")
    ax.margins(x=0.06)
    ax.set_xlabel(f"drop of {measure}")
    return figure
