"""Files that are there whole or not at all, and one sentence where the disk takes no more."""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mbt_cli.errors import Unwritable


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write, in place of what is there only when all is written. Raises Unwritable."""
    part = part_of(path)
    with writing(path):
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def part_of(path: Path) -> Path:
    """What a file is called while this process writes it."""
    return path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.part")


def sweep(folder: Path) -> None:
    """Removes the parts that processes of this machine left here when they were killed."""
    here = re.compile(rf"\.{re.escape(socket.gethostname())}\.(\d+)\.part")
    for path in folder.glob("*.part*"):
        if (found := here.search(path.name)) and not alive(int(found[1])):
            path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process of this machine lives; one that nobody has buried yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return not Path("/proc/self/stat").exists()  # gone just now; or no Linux
    return said.rpartition(")")[2].split()[0] not in ("Z", "X")


def write(path: Path, value: Any) -> None:
    """JSON, there whole or not at all. Raises Unwritable."""
    with whole(path) as file:
        file.write(json.dumps(value, indent=1).encode() + b"\n")


def write_text(path: Path, text: str) -> None:
    """The same of a text, its line ends as they are."""
    with whole(path) as file:
        file.write(text.encode())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises Unwritable where the disk does not take something."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        why = error if isinstance(error, OSError) else error.__context__  # torch hides it there
        if isinstance(why, OSError):
            raise Unwritable.at(path, why) from error
        raise
