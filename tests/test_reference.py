"""Any configuration, not only those of the reference files, against the specification in numpy."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conformance import cases, reference
from mbt_cli.model.mbt import predict

HERE = Path(__file__).parent / "golden"

EXACT = 1e-9
"""Of logits of the order of 1 to 10, in float64."""


def drawn(seed: int) -> dict:
    """A configuration as it might be asked, sizes mixed freely; some leave pixels over."""
    random = np.random.default_rng(seed)

    def one(*choices):
        return choices[random.integers(len(choices))]

    heads, depth = one(1, 2, 3), one(1, 2, 3)
    classifier = one("token", "token", "gap", "gmp", "gsp")
    names = one(["spectrogram", "rgb"], ["rgb", "spectrogram"], ["rgb"], ["spectrogram"])
    fh, fw, ft = one((5, 3, 2), (4, 6, 1), (3, 3, 3))
    return {
        "modality_fusion": names, "fusion_layer": int(random.integers(depth + 1)),
        "use_bottleneck": one(True, False), "n_bottlenecks": one(1, 2, 5),
        "test_with_bottlenecks": one(True, True, False), "share_encoder": one(True, False),
        "classifier": classifier, "representation_size": one(None, 7),
        "hidden_size": 6 * heads, "num_heads": heads, "num_layers": depth, "mlp_dim": one(11, 24),
        "num_classes": one(2, 5), "patches_size": [fh, fw, ft],
        "temporal_encoding_method": one("3d_conv", "temporal_sampling"),
        "n_sampled_frames": one(1, 2, 9), "rgb_shape": [3, one(4, 7, 8), 11, 13, 3],
        "spectrogram_shape": [3, 17, 14, 3], "stochastic_droplayer_rate": one(0.0, 0.5),
        "loss_type": one("sigmoid", "softmax"), "label_smoothing": one(None, 0.2),
        "l2_decay_factor": one(None, 1e-2),
        "labels_mode": one("shared", "mixed") if classifier == "token" else "shared",
        "batch_mask": one(None, [1.0, 0.0, 1.0]), "seed": seed,
    }  # fmt: skip


def case_of(config: dict) -> dict[str, np.ndarray]:
    """Random parameters, inputs, labels and masks for it, laid out as in a reference file."""
    random, names = np.random.default_rng(config["seed"]), config["modality_fusion"]
    case = {f"params/{k}": v for k, v in reference.random_tree(config, random).items()}
    case |= {f"inputs/{n}": random.normal(size=config[f"{n}_shape"]) for n in names}
    shared = (random.random((3, config["num_classes"])) < 0.4).astype(float)
    mixed = {n: random.random((3, config["num_classes"])) for n in names}
    case |= {f"labels/{n}": mixed[n] for n in names}
    case["labels/all"] = shared
    if config["batch_mask"]:
        case["batch_mask"] = np.array(config["batch_mask"])
    if config["stochastic_droplayer_rate"]:
        for layer in range(1, config["num_layers"]):
            for suffix in ("", "_spectrogram"):
                for call in range(4):
                    mask = (random.random((3, 1, 1)) < 0.5).astype(float)
                    case[f"drop/encoderblock_{layer}{suffix}/{call}"] = mask
    return case


def loss_of(case: dict, config: dict, train: dict[str, np.ndarray]) -> float:
    labels = cases.tree_of(case, "labels/")
    if config["labels_mode"] == "shared":
        labels = dict.fromkeys(train, case["labels/all"])
    weights = case.get("batch_mask", np.ones(len(next(iter(train.values())))))
    return reference.loss(train, config, labels, cases.tree_of(case), weights)


@pytest.mark.parametrize("seed", range(60))
def test_any_configuration_is_the_specification(seed):
    config = drawn(seed)
    case = case_of(config)
    tree, masks = cases.tree_of(case), cases.tree_of(case, "drop/")
    inputs = cases.tree_of(case, "inputs/")
    model, unused = cases.model_of(case, config)

    train = reference.logits(config, tree, inputs, masks, fuse=True)
    with torch.no_grad():
        mine = model.train()(cases.views_of(case, config))
    for name, theirs in train.items():
        np.testing.assert_allclose(mine[cases.OURS.get(name, name)], theirs, rtol=0, atol=EXACT)

    theirs = loss_of(case, config, train)
    fresh, unused = cases.model_of(case, config)
    found = cases.loss_of(case, fresh.train(), config, unused).item()
    assert found == pytest.approx(theirs, rel=EXACT)

    bottlenecks = config["test_with_bottlenecks"] or not config["use_bottleneck"]
    alone = reference.logits(config, tree, inputs, {}, fuse=bottlenecks)
    model.eval()
    if not bottlenecks:
        model.rewire("late")
    with torch.no_grad():
        merged = predict(model(cases.views_of(case, config)))
    np.testing.assert_allclose(merged, np.mean([*alone.values()], 0), rtol=0, atol=EXACT)


@pytest.mark.parametrize("path", sorted(HERE.glob("[!a]*.npz")), ids=lambda path: path.stem)
def test_the_specification_is_the_official_code(path):
    with np.load(path) as arrays:
        case = {k: v.astype(float) if v.dtype == np.float32 else v for k, v in arrays.items()}
    config, tree = json.loads(str(case["config_json"])), cases.tree_of(case)
    fuse = config["test_with_bottlenecks"] or not config["use_bottleneck"]
    inputs, masks = cases.tree_of(case, "inputs/"), cases.tree_of(case, "drop/")
    merged = np.mean([*reference.logits(config, tree, inputs, {}, fuse=fuse).values()], 0)
    np.testing.assert_allclose(merged, case["f64/eval/logits"], rtol=0, atol=1e-12)
    train = reference.logits(config, tree, inputs, masks, fuse=True)
    found = loss_of(case, config, train)
    assert found == pytest.approx(float(case["f64/loss"]), rel=1e-12)
