"""What stands on a page of one clip: words, pictures, spectrograms and colour bars, in inches.

t steps of 10 ms, h w pixels. A place is so far from the left and from the top; heat is as in
`overlay.py`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mbt_cli.overlay import Picture, Scale, grey, lit, ramp, scale_of

TICKS_HZ = (250, 500, 1000, 2000, 4000)
TOP_HZ = 8000
"""Where the last mel filter of `views.audio_view` ends."""
Box = tuple[float, ...]
"""Left, top, width and height."""


@dataclass(frozen=True)
class Words:
    """What a page says of the clip."""

    title: str
    """The labels."""
    source: str
    """Video, span and run."""


@dataclass(frozen=True)
class Heard:
    """A spectrogram with its heat; None where the model was not given it."""

    values: Float32[np.ndarray, "t mel"]
    heat: Float32[np.ndarray, "t mel"] | None
    start_s: float
    span_s: float

    @property
    def picture(self) -> Picture:
        """Low below, as it is drawn; with heat where there is some."""
        if self.heat is None:
            return grey(self.values)
        return lit(grey(self.values), np.ascontiguousarray(self.heat.T[::-1]), scale_of(self.heat))


def text(figure: Figure, left: float, down: float, said: str, **style: Any) -> None:
    """Text at so many inches from the left and from the top; a $ is a dollar."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - down / height, said, parse_math=False, **style)


def image(figure: Figure, box: Box, picture: Picture, heard: Heard | None = None) -> Axes:
    """A picture in a box of inches: left, top, width, height; a spectrogram with its axes."""
    ax = figure.add_axes(_fractions(figure, box))
    ax.grid(visible=False)
    if heard is None:
        ax.imshow(picture, aspect="auto")
        return ax
    bins = heard.values.shape[1]
    ends = (heard.start_s, heard.start_s + heard.span_s)
    ax.imshow(picture, aspect="auto", extent=(*ends, 0, bins))
    ax.set_yticks([bin_of(hz, bins) for hz in TICKS_HZ], [f"{hz:,}" for hz in TICKS_HZ])
    ax.xaxis.set_major_locator(MaxNLocator(10))
    return ax


def bar(figure: Figure, box: Box, scale: Scale, size: float = 9.0) -> None:
    """A colour bar with what its ends and an equal share stand for."""
    ax = figure.add_axes(_fractions(figure, box))
    ax.grid(visible=False)
    ax.imshow(ramp(scale, 256, 2), aspect="auto", extent=(scale.low, scale.high, 0, 1))
    ax.set_yticks([])
    ends = [scale.low, scale.high]
    room = 0.12 * (scale.high - scale.low)
    middle = [1.0] if min(abs(1 - end) for end in ends) > room else []
    ax.set_xticks([ends[0], *middle, ends[1]], [f"{x:.2f}" for x in (ends[0], *middle, ends[1])])
    ax.tick_params(labelsize=size, length=2, pad=2)


def bin_of(hz: int, bins: int) -> float:
    """Where a frequency lies on an axis of HTK mel bins: the middle of bin k is at k + 0.5."""
    return float(np.log(1 + hz / 700) / np.log(1 + TOP_HZ / 700) * (bins + 1) - 0.5)


def _fractions(figure: Figure, box: Box) -> tuple[float, float, float, float]:
    width, height = figure.get_size_inches()
    left, down, across, tall = box
    return left / width, 1 - (down + tall) / height, across / width, tall / height
