"""How a list of jobs gets done: in this process, or by workers that live from job to job.

A job is done by a function of it and of `emit`, by which it tells the caller how far it is.
What the jobs are is none of this room's business.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import inf
from multiprocessing import connection
from multiprocessing.process import parent_process
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from mbt_cli.errors import MbtError

J = TypeVar("J")
R = TypeVar("R")
Emit = Callable[[Any], None]
Watch = Callable[[int, Any], None]
"""Called in the caller's process with the place of a job in the list, and what it emitted."""

_INTERVAL_S = 1.0  # Ctrl-C is answered at least so often, on systems where it ends no waiting
_PATIENCE_S = 5.0  # for a worker to leave by itself
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_EVENT, _VALUE, _REFUSAL, _BUG, _DEATH = "event", "value", "refusal", "bug", "death"


class Died(MbtError):
    """A worker's process ended amid a job."""


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
        self, function: Callable[[J, Emit], R], jobs: Iterable[J | None], watch: Watch,
        silence_s: float = inf,
    ) -> Generator[Outcome[R]]:  # fmt: skip
        """The outcomes, in the order in which jobs end. A job is taken when it can begin; where
        there is None in its place, none is to begin for now. To close this ends what is begun.

        A worker that says nothing for `silence_s` seconds is killed: its job ends with `Died`.
        """
        ...


class Here:
    """One job after the other, in this process."""

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def run(
        self, function: Callable[[J, Emit], R], jobs: Iterable[J | None], watch: Watch,
        silence_s: float = inf,  # noqa: ARG002  # nobody could end this process
    ) -> Generator[Outcome[R]]:  # fmt: skip
        for place, job in enumerate(job for job in jobs if job is not None):
            try:
                value = function(job, lambda event, place=place: watch(place, event))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001  # handed on whole, for the caller to judge
                yield Outcome(place, error=error)
            else:
                yield Outcome(place, value)


class Local:
    """Processes of this machine, started fresh (not forked), each with its own few threads.

    A process that dies costs its job, which ends with `Died`; another takes its place.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.workers, self.threads = workers, threads
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection, tuple[_Worker, int]] = {}

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the busy ones too: an error may hold on to a `run` that nobody has closed."""
        _stop([*self._idle, *(worker for worker, _ in self._busy.values())])

    def run(
        self, function: Callable[[J, Emit], R], jobs: Iterable[J | None], watch: Watch,
        silence_s: float = inf,
    ) -> Generator[Outcome[R]]:  # fmt: skip
        todo, places, some = ((job,) for job in jobs), count(), True
        busy = self._busy = {}
        try:
            while some or busy:
                while some and len(busy) < self.workers:
                    if (following := next(todo, None)) is None:
                        some = False
                        break
                    (job,) = following
                    if job is None:
                        break
                    worker = self._idle.pop() if self._idle else _Worker(self.threads)
                    busy[worker.pipe] = worker, next(places)
                    worker.begin(function, job)
                for worker, _ in busy.values():
                    worker.stop_if_silent(silence_s)
                for pipe in connection.wait([*busy], _INTERVAL_S):
                    assert isinstance(pipe, connection.Connection)
                    worker, place = busy[pipe]
                    kind, what = worker.hear()
                    if kind == _EVENT:
                        watch(place, what)
                        continue
                    del busy[pipe]
                    if kind in (_VALUE, _REFUSAL):
                        self._idle.append(worker)
                    else:
                        _stop([worker])  # a bug may have left anything behind, such as a broken GPU
                    yield Outcome(place, what) if kind == _VALUE else Outcome(place, error=what)
        finally:
            _stop([worker for worker, _ in busy.values()])


def executor_of(workers: int, threads: int) -> Executor:
    """This process for one job at a time, else worker processes."""
    return Here() if workers == 1 else Local(workers, threads)


class _Worker:
    """A process that does job after job, and the pipe by which it is told and tells."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # no daemon: those may have no processes of their own, such as readers of clips
        self.process = context.Process(target=_work, args=(theirs, threads))
        self.process.start()
        theirs.close()
        self.heard_s, self.silent_s = time.monotonic(), 0.0

    def begin(self, function: Callable[[J, Emit], R], job: J) -> None:
        self.heard_s = time.monotonic()
        with suppress(ConnectionError):  # it died idle, or as it read this: `hear` says so
            self.pipe.send((function, job))

    def stop_if_silent(self, limit_s: float) -> None:
        """Kills it where it has said nothing of its job for so long."""
        if time.monotonic() - self.heard_s > limit_s and not self.pipe.poll():
            self.silent_s = limit_s
            self.process.kill()

    def hear(self) -> tuple[str, Any]:
        """The next thing it says of its job; its death is an error."""
        try:
            kind, what = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            silent = f"it said nothing for {self.silent_s:g} s and was stopped"
            cause = silent if self.silent_s else _cause(self.process.exitcode or 0)
            return _DEATH, Died(f"Its process died ({cause}).")
        self.heard_s = time.monotonic()
        return kind, what


def _stop(workers: Sequence[_Worker]) -> None:
    """Soon, whatever they do."""
    until_s = time.monotonic() + _PATIENCE_S
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(max(0.0, until_s - time.monotonic()))
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _cause(code: int) -> str:
    if code >= 0:
        return f"it left with exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + (": is memory short?" if name == "SIGKILL" else "")


def _work(pipe: connection.Connection, threads: int) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and gives back what it has claimed
    os.environ |= dict.fromkeys(_THREADS, str(threads))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, job = pipe.recv()
        except EOFError:  # no parent any more
            return
        try:
            said = _VALUE, function(job, lambda event: pipe.send((_EVENT, event)))
        except MbtError as error:
            said = _REFUSAL, error
        except Exception as error:  # noqa: BLE001  # handed on whole, for the caller to judge
            said = _BUG, _portable(error)
        pipe.send(said)


def _portable(error: Exception) -> Exception:
    """An error that another process can read, with where it came from."""
    trace = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  # whatever its class has against pickling
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(trace)
    return error


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
