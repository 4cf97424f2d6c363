"""Heat over pictures: which colour stands for how much, and where on a picture a patch lies.

t pictures, h w pixels. Heat is in times the mean over a modality's patches: 1 is an equal share.
NaN is where the model has no patch.
"""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from jaxtyping import Float32, UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Heat = Float32[np.ndarray, "h w"]

STRENGTH = 0.55
"""How much of a pixel is the colour of its heat; the rest is its grey."""
UNSEEN = 0.4
"""How bright a picture stays where the model was given nothing."""
EVEN = 0.05
"""A scale reaches so far from 1 at least: what is even looks even."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Scale:
    """Which heat has the first colour, and which the last."""

    low: float
    high: float

    def colours(self, heat: Heat) -> Float32[np.ndarray, "h w 3"]:
        """Of 0 to 255; NaN has the first colour."""
        share = np.nan_to_num((heat - self.low) / (self.high - self.low)).clip(0, 1)
        table = mpl.colormaps["plasma"](np.arange(256))[:, :3].astype(np.float32) * 255
        return table[np.round(share * 255).astype(np.intp)]


def scale_of(heat: Float32[np.ndarray, "*space"]) -> Scale:
    """From the least heat there is to the most."""
    return Scale(
        min(float(np.nanmin(heat)), 1 - EVEN),
        max(float(np.nanmax(heat)), 1 + EVEN),
    )


def lit(picture: Picture, heat: Heat, scale: Scale) -> Picture:
    """A picture in grey under the colours of its heat; where there is none, darkened."""
    grey = (picture @ _LUMA)[..., None]
    warm = (1 - STRENGTH) * grey + STRENGTH * scale.colours(heat)
    return np.where(np.isnan(heat)[..., None], UNSEEN * picture, warm).round().astype(np.uint8)


def placed(heat: Float32[np.ndarray, "size size"], height: int, width: int) -> Heat:
    """The heat of the centre square that the model is given, on a picture of another size.

    The square's place is that of `views.video_view`; around it is NaN.
    """
    size, short = len(heat), min(height, width)
    framed = np.pad(heat, 1, constant_values=np.nan)
    sides = []
    for side in (height, width):
        scaled = round(side * size / short)
        at = np.floor((np.arange(side) + 0.5) * scaled / side) - (scaled - size) // 2
        sides.append(at.clip(-1, size).astype(np.intp) + 1)
    return framed[np.ix_(*sides)]


def at_time(heat: Float32[np.ndarray, "t h w"], moment: float) -> Heat:
    """The heat at a moment of the span, 0 to 1: straight lines between the middles of the pictures.

    Pictures without heat, which the model was not given, are passed over.
    """
    given = np.flatnonzero(np.isfinite(heat).any((1, 2)))
    turn = float(np.interp(moment * len(heat) - 0.5, given, np.arange(len(given))))
    before = int(turn)
    after = min(before + 1, len(given) - 1)
    share = np.float32(turn - before)
    return (1 - share) * heat[given[before]] + share * heat[given[after]]


def grey(values: Float32[np.ndarray, "t mel"]) -> Picture:
    """A spectrogram as a picture: time to the right, mel bins upwards, loud is white."""
    low, high = np.quantile(values, (0.01, 0.999))
    share = ((values.T[::-1] - low) / max(high - low, 1e-6)).clip(0, 1)
    return np.repeat((255 * share[..., None]).round().astype(np.uint8), 3, 2)


def ramp(scale: Scale, length: int, thickness: int) -> Picture:
    """A colour bar, from left to right: each colour as it lies over a middle grey."""
    heat = np.linspace(scale.low, scale.high, length, dtype=np.float32)
    return lit(np.full((thickness, length, 3), 128, np.uint8), np.tile(heat, (thickness, 1)), scale)
