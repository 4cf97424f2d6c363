"""What does the tool cost over bare training? Time of `ablate` over the sum of the times of `fit`.

Both do the same experiments of the built-in world, one after the other on one thread, with the same
clips, rendered and decoded before. Bare is `mbt_cli.train.fit` in a process that has imported all,
with nothing kept. The command starts, plans, claims, records, keeps checkpoints every 30 s, scores
test and logs to MLflow. Sides take turns, so that a machine that slows down slows both.

For runs of the normal length a command of 2 runs, one of 2 more in the same folder, and one of 4
in a new folder tell what is paid once: the start, MLflow's new database; and what by every run.

    python benchmarks/overhead.py                # synthetic runs as they are: 7 minutes
    python benchmarks/overhead.py --minutes 2    # two runs of about 2 minutes each
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

LIMIT = 1.05
TURNS = 3
FUSIONS = ("late", "bottleneck")
GRID = f"""
from mbt_cli.grid import Grid


def cells(base):
    return [base.at("model.fusion", fusion) for fusion in {FUSIONS}]


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion")
"""
Seconds = list[list[float]]
"""Of each run of each seed."""


class NoLog:
    """Keeps nothing."""

    def row(self, values: Mapping[str, Any]) -> None:
        pass

    def best(self, weights: Mapping[str, Any]) -> None:
        pass

    def step(self, state: Callable[[], Mapping[str, Any]], *, last: bool) -> None:
        pass


def train(epochs: int, seeds: int) -> Seconds:
    """The times of bare training, in this process."""
    import torch

    from mbt_cli.data import open_manifest
    from mbt_cli.data.cache import Cached, folder_of
    from mbt_cli.recipes import recipe
    from mbt_cli.train import fit

    torch.set_num_threads(1)
    base = recipe("synthetic")
    manifest = open_manifest(base.data)
    data = Cached(manifest, folder_of(manifest, base.data.views))

    def seconds(fusion: str, seed: int, epochs: int) -> float:
        one = base.at("model.fusion", fusion).at("training.seed", seed)
        began = time.perf_counter()
        fit(one.at("training.epochs", epochs).canonical(), data, NoLog())
        return time.perf_counter() - began

    seconds(FUSIONS[0], 0, 1)  # imports the rest of torch
    return [[seconds(fusion, seed, epochs) for fusion in FUSIONS] for seed in range(seeds)]


def bare(epochs: int, seeds: int) -> Seconds:
    """The times of bare training, in a process of its own."""
    command = [sys.executable, __file__, "--bare", str(epochs), str(seeds)]
    taken: Seconds = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return taken


def ablate(folder: Path, epochs: int, seeds: int) -> float:
    """The time of the command."""
    (folder / "pair.py").write_text(GRID)
    command = [sys.executable, "-m", "mbt_cli", "ablate", "--grid", str(folder / "pair.py")]
    command += ["--seeds", str(seeds), "--set", f"training.epochs={epochs}", "--workers", "1"]
    command += ["--device", "cpu", "--results", str(folder / "results")]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def turn(epochs: int) -> dict[str, float]:
    """What is paid in runs of a normal length."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first = ablate(Path(one), epochs, 1)
        (zero, more) = map(sum, bare(epochs, 2))
        all_four = ablate(Path(two), epochs, 2)
        further = ablate(Path(one), epochs, 2)
    each = (all_four - first - more) / len(FUSIONS)
    again = further - more - len(FUSIONS) * each
    return {
        "ablate, 4 runs": all_four,
        "bare training, 4 runs": zero + more,
        "ratio": all_four / (zero + more),
        "paid by each run": each,
        "paid by each command": again,
        "MLflow's new database": first - zero - len(FUSIONS) * each - again,
    }


def long_turn(minutes: float) -> dict[str, float]:
    """What is paid in two runs of so many minutes."""
    epochs = max(1, round(60 * minutes / mean(bare(5, 1)[0]) * 5))
    with tempfile.TemporaryDirectory() as folder:
        spent = ablate(Path(folder), epochs, 1)
    alone = sum(bare(epochs, 1)[0])
    return {
        f"ablate, 2 runs of {epochs} epochs": spent,
        "bare training, 2 runs": alone,
        "ratio": spent / alone,
        "paid by each run, with its share of the start": (spent - alone) / len(FUSIONS),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, help="two runs of about so long")
    parser.add_argument("--turns", type=int, help=f"{TURNS}; with --minutes 1")
    parser.add_argument("--bare", type=int, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        print(json.dumps(train(*asked.bare)))
        return
    with tempfile.TemporaryDirectory() as folder:
        ablate(Path(folder), 1, 1)  # renders, and warms the disk
    turns = []
    for number in range(asked.turns or (1 if asked.minutes else TURNS)):
        turns.append(long_turn(asked.minutes) if asked.minutes else turn(5))
        print(f"turn {number + 1}: ratio {turns[-1]['ratio']:.3f}", flush=True)
    for what in turns[0]:
        middle = median(one[what] for one in turns)
        unit = "" if what == "ratio" else " s"
        print(f"{what:<48}{middle:8.3f}{unit}")
    print(f"the limit of the ratio, for runs of two minutes: {LIMIT}")


if __name__ == "__main__":
    main()
