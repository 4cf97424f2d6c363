"""Our numbers are those of the official implementation, and one that is not would be noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED

from conformance import compare, files
from mbt_cli import descent
from mbt_cli.model import pretrained

HERE = Path(__file__).parent / "golden"
BESIDE = SHARED / "golden"


@pytest.mark.parametrize("path", files(HERE), ids=lambda path: path.stem)
def test_our_numbers_are_the_official_ones(path):
    found = compare(path)
    assert found.passed, found.line


def test_they_are_in_every_file_there_is():
    if not BESIDE.is_dir():
        pytest.skip(f"needs the reference files in {BESIDE}")
    found = [compare(path) for path in files(BESIDE) if not (HERE / path.name).is_file()]
    assert len(found) + len(files(HERE)) >= 37
    assert not [one.line for one in found if not one.passed]


def test_the_copies_are_the_files_they_were_copied_from():
    if not BESIDE.is_dir():
        pytest.skip(f"needs the reference files in {BESIDE}")
    for path in files(HERE):
        assert path.read_bytes() == (BESIDE / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("case", "weight", "change"),
    [
        ("bn_f2_b4", "layers.2.blocks.1.attention.qkv.bias", lambda x: x + 1e-3),
        ("bn_f2_b4", "fsn", lambda x: x * 0.999),
        ("bn_f2_b4", "embed.audio.position", lambda x: x.flip(0)),
        ("bn_f2_b4", "head.weight", lambda x: x.roll(1, 0)),
        ("prelogits_bn_f2", "pre_logits.0.weight", lambda x: x * 1.001),
        ("vitb_param_tree", "head.bias", lambda x: x[:-1]),
        ("aux_vit_init_3dconv", "fsn", lambda x: x.flip(0)),
    ],
)
def test_a_weight_that_is_another_is_noticed(monkeypatch, case, weight, change):
    from conformance import cases, pieces

    for module in (cases, pieces):
        for name in ("from_official", "from_image_vit"):
            unchanged = getattr(pretrained, name)

            def changed(*given, unchanged=unchanged, **named):
                state = unchanged(*given, **named)
                return state | {weight: change(state[weight])} if weight in state else state

            monkeypatch.setattr(module, name, changed, raising=False)
            if case.startswith("aux_vit"):
                monkeypatch.setattr(module, "from_official", pretrained.from_official)
    path = next(path for path in files(HERE) if path.stem == case)
    assert not compare(path).passed


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("bn_f2_b4", "grads/bottleneck"),
        ("bn_f2_b4", "f64/loss"),
        ("bn_f2_b4", "f64/eval/logits"),
        ("bn_f2_b4", "losses/softmax_ls0.1"),
        ("bn_f2_b4", "eval/hidden/layer_3/bottleneck_from_rgb"),
        ("bn_f1_b4_notestbn", "train/hidden/layer_2/rgb"),
        ("gap_sa_f2_share", "train/logits/all"),
        ("droppath_bn_f1", "drop/encoderblock_3/1"),
        ("mask_mixlabels_xa_f2", "labels/rgb"),
        ("aux_train3_bn_f2_b4", "after3/cls"),
        ("aux_metrics_ties", "single/accuracy_top_5"),
        ("aux_mixup", "mixmod_True/label/rgb"),
        ("aux_multihead_loss", "loss_dict_ls0.1"),
    ],
)
def test_a_number_that_is_another_is_noticed(tmp_path, case, key):
    with np.load(HERE / f"{case}.npz") as arrays:
        values = dict(arrays)
    values[key] = 1 - values[key] if key.startswith("drop/") else values[key] * 1.001 + 1e-4
    np.savez(tmp_path / f"{case}.npz", **values)
    found = compare(tmp_path / f"{case}.npz")
    assert not found.passed and "allowed" in found.line


def test_a_number_we_have_no_counterpart_of_fails(tmp_path):
    with np.load(HERE / "rgb_only.npz") as arrays:
        np.savez(tmp_path / "odd.npz", **arrays, **{"eval/hidden/something": np.zeros(3)})
    assert "layers inf (allowed" in compare(tmp_path / "odd.npz").line


def golden(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "conformance", str(folder)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_has_a_line_for_each_file_and_fails_if_one_does(tmp_path):
    for name in ("rgb_only.npz", "aux_temporal_indices.json"):
        shutil.copy(HERE / name, tmp_path)
    found = golden(tmp_path)
    lines = found.stdout.splitlines()
    assert found.returncode == 0 and len(lines) == 3
    assert [line.split()[1] for line in lines[:2]] == ["pass", "pass"]
    assert "logits" in lines[1] and "gradients" in lines[1] and "float64 logits" in lines[1]
    assert lines[2] == "2 files: 2 pass, 0 FAIL"

    (tmp_path / "damaged.npz").write_bytes(b"no zip")
    found = golden(tmp_path)
    assert found.returncode == 1
    assert "damaged" in found.stdout and "FAIL" in found.stdout
    assert found.stdout.splitlines()[-1] == "3 files: 2 pass, 1 FAIL"


def test_a_folder_without_files_is_no_success(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        found = golden(folder)
        assert found.returncode == 1 and "There are no reference files" in found.stderr


@pytest.mark.parametrize("what", ["momentum", "clip", "rate"])
def test_a_training_step_that_is_another_is_noticed(monkeypatch, what):
    from conformance import pieces

    if what == "clip":
        monkeypatch.setattr(pieces, "descend", lambda m, o, r, c: descent.descend(m, o, r, 2 * c))
    elif what == "rate":
        rate = descent.learning_rate
        monkeypatch.setattr(pieces, "learning_rate", lambda step, *rest: rate(step + 1, *rest))
    else:
        made = descent.optimizer_of

        def nesterov(*given):
            optimizer = made(*given)
            for group in optimizer.param_groups:
                group["nesterov"] = True
            return optimizer

        monkeypatch.setattr(pieces, "optimizer_of", nesterov)
    assert not compare(HERE / "aux_train3_bn_f2_b4.npz").passed
