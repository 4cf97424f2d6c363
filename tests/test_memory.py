"""A batch in parts gives the gradients of the whole."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch

from mbt_cli.architecture import MBT as Spec
from mbt_cli.architecture import AttendFusion
from mbt_cli.errors import MbtError
from mbt_cli.loss import loss
from mbt_cli.memory import gradients, halved
from mbt_cli.model import build
from mbt_cli.model.mbt import MBT

B, C = 13, 5
SHAPES = {"audio": (1, 6, 4), "video": (3, 2, 4, 4)}


def model(**changed):
    spec = Spec(fusion_layer=1, depth=3, width=14, heads=2, tubelet=(1, 2, 2), patch=(2, 2),
                bottlenecks=3, head_init="xavier", **changed)  # fmt: skip
    torch.manual_seed(7)
    return MBT(spec, SHAPES, C).double().train()


def found(one, clips, seed, targets, shapes=SHAPES):
    torch.manual_seed(3)
    views = {m: torch.randn(B, *shape, dtype=torch.float64) for m, shape in shapes.items()}

    def objective(views, targets):
        return loss(one(views), targets, True)

    value = gradients(one, objective, views, targets, clips, seed)
    grads = {name: p.grad.clone() for name, p in one.named_parameters() if p.grad is not None}
    one.zero_grad()
    return value, grads


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("clips", [1, 4, 7, 12, 13, 64])
def test_however_a_batch_is_cut_its_gradients_are_the_same(clips, share, each):
    """With dropped branches, labels for each modality, and a last part that is smaller; to the
    1e-8 clips that the official mean adds to their number."""
    one = model(stochastic_depth=0.6, share_weights=share)
    targets = torch.rand(B, C, dtype=torch.float64)
    targets = {"audio": targets, "video": 1 - targets} if each else targets
    value, whole = found(one, B, 11, targets)
    again, parts = found(one, clips, 11, targets)
    assert again.item() == pytest.approx(value.item(), rel=1e-8)
    assert whole.keys() == parts.keys()
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-7, atol=1e-8)
    other = found(one, B, 12, targets)[1]
    assert any((other[name] - whole[name]).abs().max() > 1e-3 for name in whole)


@pytest.mark.parametrize("tokens", ["chunks", "vectors"])
@pytest.mark.parametrize("clips", [1, 4, 12, 64])
def test_so_it_is_where_outputs_of_fully_connected_layers_are_dropped(clips, tokens):
    spec = AttendFusion(
        fusion="hybrid", block="gated", widths=(7, 11), attention_layers=1, attention_width=15,
        chunks=5, tokens=tokens, fused_widths=(17,), dropout=0.4,
    )  # fmt: skip
    torch.manual_seed(7)
    shapes = {"audio": (5, 3), "video": (7, 3)}
    one = build(spec, shapes, C).double().train()
    targets = torch.rand(B, C, dtype=torch.float64)
    value, whole = found(one, B, 11, targets, shapes)
    again, parts = found(one, clips, 11, targets, shapes)
    assert again.item() == pytest.approx(value.item(), rel=1e-8)
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-7, atol=1e-8)
    other = found(one, B, 12, targets, shapes)[1]
    assert any((other[name] - whole[name]).abs().max() > 1e-3 for name in whole)


def test_without_a_seed_nothing_is_drawn():
    before = torch.get_rng_state()
    one = model()
    torch.set_rng_state(before)
    views = {m: torch.ones(B, *shape, dtype=torch.float64) for m, shape in SHAPES.items()}
    targets = torch.ones(B, C, dtype=torch.float64)
    gradients(one, lambda v, t: loss(one(v), t, True), views, targets, 4, None)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB)"),
])  # fmt: skip
def test_out_of_memory_halves_until_there_is_one_clip(error):
    assert [halved(n, error) for n in (64, 13, 3, 2)] == [32, 7, 2, 1]
    with pytest.raises(MbtError, match="Out of memory with one clip at a time"):
        halved(1, error)


def test_another_error_stays_itself():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        halved(8, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


SHORT = """
import os, resource, sys
from pathlib import Path
import torch
from mbt_cli import data
from mbt_cli.recipes import recipe
from mbt_cli.train import fit
from tests_of_memory import Kept, experiment

how = experiment()
manifest = data.open_manifest(how.data)
cached = data.make_ready(how.data, manifest, data.one_by_one)
torch.set_num_threads(1)
fit(how.at("training.batch_size", 4).at("training.epochs", 1), cached, Kept())
if sys.argv[1] == "short":
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 60 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
fitted = fit(how, cached, log := Kept())
print(fitted.micro_batch, [row["micro_batch"] for row in log.rows if "micro_batch" in row])
print(*[f"{row['loss']:.4f}" for row in log.rows if "loss" in row])
"""
PARTS = """
from mbt_cli.recipes import recipe

def experiment():
    base = recipe("synthetic")
    for name, value in {
        "data.train": 128, "data.validation": 16, "data.test": 16, "training.epochs": 1,
        "training.batch_size": 128, "model.width": 64, "model.stochastic_depth": 0.3,
        "training.mixup": 0.4, "model.tubelet": "2,4,4",
    }.items():
        base = base.at(name, value)
    return base

class Kept:
    def __init__(self): self.rows = []
    def row(self, values): self.rows.append(values)
    def best(self, weights): pass
    def step(self, state, *, last): pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_where_memory_is_short_a_run_goes_on_with_less_at_a_time(tmp_path):
    """A real limit of the process's memory, and the same losses."""
    (tmp_path / "tests_of_memory.py").write_text(PARTS)
    run = partial(subprocess.run, check=True, capture_output=True, text=True, cwd=tmp_path)
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    env = os.environ | {"MBT_CACHE": str(tmp_path / "cache"), "PYTHONPATH": paths}
    said = [
        run([sys.executable, "-c", SHORT, how], env=env).stdout.splitlines()
        for how in ("whole", "short")
    ]
    assert said[0][0] == "128 []"
    clips, tried = said[1][0].split(" ", 1)
    assert int(clips) < 128 and tried.startswith("[64") and tried.endswith(f"{clips}]")
    assert said[1][1] == said[0][1]
