"""Two commands on one results folder share what is to be done, and do nothing twice."""

import os
import subprocess
import sys

from conftest import PAIR, TINY

from mbt_cli.runs import finished


def test_two_commands_share_the_runs_and_do_none_twice(mbt, tmp_path, logged):
    (tmp_path / "pair.py").write_text(PAIR)
    words = ["ablate", "--grid", tmp_path / "pair.py", *TINY, "--seeds", 3, "--workers", 1]
    command = [sys.executable, "-m", "mbt_cli", *map(str, [*words, "--results", tmp_path / "r"])]
    assert mbt(*words[:3], *TINY, "--seeds", 1, "--keep", "all", "--results", tmp_path / "warm",
               MLFLOW_TRACKING_URI=logged).returncode == 0  # fmt: skip
    assert len(list(tmp_path.rglob("checkpoint.pt"))) == 2  # the last step's, early as it is
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


def test_two_commands_read_the_clips_once(tmp_path, logged):
    (tmp_path / "pair.py").write_text(PAIR)
    words = ["ablate", "--grid", tmp_path / "pair.py", *TINY, "--set", "data.world=3", "--seeds", 1]
    command = [sys.executable, "-m", "mbt_cli", *map(str, [*words, "--results", tmp_path / "r"])]
    env = os.environ | {"MBT_CACHE": str(tmp_path / "cache"), "MLFLOW_TRACKING_URI": logged}
    both = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=env) for _ in range(2)]
    said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("Reading clips: 96 clips" in out for out, _ in said) == 1
    assert len(finished(tmp_path / "r")) == 2
    assert not list(tmp_path.rglob("*.claim")) and not list(tmp_path.rglob("*.part"))
