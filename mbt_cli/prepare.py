"""A dataset's files made small, so that random windows decode fast: a folder of its own.

Every file is there whole or not at all: a command that was killed goes on where it was.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mbt_cli.data.datasets import listing
from mbt_cli.data.fault import ClipError
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.transcode import transcode
from mbt_cli.dataset import Data
from mbt_cli.errors import MbtError
from mbt_cli.executors import Died, Executor
from mbt_cli.files import sweep, writing
from mbt_cli.ready import Bars
from mbt_cli.salvage import salvaged

SILENCE_S = 6 * 3600.0
"""A file that takes so long is given up: an hour of video takes some minutes."""


@dataclass(frozen=True)
class Small:
    """A file, and the small one that is made of it."""

    source: Path
    target: Path

    @property
    def made(self) -> bool:
        """Whether it was made before, of the file as it is now."""
        try:
            return self.target.stat().st_mtime >= self.source.stat().st_mtime
        except OSError:
            return False


@dataclass(frozen=True)
class Prepared:
    """What became of a dataset's files."""

    files: int
    before: int
    """Made by an earlier command."""
    failed: Mapping[Path, str]
    """Those of which none could be made, and why."""
    bytes: tuple[int, int]
    """Of the files that were made small: before, and now."""


def prepare(
    data: Data, root: Path, metadata: Path | None, to: Path, *, executor: Executor, show: Bars
) -> Prepared:
    """Makes every file small that the metadata promise and that is there. All keep their names,
    whatever ending these have, for metadata and splits go by them; the metadata come along, so that
    `to` is a folder of the same dataset.

    Raises MbtError where `to` is (in) the folder itself, Unwritable, and what `listing` raises.
    """
    if to.resolve().is_relative_to(root.resolve()):
        raise MbtError(f"--to {to} lies in --data {root}: prepared files would be found as clips."
                       " Give a folder beside it.")  # fmt: skip
    show.say(f"Looking at the files below {root}.")
    shelf = Shelf(root, metadata)
    sources = {clip.path: None for clip in listing(data, shelf).clips if clip.path is not None}
    files = [Small(path, to / path.relative_to(root)) for path in sources]
    with writing(to):
        for folder in {one.target.parent for one in files}:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
        to.mkdir(parents=True, exist_ok=True)
        for table in shelf.taken:
            shutil.copyfile(table, to / table.name)
    todo = [one for one in files if not one.made]
    failed = {}
    with show.bar("Preparing files", len(todo), "files") as advance:
        for place, why in salvaged(executor, made, None, todo, 1, advance, silence_s=SILENCE_S):
            if why is not None:
                crashed = f"Its decoder crashed. {why}" if isinstance(why, Died) else str(why)
                failed[todo[place].source] = crashed
    done = [one for one in files if one.target.exists()]
    sizes = [sum(path.stat().st_size for path in paths) for paths in zip(
        *((one.source, one.target) for one in done), strict=True)] or [0, 0]  # fmt: skip
    return Prepared(len(files), len(files) - len(todo), failed, (sizes[0], sizes[1]))


def made(_: None, one: Small) -> ClipError | None:
    """Makes a file small; why that cannot be. What was made of it as it was before goes then."""
    try:
        transcode(one.source, one.target)
    except ClipError as error:
        one.target.unlink(missing_ok=True)
        return error
    return None
