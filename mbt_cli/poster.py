"""Pages for one clip's attention: its pictures, its spectrogram, the still parts of its film.

Sizes of pages are in inches, of the film in pixels. Heat is as in `overlay.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import wrap
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mbt_cli.overlay import Picture, Scale, grey, lit, placed, ramp, scale_of
from mbt_cli.sheet import FAINT

Film = UInt8[np.ndarray, "high wide 3"]
"""A picture of the film; in it stand pictures (h, w, 3)."""
FILM_WIDTH = 720
"""Of a film, in pixels."""
FILM_HEIGHT = 320
"""Of a picture in it, at most."""
FILM_DPI = 96
MEANS = "Heat: attention rollout, the share of the answer that came from a patch, in times the mean"
DARK = "what the model was not given"
TICKS_HZ = (250, 500, 1000, 2000, 4000)
CURSOR = (0, 229, 255)
TOP_HZ = 8000
"""Where the last mel filter of `views.audio_view` ends."""


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
        for turn, image in enumerate((picture, shown)):
            box = (left, down + turn * (tall + 0.05), across, tall)
            _image(figure, box, image).set_axis_off()
        said = f"{time_s:.2f} s" + ("" if np.isfinite(warmth).any() else ", not given")
        _text(figure, left, down - 0.05, said, fontsize=9, va="bottom")
    below = top + blocks * block
    _bar(figure, (side + 0.1, below + 0.04, 2.6, 0.12), scale)
    _text(figure, side + 2.95, below + 0.1, "times the mean over patches", fontsize=9, va="center")
    _text(figure, side, below + 0.48, "\n".join(notes), fontsize=8.5, va="top", color=FAINT)
    return figure


def spectrogram_page(heard: Heard, words: Words) -> Figure:
    """The log-mel spectrogram plain, and with its heat."""
    page, left, across, tall = 10.0, 0.75, 9.0, 1.9
    notes = wrap(f"{MEANS} over all audio patches of the clip. Dark: {DARK}.", 130)
    figure, top = _headed(words, page, 2 * tall + 0.25 + 1.28 + 0.16 * len(notes))
    plain = _image(figure, (left, top + 0.05, across, tall), grey(heard.values), heard)
    plain.tick_params(labelbottom=False)
    warm = _image(figure, (left, top + 0.3 + tall, across, tall), heard.picture, heard)
    warm.set_xlabel("time in the video (s)")
    for ax in (plain, warm):
        ax.set_ylabel("Hz (mel scale)")
    if heard.heat is not None:
        below = top + 2 * tall + 0.98
        _bar(figure, (left, below, 2.6, 0.12), scale_of(heard.heat))
        _text(figure, left + 2.85, below + 0.06, "times the mean over patches", fontsize=9,
              va="center")  # fmt: skip
        _text(figure, left, below + 0.5, "\n".join(notes), fontsize=8.5, va="top", color=FAINT)
    return figure


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
        x = (
            (left + min(round(moment * width), width - 2)) // 2 * 2
        )  # H.264 keeps colour so coarsely
        film[top : top + height, x : x + 2] = CURSOR


def canvas(size: tuple[int, int], scale: Scale | None, heard: Heard, words: Words) -> Canvas:
    """The page on which pictures of this size move, beside themselves with heat if there is any."""
    height, width = size
    half, edge, axis = FILM_WIDTH // 2, 8, 60
    top, sound = 80, 120
    foot = top + height + (46 if scale else 30)
    total = foot + sound + 48 + (30 if heard.heat is not None else 0)
    total += total % 2
    figure = Figure(figsize=(FILM_WIDTH / FILM_DPI, total / FILM_DPI), dpi=FILM_DPI)
    _text(figure, edge / FILM_DPI, 0.1, words.title, va="top", weight="bold", fontsize=10)
    _text(figure, edge / FILM_DPI, 0.33, words.source, va="top", fontsize=8.5, color=FAINT)
    at = [(half - width) // 2, half + (half - width) // 2] if scale else [half - width // 2]
    for left, said in zip(at, ("video", "what the answer came from"), strict=False):
        _text(figure, left / FILM_DPI, (top - 5) / FILM_DPI, said, fontsize=8.5, va="bottom")
    if scale:
        _film_bar(figure, at[1], top + height + 8, min(width, 150), scale)
    box = (axis, foot, FILM_WIDTH - axis - 2 * edge, sound)
    inches = tuple(value / FILM_DPI for value in box)
    said = "sound" if heard.heat is not None else "sound, not given to this model"
    _text(figure, axis / FILM_DPI, (foot - 5) / FILM_DPI, said, fontsize=8.5, va="bottom")
    ax = _image(figure, inches, heard.picture, heard)
    ax.tick_params(labelsize=8)
    ax.set_xlabel("s", fontsize=8.5, labelpad=1)
    ax.set_ylabel("Hz", fontsize=8.5, labelpad=2)
    if heard.heat is not None:
        _film_bar(figure, axis, foot + sound + 42, 150, scale_of(heard.heat))
    return Canvas(
        drawn(figure), (top, at[0]), (top, at[1]) if scale else None, size,
        (foot, axis, sound, box[2]),
    )  # fmt: skip


def drawn(figure: Figure) -> Picture:
    """A figure as pixels, at its own resolution."""
    agg: Any = FigureCanvasAgg(figure)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3].copy()


def _headed(words: Words, width: float, height: float) -> tuple[Figure, float]:
    """An empty page under its title, and where the title ends, in inches from the top."""
    title = wrap(words.title, round(width * 10))
    top = 0.2 + 0.2 * len(title) + 0.3
    figure = Figure(figsize=(width, top + height))
    _text(figure, 0.25, 0.14, "\n".join(title), va="top", weight="bold", fontsize=11)
    _text(figure, 0.25, 0.2 + 0.2 * len(title), words.source, va="top", fontsize=9, color=FAINT)
    return figure, top


def _image(
    figure: Figure, box: tuple[float, ...], picture: Picture, heard: Heard | None = None
) -> Axes:
    """A picture in a box of inches: left, top, width, height; a spectrogram with its axes."""
    ax = figure.add_axes(_fractions(figure, box))
    ax.grid(visible=False)
    if heard is None:
        ax.imshow(picture, aspect="auto")
        return ax
    bins = heard.values.shape[1]
    ends = (heard.start_s, heard.start_s + heard.span_s)
    ax.imshow(picture, aspect="auto", extent=(*ends, 0, bins))
    ax.set_yticks([_bin_of(hz, bins) for hz in TICKS_HZ], [f"{hz:,}" for hz in TICKS_HZ])
    ax.xaxis.set_major_locator(MaxNLocator(10))
    return ax


def _bin_of(hz: int, bins: int) -> float:
    """Where a frequency lies on an axis of HTK mel bins: the middle of bin k is at k + 0.5."""
    return float(np.log(1 + hz / 700) / np.log(1 + TOP_HZ / 700) * (bins + 1) - 0.5)


def _bar(figure: Figure, box: tuple[float, ...], scale: Scale, size: float = 9.0) -> None:
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


def _film_bar(figure: Figure, left: int, top: int, width: int, scale: Scale) -> None:
    box = tuple(value / FILM_DPI for value in (left, top, width, 8))
    _bar(figure, box, scale, size=8.0)
    _text(figure, (left + width + 16) / FILM_DPI, (top + 5) / FILM_DPI, "times the mean",
          fontsize=8, va="center")  # fmt: skip


def _text(figure: Figure, left: float, down: float, said: str, **style: Any) -> None:
    """Text at so many inches from the left and from the top; a $ is a dollar."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - down / height, said, parse_math=False, **style)


def _fractions(figure: Figure, box: tuple[float, ...]) -> tuple[float, float, float, float]:
    width, height = figure.get_size_inches()
    left, down, across, tall = box
    return left / width, 1 - (down + tall) / height, across / width, tall / height
