"""Attend-Fusion: encode the feature vectors of each stream, put them side by side, classify.

b batch, c values of a vector, n vectors of a view, w width, k classes; t tokens that attend, h
heads. A reconstruction of Awan et al. 2024 (`architecture/attend_fusion.py` says of what):
arxiv.org/abs/2408.14441
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mbt_cli import architecture
from mbt_cli.architecture.attend_fusion import JOINT
from mbt_cli.errors import MbtError
from mbt_cli.model.masks import Dropout
from mbt_cli.model.mbt import Logits

Vectors = Float[Tensor, "b n w"]


class AttendFusion(nn.Module):
    """The model of an experiment, for views of these shapes (c, n)."""

    def __init__(
        self,
        spec: architecture.AttendFusion,
        shapes: Mapping[str, tuple[int, ...]],
        classes: int,
    ) -> None:
        super().__init__()
        self.spec = spec = spec.canonical()
        self.vectors = {stream: spec.vectors(stream, shapes) for stream in spec.streams}
        """Of each stream: how many, of how many values."""
        self.encoders = nn.ModuleDict(
            {stream: Encoder(stream, inputs, spec) for stream, (_, inputs) in self.vectors.items()}
        )
        encoded = sum(spec.encoded(inputs) for _, inputs in self.vectors.values())
        self.fused = nn.Sequential(*dense(encoded, spec.fused_widths, spec))
        self.head = nn.Linear((encoded, *spec.fused_widths)[-1], classes)
        self.removed: tuple[str, ...] = ()
        initialise(self)

    def forward(self, views: Mapping[str, Tensor]) -> Logits:
        """Views (b, c, n) by modality to logits."""
        x = {m: self.laid_out(views[m]) for m in self.spec.modalities}
        x |= {m: torch.zeros_like(x[m]) for m in self.removed}
        if JOINT in self.encoders:
            x[JOINT] = torch.cat([*x.values()], -1)
        z = {stream: encoder(x[stream]) for stream, encoder in self.encoders.items()}
        z |= {m: torch.zeros_like(z[m]) for m in self.removed if m in z}
        return {"all": self.head(self.fused(torch.cat([*z.values()], -1)))}

    def laid_out(self, view: Float[Tensor, "b c n"]) -> Float[Tensor, "b _ _"]:
        """The vectors of a view, each a token, or one of all of them side by side."""
        vectors = view.mT
        return vectors if self.spec.tokens == "vectors" else vectors.flatten(1).unsqueeze(1)

    def rewire(self, fusion: str, removed: tuple[str, ...] = (), without_token: int = 0) -> None:
        """From now on without these modalities: zeros stand for them in the stream of all
        modalities, and for what their own encoders give.

        Raises MbtError for another fusion than its own, and for a bottleneck token.
        """
        if fusion != self.spec.fusion:
            raise MbtError(
                f"{fusion} cannot run this model: the layers of Attend-Fusion are made for one"
                f" fusion, here {self.spec.fusion}. Leave fusion out."
            )
        if without_token:
            raise MbtError(
                f"without_token is {without_token}, but Attend-Fusion has no bottleneck tokens:"
                " leave it out."
            )
        self.removed = removed


class Encoder(nn.Module):
    """Fully connected layers, then layers of attention; of the vectors of a stream the mean."""

    def __init__(self, stream: str, inputs: int, spec: architecture.AttendFusion) -> None:
        super().__init__()
        parts = spec.chunks if spec.tokens == "chunks" else 1
        layers = spec.attention_layers if spec.attends(stream) else 0
        self.dense = nn.Sequential(*dense(inputs, spec.widths, spec))
        self.attention = nn.Sequential(
            *(SelfAttention(spec.encoded(inputs), parts, spec) for _ in range(layers))
        )

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b w"]:
        return self.attention(self.dense(x)).mean(1)


class Dense(nn.Module):
    """h = ReLU(W x + b): as it is; x + h, with x projected where the width changes; or x + g h,
    g = sigmoid(V h + c). What is made of h is what dropout takes from."""

    def __init__(self, inputs: int, width: int, spec: architecture.AttendFusion) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.gate = nn.Linear(width, width) if spec.block == "gated" else None
        self.skip: nn.Module | None = None
        if spec.block != "plain":
            same = inputs == width
            self.skip = nn.Identity() if same else nn.Linear(inputs, width, bias=False)
        self.drop = Dropout(spec.dropout)

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b w"]:
        h = F.relu(self.linear(x))
        if self.gate is not None:
            h = self.gate(h).sigmoid() * h
        h = self.drop(h)
        return h if self.skip is None else self.skip(x) + h


def dense(inputs: int, widths: Sequence[int], spec: architecture.AttendFusion) -> Iterator[Dense]:
    """Layers of these widths, one after the other."""
    for before, width in zip((inputs, *widths), widths, strict=False):
        yield Dense(before, width, spec)


class SelfAttention(nn.Module):
    """x + W_O softmax(Q K^T / sqrt(d)) V, where Q, K and V are projections of the normed x.

    Each query, key and value is cut into `parts` tokens, and these into heads. The norm has no
    parameters, so that the totals are the paper's. What is added is what dropout takes from.
    """

    def __init__(self, inputs: int, parts: int, spec: architecture.AttendFusion) -> None:
        super().__init__()
        width, self.heads, self.parts = spec.attention_width, spec.heads, parts
        self.drop = Dropout(spec.dropout)
        self.qkv = nn.Linear(inputs, 3 * width)
        self.out = nn.Linear(width, inputs)

    def forward(self, x: Vectors) -> Vectors:
        y = F.scaled_dot_product_attention(*self.project(x))
        return x + self.drop(self.out(rearrange(y, "b h (n p) d -> b n (p h d)", p=self.parts)))

    def heads_weights(self, x: Vectors) -> Float[Tensor, "b h t t"]:
        """How much each token reads each token, by head; rows sum to 1."""
        q, k, _ = self.project(x.to(self.qkv.weight.dtype))
        return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)

    def project(self, x: Vectors) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (b, h, t, d)."""
        q, k, v = rearrange(
            self.qkv(F.layer_norm(x, x.shape[-1:])), "b n (qkv p h d) -> qkv b h (n p) d",
            qkv=3, p=self.parts, h=self.heads,
        )  # fmt: skip
        return q, k, v


def initialise(model: AttendFusion) -> None:
    """Xavier for weights, of queries, keys and values each on its own; zeros for biases, and
    `head_bias` for the classifier's. W_O is zero: every layer of attention begins as the identity
    (Zhang et al. 2019, "Fixup"), for from random ones a few thousand videos are learned by heart.
    No code was published to follow."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, SelfAttention):
            for part in module.qkv.weight.chunk(3):
                nn.init.xavier_uniform_(part)
            nn.init.zeros_(module.out.weight)
    nn.init.constant_(model.head.bias, model.spec.head_bias)
