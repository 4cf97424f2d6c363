"""Size against score: parameters on a logarithmic axis, published models in grey."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mbt_cli.draw.marks import Axis, Mark, by_line, caption, dots, legend, spots
from mbt_cli.draw.shades import GREY
from mbt_cli.ghosts import Sized
from mbt_cli.sheet import Label, fitted, label, page
from mbt_cli.statistics import summary

CROWD = 30
"""So many cells, and none has words beside it."""


def against_size(
    marks: Sequence[Mark], axis: Axis, title: str, measure: str, ghosts: Sequence[Sized] = (),
    note: str = "",
) -> Figure:  # fmt: skip
    """The measure against the number of parameters."""
    entries = legend(marks, axis, level=False)
    if ghosts:
        entries.append(Line2D([], [], color=GREY, marker="d", ls="", ms=7, label="as published"))
    sources = dict.fromkeys(f"As published: {ghost.source}." for ghost in ghosts)
    said = " ".join(filter(None, (caption(marks, band=False), *sources, note)))
    figure, (ax,) = page(title, entries, said, width=7.6, height=4.2)
    ax.set_xscale("log")
    ax.grid(True, axis="x")
    labels: list[Label] = []
    taken: list[tuple[float, float]] = []
    for turn, (mine, (colour, marker, _)) in enumerate(by_line(marks)):
        if not mine:
            continue
        xs = [float(m.parameters) for m in mine]
        means = [summary(m.values).mean for m in mine]
        dots(ax, xs, mine, colour, 6.0)
        spots(ax, xs, means, mine, colour, marker, 7.0)
        taken += [*zip(xs, means, strict=True)]
        if len(marks) <= CROWD:
            labels += [
                (
                    x,
                    y,
                    fitted(mark.name or mark.place or mark.line, 2.2, 9.0),
                    colour,
                    -1 if turn % 2 else 1,
                )
                for x, y, mark in zip(xs, means, mine, strict=True)
            ]
    for ghost in ghosts:
        ax.plot(ghost.parameters, ghost.value, "d", color=GREY, ms=7, mec="white", mew=0.5)
        taken.append((ghost.parameters, ghost.value))
        labels.append((ghost.parameters, ghost.value, fitted(ghost.name, 2.6, 9.0), GREY, 1))
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: counted(x)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("parameters")
    ax.set_ylabel(measure)
    ax.margins(x=0.16, y=0.14)
    label(ax, labels, taken)
    return figure


def counted(parameters: float) -> str:
    """72,000,000 as 72 M."""
    for unit, word in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{word}"
    return f"{parameters:.0f}"
