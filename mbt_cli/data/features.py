"""From the feature vectors of a video to what the model is given: the views of `Features`.

t seconds, c values, n vectors. Source: the official readers and `utils.py` of YouTube-8M.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from mbt_cli.data.example import Example, Malformed, example
from mbt_cli.data.fault import ClipError, kind
from mbt_cli.data.manifest import Entry
from mbt_cli.data.tfrecord import frame_at
from mbt_cli.dataset import FEATURES, Features

SCALE, BIAS = 4 / 255, 4 / 512 - 2
"""A byte x is the value x * SCALE + BIAS, which lies in [-2, 2]: the official `Dequantize`."""
OF_SECONDS = {"audio": "audio", "video": "rgb"}
"""What the vectors of every second are called in a record, by modality."""
OF_VIDEO = {"audio": "mean_audio", "video": "mean_rgb"}
"""The same of their means over the video."""
OPEN = 16
"""Shards that a process keeps open."""
EXACT = 256
"""So many squares of bytes have a sum that float32 holds exactly."""


def dequantised(stored: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """The values that bytes stand for."""
    return stored.astype(np.float32) * np.float32(SCALE) + np.float32(BIAS)


def view(seconds: UInt8[np.ndarray, "t c"], views: Features) -> Float32[np.ndarray, "d n"]:
    """What the model is given of one modality of some seconds, as `views.form` says; deviations
    are those of the seconds themselves, not of a sample (divided by their number)."""
    seconds = seconds[: views.longest_s]
    taken = _parts(len(seconds), views.segments if views.form.startswith("segments") else 1)
    of = taken.sum(1, dtype=np.float64)
    sums = _sums(seconds, taken, 1)
    mean = (SCALE / of * sums + BIAS).astype(np.float32)
    if views.form in ("mean", "segments"):
        return mean
    std = (SCALE / of * np.sqrt(of * _sums(seconds, taken, 2) - sums * sums)).astype(np.float32)
    return np.concatenate([mean, std], 1 if views.form == "mean_std" else 0)


def excerpt(entry: Entry, views: Features, modalities: Iterable[str]) -> dict[str, np.ndarray]:
    """The view (d, n) of each of these modalities of a clip. Of its shard only its record is read.

    Raises ClipError.
    """
    where = f"{entry.path}, byte {entry.offset:,}"
    try:
        frame = frame_at(_opened(entry.path).file, entry.offset)
        if frame is None or not frame.whole:
            raise ClipError(f"{where}: the record that was there is damaged now.", "checksum")
        found = example(frame.data)
        if (name := identity(found)) != entry.group:
            raise ClipError(
                f"{where}: here is the record '{name}' now, and not '{entry.group}'.", "missing"
            )
        return {m: _shown(found, entry, views, m) for m in modalities}
    except Malformed as error:
        raise ClipError(f"{where}: {error}", "malformed") from None
    except OSError as error:
        raise ClipError(f"{entry.path} cannot be read: {error.strerror}.", kind(error)) from error


def identity(found: Example) -> str:
    """The name of a record's video: `video_id` until 2017. Raises Malformed."""
    return found.text("video_id" if "video_id" in found.context else "id")


def _shown(found: Example, entry: Entry, views: Features, modality: str) -> np.ndarray:
    """Of one modality of a record. Raises Malformed."""
    if found.lists:
        seconds = found.vectors(OF_SECONDS[modality], FEATURES[modality])
        of = view(seconds[int(entry.start_s) : int(entry.end_s or 0)], views)
    else:
        of = found.floats(OF_VIDEO[modality])[:, None]
    return of.astype(views.dtypes[modality])


class _Opened:
    """A shard, for as long as it is read from."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")

    def __del__(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


_opened = lru_cache(maxsize=OPEN)(_Opened)


def _sums(
    seconds: UInt8[np.ndarray, "t c"], taken: Float32[np.ndarray, "n t"], power: int
) -> Float64[np.ndarray, "c n"]:
    """Of the bytes in each part, or of their squares: exactly."""
    found = np.zeros((seconds.shape[1], len(taken)))
    for start in range(0, len(seconds), EXACT):
        some = slice(start, start + EXACT)
        values = seconds[some].astype(np.float32)
        found += (values if power == 1 else values * values).T @ taken[:, some].T
    return found


@lru_cache(maxsize=1024)
def _parts(seconds: int, many: int) -> Float32[np.ndarray, "n t"]:
    """1 where a second belongs to a part: its middle lies there, or, in a part without any such
    second, the part's middle lies in it."""
    t, k = np.arange(seconds), np.arange(many)
    taken = (2 * t + 1) * many // (2 * seconds) == k[:, None]
    nearest = (2 * k + 1) * seconds // (2 * many)
    taken[k, nearest] |= ~taken.any(1)
    return taken.astype(np.float32)
