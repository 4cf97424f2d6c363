"""(A study's runs - what is finished) -> an executor: plan them, make the data ready, do them."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mbt_cli.cost import Cost, cost, overhead
from mbt_cli.dataset import Viewed
from mbt_cli.environment import code
from mbt_cli.errors import MbtError, Unwritable
from mbt_cli.executors import Died, Executor
from mbt_cli.experiment import Experiment
from mbt_cli.job import Job, Result, buried, execute
from mbt_cli.runs import FAILED, FINISHED, Run, run_folder
from mbt_cli.source import Source
from mbt_cli.study import Study

AGAIN_S = 1.0
"""How long to wait before runs that others work on are looked at again."""

NEW, STALE = "new", "stale"
"""Not begun; finished or failed by other code. A record tells the other states (`runs.py`)."""


@dataclass(frozen=True)
class Planned:
    """One run of a study before it is done, with its price."""

    experiment: Experiment
    title: str
    key: str
    cost: Cost
    overhead: float
    """Executed cost over late fusion's, as a fraction."""
    state: str
    todo: bool
    """Whether it is to be run, or run again."""


@dataclass(frozen=True)
class Policy:
    """What is done about a run that fails."""

    stop: bool = False
    """Nothing else is run any more; else the others go on."""
    retries: int = 0
    """How often it is tried again, from its last checkpoint."""


@runtime_checkable
class Show(Protocol):
    """What the user sees while work goes on."""

    def say(self, sentence: str) -> None:
        """What the user should know, and need do nothing about."""

    def running(self, total: int) -> AbstractContextManager[None]:
        """While runs go on."""

    def event(self, run: Planned, row: Mapping[str, Any]) -> None:
        """A row that a run measured."""

    def ended(self, run: Planned, result: "Result | None", error: Exception | None) -> None:
        """A run is done, or failed."""


@runtime_checkable
class Track(Protocol):
    """Who else is told of runs (MLflow)."""

    def follow(self, run: Run) -> None:
        """Something new stands in the run's record."""


def plan(
    study: Study, seeds: int, results: Path, *, rerun_stale: bool = False,
    retry_failed: bool = False,
) -> list[Planned]:  # fmt: skip
    """Every run of a study. What is finished is not run again, nor what failed but with
    `retry_failed`; with `rerun_stale` both are where other code did it."""
    planned = []
    classes = len(study.data.classes)
    for experiment in study.experiments(seeds):
        run = Run(run_folder(results, key := experiment.key))
        state = run.state if run.facts else NEW
        if rerun_stale and state in (FINISHED, FAILED) and run.facts["code"] != code():
            state = STALE
        todo = state != FINISHED and (state != FAILED or retry_failed)
        price = cost(experiment, classes)
        extra = overhead(experiment, classes)
        title = study.title(experiment)
        planned.append(Planned(experiment, title, key, price, extra, state, todo))
    return planned


def ablate(
    planned: Sequence[Planned], sources: Mapping[Viewed, Source], results: Path, *,
    executor: Executor, device: str, threads: int, checkpoint_s: float, keep: str, policy: Policy,
    show: Show, track: Track,
) -> int:  # fmt: skip
    """Does every planned run that is to be done, each on the clips of its views; how many failed.
    What another command works on is waited for, and taken over where that command died.

    Raises MbtError where nothing can be written any more, and after an error where the policy says
    so.
    """
    todo = [run for run in planned if run.todo]
    how = (device, threads, checkpoint_s, keep)
    jobs = [
        Job(
            one.experiment,
            one.cost,
            sources[one.experiment.data.views],
            run_folder(results, one.key),
            *how,
        )
        for one in todo
    ]
    failed, waited, places = 0, 0, list(range(len(todo)))
    tries = Counter[int]()

    def watch(turn: int, row: Mapping[str, Any]) -> None:
        show.event(todo[places[turn]], row)
        track.follow(Run(jobs[places[turn]].record))

    with show.running(len(todo)):
        while places:
            elsewhere, again = [], []
            for outcome in executor.run(execute, [jobs[place] for place in places], watch):
                place, error = places[outcome.place], outcome.error
                run, job = todo[place], jobs[place]
                if isinstance(error, Unwritable):
                    raise error
                if isinstance(error, Died):
                    buried(job, error)
                if error is None and outcome.value is None:
                    elsewhere.append(place)
                    continue
                track.follow(Run(job.record))
                if error is not None and tries[place] < policy.retries:
                    tries[place] += 1
                    show.say(
                        f"{run.title}: {error} Trying again ({tries[place]} of {policy.retries})."
                    )
                    again.append(place)
                    continue
                show.ended(run, outcome.value, error)
                if error is not None:
                    if not failed:
                        show.say(f"All of that: {job.record / 'error.txt'}")
                    failed += 1
                    if policy.stop:
                        raise MbtError(f"{run.title} failed, and --on-error is stop. The same"
                                       " command goes on with the others.")  # fmt: skip
            if elsewhere and len(elsewhere) != waited:
                waited = len(elsewhere)
                show.say(f"Another command does {waited} of the runs: waiting for it.")
            elif elsewhere and not again:
                time.sleep(AGAIN_S)
            places = elsewhere + again
    return failed
