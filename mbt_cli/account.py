"""What a record, or a study's report, gives MLflow account of: its entry. Computes only."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from mbt_cli import findings, settings
from mbt_cli.claim import held
from mbt_cli.entry import Entry, Point
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import Findings
from mbt_cli.runs import FAILED, FINISHED, RUNNING, Run
from mbt_cli.statistics import summary
from mbt_cli.study import Study, title

KILLED = "killed"
"""Not finished, and nobody works on it."""
LONGEST = 5000
"""Characters of a tag or a parameter: what every MLflow since 2.8 takes whole."""


def of_run(run: Run, studies: Sequence[Study]) -> Entry | None:
    """A record and the studies that hold it; None where it has not begun, or is gone."""
    if run.state == RUNNING and not held(run.folder):
        run = Run(run.folder)  # it may have ended since it was read
        state = KILLED if run.state == RUNNING else run.state
    else:
        state = run.state
    # the state before the rows: a run that ended has all of them
    if not run.status or not run.facts:
        return None
    curve, status = run.curve(), run.status
    started, written = _ms(status["started"]), _ms(status["written"])
    last = round(1000 * curve[-1]["time_s"]) if curve else 0
    ended = {RUNNING: None, KILLED: max(written, last)}.get(state, written)
    grids: dict[str, list[str]] = {}
    for study in studies:
        grids.setdefault(_name(f"grid.{study.grid}"), []).append(study.name)
    tags = {
        "key": run.key,
        "mlflow.runName": title(run.experiment, studies),
        "started": status["started"],
        **{grid: ", ".join(sorted(names)) for grid, names in grids.items()},
        **({"error": status["error"]} if state == FAILED else {}),
    }
    cost = {name: float(getattr(run.cost, name)) for name in ("parameters", "gmacs", "gflops")}
    figures = run.figures(Evaluation()) if state == FINISHED else None
    return Entry(
        ("key", run.key), "started", _clipped(tags), _params(run.experiment.flat()),
        cost | _numbers("test/", figures or {}), started, ended, state.upper(),
        [list(_points(row)) for row in curve],
    )  # fmt: skip


def of_report(found: Findings, folder: Path) -> Entry:
    """A study's report as it lies in its folder: the cell it chose, and all its files."""
    study, best, measure = found.study, found.best, found.measure
    written = max(_ms(run.status["written"]) for run in found.runs)
    question, answer = study.question.strip(), findings.answer(found)
    tags = {
        "summary": study.name,
        "mlflow.runName": f"report {study.name}",
        "mlflow.note.content": f"{question}\n\n**Answer.** {answer}".strip(),
        _name(f"grid.{study.grid}"): study.name,
        "grid": study.grid,
        "recipe": study.recipe,
        "question": question.partition("\n")[0],
        "chosen": best.name,
        "chosen.cell": best.experiment.cell,
    }
    validation, test = summary(best.validation(measure)), summary(best.test(measure))
    totals = {
        "cells": len(found.cells),
        "runs": len(found.runs),
        f"chosen/validation/{measure}": validation.mean,
        f"chosen/test/{measure}": test.mean,
        f"chosen/test/{measure} spread": test.spread,
        "chosen/gmacs": best.cost.gmacs,
    }
    flat = {name: v for name, v in best.experiment.flat().items() if name != "training.seed"}
    return Entry(
        ("summary", study.name), "chosen.cell", _clipped(tags), _params(flat),
        _numbers("", totals), written, written, "FINISHED", (), folder, _files(folder),
    )  # fmt: skip


def _files(folder: Path) -> dict[str, str]:
    """The digests of a folder's files."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {
        path.name: sha256(path.read_bytes()).hexdigest()[:10]
        for path in files
        if path.suffix != ".part" and not path.name.startswith(".")
    }


def _params(flat: Mapping[str, Any]) -> dict[str, str]:
    """Every field, as --set takes it."""
    return _clipped({name: settings.text(value) for name, value in flat.items()})


def _points(row: Mapping[str, Any]) -> Iterator[Point]:
    numbers = _numbers("", row) | _numbers("validation/", row.get("validation", {}))
    for name in sorted(numbers.keys() - {"time_s", "step", "epoch"}):
        yield name, numbers[name], round(1000 * row["time_s"]), row["step"]


def _numbers(prefix: str, figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures that are defined, then those of each group."""
    found = {
        _name(prefix + name): float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    for group, of_group in figures.get("groups", {}).items():
        found |= _numbers(f"{prefix}{group}/", of_group)
    return found


def _ms(moment: str) -> int:
    return round(1000 * datetime.fromisoformat(moment).timestamp())


def _name(text: str) -> str:
    """In the characters that MLflow allows metrics and tags."""
    return re.sub(r"[^\w./ -]", "_", text)[:250]


def _clipped(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:LONGEST] for name, text in texts.items()}
