"""What a shard of YouTube-8M holds: its clips, and all that is lost of it.

A record is a video, or, where segments of 5 s have labels (2019), some clips of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbt_cli.data.example import Example, Malformed, example
from mbt_cli.data.fault import ClipError, kind
from mbt_cli.data.features import OF_SECONDS, OF_VIDEO, identity
from mbt_cli.data.tfrecord import Frame, Gap, frames
from mbt_cli.dataset import FEATURES
from mbt_cli.words import count

VOCABULARIES = {2018: 3862, 2017: 4716}
"""Classes of the records, by the year in which they were published."""
SEGMENT_S = 5
"""How long a segment is; official reader."""


class Row(NamedTuple):
    """A clip of a shard, or what of it is lost: plain values."""

    offset: int
    """Byte of the shard where its record begins."""
    video: str = ""
    labels: tuple[int, ...] = ()
    start_s: float = 0.0
    end_s: float = 0.0
    """Of the clip, in the video; 0 where the record does not tell how long that is."""
    sum: int = 0
    """The checksum of the record."""
    reason: str = ""
    """One of `fault.REASONS` where the clip cannot be used."""
    detail: str = ""


@dataclass(frozen=True)
class Kind:
    """What is expected of each record."""

    level: str
    classes: int


def rows(kind_: Kind, path: Path) -> Iterator[Row]:
    """All that a shard holds, from its first byte to its last. A bad file raises nothing."""
    try:
        size = path.stat().st_size
        if not size:
            yield Row(0, reason="empty", detail=f"{path} has no content.")
        for found in frames(path):
            if isinstance(found, Gap):
                yield _lost(found, path, size)
            else:
                yield from _clips(kind_, found, path)
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror}."
        yield Row(0, reason=kind(error), detail=detail)


def _clips(kind_: Kind, frame: Frame, path: Path) -> Iterator[Row]:
    where, video = f"{path}, byte {frame.offset:,}", ""
    try:
        if not frame.whole:
            raise ClipError(f"{where}: {_perhaps(frame)} does not fit its checksum.", "checksum")
        found = example(frame.data)
        video = identity(found)
        _check_kind(kind_, found, where)
        seconds = _seconds(found)
        for start_s, end_s, labels in _labelled(kind_, found, seconds):
            _check_classes(kind_, labels, where)
            yield Row(frame.offset, video, labels, start_s, end_s, frame.sum)
    except Malformed as error:
        yield Row(frame.offset, video, reason="malformed", detail=f"{where}: {error}")
    except ClipError as error:
        yield Row(frame.offset, video, reason=error.reason, detail=str(error))


def _check_kind(kind_: Kind, found: Example, where: str) -> None:
    """Raises ClipError for a record of another level."""
    means, asked = not found.lists, f"and data.level is {kind_.level}"
    if means and not any(name in found.context for name in OF_VIDEO.values()):
        raise Malformed(f"it has no features: {', '.join(found.names)}.")
    if means and kind_.level != "video":
        raise ClipError(
            f"{where}: the record holds means over a video, {asked}. Give the folder of the"
            " frame-level shards, or --set data.level=video --set data.views.form=mean.",
            "wrong_kind",
        )
    if not means and kind_.level == "video":
        raise ClipError(
            f"{where}: the record holds every second of a video, {asked}. Give the folder of the"
            " video-level shards, or --set data.level=frame.",
            "wrong_kind",
        )
    if kind_.level == "segment" and "segment_labels" not in found.context:
        raise ClipError(
            f"{where}: no segment of the record has labels, {asked}. Give the folder of the"
            " segment-rated shards, or --set data.level=frame.",
            "wrong_kind",
        )


def _seconds(found: Example) -> int:
    """How many a record has vectors of, if not only means. Raises Malformed."""
    for name in (OF_SECONDS if found.lists else OF_VIDEO).values():
        if name not in (found.lists or found.context):
            raise Malformed(f"it has no {name}, only {', '.join(found.names)}.")
    if not found.lists:
        for m, name in OF_VIDEO.items():
            values = found.floats(name)
            if len(values) != FEATURES[m]:
                raise Malformed(f"{name} has {len(values)} values, not {FEATURES[m]}.")
            if not np.isfinite(values).all():
                raise Malformed(f"{name} has values that are no numbers.")
        return 0
    lengths = {name: len(found.vectors(name, FEATURES[m])) for m, name in OF_SECONDS.items()}
    if len({*lengths.values()}) > 1 or not all(lengths.values()):
        said = " and ".join(f"{many} of {name}" for name, many in lengths.items())
        raise Malformed(f"it has {said}, and not as many seconds of each.")
    return next(iter(lengths.values()))


def _labelled(
    kind_: Kind, found: Example, seconds: int
) -> Iterator[tuple[float, float, tuple[int, ...]]]:
    """The clips of a record: from where to where, and the labels. Raises Malformed."""
    if kind_.level != "segment":
        yield 0.0, float(seconds), tuple(sorted({*found.integers("labels")}))
        return
    starts, labels = found.integers("segment_start_times"), found.integers("segment_labels")
    scores = found.floats("segment_scores").tolist()
    if not len(starts) == len(labels) == len(scores):
        raise Malformed(
            f"it has {count(len(labels), 'segment label')}, {len(starts)} start times and"
            f" {len(scores)} scores."
        )
    if not all(map(isfinite, scores)):
        raise Malformed("it has scores that are no numbers.")
    for start in sorted({*starts}):
        if not 0 <= start <= seconds - SEGMENT_S:
            raise Malformed(f"its segment from {start} s is not within its {seconds} s.")
        rated = zip(starts, labels, scores, strict=True)
        held = {label for begun, label, score in rated if begun == start and score >= 0.5}
        yield float(start), float(start + SEGMENT_S), tuple(sorted(held))


def _check_classes(kind_: Kind, labels: tuple[int, ...], where: str) -> None:
    """Raises ClipError where one is not among the dataset's."""
    for label in labels:
        if not 0 <= label < kind_.classes:
            mends = (
                f": records of {year} need --set data.classes={classes}"
                for year, classes in VOCABULARIES.items()
                if kind_.classes <= label < classes
            )
            raise ClipError(
                f"{where}: the record has class {label}, and data.classes is"
                f" {kind_.classes}{next(mends, '')}.",
                "class_out_of_range",
            )


def _lost(gap: Gap, path: Path, size: int) -> Row:
    """Of bytes in which no record can be told."""
    if (gap.offset, gap.end) == (0, size) and gap.why == "header":
        return Row(0, reason="no_tfrecord", detail=f"{path} has no valid header anywhere.")
    why = {
        "torn": "the file ends within the record that begins here",
        "header": "the header that should begin here is damaged, and the next whole one",
    }[gap.why]
    if gap.why == "header":
        why += f" is at byte {gap.end:,}" if gap.end < size else " is not to be found"
    lost = count(gap.end - gap.offset, "byte", "is", "are")
    detail = f"{path}, byte {gap.offset:,}: {why}; {lost} lost."
    return Row(gap.offset, reason="torn", detail=detail)


def _perhaps(frame: Frame) -> str:
    """A damaged record, with its name if that can be told."""
    try:
        return f"the record '{identity(example(frame.data))}'"
    except Malformed:
        return "the record"
