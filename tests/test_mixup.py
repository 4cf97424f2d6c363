"""Clips mixed with one another."""

import numpy as np
import torch

from mbt_cli.mixup import draw, mixed, mixup


def test_the_first_meets_the_last_and_the_middle_itself():
    x = torch.tensor([[1.0], [10], [100]])
    assert torch.allclose(mixed(x, 0.75), torch.tensor([[25.75], [10], [75.25]]))


def test_one_weight_mixes_labels_once_and_weights_apart_mix_them_apart():
    torch.manual_seed(0)
    views = {"audio": torch.randn(3, 1, 5, 7), "video": torch.randn(3, 3, 2, 5, 5)}
    labels = torch.rand(3, 11)
    inputs, targets = mixup(views, labels, {"audio": 0.3, "video": 0.3})
    assert torch.equal(targets, mixed(labels, 0.3))
    assert torch.equal(inputs["video"], mixed(views["video"], 0.3))
    inputs, targets = mixup(views, labels, {"audio": 0.3, "video": 0.9})
    assert torch.equal(targets["audio"], mixed(labels, 0.3))
    assert torch.equal(targets["video"], mixed(labels, 0.9))
    assert torch.equal(inputs["audio"], mixed(views["audio"], 0.3))
    assert torch.equal(inputs["video"], mixed(views["video"], 0.9))


def test_weights_come_from_beta_of_alpha_and_alpha():
    random, two = np.random.default_rng(0), ("audio", "video")
    shared = [draw(0.5, two, independent=False, random=random) for _ in range(5000)]
    assert all(one["audio"] == one["video"] for one in shared)
    values = np.array([one["audio"] for one in shared])
    assert abs(values.mean() - 0.5) < 0.02
    assert abs(values.var() - 1 / 8) < 0.005  # 1 / (4 (2 alpha + 1))
    apart = [draw(0.5, two, independent=True, random=random) for _ in range(500)]
    pairs = np.array([[one["audio"], one["video"]] for one in apart])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.15
