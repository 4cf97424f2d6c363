"""How many feature records a second come off the disk, and how near is that to reading the bytes?

All sides take turns on the same files, which the machine holds in memory by then; the median over
rounds is taken, by the clock. A ratio is of the bare read, `open().read()` of every file: what no
reader can beat.

    views        the clips as runs get them: framed, checksums, parsed, dequantised, in their form
    in order     each of them alone by its place, as a stream reads it in this process
    mixed        the same in the order of an epoch
    readers      the same by two reader processes, to batches of 64 in this one
    scan         all that is looked at when a folder is scanned

    python benchmarks/features.py    # a minute; the real shards beside the checkout, or the world
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from mbt_cli.data import make_ready, one_by_one, open_manifest, rendered
from mbt_cli.data.clips import Wanted
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.data.shard import Kind, rows
from mbt_cli.dataset import FEATURES, Data, Features, SyntheticFeatures, YouTube8M
from mbt_cli.executors import Executor, Here, Local
from mbt_cli.stream import Streamed

REAL = Path(__file__).parents[2] / "shared" / "data" / "yt8m_video_level"
ROUNDS, BATCH = 5, 64


def of_shards(root: Path, kind: Kind) -> Manifest:
    """Every clip of some shards."""
    entries = [
        Entry(f"{path.stem}-{row.offset}", path, "train", row.labels, row.start_s, row.end_s,
              row.video, row.offset)
        for path in sorted(root.glob("*.tfrecord")) for row in rows(kind, path)
    ]  # fmt: skip
    return Manifest(tuple(entries), ("a",), multi_label=True, fingerprint="f")


def bare(manifest: Manifest) -> None:
    for path in {entry.path: None for entry in manifest.entries}:
        with path.open("rb") as file:
            file.read()


def views(spec: Data, manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MBT_CACHE"] = cache
        make_ready(spec, manifest, one_by_one)


def streamed(spec: Data, manifest: Manifest, readers: Executor, mixed: bool) -> None:
    clips = Streamed(manifest, spec.views, readers, {})
    order = places = np.arange(len(manifest.entries))
    if mixed:
        order = clips.shuffled(places, np.random.default_rng(0))
    parts = np.array_split(order, max(1, len(order) // BATCH))
    for _ in clips.batches(
        Wanted(part, {m: np.full(len(part), 0.5) for m in FEATURES}) for part in parts
    ):
        pass


def scanned(manifest: Manifest, kind: Kind) -> None:
    for path in {entry.path: None for entry in manifest.entries}:
        assert not any(row.reason for row in rows(kind, path))


def timed(sides: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Seconds of each."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            took[name].append(time.perf_counter() - began)
    return {name: median(each) for name, each in took.items()}


def told(title: str, spec: Data, manifest: Manifest, kind: Kind, readers: Sequence[int]) -> None:
    """A table of one dataset."""
    many = len(manifest.entries)
    sizes = {entry.path: entry.path.stat().st_size for entry in manifest.entries}
    print(f"\n{title}: {many:,} clips, {sum(sizes.values()) / 1e6:.1f} MB, {spec.views.form}")
    sides: dict[str, Callable[[], None]] = {
        "bare read": lambda: bare(manifest),
        "scan": lambda: scanned(manifest, kind),
        "views": lambda: views(spec, manifest),
        "in order": lambda: streamed(spec, manifest, Here(), mixed=False),
        "mixed": lambda: streamed(spec, manifest, Here(), mixed=True),
    }
    with Local(readers[0]) as some:
        sides[f"{readers[0]} readers"] = lambda: streamed(spec, manifest, some, mixed=True)
        streamed(spec, manifest, some, mixed=True)  # they start
        found = timed(sides)
    for name, seconds in found.items():
        rate, ratio = many / seconds, seconds / found["bare read"]
        print(f"  {name:12} {rate:10,.0f} clips/s   {ratio:8.1f} times the bare read")


def main() -> None:
    if REAL.is_dir():
        spec = YouTube8M(level="video", views=Features(form="mean"))
        kind = Kind("video", spec.classes)
        told("Real video-level shards", spec, of_shards(REAL, kind), kind, [2])
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MBT_CACHE"] = cache
        world = SyntheticFeatures(train=1500, validation=1, test=1)
        manifest = open_manifest(world)
        rendered(world, manifest.entries, one_by_one)
        for form in ("mean_std", "segments"):
            spec = YouTube8M(views=Features(form=form))
            told("The world's frame-level shards", spec, manifest, Kind("frame", 23), [2])


if __name__ == "__main__":
    main()
