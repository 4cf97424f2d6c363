"""Runs at the start of every Python process of a command that `kills.py` watches: says when the
moment has come, and where each thread is.

AIM is JSON: what to wait for (a pattern over "thread event arguments", the n-th time in a process),
whether to hold still there (before it happens) until the kill comes, the pipe to say it on, and the
folder for the threads' stacks, which SIGUSR1 has written.
"""

import faulthandler
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

WATCHED = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect")
HELD_S = 30.0


def install(pattern: str, n: int, hold: bool, pipe: str, stacks: str) -> None:
    moment, left = re.compile(pattern), [n]
    out = os.open(pipe, os.O_WRONLY)
    faulthandler.register(signal.SIGUSR1, (Path(stacks) / str(os.getpid())).open("w"))

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WATCHED or not left[0]:
            return
        words = " ".join(map(str, arguments[:2]))
        if moment.search(f"{threading.current_thread().name} {event} {words}"):
            left[0] -= 1
            if not left[0]:
                os.write(out, b"now\n")
                if hold:
                    time.sleep(HELD_S)

    sys.addaudithook(look)


if aim := json.loads(os.environ.get("AIM", "{}")):
    install(**aim)
