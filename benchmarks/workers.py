"""Two workers against one, on the same four runs of the built-in world: is the second one worth it?

One clip set for both, rendered before the clock runs. Each turn is a results folder of its own;
turns alternate, so that a machine that slows down slows both.

    python benchmarks/workers.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TURNS = 3
GRID = """
from mbt_cli.grid import Grid


def cells(base):
    return [base.at("model.fusion", f) for f in ("late", "bottleneck")]


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion")
"""


def seconds(folder: Path, workers: int) -> float:
    command = [sys.executable, "-m", "mbt_cli", "ablate", "--grid", str(folder / "pair.py")]
    command += ["--seeds", "2", "--workers", str(workers), "--results", str(folder / "results")]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    taken: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(TURNS + 1):
        for workers, times in taken.items():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "pair.py").write_text(GRID)
                spent = seconds(Path(folder), workers)
            if turn:  # the first turn renders and warms the disk
                times.append(spent)
                print(f"turn {turn}: {workers} worker(s) {spent:.1f} s")
    ratio = median(one / two for one, two in zip(taken[1], taken[2], strict=True))
    print(f"one worker over two: {ratio:.2f} (median of {TURNS})")


if __name__ == "__main__":
    main()
