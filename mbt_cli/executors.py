"""How a list of jobs gets done: in this process, or by workers that live from job to job.

A job is done by a function of it and of `emit`, by which it tells the caller how far it is.
What the jobs are is none of this room's business.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import parent_process
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from mbt_cli.errors import MbtError

J = TypeVar("J")
R = TypeVar("R")
Emit = Callable[[Any], None]
Watch = Callable[[int, Any], None]
"""Called in the caller's process with the place of a job in the list, and what it emitted."""

_INTERVAL_S = 0.1
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """How a job ended: its value, or what it raised."""

    place: int
    """Of the job in the list."""
    value: R | None = None
    error: Exception | None = None


@runtime_checkable
class Executor(Protocol):
    """A context manager; `run` may be called again and again inside it."""

    def __enter__(self) -> "Executor": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

    def run(
        self, function: Callable[[J, Emit], R], jobs: Sequence[J], watch: Watch
    ) -> Iterator[Outcome[R]]:
        """The outcomes, in the order in which jobs end."""
        ...


class Here:
    """One job after the other, in this process."""

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def run(
        self, function: Callable[[J, Emit], R], jobs: Sequence[J], watch: Watch
    ) -> Iterator[Outcome[R]]:
        for place, job in enumerate(jobs):
            try:
                value = function(job, lambda event, place=place: watch(place, event))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001  # handed on whole, for the caller to judge
                yield Outcome(place, error=error)
            else:
                yield Outcome(place, value)


class Local:
    """Processes of this machine, started fresh (not forked), each with its own few threads."""

    def __init__(self, workers: int, threads: int = 1) -> None:
        context = multiprocessing.get_context("spawn")
        self._events = context.SimpleQueue()
        self._batch = 0
        self._pool = ProcessPoolExecutor(workers, context, _start, (self._events, threads))

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for child in multiprocessing.active_children():
                child.terminate()
        self._pool.shutdown(cancel_futures=True)

    def run(
        self, function: Callable[[J, Emit], R], jobs: Sequence[J], watch: Watch
    ) -> Iterator[Outcome[R]]:
        self._batch += 1
        pending: dict[Future[R], int] = {
            self._pool.submit(_do, function, job, self._batch, place): place
            for place, job in enumerate(jobs)
        }
        while pending:
            done, _ = wait(pending, timeout=_INTERVAL_S, return_when=FIRST_COMPLETED)
            self._drain(watch)
            for future in done:
                place, error = pending.pop(future), future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise MbtError(
                        "A worker process died (out of memory, or killed). Nothing is lost:"
                        " run the same command again, with fewer --workers if memory is short."
                    ) from error
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield Outcome(place, error=error) if error else Outcome(place, future.result())

    def _drain(self, watch: Watch) -> None:
        while not self._events.empty():
            batch, place, event = self._events.get()
            if batch == self._batch:
                watch(place, event)


def executor_of(workers: int, threads: int) -> Executor:
    """This process for one job at a time, else worker processes."""
    return Here() if workers == 1 else Local(workers, threads)


_worker: dict[str, Any] = {}
"""What a worker process was given at its start."""


def _start(events: Any, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    os.environ |= dict.fromkeys(_THREADS, str(threads))
    _worker["events"] = events
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(function: Callable[[J, Emit], R], job: J, batch: int, place: int) -> R:
    return function(job, lambda event: _worker["events"].put((batch, place, event)))
