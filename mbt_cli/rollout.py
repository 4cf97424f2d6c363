"""Attention rollout: from which input tokens one clip's answer came, and on which way.

n tokens of all streams, one stream after the other; q queries and k keys of a line; o outputs.
Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers: arxiv.org/abs/2005.00928. Over
modalities and bottleneck tokens as in Nagrani et al. 2021, Fig. 6: arxiv.org/abs/2107.00135.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli import architecture
from mbt_cli.model import Network
from mbt_cli.model.attend_fusion import SelfAttention
from mbt_cli.model.embed import Embed
from mbt_cli.model.fusion import Layer
from mbt_cli.model.mbt import MBT, Logits
from mbt_cli.model.transformer import Attention
from mbt_cli.wiring import FSN, Step

Map = Float[Tensor, "_ _"]
"""How much each query of a line read each key (q, k), mean over heads; rows sum to 1."""
Mixing = Float[Tensor, "n n"]
"""How much of each token after a step was each token before it; rows sum to 1."""
Places = dict[str, slice]
"""Where each stream lies among all tokens."""

EXACT = 1e-4
"""How far from 1 the sum of a row may be."""


@dataclass(frozen=True)
class Crossing:
    """How the content of one modality came into the output of another.

    All are shares of that output; their sum is all it has of the source's tokens.
    """

    source: str
    target: str
    through: tuple[float, ...]
    """By the bottleneck token out of which any other modality first read it."""
    directly: float
    """First read out of the source's own tokens."""


@dataclass(frozen=True)
class Rollout:
    """Where one clip's answer came from."""

    weights: dict[str, float]
    """The share that each modality's output has in the answer; their sum is 1."""
    shares: dict[str, dict[str, float]]
    """Of each modality's output, what came from each modality's patches, and from `LEARNED`."""
    heat: dict[str, Float[Tensor, "..."]]
    """Of the whole answer, what came from each patch: (t, h, w) or (t, mel)."""
    crossings: tuple[Crossing, ...]


LEARNED = "learned"
"""CLS and bottleneck tokens as they are before the first layer: the same for every clip."""


@torch.inference_mode()
def rollout(model: MBT, views: Mapping[str, Tensor]) -> tuple[Logits, Rollout]:
    """What the model says of one clip, and where that came from; views as it is trained on."""
    with captured(model) as maps:
        logits = model(views)
    with torch.autocast("cpu", enabled=False):
        return logits, origins(model, maps)


def origins(model: MBT, maps: Sequence[Map]) -> Rollout:
    """Where an answer came from, by the maps of all lines that ran for it."""
    places = places_of(model)
    mixings = [mixing(step, mine, places) for step, mine in steps(model, maps)]
    outputs = read_out(model.spec, places)
    came = traced(torch.stack([*outputs.values()]), mixings)
    weights = {m: float(row.sum()) for m, row in outputs.items()}
    heat, by_origin = {}, dict[str, Tensor]()
    for m, embed in _embeds(model).items():
        patches = came[:, places[m].start + (embed.cls is not None) : places[m].stop]
        heat[m] = patches.sum(0).reshape(embed.grid)
        by_origin[m] = patches.sum(1)
    by_origin[LEARNED] = came.sum(1) - sum(by_origin.values())
    shares = {
        m: {origin: max(0.0, float(of[turn])) / weights[m] for origin, of in by_origin.items()}
        for turn, m in enumerate(weights)
    }
    crossings = [
        Crossing(source, target, tuple((row @ went[:, 1:-1]).tolist()), float(row @ went[:, -1]))
        for source in weights
        for went in [crossed(source, mixings, places)]
        for target, row in ((m, outputs[m] / weights[m]) for m in weights if m != source)
    ]
    return Rollout(weights, shares, heat, tuple(crossings))


@contextmanager
def captured(model: MBT) -> Iterator[list[Map]]:
    """The attention of every line the model runs inside, in the order of the calls.

    By call and not by module: with shared weights, one module runs several lines. The model is to
    be given one clip.
    """
    maps: list[Map] = []

    def keep(attention: Attention, inputs: tuple[Any, ...]) -> None:
        with torch.autocast(inputs[0].device.type, enabled=False):  # rows of bfloat16 sum to 0.99
            (weights,) = attention.weights(*inputs)
        maps.append(weights.cpu())

    with listening(model, keep):
        yield maps


