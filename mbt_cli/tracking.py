"""MLflow, a view of the records: rebuilt from them at will, in the background. Its only user.

One MLflow run for each key, found again by its tag `key`. What MLflow holds already is not sent
twice; a record begun anew replaces its MLflow run. Times are in ms, as MLflow has them.
"""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.runs import FAILED, FINISHED, RUNNING, Run
from mbt_cli.study import Study

EXPERIMENT = "mbt-cli"
EVERY_S = 10.0
"""MLflow is told of a run that goes on at most this often."""
BATCH = 1000
"""Metrics in a request: MLflow's limit."""
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Quiet, and soon at an end (MLflow's own: 7 retries, 120 s each); what the user set goes first."""

Point = tuple[str, float, int, int]
"""A metric's name, its value, when in ms, and the step."""


class Tracker:
    """Tells MLflow of the runs of a study; only the end of its `with` block waits for MLflow."""

    failed = False
    """Whether a store or server that should work did not."""
    problem: str | None = None
    """A sentence for the user where not all is logged; final after the `with` block."""

    def __init__(self, results: Path, study: Study) -> None:
        self.results, self.study = results.absolute(), study
        file = str(self.results / "mlflow.db").replace("%", "%25").replace("?", "%3F")
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{file}"
        self._news: SimpleQueue[Path | None] = SimpleQueue()
        self._told_s: dict[Path, float] = {}
        self._store: _Store | None = None
        self._stopped = False

    def __enter__(self) -> "Tracker":
        self._thread = ThreadPoolExecutor(1, "mlflow")
        self._served: Future[None] = self._thread.submit(self._serve)
        return self

    def follow(self, run: Run) -> None:
        """Something new stands in the run's record."""
        self._news.put(run.folder)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Waits until MLflow says what the records say; after an error it waits for nothing."""
        self._stopped = error is not None
        self._news.put(None)
        self._thread.shutdown(wait=error is None)
        if error is None:
            self._served.result()

    def _serve(self) -> None:
        """The background thread, from the first news to the last."""
        for folder in iter(self._news.get, None):
            run, told_s = Run(folder), self._told_s.setdefault(folder, -math.inf)
            if run.state != RUNNING or time.monotonic() - told_s > EVERY_S:
                self._tell(run)
        if self._store and self.failed:  # it worked once: a last try
            self.failed, self.problem = False, None
        for folder in list(self._told_s):
            self._tell(Run(folder))

    def _tell(self, run: Run) -> None:
        if self._stopped or self.problem or not (run.folder / "run.json").exists():
            return
        runs = self.results / "runs"
        try:
            errors = _errors()
        except ImportError as error:
            self.problem = (
                f"MLflow is not used, for it cannot be imported ({error}); the runs are recorded in"
                f" {runs} all the same. To log them too: pip install mlflow."
            )
            return
        try:
            self._store = self._store or _Store(self.uri, self.results / "mlflow-artifacts")
            self._store.sync(run, self.study)
        except errors as error:
            said = str(error).partition("\n")[0]
            cause = re.search(r"\[Errno -?\d+\] [\w ]+", said)
            problem = (
                f"MLflow at {self.uri} did not take the runs ({cause[0] if cause else said[:200]});"
                f" they are recorded in {runs}. Start or mend it, or set MLFLOW_TRACKING_URI to"
                " another store or server, and run the same command again."
            )
            self.failed, self.problem = True, re.sub(r"//[^/@\s]+@", "//***@", problem)
            return
        self._told_s[run.folder] = time.monotonic()


class _Store:
    """MLflow itself, with its own errors."""

    def __init__(self, uri: str, artifacts: Path) -> None:
        """Finds or makes the experiment; a new database takes seconds."""
        from mlflow import MlflowClient

        if not uri.startswith("http"):
            from mlflow.store.db import utils

            utils.MAX_RETRY_COUNT = 3  # MLflow's own 10 wait 100 s for a damaged database
        self._client = MlflowClient(uri)
        known = self._client.get_experiment_by_name(EXPERIMENT)
        place = artifacts.as_uri() if uri.startswith("sqlite") else None
        self._id = (
            known.experiment_id if known else self._client.create_experiment(EXPERIMENT, place)
        )
        if known and known.lifecycle_stage == "deleted":
            self._client.restore_experiment(self._id)

    def sync(self, run: Run, study: Study) -> None:
        """Sends what MLflow does not hold yet."""
        from mlflow.entities import Metric, Param, RunTag

        told = _tags(run, study)  # the state before the rows: a run that ended has all of them
        rows, totals, params = run.curve(), _totals(run), _params(run.experiment)
        started, ended = _span(run)
        mine = self._found(told, len(rows)) or self._client.create_run(self._id, started, told)
        name, held = mine.info.run_id, mine.data
        points = [point for row in rows[int(held.tags.get("rows", 0)) :] for point in _points(row)]
        points += [
            (total, value, ended or started, 0)
            for total, value in totals.items()
            if held.metrics.get(total) != value
        ]
        for start in range(0, len(points), BATCH):
            metrics = [Metric(*point) for point in points[start : start + BATCH]]
            self._client.log_batch(name, metrics, synchronous=True)
        fresh = [Param(*one) for one in params.items() - held.params.items()]
        tags = {**told, "rows": str(len(rows))}.items() - held.tags.items()
        if fresh or tags:
            self._client.log_batch(
                name, (), fresh, [RunTag(*one) for one in tags], synchronous=True
            )
        if (mine.info.status, mine.info.end_time) != (run.state.upper(), ended):
            self._client.set_terminated(name, run.state.upper(), ended)

    def _found(self, told: Mapping[str, str], rows: int) -> Any:
        """The MLflow run of a record, None where there is none; that of an earlier try goes."""
        for run in self._client.search_runs([self._id], f"tags.key = '{told['key']}'"):
            tags = run.data.tags
            if tags.get("started") == told["started"] and int(tags.get("rows", 0)) <= rows:
                return run
            self._client.delete_run(run.info.run_id)
        return None


def _errors() -> tuple[type[Exception], ...]:
    """What MLflow, databases and the network raise. Raises ImportError without MLflow."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError, ImportError


def _tags(run: Run, study: Study) -> dict[str, str]:
    return {
        "key": run.key,
        "mlflow.runName": study.title(run.experiment),
        _name(f"grid.{study.grid}"): study.name,
        "started": run.status["started"],
    } | ({"error": run.status["error"]} if run.state == FAILED else {})


def _params(experiment: Experiment) -> dict[str, str]:
    """Every field, as --set takes it."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in experiment.flat().items()
    }


def _totals(run: Run) -> dict[str, float]:
    """What is one number for the whole run: its cost, and its figures on test."""
    cost = {name: float(getattr(run.cost, name)) for name in ("parameters", "gmacs", "gflops")}
    figures = run.figures(Evaluation()) if run.state == FINISHED else None
    return cost | _numbers("test/", figures or {})


def _points(row: Mapping[str, Any]) -> Iterator[Point]:
    numbers = _numbers("", row) | _numbers("validation/", row.get("validation", {}))
    for name in numbers.keys() - {"time_s", "step", "epoch"}:
        yield name, numbers[name], round(1000 * row["time_s"]), row["step"]


def _numbers(prefix: str, figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures that are defined, then those of each group."""
    found = {
        _name(prefix + name): float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    for group, of_group in figures.get("groups", {}).items():
        found |= _numbers(f"{prefix}{group}/", of_group)
    return found


def _span(run: Run) -> tuple[int, int | None]:
    """When a run started and ended."""
    times = (datetime.fromisoformat(run.status[when]) for when in ("started", "written"))
    started, written = (round(1000 * moment.timestamp()) for moment in times)
    return started, None if run.state == RUNNING else written


def _name(text: str) -> str:
    """In the characters that MLflow allows metrics and tags."""
    return re.sub(r"[^\w./ -]", "_", text)[:250]
