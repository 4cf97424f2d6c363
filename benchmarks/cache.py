"""How many clips a second come out of the arrays on disk? Against copying the same bytes in memory.

Batches of 64 clips in random order, warm; 4 s of the paper's views, 1.3 MB a clip.

    python benchmarks/cache.py      # some seconds
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from mbt_cli.data.cache import Cached
from mbt_cli.data.clips import Wanted
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Views

CLIPS, BATCH, ROUNDS = 512, 64, 7


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cached(Path(folder))


def cached(folder: Path) -> None:
    """Batches out of the arrays on disk, against copying the same bytes in memory."""
    views, rng = Views(span_s=4.0), np.random.default_rng(0)
    arrays = {}
    for m, shape in views.shapes.items():
        arrays[m] = np.zeros((CLIPS, *shape), views.dtypes[m])
        np.save(folder / f"{m}.npy", arrays[m])
    (folder / "ready.json").write_text('{"left_out": {}}')
    entries = (Entry(f"{k}", folder, "train", (0,)) for k in range(CLIPS))
    clips = Cached(Manifest(tuple(entries), ("a",), multi_label=False, fingerprint=""), folder)
    taken: dict[str, list[float]] = {"arrays": [], "memory": []}
    for _ in range(ROUNDS + 1):
        places = rng.permutation(CLIPS)
        turns = np.split(places, range(BATCH, CLIPS, BATCH))
        middle = {m: np.full(BATCH, 0.5) for m in arrays}
        began = time.perf_counter()
        for _ in clips.batches(Wanted(turn, middle) for turn in turns):
            pass
        taken["arrays"].append(time.perf_counter() - began)
        began = time.perf_counter()
        for turn in turns:
            for array in arrays.values():
                array[turn]
        taken["memory"].append(time.perf_counter() - began)
    mine, its = (CLIPS / median(times[1:]) for times in taken.values())
    size = sum(array.nbytes for array in arrays.values()) / CLIPS / 1e6
    print(
        f"cached: {mine:,.0f} clips/s of {size:.1f} MB, copied in memory {its:,.0f} clips/s,"
        f" ratio {mine / its:.2f}"
    )


if __name__ == "__main__":
    main()
