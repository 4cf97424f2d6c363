"""A command that is stopped or killed loses nothing and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

from conftest import PAIR, TINY

from mbt_cli.experiment import Evaluation
from mbt_cli.runs import finished

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
    deadline = time.monotonic() + 60
    while not any(len(file.read_bytes().splitlines()) > 20 for file in killed.rglob("*.jsonl")):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.01)
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    (rows,) = killed.rglob("metrics.jsonl")
    before = rows.read_bytes().splitlines()
    assert not finished(killed)

    assert mbt(*words, killed, **mlflow).returncode == 0
    after = rows.read_bytes().splitlines()
    assert after[:15] == before[:15]  # with the times at which they were measured
    (one,), (other,) = finished(whole).values(), finished(killed).values()
    without = [[row | {"time_s": 0} for row in run.curve()] for run in (one, other)]
    assert without[0] == without[1]
    assert (one.scores(Evaluation())["scores"] == other.scores(Evaluation())["scores"]).all()
    for name, tensor in one.weights().items():
        assert (tensor == other.weights()[name]).all()
    assert not list(killed.rglob("checkpoint.pt"))


def test_two_commands_share_the_runs_and_do_none_twice(mbt, tmp_path, logged):
    (tmp_path / "pair.py").write_text(PAIR)
    words = ["ablate", "--grid", tmp_path / "pair.py", *TINY, "--seeds", 3, "--workers", 1]
    command = [sys.executable, "-m", "mbt_cli", *map(str, [*words, "--results", tmp_path / "r"])]
    assert mbt(*words[:3], *TINY, "--seeds", 1, "--results", tmp_path / "warm",
               MLFLOW_TRACKING_URI=logged).returncode == 0  # fmt: skip
    both = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"MBT_CACHE": str(mbt.cache), "MLFLOW_TRACKING_URI": logged},
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert any("Another command does" in one for one in said)
    runs = finished(tmp_path / "r").values()
    assert len(runs) == 6
    for run in runs:
        steps = [row["step"] for row in run.curve() if "loss" in row]
        assert steps == sorted(set(steps)) and len(steps) == 1
    assert not list((tmp_path / "r").rglob("*.claim*"))


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
