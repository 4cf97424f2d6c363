"""One start of `ablate` on a small grid, in a session of its own, watched or not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

"""To hit a phase in a round."""
LIMIT_S = 240.0
"""A command that takes longer hangs."""
REPOSITORY = Path(__file__).parents[2]
GRID = '''"""Does it survive?"""

from mbt_cli.grid import Grid


def cells(base):
    base = base.at("model.fusion_layer", 1)
    return [base.at("model.fusion", fusion) for fusion in ("bottleneck", "self_attention")]


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion")
'''
SETTINGS = {
    "data.train": 48, "data.validation": 24, "data.test": 24, "training.epochs": 3,
    "training.batch_size": 8, "training.mixup": 0.3, "model.stochastic_depth": 0.3,
}  # fmt: skip
NOWHERE: Mapping[str, Any] = {}
"""The aim where nobody kills."""


@dataclass(frozen=True)
class Setting:
    """How the commands of a round are started; no result may depend on it."""

    workers: int
    checkpoint_s: float
    store: bool
    """Whether MLflow's database is made before."""


class Command:
    """One start of `ablate`, in a session of its own."""

    def __init__(self, folder: Path, setting: Setting, aim: Mapping[str, Any] = NOWHERE) -> None:
        words = ["ablate", "--grid", str(folder.parent / "survival.py"), "--seeds", "2"]
        words += ["--workers", str(setting.workers), "--checkpoint-s", str(setting.checkpoint_s)]
        words += ["--device", "cpu", "--results", str(folder / "results")]
        words += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        paths = f"{Path(__file__).parents[1] / 'aim'}{os.pathsep}{REPOSITORY}"
        env = os.environ | {
            "PYTHONFAULTHANDLER": "1",
            "MBT_CACHE": str(folder / "cache"),
            "PYTHONPATH": paths,
        }
        env |= {"AIM": json.dumps(aim)}
        for name in ("MLFLOW_TRACKING_URI", "MBT_RESULTS"):
            env.pop(name, None)
        self.said = folder / "said.txt"
        self.began = time.monotonic()
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mbt_cli", *words], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env=env, start_new_session=True,
            )  # fmt: skip

    @property
    def late(self) -> bool:
        return time.monotonic() - self.began > LIMIT_S

    def wait(self) -> int:
        """Its exit status, once all its processes are gone; one that hangs is killed."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, LIMIT_S - (time.monotonic() - self.began)))
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        while not self.late:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return code
            time.sleep(0.01)
        raise RuntimeError("A process is left.")
