"""One piece of training in a file: a schedule, mixup, losses of two heads, metrics, frames taken,
three steps of the optimizer, a start from an image ViT, the parameters of the published size."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from conformance import cases
from conformance.check import Check, absolute, relative
from mbt_cli.architecture import MBT as Spec
from mbt_cli.cost import mbt_cost
from mbt_cli.descent import descend, learning_rate, optimizer_of
from mbt_cli.experiment import Training
from mbt_cli.loss import loss
from mbt_cli.metrics import auc, average_precision, figures, joint_top, top
from mbt_cli.mixup import mixup
from mbt_cli.model.mbt import MBT
from mbt_cli.model.pretrained import from_image_vit, from_official
from mbt_cli.task import Task

EXACT, FIGURES, RATE = 1e-9, 1e-6, 2e-6
"""For copies and averages in float64, for figures kept in float32, and of the highest rate."""


def schedule(path: Path) -> Iterator[Check]:
    """Learning rates at many steps, relative to the highest."""
    for one in json.loads(path.read_text()).values():
        steps, base = one["steps_per_epoch"], one["base_learning_rate"]
        if one["factors"] != "constant * cosine_decay * linear_warmup":
            raise ValueError(f"a schedule of other factors: {one['factors']}")
        how = _training(steps, one["num_epochs"], base, one["warmup_steps"], **one["extra"])
        for step, theirs in one["lr"].items():
            mine = learning_rate(int(step), how, steps)
            yield absolute("learning rates", mine, theirs, RATE * base)


def _training(steps: int, epochs: int, base: float, warmup: float, alpha: float = 0.0) -> Training:
    return Training(
        epochs=epochs, learning_rate=base, warmup_epochs=warmup / steps, final_rate=alpha
    )


def frames(path: Path) -> Iterator[Check]:
    """Which frames are taken of how many, as released: a difference counts as 1."""
    for one in json.loads(path.read_text()):
        spec = Spec(sampled_frames=one["n_sampled_frames"], sampling="released")
        same = spec.frames(one["num_frames"]) == one["indices"]
        yield Check("frames", float(not same), 0.5)


def mixed(path: Path) -> Iterator[Check]:
    """Inputs and labels mixed by given weights: one for both modalities, and one each."""
    case = _load(path)
    views = {m: torch.tensor(case[f"inputs/{name}"]) for m, name in cases.NAMES.items()}
    for kind in ("mixmod_False", "mixmod_True"):
        weights = [float(x) for x in case[f"{kind}/lambda_rgb_spectrogram"]]
        shares = {"video": weights[0], "audio": weights[1]}
        inputs, labels = mixup(views, torch.tensor(case["labels"]), shares)
        for name, theirs in cases.tree_of(case, f"{kind}/out/").items():
            yield absolute("inputs", inputs[cases.OURS[name]], theirs, FIGURES)
        for name, theirs in cases.tree_of(case, f"{kind}/label/").items():
            mine = labels if isinstance(labels, Tensor) else labels[cases.OURS[name]]
            yield absolute("labels", mine, theirs, FIGURES)


def heads(path: Path) -> Iterator[Check]:
    """The loss of two answers to one clip, of each modality and of all together."""
    case = _load(path)
    each = {cases.OURS[n]: torch.tensor(x) for n, x in cases.tree_of(case, "logits/").items()}
    labels, weights = torch.tensor(case["labels"]), torch.tensor(case["batch_mask"])
    splits = [int(x) for x in case["class_splits"]]
    for name, theirs in cases.tree_of(case, "loss_").items():
        form, smoothing = name.split("_ls")
        fits = {m: x for m, x in each.items() if form == "dict" or m == "video"}
        mine = loss(fits, labels, False, float(smoothing), heads=splits, weights=weights)
        yield relative("loss", mine, theirs, cases.LOSS)


def metrics(path: Path) -> Iterator[Check]:
    """Figures of multi-label, single-label and two-headed scores.

    Where a class has no AUC, the official mean is NaN; ours leaves the class out.
    """
    case = _load(path)
    scores, labels = case["scores"], case["labels"]
    names = [str(c) for c in range(labels.shape[1])]
    found = figures(scores, labels, Task(names, multi_label=True), without_positives="zero")
    areas = [auc(s, y) for s, y in zip(scores.T, labels.T, strict=True)]
    whole = None not in areas
    precisions = [average_precision(s, y) or 0.0 for s, y in zip(scores.T, labels.T, strict=True)]
    yield absolute("AP", precisions, case["mbt/per_class_ap"], EXACT)
    yield absolute("AUC", [_nan(a) for a in areas], case["avmae/per_class_auc"], EXACT)
    for name in ("mbt/mean_average_precision", "avmae/mAP", "avmae/nanmean_average_precision"):
        yield absolute("mAP", found["mAP"], case[name], EXACT)
    yield absolute("mean AUC", found["AUC"] if whole else math.nan, case["avmae/AUC"], EXACT)
    d_prime = found["d_prime"] if whole else math.nan
    yield absolute("d-prime", d_prime, case["avmae/d-prime"], EXACT)
    yield absolute("prec@1", top(scores, labels, 1), case["prec@1"], FIGURES)

    kept = case["single/batch_mask"] > 0
    one, truth = case["single/scores"][kept], case["single/labels_onehot"][kept]
    for k, name in ((1, "accuracy"), (5, "accuracy_top_5")):
        yield absolute(f"top-{k}", top(one, truth, k), case[f"single/{name}"], FIGURES)
    two, truth = case["multihead/scores"][kept], case["multihead/labels"][kept]
    sizes = np.diff(case["multihead/class_splits_cumsum"], prepend=0).tolist()
    for k, name in ((1, "joint_accuracy"), (5, "joint_top5")):
        mine = joint_top(two, truth, sizes, k)
        yield absolute(f"joint top-{k}", mine, case[f"multihead/{name}"], FIGURES)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def three_steps(path: Path) -> Iterator[Check]:
    """Loss, rate, norm of the gradients and all parameters through three steps from a case."""
    piece = _load(path)
    how = json.loads(str(piece["config_json"]))
    start = Path(how["start_from"]).name
    beside = (path.parent / start, Path(__file__).parents[1] / "golden" / start)
    case = _load(next((file for file in beside if file.is_file()), beside[0]))
    config = json.loads(str(case["config_json"]))
    model, unused = cases.model_of(case, config)
    rates = how["lr_configs"]
    steps = rates["steps_per_epoch"]
    training = _training(steps, rates["num_epochs"], rates["base"], rates["warmup_steps"])
    optimizer = optimizer_of(model.train(), training)
    for step in range(len(piece["lr"])):
        rate = learning_rate(step, training, steps)
        yield absolute("learning rates", rate, piece["lr"][step], RATE * rates["base"])
        for group in optimizer.param_groups:
            group.update(momentum=how["momentum"])
        value = cases.loss_of(case, model, config, unused)
        yield relative("loss", value, piece["loss"][step], cases.LOSS)
        value.backward()
        norm = descend(model, optimizer, rate, how["max_grad_norm"])
        yield relative("gradient norm", norm, piece["grad_norm"][step], cases.LOSS)
    value = cases.loss_of(case, model, config, unused)
    yield relative("loss", value, piece["loss"][-1], cases.LOSS)
    after = from_official(cases.tree_of(piece, "after3/"), model.spec)
    for name, parameter in model.named_parameters():
        yield absolute("parameters", parameter, after[name], cases.LOGITS)


def from_vit(path: Path) -> Iterator[Check]:
    """Every parameter after a start from an image ViT, as released."""
    case = _load(path)
    config = json.loads(str(case["config_json"]))
    spec, asked = cases.spec_of(config), config["init_from"]
    if asked["positional_embed_size_change"] != "resize_tile":
        raise ValueError(f"another way to resize: {asked['positional_embed_size_change']}")
    before = from_official(cases.tree_of(case, "before/"), spec)
    vit = cases.tree_of(case, "vit/")
    tubelet = config["kernel_init_method"].removesuffix("_frame_initializer")
    new = from_image_vit(vit, spec, _shapes(config), tubelet=tubelet, released=True)
    if not asked["restore_input_embedding"]:
        new = {name: value for name, value in new.items() if ".project." not in name}
    if not asked["restore_positional_embedding"]:
        new = {n: v for n, v in new.items() if not n.endswith(".position") and n != "fsn"}
    after = from_official(cases.tree_of(case, "after/"), spec)
    if new.keys() - after.keys():
        raise KeyError(f"parameters of ours alone: {sorted(new.keys() - after.keys())}")
    for name, theirs in after.items():
        kind = "positions" if name.endswith("position") or name == "fsn" else "copies"
        yield absolute(kind, (before | new)[name], theirs, FIGURES)


def _shapes(config: Mapping) -> dict[str, tuple[int, ...]]:
    sizes = {m: config[f"{name}_shape"] for m, name in cases.NAMES.items()}
    return {m: (shape[-1], *shape[1:-1]) for m, shape in sizes.items()}


def published_size(path: Path) -> Iterator[Check]:
    """Every parameter of the published models by name and shape, and their number."""
    for sizes in json.loads(path.read_text()).values():
        tree = cases.Recorded({name: np.zeros(shape, np.int8) for name, shape in sizes.items()})
        spec, shapes, classes = _read_off(sizes)
        with torch.device("meta"):
            ours = {n: x.shape for n, x in MBT(spec, shapes, classes).state_dict().items()}
        theirs = {name: x.shape for name, x in from_official(tree, spec).items()}
        yield Check("names and shapes", float(ours != theirs), 0.5)
        yield Check("unused", float(len(tree.keys() - tree.asked)), 0.5)
        total = sum(value.size for value in tree.values())
        closed = mbt_cost(spec.canonical(), shapes, classes).parameters
        yield Check("parameters", float(abs(closed - total)), 0.5)


def _read_off(sizes: Mapping[str, list[int]]) -> tuple[Spec, dict[str, tuple[int, ...]], int]:
    """The model, a view of each modality and the number of classes that fit a parameter tree."""
    blocks = {name.split("/")[1] for name in sizes if "/encoderblock_" in name}
    part = next(name.split("/")[1] for name in sizes if "/encoderblock_0" in name)
    width, heads, _ = sizes[f"Transformer/{part}/MultiHeadDotProductAttention_0/query/kernel"]
    hidden = sizes[f"Transformer/{part}/MlpBlock_0/Dense_0/kernel"][1]
    cls, shapes, patches = "cls" in sizes, {}, {}
    for m, suffix in cases.SUFFIX.items():
        if (name := f"embedding{suffix}/kernel") in sizes:
            *patches[m], channels, _ = sizes[name]
            tokens = sizes[f"Transformer/posembed_input{suffix}/pos_embedding"][1] - cls
            first, *others = patches[m]
            shapes[m] = (channels, tokens * first, *others)
    fuses = len(shapes) > 1
    spec = Spec(
        modalities=tuple(shapes), fusion="bottleneck" if fuses else "late", fusion_layer=0,
        bottlenecks=sizes["bottleneck"][1] if fuses else 0, width=width, heads=heads,
        depth=len({block.split("_")[1] for block in blocks}), mlp_ratio=hidden / width,
        share_weights=fuses and not any("spectrogram" in block for block in blocks),
        readout="cls" if cls else "mean_joint",
        **{field: tuple(patches[m]) for m, field in _PATCHES.items() if m in patches},
    )  # fmt: skip
    return spec, shapes, sizes["output_projection/bias"][0]


_PATCHES = {"audio": "patch", "video": "tubelet"}


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


PIECES = {
    "aux_lr_schedule": schedule,
    "aux_temporal_indices": frames,
    "aux_mixup": mixed,
    "aux_multihead_loss": heads,
    "aux_metrics": metrics,
    "aux_train": three_steps,
    "aux_vit_init": from_vit,
    "vitb_param_tree": published_size,
}
"""What a file holds, by the beginning of its name."""
