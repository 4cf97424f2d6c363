"""What training makes small. Source: the official code; Nagrani et al. 2021, sec. 3.4 and 4.2.

b batch, c classes.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mbt_cli.model import Network
from mbt_cli.model.mbt import Logits

Targets = Float[Tensor, "b c"] | Mapping[str, Float[Tensor, "b c"]]
"""Labels in [0, 1] of every clip: of all modalities, or of each by its name."""


def loss(
    logits: Logits,
    targets: Targets,
    multi_label: bool,
    smoothing: float = 0.0,
    *,
    heads: Sequence[int] = (),
    weights: Float[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """The mean over modalities of each one's loss; over clips the mean weighted by `weights`.

    Binary cross-entropy summed over classes where a clip may have several labels, else
    cross-entropy. `heads` are the numbers of classes of several answers to one clip (verb, noun),
    side by side in c: the mean of their losses. Smoothing e makes targets y (1 - e) + e / classes.
    """
    each = []
    for m, x in logits.items():
        y = targets[m] if isinstance(targets, Mapping) else targets
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        sizes = list(heads) or [x.shape[1]]
        heads_ = zip(x.split(sizes, 1), y.split(sizes, 1), strict=True)
        of_clip = torch.stack([_of_head(x, y, multi_label, smoothing) for x, y in heads_]).mean(0)
        share = torch.ones_like(of_clip) if weights is None else weights
        each.append((of_clip * share).sum() / (share.sum() + 1e-8))
    return torch.stack(each).mean()


def _of_head(
    x: Float[Tensor, "b c"], y: Float[Tensor, "b c"], multi_label: bool, smoothing: float
) -> Float[Tensor, " b"]:
    y = (y * (1 - smoothing) + smoothing / y.shape[1]).to(x.dtype)
    if multi_label:
        return F.binary_cross_entropy_with_logits(x, y, reduction="none").sum(1)
    return -(y * F.log_softmax(x, -1)).sum(1)


def penalty(model: Network, l2: float) -> Float[Tensor, ""]:
    """l2 / 2 times the sum of squares of all parameters that are no vectors in the official code:
    there the biases of queries, keys and values have an axis for the heads."""
    squares = [
        parameter.square().sum()
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 or name.endswith("qkv.bias")
    ]
    return 0.5 * l2 * torch.stack(squares).sum()
