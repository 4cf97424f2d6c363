"""What training makes small, by hand."""

import json
import math

import numpy as np
import pytest
import torch

from conformance import cases
from mbt_cli.loss import loss, penalty

LOGITS = {"audio": torch.tensor([[1.0, -2.0, 0.5]]), "video": torch.tensor([[0.0, 3.0, -1.0]])}
LABELS = torch.tensor([[1.0, 0.0, 0.0]])


def by_hand(x, y, multi_label):
    if multi_label:
        return sum(-t * math.log(1 / (1 + math.exp(-v))) - (1 - t) * math.log(1 / (1 + math.exp(v)))
                   for v, t in zip(x, y, strict=True))  # fmt: skip
    total = sum(math.exp(v) for v in x)
    return sum(-t * math.log(math.exp(v) / total) for v, t in zip(x, y, strict=True))


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_it_is_the_mean_of_the_modalities_losses_summed_over_classes(multi_label, smoothing):
    targets = [y * (1 - smoothing) + smoothing / 3 for y in (1.0, 0.0, 0.0)]
    each = [by_hand(x[0].tolist(), targets, multi_label) for x in LOGITS.values()]
    found = loss(LOGITS, LABELS, multi_label, smoothing)
    assert found.item() == pytest.approx(sum(each) / 2, rel=1e-5)
    twice = loss({m: x.repeat(2, 1) for m, x in LOGITS.items()}, LABELS.repeat(2, 1), multi_label,
                 smoothing)  # fmt: skip
    assert twice.item() == pytest.approx(found.item())


def test_each_modality_may_have_labels_of_its_own():
    other = {"audio": LABELS, "video": LABELS.flip(1)}
    each = [by_hand(LOGITS[m][0].tolist(), other[m][0].tolist(), True) for m in LOGITS]
    assert loss(LOGITS, other, True).item() == pytest.approx(sum(each) / 2, rel=1e-5)


def test_clips_count_by_their_weight():
    x, y = torch.tensor([[1.0, -2], [0, 3], [7, 7]]), torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    first, second = (by_hand(x[i].tolist(), y[i].tolist(), True) for i in range(2))
    weighted = loss({"all": x}, y, True, weights=torch.tensor([3.0, 1.0, 0.0]))
    assert weighted.item() == pytest.approx((3 * first + second) / 4, rel=1e-5)


def test_heads_are_answers_beside_each_other():
    x, y = torch.tensor([[1.0, -2, 0.5, 2, 1]]), torch.tensor([[0.0, 1, 1, 0, 0]])
    verb = by_hand([1.0, -2], [0.05, 0.95], False)
    noun = by_hand([0.5, 2, 1], [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3], False)
    found = loss({"all": x}, y, False, 0.1, heads=(2, 3))
    assert found.item() == pytest.approx((verb + noun) / 2, rel=1e-5)


def test_half_precision_is_summed_in_float32_and_double_stays_double():
    assert loss({"all": LOGITS["audio"].bfloat16()}, LABELS, True).dtype == torch.float32
    assert loss({"all": LOGITS["audio"].double()}, LABELS, True).dtype == torch.float64


@pytest.mark.parametrize("case", ["prelogits_bn_f2", "gap_sa_f2_share"])
def test_the_penalty_is_that_of_the_official_tree(case):
    from test_golden import HERE

    with np.load(HERE / f"{case}.npz") as arrays:
        tree = dict(arrays)
    config = json.loads(str(tree["config_json"]))
    model, unused = cases.model_of(tree, config)
    assert not unused
    squares = sum((x**2).sum() for x in cases.tree_of(tree).values() if x.ndim > 1)
    assert penalty(model, 0.02).item() == pytest.approx(0.01 * squares, rel=1e-5)
    assert penalty(model, 0.0) == 0
