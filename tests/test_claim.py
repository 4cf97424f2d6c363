"""One process at a time works on a run."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from mbt_cli import claim
from mbt_cli.claim import claimed, held
from mbt_cli.errors import MbtError
from mbt_cli.record import Record


def left_by(pid, folder, host=None, age_s=0.0):
    """A claim as a process leaves it that was killed."""
    path = folder.with_name(f"{folder.name}.claim")
    path.parent.mkdir(parents=True, exist_ok=True)
    host = host or claim.socket.gethostname()
    path.write_text(json.dumps({"host": host, "pid": pid, "token": "t"}))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.fixture
def dead_pid():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_run_is_one_processs_until_it_is_given_back(tmp_path):
    folder = tmp_path / "runs" / "a"
    with claimed(folder) as mine:
        assert mine and held(folder)
        with claimed(folder) as again:
            assert not again
        assert held(folder)
        with claimed(tmp_path / "runs" / "b") as other:
            assert other
    assert not held(folder)
    assert list((tmp_path / "runs").iterdir()) == []
    with claimed(folder) as mine:
        assert mine


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "a"):
        _ = 1 / 0
    assert not held(tmp_path / "a")


def test_a_dead_process_has_no_claim(tmp_path, dead_pid):
    left_by(dead_pid, tmp_path / "a")
    assert not held(tmp_path / "a")
    with claimed(tmp_path / "a") as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def test_a_claim_from_elsewhere_lives_as_long_as_it_is_kept_fresh(tmp_path):
    folder = tmp_path / "a"
    left_by(1, folder, host="elsewhere", age_s=claim.DEAD_S - 30)
    with claimed(folder) as mine:
        assert not mine and held(folder)
    left_by(1, folder, host="elsewhere", age_s=claim.DEAD_S + 1)
    assert not held(folder)
    with claimed(folder) as mine:
        assert mine


def test_a_claim_that_is_not_written_out_lives_until_it_is_stale(tmp_path):
    path = tmp_path / "a.claim"
    path.touch()
    with claimed(tmp_path / "a") as mine:
        assert not mine
    os.utime(path, (time.time() - claim.EMPTY_S - 1,) * 2)
    with claimed(tmp_path / "a") as mine:
        assert mine


def test_a_claim_is_kept_fresh(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "FRESH_S", 0.02)
    folder = tmp_path / "a"
    with claimed(folder):
        path = folder.with_name("a.claim")
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 5
        while path.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_one_who_died_while_burying_is_no_hindrance(tmp_path, dead_pid):
    left_by(dead_pid, tmp_path / "a")
    grave = tmp_path / "a.claim.t.buried"
    grave.write_text(
        json.dumps({"host": claim.socket.gethostname(), "pid": dead_pid, "token": "u"})
    )
    with claimed(tmp_path / "a") as mine:
        assert not mine
    with claimed(tmp_path / "a") as mine:
        assert mine


def test_graves_of_the_dead_go_when_the_run_is_claimed(tmp_path):
    (tmp_path / "a.claim.t.buried").touch()
    assert claim.left(tmp_path / "a")
    with claimed(tmp_path / "a") as mine:
        assert mine
    assert not claim.left(tmp_path / "a") and list(tmp_path.iterdir()) == []


def test_of_many_only_one_takes_a_dead_claim_over(tmp_path, dead_pid):
    folder = tmp_path / "runs"
    for i in range(40):
        left_by(dead_pid, folder / f"r{i}")
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        held_at_once = list(pool.map(overlaps, [folder] * 3))
    assert sum(held_at_once) == 0


def overlaps(folder):
    """How often somebody else had a run while it was ours."""
    bad = 0
    for i in range(40):
        with claimed(folder / f"r{i}") as mine:
            if mine:
                mark = folder / f"r{i}.mark"
                try:
                    mark.touch(exist_ok=False)
                    time.sleep(0.003)
                    mark.unlink()
                except FileExistsError:
                    bad += 1
    return bad


def test_a_run_that_is_being_run_cannot_be_removed(tmp_path):
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    with claimed(folder), pytest.raises(MbtError, match="is being run: stop that command first"):
        Record(folder).remove()
    assert folder.exists()
    Record(folder).remove()
    assert not folder.exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from mbt_cli.claim import claimed
from mbt_cli.errors import Unwritable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))
try:
    with claimed(Path(sys.argv[1])):
        pass
except Unwritable as error:
    print(error)
"""


def test_a_claim_that_cannot_be_written_is_one_sentence_and_not_there(tmp_path):
    command = [sys.executable, "-c", FULL, tmp_path / "a"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert "a.claim cannot be written (File too large)" in said.stdout and said.stderr == ""
    assert list(tmp_path.iterdir()) == []
