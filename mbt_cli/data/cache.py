"""Decoded views of all clips of a dataset, in arrays on disk: made once, shared by all runs.

n clips of the manifest, in its order. A folder holds `audio.npy` (n, 1, t, mel) float16,
`video.npy` (n, 3, t, h, w) uint8, `state.npy` (n,): which were read, and, once all were tried,
`ready.json`. It is named by the clips, the views and the code that makes views of clips.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mbt_cli import settings
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Views
from mbt_cli.files import sweep, whole, write, writing

READ = 1
DTYPES = {"audio": np.float16, "video": np.uint8}
CHUNK = 32
"""Clips in a job."""
BLOCK = 2**20
"""Bytes of zeros at a time."""


@dataclass(frozen=True)
class Chunk:
    """Some clips to read into the arrays of a folder."""

    folder: Path
    views: Views
    entries: tuple[tuple[int, Entry], ...]


Fill = Callable[[Sequence[Chunk]], Iterator[dict[str, str]]]
"""Reads chunks, here or elsewhere (`read_chunk` for each): the reasons for clips left out."""


def root() -> Path:
    """Of all caches: MBT_CACHE, or mbt-cli in the user's cache folder."""
    if chosen := os.environ.get("MBT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mbt-cli"


def folder_of(manifest: Manifest, views: Views) -> Path:
    """Where the views of these clips belong."""
    code = blake2b(digest_size=6)
    for room in ("clip.py", "views.py"):
        code.update((Path(__file__).parent / room).read_bytes())
    seen = {"clips": manifest.fingerprint, "code": code.hexdigest(), **settings.plain(_cut(views))}
    return root() / "views" / settings.digest(seen)


def fill(manifest: Manifest, views: Views, folder: Path, do: Fill) -> None:
    """Reads every clip that was not read before: after a fill that was cut short the rest, after a
    whole one those that could not be read. Raises Unwritable."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    n = len(manifest.entries)
    for name, dtype in DTYPES.items():
        _lay_out(folder / f"{name}.npy", (n, *views.shapes[name]), dtype)
    _lay_out(folder / "state.npy", (n,), np.uint8)
    state = np.load(folder / "state.npy", mmap_mode="r")
    todo = [(i, entry) for i, entry in enumerate(manifest.entries) if state[i] != READ]
    chunks = [Chunk(folder, views, tuple(todo[i : i + CHUNK])) for i in range(0, len(todo), CHUNK)]
    left_out: dict[str, str] = {}
    for reasons in do(chunks):
        left_out |= reasons
    write(folder / "ready.json", {"left_out": left_out})


def complete(folder: Path) -> bool:
    """Whether every clip was read."""
    ready = folder / "ready.json"
    return ready.exists() and not json.loads(ready.read_text())["left_out"]


def read_chunk(chunk: Chunk, emit: Callable[[Any], None]) -> dict[str, str]:
    """Decodes some clips into the arrays; gives the reason for each that cannot be."""
    from mbt_cli.data.clip import ClipError, read_clip
    from mbt_cli.data.views import audio_view, video_view

    views = chunk.views
    arrays = {name: np.load(chunk.folder / f"{name}.npy", mmap_mode="r+") for name in DTYPES}
    state = np.load(chunk.folder / "state.npy", mmap_mode="r+")
    reasons = {}
    for i, entry in chunk.entries:
        try:
            clip = read_clip(
                entry.path, start_s=entry.start_s, span_s=views.span_s, frames=views.frames
            )
        except ClipError as error:
            reasons[entry.name] = str(error)
        else:
            arrays["video"][i] = video_view(clip.frames, views.size)
            arrays["audio"][i] = audio_view(clip.sound, clip.rate_hz, views.mel_bins, views.steps)
            state[i] = READ
        emit(1)
    return reasons


class Cached:
    """The views and labels of the clips that could be read."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.manifest, self.folder = manifest, folder
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in DTYPES}
        self.left_out: dict[str, str] = json.loads((folder / "ready.json").read_text())["left_out"]

    def places(self, split: str) -> np.ndarray:
        """Where the clips of a split lie in the arrays: (n,) int64."""
        kept = [
            i
            for i, entry in enumerate(self.manifest.entries)
            if entry.split == split and entry.name not in self.left_out
        ]
        return np.array(kept, dtype=np.int64)

    def labels(self, split: str) -> np.ndarray:
        """Multi-hot (n, c) float32."""
        entries = self.manifest.entries
        hot = np.zeros((len(places := self.places(split)), len(self.manifest.classes)), np.float32)
        for row, i in enumerate(places):
            hot[row, list(entries[i].labels)] = 1
        return hot

    def names(self, split: str) -> list[str]:
        """The clips' names, in the order of `places`."""
        return [self.manifest.entries[i].name for i in self.places(split)]


def _cut(views: Views) -> Views:
    """Without what happens after the cache: normalising."""
    return Views(span_s=views.span_s, frames=views.frames, size=views.size, mel_bins=views.mel_bins)


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
