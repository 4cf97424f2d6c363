"""Records of runs that were not trained: real ones, but for their scores, which are made up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mbt_cli.cost import cost
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.grid import Grid, load_grid
from mbt_cli.metrics import figures
from mbt_cli.question import ask
from mbt_cli.recipes import SYNTHETIC
from mbt_cli.record import Record
from mbt_cli.runs import Run, run_folder
from mbt_cli.study import Study
from mbt_cli.task import Task

CLASSES = ("warm", "high", "rain", "warm^high", "in_time")
GROUPS = {"seen": ("warm",), "together": ("warm^high", "in_time")}
CLIPS = 101


def few(name: str = "few", layers: Sequence[int] = (2, 3)) -> Grid:
    """Late fusion, and a bottleneck at some of 4 layers."""

    def cells(base: Experiment) -> Any:
        yield base.at("model.fusion", "late")
        yield from (base.at("model.fusion_layer", layer) for layer in layers)

    return replace(load_grid("fusion_layer"), cells=cells, name=name)


def study_of(grid: Grid, results: Path, **how: Any) -> Study:
    """Asked of the made-up clips, and kept."""
    facts = {"classes": CLASSES, "multi_label": True, "groups": GROUPS,
             "fingerprint": "0123456789ab", **how}  # fmt: skip
    entries = [Entry(name, Path("none"), "test", (0,)) for name in names()]
    made = Manifest(tuple(entries), facts["classes"], facts["multi_label"], facts["fingerprint"],
                    facts["groups"])  # fmt: skip
    study = ask(grid, "synthetic", SYNTHETIC, {}, made)
    study.save(results)
    return study


def names(many: int = CLIPS) -> list[str]:
    return [f"test/{i:05d}" for i in range(many)]


def truth(many: int = CLIPS, classes: int = len(CLASSES)) -> np.ndarray:
    """Labels (clips, classes), the same every time."""
    return (np.random.default_rng(7).random((many, classes)) < 0.4).astype(np.float32)


def record(
    study: Study, cell: Experiment, seed: int, results: Path, *, lift: float | np.ndarray = 2.0,
    labels: np.ndarray | None = None, clips: Sequence[str] | None = None,
    groups: Sequence[str] = (), validation: float = 0.5, heads: Mapping[str, int] | None = None,
    scores: np.ndarray | None = None, **facts: Any,
) -> Run:  # fmt: skip
    """A finished run whose positives score so much higher."""
    one = cell.at("training.seed", seed)
    labels, clips = truth() if labels is None else labels, list(clips or names())
    if scores is None:
        noise = np.random.default_rng([seed, int(one.cell, 16)]).standard_normal(labels.shape)
        scores = (noise + labels * lift - 1).astype(np.float32)
    known, groups_of = list(study.data.classes), study.data.groups
    task = Task(known, study.data.multi_label, groups=groups_of, heads=heads or {})
    found = figures(scores, labels, task)
    price = cost(one, len(known))
    versions = {"python": "3.11.9", "mbt-cli": "0.1.0", "torch": "2.11.0"}
    run = Record(run_folder(results, one.key))
    run.begin(one, {
        "cost": {"parameters": price.parameters, "macs": price.macs}, "classes": known,
        "groups": {name: list(of) for name, of in groups_of.items()}, "heads": dict(heads or {}),
        "multi_label": study.data.multi_label, "left_out": {}, "code": "c0de00000001",
        "environment": {"versions": versions, "device_name": "a processor", "device": "cpu"},
        **facts,
    })  # fmt: skip
    run.row({"step": 1, "epoch": 1, "loss": 0.5})
    run.evaluated(Evaluation(), found, scores, labels, clips, groups)
    best = {study.measure: validation}
    run.finish(seconds=8.0 + seed, epoch=3, validation=best)
    return Run(run.folder)
