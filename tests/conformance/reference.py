"""The official model once more, in numpy and float64, written from its specification alone.

It shares nothing with `mbt_cli`, so that any configuration can be compared, not only those of the
reference files. n clips, t tokens, c width, h heads; parameters by their official paths.
"""

from collections.abc import Mapping

import numpy as np

Tree = Mapping[str, np.ndarray]


def random_tree(config: Mapping, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Random parameters for a configuration, by the official names and shapes."""
    c, heads, mlp = (config[name] for name in ("hidden_size", "num_heads", "mlp_dim"))
    fh, fw, ft = config["patches_size"]
    token, names = config["classifier"] == "token", config["modality_fusion"]
    sizes: dict[str, tuple[int, ...]] = {}
    for name in names:
        suffix = "" if name == "rgb" else "_spectrogram"
        flat = name != "rgb" or config["temporal_encoding_method"] == "temporal_sampling"
        channels = config[f"{name}_shape"][-1]
        sizes[f"embedding{suffix}/kernel"] = (*(() if flat else (ft,)), fh, fw, channels, c)
        sizes[f"embedding{suffix}/bias"] = (c,)
        tokens = len(cut(np.zeros((1, *config[f"{name}_shape"][1:])), name, config)[0]) + token
        sizes[f"Transformer/posembed_input{suffix}/pos_embedding"] = (1, tokens, c)
        if token:
            first = name == "rgb" or len(names) == 1
            sizes["cls" if first else "clsspectrogram"] = (1, 1, c)
        for layer in range(config["num_layers"]):
            block = f"Transformer/encoderblock_{layer}{'' if config['share_encoder'] else suffix}"
            for norm in ("LayerNorm_0", "LayerNorm_1"):
                sizes |= {f"{block}/{norm}/scale": (c,), f"{block}/{norm}/bias": (c,)}
            attention = f"{block}/MultiHeadDotProductAttention_0"
            for part in ("query", "key", "value"):
                sizes[f"{attention}/{part}/kernel"] = (c, heads, c // heads)
                sizes[f"{attention}/{part}/bias"] = (heads, c // heads)
            sizes |= {f"{attention}/out/kernel": (heads, c // heads, c)}
            sizes |= {f"{attention}/out/bias": (c,)}
            for dense, (a, b) in {"Dense_0": (c, mlp), "Dense_1": (mlp, c)}.items():
                sizes[f"{block}/MlpBlock_0/{dense}/kernel"] = (a, b)
                sizes[f"{block}/MlpBlock_0/{dense}/bias"] = (b,)
    if config["use_bottleneck"]:
        sizes["bottleneck"] = (1, config["n_bottlenecks"] + token, c)
    sizes |= {f"Transformer/encoder_norm/{part}": (c,) for part in ("scale", "bias")}
    if width := config["representation_size"]:
        sizes |= {"pre_logits/kernel": (c, width), "pre_logits/bias": (width,)}
    last, classes = width or c, config["num_classes"]
    sizes |= {"output_projection/kernel": (last, classes), "output_projection/bias": (classes,)}
    return {path: random.normal(0, 0.3, size) for path, size in sizes.items()}


def cut(x: np.ndarray, name: str, config: Mapping) -> np.ndarray:
    """Patches (n, t, values) of inputs (n, [frames,] height, width, channels), rests dropped."""
    fh, fw, ft = config["patches_size"]
    if name == "rgb" and config["temporal_encoding_method"] == "temporal_sampling":
        x = np.concatenate([x[:, i] for i in taken(x.shape[1], config["n_sampled_frames"])], 1)
    if x.ndim == 4:
        x, ft = x[:, None], 1
    n, frames, height, width, channels = x.shape
    t, r, s = frames // ft, height // fh, width // fw
    x = x[:, : t * ft, : r * fh, : s * fw].reshape(n, t, ft, r, fh, s, fw, channels)
    return x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(n, t * r * s, ft * fh * fw * channels)


def taken(frames: int, wanted: int) -> list[int]:
    """Indices of temporal sampling; the float range may hold one more than wanted."""
    if wanted >= frames:
        return list(range(frames))
    stride = frames / (wanted + 1)
    return np.minimum(np.round(np.arange(stride, frames, stride)), frames - 1).astype(int).tolist()


def norm(x: np.ndarray, tree: Tree, path: str) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * tree[f"{path}/scale"] + tree[f"{path}/bias"]


def block(x: np.ndarray, tree: Tree, path: str, keep: list[np.ndarray]) -> np.ndarray:
    """A pre-norm block on its whole input; `keep` are the 1 or 0 (n, 1, 1) of its two branches."""
    h, attention = norm(x, tree, f"{path}/LayerNorm_0"), f"{path}/MultiHeadDotProductAttention_0"
    q, k, v = (
        np.einsum("ntc,chd->nhtd", h, tree[f"{attention}/{part}/kernel"])
        + tree[f"{attention}/{part}/bias"][:, None]
        for part in ("query", "key", "value")
    )
    scores = np.einsum("nhtd,nhsd->nhts", q, k) / np.sqrt(q.shape[-1])
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = np.einsum("nhts,nhsd->nthd", shares, v)
    out = np.einsum("nthd,hdc->ntc", mixed, tree[f"{attention}/out/kernel"])
    x = x + keep[0] * (out + tree[f"{attention}/out/bias"])
    h = dense(norm(x, tree, f"{path}/LayerNorm_1"), tree, f"{path}/MlpBlock_0/Dense_0")
    h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return x + keep[1] * dense(h, tree, f"{path}/MlpBlock_0/Dense_1")


def dense(x: np.ndarray, tree: Tree, path: str) -> np.ndarray:
    return x @ tree[f"{path}/kernel"] + tree[f"{path}/bias"]


def logits(
    config: Mapping, tree: Tree, inputs: Mapping[str, np.ndarray], masks: Mapping, *, fuse: bool
) -> dict[str, np.ndarray]:
    """Of each modality, or of all; `masks` (1 = drop) by block and call, `fuse` False for an
    evaluation without bottlenecks."""
    names, token = config["modality_fusion"], config["classifier"] == "token"
    z = {}
    for name in names:
        suffix = "" if name == "rgb" else "_spectrogram"
        kernel = tree[f"embedding{suffix}/kernel"]
        patches = cut(inputs[name], name, config)
        x = patches @ kernel.reshape(-1, kernel.shape[-1]) + tree[f"embedding{suffix}/bias"]
        if token:
            cls = tree["cls" if name == "rgb" or len(names) == 1 else "clsspectrogram"]
            x = np.concatenate([np.repeat(cls, len(x), 0), x], 1)
        z[name] = x + tree[f"Transformer/posembed_input{suffix}/pos_embedding"]

    calls: dict[str, int] = {}

    def run(layer: int, name: str, x: np.ndarray) -> np.ndarray:
        suffix = "" if config["share_encoder"] or name == "rgb" else "_spectrogram"
        of = f"encoderblock_{layer}{suffix}"
        turn = calls[of] = calls.get(of, -2) + 2
        keep = [1 - masks.get(f"{of}/{turn + branch}", 0) for branch in (0, 1)]
        return block(x, tree, f"Transformer/{of}", keep)

    bottleneck = None
    if config["use_bottleneck"]:
        bottleneck = np.repeat(tree["bottleneck"], len(next(iter(z.values()))), 0)
    for layer in range(config["num_layers"]):
        if layer < config["fusion_layer"] or len(names) == 1 or not fuse:
            z = {name: run(layer, name, x) for name, x in z.items()}
        elif bottleneck is not None:
            out = {n: run(layer, n, np.concatenate([x, bottleneck], 1)) for n, x in z.items()}
            bottleneck = np.mean([out[n][:, z[n].shape[1] :] for n in names], 0)
            z = {n: out[n][:, : z[n].shape[1]] for n in names}
        elif config["share_encoder"]:
            out = run(layer, "", np.concatenate([z[n] for n in names], 1))
            parts = np.split(out, np.cumsum([z[n].shape[1] for n in names])[:-1], axis=1)
            z = dict(zip(names, parts, strict=True))
        else:
            others = {n: [z[o] for o in sorted(z) if o != n] for n in names}
            out = {n: run(layer, n, np.concatenate([*others[n], z[n]], 1)) for n in names}
            z = {n: out[n][:, -z[n].shape[1] :] for n in names}
    whole = norm(np.concatenate([z[n] for n in names], 1), tree, "Transformer/encoder_norm")
    if token:
        firsts = np.cumsum([0, *(z[n].shape[1] for n in names)])[:-1]
        pooled = {n: whole[:, at] for n, at in zip(names, firsts, strict=True)}
    else:
        pool = {"gap": np.mean, "gmp": np.max, "gsp": np.sum}[config["classifier"]]
        pooled = {"all": pool(whole, axis=1)}
    if config["representation_size"]:
        pooled = {n: np.tanh(dense(x, tree, "pre_logits")) for n, x in pooled.items()}
    return {n: dense(x, tree, "output_projection") for n, x in pooled.items()}


def loss(
    of: Mapping[str, np.ndarray], config: Mapping, labels: Mapping, tree: Tree, weights: np.ndarray
) -> float:
    """The training loss of logits, with smoothing, example weights and the penalty."""
    total, smoothing = [], config["label_smoothing"] or 0.0
    for name, x in of.items():
        y = labels[name] * (1 - smoothing) + smoothing / x.shape[1]
        if config["loss_type"] == "sigmoid":
            each = (y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)).sum(1)
        else:
            each = -(y * (x - np.log(np.exp(x).sum(1, keepdims=True)))).sum(1)
        total.append((each * weights).sum() / (weights.sum() + 1e-8))
    squares = sum((p**2).sum() for p in tree.values() if p.ndim > 1)
    return float(np.mean(total) + 0.5 * (config["l2_decay_factor"] or 0.0) * squares)
