"""How spread the attention of every line is, and what it reads, watched while clips are scored.

b clips, h heads, n queries and m keys of a line.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import cycle
from math import log
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli.data.clips import MIDDLE, Clips, Wanted
from mbt_cli.dataset import Features
from mbt_cli.experiment import Experiment
from mbt_cli.feed import normalised, spans
from mbt_cli.model import Network
from mbt_cli.model.attend_fusion import AttendFusion, SelfAttention
from mbt_cli.model.fusion import Layer
from mbt_cli.model.transformer import Attention
from mbt_cli.probes import Attended
from mbt_cli.rollout import listening, places_of
from mbt_cli.scoring import autocast
from mbt_cli.wiring import Line

CLIPS = 64
"""Of the split, the first ones: a fixed sample."""
AT_A_TIME = 4
"""Clips: their attention is held whole, h n m numbers for each."""


@torch.inference_mode()
def attended(
    model: Network, experiment: Experiment, data: Clips, split: str, device: str = "cpu"
) -> list[Attended]:
    """What every line of a model as trained reads in the first clips of a split, those of them
    that can be read; in the order in which lines run. Of features, whose tokens are few, what each
    token is given too."""
    model.eval()
    views, places = experiment.data.views, data.places(split)[:CLIPS]
    parts = [places[start : start + AT_A_TIME] for start in range(0, len(places), AT_A_TIME)]
    wanted = [Wanted(part, spans(model.spec.modalities, len(part), MIDDLE)) for part in parts]
    with watched(model) as watches, closing(data.batches(wanted)) as batches:
        for batch in batches:
            if len(batch.places):
                with autocast(experiment.training, device):
                    model(normalised(batch.views, views, device))
    each = isinstance(views, Features)
    return [watch.seen(each=each) for watch in watches]


@contextmanager
def watched(model: Network) -> Iterator[list["Watch"]]:
    """A watch on every line the model runs inside, in the order of the calls: with shared weights,
    one module runs several lines."""
    sizes = sizes_of(model)
    watches = [Watch(layer, line, sizes) for layer, line in lines_of(model)]
    turns = cycle(watches)

    def see(attention: Attention | SelfAttention, inputs: tuple[Any, ...]) -> None:
        with torch.autocast(inputs[0].device.type, enabled=False):
            next(turns).add(attention.heads_weights(*inputs))

    with listening(model, see):
        yield watches


def lines_of(model: Network) -> list[tuple[int, Line]]:
    """Every line that the model runs, with its layer, in their order. In Attend-Fusion each stream
    reads itself, through all its layers before the next one."""
    if isinstance(model, AttendFusion):
        return [
            (layer, Line((stream,), (stream,)))
            for stream in filter(model.spec.attends, model.spec.streams)
            for layer in range(model.spec.attention_layers)
        ]
    return [
        (layer, line)
        for layer, one in enumerate(cast("list[Layer]", model.layers))
        for step in one.wiring
        for line in step
    ]


def sizes_of(model: Network) -> dict[str, int]:
    """How many tokens of each stream attend."""
    if isinstance(model, AttendFusion):
        parts = model.spec.chunks if model.spec.tokens == "chunks" else 1
        return {stream: many * parts for stream, (many, _) in model.vectors.items()}
    return {name: place.stop - place.start for name, place in places_of(model).items()}


class Watch:
    """Sums of what one line reads, over clips."""

    def __init__(self, layer: int, line: Line, sizes: Mapping[str, int]) -> None:
        self.layer, self.line = layer, line
        self.queries = {stream: sizes[stream] for stream in line.writes}
        self.keys = {stream: sizes[stream] for stream in line.reads}
        self.clips = 0
        self.spread = np.zeros(0)
        """Entropy of each head (h,), in nats."""
        self.shares = np.zeros((len(self.queries), len(self.keys)))
        self.each = np.zeros(sum(self.keys.values()))
        """What each key is given (m,), mean over queries."""

    def add(self, weights: Float[Tensor, "b h n m"]) -> None:
        """The attention of some clips; rows sum to 1."""
        self.clips += len(weights)
        entropy = torch.special.entr(weights.float()).sum(-1).mean(2).sum(0)
        self.spread = entropy.cpu().double().numpy() + (self.spread if len(self.spread) else 0)
        for row, rows in enumerate(weights.mean(1).split([*self.queries.values()], 1)):
            for column, part in enumerate(rows.split([*self.keys.values()], 2)):
                self.shares[row, column] += float(part.sum(2).mean(1).sum())
        self.each += weights.float().mean((1, 2)).sum(0).cpu().double().numpy()

    def seen(self, *, each: bool = False) -> Attended:
        """The means over all clips; with `each`, those of every key too."""
        keys = sum(self.keys.values())
        heads = self.spread / (self.clips * log(keys)) if keys > 1 else np.zeros(0)
        shares = (self.shares / self.clips).tolist()
        ends = np.cumsum([*self.keys.values()])[:-1]
        tokens = [part.tolist() for part in np.split(self.each / self.clips, ends)]
        return Attended(
            layer=self.layer,
            writes=self.line.writes,
            reads=self.line.reads,
            clips=self.clips,
            entropy=float(heads.mean()) if len(heads) else None,
            heads=tuple(heads.tolist()),
            shares={q: dict(zip(self.keys, row, strict=True)) for q, row in zip(
                self.queries, shares, strict=True)},
            alike={stream: size / keys for stream, size in self.keys.items()},
            tokens=dict(zip(self.keys, tokens, strict=True)) if each else {},
        )  # fmt: skip
