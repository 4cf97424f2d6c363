"""The pre-norm transformer block, reading any context.

b batch, n queries, m keys, h heads, d width. Dosovitskiy et al. 2021; MBT, eq. 2 to 6.
"""

from functools import partial
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mbt_cli.model.masks import DropPath

Queries = Float[Tensor, "b n d"]
Context = Float[Tensor, "b m d"]


class Attention(nn.Module):
    """Multi-head attention of queries x over a context; all projections have biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Queries, context: Context) -> Queries:
        y = F.scaled_dot_product_attention(*self.project(x, context))
        return self.out(y.transpose(1, 2).flatten(2))

    def weights(self, x: Queries, context: Context) -> Float[Tensor, "b n m"]:
        """How much each query reads each key, mean over heads; rows sum to 1."""
        return self.heads_weights(x, context).mean(1)

    def heads_weights(self, x: Queries, context: Context) -> Float[Tensor, "b h n m"]:
        """The same of each head."""
        q, k, _ = self.project(x, context)
        scores = q @ k.mT * q.shape[-1] ** -0.5
        return scores.softmax(-1)

    def project(self, x: Queries, context: Context) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (b, h, n, d / h); keys and values (b, h, m, d / h)."""
        if x is context:
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            return q, k, v
        d = x.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        q = F.linear(x, weight[:d], bias[:d]).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        kv = F.linear(context, weight[d:], bias[d:]).unflatten(-1, (2, self.heads, -1))
        k, v = kv.permute(2, 0, 3, 1, 4)
        return q, k, v


class Block(nn.Module):
    """y = x + attention(LN(x), LN(context)), then y + MLP(LN(y)).

    In training, either branch of a clip is dropped with chance `drop`; kept ones are not rescaled.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, gelu: Literal["tanh", "exact"],
        norm_eps: float, drop: float,
    ) -> None:  # fmt: skip
        super().__init__()
        norm = partial(nn.LayerNorm, width, eps=norm_eps)
        self.norm1 = norm()
        self.attention = Attention(width, heads)
        self.norm2 = norm()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(approximate="tanh" if gelu == "tanh" else "none"),
            nn.Linear(hidden, width),
        )
        self.drop = drop_path(drop)

    def forward(self, x: Queries, context: Context) -> Queries:
        queries = self.norm1(x)
        x = x + self.drop(self.attention(queries, queries if x is context else self.norm1(context)))
        return x + self.drop(self.mlp(self.norm2(x)))


def drop_path(chance: float) -> nn.Module:
    """Nothing at all where no branch is ever dropped."""
    return DropPath(chance) if chance else nn.Identity()
