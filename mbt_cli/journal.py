"""What was seen of a folder's files, kept in the cache line by line as it is seen.

A line is a list in JSON: the code that looked, by what the file is known again, what it saw. A
look that was killed goes on; what other code has seen counts for nothing.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from mbt_cli.claim import claimed
from mbt_cli.data import cache
from mbt_cli.files import writing
from mbt_cli.ready import AGAIN_S, Bars
from mbt_cli.settings import digest

PASSING = ("missing", "unreadable", "too_slow")
"""Reasons that may go while the file stays as it is: such a file is looked at again."""
SILENCE_S = 1800.0
"""A look that takes so long hangs: a probe gives up before, but a large file's hash takes time."""


def seal(path: Path) -> tuple[int, int]:
    """Size and time of a file, by which it is known again; zeros where it cannot be reached: a
    link to nowhere, of which the look says so."""
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return (state.st_size, state.st_mtime_ns)


class Journal:
    """Of one folder, open for this command alone."""

    def __init__(self, path: Path, code: str) -> None:
        self.path, self.code = path, code
        self._file: TextIO | None = None

    def lines(self) -> Iterator[tuple[str, list[Any]]]:
        """What was seen before of each file; a line that was cut short is left out."""
        if not self.path.exists():
            return
        with self.path.open() as file:
            for line in file:
                with suppress(ValueError, TypeError):
                    by, key, *values = json.loads(line)
                    if by == self.code:
                        yield key, values

    def keep(self, key: str, *values: Any) -> None:
        """Writes down what was seen of a file, now."""
        if self._file is None:
            self._file = self.path.open("a")
            if self._file.tell():
                self._file.write("\n")  # after what a kill may have left of a line
        self._file.write(f"{json.dumps([self.code, key, *values])}\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def journal(root: Path, code: str, show: Bars) -> Iterator[Journal]:
    """That of a folder. Two commands would look at the same files: the later one waits, and then
    knows them. Raises Unwritable."""
    path = cache.root() / "scans" / f"{digest({'root': str(root)})}.jsonl"
    found, waited = Journal(path, code), False
    with writing(path):
        while True:
            with claimed(path) as mine:
                if mine:
                    try:
                        yield found
                    finally:
                        found.close()
                    return
            if not waited:
                show.say("Another command looks at these clips: waiting for it.")
                waited = True
            time.sleep(AGAIN_S)
