"""What looks wrong in a study's runs, so that its numbers are not taken for more than they are."""

from collections.abc import Iterable
from itertools import groupby
from statistics import fmean
from typing import Any

from mbt_cli.findings import Cell, Findings
from mbt_cli.runs import Run
from mbt_cli.words import count

NAMED = 4
"""Cells that a warning names; the rest it counts."""
RISE = 0.1
"""Overfitting: the validation loss has risen by this share of how far it had fallen."""
CLIMB = 0.005
"""Underfitting: what the measure gains in the last epoch, on average over seeds."""
ENOUGH_EPOCHS = 3
"""In fewer nothing is said of a trend."""


def symptoms(found: Findings) -> list[str]:
    """Every warning, a sentence or two each."""
    told = (_failed, _unusable, _overfitted, _underfitted)
    return [warning for tell in told for warning in tell(found)]


def epochs(run: Run) -> list[dict[str, Any]]:
    """What each epoch came to: `loss`, the mean of its rows' training losses, and `validation`,
    what was measured at its end; an epoch that a kill cut short has no validation."""
    found = []
    for epoch, rows in groupby(run.curve(), lambda row: row.get("epoch")):
        mine = [*rows]
        losses = [row["loss"] for row in mine if "loss" in row]
        ends = [row["validation"] for row in mine if "validation" in row]
        if losses and ends:
            found.append({"epoch": epoch, "loss": fmean(losses), "validation": ends[-1]})
    return found


def _failed(found: Findings) -> Iterable[str]:
    if found.failed:
        first = "; ".join(f"{title}: {why}" for title, why in [*found.failed.items()][:NAMED])
        more = f"; and {len(found.failed) - NAMED} more" if len(found.failed) > NAMED else ""
        yield (
            f"{count(len(found.failed), 'run')} failed ({first}{more}): the same command with"
            " `--retry-failed` runs them again."
        )


def _unusable(found: Findings) -> Iterable[str]:
    if found.unusable:
        lacks = "; ".join(f"`{key}` has {what}" for key, what in found.unusable.items())
        yield (
            f"{count(len(found.unusable), 'finished run')} cannot be reported, being of another"
            f" version of mbt-cli: {lacks}. Remove them with `mbt-cli runs remove`, and run them"
            " again."
        )


def _overfitted(found: Findings) -> Iterable[str]:
    def rises(run: Run) -> bool:
        losses = [one["validation"].get("loss") for one in epochs(run)]
        if len(losses) < ENOUGH_EPOCHS or None in losses:
            return False
        return losses[-1] - min(losses) > RISE * (losses[0] - min(losses))

    if cells := [cell for cell in found.cells if _most(cell, rises)]:
        yield (
            f"Overfitting: the validation loss of {_list(cells)} rose again by more than {RISE:.0%}"
            " of its fall before training ended. The weights that are scored are those of the best"
            " epoch, but a shorter or more regularised training may compare otherwise."
        )


def _underfitted(found: Findings) -> Iterable[str]:
    def climbs(run: Run) -> bool:
        reached = [one["validation"].get(found.measure) for one in epochs(run)]
        if len(reached) < ENOUGH_EPOCHS or None in reached:
            return False
        return reached[-1] == max(reached) and reached[-1] - reached[-2] > CLIMB

    if cells := [cell for cell in found.cells if _most(cell, climbs)]:
        yield (
            f"Underfitting: {found.measure} of {_list(cells)} still climbed by more than"
            f" {CLIMB} in the last epoch. With more epochs these cells may compare otherwise."
        )


def _most(cell: Cell, tells: Any) -> bool:
    """Whether it is so of more than half of the seeds."""
    return sum(map(tells, cell.runs)) * 2 > len(cell.runs)


def _list(cells: list[Cell]) -> str:
    more = f" and {len(cells) - NAMED} more" if len(cells) > NAMED else ""
    return ", ".join(cell.name for cell in cells[:NAMED]) + more
