"""Published series in grey, each with its source: not ours, and not to be taken for ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mbt_cli.draw.marks import Axis
from mbt_cli.sheet import fitted

GREY = "#8C8C8C"
MARKERS = ("<", ">", "d", "*", "h", "p")


@dataclass(frozen=True)
class Shade:
    """A series as somebody else published it."""

    name: str
    """What it is, with paper and table."""
    points: tuple[tuple[str, float, float | None], ...]
    """Place on x, value, standard deviation where it is known."""
    says: str
    """A sentence for the caption."""

    def draw(self, ax: Axes, axis: Axis, look: Line2D, *, on_top: bool = False) -> None:
        """Joins its points where x is ordered; a standard deviation is a bar."""
        spots = sorted((axis.places.index(place), y, std) for place, y, std in self.points)
        xs, ys = [x for x, _, _ in spots], [y for _, y, _ in spots]
        bars = [nan if std is None else std for _, _, std in spots]
        ax.errorbar(
            xs, ys, bars, color=GREY, marker=str(look.get_marker()), ms=4.5 if on_top else 6,
            mec="white", mew=0.5, ls="-" if axis.ordered else "", lw=0.9, elinewidth=0.9, capsize=2,
            zorder=6 if on_top else 2,
        )  # fmt: skip


def shades(ghosts: Sequence[Shade]) -> list[Line2D]:
    """An entry of the legend for each, with a marker of its own."""
    return [
        Line2D([], [], color=GREY, marker=MARKERS[i % len(MARKERS)], ms=6, mec="white", mew=0.5,
               lw=0.9, label=fitted(ghost.name, 6.2, 10.5))
        for i, ghost in enumerate(ghosts)
    ]  # fmt: skip
