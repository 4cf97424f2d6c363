"""The record of a run, being written: the only room that does. `runs.py` says what is in it.

Every file is there whole or not at all, but for the last line of `metrics.jsonl`.
"""

import json
import os
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from jaxtyping import Float

from mbt_cli import settings
from mbt_cli.claim import held
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.metrics import Figures
from mbt_cli.runs import FAILED, FINISHED, RUNNING, Run, read


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
        folder = self.evaluation(how)
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

    def remove(self) -> None:
        """Deletes the record: for all who look it is gone at once.

        Raises MbtError where that cannot be, or where somebody works on the run.
        """
        if held(self.folder):
            raise MbtError(f"{self.key} is being run: stop that command first.")
        gone = self.folder.with_name(f".removed-{self.key}-{os.getpid()}")
        try:
            self.folder.rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise MbtError(f"{self.folder} cannot be removed ({error.strerror}).") from error

    def _status(self, state: str, **facts: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        past = read(self.folder / "status.json") if state != RUNNING else {"started": now}
        status = {"state": state, "started": past.get("started", now), "written": now, **facts}
        write(self.folder / "status.json", status)


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
