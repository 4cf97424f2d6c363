"""A study's findings as plain values: tables of cells and of runs, and `report.json`."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mbt_cli.contrasts import Contrast, Contrasts
from mbt_cli.findings import Cell, Findings, machine
from mbt_cli.names import encodable, plain, word
from mbt_cli.statistics import summary
from mbt_cli.tagging import SHOWN

FORMAT = 1
"""Of `report.json`."""
WORTH = 0.01
"""The difference for which seeds are planned: one point of the measure."""
MANY = 1000
"""Classes from which on each one's figures are no columns."""


def table(found: Findings) -> pd.DataFrame:
    """One row a cell, numbers as numbers; what is not known is NaN."""
    study, measure = found.study, found.measure
    rows = []
    for cell in found.cells:
        one = cell.experiment
        row: dict[str, Any] = {
            word(field): plain(study.value(one, field)) for field in study.columns
        }
        row |= {"parameters": cell.cost.parameters, "GMACs": cell.cost.gmacs}
        row |= {"GFLOPs": cell.cost.gflops, "over late": cell.overhead, "n": len(cell.runs)}
        for name in SHOWN if study.data.tagging else (measure,):
            row |= _numbers(name, cell.test(name))
        row[f"validation {measure}"] = _numbers("", cell.validation(measure))[""]
        for group in study.data.groups:
            for figure in ("mAP", "AUC"):
                row |= _numbers(f"{group} {figure}", cell.test("groups", group, figure))
        times = [run.status["seconds"] for run in cell.runs if "seconds" in run.status]
        row["seconds"] = _numbers("", times)[""]
        paces = [run.status["latency"]["median_ms"] for run in cell.runs if "latency" in run.status]
        row["ms a clip"] = _numbers("", paces)[""]
        rows.append(row | {"silent": cell.silent, "chosen": cell is found.best})
    return pd.DataFrame(rows)


def runs_table(found: Findings) -> pd.DataFrame:
    """One row a run, with every figure of it on the clips of the table (of very many classes
    without each one's own, which are in the record), and what it ran on."""
    validation, rows = f"validation {found.measure}", []
    for run, figures in found.figures:
        one = run.experiment
        row = {"key": run.key} | {
            field: plain(found.study.value(one, field)) for field in found.study.varied
        }
        row |= {"seed": one.training.seed, "parameters": run.cost.parameters}
        row |= {"gmacs": run.cost.gmacs, "gflops": run.cost.gflops}
        row |= {name: v for name, v in figures.items() if not isinstance(v, dict | list)}
        for kind in ("groups",) if len(found.study.data.classes) > MANY else ("groups", "classes"):
            for name, one in figures[kind].items():
                of = f"{kind}.{encodable(name)}"
                row |= {f"{of}.{figure}": value for figure, value in one.items()}
        row |= {validation: run.status["validation"][found.measure]}
        row |= {"best epoch": run.status.get("epoch"), "seconds": run.status.get("seconds")}
        rows.append(row | {"code": run.code} | machine(run))
    return pd.DataFrame(rows)


def record(
    found: Findings, told: Contrasts, answer: str, notes: Sequence[str], warnings: Sequence[str]
) -> dict[str, Any]:
    """`report.json`: everything that the report says in numbers, for other programs."""
    study = found.study
    return {
        "format": FORMAT,
        "study": study.name,
        "grid": study.grid,
        "recipe": study.recipe,
        "settings": dict(study.settings),
        "question": study.question,
        "answer": answer,
        "measure": found.measure,
        "chosen": found.best.name,
        "n_runs": len(found.runs),
        "data": {
            "dataset": study.data.dataset,
            "fingerprint": study.data.fingerprint,
            "clips": dict(study.data.clips),
            "expected": dict(study.data.expected),
            "left_out": found.left_out,
            "classes": list(study.data.classes),
        },
        "cells": [_cell(found, cell) for cell in found.cells],
        "with_late_fusion": [_contrast(one) for one in told.late],
        "with_one_modality": [_contrast(one) for one in told.alone],
        "with_the_chosen": [_contrast(one) for one in told.chosen],
        "warnings": list(warnings),
        "notes": list(notes),
        "code": sorted({run.code for run in found.runs}),
        "hardware": [
            dict(one) for one in dict.fromkeys(tuple(machine(run).items()) for run in found.runs)
        ],
    }


def _cell(found: Findings, cell: Cell) -> dict[str, Any]:
    measure = found.measure
    return {
        "name": cell.name,
        "settings": {
            field: plain(found.study.value(cell.experiment, field)) for field in found.study.varied
        },
        "parameters": cell.cost.parameters,
        "macs": cell.cost.macs,
        "over_late": cell.overhead,
        "exchanges": cell.exchanges,
        "keys": [run.key for run in cell.runs],
        "seeds": [run.experiment.training.seed for run in cell.runs],
        "test": cell.test(measure),
        **_tagging(found, cell),
        "validation": cell.validation(measure),
        "groups": {
            group: {figure: cell.test("groups", group, figure) for figure in ("mAP", "AUC")}
            for group in found.study.data.groups
        },
    }


def _tagging(found: Findings, cell: Cell) -> dict[str, Any]:
    """Where clips are tagged, every measure, and at which threshold F1 is."""
    if not found.study.data.tagging:
        return {}
    return {"measures": {name: cell.test(name) for name in (*SHOWN, "F1_threshold")}}


def _contrast(one: Contrast) -> dict[str, Any]:
    told: dict[str, Any] = {"one": one.one.name, "other": one.other.name, "trouble": one.trouble}
    if (known := one.difference) is None:
        return told
    errors = known.errors
    return told | {
        "estimate": known.estimate,
        "interval": [known.low, known.high],
        "seeds": list(known.seeds),
        "clip_groups": errors.groups,
        "error_of_seeds": errors.seeds,
        "error_of_clips": errors.clips,
        "p": known.p,
        "p_holm": one.holm,
        "p_bh": one.bh,
        "tests": one.tests,
        "detectable": errors.detectable() if errors.seeds is not None else None,
        f"seeds_needed_for_{WORTH}": (
            errors.seeds_needed(WORTH) if errors.seeds is not None else None
        ),
    }


def _numbers(name: str, values: Sequence[float]) -> dict[str, float]:
    found = summary(values) if values else None
    spread = found.spread if found else None
    return {
        name: found.mean if found else float("nan"),
        f"{name} spread": float("nan") if spread is None else spread,
    }
