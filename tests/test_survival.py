"""A command that is stopped or killed loses nothing and leaves nothing behind."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PAIR, TINY

from mbt_cli.experiment import Evaluation
from mbt_cli.runs import RUNNING, finished, recorded

ONE = PAIR.replace('("late", "bottleneck")', '("bottleneck",)')


def test_a_killed_run_goes_on_where_it_was_with_the_same_result(mbt, tmp_path, logged):
    (tmp_path / "one.py").write_text(ONE)
    words = ["ablate", "--grid", tmp_path / "one.py", *TINY[:-2], "--set", "training.epochs=9"]
    words += ["--set", "training.batch_size=8", "--seeds", 1, "--checkpoint-s", 0, "--results"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    mlflow = {"MLFLOW_TRACKING_URI": logged}
    assert mbt(*words, whole, **mlflow).returncode == 0
    command = [sys.executable, "-m", "mbt_cli", *map(str, words), str(killed)]
    parent = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, start_new_session=True,
        env=os.environ | {"MBT_CACHE": str(mbt.cache)} | mlflow,
    )  # fmt: skip
    rows = rows_of(killed, parent)
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    before = rows.read_bytes().splitlines()
    assert not finished(killed)

    assert mbt(*words, killed, **mlflow).returncode == 0
    after = rows.read_bytes().splitlines()
    assert after[:15] == before[:15]  # with the times at which they were measured
    check_same(whole, killed)


def test_a_killed_run_on_streamed_features_is_the_run_on_arrays(mbt, tmp_path, logged):
    (tmp_path / "one.py").write_text(
        PAIR.replace('for fusion in ("late", "bottleneck")', 'for fusion in ("hybrid",)')
        .replace("model.fusion_layer", "model.tokens")
    )  # fmt: skip
    words = ["ablate", "--grid", tmp_path / "one.py", "--recipe", "synthetic_features"]
    words += [*TINY[:-2], "--set", "training.epochs=31", "--set", "training.batch_size=8"]
    words += ["--seeds", 1, "--checkpoint-s", 0, "--results"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    mlflow = {"MLFLOW_TRACKING_URI": logged}
    assert mbt(*words, whole, **mlflow).returncode == 0
    streamed = [*words, killed, "--cache-gb", "0", "--readers", 2]
    with subprocess.Popen(
        [sys.executable, "-m", "mbt_cli", *map(str, streamed)], stdout=subprocess.DEVNULL,
        start_new_session=True, env=os.environ | {"MBT_CACHE": str(mbt.cache)} | mlflow,
    ) as parent:  # fmt: skip
        rows = rows_of(killed, parent)
        os.killpg(parent.pid, signal.SIGKILL)
    before = rows.read_bytes().splitlines()
    assert not finished(killed)
    assert mbt(*streamed, **mlflow).returncode == 0
    assert rows.read_bytes().splitlines()[:15] == before[:15]
    check_same(whole, killed)


def rows_of(results, parent, more_than=20):
    """The rows of the one run of a folder, as soon as there are so many."""
    deadline = time.monotonic() + 60
    while True:
        for file in results.rglob("metrics.jsonl"):
            if len(file.read_bytes().splitlines()) > more_than:
                return file
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.01)


def check_same(whole, broken):
    """The one run of each folder, bit by bit."""
    (one,), (other,) = finished(whole).values(), finished(broken).values()
    without = [[row | {"time_s": 0} for row in run.curve()] for run in (one, other)]
    assert without[0] == without[1]
    assert (one.scores(Evaluation())["scores"] == other.scores(Evaluation())["scores"]).all()
    for name, tensor in one.weights().items():
        assert (tensor == other.weights()[name]).all()
    assert not list(broken.rglob("checkpoint.pt")) and not list(broken.rglob("*.part"))


def children(pid):
    """Processes that this one started."""
    return [
        int(p) for f in Path(f"/proc/{pid}/task").glob("*/children") for p in f.read_text().split()
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_worker_that_is_killed_costs_its_run_which_goes_on_when_asked_to(mbt, tmp_path, logged):
    """And with --retries at once, from its checkpoint, with the same result."""
    (tmp_path / "one.py").write_text(ONE)
    words = ["ablate", "--grid", tmp_path / "one.py", *TINY[:-2], "--set", "training.epochs=9"]
    words += ["--set", "training.batch_size=8", "--seeds", 1, "--checkpoint-s", 0]
    mlflow = {"MLFLOW_TRACKING_URI": logged}
    assert mbt(*words, "--keep", "all", "--results", tmp_path / "whole", **mlflow).returncode == 0
    assert list((tmp_path / "whole").rglob("checkpoint.pt"))
    env = os.environ | {"MBT_CACHE": str(mbt.cache)} | mlflow
    for how, results in (((), tmp_path / "dead"), (("--retries", "1"), tmp_path / "again")):
        told = [sys.executable, "-m", "mbt_cli", *map(str, words), *how, "--results", str(results)]
        with subprocess.Popen(told, stdout=-1, stderr=-1, text=True, env=env) as parent:
            rows = rows_of(results, parent)
            before = len(rows.read_bytes().splitlines())
            (worker,) = [pid for pid in children(parent.pid) if b"spawn_main" in
                         Path(f"/proc/{pid}/cmdline").read_bytes()]  # fmt: skip
            os.kill(worker, signal.SIGKILL)
            out, err = parent.communicate(timeout=60)
        if not how:
            assert parent.returncode == 1 and "Traceback" not in err
            assert "failed: Its process died (killed by SIGKILL: is memory short?)." in out
            assert f"All of that: {rows.parent / 'error.txt'}" in out
            assert "1 of 1 runs failed" in err and "--retry-failed" in err
            assert "left alone" in mbt(*words, "--results", results, **mlflow).stderr
            again = mbt(*words, "--retry-failed", "--results", results, **mlflow)
            assert again.returncode == 0 and "failed" not in again.stdout
        else:
            assert parent.returncode == 0, err
            assert "is memory short?). Trying again (1 of 1)." in out
        assert len(rows.read_bytes().splitlines()) > before
        check_same(tmp_path / "whole", results)


def test_a_full_disk_stops_the_command_and_no_run_has_failed(mbt, tmp_path, logged):
    """The limit of file sizes stands for the disk: too little for a checkpoint."""
    (tmp_path / "pair.py").write_text(PAIR)
    words = ["ablate", "--grid", tmp_path / "pair.py", *TINY, "--seeds", 1, "--checkpoint-s", 0]
    mlflow = {"MLFLOW_TRACKING_URI": logged}
    assert mbt(*words, "--results", tmp_path / "warm", **mlflow).returncode == 0
    full = subprocess.run(
        [sys.executable, "-m", "mbt_cli", *map(str, words), "--results", str(tmp_path / "full")],
        env=os.environ | {"MBT_CACHE": str(mbt.cache)} | mlflow, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000)),
    )  # fmt: skip
    assert full.returncode == 1 and full.stderr.count("\n") == 1, full.stderr
    assert "checkpoint.pt cannot be written (File too large). What is finished" in full.stderr
    assert "failed" not in full.stdout
    assert {run.state for run in recorded(tmp_path / "full")} == {RUNNING}
    assert not list(tmp_path.rglob("*.claim")) and not list(tmp_path.rglob("*.part"))
    assert mbt(*words, "--results", tmp_path / "full", **mlflow).returncode == 0
    assert len(finished(tmp_path / "full")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_second_ctrl_c_waits_for_nothing(mbt, tmp_path, logged):
    words = ["ablate", "--grid", "fusion_layer", *TINY, "--seeds", "2", "--results", tmp_path]
    env = os.environ | {"MBT_CACHE": str(mbt.cache), "MLFLOW_TRACKING_URI": logged}
    command = [sys.executable, "-m", "mbt_cli", *map(str, words)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=env) as parent:
        while "1/26" not in parent.stdout.readline():
            pass
        workers = [pid for pid in children(parent.pid) if b"spawn_main" in
                   Path(f"/proc/{pid}/cmdline").read_bytes()]  # fmt: skip
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)  # one that cannot leave by itself
        parent.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert parent.poll() is None
        parent.send_signal(signal.SIGINT)
        assert parent.wait(20) == -signal.SIGINT
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert parent.stderr.read() == ""


def test_ctrl_c_is_one_sentence_and_leaves_no_process(mbt, tmp_path, logged):
    words = ["ablate", "--grid", "fusion_layer", *TINY, "--seeds", "2", "--results", tmp_path]
    parent = subprocess.Popen(
        [sys.executable, "-m", "mbt_cli", *map(str, words)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"MBT_CACHE": str(mbt.cache), "MLFLOW_TRACKING_URI": logged},
    )  # fmt: skip
    with parent:
        while "1/26" not in parent.stdout.readline():
            pass
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert "Stopped. What is finished is kept" in said and "Traceback" not in said
    deadline = time.monotonic() + 20
    while True:
        try:
            os.killpg(parent.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)
    assert len(finished(tmp_path)) >= 1
