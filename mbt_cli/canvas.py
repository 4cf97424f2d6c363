"""The page on which a film of one clip's attention moves; sizes are in pixels.

h w pixels of a picture, high wide those of the film.
"""

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mbt_cli.easel import Heard, Words, bar, image, text
from mbt_cli.overlay import Picture, Scale, scale_of
from mbt_cli.sheet import FAINT, PAPER

Film = UInt8[np.ndarray, "high wide 3"]
WIDTH = 720
"""Of a film."""
PICTURE_HEIGHT = 320
"""Of a picture in it, at most."""
DPI = 96
CURSOR = (0, 229, 255)


@dataclass(frozen=True)
class Canvas:
    """The still parts of a film, and where the moving ones go: (top, left) and (height, width)."""

    still: Film
    plain: tuple[int, int]
    warm: tuple[int, int] | None
    """None where the model is not given pictures."""
    size: tuple[int, int]
    """Of a picture."""
    sound: tuple[int, int, int, int]
    """Top, left, height and width of the spectrogram."""

    def put(self, film: Film, at: tuple[int, int], picture: Picture) -> None:
        """Into the film's own pixels."""
        (top, left), (height, width) = at, self.size
        film[top : top + height, left : left + width] = picture

    def mark(self, film: Film, moment: float) -> None:
        """A line through the spectrogram at a moment of the span, 0 to 1."""
        top, left, height, width = self.sound
        x = left + min(round(moment * width), width - 2)
        x -= x % 2  # H.264 keeps the colour of two pixels as one
        film[top : top + height, x : x + 2] = CURSOR


@mpl.rc_context(PAPER)
def canvas(size: tuple[int, int], scale: Scale | None, heard: Heard, words: Words) -> Canvas:
    """The page on which pictures of this size move, beside themselves with heat if there is any."""
    height, width = size
    half, edge, axis = WIDTH // 2, 8, 60
    top, sound = 80, 120
    foot = top + height + (46 if scale else 30)
    total = foot + sound + 48 + (30 if heard.heat is not None else 0)
    total += total % 2
    figure = Figure(figsize=(WIDTH / DPI, total / DPI), dpi=DPI)
    text(figure, edge / DPI, 0.1, words.title, va="top", weight="bold", fontsize=10)
    text(figure, edge / DPI, 0.33, words.source, va="top", fontsize=8.5, color=FAINT)
    at = [(half - width) // 2, half + (half - width) // 2] if scale else [half - width // 2]
    for left, said in zip(at, ("video", "what the answer came from"), strict=False):
        text(figure, left / DPI, (top - 5) / DPI, said, fontsize=8.5, va="bottom")
    if scale:
        _film_bar(figure, at[1], top + height + 8, min(width, 150), scale)
    box = (axis, foot, WIDTH - axis - 2 * edge, sound)
    inches = tuple(value / DPI for value in box)
    said = "sound" if heard.heat is not None else "sound, not given to this model"
    text(figure, axis / DPI, (foot - 5) / DPI, said, fontsize=8.5, va="bottom")
    ax = image(figure, inches, heard.picture, heard)
    ax.tick_params(labelsize=8)
    ax.set_xlabel("s", fontsize=8.5, labelpad=1)
    ax.set_ylabel("Hz", fontsize=8.5, labelpad=2)
    if heard.heat is not None:
        _film_bar(figure, axis, foot + sound + 42, 150, scale_of(heard.heat))
    return Canvas(
        drawn(figure), (top, at[0]), (top, at[1]) if scale else None, size,
        (foot, axis, sound, box[2]),
    )  # fmt: skip


def _film_bar(figure: Figure, left: int, top: int, width: int, scale: Scale) -> None:
    box = tuple(value / DPI for value in (left, top, width, 8))
    bar(figure, box, scale, size=8.0)
    text(figure, (left + width + 16) / DPI, (top + 5) / DPI, "times the mean",
          fontsize=8, va="center")  # fmt: skip


def drawn(figure: Figure) -> Film:
    """A figure as pixels, at its own resolution."""
    agg: Any = FigureCanvasAgg(figure)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3].copy()
