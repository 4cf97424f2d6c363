"""A grid asked of a recipe: its cells on one frozen set of clips, and where its report belongs.

results/<study>/study.json      <study> is <grid>-<recipe>, and the settings that differ
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import MODEL, NETWORK, Experiment
from mbt_cli.files import sweep, write, writing
from mbt_cli.names import differing, models, plain, value, word
from mbt_cli.runs import FINISHED, Run, recorded
from mbt_cli.task import Task

TOLD = (MODEL, NETWORK, "model.family", "model.fusion", "model.fusion_layer", "model.modalities")
"""Fields that a run's own title tells."""


@dataclass(frozen=True)
class Data:
    """What a report says of the clips."""

    dataset: str
    fingerprint: str
    classes: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    says: Mapping[str, str]
    """What a group's name means, for people; may lack some."""
    multi_label: bool
    clips: Mapping[str, int]
    """In each split, as listed; what could be read stands with each run's figures."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Clips of each split by the metadata, found or not; {} where nothing can be missing."""
    class_list: str = ""
    """What the list of classes is called, with its version."""
    lost: str = ""
    """Why not all that were expected are here."""
    tagging: bool = False
    """Whether the several labels of a clip are found among many."""

    @property
    def task(self) -> Task:
        """What is asked of a clip."""
        return Task(self.classes, self.multi_label, self.tagging, self.groups)

    @property
    def coverage(self) -> str:
        """How many of the expected clips there are, in each split."""
        return ", ".join(
            f"{split} {self.clips[split]:,} of {n:,} ({self.clips[split] / max(n, 1):.1%})"
            for split, n in self.expected.items()
        )


@dataclass(frozen=True)
class Study:
    """Cells without seeds; `runs_of` finds their runs in a results folder."""

    name: str
    grid: str
    """Its name."""
    source: str
    """The same as it was asked for: a name, or the path of a file."""
    recipe: str
    settings: Mapping[str, str]
    question: str
    x: str
    by: str
    cells: tuple[Experiment, ...]
    data: Data

    @property
    def measure(self) -> str:
        """The figure by which cells are compared (`Task.primary`): mAP, GAP or top1."""
        return self.data.task.primary

    @property
    def further(self) -> list[str]:
        """The fields that vary and that a run's own title does not tell."""
        return [name for name in dict.fromkeys((self.by, self.x)) if name not in TOLD]

    @cached_property
    def varied(self) -> list[str]:
        """The fields by which cells differ; the grid's own first."""
        return list(dict.fromkeys([self.by, self.x, *differing(self.cells)]))

    @cached_property
    def columns(self) -> list[str]:
        """As few fields as tell the cells apart."""
        if self.x == MODEL:
            return [MODEL]
        points = {(value(one, self.by), self.place(one)) for one in self.cells}
        alike = len(points) < len(self.cells)
        return self.varied if alike else list(dict.fromkeys([self.by, self.x]))

    def place(self, one: Experiment) -> Any:
        """Where a cell stands on x; None where x means nothing to its model."""
        return None if self.x in one.model.foreign else self.value(one, self.x)

    def line(self, one: Experiment) -> str:
        """What a figure calls the line that a cell is on; a number says of what."""
        found = self.value(one, self.by)
        bare = isinstance(found, int | float) and not isinstance(found, bool)
        return f"{word(self.by)} = {found}" if bare else str(plain(found))

    def value(self, one: Experiment, field: str) -> Any:
        """A field of a cell; its model in as many words as tell it from the study's others."""
        if field == MODEL and one.cell in self._models:
            return self._models[one.cell]
        return value(one, field)

    @cached_property
    def _models(self) -> dict[str, str]:
        return dict(zip((one.cell for one in self.cells), models(self.cells), strict=True))

    def title(self, one: Experiment) -> str:
        """A run of this study in few words."""
        return title(one, [self])

    def experiments(self, seeds: int) -> list[Experiment]:
        """Every cell at every seed, seed by seed, so that an early stop leaves whole rows."""
        return [cell.at("training.seed", seed) for seed in range(seeds) for cell in self.cells]

    def runs_of(self, results: Path, state: str = FINISHED) -> dict[str, list[Run]]:
        """The finished runs of each cell (or those of another state), by the cell's name, in the
        order of cells and seeds."""
        found: dict[str, list[Run]] = {cell.cell: [] for cell in self.cells}
        for run in recorded(results):
            if run.state == state and run.experiment.cell in found:
                found[run.experiment.cell].append(run)
        for runs in found.values():
            runs.sort(key=lambda run: run.experiment.training.seed)
        return found

    def reported(self, results: Path) -> bool:
        """Whether its report was written, and there still are runs to write it from."""
        page = results / self.name / "report.md"
        return page.exists() and any(self.runs_of(results).values())

    def save(self, results: Path) -> None:
        """Writes study.json into the study's folder."""
        folder = results / self.name
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        values = asdict(self) | {"cells": [cell.record() for cell in self.cells]}
        write(folder / "study.json", values)


def title(one: Experiment, studies: Iterable[Study]) -> str:
    """A run in few words: all by which one of these studies may tell it from others."""
    fields = dict.fromkeys(name for study in studies for name in study.further)
    said = [f" {word(name)}={plain(value(one, name))}" for name in fields]
    return f"{one.title}{''.join(said)} seed {one.training.seed}"


def studies(results: Path) -> dict[str, Study]:
    """Every study of a results folder by name, the last asked first."""
    files = sorted(results.glob("*/study.json"), key=lambda f: f.stat().st_mtime, reverse=True)
    return {file.parent.name: _load(file) for file in files}


def study(results: Path, name: str | None) -> Study:
    """The study of this name, or of this grid; without a name the last one asked.

    Raises MbtError where there is none.
    """
    known = studies(results)
    if not known:
        raise MbtError(
            f"{results} holds no study yet. Run one first: mbt-cli ablate --grid fusion_layer."
        )
    if name is None:
        return next(iter(known.values()))
    for one in known.values():
        if name in (one.name, one.grid):
            return one
    raise UnknownName(f"study in {results}", name, known)


def _load(file: Path) -> Study:
    try:
        values: dict[str, Any] = json.loads(file.read_text())
        cells = tuple(Experiment.from_record(cell) for cell in values.pop("cells"))
        data = values.pop("data")
        data["classes"] = tuple(data["classes"])
        data["groups"] = {name: tuple(of) for name, of in data["groups"].items()}
        return Study(**values, cells=cells, data=Data(**data))
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise MbtError(
            f"{file} is damaged, or of another version of mbt-cli ({error}). Remove it and run its"
            " ablate command again: no run is repeated for that."
        ) from error
