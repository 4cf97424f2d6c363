"""What lies below the data folder: media, shards, metadata by their names; one walk, no stats."""

import filecmp
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from mbt_cli.errors import MbtError

MEDIA = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".mpg", ".mpeg", ".m4v", ".flv", ".wmv",
                   ".ts", ".3gp", ".ogv", ".mxf"})  # fmt: skip
"""Containers of pictures with sound, in small letters; none that usually hold sound alone."""

SHARDS = frozenset({".tfrecord", ".tfrecords"})
"""Files of many records of features."""

TABLES = frozenset({".csv", ".txt", ".json"})
"""What metadata come as."""

HEAD = 4096
"""Bytes of a table by which its form is told."""


class Shelf:
    """Every clip and every table below a data folder, as it was when the folder was walked.

    Hidden files and folders are left out (`._x.mp4` is no clip); links to folders are followed,
    but not in circles.
    """

    root: Path
    given: Path | None
    """The one table that the user named, which wins over all others it could be."""
    unreadable: tuple[str, ...]
    """Folders that could not be looked into."""
    taken: list[Path]
    """The tables that were asked for and found, so far."""

    def __init__(self, root: Path, metadata: Path | None = None) -> None:
        """Walks `root`. Tables are those below the folder `metadata` where it is given.

        Raises MbtError where `root` is no folder, or `metadata` is nothing.
        """
        if not root.is_dir():
            raise MbtError(f"--data {root} is no folder. Give the folder with the dataset's clips.")
        if metadata is not None and not metadata.exists():
            raise MbtError(
                f"--metadata {metadata} is neither a folder nor a file. Give the folder with the"
                " dataset's csv files."
            )
        self.root, self.taken = root, []
        self.given = metadata if metadata is not None and metadata.is_file() else None
        self.shelves = root if metadata is None or self.given else metadata
        self._stems: dict[str, str] = {}
        self._media: list[str] = []
        self._shards: list[str] = []
        self._tables: dict[str, list[Path]] = defaultdict(list)
        unreadable: list[str] = []
        for below, name, ending in _walk(root, unreadable):
            if ending in MEDIA:
                self._put(below, name, name[: -len(ending)])
            elif ending in SHARDS:
                self._shards.append(below + name)
            elif self.shelves == root:
                self._tables[name.split(".")[0]].append(root / below / name)
        if self.shelves != root:
            for below, name, ending in _walk(self.shelves, unreadable):
                if ending in TABLES:
                    self._tables[name.split(".")[0]].append(self.shelves / below / name)
        self.unreadable = tuple(sorted(unreadable))

    def _put(self, below: str, name: str, stem: str) -> None:
        path = below + name
        self._media.append(path)
        if path < self._stems.setdefault(stem, path):
            self._stems[stem] = path

    def find(self, *stems: str) -> Path | None:
        """The file with the first of these names (without ending) that there is, in whatever
        folder; of several files of one name the first by the alphabet."""
        for stem in stems:
            if (path := self._stems.get(stem)) is not None:
                return self.root / path
        return None

    def find_in(self, folder: str, stem: str) -> Path | None:
        """The same, in a folder of this name."""
        path = self._in_folders.get(f"{folder}/{stem}")
        return None if path is None else self.root / path

    def holds(self, video: str) -> bool:
        """Whether some file's name begins with this YouTube id, perhaps after a `Y`."""
        return video in self._beginnings

    @cached_property
    def media(self) -> tuple[str, ...]:
        """All clips, as paths below the root with `/`, sorted."""
        return tuple(sorted(self._media))

    @cached_property
    def shards(self) -> tuple[str, ...]:
        """All shards, in the same form."""
        return tuple(sorted(self._shards))

    @cached_property
    def _beginnings(self) -> set[str]:
        stems = self._stems
        return {s[:11] for s in stems} | {s[1:12] for s in stems if s.startswith("Y")}

    @cached_property
    def _in_folders(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in self.media:
            found.setdefault(os.path.splitext("/".join(path.split("/")[-2:]))[0], path)  # noqa: PTH122  # a Path for each of millions takes long
        return found

    def table(self, *names: str, form: str = "") -> Path | None:
        """The metadata file with the first of these names that there is; `test.csv` may also be
        called `test.<anything>.csv`. `form` is an expression that some line near its top begins
        with: others are other datasets' files of that name.

        Raises MbtError where several different files fit.
        """
        for name in names:
            for version in (False, True):
                fitting = [p for p in self._called(name, version) if not form or _begins(p, form)]
                if fitting:
                    self.taken.append(only := _only(sorted(fitting), name))
                    return only
        return None

    def needed(self, *names: str, source: str, form: str = "") -> Path:
        """The same. Raises MbtError where there is none; `source` says who publishes it."""
        if (path := self.table(*names, form=form)) is not None:
            return path
        raise MbtError(f"{self.missing(*names)} {source} has it: give its folder with --metadata.")

    def missing(self, *names: str) -> str:
        """That none of these tables is there, and what there is of such a name."""
        every = (p for name in names for v in (False, True) for p in self._called(name, v))
        others = list(dict.fromkeys(map(str, every)))
        but = f" ({', '.join(others[:3])}: other rows from line 1)" if others else ""
        return f"No {' or '.join(names)} lies below {self.shelves}{but}."

    def tables(self, ending: str) -> list[Path]:
        """All tables of this kind, sorted."""
        return sorted(p for paths in self._tables.values() for p in paths if p.suffix == ending)

    def _called(self, name: str, version: bool) -> list[Path]:
        """The tables of this name, or those that are called a version of it."""
        if self.given is not None and _is_version(self.given.name, name):
            return [self.given]
        paths = self._tables.get(name.rpartition(".")[0], ())
        return [p for p in paths if (_is_version(p.name, name) if version else p.name == name)]


def _is_version(found: str, name: str) -> bool:
    """Whether a file's name is `name`, perhaps with more before its ending."""
    stem, _, ending = name.rpartition(".")
    return found.startswith(f"{stem}.") and found.endswith(f".{ending}")


def _walk(root: Path, unreadable: list[str]) -> Iterator[tuple[str, str, str]]:
    """The folder below `root` (with a `/` at its end), the name and its ending, of each file."""
    top = os.fspath(root)
    folders: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while folders:
        below, above = folders.pop()
        here = f"{top}/{below}"
        try:
            status = os.stat(here)  # noqa: PTH116  # of each folder, for circles of links
            if (place := (status.st_dev, status.st_ino)) in above:
                continue
            with os.scandir(here) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        continue
                    ending = name[i:].lower() if (i := name.rfind(".")) > 0 else ""
                    wanted = ending in MEDIA or ending in TABLES or ending in SHARDS
                    # A link to a file is not looked at: that would be a stat for each.
                    if entry.is_dir(follow_symlinks=False) or (not wanted and entry.is_dir()):
                        folders.append((f"{below}{name}/", above | {place}))
                    elif wanted:
                        yield below, name, ending
        except OSError:
            unreadable.append(here)


def _begins(path: Path, form: str) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD).decode("utf-8-sig", errors="replace")
    except OSError:
        return False
    return re.search(f"^(?:{form})", head, re.MULTILINE) is not None


def _only(paths: list[Path], name: str) -> Path:
    if any(not filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:]):
        raise MbtError(
            f"There are several different files for {name}: {', '.join(map(str, paths))}."
            " Give the right one, or its folder, with --metadata."
        )
    return paths[0]
