"""What is asked to be compared: a run, a cell, or the cell that a study chose on validation.

04d4d0                                      a run, by the beginning of its key
cell:04d4d0                                 all runs of its cell
"bottleneck at L_f = 2"                     a cell, as a report calls it
fusion_layer:bottleneck at L_f = 2          the same, of this study or grid
fusion_layer-synthetic                      a study, or the grid of only one study
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import Findings, cell_name, findings_of
from mbt_cli.runs import FINISHED, Run, finished, run_of
from mbt_cli.study import Study, studies

KEY = re.compile("[0-9a-f]{1,10}")
CELL = "cell"
"""Before a key that stands for its cell."""


@dataclass(frozen=True)
class Side:
    """One of the two."""

    name: str
    runs: tuple[Run, ...]
    """Finished and scored on test."""
    single: bool = False
    """Whether it is a run, not a cell."""
    chosen_of: Findings | None = None
    """The study that chose this cell."""


def sides(results: Path, one: str, other: str) -> tuple[Side, Side]:
    """Both, by names that tell them apart.

    Raises UnknownName, or MbtError where a name means several things, where something has no
    scores, or where both have runs in common; only two studies may.
    """
    known = studies(results)
    a, b = (_side(results, known, asked.strip()) for asked in (one, other))
    both = {run.key for run in a.runs} & {run.key for run in b.runs}
    if both and not (a.chosen_of and b.chosen_of):
        raise MbtError(
            f"'{one}' and '{other}' have runs in common ({', '.join(sorted(both))}): give two that"
            " share none."
        )
    if a.name == b.name and not both:
        keys = ((side, side.runs[0].experiment.cell) for side in (a, b))
        a, b = (replace(side, name=f"{side.name} ({key})") for side, key in keys)
    return a, b


def _side(results: Path, known: Mapping[str, Study], asked: str) -> Side:
    grids = [study for study in known.values() if asked in (study.name, study.grid)]
    if len(grids) > 1 and asked not in known:
        raise _ambiguous(asked, "the grid", [study.name for study in grids])
    if grids:
        return _chosen(findings_of(known.get(asked, grids[0]), results))
    if found := _named(known.values(), asked):
        return _cell(results, asked, found)
    where, colon, rest = (part.strip() for part in asked.partition(":"))
    if colon and where == CELL:
        one = run_of(results, rest, done=False).experiment
        named = [(s, n) for s in known.values() for c, n in _names(s) if c == one.cell]
        title = named[0][1] if named else one.title
        return _of_cell(results, title, one.cell)
    if colon:
        within = [study for study in known.values() if where in (study.name, study.grid)]
        if not within:
            raise UnknownName(f"study in {results}", where, known)
        if found := _named(within, rest):
            return _cell(results, rest, found)
        raise UnknownName(f"cell of {where}", rest, {n for s in within for _, n in _names(s)})
    if KEY.fullmatch(asked):
        return _run(run_of(results, asked, done=False))
    names = {name for study in known.values() for _, name in _names(study)}
    grid_names = {study.grid for study in known.values()}
    raise UnknownName(f"run, cell or study in {results}", asked, {*known, *grid_names, *names})


def _run(run: Run) -> Side:
    if run.state != FINISHED:
        raise MbtError(f"Run {run.key} is {run.state}: only finished runs can be compared.")
    if run.figures(Evaluation()) is None:
        raise MbtError(
            f"Run {run.key} was not scored on test. Score it first: mbt-cli evaluate {run.key}"
        )
    one = run.experiment
    return Side(f"run {run.key} ({one.title}, seed {one.training.seed})", (run,), single=True)


def _chosen(found: Findings) -> Side:
    best = found.best
    return Side(f"{best.name} ({found.study.name})", tuple(best.runs), chosen_of=found)


def _cell(results: Path, asked: str, found: Mapping[str, str]) -> Side:
    """Of the one cell that is called so; `found` are studies by the cells' keys."""
    if len(found) > 1:
        raise _ambiguous(asked, "a cell", [f"{study}:{asked}" for study in found.values()])
    return _of_cell(results, asked, next(iter(found)))


def _of_cell(results: Path, name: str, key: str) -> Side:
    runs = [run for run in finished(results).values() if run.experiment.cell == key]
    runs = [run for run in runs if run.figures(Evaluation()) is not None]
    if not runs:
        raise MbtError(f"{name} has no finished run that was scored: run it with mbt-cli ablate.")
    return Side(name, tuple(sorted(runs, key=lambda run: run.experiment.training.seed)))


def _named(known: Iterable[Study], name: str) -> dict[str, str]:
    """The cells of this name by their keys, each with a study that calls it so."""
    return {key: study.name for study in known for key, called in _names(study) if called == name}


def _names(study: Study) -> list[tuple[str, str]]:
    """Every cell's key and name."""
    return [(cell.cell, cell_name(study, cell)) for cell in study.cells]


def _ambiguous(asked: str, what: str, meant: Sequence[str]) -> MbtError:
    return MbtError(
        f"'{asked}' is {what} of {len(meant)} studies: say which, as in"
        f" '{meant[0]}'. There are: {', '.join(sorted(meant))}."
    )
