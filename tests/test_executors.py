"""Jobs here, and in worker processes of this machine: real processes throughout."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from threading import Timer

import pytest

from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.executors import Died, Here, Local, executor_of


def square(job, emit):
    emit(("half", job))
    if job == 3:
        raise MbtError("three")
    if job == 11:
        raise UnknownName("number", "eleven", ["seven"])
    if job == 5:
        raise ValueError("five")
    return job * job


def where(_job, _emit):
    import torch

    time.sleep(0.2)
    return os.getpid(), torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def die(job, emit):
    if job == 1:
        os._exit(9)
    if job == 3:
        emit(b"x" * 100_000)
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def meet(folder, _emit):
    """Waits for another worker to be at its job at the same time."""
    (folder / str(os.getpid())).touch()
    until_s = time.monotonic() + 60
    while len([*folder.iterdir()]) < 2 and time.monotonic() < until_s:
        time.sleep(0.01)
    return os.getpid()


class Stubborn(Exception):
    def __init__(self, one, other):
        super().__init__(f"{one} {other}")


def stubborn(job, _emit):
    if job == 1:
        raise Stubborn("does not go", "through a pipe")
    return os.getpid()


@pytest.fixture(scope="module")
def local():
    with Local(2) as executor:
        yield executor


def outcomes(executor, function, jobs):
    events = []
    found = list(executor.run(function, jobs, lambda place, event: events.append((place, event))))
    return found, events


@pytest.mark.parametrize("kind", ["here", "local"])
def test_every_job_ends_once_and_an_error_costs_only_its_own(kind, request):
    executor = Here() if kind == "here" else request.getfixturevalue("local")
    found, events = outcomes(executor, square, jobs := [1, 3, 5, 7, 11])
    assert {o.place: o.value for o in found if o.error is None} == {0: 1, 3: 49}
    errors = {o.place: o.error for o in found if o.error is not None}
    assert type(errors[1]) is MbtError and str(errors[1]) == "three"
    assert type(errors[2]) is ValueError
    assert isinstance(errors[4], MbtError) and "Did you mean 'seven'?" in str(errors[4])
    assert sorted(events) == [(p, ("half", j)) for p, j in enumerate(jobs)]


def test_workers_live_from_list_to_list_and_keep_to_their_threads(local):
    first, second = (outcomes(local, where, range(6))[0] for _ in range(2))
    pids = [{o.value[0] for o in found} for found in (first, second)]
    assert pids[0] == pids[1]
    assert len(pids[0]) == 2
    assert os.getpid() not in pids[0]
    assert {o.value[1:] for o in first} == {(1, "1")}


def test_a_list_left_unfinished_tells_the_next_one_nothing(local):
    events = []
    left = local.run(square, [7] * 9, lambda *event: events.append(event))
    next(left)
    left.close()
    found, events = outcomes(local, square, [2])
    assert [o.value for o in found] == [4]
    assert events == [(0, ("half", 2))]


def test_no_jobs_are_no_outcomes(local):
    assert outcomes(local, square, []) == ([], [])


def test_a_worker_that_dies_costs_its_job_and_is_replaced(tmp_path):
    with Local(2) as executor:
        found = {o.place: o for o in executor.run(die, range(7), lambda *_: None)}
        again = {o.value for o in executor.run(meet, [tmp_path] * 2, lambda *_: None)}
    assert {place for place, o in found.items() if o.error is None} == {0, 2, 4, 5, 6}
    assert isinstance(found[1].error, Died) and isinstance(found[3].error, Died)
    assert str(found[1].error) == "Its process died (it left with exit code 9)."
    assert str(found[3].error) == "Its process died (killed by SIGKILL: is memory short?)."
    assert len(again) == 2 and again & {o.value for o in found.values()} - {None}


def test_a_worker_that_died_idle_costs_the_job_it_would_have_done():
    with Local(1) as executor:
        (first,) = executor.run(die, [0], lambda *_: None)
        os.kill(first.value, signal.SIGKILL)
        time.sleep(0.2)
        lost, after = executor.run(die, [0, 0], lambda *_: None)
    assert isinstance(lost.error, Died) and after.value != first.value


def test_a_worker_that_dies_as_it_is_told_its_job_costs_that_job():
    with Local(1) as executor:
        (first,) = executor.run(die, [0], lambda *_: None)
        os.kill(first.value, signal.SIGSTOP)  # so that the job is half way when it dies
        Timer(0.3, os.kill, (first.value, signal.SIGKILL)).start()
        lost, after = executor.run(weigh, [b"x" * 10_000_000, b"xy"], lambda *_: None)
    assert isinstance(lost.error, Died) and after.value == 2


def weigh(job, _emit):
    return len(job)


@pytest.mark.parametrize("kind", ["here", "local"])
def test_where_no_job_is_to_begin_for_now_the_others_go_on(kind, request):
    executor = Here() if kind == "here" else request.getfixturevalue("local")
    done = []

    def jobs():
        yield 1
        while kind == "local" and not done:
            yield None
        yield None
        yield 2

    for outcome in executor.run(square, jobs(), lambda *_: None):
        done.append((outcome.place, outcome.value))
    assert done == [(0, 1), (1, 4)]


def test_who_leaves_ends_all_workers_though_an_error_holds_on_to_their_list():
    before = set(active_children())
    with Local(2) as executor:
        left = executor.run(nap, [0, 60, 60], lambda *_: None)
        assert next(left).value is None
        workers = set(active_children()) - before
        assert len(workers) == 2
    assert not any(worker.is_alive() for worker in workers)
    left.close()


def nap(seconds, _emit):
    time.sleep(seconds)


def test_after_a_bug_a_worker_is_replaced_and_after_a_sentence_it_is_not():
    with Local(1) as executor:
        first, bug, other = executor.run(stubborn, [0, 1, 2], lambda *_: None)
        same, sentence, still = executor.run(square_or_pid, [0, 3, 0], lambda *_: None)
    assert first.value != other.value == same.value == still.value
    assert isinstance(sentence.error, MbtError)
    assert (
        type(bug.error) is RuntimeError and str(bug.error) == "Stubborn: does not go through a pipe"
    )
    assert "raise Stubborn(" in bug.error.__notes__[0]


def square_or_pid(job, emit):
    return square(job, emit) or os.getpid()


def test_a_list_that_is_left_ends_its_jobs(tmp_path):
    with Local(2) as executor:
        left = executor.run(linger, [(0, tmp_path), (60, tmp_path)], lambda *_: None)
        assert next(left).value == "done"
        left.close()
        assert (tmp_path / "60").read_text() == "gone"


def test_one_that_will_not_leave_is_made_to(monkeypatch):
    monkeypatch.setattr("mbt_cli.executors._PATIENCE_S", 0.2)
    with Local(1) as executor:
        (stays,) = executor.run(stay, [0], lambda *_: None)
    assert not alive(stays.value)


def stay(_job, _emit):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return os.getpid()


def linger(job, _emit):
    seconds, folder = job
    try:
        (folder / f"begun {seconds}").touch()
        while not (folder / "begun 60").exists():
            time.sleep(0.01)
        time.sleep(seconds)
        return "done"
    finally:
        (folder / str(seconds)).write_text("gone")


def test_one_worker_is_this_process():
    assert isinstance(executor_of(1, 1), Here)
    with executor_of(2, 1) as executor:
        assert isinstance(executor, Local)


ORPHANS = """
import os, time
from mbt_cli.executors import Local
from tests_of_orphans import sleep
if __name__ == "__main__":
    with Local(2) as executor:
        for _ in executor.run(sleep, range(2), lambda place, event: print(event, flush=True)):
            pass
