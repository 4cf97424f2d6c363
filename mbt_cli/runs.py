"""A run's folder: the record. This room is the only writer of it, and all else reads it here.

    results/runs/<key>/
        run.json              what the run is: experiment, cost, data, environment, code
        metrics.jsonl         what was measured over time, a row a line
        weights.safetensors   of the best epoch
        checkpoint.pt         all that training needs to go on; gone when the run is finished
        evaluations/<key>/    evaluation.json (what was scored, and its figures), scores.npz
        status.json           running, finished or failed; written last

Every file is there whole or not at all, but for the last line of `metrics.jsonl`.
"""

import json
import os
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from jaxtyping import Float

from mbt_cli import settings
from mbt_cli.cost import Cost
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.metrics import Figures

RUNNING, FINISHED, FAILED = "running", "finished", "failed"


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
        return _read(self.folder / "run.json")

    @cached_property
    def status(self) -> dict[str, Any]:
        """`status.json`: state, started, and at the end seconds and best epoch, or the error."""
        return _read(self.folder / "status.json")

    @property
    def state(self) -> str:
        return str(self.status.get("state", RUNNING))

    @cached_property
    def experiment(self) -> Experiment:
        return Experiment.from_record(self.facts["experiment"])

    @property
    def cost(self) -> Cost:
        return Cost(**self.facts["cost"])

    def curve(self) -> list[dict[str, Any]]:
        """The rows measured over time; a line cut short by a kill is left out."""
        path = self.folder / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def figures(self, how: Evaluation) -> Figures | None:
        """What an evaluation found; None where it was not asked for."""
        path = self._evaluation(how) / "evaluation.json"
        return _read(path)["figures"] if path.exists() else None

    def scores(self, how: Evaluation) -> dict[str, np.ndarray]:
        """`scores` (n, c) float32, `labels` (n, c) uint8, `names` (n,) of an evaluation."""
        with np.load(self._evaluation(how) / "scores.npz") as arrays:
            return dict(arrays)

    def weights(self) -> dict[str, Any]:
        """The tensors of the best epoch."""
        from safetensors.torch import load_file

        return load_file(self.folder / "weights.safetensors")

    def _evaluation(self, how: Evaluation) -> Path:
        return self.folder / "evaluations" / how.key


class Record(Run):
    """A run's folder, being written."""

    def begin(self, experiment: Experiment, facts: Mapping[str, Any]) -> None:
        """A fresh record, in place of whatever was there."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self._status(RUNNING)
        write(self.folder / "run.json", {"experiment": experiment.record(), **facts})

    def resume(self, **facts: Any) -> dict[str, Any] | None:
        """The state in which a run was left that was killed, and its record as it was then.

        None where there is none, where it cannot be read, or where one of `facts` is not what
        `run.json` says: then the run is to begin anew.
        """
        from torch import load

        left, rows = Run(self.folder), self.folder / "metrics.jsonl"
        if left.state != RUNNING or any(left.facts.get(n) != v for n, v in facts.items()):
            return None
        try:
            path = self.folder / "checkpoint.pt"
            state: dict[str, Any] = load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, LookupError, UnpicklingError):
            return None
        if weights := state["progress"]["weights"]:
            self.best(weights)
        lines = rows.read_bytes().splitlines(keepends=True) if rows.exists() else []
        part = self.folder / "metrics.part"
        part.write_bytes(b"".join(lines[: state["progress"]["rows"]]))
        part.replace(rows)
        return state

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """All that training needs to go on from here, in place of the last one."""
        from torch import save

        part = self.folder / "checkpoint.part"
        save(dict(state), part)
        part.replace(self.folder / "checkpoint.pt")

    def row(self, values: Mapping[str, Any]) -> None:
        """One row of what is measured over time."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"time_s": round(time.time(), 3), **values}) + "\n")

    def best(self, weights: Mapping[str, Any]) -> None:
        """The weights of the best epoch so far."""
        from safetensors.torch import save_file

        part = self.folder / "weights.part"
        save_file(dict(weights), part)
        part.replace(self.folder / "weights.safetensors")

    def evaluated(
        self, how: Evaluation, figures: Figures, scores: Float[np.ndarray, "n c"],
        labels: Float[np.ndarray, "n c"], names: Sequence[str],
    ) -> None:  # fmt: skip
        """What an evaluation found, and every clip's scores."""
        folder = self._evaluation(how)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "scores.part"
        with part.open("wb") as file:
            np.savez(file, scores=scores, labels=labels.astype(np.uint8), names=np.array(names))
        part.replace(folder / "scores.npz")
        write(folder / "evaluation.json", {"evaluation": settings.plain(how), "figures": figures})

    def finish(self, **facts: Any) -> None:
        """The last thing written: from now on the run is done."""
        self._status(FINISHED, **facts)
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)

    def fail(self, error: Exception) -> None:
        """Keeps the error; a bug with its traceback."""
        trace = "" if isinstance(error, MbtError) else "".join(traceback.format_exception(error))
        self._status(FAILED, error=str(error) or type(error).__name__, traceback=trace)

    def _status(self, state: str, **facts: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        past = _read(self.folder / "status.json") if state != RUNNING else {"started": now}
        status = {"state": state, "started": past.get("started", now), "written": now, **facts}
        write(self.folder / "status.json", status)


def run_folder(results: Path, key: str) -> Path:
    """Where the record of a run belongs."""
    return results / "runs" / key


def recorded(results: Path) -> Iterator[Run]:
    """Every run of a results folder, finished or not, in the order of their keys."""
    for folder in sorted((results / "runs").glob("*/")):
        if (folder / "run.json").exists():
            yield Run(folder)


def finished(results: Path) -> dict[str, Run]:
    """The finished runs by their keys."""
    return {run.key: run for run in recorded(results) if run.state == FINISHED}


def run_of(results: Path, key: str) -> Run:
    """The finished run of this key, or of the one key that begins so. Raises MbtError."""
    known = finished(results)
    if not known:
        raise MbtError(f"{results} holds no finished run yet: make some with mbt-cli ablate.")
    found = [run for name, run in known.items() if name.startswith(key)]
    if len(found) == 1:
        return found[0]
    if found:
        raise MbtError(f"{len(found)} runs have keys that begin with '{key}': give more of it.")
    raise UnknownName(f"finished run in {results}", key, known)


def writable(results: Path) -> None:
    """Raises MbtError where records cannot be written below this folder."""
    try:
        (results / "runs").mkdir(parents=True, exist_ok=True)
        probe = results / "runs" / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MbtError(
            f"Results cannot be written to {results} ({error.strerror}). Choose another folder with"
            " --results or MBT_RESULTS."
        ) from error


def write(path: Path, value: Any) -> None:
    """JSON, there whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    part.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except json.JSONDecodeError as error:
        raise MbtError(
            f"{path} is damaged ({error}). Remove {path.parent} to run it again."
        ) from error
