"""A command killed in the midst of each of its phases goes on with the same command."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"


def test_kills_from_rendering_to_mlflow_lose_repeat_and_change_nothing(tmp_path):
    command = [sys.executable, str(SCRIPT), "--kills", "6", "--seed", "18", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 wrong" in done.stdout.splitlines()[-1]
