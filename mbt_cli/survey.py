"""Looks at every shard of a dataset of feature records: what it holds, and what of it is damaged.

What was seen of a shard is kept in the folder's journal, and the shard not read again while its
size and time are the same.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mbt_cli.data import cache
from mbt_cli.data.listing import Listing, carved
from mbt_cli.data.shard import Kind, Row, rows
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.youtube8m import listing
from mbt_cli.dataset import YouTube8M
from mbt_cli.executors import Died, Executor
from mbt_cli.journal import PASSING, SILENCE_S, Journal, journal, seal
from mbt_cli.ready import Bars
from mbt_cli.salvage import salvaged
from mbt_cli.words import count

ROOMS = ("tfrecord", "example", "features", "shard", "fault")
"""The code that looks at records."""

Columns = dict[str, list[Any]]
"""The rows of a shard, by the names of `Row`."""


@dataclass(frozen=True)
class _Look:
    """A shard for a worker."""

    path: Path
    key: str
    """By which it is known again, and what was asked of it."""


def survey(
    data: YouTube8M, root: Path, shelf: Shelf, executor: Executor, show: Bars
) -> tuple[Listing, pd.DataFrame]:
    """The dataset, and every clip of its shards as a row, with what is lost of them.

    Raises MbtError where there are no shards.
    """
    found, splits = listing(data, shelf)
    kind = Kind(data.level, data.classes)
    looks = [_look(root / path, kind) for path in splits]
    with journal(root, cache.code(ROOMS), show) as kept:
        seen = _seen(kept, looks, kind, executor, show)
    tables = [
        _table(seen[look.key], path, split)
        for look, (path, split) in zip(looks, splits.items(), strict=True)
    ]
    table, notes = _once(pd.concat(tables, ignore_index=True), data)
    return replace(found, notes=(*found.notes, *notes)), table


def looked(kind: Kind, look: _Look) -> Columns:
    """What a shard holds."""
    found = [*rows(kind, look.path)]
    return _columns(found)


def _columns(found: Sequence[Row]) -> Columns:
    """As they are after a turn through JSON."""
    columns: Columns = {name: [getattr(row, name) for row in found] for name in Row._fields}
    return columns | {"labels": [list(labels) for labels in columns["labels"]]}


def _look(path: Path, kind: Kind) -> _Look:
    return _Look(path, json.dumps([str(path), *seal(path), kind.level, kind.classes]))


def _seen(
    kept: Journal, looks: Sequence[_Look], kind: Kind, executor: Executor, show: Bars
) -> dict[str, Columns]:
    """What is known of each shard, by its key: from the journal, or by reading it now."""
    asked = {look.key for look in looks}
    known: dict[str, Columns] = {key: of for key, (of,) in kept.lines() if key in asked}
    todo = [look for look in looks if look.key not in known]
    with show.bar("Looking at shards", len(todo), "shards") as advance:
        for place, of in salvaged(executor, looked, kind, todo, 1, advance, silence_s=SILENCE_S):
            key = todo[place].key
            known[key] = _died(of) if isinstance(of, Died) else of
            if not (isinstance(of, Died) or {*of["reason"]} & {*PASSING}):
                kept.keep(key, of)
    return known


def _died(error: Died) -> Columns:
    return _columns([Row(0, reason="torn", detail=f"Its reader crashed. {error}")])


def _table(seen: Columns, path: str, split: str) -> pd.DataFrame:
    """A shard's rows as a scan has them; of what is lost the name is its place."""
    names = [
        f"{path}@{offset}" if reason else video
        for offset, reason, video in zip(seen["offset"], seen["reason"], seen["video"], strict=True)
    ]
    return pd.DataFrame(
        {
            "name": names, "split": split, "labels": seen["labels"], "group": seen["video"],
            "path": path, "offset": seen["offset"], "start_s": seen["start_s"],
            "end_s": seen["end_s"], "hash": [f"{sum_:08x}" for sum_ in seen["sum"]],
            "used": [not reason for reason in seen["reason"]], "reason": seen["reason"],
            "detail": seen["detail"],
        }
    )  # fmt: skip


def _once(table: pd.DataFrame, data: YouTube8M) -> tuple[pd.DataFrame, list[str]]:
    """Each clip once and by a name of its own, none for training whose video is for testing too,
    and a share of the training videos for validation; with notes on what that changed."""
    notes = []
    used, train = table["used"], table["split"] == "train"
    tested = {*table["group"][used & ~train]}
    both = used & train & table["group"].isin(tested)
    again = (
        used
        & ~both
        & table[used & ~both]
        .duplicated(["group", "start_s", "hash"])
        .reindex(table.index, fill_value=False)
    )
    if both.any():
        said = count(int(both.sum()), "training clip", "is", "are")
        notes.append(f"{said} of videos that are for testing too: left out of training.")
    if again.any():
        said = count(int(again.sum()), "record", "is", "are")
        notes.append(f"{said} there before, bit by bit: each is taken once.")
    table = table[~both & ~again].reset_index(drop=True)
    used = table["used"]
    if data.level == "segment":
        starts = table["start_s"].astype(int).astype(str)
        table.loc[used, "name"] = table["group"] + "_" + starts
    if (repeated := table["name"].duplicated()).any():
        place = "@" + table["path"] + ":" + table["offset"].astype(str)
        table.loc[repeated, "name"] = table["name"] + place
        said = count(int(repeated.sum()), "record", "has", "have")
        notes.append(f"{said} an id that another record has: their names tell their shards too.")
    carve = [
        split == "train" and carved(video, data.validation, data.split_seed)
        for split, video in zip(table["split"], table["group"], strict=True)
    ]
    table.loc[carve, "split"] = "validation"
    return table, notes
