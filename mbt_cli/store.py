"""MLflow itself: what stands there, and how it comes to say what an entry says. Its only user.

Its experiment may hold the runs of several results folders: each folder tells its own alone, by
their tag `results`. What MLflow holds already is not sent twice.
"""

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from mbt_cli.database import make, move, own
from mbt_cli.entry import Entry, Held
from mbt_cli.errors import MbtError

EXPERIMENT = "mbt-cli"
METRICS = 800
"""In a request: MLflow takes 1000 of all, of them 100 parameters and 100 tags."""
PAGE = 1000
"""MLflow runs read in a request."""
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Quiet, and soon at an end (MLflow's own: 7 retries, 120 s each); what the user set goes first."""


class Untold(MbtError):
    """A store or server that should work did not."""


class NoMlflow(Untold):
    """There is no MLflow to be told."""


@contextmanager
def reaching(results: Path) -> Iterator[None]:
    """While MLflow is talked to. Raises Untold for what MLflow, databases and the network raise."""
    runs = results / "runs"
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise NoMlflow(
            f"MLflow is not used, for it cannot be imported ({error}); the runs are recorded in"
            f" {runs} all the same. To log them too: pip install mlflow, then mbt-cli sync."
        ) from error
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        said = str(error).partition("\n")[0]
        cause = re.search(r"\[Errno -?\d+\] [\w ]+", said)
        raise Untold(
            _masked(
                f"MLflow at {_uri(results)} did not take all ({cause[0] if cause else said[:200]});"
                f" nothing is lost, for it is recorded in {runs}. Start or mend it, or set"
                " MLFLOW_TRACKING_URI to another store or server; then run mbt-cli sync."
            )
        ) from error


def address(results: Path) -> str:
    """Where MLflow is, without its password."""
    return _masked(_uri(results))


def in_use(results: Path) -> bool:
    """Whether the runs of a results folder are logged anywhere."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (results / "mlflow.db").exists()


class Store:
    """What MLflow holds of one results folder. All it does is done while `reaching`."""

    def __init__(self, results: Path) -> None:
        """Finds or makes the experiment; a new database takes seconds."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        uri, place = _uri(results), None
        if not uri.startswith("http"):
            from mlflow.store.db import utils

            utils.MAX_RETRY_COUNT = 3  # MLflow's own 10 wait 100 s for a damaged database
        if uri.startswith("sqlite"):
            place = (results.absolute() / "mlflow-artifacts").as_uri()
        if uri == own(results) and not (file := results.absolute() / "mlflow.db").exists():
            make(file, str(place))
        self._client = MlflowClient(uri)
        self._folder = _identity(results)
        self._seen: dict[tuple[str, str], Held | None] = {}
        known = self._client.get_experiment_by_name(EXPERIMENT)
        if known is None:
            try:
                self._client.create_experiment(EXPERIMENT, place)
            except MlflowException:  # another command did, just now
                if self._client.get_experiment_by_name(EXPERIMENT) is None:
                    raise
            known = self._client.get_experiment_by_name(EXPERIMENT)
        self._id = known.experiment_id
        if known.lifecycle_stage == "deleted":
            self._client.restore_experiment(self._id)
        if uri == own(results) and known.artifact_location != place:
            move(results / "mlflow.db", self._id, known.artifact_location, str(place))

    def look(self) -> None:
        """Reads all that MLflow holds of us, so that what it lacks nothing of takes no request."""
        for held in self._search(""):
            self._seen[_mark(held)] = None if _mark(held) in self._seen else held

    def running(self) -> list[Held]:
        """What is running, as MLflow has it."""
        return [
            held for held in self._search("attributes.status = 'RUNNING'") if "key" in held.tags
        ]

    def close(self, held: Held) -> None:
        """Nobody will tell more of it."""
        self._client.set_terminated(held.id, "KILLED", round(1000 * time.time()))

    def tell(self, entry: Entry) -> bool:
        """Sends what MLflow does not hold yet; whether there was anything."""
        from mlflow.entities import Metric, Param, RunTag

        seen = self._seen.pop(entry.mark, None)
        if seen and entry.fits(seen) and not entry.news(seen):
            return False
        held = self._found(entry) or self._made(entry)
        news = entry.news(held)
        for name in news.files:
            self._client.log_artifact(held.id, str(entry.folder / name))
        metrics = [Metric(*point) for point in news.points]
        while len(metrics) > METRICS:
            self._client.log_batch(held.id, metrics[:METRICS], synchronous=True)
            metrics = metrics[METRICS:]
        if metrics or news.params or news.tags:  # tags last, for they say what else is there
            params = [Param(*one) for one in news.params.items()]
            tags = [RunTag(*one) for one in {**news.tags, "results": self._folder}.items()]
            self._client.log_batch(held.id, metrics, params, tags, synchronous=True)
        if news.status:  # a run that goes on keeps some end till its own: MLflow takes none back
            self._client.set_terminated(held.id, entry.status, entry.ended_ms)
        return bool(news)

    def _made(self, entry: Entry) -> Held:
        tags = {**entry.tags, "results": self._folder}
        return _held(self._client.create_run(self._id, entry.started_ms, tags))

    def _found(self, entry: Entry) -> Held | None:
        """The MLflow run of an entry, None where there is none; earlier tries and doubles go."""
        found = None
        for held in self._search("tags.{} = '{}'".format(*entry.mark), ours=False):
            mine = held.tags.get("results")
            fits = mine in (None, self._folder) and entry.fits(held)
            if found is None and fits and not entry.exceeds(held, self._last(held)):
                found = held
            elif mine == self._folder:
                self._client.delete_run(held.id)
        return found

    def _last(self, held: Held) -> int:
        """The last step of which MLflow was told, though it may have been told no more: a kill may
        have fallen between rows and the tag that counts them."""
        if held.status in ("FAILED", "FINISHED"):
            return 0
        told = self._client.get_metric_history(held.id, "learning_rate")
        return max((point.step for point in told), default=0)

    def _search(self, what: str, *, ours: bool = True) -> Iterator[Held]:
        terms = [what] if what else []
        terms += [f"tags.results = '{self._folder}'"] if ours else []
        token = None
        while True:
            page = self._client.search_runs(
                [self._id], " and ".join(terms), max_results=PAGE, page_token=token
            )
            yield from map(_held, page)
            if not (token := page.token):
                return


def _held(run: Any) -> Held:
    data, info = run.data, run.info
    return Held(info.run_id, data.tags, data.params, data.metrics, info.status, info.end_time)


def _mark(held: Held) -> tuple[str, str]:
    name = "key" if "key" in held.tags else "summary"
    return name, held.tags.get(name, held.id)


def _identity(results: Path) -> str:
    """What a results folder is known by, wherever it is moved to; made when first asked for."""
    path, mine = results / "runs" / "identity", uuid4().hex[:12]
    try:
        with path.open("x") as file:
            file.write(mine)
    except FileExistsError:
        for _ in range(20):
            if known := path.read_text().strip():
                return known
            time.sleep(0.05)  # another command writes it just now
        path.write_text(mine)  # or died at it
    return mine


def _uri(results: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or own(results)


def _masked(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//***@", text)
