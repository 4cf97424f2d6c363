"""MBT: embed each modality, encode it alone, let the streams talk, classify each, agree.

b batch, n tokens of a stream, d width, c classes. Nagrani et al. 2021: arxiv.org/abs/2107.00135
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbt_cli import architecture
from mbt_cli.errors import MbtError
from mbt_cli.model.embed import Embed
from mbt_cli.model.fusion import Layer, Streams, blocks_of
from mbt_cli.model.transformer import Attention, Block
from mbt_cli.wiring import FSN, layers, matched, streams

Logits = dict[str, Float[Tensor, "b c"]]
"""For each modality; or for "all", where the read-out is joint. Their mean is the prediction."""

POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x.mean(1),
    "max": lambda x: x.amax(1),
    "sum": lambda x: x.sum(1),
}
"""One vector (b, d) of the normed tokens (b, n, d) of all modalities."""


class MBT(nn.Module):
    """The model of an experiment, for views of these shapes (c, *space)."""

    def __init__(
        self, spec: architecture.MBT, shapes: Mapping[str, tuple[int, ...]], classes: int
    ) -> None:
        super().__init__()
        self.spec = spec = spec.canonical()
        cls = spec.readout == "cls"
        wirings = spec.wirings()
        block = partial(Block, spec.width, spec.heads, spec.hidden, spec.gelu, spec.norm_eps)
        drops = [spec.stochastic_depth * i / max(1, spec.depth - 1) for i in range(spec.depth)]

        self.embed = nn.ModuleDict({m: Embed(shapes[m], spec, cls=cls) for m in spec.modalities})
        fsn = torch.zeros(spec.bottlenecks, spec.width)
        self.fsn = nn.Parameter(fsn) if spec.bottlenecks else None
        self.layers = nn.ModuleList(
            Layer(wiring, partial(block, drop), spec.share_weights)
            for wiring, drop in zip(wirings, drops, strict=True)
        )
        self.removed: tuple[str, ...] = ()
        self.without_token = 0
        self.norm = nn.LayerNorm(spec.width, eps=spec.norm_eps)
        self.pre_logits: nn.Module = nn.Identity()
        if spec.pre_logits:
            self.pre_logits = nn.Sequential(nn.Linear(spec.width, spec.pre_logits), nn.Tanh())
        self.head = nn.Linear(spec.pre_logits or spec.width, classes)
        initialise(self, spec)

    def forward(self, views: Mapping[str, Tensor]) -> Logits:
        """Views (b, c, *space) by modality to logits."""
        z: Streams = {
            m: embed(views[m]) for m, embed in self.embed.items() if m not in self.removed
        }
        if (fsn := self.tokens()) is not None:
            z[FSN] = fsn.expand(len(next(iter(z.values()))), -1, -1)
        for layer in self.layers:
            z = layer(z)
        return self.read_out({m: z[m] for m in self.spec.modalities if m in z})

    def tokens(self) -> Float[Tensor, "n d"] | None:
        """The bottleneck tokens, less the one that is taken away; None where there are none."""
        if self.fsn is None or not self.without_token:
            return self.fsn
        kept = [i for i in range(len(self.fsn)) if i + 1 != self.without_token]
        return self.fsn[kept] if kept else None

    def read_out(self, z: Streams) -> Logits:
        """One final norm and one linear classifier for all modalities (sec. 3.4)."""
        if self.spec.joint:
            pool = POOLS[self.spec.readout.removesuffix("_joint")]
            return {"all": self.classify(pool(self.norm(torch.cat([*z.values()], 1))))}
        if self.spec.readout == "mean_each":
            return {m: self.classify(self.norm(x).mean(1)) for m, x in z.items()}
        return {m: self.classify(self.norm(x[:, 0])) for m, x in z.items()}

    def classify(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """One vector a clip to logits."""
        return self.head(self.pre_logits(x))

    def rewire(self, fusion: str, removed: tuple[str, ...] = (), without_token: int = 0) -> None:
        """From now on the layers from L_f up are wired by another strategy, each line run by the
        block that was trained to write its modalities; without the streams of `removed`, and
        without a bottleneck token, counted from 1.

        Raises MbtError where it has other lines than there are blocks, or tokens there are not.
        """
        spec = self.spec
        asked = layers(fusion, spec.fusion_layer, spec.depth, spec.modalities)
        if FSN in streams(asked) and self.fsn is None:
            raise MbtError(f"{fusion} cannot run this model: it has no bottleneck tokens.")
        wirings, turns = replace(spec, fusion=fusion).wirings(), list[list[int]]()
        for wiring, trained in zip(wirings, spec.wirings(), strict=True):
            has, needs = (blocks_of(one, spec.share_weights) for one in (trained, wiring))
            if has != needs:
                raise MbtError(
                    f"{fusion} cannot run this model: it has {needs} blocks a layer, and this"
                    f" model, trained with {spec.fusion}, has {has}."
                )
            order = [0] if spec.share_weights else matched(wiring, trained)
            if order is None:
                raise MbtError(
                    f"{fusion} cannot run this model: its lines write other modalities together"
                    f" than those of {spec.fusion}, with which it was trained."
                )
            turns.append(order)
        for layer, wiring, order in zip(
            cast("list[Layer]", self.layers), wirings, turns, strict=True
        ):
            layer.wire(wiring, order)
        self.removed, self.without_token = removed, without_token


def predict(logits: Logits) -> Float[Tensor, "b c"]:
    """The mean of the logits: before any softmax or sigmoid (sec. 3.4)."""
    return torch.stack([*logits.values()]).mean(0)


def initialise(model: MBT, spec: architecture.MBT) -> None:
    """As the official code does from scratch: Xavier in the blocks, LeCun for patches, zero CLS."""
    for module in model.modules():
        if isinstance(module, Attention):
            for part in (*module.qkv.weight.chunk(3), module.out.weight):
                nn.init.xavier_uniform_(part)
            nn.init.zeros_(module.qkv.bias)
            nn.init.zeros_(module.out.bias)
        elif isinstance(module, Block):
            for linear in cast("list[nn.Linear]", [module.mlp[0], module.mlp[2]]):
                nn.init.xavier_uniform_(linear.weight)
                nn.init.normal_(linear.bias, std=1e-6)
        elif isinstance(module, Embed):
            lecun_normal_(module.project)
            nn.init.normal_(module.position, std=spec.position_std)
    if model.fsn is not None:
        nn.init.normal_(model.fsn, std=0.02)
    if isinstance(model.pre_logits, nn.Sequential):
        lecun_normal_(cast("nn.Linear", model.pre_logits[0]))
    if spec.head_init == "zeros":
        nn.init.zeros_(model.head.weight)
    else:
        nn.init.xavier_uniform_(model.head.weight)
    nn.init.constant_(model.head.bias, spec.head_bias)


def lecun_normal_(linear: nn.Linear) -> None:
    """Weights normal of variance 1 / inputs, cut off at two standard deviations; biases zero."""
    std = linear.in_features**-0.5 / 0.87962566103423978
    nn.init.trunc_normal_(linear.weight, std=std, a=-2 * std, b=2 * std)
    nn.init.zeros_(linear.bias)
