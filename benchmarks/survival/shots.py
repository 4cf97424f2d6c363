"""Where a command is killed: what to wait for, and what each thread was at when the kill came."""

import os
import random
import re
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from survival.command import Command, Setting

PHASES = ("rendering", "caching", "training", "checkpoint", "record", "MLflow")
ELSEWHERE = "elsewhere"
"""Imports, and what else is none of the phases."""
ORDER = (*PHASES, ELSEWHERE)


@dataclass(frozen=True)
class Aim:
    """A moment to kill at."""

    pattern: str
    """Of what is about to happen: thread, audit event and paths."""
    most: int = 1
    """It is the n-th time, n up to so many."""
    span_s: float = 0.001
    """The kill comes up to so much later; or right before it happens."""
    before: float = 0.5
    """The chance of that."""
    part: str = ""
    """Waits until there is such a file, then kills at once or later."""
    fresh: bool = False
    """Only where MLflow's database is to be made."""


AIMS = {
    "rendering": [Aim(r"os\.rename .*\.mp4", most=12, span_s=0.02)],
    "caching": [
        Aim(r"open .*/views/.*\.part", most=6),
        Aim(r"open .*/state\.npy r\+", span_s=0.2),
        Aim(r"open .*/state\.npy r\+", span_s=0.2),
        Aim(r"ready\."),
    ],
    "training": [Aim(r"open .*/metrics\.jsonl a", most=12, span_s=0.04, before=0.0)],
    "checkpoint": [
        Aim(r"os\.rename .*/checkpoint\.pt", before=1.0),
        Aim(r"open .*/metrics\.jsonl a", most=12, span_s=0.005, part="runs/*/checkpoint.pt.*.part"),
    ],
    "record": [
        Aim(r"open .*/study\.json\..*\.part"),
        Aim(r"open .*\.claim x"),
        Aim(r"os\.mkdir .*/runs/\w+ "),
        Aim(r"open .*/(run|status|evaluation)\.json\..*\.part", most=4),
        Aim(r"os\.rename .*/(run|status|evaluation)\.json", most=4),
        Aim(r"open .*/metrics\.jsonl a", most=12),
        Aim(r"open .*/metrics\.jsonl a", most=6, part="runs/*/weights.safetensors.*.part"),
        Aim(r"(open|os\.rename) .*/scores\."),
        Aim(r"os\.rename .*/status\.json", most=3),
        Aim(r"os\.remove .*/checkpoint\.pt"),
        Aim(r"os\.remove .*\.claim"),
    ],
    "MLflow": [
        Aim(r"sqlite3\.connect", most=2, span_s=3.0, fresh=True),
        Aim(r"sqlite3\.connect", most=2, span_s=3.0, part="mlflow.db*-journal", fresh=True),
        Aim(r"os\.rename .*/mlflow\.db", fresh=True),
        Aim(r"sqlite3\.connect", most=2, span_s=0.1),
        Aim(r"mlflow_0 open .*/metrics\.jsonl r", most=3, span_s=0.2),
        Aim(r"mlflow_0 open .*/metrics\.jsonl r", most=3, span_s=0.2, part="mlflow.db-journal"),
    ],
}

WHOLE = re.compile(r" in (<module>|_run_module_as_main)\n$|\n  \.\.\.\n$")
"""How the stacks of a process end: with the main thread's outermost frame, or where it is cut."""
ROOMS = (
    ("rendering", r"data/world\.py|data/__init__\.py:(make_ready|rendered)"),
    (
        "caching",
        r"data/cache\.py:(fill|read|_lay_out)|data/(clip|excerpt|media|pictures|sound|views)\.py",
    ),
    ("checkpoint", r"record\.py:checkpoint|job\.py:step"),
    ("record", r"(record|study)\.py|claim\.py:(?!_keep_fresh)"),
    ("training", r"(train|scoring|feed|loss|mixup|memory|descent)\.py|model/"),
    (ELSEWHERE, r"executors\.py:run|tracking\.py"),
)
"""What a thread is at, by the innermost of our functions that is named here."""


class Shot:
    """An aim, drawn: where a command is killed."""

    def __init__(self, phase: str, folder: Path, setting: Setting, rng: random.Random) -> None:
        self.phase, self.folder, self.setting = phase, folder, setting
        made = (folder / "results" / "mlflow.db").exists()
        aim = rng.choice([aim for aim in AIMS[phase] if not (aim.fresh and made)])
        self.n = rng.randint(1, aim.most)
        self.hold = not aim.part and rng.random() < aim.before
        self.delay_s = 0.0 if self.hold else rng.uniform(0, aim.span_s)
        self.aim = aim

    def __str__(self) -> str:
        then = f" + {1000 * self.delay_s:.1f} ms" if self.delay_s else ""
        part = f", {Path(self.aim.part).name}" if self.aim.part else ""
        return f"{self.aim.pattern} no. {self.n}{part}{then}"

    def fire(self) -> tuple[Command, set[str] | None]:
        """The command, and the phases it was killed in; None where it ended before."""
        pipe, stacks = self.folder / "pipe", self.folder / "stacks"
        shutil.rmtree(stacks, ignore_errors=True)
        stacks.mkdir()
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        told = os.open(pipe, os.O_RDWR)  # open for writing too: never at its end
        aim = {"pattern": self.aim.pattern, "n": self.n, "hold": self.hold}
        try:
            command = Command(
                self.folder, self.setting, {**aim, "pipe": str(pipe), "stacks": str(stacks)}
            )
            while command.process.poll() is None and not command.late:
                if select.select([told], [], [], 0.05)[0]:
                    return command, self._kill(command, stacks)
        finally:
            os.close(told)
        return command, None

    def _kill(self, command: Command, stacks: Path) -> set[str] | None:
        results, until = self.folder / "results", time.monotonic() + 1
        while self.aim.part and not any(results.glob(self.aim.part)) and time.monotonic() < until:
            pass
        time.sleep(self.delay_s)
        files = list(stacks.iterdir())
        for file in files:
            with suppress(ProcessLookupError):
                os.kill(int(file.name), signal.SIGUSR1)
        until = time.monotonic() + 0.5
        while (
            not all(WHOLE.search(file.read_text()) for file in files) and time.monotonic() < until
        ):
            time.sleep(0.0002)
        with suppress(ProcessLookupError):
            os.killpg(command.process.pid, signal.SIGKILL)
        if command.wait() != -signal.SIGKILL:
            return None
        found = {phase for file in stacks.iterdir() for phase in phases(file.read_text())}
        return found or {ELSEWHERE}


def phases(stacks: str) -> Iterator[str]:
    """What each thread of a process was at."""
    for thread in stacks.split("hread 0x")[1:]:
        frames = re.findall(r'File "(.*)", line \d+ in (\S+)', thread)
        if any("/mlflow/" in path or f"{path}:{name}".endswith("tracking.py:_tell")
               for path, name in frames):  # fmt: skip
            yield "MLflow"
            continue
        ours = [f"{path}:{name}" for path, name in frames if "/mbt_cli/" in path]
        found = (
            what for at in ours for what, where in ROOMS if re.search(f"mbt_cli/({where})", at)
        )
        if (phase := next(found, ELSEWHERE)) != ELSEWHERE:
            yield phase
