"""A report on 500 runs: 100 cells of 5 seeds, 1,000 clips of 16 labels; first, and once more.

What takes time the first time is drawing the clips again; that is kept beside the runs' scores. The
runs were not trained: their scores are made up, all else of them is real.

    python benchmarks/report.py
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mbt_cli.cost import cost
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.grid import Grid
from mbt_cli.metrics import figures
from mbt_cli.question import ask
from mbt_cli.recipes import SYNTHETIC
from mbt_cli.record import Record
from mbt_cli.report import report
from mbt_cli.runs import run_folder
from mbt_cli.study import Study

CLIPS, LABELS, SEEDS, EPOCHS = 1000, 16, 5, 5
LAYERS, BOTTLENECKS = range(4), range(1, 26)


def cells(base: Experiment) -> Iterator[Experiment]:
    for layer in LAYERS:
        for many in BOTTLENECKS:
            yield base.at("model.fusion_layer", layer).at("model.bottlenecks", many)


def study() -> Study:
    grid = Grid(
        cells, x="model.bottlenecks", by="model.fusion_layer", name="many", source="many.py"
    )
    entries = [Entry(f"test/{i:05d}", Path("none"), "test", (0,)) for i in range(CLIPS)]
    classes = tuple(f"label {i}" for i in range(LABELS))
    return ask(
        grid, "synthetic", SYNTHETIC, {}, Manifest(tuple(entries), classes, True, "0" * 12, {})
    )


def fill(asked: Study, results: Path) -> None:
    labels = (np.random.default_rng(0).random((CLIPS, LABELS)) < 0.2).astype(float)
    for one in asked.experiments(SEEDS):
        rng = np.random.default_rng(int(one.key, 16))
        scores = (rng.standard_normal(labels.shape) + 1.5 * labels).astype(np.float32)
        found = figures(scores, labels, asked.data.classes, groups={}, multi_label=True)
        price, run = cost(one, LABELS), Record(run_folder(results, one.key))
        run.begin(one, {
            "cost": {"parameters": price.parameters, "macs": price.macs}, "multi_label": True,
            "classes": list(asked.data.classes), "left_out": {}, "code": "0" * 12,
            "environment": {"versions": {"torch": "0"}, "device_name": "none", "device": "cpu"},
        })  # fmt: skip
        for epoch in range(1, EPOCHS + 1):
            run.row({"epoch": epoch, "step": epoch, "loss": 1 / epoch})
            run.row(
                {"epoch": epoch, "step": epoch, "validation": {"mAP": found["mAP"], "loss": 1.0}}
            )
        run.evaluated(
            Evaluation(),
            found,
            scores,
            labels,
            [f"test/{i:05d}" for i in range(CLIPS)],
        )
        run.finish(seconds=1.0, epoch=EPOCHS, validation=found, lost={})


def main() -> None:
    asked = study()
    with TemporaryDirectory() as folder:
        fill(asked, results := Path(folder))
        times = []
        for _ in range(2):
            began = time.perf_counter()
            report(replace(asked), results)
            times.append(time.perf_counter() - began)
    first, again = times
    print(f"{len(asked.cells) * SEEDS} runs: first {first:.1f} s, from what is kept {again:.1f} s,"
          f" {first / again:.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
