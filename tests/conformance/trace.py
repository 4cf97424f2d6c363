"""All that a model computes of some views, by the official names; it is watched from outside.

b batch, n tokens, d width.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from mbt_cli.model.fusion import Layer
from mbt_cli.model.mbt import MBT, predict
from mbt_cli.wiring import FSN

NAMES = {"audio": "spectrogram", "video": "rgb"}


@contextmanager
def watched(model: MBT) -> Iterator[dict[str, list]]:
    """What goes through a model: tokens into and out of layers and blocks, and into the head."""
    seen: dict[str, list] = {"embed": [], "head": [], "before": [], "after": []}
    seen["blocks"] = [[] for _ in model.layers]

    def inputs(into: list, _: nn.Module, given: tuple) -> None:
        into.append(given[0])

    def outputs(into: list, _: nn.Module, __: tuple, made: object) -> None:
        into.append(made)

    hooks = [model.head.register_forward_pre_hook(partial(inputs, seen["head"]))]
    for embed in model.embed.values():
        hooks.append(embed.register_forward_hook(partial(outputs, seen["embed"])))
    for layer, made in zip(model.layers, seen["blocks"], strict=True):
        hooks.append(layer.register_forward_pre_hook(partial(inputs, seen["before"])))
        hooks.append(layer.register_forward_hook(partial(outputs, seen["after"])))
        hooks += [b.register_forward_hook(partial(outputs, made)) for b in layer.blocks]
    yield seen
    for hook in hooks:
        hook.remove()


def trace(model: MBT, views: Mapping[str, Tensor], order: Sequence[str]) -> dict[str, Tensor]:
    """By the official names; `order` is that of the modalities in the final norm's tokens."""
    with watched(model) as seen:
        logits = model(views)
    found = {"logits" if model.training else "logits_per_modality": logits}
    found["head_in"] = dict(zip(logits, seen["head"], strict=True))
    found["hidden/posembed"] = dict(zip(model.embed, seen["embed"], strict=True))
    found["hidden/tokens"] = {m: embed.tokens(views[m]) for m, embed in model.embed.items()}
    for depth, layer in enumerate(model.layers):
        after = seen["after"][depth]
        found[f"hidden/layer_{depth}"] = {m: after[m] for m in views}
        if FSN in after:
            found[f"hidden/layer_{depth}/bottleneck"] = after[FSN]
            found |= _bottlenecks(layer, depth, seen["blocks"][depth], len(model.fsn))
    if model.fsn is not None:
        found["hidden/bottleneck_in"] = seen["before"][0][FSN]
    last = seen["after"][-1]
    found["hidden/encoder_norm"] = model.norm(torch.cat([last[m] for m in order], 1))
    flat = {}
    for name, values in found.items():
        if isinstance(values, dict):
            flat |= {f"{name}/{NAMES.get(m, m)}": value for m, value in values.items()}
        else:
            flat[name] = values
    return flat if model.training else flat | {"logits": predict(logits)}


def _bottlenecks(layer: Layer, depth: int, outputs: list, tokens: int) -> dict[str, Tensor]:
    """The bottleneck tokens as each modality's line wrote them."""
    lines = [line for step in layer.wiring for line in step]
    return {
        f"hidden/layer_{depth}/bottleneck_from_{NAMES[line.writes[0]]}": y[:, -tokens:]
        for line, y in zip(lines, outputs, strict=True)
        if FSN in line.writes
    }


KINDS = {
    "logits": "logits", "logits_per_modality": "logits", "head_in": "head input",
    "tokens": "embedding", "posembed": "embedding", "bottleneck_in": "bottleneck",
    "encoder_norm": "norm",
}  # fmt: skip


def kind(name: str) -> str:
    """What an official name stands for, in a word."""
    parts = name.removeprefix("hidden/").split("/")
    if parts[-1].startswith("bottleneck"):
        return "bottleneck"
    return KINDS.get(parts[0], "layers")
