"""What looks wrong in a study's runs, so that its numbers are not taken for more than they are."""

from collections.abc import Callable, Iterable, Sequence

from mbt_cli.courses import Curve, course
from mbt_cli.findings import Cell, Findings
from mbt_cli.probes import COLLAPSED
from mbt_cli.tried import Tried
from mbt_cli.words import count, percent

NAMED = 4
"""Cells that a warning names; the rest it counts."""
RISE = 0.1
"""Overfitting: the validation loss has risen by this share of how far it had fallen."""
CLIMB = 0.005
"""Underfitting: what the measure gains in the last epoch, on average over seeds."""
MATTERS = 0.005
"""A modality is ignored where the measure moves by less when it is taken away."""
ENOUGH_EPOCHS = 3
"""In fewer nothing is said of a trend."""


def symptoms(found: Findings, tried: Tried) -> list[str]:
    """Every warning, a sentence or two each."""
    of_runs = (_failed, _unusable, _overfitted, _underfitted)
    of_probes = (_ignored, _collapsed)
    warnings = [warning for tell in of_runs for warning in tell(found)]
    return [*warnings, *(warning for tell in of_probes for warning in tell(tried))]


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
    def rises(curve: Curve) -> bool:
        losses = [*curve.values()]
        return losses[-1] - min(losses) > RISE * (losses[0] - min(losses))

    if cells := [cell for cell in found.cells if _most(course(cell, found).validation, rises)]:
        yield (
            f"Overfitting: the validation loss of {_list(cells)} rose again by more than"
            f" {percent(RISE)} of its fall before training ended. The weights that are scored are"
            " those of the best epoch, but a shorter or more regularised training may compare"
            " otherwise."
        )


def _underfitted(found: Findings) -> Iterable[str]:
    def climbs(curve: Curve) -> bool:
        *_, before, last = curve.values()
        return last == max(curve.values()) and last - before > CLIMB

    if cells := [cell for cell in found.cells if _most(course(cell, found).measure, climbs)]:
        yield (
            f"Underfitting: {found.measure} of {_list(cells)} still climbed by more than"
            f" {CLIMB} in the last epoch. With more epochs these cells may compare otherwise."
        )


def _ignored(tried: Tried) -> Iterable[str]:
    for cell, of in tried.reliance.items():
        for modality, falls in of.items():
            if falls and max(map(abs, falls)) < MATTERS:
                yield (
                    f"{cell} ignores {modality}: with the mean view in place of it,"
                    f" {tried.measure} moves by less than {MATTERS} at every seed."
                )


def _collapsed(tried: Tried) -> Iterable[str]:
    for cell, lines in tried.collapsed.items():
        more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
        yield (
            f"Collapsed attention in {cell}: {'; '.join(lines[:NAMED])}{more}. Its queries read"
            f" little more than one key each (entropy below {COLLAPSED} of that of equal shares)."
        )


def _most(curves: Sequence[Curve], tells: Callable[[Curve], bool]) -> bool:
    """Whether it is so of more than half of the seeds, of those that are long enough."""
    told = [tells(curve) for curve in curves if len(curve) >= ENOUGH_EPOCHS]
    return 2 * sum(told) > len(curves)


def _list(cells: list[Cell]) -> str:
    more = f" and {len(cells) - NAMED} more" if len(cells) > NAMED else ""
    return ", ".join(cell.name for cell in cells[:NAMED]) + more
