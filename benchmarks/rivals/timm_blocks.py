"""Stacks of timm's blocks, wired by hand for one strategy each: what an engineer writes alone."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from math import prod

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from mbt_cli.architecture import MBT

Tensors = dict[str, Tensor]


class Patches(nn.Module):
    """Patches by reshapes and one product, CLS in front, positions.

    A convolution made the small model slower by a tenth, the large one faster by a hundredth.
    """

    def __init__(self, spec: MBT, shape: tuple[int, ...]) -> None:
        super().__init__()
        patch = spec.patch_of(shape)
        cells = [(size // extent, extent) for size, extent in zip(shape[1:], patch, strict=True)]
        tokens = prod(n for n, _ in cells)
        self.covered = (..., *(slice(n * extent) for n, extent in cells))
        self.cut = (shape[0], *(size for cell in cells for size in cell))
        self.order = (0, *range(2, len(self.cut) + 1, 2), 1, *range(3, len(self.cut) + 1, 2))
        self.project = nn.Linear(shape[0] * prod(patch), spec.width)
        self.cls = nn.Parameter(torch.zeros(1, spec.width))
        self.position = nn.Parameter(torch.zeros(1 + tokens, spec.width))

    def forward(self, view: Tensor) -> Tensor:
        x = view[self.covered].reshape(-1, *self.cut).permute(self.order)
        x = self.project(x.reshape(len(view), -1, self.project.in_features))
        return torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.position


class Late(nn.Module):
    """A stack of timm's blocks for each modality, as one writes it for this strategy alone."""

    lines = 2

    def __init__(self, spec: MBT, shapes: dict[str, tuple[int, ...]], classes: int) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=spec.norm_eps)
        gelu = partial(nn.GELU, approximate="tanh" if spec.gelu == "tanh" else "none")
        sizes = (spec.width, spec.heads, spec.mlp_ratio)
        block = partial(Block, *sizes, qkv_bias=True, norm_layer=norm, act_layer=gelu)
        self.alone = spec.fusion_layer
        self.embed = nn.ModuleDict({m: Patches(spec, shapes[m]) for m in ("audio", "video")})
        if spec.fusion == "bottleneck":
            self.fsn = nn.Parameter(torch.zeros(spec.bottlenecks, spec.width))
        self.layers = nn.ModuleList(
            nn.ModuleList(block() for _ in range(2 if i < self.alone else self.lines))
            for i in range(spec.depth)
        )
        self.norm = norm(spec.width)
        self.head = nn.Linear(spec.width, classes)

    def forward(self, views: Tensors) -> Tensors:
        audio, video = self.embed["audio"](views["audio"]), self.embed["video"](views["video"])
        layers = iter(self.layers)
        for a, v in islice(layers, self.alone):
            audio, video = a(audio), v(video)
        audio, video = self.fused(audio, video, layers)
        return {m: self.head(self.norm(x[:, 0])) for m, x in (("audio", audio), ("video", video))}

    def fused(self, audio: Tensor, video: Tensor, _: Iterator) -> tuple[Tensor, Tensor]:
        return audio, video


class Bottleneck(Late):
    def fused(self, audio: Tensor, video: Tensor, layers: Iterator) -> tuple[Tensor, Tensor]:
        fsn = self.fsn.expand(len(audio), -1, -1)
        lengths = [[x.shape[1], fsn.shape[1]] for x in (audio, video)]
        for a, v in layers:
            audio, heard = a(torch.cat([audio, fsn], 1)).split(lengths[0], 1)
            video, seen = v(torch.cat([video, fsn], 1)).split(lengths[1], 1)
            fsn = (heard + seen) / 2
        return audio, video


class SelfAttention(Late):
    lines = 1

    def fused(self, audio: Tensor, video: Tensor, layers: Iterator) -> tuple[Tensor, Tensor]:
        n, both = audio.shape[1], torch.cat([audio, video], 1)
        for (block,) in layers:
            both = block(both)
        return both[:, :n], both[:, n:]


class PublishedCrossAttention(Late):
    def fused(self, audio: Tensor, video: Tensor, layers: Iterator) -> tuple[Tensor, Tensor]:
        n = audio.shape[1]
        for a, v in layers:
            both = torch.cat([audio, video], 1)
            audio, video = a(both)[:, :n], v(both)[:, n:]
        return audio, video


RIVALS: dict[str, type[Late]] = {
    "late": Late,
    "bottleneck": Bottleneck,
    "self_attention": SelfAttention,
    "cross_attention": PublishedCrossAttention,
}


def in_timm(name: str) -> str:
    """The rival's name of one of our parameters."""
    for ours, theirs in (
        (".blocks.", "."), ("attention.out", "attn.proj"), ("attention", "attn"),
        ("mlp.0", "mlp.fc1"), ("mlp.2", "mlp.fc2"),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name
