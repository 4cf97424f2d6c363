"""The model against numbers of the official implementation: a line for each file of a folder.

    make golden DIR=FOLDER

Compared are evaluation logits, logits of each modality, every layer's tokens, bottleneck tokens
and the final norm's output (absolute, in float32), and the training loss (relative). What of a
file is not compared yet is said, never passed over. Exits 1 where a difference is too large.

Reference: google-research/scenic, projects/mbt, at commit 4a38d47, on random weights. Some of the
files are in tests/golden.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mbt_cli.architecture import MBT as Spec
from mbt_cli.loss import loss
from mbt_cli.model.mbt import MBT, predict
from mbt_cli.model.pretrained import from_official

HIDDEN, LOSS = 1e-5, 5e-6
"""Largest differences: absolute for tokens and logits, relative for the loss."""
NAMES = {"audio": "spectrogram", "video": "rgb"}


def spec_of(config: dict) -> Spec | str:
    """The experiment's model that a case was computed with; or what it needs that is not there."""
    missing = {
        "a pre-logits layer": config["representation_size"] is not None,
        "max or sum pooling": config["classifier"] not in ("token", "gap"),
        "temporal sampling": config["temporal_encoding_method"] != "3d_conv",
    }
    for what, needed in missing.items():
        if needed:
            return what
    tokens = config["classifier"] == "token"
    joint = "self_attention" if config["share_encoder"] else "cross_attention"
    height, width, frames = config["patches_size"]
    modalities = tuple(m for m, name in NAMES.items() if name in config["modality_fusion"])
    return Spec(
        modalities=modalities,
        fusion="bottleneck" if config["use_bottleneck"] else joint,
        fusion_layer=config["fusion_layer"],
        bottlenecks=config["n_bottlenecks"] + tokens if len(modalities) > 1 else 0,
        share_weights=config["share_encoder"],
        depth=config["num_layers"],
        width=config["hidden_size"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_dim"] / config["hidden_size"],
        tubelet=(frames, height, width),
        patch=(height, width),
        readout="cls" if tokens else "mean_joint",
    )


def views_of(case: dict[str, np.ndarray], spec: Spec) -> dict[str, torch.Tensor]:
    """Channels first; the official spectrogram has its one plane three times."""
    return {
        m: torch.tensor(np.moveaxis(case[f"inputs/{NAMES[m]}"], -1, 1)) for m in spec.modalities
    }


def differences(case: dict[str, np.ndarray], config: dict, spec: Spec) -> Iterator[tuple]:
    """What was compared, its largest difference, and what is allowed."""
    views = views_of(case, spec)
    tree = {k.removeprefix("params/"): v for k, v in case.items() if k.startswith("params/")}
    model = MBT(spec, {m: x.shape[1:] for m, x in views.items()}, config["num_classes"]).eval()
    model.load_state_dict(from_official(tree, spec))
    if not config["test_with_bottlenecks"]:
        model.rewire("late")
    with torch.no_grad():
        z = {m: embed(views[m]) for m, embed in model.embed.items()}
        for m, tokens in z.items():
            yield "embedding", off(tokens, case[f"eval/hidden/posembed/{NAMES[m]}"]), HIDDEN
        if model.fsn is not None:
            z["fsn"] = model.fsn.expand(len(next(iter(z.values()))), -1, -1)
        for i, layer in enumerate(model.layers):
            z = layer(z)
            for m in spec.modalities:
                yield "layers", off(z[m], case[f"eval/hidden/layer_{i}/{NAMES[m]}"]), HIDDEN
            if (name := f"eval/hidden/layer_{i}/bottleneck") in case:
                yield "bottleneck", off(z["fsn"], case[name]), HIDDEN
        order = [m for name in config["modality_fusion"] for m in NAMES if NAMES[m] == name]
        normed = model.norm(torch.cat([z[m] for m in order], 1))
        yield "norm", off(normed, case["eval/hidden/encoder_norm"]), HIDDEN
        logits = model(views)
        yield "logits", off(predict(logits), case["eval/logits"]), HIDDEN
        for m, each in logits.items():
            if (name := f"eval/logits_per_modality/{NAMES.get(m, m)}") in case:
                yield "logits each", off(each, case[name]), HIDDEN
        model.rewire(spec.canonical().fusion)
        if plain_loss(config):
            labels = torch.tensor(case["labels/all"])
            smoothing = config["label_smoothing"] or 0.0
            mine = loss(model(views), labels, config["loss_type"] == "sigmoid", smoothing)
            yield "loss", abs(mine.item() / float(case["loss"]) - 1), LOSS


def plain_loss(config: dict) -> bool:
    """Whether the loss is that of clips with one target each, none masked, nothing dropped."""
    odd = ("batch_mask", "l2_decay_factor", "stochastic_droplayer_rate")
    return config["labels_mode"] == "shared" and not any(config[name] for name in odd)


def off(mine: torch.Tensor, theirs: np.ndarray) -> float:
    if mine.shape != theirs.shape:
        return float("inf")
    return float(np.abs(mine.numpy() - theirs).max())


def compared(path: Path) -> tuple[bool | None, str]:
    """Whether a file's numbers are ours (None: not compared yet), and the line that says so."""
    with np.load(path) as arrays:
        case = dict(arrays)
    config = json.loads(str(case["config_json"])) if "eval/logits" in case else None
    spec = "an auxiliary file" if config is None else spec_of(config)
    if isinstance(spec, str):
        return None, f"{path.stem:<24} not compared yet: {spec}"
    worst: dict[str, tuple[float, float]] = {}
    for what, difference, allowed in differences(case, config, spec):
        worst[what] = max(worst.get(what, (0.0, allowed)), (difference, allowed))
    fine = all(difference <= allowed for difference, allowed in worst.values())
    said = "  ".join(f"{what} {difference:.1e}" for what, (difference, _) in worst.items())
    return fine, f"{path.stem:<24} {'pass' if fine else 'FAIL'}  {said}"


def main(folder: str) -> None:
    paths = sorted(Path(folder).glob("*.npz"))
    found = []
    for path in paths:
        fine, line = compared(path)
        found.append(fine)
        print(line)
    if not any(found):
        sys.exit(f"No file of {folder} could be compared: found {len(paths)} .npz files.")
    print(f"{found.count(True)} pass, {found.count(False)} fail, {found.count(None)} not compared")
    sys.exit(False in found)


HERE = sorted((Path(__file__).parent / "golden").glob("*.npz"))
BESIDE = Path(__file__).parents[2] / "shared" / "golden"


@pytest.mark.parametrize("path", HERE, ids=lambda path: path.stem)
def test_the_model_is_the_official_one(path):
    fine, line = compared(path)
    assert fine, line


def test_it_is_in_every_file_that_can_be_compared():
    if not BESIDE.is_dir():
        pytest.skip(f"needs the reference files in {BESIDE}")
    found = [compared(path) for path in sorted(BESIDE.glob("*.npz"))]
    assert not [line for fine, line in found if fine is False]
    assert sum(fine is True for fine, _ in found) >= 23


@pytest.mark.parametrize(
    ("weight", "change"),
    [
        ("layers.2.blocks.1.attention.qkv.bias", lambda x: x + 1e-3),
        ("fsn", lambda x: x * 0.999),
        ("embed.audio.position", lambda x: x.flip(0)),
        ("head.weight", lambda x: x.roll(1, 0)),
    ],
)
def test_a_weight_that_is_another_is_noticed(monkeypatch, weight, change):
    unchanged = from_official

    def changed(tree, spec):
        state = unchanged(tree, spec)
        return state | {weight: change(state[weight])}

    monkeypatch.setattr(sys.modules[__name__], "from_official", changed)
    fine, line = compared(Path(__file__).parent / "golden" / "bn_f2_b4.npz")
    assert fine is False, line


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else sys.exit("Usage: make golden DIR=FOLDER"))
