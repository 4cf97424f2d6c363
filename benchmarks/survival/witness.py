"""What a results folder holds: whole or damaged, done again or not, and the same as another's."""

import hashlib
import json
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mbt_cli.experiment import Evaluation
from mbt_cli.runs import FINISHED, Run


class Witness:
    """Looks at a results folder after every kill."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.done: dict[str, dict[str, str]] = {}
        """The digests of all files of the runs that were finished, by key."""
        self.kept: dict[str, list[bytes]] = {}
        """The rows that a checkpoint stands for, by key."""

    def look(self) -> tuple[list[str], list[str]]:
        """What is lost, and what was done again."""
        lost, repeated = [], []
        for folder in sorted(self.results.glob("runs/*/")):
            try:
                self._whole(run := Run(folder))
            except Exception as error:  # noqa: BLE001  # whatever it is, the file is not whole
                lost.append(f"{folder.name}: {error!r}")
                continue
            key, rows = run.key, (folder / "metrics.jsonl")
            lines = rows.read_bytes().splitlines(keepends=True) if rows.exists() else []
            if (before := self.kept.get(key, [])) != lines[: len(before)]:
                repeated.append(f"{key}: rows from before a checkpoint were measured again")
            if (checkpoint := folder / "checkpoint.pt").exists():
                state = torch.load(checkpoint, map_location="cpu", weights_only=True)
                self.kept[key] = lines[: state["progress"]["rows"]]
                if len(self.kept[key]) < len(before):
                    repeated.append(f"{key}: its checkpoint is older than one before")
            elif before and run.state != FINISHED:
                lost.append(f"{key}: its checkpoint is gone")
            now = digests(folder) if run.state == FINISHED else {}
            if key in self.done and self.done[key] != now:
                repeated.append(f"{key}: it was finished, and has changed")
            if now:
                self.done.setdefault(key, now)
        there = {folder.name for folder in self.results.glob("runs/*/")}
        lost += [f"{key}: its folder is gone" for key in {*self.done, *self.kept} - there]
        return lost, repeated

    def _whole(self, run: Run) -> None:
        """Raises whatever is raised where a file cannot be read."""
        for file in run.folder.rglob("*.json"):
            json.loads(file.read_text())
        run.curve()
        for file in run.folder.rglob("*.npz"):
            with np.load(file) as arrays:
                dict(arrays)
        if (run.folder / "weights.safetensors").exists():
            run.weights()


def digests(folder: Path) -> dict[str, str]:
    """Of every file that a finished run keeps."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix != ".part" and path.name != "checkpoint.pt"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def outcome(run: Run) -> dict[str, Any]:
    """All that a run's result is, as values that can be compared."""
    how = Evaluation()
    timeless = ("started", "written", "seconds", "latency")
    return {
        "curve": [{name: v for name, v in row.items() if name != "time_s"} for row in run.curve()],
        "figures": run.figures(how),
        "status": {name: value for name, value in run.status.items() if name not in timeless},
        "facts": {name: value for name, value in run.facts.items() if name != "environment"},
        **{name: (v.dtype.str, v.shape, v.tobytes()) for name, v in run.scores(how).items()},
        **{name: (v.dtype, v.shape, v.numpy().tobytes()) for name, v in run.weights().items()},
    }


def logged(results: Path) -> dict[str, Any]:
    """What MLflow holds of each key: every run's status, parameters, and metrics with their steps.

    Raises sqlite3.Error where the database is damaged.
    """
    with sqlite3.connect(results / "mlflow.db") as store:
        ask = partial(store.execute)
        (sound,) = ask("pragma integrity_check").fetchone()
        held: dict[str, Any] = {"integrity": sound}
        runs = ask("select r.run_uuid, r.status, t.value from runs r join tags t using (run_uuid)"
                   " where t.key = 'key' and r.lifecycle_stage = 'active'").fetchall()  # fmt: skip
        for name, status, key in runs:
            rows = {
                table: sorted(ask(f"select {what} from {table} where run_uuid = ?", (name,)))
                for table, what in (("metrics", "key, step, value, is_nan"),
                                    ("latest_metrics", "key, step, value"),
                                    ("params", "key, value"))
            }  # fmt: skip
            held.setdefault(key, []).append((status, rows))
    store.close()
    return held
