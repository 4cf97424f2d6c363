"""What a study's runs say: a value for each cell, and the answer in a sentence.

The cell chosen on validation gives the answer, on test; all else is exploratory and says so.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mbt_cli.cost import Cost, cost, overhead
from mbt_cli.dataset import Rendered
from mbt_cli.errors import MbtError
from mbt_cli.experiment import MODEL, Evaluation, Experiment
from mbt_cli.names import plain, value, word
from mbt_cli.runs import FAILED, Run
from mbt_cli.statistics import ENOUGH_SEEDS, summary
from mbt_cli.study import Study
from mbt_cli.words import count


@dataclass(frozen=True)
class Cell:
    """A point of the grid, and its finished runs."""

    name: str
    experiment: Experiment
    runs: Sequence[Run]
    cost: Cost
    overhead: float
    """Executed cost over late fusion's, as a fraction."""
    exchanges: bool
    """Whether any modality can come to depend on another."""
    common: frozenset[str] | None = None
    """The test clips that all runs of the study scored, where some scored others than others."""

    @cached_property
    def figures(self) -> list[Any]:
        """Every run's figures on the test clips that all runs scored."""
        return [run.figures_on(self.common) for run in self.runs]

    def test(self, *path: str) -> list[float]:
        """A figure of every run on the test clips, where it is defined."""
        found = self.figures
        for part in path:
            found = [value[part] for value in found]
        return [float(value) for value in found if value is not None]

    def validation(self, measure: str) -> list[float]:
        """The measure of every run on the validation clips, at its best epoch."""
        return [float(run.status["validation"][measure]) for run in self.runs]

    @property
    def late(self) -> bool:
        return self.experiment.model.fusion == "late"

    @property
    def vocabulary(self) -> object:
        """How many of the first classes it is asked for."""
        return value(self.experiment, "data.vocabulary")

    @property
    def several(self) -> bool:
        """Whether it is given several modalities."""
        return len(self.experiment.model.modalities) > 1

    @property
    def silent(self) -> bool:
        """Fusion by name that can exchange nothing."""
        return not (self.exchanges or self.late)


@dataclass(frozen=True)
class Findings:
    """A study and its cells, in the grid's order."""

    study: Study
    cells: Sequence[Cell]
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why runs failed, by their titles."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """What finished runs lack to be in a report, by their keys."""

    @property
    def measure(self) -> str:
        return self.study.measure

    @property
    def runs(self) -> list[Run]:
        """Every finished run."""
        return [run for cell in self.cells for run in cell.runs]

    @property
    def figures(self) -> list[tuple[Run, Any]]:
        """Every finished run with its figures, on the test clips that all runs scored."""
        return [both for cell in self.cells for both in zip(cell.runs, cell.figures, strict=True)]

    @cached_property
    def best(self) -> Cell:
        """The cell with the highest mean on validation; of equals the first."""
        return best_of([cell for cell in self.cells if cell.runs], self.measure)

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Clips that could not be read, and why."""
        lost = {name: why for run in self.runs for name, why in run.unread.items()}
        return dict(sorted(lost.items()))


def best_of(cells: Sequence[Cell], measure: str) -> Cell:
    """The cell with the highest mean on validation; of equals the first."""
    return max(cells, key=lambda cell: summary(cell.validation(measure)).mean)


def by_modality(one: Experiment) -> dict[str, Experiment]:
    """The same experiment with each of its modalities alone."""
    late = one.at("model.fusion", "late")
    return {name: late.at("model.modalities", name) for name in one.model.modalities}


