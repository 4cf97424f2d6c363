"""A run's folder, as it is read: the record of all that was done. `record.py` writes it.

    results/runs/<key>/
        run.json              what the run is: experiment, cost, data, environment, code
        metrics.jsonl         what was measured over time, a row a line
        weights.safetensors   of the best epoch
        checkpoint.pt         all that training needs to go on; gone when the run is finished
        error.txt             why it failed; a bug with its traceback
        evaluations/<key>/    evaluation.json (what was scored, and its figures), scores.npz,
                              attention.json (how spread each line's attention was),
                              draws.npz (what comes of them on other draws of the clips)
        status.json           running, finished or failed; written last

Every file is there whole or not at all, but for the last line of `metrics.jsonl`.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mbt_cli import settings
from mbt_cli.cost import Cost
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.metrics import Figures, figures, tagged
from mbt_cli.tagging import top, unpacked
from mbt_cli.task import Task

RUNNING, FINISHED, FAILED = "running", "finished", "failed"
DAMAGE = (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error)
"""What reading arrays may raise that are not there, or not whole."""


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it."""

    folder: Path

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """`run.json`: experiment, cost, data, environment, code."""
        return read(self.folder / "run.json")

    @cached_property
    def status(self) -> dict[str, Any]:
        """`status.json`: state, started, and at the end seconds and best epoch, or the error."""
        return read(self.folder / "status.json")

    @property
    def state(self) -> str:
        return str(self.status.get("state", RUNNING))

    @cached_property
    def experiment(self) -> Experiment:
        return Experiment.from_record(self.facts["experiment"])

    @property
    def cost(self) -> Cost:
        return Cost(**self.facts["cost"])

    @property
    def code(self) -> str:
        """The version of the code that did it; older records do not say."""
        return str(self.facts.get("code", "unknown"))

    @property
    def task(self) -> Task:
        """What was asked of the clips; of older records their figures tell whether a clip may have
        several labels."""
        known = {one.name: self.facts[one.name] for one in fields(Task) if one.name in self.facts}
        several = "top1" not in (self.figures(Evaluation()) or {})
        return Task(**{"classes": (), "multi_label": several, **known})

    @property
    def threshold(self) -> float | None:
        """Where clips are tagged: the probability from which on a label is told, that was best on
        validation at the best epoch."""
        return self.status.get("validation", {}).get("F1_threshold")

    def files(self) -> dict[str, int]:
        """The bytes of every file, by its path in the folder."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in found}

    def curve(self) -> list[dict[str, Any]]:
        """The rows measured over time; a line cut short by a kill is left out."""
        path = self.folder / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def evaluations(self) -> Iterator[tuple[Evaluation, Figures]]:
        """All that were asked for, each with what it found."""
        for path in sorted(self.folder.glob("evaluations/*/evaluation.json")):
            found = read(path)
            yield settings.restore(Evaluation, found["evaluation"]), found["figures"]

    def figures(self, how: Evaluation) -> Figures | None:
        """What an evaluation found; None where it was not asked for."""
        path = self.evaluation(how) / "evaluation.json"
        return read(path)["figures"] if path.exists() else None

    @property
    def unread(self) -> dict[str, str]:
        """Clips that could not be read, before it began or since then, and why."""
        return {**self.facts.get("left_out", {}), **self.status.get("lost", {})}

    def figures_on(self, clips: frozenset[str] | None) -> Figures:
        """What it finds on some of its test clips, by their names; None: on all, as recorded."""
        if clips is None:
            return self.figures(Evaluation()) or {}
        return self.figures_of(self.scores_on(clips), self.task)

    def figures_of(self, arrays: Mapping[str, Any], task: Task) -> Figures:
        """What follows from its `scores`, or from some of them."""
        if task.wide:
            return tagged(top(arrays), task, threshold=self.threshold)
        labels = arrays["labels"].astype(np.float32)
        return figures(arrays["scores"], labels, task, threshold=self.threshold)

    def attention(self, how: Evaluation) -> list[dict[str, Any]] | None:
        """What every line read while an evaluation's clips were scored (`attention.py` says what);
        None where nobody looked."""
        path = self.evaluation(how) / "attention.json"
        return list(read(path)["lines"]) if path.exists() else None

    def scores(self, how: Evaluation) -> dict[str, Any]:
        """`scores` (n, c) float32, `labels` (n, c) uint8, `names` (n,) of an evaluation, and
        `groups` (n,): clips of one (a video, a participant) are not independent. Of very many
        classes each clip's top ones: `classes` (n, k), their `scores` (n, k), and `labels` (n, c)
        as a sparse array.

        Raises MbtError where they are not there, or damaged.
        """
        arrays = self.arrays(how)
        return unpacked(arrays, len(self.facts["classes"])) if "classes" in arrays else arrays

    def arrays(self, how: Evaluation) -> dict[str, np.ndarray]:
        """The same as they are kept (`tagging.Pruned.packed`). Raises MbtError as `scores` does."""
        path = self.evaluation(how) / "scores.npz"
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                # where each clip is its own group, a record need not say so
                return {"groups": arrays["names"], **arrays}
        except DAMAGE as error:
            raise MbtError(
                f"The scores of run {self.key} cannot be read ({error}). Remove it and run its"
                f" ablate command again: mbt-cli runs remove {self.key}"
            ) from error

    def scores_on(self, clips: frozenset[str] | None) -> dict[str, Any]:
        """Its `scores` on some of its test clips, by their names, and in the order of these; None:
        on all."""
        arrays = self.scores(Evaluation())
        order = np.argsort(arrays["names"], kind="stable")
        if clips is not None:
            order = order[np.isin(arrays["names"][order], list(clips))]
        return {name: values[order] for name, values in arrays.items()}

    def draws(self, how: Evaluation, digest: str) -> np.ndarray | None:
        """What the measure comes to on other draws of the clips (`resample.py`), where it was kept
        of these very scores."""
        path = self.evaluation(how) / "draws.npz"
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                return arrays["values"] if str(arrays["digest"]) == digest else None
        except DAMAGE:
            return None

    @property
    def has_weights(self) -> bool:
        return (self.folder / "weights.safetensors").exists()

    def weights(self) -> dict[str, Any]:
        """The tensors of the best epoch. Raises MbtError where they were not kept."""
        from safetensors.torch import load_file

        if not self.has_weights:
            raise MbtError(
                f"Run {self.key} has no weights any more. Train it again to have them:"
                f" mbt-cli runs remove {self.key}, then its ablate command without --keep none."
            )
        return load_file(self.folder / "weights.safetensors")

    @property
    def trouble(self) -> str:
        """Why the run failed, in full; empty where it did not."""
        path = self.folder / "error.txt"
        return path.read_text() if self.state == FAILED and path.exists() else ""

    def evaluation(self, how: Evaluation) -> Path:
        """The folder of an evaluation."""
        return self.folder / "evaluations" / how.key


def run_folder(results: Path, key: str) -> Path:
    """Where the record of a run belongs."""
    return results / "runs" / key


def recorded(results: Path) -> Iterator[Run]:
    """Every run of a results folder, finished or not, in the order of their keys."""
    for folder in sorted((results / "runs").glob("*/")):
        if (folder / "run.json").exists() and not folder.name.startswith("."):  # being removed
            yield Run(folder)


def finished(results: Path) -> dict[str, Run]:
    """The finished runs by their keys."""
    return {run.key: run for run in recorded(results) if run.state == FINISHED}


def run_of(results: Path, key: str, *, done: bool = True) -> Run:
    """The run of this key, or of the one key that begins so, if `done` of the finished ones.

    Raises MbtError.
    """
    known = finished(results) if done else {run.key: run for run in recorded(results)}
    kind = "finished run" if done else "run"
    if not known:
        raise MbtError(f"{results} holds no {kind} yet: make some with mbt-cli ablate.")
    found = [run for name, run in known.items() if name.startswith(key)]
    if len(found) == 1:
        return found[0]
    if found:
        raise MbtError(f"{len(found)} runs have keys that begin with '{key}': give more of it.")
    raise UnknownName(f"{kind} in {results}", key, known)


def read(path: Path) -> dict[str, Any]:
    """JSON; {} where there is none. Raises MbtError where it is damaged."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except json.JSONDecodeError as error:
        raise MbtError(
            f"{path} is damaged ({error}). Remove {path.parent} to run it again."
        ) from error
