"""Looks at every clip that a dataset's metadata promise: is it there, does it decode, what is it.

What was seen of a file is kept in a journal, and the file not looked at again while its size and
time are the same: a scan that was killed goes on, another one later is quick.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from mbt_cli.data import cache
from mbt_cli.data.datasets import listing
from mbt_cli.data.listing import Listed
from mbt_cli.data.probe import Probe, probe
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.snapshot import Snapshot, asked
from mbt_cli.dataset import Data, YouTube8M
from mbt_cli.executors import Died, Executor
from mbt_cli.journal import PASSING, SILENCE_S, Journal, journal, seal
from mbt_cli.ready import Bars
from mbt_cli.salvage import salvaged
from mbt_cli.survey import survey

REMARKS = {
    "silent": "The sound is there, and nothing is to be heard.",
    "still": "All pictures are the same.",
    "short": "It is more than a tenth shorter than the metadata say.",
}
"""What may be said of a clip that decodes; runs are given it all the same, unless left out."""
CHUNK = 4
"""Clips in a job: few, for a clip may take seconds."""
MAY_LACK = 0.1
"""Of a clip's length, before it is called short."""
REACHES_S = 0.5
"""A video may end so much before a clip that was cut from it."""
ROOMS = ("probe", "evidence", "fault", "media", "sound")
"""The code that looks at clips: what other code has seen counts for nothing."""


def scan(
    data: Data, root: Path, metadata: Path | None, *, leave_out: Sequence[str],
    executor: Executor, show: Bars,
) -> Snapshot:  # fmt: skip
    """All clips of a dataset, looked at; not yet frozen. Raises MbtError where the metadata are
    not there or damaged."""
    show.say(f"Looking at the files below {root}.")
    root = root.resolve()  # by whatever name it goes, it is the same journal
    shelf = Shelf(root, metadata)
    if isinstance(data, YouTube8M):
        found, table = survey(data, root, shelf, executor, show)
    else:
        found = listing(data, shelf)
        seen = _seen(found.clips, root, executor, show)
        table = pd.DataFrame(
            [_row(clip, one, root, leave_out) for clip, one in zip(found.clips, seen, strict=True)]
        )
    header = {
        "data": asked(data), "root": str(root),
        "metadata": str(metadata.resolve()) if metadata else None,
        "leave_out": sorted(leave_out), "scanned": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": list(found.classes), "class_list": found.class_list,
        "multi_label": found.multi_label, "tagging": found.tagging, "heads": dict(found.heads),
        "official": dict(found.official), "notes": list(found.notes),
    }  # fmt: skip
    return Snapshot("", header, table)


@dataclass(frozen=True)
class _Look:
    """A clip for a worker, and by what its file is known again."""

    clip: Listed
    seal: tuple[int, int]
    """Size and time of the file."""

    @property
    def key(self) -> str:
        clip = self.clip
        return json.dumps([str(clip.path), clip.start_s, clip.end_s, clip.cut, *self.seal])


@dataclass(frozen=True)
class Seen:
    """What a look says of a clip."""

    start_s: float
    """Where it begins in its file."""
    probe: Probe


MISSING = Seen(0.0, Probe(reason="missing", detail="No file has any of its usual names."))


def _seen(clips: Sequence[Listed], root: Path, executor: Executor, show: Bars) -> list[Seen]:
    """What is known of each clip, from the journal or by looking now."""
    looks = {place: look for place, clip in enumerate(clips) if (look := _look(clip)) is not None}
    with journal(root, cache.code(ROOMS), show) as kept:
        known = dict(_known(kept))
        todo = [look for look in looks.values() if look.key not in known]
        with show.bar("Looking at clips", len(todo)) as advance:
            for place, found in salvaged(
                executor, looked, None, todo, CHUNK, advance, silence_s=SILENCE_S
            ):
                if isinstance(found, Died):  # not kept: next time it may have the memory it needs
                    known[todo[place].key] = _died(found)
                    continue
                known[todo[place].key] = found
                kept.keep(todo[place].key, found.start_s, asdict(found.probe))
    return [known[looks[place].key] if place in looks else MISSING for place in range(len(clips))]


def looked(_: None, look: _Look) -> Seen:
    """What a file says of a clip; one that may be the clip or the video it was cut from is the
    video where it reaches the clip's end."""
    clip = look.clip
    assert clip.path is not None
    if clip.cut == "clip":
        return Seen(0.0, probe(clip.path))
    found = probe(clip.path, clip.start_s, clip.end_s)
    reaches_s = max(found.duration_s, found.video_end_s)
    if clip.cut == "either" and clip.end_s is not None and reaches_s < clip.end_s - REACHES_S:
        return Seen(0.0, probe(clip.path))
    return Seen(clip.start_s, found)


def _look(clip: Listed) -> _Look | None:
    """None where there is no file."""
    if clip.path is None:
        return None
    return _Look(clip, seal(clip.path))


def _died(error: Died) -> Seen:
    """A file that kills its decoder, or hangs it."""
    return Seen(0.0, Probe(reason="undecodable", detail=f"Its decoder crashed. {error}"))


def _known(kept: Journal) -> Iterator[tuple[str, Seen]]:
    """What was seen before, and need not be looked at again."""
    for key, values in kept.lines():
        with suppress(ValueError, TypeError):
            start_s, found = values
            if found["reason"] not in PASSING:
                yield key, Seen(start_s, Probe(**found))


def _row(clip: Listed, seen: Seen, root: Path, leave_out: Sequence[str]) -> dict[str, Any]:
    """A clip as a row of the table."""
    found = seen.probe
    end_s = min(found.video_end_s, found.audio_end_s)
    length_s = end_s - seen.start_s
    short = (
        not found.reason
        and clip.end_s is not None
        and length_s < (1 - MAY_LACK) * (clip.end_s - clip.start_s)
    )
    remarks = {"silent": found.silent, "still": found.still, "short": short}
    return {
        "name": clip.name, "split": clip.split, "labels": list(clip.labels), "group": clip.group,
        "path": None if clip.path is None else clip.path.relative_to(root).as_posix(),
        "listed_start_s": clip.start_s, "listed_end_s": clip.end_s,
        "start_s": seen.start_s, "end_s": end_s, "short": short,
        "used": not found.reason and not any(remarks[name] for name in leave_out),
        **asdict(found),
    }  # fmt: skip
