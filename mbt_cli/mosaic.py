"""A page of what a model reads of features: a row a category, a field a token of each stream.

r categories, t tokens of a stream; sizes are in inches.
"""

from collections.abc import Sequence
from itertools import groupby
from textwrap import wrap

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure

from mbt_cli.categories import Category, Gaze
from mbt_cli.easel import bar, image, text
from mbt_cli.overlay import Scale, lit, scale_of
from mbt_cli.sheet import FAINT, extent, fitted, lines
from mbt_cli.words import count

WIDTH, SIDE, GAP = 10.0, 0.25, 0.14
ROW, BETWEEN = 0.2, 0.1
"""Height of a row; what stands between kinds of rows."""
NAMES, CLIPS, SPREAD = 2.2, 0.62, 1.9
"""Room for names, for how many clips, and for entropy."""
BAR, SIZE = 0.9, 8.5
FIELD = 128
"""The grey over which colours lie, as on a colour bar."""
LOW = "#B3361B"


def page_of(one: Gaze) -> Figure:
    """All that is known by category, on one scale of colours."""
    title = wrap(f"What is read by category: {one.run.experiment.title}", 100)
    notes = [line for note in one.notes for line in lines(note, WIDTH - 2 * SIDE, 8.0)]
    blocks = [[*of] for _, of in groupby(one.categories, lambda category: category.kind)]
    head = 0.2 + 0.2 * len(title) + 0.3 + 0.26
    rows = ROW * len(one.categories) + BETWEEN * (len(blocks) - 1)
    figure = Figure(figsize=(WIDTH, head + rows + 0.95 + 0.15 * len(notes)))
    text(figure, SIDE, 0.14, "\n".join(title), va="top", weight="bold", fontsize=11)
    said = f"run {one.run.key}; {count(one.clips, 'clip')} of {one.run.experiment.data.dataset}"
    text(figure, SIDE, 0.2 + 0.2 * len(title), said, va="top", fontsize=9, color=FAINT)
    every = np.concatenate([of for c in one.categories for of in c.times.values()])
    scale = scale_of(every.astype(np.float32))
    down = head
    for block in blocks:
        _block(figure, one, block, scale, down)
        down += ROW * len(block) + BETWEEN
    down += 0.02 - BETWEEN
    for (stream, names), place in zip(one.tokens.items(), _places(one), strict=True):
        _titled(figure, stream, names, place, head, down)
    left = WIDTH - SIDE - SPREAD + 0.1
    text(figure, left, head - 0.08, "entropy of attention", fontsize=9, va="bottom")
    text(
        figure,
        SIDE + NAMES + CLIPS - 0.1,
        head - 0.08,
        "clips",
        fontsize=9,
        va="bottom",
        ha="right",
    )
    bar(figure, (SIDE + 0.1, down + 0.28, 2.6, 0.12), scale)
    text(figure, SIDE + 2.95, down + 0.34, "times an equal share", fontsize=9, va="center")
    text(figure, SIDE, down + 0.72, "\n".join(notes), fontsize=8, va="top", color=FAINT)
    return figure


def _block(figure: Figure, one: Gaze, block: Sequence[Category], scale: Scale, down: float) -> None:
    """Rows of one kind."""
    for stream, (left, across) in zip(one.tokens, _places(one), strict=True):
        heat = np.stack([category.times[stream] for category in block]).astype(np.float32)
        box = left, down, across, ROW * len(block)
        image(figure, box, mosaic(heat, scale)).set_axis_off()
    for turn, category in enumerate(block):
        middle = down + (turn + 0.5) * ROW
        style = {"fontsize": SIZE, "va": "center_baseline"}
        name = fitted(category.name, NAMES - 0.1, SIZE).replace(r"\$", "$")
        text(figure, SIDE, middle, name, **style)
        text(figure, SIDE + NAMES + CLIPS - 0.1, middle, f"{category.clips:,}", ha="right", **style)
    _spreads(figure, block, down)


def mosaic(heat: Float32[np.ndarray, "r t"], scale: Scale) -> np.ndarray:
    """A picture (r, t, 3) with a pixel a token."""
    return lit(np.full((*heat.shape, 3), FIELD, np.uint8), heat, scale)


def _spreads(figure: Figure, block: Sequence[Category], down: float) -> None:
    """Entropy as bars, that of each line as a dot, and what collapsed."""
    left, tall = WIDTH - SIDE - SPREAD + 0.1, ROW * len(block)
    width, height = figure.get_size_inches()
    ax = figure.add_axes((left / width, 1 - (down + tall) / height, BAR / width, tall / height))
    ax.grid(visible=False)
    ax.set_xlim(0, 1)
    ax.set_ylim(len(block) - 0.5, -0.5)
    ax.set_axis_off()
    for turn, category in enumerate(block):
        middle, low = down + (turn + 0.5) * ROW, int(category.collapsed.sum())
        colour = LOW if low else FAINT
        said = "one key"
        if category.entropy is not None:
            ax.barh(turn, category.entropy, 0.5, color=colour, alpha=0.35)
            ax.plot(category.lines, [turn] * len(category.lines), ".", ms=3, color=colour)
            said = f"{category.entropy:.2f}" + (f"  {low} collapsed" if low else "")
        text(figure, left + BAR + 0.08, middle, said, fontsize=SIZE, va="center_baseline",
             color=LOW if low else "#262626")  # fmt: skip


def _places(one: Gaze) -> list[tuple[float, float]]:
    """Where the fields of each stream begin, side by side, and how wide they are."""
    left = SIDE + NAMES + CLIPS
    room = WIDTH - SIDE - SPREAD - left - GAP * (len(one.tokens) - 1)
    every, found = sum(map(len, one.tokens.values())), []
    for names in one.tokens.values():
        across = room * len(names) / every
        found.append((left, across))
        left += across + GAP
    return found


def _titled(
    figure: Figure, stream: str, names: Sequence[str], place: tuple[float, float], top: float,
    below: float,
) -> None:  # fmt: skip
    """What a stream and its tokens are called: of many only some."""
    left, across = place
    text(figure, left, top - 0.08, stream, fontsize=9, va="bottom")
    each = across / len(names)
    widest = max(extent(name, 8.0) for name in names) + 0.06
    step = next(n for n in (1, 2, 4, 5, 8, 10, *range(20, 1000, 20)) if n * each >= widest)
    for turn in range(0, len(names), step):
        middle = left + (turn + 0.5) * each
        text(figure, middle, below + 0.03, names[turn], fontsize=8, va="top", ha="center",
             color=FAINT)  # fmt: skip