@contextmanager
def listening(model: Network, hear: Callable[[Any, tuple[Any, ...]], None]) -> Iterator[None]:
    """Whatever attention the model runs inside is told first, with what it is given."""
    kinds = (Attention, SelfAttention)
    attentions = [module for module in model.modules() if isinstance(module, kinds)]
    hooks = [attention.register_forward_pre_hook(hear) for attention in attentions]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def steps(model: MBT, maps: Sequence[Map]) -> list[tuple[Step, Sequence[Map]]]:
    """Every step the model took, in order, with the maps of its lines."""
    found, first = [], 0
    for step in (step for layer in model.layers for step in cast("Layer", layer).wiring):
        found.append((step, maps[first : first + len(step)]))
        first += len(step)
    if first != len(maps):
        raise RuntimeError(f"{first} lines were to run, but {len(maps)} did.")
    return found


def places_of(model: MBT) -> Places:
    """Where the model's streams lie among all tokens: as in its forward pass, `fsn` last."""
    sizes = {m: len(embed.position) for m, embed in _embeds(model).items()}
    sizes[FSN] = 0 if model.fsn is None else len(model.fsn)
    ends = accumulate(sizes.values())
    return {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}


def mixing(step: Step, maps: Sequence[Map], places: Places) -> Mixing:
    """(A + I) / 2 of one step: half of a token is what it read, half what it was.

    A stream that several lines write takes the mean of their maps; what no line writes stays.
    """
    total = places[FSN].stop
    identity = torch.eye(total)
    attention = identity.clone()
    writers = Counter(stream for line in step for stream in line.writes)
    for stream in writers:
        attention[places[stream]] = 0
    every = torch.arange(total)
    for line, weights in zip(step, maps, strict=True):
        columns = torch.cat([every[places[stream]] for stream in line.reads])
        sizes = [len(every[places[stream]]) for stream in line.writes]
        for stream, part in zip(line.writes, weights.float().split(sizes), strict=True):
            rows = every[places[stream]]
            attention[rows[:, None], columns] += part / writers[stream]
    return _checked((attention + identity) / 2, 1.0)


def traced(outputs: Float[Tensor, "o n"], mixings: Sequence[Mixing]) -> Float[Tensor, "o n"]:
    """What rows of the last tokens are made of, in tokens before the first step.

    Traced from the identity, it is the rollout matrix.
    """
    rows = outputs
    for one in reversed(mixings):
        rows = rows @ one
    return _checked(rows, outputs.sum(1))


def read_out(spec: architecture.MBT, places: Places) -> dict[str, Float[Tensor, " n"]]:
    """How much of the answer is made of each last token, by modality; all of them sum to 1.

    The largest value over all tokens (`max_joint`) is treated as their mean: which token gave it
    differs from channel to channel.
    """
    total = places[FSN].stop
    tokens = {m: range(places[m].start, places[m].stop) for m in spec.modalities}
    if spec.readout == "cls":
        tokens = {m: range(found.start, found.start + 1) for m, found in tokens.items()}
    all_tokens = sum(map(len, tokens.values()))
    rows = {m: torch.zeros(total) for m in tokens}
    for m, found in tokens.items():
        each = all_tokens if spec.joint else len(tokens) * len(found)
        rows[m][found.start : found.stop] = 1 / each
    return rows


def crossed(source: str, mixings: Sequence[Mixing], places: Places) -> Float[Tensor, "n ways"]:
    """On which way the content of `source` came into each last token.

    The columns: not crossed yet (in the source's own tokens or in `fsn`), first read by another
    modality out of the first, second .. bottleneck token, first read out of the source's own
    tokens. Their sum is the token's share of all the source's tokens in the rollout matrix: what
    has crossed keeps its column wherever it goes, back to the source too.
    """
    own, fsn = places[source], places[FSN]
    bottlenecks = fsn.stop - fsn.start
    others = torch.ones(fsn.stop, dtype=torch.bool)
    others[own] = others[fsn] = False
    ways = torch.zeros(fsn.stop, 1 + bottlenecks + 1)
    ways[own, 0] = 1
    for one in mixings:
        read = one[others] * ways[:, 0]
        ways = one @ ways
        ways[others, 0] = 0
        ways[others, 1:-1] += read[:, fsn]
        ways[others, -1] += read[:, own].sum(1)
    return ways


def _embeds(model: MBT) -> dict[str, Embed]:
    return {m: cast("Embed", embed) for m, embed in model.embed.items()}


def _checked(rows: Tensor, sums: Tensor | float) -> Tensor:
    worst = float((rows.sum(1) - sums).abs().max())
    if not worst <= EXACT:
        raise RuntimeError(f"A row of the rollout is off its sum by {worst:.2g}.")
    return rows