"""
SLEEP = """
import os, time
def sleep(job, emit):
    emit(os.getpid())
    time.sleep(60)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "tests_of_orphans.py").write_text(SLEEP)
    (tmp_path / "main.py").write_text(ORPHANS)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"], stdout=subprocess.PIPE, text=True
    )
    with parent:
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def slow_and_telling(pauses_s, emit):
    for pause_s in pauses_s:
        time.sleep(pause_s)
        emit(pause_s)
    return "done"


@pytest.fixture
def ready():
    """One worker that has begun: how long that takes is not its silence."""
    with Local(1) as executor:
        list(executor.run(slow_and_telling, [[0.0]], lambda *_: None))
        yield executor


def test_a_worker_that_says_something_now_and_then_is_not_stopped(ready):
    done = list(ready.run(slow_and_telling, [[0.8] * 5], lambda *_: None, 3.0))
    assert [outcome.value for outcome in done] == ["done"]


def test_a_worker_whom_nobody_listened_to_is_not_stopped_for_its_silence(ready):
    done = list(ready.run(slow_and_telling, [[0.0] * 3], lambda *_: time.sleep(2.0), 1.5))
    assert [outcome.value for outcome in done] == ["done"]


def test_a_worker_is_not_stopped_for_the_time_it_had_nothing_to_do(ready):
    time.sleep(2.5)
    done = list(ready.run(slow_and_telling, [[0.0]], lambda *_: None, 2.0))
    assert [outcome.value for outcome in done] == ["done"]


def interrupted(_job, _emit):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    return "done"


def test_a_worker_leaves_ctrl_c_to_its_parent(local):
    done = list(local.run(interrupted, [0], lambda *_: None))
    assert [outcome.value for outcome in done] == ["done"]
