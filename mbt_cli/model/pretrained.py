"""Weights from elsewhere: the official parameter tree (scenic, projects/mbt) as ours.

d width, h heads. A dense kernel there is (inputs, outputs), ours (outputs, inputs); a patch
kernel there is (*patch, channels, d), ours (d, channels * patch). Query, key and value kernels
are (d, h, d / h), head by head; ours are one matrix, queries first.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mbt_cli import experiment
from mbt_cli.wiring import FSN, layers

SUFFIX = {"video": "", "audio": "_spectrogram"}
"""What the official code appends to a modality's parameters; its first modality is RGB."""
MLP = {"mlp.0": "MlpBlock_0/Dense_0", "mlp.2": "MlpBlock_0/Dense_1"}
NORMS = {"norm1": "LayerNorm_0", "norm2": "LayerNorm_1"}
ATTENTION = "MultiHeadDotProductAttention_0"

Tree = Mapping[str, np.ndarray]
"""Official parameters by their path, as in Transformer/encoderblock_0/LayerNorm_0/scale."""


def from_official(tree: Tree, spec: experiment.MBT) -> dict[str, Tensor]:
    """The state of our model of this experiment. Raises KeyError for a path that is not there."""
    spec = spec.canonical()
    state = _dense(tree, "output_projection", "head") | _norm(
        tree, "Transformer/encoder_norm", "norm"
    )
    for m in spec.modalities:
        state |= _embedding(tree, spec, m)
    wirings = layers(spec.fusion, spec.fusion_layer, spec.depth, spec.modalities)
    for depth, wiring in enumerate(wirings):
        lines = [line for step in wiring for line in step]
        for place, line in enumerate(lines[:1] if spec.share_weights else lines):
            m = next(s for s in line.writes if s != FSN)
            suffix = "" if spec.share_weights else SUFFIX[m]
            path = f"Transformer/encoderblock_{depth}{suffix}"
            state |= _block(tree, path, f"layers.{depth}.blocks.{place}")
    if spec.bottlenecks:
        state["fsn"] = tree["bottleneck"][0]
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()}


def _embedding(tree: Tree, spec: experiment.MBT, m: str) -> dict[str, np.ndarray]:
    kernel = tree[f"embedding{SUFFIX[m]}/kernel"]
    state = {
        f"embed.{m}.project.weight": np.moveaxis(kernel, (-1, -2), (0, 1)).reshape(
            kernel.shape[-1], -1
        ),
        f"embed.{m}.project.bias": tree[f"embedding{SUFFIX[m]}/bias"],
        f"embed.{m}.position": tree[f"Transformer/posembed_input{SUFFIX[m]}/pos_embedding"][0],
    }
    if spec.readout == "cls":
        alone = len(spec.modalities) == 1
        state[f"embed.{m}.cls"] = tree["cls" if alone or m == "video" else "clsspectrogram"][0]
    return state


def _block(tree: Tree, path: str, name: str) -> dict[str, np.ndarray]:
    parts = [f"{path}/{ATTENTION}/{part}" for part in ("query", "key", "value")]
    width = tree[f"{parts[0]}/kernel"].shape[0]
    state = {
        f"{name}.attention.qkv.weight": np.concatenate(
            [tree[f"{part}/kernel"].reshape(width, width).T for part in parts]
        ),
        f"{name}.attention.qkv.bias": np.concatenate(
            [tree[f"{part}/bias"].reshape(width) for part in parts]
        ),
        f"{name}.attention.out.weight": tree[f"{path}/{ATTENTION}/out/kernel"]
        .reshape(width, width)
        .T,
        f"{name}.attention.out.bias": tree[f"{path}/{ATTENTION}/out/bias"],
    }
    for ours, theirs in MLP.items():
        state |= _dense(tree, f"{path}/{theirs}", f"{name}.{ours}")
    for ours, theirs in NORMS.items():
        state |= _norm(tree, f"{path}/{theirs}", f"{name}.{ours}")
    return state


def _dense(tree: Tree, path: str, name: str) -> dict[str, np.ndarray]:
    return {f"{name}.weight": tree[f"{path}/kernel"].T, f"{name}.bias": tree[f"{path}/bias"]}


def _norm(tree: Tree, path: str, name: str) -> dict[str, np.ndarray]:
    return {f"{name}.weight": tree[f"{path}/scale"], f"{name}.bias": tree[f"{path}/bias"]}
