"""Which clips a command takes: built in, frozen by an earlier scan, or looked for now."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from mbt_cli.data import open_manifest
from mbt_cli.data.manifest import Manifest
from mbt_cli.data.snapshot import Snapshot, asked, frozen, header_of, load, path_of
from mbt_cli.dataset import Data, Rendered
from mbt_cli.errors import MbtError, Stopped
from mbt_cli.executors import Executor, Local
from mbt_cli.ready import Bars
from mbt_cli.scan import scan

Check = Callable[[Manifest], None]
"""Raises MbtError where clips will not do for what is asked."""


def manifest_of(
    data: Data, where: Path | None, metadata: Path | None, results: Path, show: Bars,
    check: Check | None,
) -> Manifest:  # fmt: skip
    """The clips of a dataset, built in or frozen; looked for where they never were, and frozen
    where `check` lets them pass. None is for whoever only wants to know.

    Raises MbtError as `opened` does.
    """
    if isinstance(data, Rendered):
        return open_manifest(data, where)
    try:
        with Local(os.cpu_count() or 1) as executor:
            seen = opened(
                data, where, results, metadata=metadata, executor=executor, show=show, check=check
            )
    except KeyboardInterrupt:
        raise Stopped("Stopped. The same command goes on where it was.") from None
    used, listed = len(seen.used), len(seen.table)
    whose = f"of the scan {_dated(seen)}" if seen.name else "as they are now"
    show.say(
        f"Clips {whose}: {used:,} of {listed:,} ({used / listed:.1%}), fingerprint"
        f" {seen.fingerprint}."
    )
    return seen.manifest


def opened(
    data: Data, where: Path | None, results: Path, *, metadata: Path | None = None,
    executor: Executor, show: Bars, check: Check | None = lambda _: None,
) -> Snapshot:  # fmt: skip
    """The clips of a dataset: of the frozen scan of this name, of this folder, or that has this
    fingerprint. A folder that was never scanned is scanned now; that is frozen if `check` lets its
    clips pass, for else the next look would find no more.

    Raises MbtError where there are none, and with all that `scan` and `check` raise.
    """
    if path := _known(data, where, results, metadata):
        return _checked(load(path), check)
    assert where is not None
    seen = scan(data, where, metadata, leave_out=(), executor=executor, show=show)
    if seen.used.empty:
        raise MbtError(
            f"No clip of {data.dataset} can be used: of {len(seen.table):,} listed ones"
            f" {seen.lost}. mbt-cli data scan shows all."
        )
    if check is None:
        return seen
    check(seen.manifest)
    if path := frozen_of(data, where, results, metadata):
        return load(path)  # another command has scanned it meanwhile
    seen = replace(seen, name=free_name(results, data.dataset))
    show.say(f"Frozen as {seen.save(results)}: later commands take these clips.")
    return seen


def _known(data: Data, where: Path | None, results: Path, metadata: Path | None) -> Path | None:
    """The frozen scan that is meant. Raises MbtError where it is of other clips, or there is none
    and no folder to look into."""
    if where is None:
        return _of_fingerprint(data, results)
    if where.is_dir() or not (named := _named(where, results)).exists():
        return frozen_of(data, where, results, metadata)
    if (of := header_of(named)["data"]) != asked(data):
        raise MbtError(
            f"{named} holds the clips of {_settings(of)}, and this needs those of"
            f" {_settings(asked(data))}: scan these under another name."
        )
    return named


def _checked(seen: Snapshot, check: Check | None) -> Snapshot:
    """Raises MbtError, with how to look again, where what was frozen will not do."""
    try:
        (check or (lambda _: None))(seen.manifest)
    except MbtError as error:
        raise MbtError(
            f"{error} These clips are of the scan {_dated(seen)}: to look at the folder again,"
            f" mbt-cli data scan with another --name."
        ) from error
    return seen


def _dated(seen: Snapshot) -> str:
    return f"{seen.name}, of {seen.header['scanned'][:10]}"


def frozen_of(data: Data, root: Path, results: Path, metadata: Path | None = None) -> Path | None:
    """The last frozen scan of a dataset in this folder, by these metadata where they are named."""
    for path in frozen(results):
        header = header_of(path)
        by = str(metadata.resolve()) if metadata else header["metadata"]
        same = (header["root"], header["data"], header["metadata"])
        if same == (str(root.resolve()), asked(data), by):
            return path
    return None


def _named(where: Path, results: Path) -> Path:
    """The file of the scan that --data names: by its name alone, for /gone/clips is a folder."""
    return path_of(results, where.name) if where == Path(where.name) else where


def _of_fingerprint(data: Data, results: Path) -> Path:
    paths = list(frozen(results))
    for path in paths:
        if header_of(path)["fingerprint"] == data.fingerprint:
            return path
    known = f" ({', '.join(path.stem for path in paths)})" if paths else ""
    raise MbtError(
        f"The dataset {data.dataset} needs --data: the folder with its clips, or the name of a"
        f" frozen scan of it{known}."
    )


def free_name(results: Path, dataset: str) -> str:
    """A name that no scan has."""
    names = (dataset if turn == 1 else f"{dataset}-{turn}" for turn in count(1))
    return next(name for name in names if not path_of(results, name).exists())


def _settings(of: Mapping[str, Any]) -> str:
    """A dataset's settings in few words."""
    return ", ".join(f"{name}={value}" for name, value in of.items())
