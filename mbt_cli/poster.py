"""Pages of one clip's attention: the pictures it was given, its spectrogram.

t pictures or steps of 10 ms, h w pixels; sizes are in inches.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib.figure import Figure

from mbt_cli.easel import Heard, Words, bar, image, text
from mbt_cli.overlay import grey, lit, placed, scale_of
from mbt_cli.sheet import DPI, FAINT, PAPER

MEANS = "Heat: attention rollout, the share of the answer that came from a patch, in times the mean"
DARK = "what the model was not given"
UNIT = "times the mean over patches"
PNG = {"compress_level": 4}
"""Half the time of the default for a few per cent more bytes."""


def frames_page(
    pictures: UInt8[np.ndarray, "t h w 3"], heat: Float32[np.ndarray, "t size size"],
    times_s: Sequence[float], words: Words,
) -> Figure:  # fmt: skip
    """The pictures that the model was given, each above itself with its heat."""
    height, width = pictures.shape[1:3]
    columns = min(len(pictures), 8 if width < 1.2 * height or len(pictures) > 16 else 4)
    blocks = ceil(len(pictures) / columns)
    page, gap, side = 10.0, 0.08, 0.25
    across = min((page - 2 * side + gap) / columns - gap, 3.2)
    tall = across * height / width
    block = 0.26 + 2 * tall + 0.05 + 0.14
    notes = wrap(f"{MEANS} over all video patches of the clip. Dark: {DARK}.", 130)
    figure, top = _headed(words, page, blocks * block + 0.6 + 0.16 * len(notes))
    scale = scale_of(heat)
    for place, (picture, warmth, time_s) in enumerate(zip(pictures, heat, times_s, strict=True)):
        left = side + (place % columns) * (across + gap)
        down = top + (place // columns) * block + 0.26
        shown = lit(picture, placed(warmth, height, width), scale)
        for turn, one in enumerate((picture, shown)):
            box = (left, down + turn * (tall + 0.05), across, tall)
            image(figure, box, one).set_axis_off()
        said = f"{time_s:.2f} s" + ("" if np.isfinite(warmth).any() else ", not given")
        text(figure, left, down - 0.05, said, fontsize=9, va="bottom")
    below = top + blocks * block
    bar(figure, (side + 0.1, below + 0.04, 2.6, 0.12), scale)
    text(figure, side + 2.95, below + 0.1, UNIT, fontsize=9, va="center")
    text(figure, side, below + 0.48, "\n".join(notes), fontsize=8.5, va="top", color=FAINT)
    return figure


def spectrogram_page(heard: Heard, words: Words) -> Figure:
    """The log-mel spectrogram plain, and with its heat."""
    page, left, across, tall = 10.0, 0.75, 9.0, 1.9
    notes = wrap(f"{MEANS} over all audio patches of the clip. Dark: {DARK}.", 130)
    figure, top = _headed(words, page, 2 * tall + 0.25 + 1.28 + 0.16 * len(notes))
    plain = image(figure, (left, top + 0.05, across, tall), grey(heard.values), heard)
    plain.tick_params(labelbottom=False)
    warm = image(figure, (left, top + 0.3 + tall, across, tall), heard.picture, heard)
    warm.set_xlabel("time in the video (s)")
    for ax in (plain, warm):
        ax.set_ylabel("Hz (mel scale)")
    if heard.heat is not None:
        below = top + 2 * tall + 0.98
        bar(figure, (left, below, 2.6, 0.12), scale_of(heard.heat))
        text(figure, left + 2.85, below + 0.06, UNIT, fontsize=9,
              va="center")  # fmt: skip
        text(figure, left, below + 0.5, "\n".join(notes), fontsize=8.5, va="top", color=FAINT)
    return figure


def save(page: Callable[[], Figure], path: Path) -> None:
    """Draws a page in the style of the house, and writes it as PNG whatever its name."""
    with mpl.rc_context(PAPER):
        page().savefig(path, format="png", dpi=DPI, pil_kwargs=PNG)


def _headed(words: Words, width: float, height: float) -> tuple[Figure, float]:
    """An empty page under its title, and where the title ends, in inches from the top."""
    title = wrap(words.title, round(width * 10))
    top = 0.2 + 0.2 * len(title) + 0.3
    figure = Figure(figsize=(width, top + height))
    text(figure, 0.25, 0.14, "\n".join(title), va="top", weight="bold", fontsize=11)
    text(figure, 0.25, 0.2 + 0.2 * len(title), words.source, va="top", fontsize=9, color=FAINT)
    return figure, top
