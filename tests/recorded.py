"""Records of runs that were not trained: real ones, whose scores alone are made up."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mbt_cli.cost import cost
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.grid import Grid, load_grid
from mbt_cli.metrics import figures as figures_of
from mbt_cli.question import ask
from mbt_cli.recipes import SYNTHETIC
from mbt_cli.record import Record
from mbt_cli.runs import Run, run_folder
from mbt_cli.study import Study
from mbt_cli.task import Task

GROUPS = {
    "seen": ("warm", "early_flash"),
    "heard": ("high", "early_beep"),
    "both": ("rain",),
    "together": ("warm^high", "large^buzzy"),
    "in_time": ("in_time",),
}
CLIPS = 211


def manifest(
    groups: Mapping[str, tuple[str, ...]] = GROUPS,
    classes: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names),
    multi_label: bool = True,
) -> Manifest:
    entries = [Entry(f"test/{i:05d}", Path("none"), "test", (i % 2,)) for i in range(CLIPS)]
    return Manifest(tuple(entries), classes, multi_label, "0123456789ab", groups)


SMALL = manifest({"seen": ("warm", "large"), "together": ("warm^high",)},
                 ("warm", "large", "warm^high"))  # fmt: skip


def study_of(grid: Grid, clips: Manifest | None = None) -> Study:
    return ask(grid, "synthetic", SYNTHETIC, {}, clips or manifest())


def skill(one: Experiment, group: str) -> float:
    """How far scores of positives stand above those of negatives."""
    fuses = one.model.exchanges
    if group in ("together", "in_time"):
        return (3.0 if group == "together" else 1.6) * fuses
    return 4.0


def record(
    study: Study, one: Experiment, seed: int, results: Path, *,
    skilled: Callable[[Experiment, str], float] = skill, validation: float | None = None,
    **facts: Any,
) -> None:  # fmt: skip
    """A finished run whose scores are drawn at a given skill; all runs share their labels."""
    one = one.at("training.seed", seed)
    rng = np.random.default_rng([seed, int(one.cell, 16)])
    classes, groups = study.data.classes, study.data.groups
    member = {name: group for group, names in groups.items() for name in names}
    if study.data.multi_label:
        labels = (np.random.default_rng(0).random((CLIPS, len(classes))) < 0.5).astype(float)
    else:
        labels = np.eye(len(classes))[np.arange(CLIPS) % len(classes)]
    lift = [skilled(one, member.get(name, "")) for name in classes]
    scores = rng.standard_normal(labels.shape) + labels * lift
    found = figures_of(scores, labels, study.data.task)
    price = cost(one, len(classes))
    versions = {"python": "3.11.9", "mbt-cli": "0.1.0", "torch": "2.11.0"}
    run = Record(run_folder(results, one.key))
    run.begin(one, {
        "cost": {"parameters": price.parameters, "macs": price.macs}, "classes": list(classes),
        "multi_label": study.data.multi_label, "tagging": study.data.tagging,
        "left_out": {}, "code": "c0de00000001",
        "environment": {"versions": versions, "device_name": "a processor", "device": "cpu"},
        **facts,
    })  # fmt: skip
    run.evaluated(Evaluation(), found, scores, labels, [f"test/{i:05d}" for i in range(CLIPS)])
    best = {study.measure: found[study.measure] if validation is None else validation}
    run.finish(seconds=8.0 + seed, epoch=3, validation=best | {
        name: found[name] for name in ("F1_threshold",) if name in found})  # fmt: skip


def fill(study: Study, results: Path, seeds: int = 3, **how: Any) -> None:
    for one in study.experiments(seeds):
        record(study, one, one.training.seed, results, **how)


def reach(study: Study, results: Path, *validation: float, seeds: int = 3) -> None:
    """Every cell at every seed, with what each cell reaches on validation: that chooses."""
    for cell, reached in zip(study.cells, validation, strict=True):
        for seed in range(seeds):
            record(study, cell, seed, results, validation=reached)


def fields(**values: Any) -> Callable[[Experiment], Any]:
    """A grid's function: the base experiment at each value of one field."""
    (field, all_), = values.items()  # fmt: skip
    return lambda base: (base.at(field.replace("__", "."), value) for value in all_)


LAYERS = load_grid("fusion_layer")


def few() -> Grid:
    """Late fusion, and a bottleneck at L_f = 2 and 3 of 4 layers."""

    def cells(base: Experiment) -> Any:
        yield base.at("model.fusion", "late")
        yield from (base.at("model.fusion_layer", layer) for layer in (2, 3))

    return replace(LAYERS, cells=cells, name="few")


def lose(run: Run, *gone: str) -> None:
    """Makes a run one that could not read these test clips."""
    kept, facts = run.scores(Evaluation()), run.facts
    rows = ~np.isin(kept["names"], gone)
    scores, labels = kept["scores"][rows], kept["labels"][rows].astype(float)
    found = figures_of(scores, labels, Task(facts["classes"], True, groups=facts["groups"]))
    record = Record(run.folder)
    record.evaluated(Evaluation(), found, scores, labels, kept["names"][rows].tolist())
    record.finish(**{k: run.status[k] for k in ("seconds", "epoch", "validation")},
                  lost=dict.fromkeys(gone, "It is gone."))  # fmt: skip
