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
from mbt_cli.claim import claimed, held, left
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.files import whole, write, writing
from mbt_cli.metrics import Figures
from mbt_cli.runs import FAILED, FINISHED, RUNNING, Run, read
from mbt_cli.tagging import Pruned

KEEP = ("none", "best", "all")
"""What a finished run keeps of its weights: none; those of the best epoch; these, and the last
checkpoint with what the optimizer remembers."""
WEIGHTS = ("weights.safetensors", "checkpoint.pt")


class Record(Run):
    """A run's folder, being written. Whatever writes raises Unwritable where the disk is full or
    the folder is read-only."""

    def begin(self, experiment: Experiment, facts: Mapping[str, Any]) -> None:
        """A fresh record, in place of whatever was there."""
        with writing(self.folder):
            self._discard()
            self.folder.mkdir(parents=True)
        self._status(RUNNING)
        write(self.folder / "run.json", {"experiment": experiment.record(), **facts})

    def resume(self, **facts: Any) -> dict[str, Any] | None:
        """The state in which a run was left that was killed or failed, and its record as it was
        then.

        None where there is none, where it cannot be read, or where one of `facts` is not what
        `run.json` says: then the run is to begin anew.
        """
        from torch import load

        was, rows = Run(self.folder), self.folder / "metrics.jsonl"
        if was.state == FINISHED or any(was.facts.get(n) != v for n, v in facts.items()):
            return None
        try:
            path = self.folder / "checkpoint.pt"
            state: dict[str, Any] = load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, LookupError, UnpicklingError):
            return None
        self._status(RUNNING)
        if weights := state["progress"]["weights"]:
            self.best(weights)
        lines = rows.read_bytes().splitlines(keepends=True) if rows.exists() else []
        with whole(rows) as file:
            file.writelines(lines[: state["progress"]["rows"]])
        (self.folder / "error.txt").unlink(missing_ok=True)
        return state

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """All that training needs to go on from here, in place of the last one."""
        from torch import save

        with whole(self.folder / "checkpoint.pt") as file:
            save(dict(state), file)

    def row(self, values: Mapping[str, Any]) -> None:
        """One row of what is measured over time."""
        path = self.folder / "metrics.jsonl"
        with writing(path), path.open("a") as file:
            file.write(json.dumps({"time_s": round(time.time(), 3), **values}) + "\n")

    def best(self, weights: Mapping[str, Any]) -> None:
        """The weights of the best epoch so far."""
        from safetensors.torch import save

        with whole(self.folder / "weights.safetensors") as file:
            file.write(save(dict(weights)))

    def evaluated(
        self, how: Evaluation, figures: Figures, scores: Float[np.ndarray, "n c"],
        labels: Float[np.ndarray, "n c"], names: Sequence[str], groups: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """What an evaluation found, and every clip's scores; `groups` says what each was cut from,
        where that is not the clip itself."""
        arrays = {"scores": scores, "labels": labels.astype(np.uint8)}
        self._evaluated(how, figures, arrays, names, groups)

    def tagged(
        self, how: Evaluation, figures: Figures, of: Pruned, names: Sequence[str],
        groups: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """The same of very many classes: every clip's top ones, and its labels."""
        self._evaluated(how, figures, of.packed(), names, groups)

    def _evaluated(
        self, how: Evaluation, figures: Figures, arrays: Mapping[str, np.ndarray],
        names: Sequence[str], groups: Sequence[str],
    ) -> None:  # fmt: skip
        folder = self.evaluation(how)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / "scores.npz") as file:
            np.savez(
                file, allow_pickle=False, **arrays, names=np.array(names),
                groups=np.array(groups or names),
            )  # fmt: skip
        write(folder / "evaluation.json", {"evaluation": settings.plain(how), "figures": figures})

    def drawn(self, how: Evaluation, digest: str, values: Float[np.ndarray, " r"]) -> None:
        """What the measure comes to on other draws of an evaluation's clips."""
        with whole(self.evaluation(how) / "draws.npz") as file:
            np.savez(file, digest=digest, values=values)

    def attended(self, how: Evaluation, found: Sequence[Mapping[str, Any]]) -> None:
        """What every line read while an evaluation's clips were scored; beside what it found."""
        write(self.evaluation(how) / "attention.json", {"lines": list(found)})

    def finish(self, keep: str = "best", **facts: Any) -> None:
        """The last thing written: from now on the run is done. What it keeps is one of KEEP."""
        self._status(FINISHED, keep=keep, **facts)
        self._tidy()

    def tidy(self) -> None:
        """Removes what a process left behind that was killed when this run was finished."""
        if left(self.folder) or self._spare():
            with claimed(self.folder) as mine:
                if mine and Run(self.folder).state == FINISHED:
                    self._tidy()

    def _tidy(self) -> None:
        with writing(self.folder):
            for path in self._spare():
                path.unlink(missing_ok=True)

    def _spare(self) -> list[Path]:
        """Files that the finished run does not keep."""
        kept = read(self.folder / "status.json").get("keep", "best")
        names = {"all": (), "best": ("checkpoint.pt",)}.get(kept, WEIGHTS)
        spare = [self.folder / name for name in names if (self.folder / name).exists()]
        return [*spare, *self.folder.rglob("*.part")]

    def fail(self, error: Exception) -> None:
        """Keeps the error, in full in `error.txt`: a bug with its traceback."""
        said = str(error) or type(error).__name__
        user = isinstance(error, MbtError)
        with whole(self.folder / "error.txt") as file:
            trace = "" if user else "\n" + "".join(traceback.format_exception(error))
            file.write(f"{said}\n{trace}".encode())
        self._status(FAILED, error=said)

    def remove(self) -> None:
        """Deletes the record: for all who look it is gone at once.

        Raises MbtError where that cannot be, or where somebody works on the run.
        """
        if held(self.folder):
            raise MbtError(f"{self.key} is being run: stop that command first.")
        try:
            self._discard()
        except OSError as error:
            raise MbtError(f"{self.folder} cannot be removed ({error.strerror}).") from error

    def _discard(self) -> None:
        """Out of sight first, for a folder deleted in part would be a damaged record."""
        gone = self.folder.with_name(f".removed-{self.key}-{os.getpid()}")
        if self.folder.exists():
            self.folder.rename(gone)
        for half in self.folder.parent.glob(f".removed-{self.key}-*"):
            shutil.rmtree(half)

    def _status(self, state: str, **facts: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        started = read(self.folder / "status.json").get("started", now)
        status = {"state": state, "started": started, "written": now, **facts}
        write(self.folder / "status.json", status)


def writable(results: Path) -> None:
    """Raises MbtError where records cannot be written below this folder."""
    try:
        (results / "runs").mkdir(parents=True, exist_ok=True)
        probe = results / "runs" / ".probe"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise MbtError(
            f"Results cannot be written to {results} ({error.strerror}). Choose another folder with"
            " --results or MBT_RESULTS."
        ) from error
