"""Weights from elsewhere: the official parameter tree (scenic, projects/mbt) as ours.

d width, h heads. A dense kernel there is (inputs, outputs), ours (outputs, inputs); a patch
kernel there is (*patch, channels, d), ours (d, channels * patch). Query, key and value kernels
are (d, h, d / h), head by head; ours are one matrix, queries first.
"""

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import zoom
from torch import Tensor

from mbt_cli import architecture
from mbt_cli.errors import MbtError
from mbt_cli.wiring import FSN

SUFFIX = {"video": "", "audio": "_spectrogram"}
"""What the official code appends to a modality's parameters; its first modality is RGB."""
MLP = {"mlp.0": "MlpBlock_0/Dense_0", "mlp.2": "MlpBlock_0/Dense_1"}
NORMS = {"norm1": "LayerNorm_0", "norm2": "LayerNorm_1"}
ATTENTION = "MultiHeadDotProductAttention_0"
POSITIONS = "Transformer/posembed_input"

Tree = Mapping[str, np.ndarray]
"""Official parameters by their path, as in Transformer/encoderblock_0/LayerNorm_0/scale."""


def from_official(tree: Tree, spec: architecture.MBT) -> dict[str, Tensor]:
    """The state of our model of this experiment.

    Raises KeyError for a path that is not there, MbtError for a wiring the official code has not.
    """
    spec = spec.canonical()
    blocks = list(_blocks(spec))
    state = _norm(tree, "Transformer/encoder_norm", "norm")
    state |= _dense(tree, "output_projection", "head")
    if spec.pre_logits:
        state |= _dense(tree, "pre_logits", "pre_logits.0")
    for m in spec.modalities:
        kernel, bias = (tree[f"embedding{SUFFIX[m]}/{part}"] for part in ("kernel", "bias"))
        state |= _patches(kernel, bias, m)
        state[f"embed.{m}.position"] = tree[f"{POSITIONS}{SUFFIX[m]}/pos_embedding"][0]
        if spec.readout == "cls":
            alone = len(spec.modalities) == 1
            state[f"embed.{m}.cls"] = tree["cls" if alone or m == "video" else "clsspectrogram"][0]
    for name, layer, suffix in blocks:
        state |= _block(tree, f"Transformer/encoderblock_{layer}{suffix}", name)
    if spec.bottlenecks:
        state["fsn"] = tree["bottleneck"][0]
    return _tensors(state)


def from_image_vit(
    tree: Tree,
    spec: architecture.MBT,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    tubelet: Literal["central", "average"] = "central",
    released: bool = False,
) -> dict[str, Tensor]:
    """What an image ViT with a CLS token and a square grid of positions tells of our model's state;
    all else (classifier, bottleneck tokens) stays as it is initialised.

    Each modality's blocks start as the ViT's, its positions as the ViT's grid, resized bilinearly
    and repeated over frames. A tubelet has the ViT's patch kernel in its central frame, or a share
    of it in each. A view of one channel is taken for three alike.

    With `released` as the official code does: the spectrogram's CLS token stays as it is, and the
    bottleneck tokens start from the ViT's positions too (the paper draws them).

    Raises KeyError for a path that is not there; MbtError for a number of bottleneck tokens that
    makes no grid, and for a wiring the official code has not.
    """
    spec = spec.canonical()
    positions = tree[f"{POSITIONS}/pos_embedding"][0]
    cls, grid = positions[:1], positions[1:]
    grid = grid.reshape(isqrt(len(grid)), isqrt(len(grid)), len(cls[0]))
    read_cls = spec.readout == "cls"
    state = _norm(tree, "Transformer/encoder_norm", "norm")
    if spec.pre_logits and "pre_logits/kernel" in tree:
        state |= _dense(tree, "pre_logits", "pre_logits.0")
    for m in spec.modalities:
        frames, rows, columns = _layout(spec, m, shapes[m])
        kernel = _inflated(tree["embedding/kernel"], spec.patch_of(shapes[m]), tubelet)
        if shapes[m][0] == 1:
            kernel = kernel.sum(-2, keepdims=True)
        state |= _patches(kernel, tree["embedding/bias"], m)
        table = np.tile(_resized(grid, rows, columns), (frames, 1))
        state[f"embed.{m}.position"] = np.concatenate([cls, table]) if read_cls else table
        alone = len(spec.modalities) == 1
        if read_cls and (alone or m == "video" or not released):
            state[f"embed.{m}.cls"] = tree["cls"][0]
    for name, layer, _ in _blocks(spec):
        state |= _block(tree, f"Transformer/encoderblock_{layer}", name)
    if released and spec.bottlenecks:
        state["fsn"] = _bottleneck(cls, grid, spec.bottlenecks, read_cls)
    return _tensors(state)


