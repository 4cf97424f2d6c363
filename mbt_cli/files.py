"""Files that are there whole or not at all, and one sentence where the disk takes no more."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mbt_cli.errors import Unwritable


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write, in place of what is there only when all is written. Raises Unwritable."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def write(path: Path, value: Any) -> None:
    """JSON, there whole or not at all. Raises Unwritable."""
    with whole(path) as file:
        file.write(json.dumps(value, indent=1).encode() + b"\n")


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
