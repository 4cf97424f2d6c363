"""What each cell of a grid costs, before anything is trained: a price list, also as CSV. No torch.

The clips are not needed: shapes and classes are known without them.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mbt_cli.cost import Cost, as_published, cost
from mbt_cli.data import classes_of, open_manifest
from mbt_cli.dataset import Rendered
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid
from mbt_cli.names import differing, plain, value
from mbt_cli.study import TOLD


@dataclass(frozen=True)
class Price:
    """Of one forward pass of a cell's model over one clip, one view."""

    cell: Experiment
    classes: int
    """That it learns."""
    cost: Cost
    published: int
    """Multiply-accumulates in the form of the official code."""
    late: int
    """Multiply-accumulates of late fusion in the same model."""

    @property
    def over_late(self) -> float:
        """Executed cost over late fusion's, as a fraction: 0.1 is 10 % more."""
        return self.cost.macs / self.late - 1

    @property
    def published_over_late(self) -> float:
        """The same of the cost as published."""
        return self.published / self.late - 1

    @property
    def key(self) -> str:
        """Of the cell's run at seed 0; empty where clips have a say in it that are not here."""
        return self.cell.cell if self.cell.data.fingerprint else ""


def prices(grid: Grid, base: Experiment) -> list[Price]:
    """The cells of a grid in its order, with what each costs."""
    if isinstance(base.data, Rendered):
        fingerprint = open_manifest(base.data).fingerprint
        base = replace(base, data=replace(base.data, fingerprint=fingerprint))
    return [_price(cell) for cell in grid.ask(base)]


def further(grid: Grid, base: Experiment) -> list[str]:
    """The fields that a grid varies and that strategy and L_f do not tell."""
    varied = dict.fromkeys((grid.by, grid.x, *differing(list(grid.cells(base)))))
    return [name for name in varied if name not in TOLD]


def row(price: Price, fields: Sequence[str]) -> dict[str, Any]:
    """A price as plain values under the names of columns."""
    return {
        "key": price.key,
        **{name: plain(value(price.cell, name)) for name in (*TOLD, *fields)},
        "parameters": price.cost.parameters,
        "gmacs": price.cost.gmacs,
        "gflops": price.cost.gflops,
        "over_late": price.over_late,
        "as_published_gmacs": price.published / 1e9,
        "as_published_over_late": price.published_over_late,
    }


def save(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows of the same columns as CSV. Raises MbtError."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise MbtError(f"--csv {path} cannot be written ({error.strerror}).") from error


def writable(path: Path) -> None:
    """Raises MbtError where no file can be written there: asked before long work begins."""
    if path.is_dir():
        raise MbtError(
            f"--csv {path} is a folder: give the name of a file, as {path / 'cost.csv'}."
        )
    if not path.parent.is_dir():
        raise MbtError(
            f"--csv {path} has no place: there is no folder {path.parent}. Make it first."
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise MbtError(f"--csv {path} cannot be written (Permission denied). Choose another file.")


def _price(cell: Experiment) -> Price:
    if (classes := classes_of(cell.data)) is None:
        raise MbtError(
            f"How many classes {cell.data.dataset} has, only its clips tell: mbt-cli ablate --plan"
            " with --data prices the same cells."
        )
    classes = cell.learns(classes)
    late = cost(cell.at("model.fusion", "late"), classes)
    return Price(cell, classes, cost(cell, classes), as_published(cell, classes), late.macs)