def _blocks(spec: architecture.MBT) -> Iterator[tuple[str, int, str]]:
    """The name of each block here, its layer, and the suffix of its name there."""
    for layer, wiring in enumerate(spec.wirings()):
        lines = [line for step in wiring for line in step]
        for place, line in enumerate(lines[:1] if spec.share_weights else lines):
            written = [s for s in line.writes if s != FSN]
            if not spec.share_weights and len(written) != 1:
                raise MbtError(
                    f"The official code has a block for each modality or one for all, and none for"
                    f" '{' '.join(line.writes)}' alone: set model.share_weights=true, or choose"
                    " another model.fusion."
                )
            suffix = "" if spec.share_weights else SUFFIX[written[0]]
            yield f"layers.{layer}.blocks.{place}", layer, suffix


def _patches(kernel: np.ndarray, bias: np.ndarray, m: str) -> dict[str, np.ndarray]:
    width = len(bias)
    ours = np.moveaxis(kernel, (-1, -2), (0, 1)).reshape(width, kernel.size // width)
    return {f"embed.{m}.project.weight": ours, f"embed.{m}.project.bias": bias}


def _inflated(kernel: np.ndarray, patch: tuple[int, ...], how: str) -> np.ndarray:
    """A picture's patch kernel (h, w, c, d) for this patch, which may have frames in front."""
    if kernel.shape[:2] != patch[-2:]:
        found, wanted = ("x".join(map(str, p)) for p in (kernel.shape[:2], patch[-2:]))
        raise MbtError(f"The ViT's patch is {found}, but the model's is {wanted}: make them equal.")
    if len(patch) == 2:
        return kernel
    frames = patch[0]
    central, average = np.eye(frames)[frames // 2], np.full(frames, 1 / frames)
    shares = {"central": central, "average": average}[how]
    return np.stack([(kernel * share).astype(kernel.dtype) for share in shares])


def _layout(spec: architecture.MBT, m: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """How many tokens a view (c, *space) of this modality is cut into: in time, down and across."""
    if len(shape) < 3:
        raise MbtError(f"An image ViT cannot initialise {m}: its views are feature vectors.")
    patch = spec.patch_of(shape)
    rows, columns = (size // of for size, of in zip(shape[-2:], patch[-2:], strict=True))
    return (len(spec.frames(shape[1])) // patch[0] if len(shape) == 4 else 1), rows, columns


def _resized(grid: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A square of positions (n, n, d), bilinearly, corners on corners, as (rows * columns, d)."""
    side, _, width = grid.shape
    resized = zoom(grid, (rows / side, columns / side, 1), order=1)
    return resized.reshape(rows * columns, width)


def _bottleneck(cls: np.ndarray, grid: np.ndarray, tokens: int, read_cls: bool) -> np.ndarray:
    """B tokens from positions: with CLS its position first; the rest a grid, wider than high."""
    others = tokens - read_cls
    rows = max(1, isqrt(others))
    if not others or others % rows:
        kind = "tokens besides the one from CLS" if read_cls else "tokens"
        raise MbtError(
            f"The released initialisation lays {others} bottleneck {kind} out as a grid of"
            f" {rows} rows, which leaves some over: choose another model.bottlenecks."
        )
    positions = _resized(grid, rows, others // rows)
    return np.concatenate([cls, positions]) if read_cls else positions


def _block(tree: Tree, path: str, name: str) -> dict[str, np.ndarray]:
    parts = [f"{path}/{ATTENTION}/{part}" for part in ("query", "key", "value")]
    out, bias = (tree[f"{path}/{ATTENTION}/out/{part}"] for part in ("kernel", "bias"))
    width = len(bias)
    state = {
        f"{name}.attention.qkv.weight": np.concatenate(
            [tree[f"{part}/kernel"].reshape(width, width).T for part in parts]
        ),
        f"{name}.attention.qkv.bias": np.concatenate(
            [tree[f"{part}/bias"].reshape(width) for part in parts]
        ),
        f"{name}.attention.out.weight": out.reshape(width, width).T,
        f"{name}.attention.out.bias": bias,
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


def _tensors(state: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()}
