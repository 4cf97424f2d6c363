"""Decoded views of all clips of a dataset, in arrays on disk: made once, shared by all runs.

n clips of the manifest, in its order. A folder holds `audio.npy` (n, 1, t, mel) float16,
`video.npy` (n, 3, t, h, w) uint8, `state.npy` (n,): which were read, and, once all were tried,
`ready.json`. It is named by the clips, the views and the code that makes views of clips.
"""

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import prod
from operator import index
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from jaxtyping import Int64

from mbt_cli import settings
from mbt_cli.data.clips import MIDDLE, Batch, Clips, Wanted
from mbt_cli.data.fault import ClipError
from mbt_cli.data.glance import glance
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.data.records import files
from mbt_cli.dataset import Features, Viewed
from mbt_cli.files import sweep, whole, write, writing

READ = 1
ROOMS = ("clip", "fault", "media", "span", "pictures", "sound", "views", "excerpt")
"""The code that makes views of clips."""
ROOMS_OF_FEATURES = ("fault", "tfrecord", "example", "features")
"""The code that makes views of records."""
PART = 256
"""Records of a shard that are read together."""
BLOCK = 2**20
"""Bytes of zeros at a time."""


@dataclass(frozen=True)
class Arrays:
    """The arrays of a folder, to read clips into."""

    folder: Path
    views: Viewed


Place = tuple[int, Entry]
"""A clip, and where it stands in the manifest."""
Part = Sequence[Place]
"""Clips that are read together: one alone, or some records of a shard."""
Fill = Callable[[Arrays, Sequence[Part]], Iterator[tuple[int, Any]]]
"""Reads parts, here or elsewhere (`read` each): the place of each in the sequence, and what `read`
gave, or the error that its process died of."""


def root() -> Path:
    """Of all caches: MBT_CACHE, or mbt-cli in the user's cache folder."""
    if chosen := os.environ.get("MBT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mbt-cli"


def folder_of(manifest: Manifest, views: Viewed) -> Path:
    """Where the views of these clips belong."""
    rooms = ROOMS_OF_FEATURES if isinstance(views, Features) else ROOMS
    seen = {"clips": manifest.fingerprint, "code": code(rooms), **settings.plain(_cut(views))}
    return root() / "views" / settings.digest(seen)


def code(rooms: Iterable[str]) -> str:
    """Twelve hex digits for the code of some rooms beside this one."""
    sum_ = blake2b(digest_size=6)
    for room in rooms:
        sum_.update((Path(__file__).parent / f"{room}.py").read_bytes())
    return sum_.hexdigest()


def fill(manifest: Manifest, views: Viewed, folder: Path, do: Fill) -> None:
    """Reads every clip that was not read before: after a fill that was cut short the rest, after a
    whole one those that could not be read. Raises Unwritable."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    n = len(manifest.entries)
    for name, dtype in views.dtypes.items():
        _lay_out(folder / f"{name}.npy", (n, *views.shapes[name]), dtype)
    _lay_out(folder / "state.npy", (n,), np.uint8)
    state = np.load(folder / "state.npy", mmap_mode="r")
    parts = _Parts(manifest.entries, _together(np.flatnonzero(state != READ), manifest, views))
    left_out: dict[str, str] = {}
    for place, found in do(Arrays(folder, views), parts):
        of = parts[place]
        whys = found if isinstance(found, list) else [found] * len(of)
        left_out |= {entry.name: str(why) for (_, entry), why in zip(of, whys, strict=True) if why}
    write(folder / "ready.json", {"left_out": dict(sorted(left_out.items()))})


def size(manifest: Manifest, views: Viewed) -> int:
    """Bytes of the arrays."""
    of_clip = sum(
        prod(views.shapes[m]) * np.dtype(kind).itemsize for m, kind in views.dtypes.items()
    )
    return of_clip * len(manifest.entries)


def complete(folder: Path) -> bool:
    """Whether every clip was read."""
    ready = folder / "ready.json"
    return ready.exists() and not json.loads(ready.read_text())["left_out"]


def read(arrays: Arrays, part: Part) -> list[str | None]:
    """Reads some clips into the arrays; for each, the reason where it cannot be."""
    whys: list[str | None] = []
    found: dict[int, dict[str, np.ndarray]] = {}
    for place, entry in part:
        try:
            found[place] = glance(entry, arrays.views, dict.fromkeys(arrays.views.dtypes, MIDDLE))
            whys.append(None)
        except ClipError as error:
            whys.append(str(error))
    if not found:
        return whys
    for name in (*arrays.views.dtypes, "state"):  # the state last: then they are whole
        values = READ if name == "state" else np.stack([views[name] for views in found.values()])
        np.load(arrays.folder / f"{name}.npy", mmap_mode="r+")[[*found]] = values
    return whys


class Cached(Clips):
    """The clips whose views lie in arrays on disk: of each the span in its middle."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        super().__init__(manifest, json.loads((folder / "ready.json").read_text())["left_out"])
        self.folder = folder
        paths = (path for path in folder.glob("*.npy") if path.stem != "state")
        self.arrays = {path.stem: np.load(path, mmap_mode="r") for path in paths}

    def batches(self, wanted: Iterable[Wanted]) -> Generator[Batch]:
        for one in wanted:
            yield Batch(one.places, {m: self.arrays[m][one.places] for m in one.at})


@dataclass(frozen=True)
class _Parts(Sequence[Part]):
    """All that is to be read; the entries of a part are made when it is asked for."""

    entries: Sequence[Entry]
    places: Sequence[Int64[np.ndarray, " _"]]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: SupportsIndex) -> Part: ...

    @overload
    def __getitem__(self, place: slice) -> list[Part]: ...

    def __getitem__(self, place: SupportsIndex | slice) -> Part | list[Part]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return [(i, self.entries[i]) for i in self.places[index(place)].tolist()]


def _together(
    places: Int64[np.ndarray, " n"], manifest: Manifest, views: Viewed
) -> list[Int64[np.ndarray, " _"]]:
    """Records of one shard, some at a time; else each clip by itself."""
    starts = np.arange(len(places))
    if isinstance(views, Features):
        shard = files(manifest.entries)[places]
        begun = np.maximum.accumulate(np.where(np.diff(shard, prepend=-1) != 0, starts, 0))
        starts = starts[(starts - begun) % PART == 0]
    return np.split(places, starts[1:]) if len(places) else []


def _cut(views: Viewed) -> Viewed:
    """Without what happens after the cache: normalising."""
    fresh = type(views)()
    return replace(
        views, video_mean=fresh.video_mean, video_std=fresh.video_std,
        audio_mean=fresh.audio_mean, audio_std=fresh.audio_std,
    )  # fmt: skip


def _lay_out(path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    """An array of zeros on disk, there whole or not at all. Raises Unwritable.

    Its room is taken now: where a disk is full, writing to an array that is mapped into memory
    kills the process.
    """
    if path.exists():
        return
    with whole(path) as file:
        head = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        zeros = bytes(min(BLOCK, size := prod(shape) * np.dtype(dtype).itemsize))
        for start in range(0, size, BLOCK):
            file.write(zeros[: size - start])
