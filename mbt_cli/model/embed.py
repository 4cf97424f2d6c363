"""From a modality's view to its tokens: patches, projected, a CLS token in front, positions added.

b batch, c channels, n tokens, d width. The view has any number of axes: a video (c, t, h, w) is
cut into tubelets, a spectrogram (c, t, mel) into patches, feature vectors (c, n) into vectors.
MBT, eq. 1 and 4; what a whole number of patches does not cover at an end is left out.
"""

from math import prod

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mbt_cli import architecture

CUTS = {
    1: ("b c (n p) -> b n (c p)", "p"),
    2: ("b c (t p) (f q) -> b (t f) (c p q)", "pq"),
    3: ("b c (t p) (h q) (w r) -> b (t h w) (c p q r)", "pqr"),
}
"""How a view with so many axes is cut, and the letters of a patch's extents."""


class Embed(nn.Module):
    """Equal to a convolution whose kernel is its stride, with a bias."""

    def __init__(self, shape: tuple[int, ...], spec: architecture.MBT, *, cls: bool) -> None:
        super().__init__()
        channels, *space = spec.cut(shape)
        self.patch = spec.patch_of(shape)
        self.grid = [size // extent for size, extent in zip(space, self.patch, strict=True)]
        self.frames = spec.frames(shape[1]) if spec.sampled_frames and len(shape) == 4 else None
        self.tall = spec.sampling == "released"
        self.project = nn.Linear(channels * prod(self.patch), spec.width)
        self.cls = nn.Parameter(torch.zeros(1, spec.width)) if cls else None
        self.position = nn.Parameter(torch.zeros(prod(self.grid) + cls, spec.width))

    def patches(self, view: Float[Tensor, "b c *space"]) -> Float[Tensor, "b n p"]:
        """Each patch's values as one vector: channels first, then the axes in their order."""
        covered = view if self.frames is None else view[:, :, self.frames]
        if self.frames is not None and self.tall:
            covered = covered.flatten(2, 3).unsqueeze(2)  # (b, c, 1, t * h, w)
        for axis, (cells, extent) in enumerate(zip(self.grid, self.patch, strict=True), 2):
            covered = covered.narrow(axis, 0, cells * extent)
        pattern, letters = CUTS[len(self.patch)]
        return rearrange(covered, pattern, **dict(zip(letters, self.patch, strict=True)))

    def tokens(self, view: Float[Tensor, "b c *space"]) -> Float[Tensor, "b n d"]:
        """Before positions are added."""
        x = self.project(self.patches(view))
        if self.cls is None:
            return x
        return torch.cat([self.cls.expand(len(x), 1, -1), x], 1)

    def forward(self, view: Float[Tensor, "b c *space"]) -> Float[Tensor, "b n d"]:
        return self.tokens(view) + self.position