def findings_of(study: Study, results: Path) -> Findings:
    """What the records hold of a study. Raises MbtError where no run is finished."""
    found, unusable = study.runs_of(results), dict[str, str]()
    for name, runs in found.items():
        unusable |= {run.key: lacks for run in runs if (lacks := _lacks(run, study))}
        found[name] = [run for run in runs if run.key not in unusable]
    failed = [run for runs in study.runs_of(results, FAILED).values() for run in runs]
    if not any(found.values()):
        trouble = [f"{len(failed)} failed"] if failed else []
        trouble += [f"run {key} has {lacks}" for key, lacks in unusable.items()]
        told = f" ({'; '.join(trouble)})" if trouble else ""
        again = " --retry-failed" if failed else ""
        raise MbtError(
            f"{results} holds no finished run of {study.name}{told}. Run them:"
            f" {command(study)}{again}"
        )
    cells, common = [], _common([run for runs in found.values() for run in runs])
    for one in study.cells:
        classes, talks = len(study.data.classes), one.model.exchanges
        price, extra = cost(one, classes), overhead(one, classes)
        cells.append(Cell(cell_name(study, one), one, found[one.cell], price, extra, talks, common))
    why = {study.title(run.experiment): str(run.status.get("error")) for run in failed}
    return Findings(study, cells, why, unusable)


def _lacks(run: Run, study: Study) -> str:
    """What a report needs and a finished run's record has not; empty where it has all."""
    evaluated = run.figures(Evaluation())
    if evaluated is None:
        return "no test scores"
    try:
        for name in (study.measure, "clips", "classes", "left_out"):
            evaluated[name]
        for group in study.data.groups:
            evaluated["groups"][group]
        run.status["validation"][study.measure]
        if evaluated[study.measure] is None:
            return f"no {study.measure}, for no test clip has a label"
        return "" if run.cost.macs else "no cost"
    except (KeyError, TypeError) as error:
        return f"no {error.args[0]}"


def _common(runs: Sequence[Run]) -> frozenset[str] | None:
    """The test clips that all runs scored; None where each scored the same ones."""
    if len({frozenset(run.unread) for run in runs}) == 1:
        return None
    names = [frozenset(run.scores(Evaluation())["names"].tolist()) for run in runs]
    return frozenset.intersection(*names) if len(set(names)) > 1 else None


def answer(found: Findings) -> str:
    """The one sentence that validation chose and test says."""
    best, cells, measure = found.best, found.cells, found.measure
    said = (
        f"Of {count(len(cells), 'cell')}, {best.name} is best on the validation clips; on the test"
        f" clips it reaches {measure} {summary(best.test(measure))}"
    )
    twin = best.experiment.at("model.fusion", "late").cell
    late = [cell for cell in cells if cell.experiment.cell == twin and cell.runs]
    if best.late or not late:
        return f"{said}."
    level, extra = summary(late[0].test(measure)), best.overhead
    return (
        f"{said}, against {level} for late fusion, with {abs(extra):.1%}"
        f" {'more' if extra >= 0 else 'fewer'} multiply-accumulates."
    )


def command(study: Study, seeds: int = ENOUGH_SEEDS) -> str:
    """What runs the rest of a study."""
    words = ["mbt-cli", "ablate", "--grid", study.source, "--recipe", study.recipe]
    words += [] if isinstance(study.cells[0].data, Rendered) else ["--data", "DIR"]
    words += [word for name, v in study.settings.items() for word in ("--set", f"{name}={v}")]
    return shlex.join([*words, "--seeds", str(seeds)])


def machine(run: Run) -> dict[str, str]:
    """What a run ran on: device and versions, as far as its record says."""
    where = run.facts.get("environment", {})
    return {"device": where.get("device_name", "unknown")} | dict(where.get("versions", {}))


def cell_name(study: Study, one: Experiment) -> str:
    """What a study calls a cell."""
    foreign = one.model.foreign
    if study.x in foreign and study.by in (*foreign, "model.fusion"):
        return one.model.level
    values = {name: str(plain(study.value(one, name))) for name in study.columns}
    if study.x == MODEL:
        return values[MODEL]
    at = [f"{word(name)} = {said}" for name, said in values.items()]
    first = values[study.by] if isinstance(study.value(one, study.by), str) else at[0]
    return f"{first} at {', '.join(at[1:])}" if at[1:] else at[0]
