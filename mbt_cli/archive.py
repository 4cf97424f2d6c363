"""The records that a report is made of, packed beside it: for whoever has no `results/runs`.

    records.zip     runs/<key>/run.json, status.json, metrics.jsonl
                    runs/<key>/evaluations/<key>/evaluation.json, attention.json
                    runs/<key>/evaluations/<key>/scores.npz, of the run's own on test

What comes out of it is a results folder. Weights stay where they were trained.
"""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.files import whole, writing
from mbt_cli.findings import Findings
from mbt_cli.gains import singles
from mbt_cli.runs import FAILED, FINISHED, Run

NAME = "records.zip"
MOST_BYTES = 50_000_000
"""Larger ones are not written: forges take no larger files."""
FILES = ("metrics.jsonl", "run.json", "status.json")
DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError,
          RuntimeError)  # fmt: skip
"""What reading a damaged file may raise; the last is of an encrypted one."""


def pack(found: Findings, results: Path, most_bytes: int = MOST_BYTES) -> str:
    """Writes the records of a report's runs beside it: the same bytes for the same records,
    and nothing where they are there already. Says why where they are too many; then there is no
    such file.

    Raises MbtError where scores cannot be read, Unwritable.
    """
    path = results / found.study.name / NAME
    packed, runs = BytesIO(), sorted(runs_of(found, results), key=lambda run: run.key)
    there = path.exists() and path.stat().st_size <= most_bytes
    if there and _kept(path) == [
        (f"runs/{run.key}/{name}", len(content), zlib.crc32(content))
        for run in runs
        for name, content in _files(run)
    ]:
        return ""
    with ZipFile(packed, "w") as archive:
        for run in runs:
            for name, content in _files(run):
                entry = ZipInfo(f"runs/{run.key}/{name}")  # of 1980, as all that says no time
                entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, content, compresslevel=9)
            if packed.tell() > most_bytes:
                with writing(path):
                    path.unlink(missing_ok=True)
                return (
                    f"The records are not packed into {path}: they would take more than"
                    f" {most_bytes / 1e6:,.0f} MB."
                )
    with whole(path) as file:
        file.write(packed.getvalue())
    return ""


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A results folder with the runs of an archive, for as long as it is needed.

    Raises MbtError where the file is damaged.
    """
    with TemporaryDirectory(prefix="mbt-records-") as folder:
        try:
            with ZipFile(path) as archive:
                archive.extractall(folder)
        except DAMAGE as error:
            raise _damaged(path, error) from error
        yield Path(folder)


@contextmanager
def copied(runs: Iterable[Run]) -> Iterator[Path]:
    """The same results folder straight from the records, which stay as they are."""
    with TemporaryDirectory(prefix="mbt-records-") as folder:
        for run in runs:
            for name, content in _files(run):
                file = Path(folder, "runs", run.key, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        yield Path(folder)


def runs_of(found: Findings, results: Path) -> list[Run]:
    """All runs that a study's report knows of: the finished ones, those that failed, and those of
    single modalities, which may be another study's."""
    mine = (found.study.runs_of(results, state) for state in (FINISHED, FAILED))
    runs = [run for cells in mine for runs in cells.values() for run in runs]
    lent = [run for of in singles(found).values() for run in of.values()]
    return list({run.key: run for run in [*runs, *lent]}.values())


def keys(path: Path) -> set[str]:
    """Of the runs in an archive. Raises MbtError where the file is damaged."""
    try:
        with ZipFile(path) as archive:
            parts = [name.split("/") for name in archive.namelist()]
    except DAMAGE as error:
        raise _damaged(path, error) from error
    return {names[1] for names in parts if len(names) > 2}


def _files(run: Run) -> Iterator[tuple[str, bytes]]:
    """What a report needs of a run, by its path in the run's folder; in the order of paths."""
    for pattern in ("evaluations/*/*.json", *FILES):
        for path in sorted(run.folder.glob(pattern)):
            yield path.relative_to(run.folder).as_posix(), path.read_bytes()
    if (scores := run.evaluation(Evaluation()) / "scores.npz").exists():
        yield scores.relative_to(run.folder).as_posix(), _plain(run.arrays(Evaluation()))


def _plain(arrays: dict[str, np.ndarray]) -> bytes:
    """Not compressed, for the archive does that; groups that say nothing more than the clips' names
    are left out."""
    if np.array_equal(arrays["groups"], arrays["names"]):
        del arrays["groups"]
    file = BytesIO()
    np.savez(file, allow_pickle=False, **dict(sorted(arrays.items())))
    return file.getvalue()


def _kept(path: Path) -> list[tuple[str, int, int]] | None:
    """Every file's name, size and checksum in what was packed before; None where it is not there in
    full."""
    try:
        with ZipFile(path) as archive:
            if archive.testzip():
                return None
            return [(one.filename, one.file_size, one.CRC) for one in archive.infolist()]
    except DAMAGE:
        return None


def _damaged(path: Path, error: Exception) -> MbtError:
    return MbtError(
        f"{path} is damaged ({error}). Get it again from where it came, or make it from the runs:"
        " mbt-cli report."
    )
