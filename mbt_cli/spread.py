"""A patch's value all over the part of a view that it was cut from: the inverse of `Embed.patches`.

Axes: those of a view of one clip, without channels: (t, h, w) or (t, mel).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli.model.embed import Embed


def spread(
    embed: Embed, values: Float[Tensor, "*grid"], space: Sequence[int]
) -> Float[Tensor, "*space"]:
    """Each patch's value at every place of the view (its axes without channels) that was cut.

    NaN where there is no patch: past the last whole one, in frames that are not sampled.
    """
    for axis, extent in enumerate(embed.patch):
        values = values.repeat_interleave(extent, axis)
    if embed.frames is None:
        return _laid(values, space)
    _, height, width = space
    taken = len(embed.frames)
    if embed.tall:
        values = _laid(values, (1, taken * height, width)).view(taken, height, width)
    frames = _laid(values, (taken, height, width))
    view = torch.full(tuple(space), torch.nan, dtype=values.dtype)
    view[embed.frames] = frames
    return view


def _laid(values: Tensor, space: Sequence[int]) -> Tensor:
    """Into the first corner of a space of NaN."""
    view = torch.full(tuple(space), torch.nan, dtype=values.dtype)
    view[tuple(slice(size) for size in values.shape)] = values
    return view
