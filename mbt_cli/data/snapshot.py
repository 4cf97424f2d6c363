"""What a scan found of a dataset, frozen in a file: every clip that its metadata promise.

    results/data/<name>.parquet     a row a clip; the header is JSON in the file's own metadata

Columns: name, split, labels, group, path (below the header's root; none where there is no file),
listed_start_s and listed_end_s (of the clip in the video it was cut from), start_s and end_s (of
what can be used in the file), used, short, and all that `probe.Probe` says of the file. Of records
in shards: name, split, labels, group, path, offset (byte of the shard), start_s and end_s (of the
clip in its video), hash (the record's own checksum), used, reason, detail.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mbt_cli import settings
from mbt_cli.data.manifest import SPLITS, Entry, Manifest, fingerprint
from mbt_cli.data.records import Records, Words
from mbt_cli.dataset import Data
from mbt_cli.errors import MbtError
from mbt_cli.files import whole, writing

SCHEMA = 1
HEADER = b"mbt_cli"


@dataclass(frozen=True)
class Snapshot:
    """The clips of a dataset as they were when they were looked at."""

    name: str
    header: Mapping[str, Any]
    """`data` (its settings), `root`, `metadata`, `leave_out`, `scanned` (when), `classes`,
    `class_list`, `multi_label`, `heads`, `official`, `notes`, `unused` (files nobody asked for)."""
    table: pd.DataFrame

    @property
    def root(self) -> Path:
        return Path(self.header["root"])

    @property
    def of_records(self) -> bool:
        """Whether clips are records of shards."""
        return "offset" in self.table

    @cached_property
    def used(self) -> pd.DataFrame:
        """The rows of clips that runs are given."""
        return self.table[self.table["used"]]

    @cached_property
    def fingerprint(self) -> str:
        """Of what runs are given: names, splits, labels, content of files, times to the ms; not of
        where the files lie."""
        if self.of_records and "fingerprint" in self.header:  # of millions it takes a minute
            return str(self.header["fingerprint"])
        rows = zip(
            *(self.used[name] for name in ("name", "split", "labels", "hash", "start_s", "end_s")),
            strict=True,
        )
        clips = [
            (name, split, tuple(map(int, labels)), content, f"{start:.3f}", f"{end:.3f}")
            for name, split, labels, content, start, end in rows
        ]
        classes = self.header["classes"]
        if self.of_records:  # their classes are numbers, whatever vocabulary is at hand
            classes = [len(classes)]
        return fingerprint((*classes, *self.header["heads"].items(), *clips))

    @property
    def manifest(self) -> Manifest:
        """The clips that runs are given, and how many were expected: all that are listed, but for
        those that were left out on purpose."""
        wanted = self.table[self.table["used"] | (self.table["reason"] != "")]
        entries = _records(self.used, self.root) if self.of_records else self._clips
        return Manifest(
            entries=entries,
            classes=tuple(self.header["classes"]),
            multi_label=self.header["multi_label"],
            tagging=self.header.get("tagging", False),
            fingerprint=self.fingerprint,
            heads=dict(self.header["heads"]),
            expected={split: int((wanted["split"] == split).sum()) for split in SPLITS},
            class_list=self.header["class_list"],
            lost=self.lost,
        )

    @property
    def _clips(self) -> tuple[Entry, ...]:
        rows = zip(*(self.used[name] for name in _OF_ENTRY), strict=True)
        return tuple(
            Entry(
                name, self.root / path, split, tuple(map(int, labels)), float(start), float(end),
                group,
            )
            for name, path, split, labels, start, end, group in rows
        )  # fmt: skip

    @property
    def lost(self) -> str:
        """How many clips are lost for each reason, and one of them."""
        unused = self.table[~self.table["used"]]
        said = []
        reasons = unused["reason"].replace("", "left out")
        for reason, rows in unused.groupby(reasons, sort=False):
            first = rows.iloc[0]
            detail = "" if reason == "missing" else first["detail"].rstrip(".")
            if self.of_records:  # the name is the shard and the byte, and no report tells folders
                place = f"{first['path']}, byte {first['offset']:,}: "
                detail = detail.replace(f"{self.root}/", "").removeprefix(place)
            why = f": {detail}" if detail else ""
            said.append(f"{len(rows):,} {reason!s} (such as {first['name']}{why})")
        return "; ".join(said)

    def save(self, results: Path) -> Path:
        """Freezes it under its name. Raises Unwritable, and MbtError where the name is taken."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = free(results, self.name)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(self.table, preserve_index=False)
        header = {"schema": SCHEMA, "fingerprint": self.fingerprint, **self.header}
        known = table.schema.metadata or {}
        with whole(path) as file:
            said = {**known, HEADER: json.dumps(header).encode()}
            pq.write_table(table.replace_schema_metadata(said), file)
        return path


def _records(used: pd.DataFrame, root: Path) -> Records:
    """The rows of records, in arrays."""
    shard, paths = pd.factorize(used["path"])
    labels = [*used["labels"]]
    return Records(
        names=Words.of(used["name"]),
        groups=Words.of(used["group"]),
        shards=tuple(root / path for path in paths),
        shard=shard.astype(np.int32),
        split=used["split"].map(SPLITS.index).to_numpy(np.int8),
        labels=np.fromiter(chain.from_iterable(labels), np.int32),
        ends=np.cumsum([len(of) for of in labels], dtype=np.int64),
        start_s=used["start_s"].to_numpy(np.float32),
        end_s=used["end_s"].to_numpy(np.float32),
        offset=used["offset"].to_numpy(np.int64),
    )


def path_of(results: Path, name: str) -> Path:
    """Where the scan of this name is frozen."""
    return results / "data" / f"{name}.parquet"


def free(results: Path, name: str) -> Path:
    """Where a scan of this name can be frozen. Raises MbtError where the name is taken, or none."""
    path = path_of(results, name)
    if path.parent != results / "data" or name.startswith("."):
        raise MbtError(f"'{name}' is no name for a scan: it becomes the name of a file.")
    if path.exists():
        raise MbtError(
            f"{path} is frozen already: give this scan another name with --name, or remove that"
            " file where no run needs it any more."
        )
    return path


def header_of(path: Path) -> dict[str, Any]:
    """What a frozen scan says of itself, without its clips. Raises MbtError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        header = json.loads((pq.read_schema(path).metadata or {})[HEADER])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise MbtError(
            f"{path} is no scan of a dataset, or damaged ({error}). Remove it and scan again:"
            " mbt-cli data scan."
        ) from error
    if header["schema"] > SCHEMA:
        raise MbtError(
            f"{path} has schema {header['schema']}, and this version of mbt-cli reads up to"
            f" {SCHEMA}: update mbt-cli."
        )
    return dict(header)


def load(path: Path) -> Snapshot:
    """A frozen scan. Raises MbtError."""
    header = header_of(path)
    return Snapshot(path.stem, header, pd.read_parquet(path))


def frozen(results: Path) -> Iterator[Path]:
    """Every frozen scan of a results folder, the last first."""
    files = (results / "data").glob("*.parquet")
    yield from sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)


def asked(data: Data) -> dict[str, Any]:
    """What of a dataset's settings decides which clips there are: all but what is asked of them."""
    plain = settings.plain(replace(data, fingerprint=""))
    return {name: value for name, value in plain.items() if name not in _OF_RUNS}


_OF_RUNS = ("views", "vocabulary", "fingerprint")
_OF_ENTRY = ("name", "path", "split", "labels", "start_s", "end_s", "group")
