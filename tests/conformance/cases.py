"""A model: its parameters and inputs, and all that the official code computed of them.

Our model gets the parameters through `pretrained.from_official`, and is watched from outside.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from conformance.check import Check, absolute, relative
from conformance.trace import NAMES, kind, trace
from mbt_cli.architecture import MBT as Spec
from mbt_cli.loss import loss, penalty
from mbt_cli.model.mbt import MBT, predict
from mbt_cli.model.pretrained import SUFFIX, Tree, from_official
from mbt_cli.wiring import FSN

OURS = {name: m for m, name in NAMES.items()}
READOUTS = {"token": "cls", "gap": "mean_joint", "gmp": "max_joint", "gsp": "sum_joint"}
LOGITS, LOSS, GRADIENTS, DOUBLE = 1e-5, 5e-6, 2e-6, 1e-10
"""What may differ: absolutely; relatively; of the norm of all gradients; in float64."""


class Recorded(dict):
    """Parameters that remember which of them were asked for."""

    def __init__(self, tree: Mapping[str, np.ndarray]) -> None:
        super().__init__(tree)
        self.asked: set[str] = set()

    def __getitem__(self, path: str) -> np.ndarray:
        self.asked.add(path)
        return super().__getitem__(path)


class Replay(nn.Module):
    """Stochastic depth by masks (n, 1, 1) that were drawn already, one each time it is called."""

    def __init__(self, masks: list[Tensor]) -> None:
        super().__init__()
        self.masks, self.turn = masks, 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.masks:
            return x
        mask = self.masks[self.turn % len(self.masks)]
        self.turn += 1
        return x * (1 - mask.to(x.dtype))


def compare(path: Path) -> Iterator[Check]:
    """Tokens, logits, losses and gradients of a case; logits and loss in float64 too."""
    with np.load(path) as arrays:
        case = dict(arrays)
    config = json.loads(str(case["config_json"]))
    if "eval/logits" not in case:
        raise KeyError("the file is no case (no eval/logits) and no known piece of training")
    model, unused = model_of(case, config)
    ours = sum(p.numel() for p in model.parameters()) + sum(x.size for x in unused.values())
    yield Check("parameters", float(abs(ours - config["param_count"])), 0.5)

    model.eval()
    if not config["test_with_bottlenecks"]:
        model.rewire("late")
    with torch.no_grad():
        yield from _traced(case, "eval", model, config)
        model.rewire(model.spec.fusion)
        yield from _traced(case, "train", model.train(), config)
        yield from _losses(case, model, config)

    value = loss_of(case, model, config, unused)
    yield relative("loss", value, case["loss"], LOSS)
    value.backward()
    yield from _gradients(case, model, config, unused)

    double = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in case.items()}
    model, unused = model_of(double, config)
    with torch.no_grad():
        value = loss_of(double, model.train(), config, unused)
        yield relative("float64 loss", value, case["f64/loss"], DOUBLE)
        model.eval()
        if not config["test_with_bottlenecks"]:
            model.rewire("late")
        logits = predict(model(views_of(double, config)))
        yield absolute("float64 logits", logits, case["f64/eval/logits"], DOUBLE)


def spec_of(config: dict) -> Spec:
    """The model that a case was computed with."""
    joint = "self_attention" if config["share_encoder"] else "cross_attention"
    cls = config["classifier"] == "token"
    height, width, frames = config["patches_size"]
    sampled = config["temporal_encoding_method"] == "temporal_sampling"
    return Spec(
        modalities=tuple(OURS[name] for name in config["modality_fusion"]),
        fusion="bottleneck" if config["use_bottleneck"] else joint,
        fusion_layer=config["fusion_layer"],
        bottlenecks=config["n_bottlenecks"] + cls,
        share_weights=config["share_encoder"],
        depth=config["num_layers"],
        width=config["hidden_size"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_dim"] / config["hidden_size"],
        tubelet=(1 if sampled else frames, height, width),
        patch=(height, width),
        sampled_frames=config["n_sampled_frames"] if sampled else 0,
        sampling="released",
        readout=READOUTS[config["classifier"]],
        pre_logits=config["representation_size"] or 0,
        stochastic_depth=config["stochastic_droplayer_rate"],
    )


def views_of(case: Mapping[str, np.ndarray], config: dict) -> dict[str, Tensor]:
    """Channels first; the official spectrogram has its one plane three times."""
    return {
        OURS[name]: torch.tensor(np.moveaxis(case[f"inputs/{name}"], -1, 1))
        for name in config["modality_fusion"]
    }


def tree_of(case: Mapping[str, np.ndarray], kind: str = "params/") -> dict[str, np.ndarray]:
    return {k.removeprefix(kind): v for k, v in case.items() if k.startswith(kind)}


def model_of(case: Mapping[str, np.ndarray], config: dict) -> tuple[MBT, Tree]:
    """Our model with their parameters, drawn masks in place; and the parameters it does not use."""
    spec, tree = spec_of(config), Recorded(tree_of(case))
    shapes = {m: tuple(view.shape[1:]) for m, view in views_of(case, config).items()}
    model = MBT(spec, shapes, config["num_classes"])
    state = from_official(tree, spec)
    model.to(state["norm.weight"].dtype).load_state_dict(state)
    for depth, layer in enumerate(model.layers):
        for step in layer.steps():
            for line, block in step:
                if not isinstance(block.drop, Replay):
                    block.drop = Replay([])
                block.drop.masks += _masks(case, config, depth, line.writes)
    return model, {path: tree[path] for path in tree.keys() - tree.asked}


def _masks(case: Mapping, config: dict, depth: int, writes: tuple[str, ...]) -> list[Tensor]:
    """Of the two branches of a block at its turn for this line."""
    written = [m for m in writes if m != FSN]
    shared = config["share_encoder"]
    block = f"encoderblock_{depth}{'' if shared else SUFFIX[written[0]]}"
    order = [OURS[name] for name in config["modality_fusion"]]
    turn = order.index(written[0]) if shared and len(written) == 1 else 0
    names = [f"drop/{block}/{2 * turn + branch}" for branch in range(2)]
    return [torch.tensor(case[name]) for name in names if name in case]


def _traced(case: Mapping, mode: str, model: MBT, config: dict) -> Iterator[Check]:
    """Every number of this mode in the file; one that our model has not is infinitely far."""
    order = [OURS[name] for name in config["modality_fusion"]]
    mine = trace(model, views_of(case, config), order)
    for name, theirs in tree_of(case, f"{mode}/").items():
        what = f"{'train ' if mode == 'train' else ''}{kind(name)}"
        yield absolute(what, mine.get(name, np.zeros(0)), theirs, LOGITS)


def targets_of(case: Mapping, config: dict) -> dict:
    """What the loss is asked for: labels of all modalities or of each, weights, smoothing."""
    if config["labels_mode"] == "mixed":
        names = config["modality_fusion"]
        targets = {OURS[name]: torch.tensor(case[f"labels/{name}"]) for name in names}
    else:
        targets = torch.tensor(case["labels/all"])
    weights = torch.tensor(case["batch_mask"]) if "batch_mask" in case else None
    return {"targets": targets, "weights": weights}


def loss_of(case: Mapping, model: MBT, config: dict, unused: Tree) -> Tensor:
    """What training makes small. The official penalty counts parameters that no layer uses too."""
    l2 = config["l2_decay_factor"] or 0.0
    rest = sum(float((p.astype(np.float64) ** 2).sum()) for p in unused.values() if p.ndim > 1)
    value = loss(
        model(views_of(case, config)), multi_label=config["loss_type"] == "sigmoid",
        smoothing=config["label_smoothing"] or 0.0, **targets_of(case, config),
    )  # fmt: skip
    return value + penalty(model, l2) + 0.5 * l2 * rest


def _losses(case: Mapping, model: MBT, config: dict) -> Iterator[Check]:
    logits = model(views_of(case, config))
    for name, theirs in tree_of(case, "losses/").items():
        form, smoothing = name.split("_ls")
        mine = loss(
            logits, multi_label=form == "sigmoid", smoothing=float(smoothing),
            **targets_of(case, config),
        )  # fmt: skip
        yield relative("losses", mine, theirs, LOSS)


def _gradients(case: Mapping, model: MBT, config: dict, unused: Tree) -> Iterator[Check]:
    """Of every parameter, over the norm of all; those we do not have get theirs from the penalty
    alone."""
    theirs = tree_of(case, "grads/")
    norm = float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in theirs.values())))
    state = from_official(theirs, spec_of(config))
    parameters = dict(model.named_parameters())
    if state.keys() != parameters.keys():
        raise KeyError(f"gradients of {sorted(state.keys() ^ parameters.keys())}")
    for name, parameter in parameters.items():
        yield absolute("gradients", parameter.grad / norm, state[name] / norm, GRADIENTS)
    for path, value in unused.items():
        l2 = (config["l2_decay_factor"] or 0.0) * (value.ndim > 1)
        yield absolute("gradients", l2 * value / norm, theirs[path] / norm, GRADIENTS)
