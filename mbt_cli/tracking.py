"""Who is told when of the records: MLflow, a view of them that can be rebuilt at any time.

While runs go on, in the background; else at once, by `sync`. How MLflow is told is `store.py`'s.
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from mbt_cli import account
from mbt_cli.claim import held
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.findings import findings_of
from mbt_cli.runs import RUNNING, Run, run_folder
from mbt_cli.store import NoMlflow, Store, Untold, reaching
from mbt_cli.study import Study, studies

EVERY_S = 10.0
"""MLflow is told of a run that goes on at most this often."""


class Tracker:
    """Tells MLflow of the runs of a study; only the end of its `with` block waits for MLflow."""

    failed = False
    """Whether a store or server that should work did not."""
    problem: str | None = None
    """A sentence for the user where not all is logged; final after the `with` block."""

    def __init__(self, results: Path, study: Study) -> None:
        self.results, self.study = results.absolute(), study
        self._news: SimpleQueue[Path | None] = SimpleQueue()
        self._told_s: dict[Path, float] = {}
        self._open: dict[Path, None] = {}
        """Of which MLflow may not know the end yet."""
        self._teller: _Teller | None = None
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
            self._open[folder] = None
            run, told_s = Run(folder), self._told_s.get(folder, -math.inf)
            if run.state != RUNNING or time.monotonic() - told_s > EVERY_S:
                self._tell(run)
        if self._teller and self.failed:  # it worked once: a last try
            self.failed, self.problem = False, None
        for folder in list(self._open):
            self._tell(Run(folder))

    def _tell(self, run: Run) -> None:
        if self._stopped or self.problem or not (run.folder / "run.json").exists():
            return
        try:
            if self._teller is None:
                self._teller = _Teller(self.results, self._studies())
                self._teller.close()
            self._teller.tell(run)
        except Untold as error:
            self.failed, self.problem = not isinstance(error, NoMlflow), str(error)
            return
        self._told_s[run.folder] = time.monotonic()
        if run.state != RUNNING:
            del self._open[run.folder]

    def _studies(self) -> list[Study]:
        known = {}
        with suppress(MbtError):  # of a study that is not ours: report and sync say so
            known = studies(self.results)
        return list({**known, self.study.name: self.study}.values())


@dataclass(frozen=True)
class Told:
    """What `sync` sent."""

    sent: int
    """Of runs and reports."""
    there: int
    """Of which MLflow lacked nothing."""


def sync(
    results: Path, runs: Sequence[Run], reports: Sequence[Study], advance: Callable[[int], None]
) -> Told:
    """Tells MLflow all that these records and reports say, as far as it does not hold it.

    Raises MbtError where MLflow cannot be reached: what it was told until then stays.
    """
    teller, sent = _Teller(results, list(studies(results).values())), 0
    for run in runs:
        sent += teller.tell(run)
        advance(1)
    teller.close()
    for study in reports:
        sent += _tell_report(results, teller.store, study)
        advance(1)
    return Told(sent, len(runs) + len(reports) - sent)


def tell_report(results: Path, study: Study) -> None:
    """Tells MLflow of a study's report as it lies in its folder. Raises MbtError."""
    with reaching(results):
        store = Store(results)
    _tell_report(results, store, study)


def _tell_report(results: Path, store: Store, study: Study) -> bool:
    entry = account.of_report(findings_of(study, results), results / study.name)
    with reaching(results):
        return store.tell(entry)


class _Teller:
    """Tells a store of the runs of a results folder, and of every study that holds them."""

    def __init__(self, results: Path, known: Sequence[Study]) -> None:
        with reaching(results):
            self.store = Store(results)
            self.store.look()
        self._results = results
        self._of: dict[str, list[Study]] = {}
        for study in sorted(known, key=lambda study: study.name):
            for name in dict.fromkeys(cell.cell for cell in study.cells):
                self._of.setdefault(name, []).append(study)

    def tell(self, run: Run) -> bool:
        """Whether MLflow lacked something."""
        if (entry := account.of_run(run, self._holding(run.experiment))) is None:
            return False
        with reaching(self._results):
            return self.store.tell(entry)

    def close(self) -> None:
        """What MLflow has as running and nobody works on runs no more."""
        with reaching(self._results):
            left = self.store.running()
        for one in left:
            run = Run(run_folder(self._results, one.tags["key"]))
            if held(run.folder):
                continue
            if (run.folder / "run.json").exists():
                self.tell(run)
            else:
                with reaching(self._results):
                    self.store.close(one)

    def _holding(self, experiment: Experiment) -> list[Study]:
        return self._of.get(experiment.cell, [])
