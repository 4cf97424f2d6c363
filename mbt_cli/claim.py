"""Who works on a run: one process at a time, on this machine or on another with the same folder.

A claim is a file beside the run's folder that only one process can create, and that it keeps fresh
while it works. A claim is dead when its process is, or when nobody has kept it fresh. No file
locks: network folders have none to rely on.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from mbt_cli.errors import Unwritable
from mbt_cli.files import alive

FRESH_S = 10.0
"""How often a claim is touched."""
DEAD_S = 60.0
"""A claim that was not touched for so long is dead."""
EMPTY_S = 5.0
"""So is one into which nothing was written for so long: whoever creates it writes at once."""


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether the run of this folder is ours for now; a dead claim is taken over.

    Raises Unwritable.
    """
    path = _beside(folder)
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "token": uuid4().hex}
    if not (_create(path, mine) or _taken_over(path, mine)):
        yield False
        return
    for grave in path.parent.glob(f"{path.name}.*.buried"):  # of one who died at it
        grave.unlink(missing_ok=True)
    done = threading.Event()
    keeper = threading.Thread(target=_keep_fresh, args=(path, done), daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        if _read(path) == mine:
            path.unlink(missing_ok=True)


def held(folder: Path) -> bool:
    """Whether somebody works on the run of this folder."""
    path = _beside(folder)
    return path.exists() and not _dead(path, _read(path))


def left(folder: Path) -> bool:
    """Whether there is a claim on the run of this folder, dead or alive, or what is left of one."""
    return any(folder.parent.glob(f"{folder.name}.claim*"))


def _beside(folder: Path) -> Path:
    """The claim on the run of this folder."""
    return folder.with_name(f"{folder.name}.claim")


def _create(path: Path, mine: dict[str, object]) -> bool:
    """A claim, where there was none. Raises Unwritable."""
    made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            made = True
            file.write(json.dumps(mine))
    except FileExistsError:
        return False
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise Unwritable.at(path, error) from error
    return True


def _taken_over(path: Path, mine: dict[str, object]) -> bool:
    """Whether a dead claim is ours now: only one process can claim to bury a certain one."""
    theirs = _read(path)
    if not _dead(path, theirs):
        return False
    grave = path.with_name(f"{path.name}.{theirs.get('token')}.buried")
    if not _create(grave, mine):
        if _dead(grave, _read(grave)):
            grave.unlink(missing_ok=True)  # whoever was about to do it died too: next time
        return False
    try:
        if _read(path) != theirs:
            return False
        path.unlink(missing_ok=True)
        return _create(path, mine)
    finally:
        grave.unlink(missing_ok=True)


def _dead(path: Path, claim: dict[str, object]) -> bool:
    try:
        if time.time() - path.stat().st_mtime > (DEAD_S if claim else EMPTY_S):
            return True
    except FileNotFoundError:
        return False  # it was given back just now
    here = claim.get("host") == socket.gethostname()
    return here and not alive(int(str(claim["pid"])))


def _keep_fresh(path: Path, done: threading.Event) -> None:
    while not done.wait(FRESH_S):
        with suppress(OSError):  # gone, or a folder out of reach for now
            os.utime(path)


def _read(path: Path) -> dict[str, object]:
    """Who holds a claim; {} where nobody does, or where it was not yet written out."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
