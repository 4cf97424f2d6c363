"""Does a killed `ablate` lose, repeat or change anything? SIGKILL, again and again, at any moment.

A round is a results folder and a cache of its own. The command is started, killed with all its
workers in the midst of rendering, started again, killed in caching, and so on through training,
checkpoint, record and MLflow (these four in any order), always the same command, and at last let to
finish. A kill is aimed from outside: `aim/sitecustomize.py` watches what the processes do (audit
hooks) and says when the n-th such thing is about to happen; the kill comes right then, or so many
milliseconds later. It counts for the phase in which the threads' stacks show it to have hit.

After every kill: every file of the record is whole, no finished run has changed since, no
checkpoint is gone. At the end: scores, labels, figures, weights, curves and MLflow's histories
are, bit by bit, those of a run that nobody killed; what was measured before a checkpoint was not
measured again; nothing is left behind. Rounds differ in workers, in the pause between checkpoints,
and in whether MLflow's database is there before.

    python benchmarks/kills.py                # 100 kills: 20 minutes on two idle cores
    python benchmarks/kills.py --kills 6      # about one in each phase: 1 minute
    python benchmarks/kills.py --round 7      # that round alone
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mbt_cli.experiment import Evaluation
from mbt_cli.runs import FINISHED, Run

PHASES = ("rendering", "caching", "training", "checkpoint", "record", "MLflow")
ELSEWHERE = "elsewhere"
"""Imports, and what else is none of the phases."""
ORDER = (*PHASES, ELSEWHERE)
MANY = 100
"""From so many kills on it is first seen that no result depends on workers or checkpoints."""
TRIES = 3
"""To hit a phase in a round."""
LIMIT_S = 240.0
"""A command that takes longer hangs."""
REPOSITORY = Path(__file__).parents[1]
GRID = '''"""Does it survive?"""

from mbt_cli.grid import Grid


def cells(base):
    base = base.at("model.fusion_layer", 1)
    return [base.at("model.fusion", fusion) for fusion in ("bottleneck", "self_attention")]


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion")
'''
SETTINGS = {
    "data.train": 48, "data.validation": 24, "data.test": 24, "training.epochs": 3,
    "training.batch_size": 8, "training.mixup": 0.3, "model.stochastic_depth": 0.3,
}  # fmt: skip
NOWHERE: Mapping[str, Any] = {}
"""The aim where nobody kills."""


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
    ("rendering", r"data/world\.py|data/__init__\.py:(make_ready|render_chunk)"),
    ("caching", r"data/cache\.py:(fill|read_chunk|_lay_out)|data/(clip|views)\.py"),
    ("checkpoint", r"record\.py:checkpoint|job\.py:step"),
    ("record", r"(record|study)\.py|claim\.py:(?!_keep_fresh)"),
    ("training", r"(train|loss|mixup|memory|descent)\.py|model/"),
    (ELSEWHERE, r"executors\.py:run|tracking\.py"),
)
"""What a thread is at, by the innermost of our functions that is named here."""


@dataclass(frozen=True)
class Setting:
    """How the commands of a round are started; no result may depend on it."""

    workers: int
    checkpoint_s: float
    store: bool
    """Whether MLflow's database is made before."""


SETTING = [Setting(1, 0, False), Setting(2, 0.2, False), Setting(1, 0, True), Setting(2, 0, True),
           Setting(1, 0.2, True)]  # fmt: skip


@dataclass
class Tally:
    """What came of the kills."""

    asked: int
    """Kills in all, at least."""
    phases: Sequence[str] = PHASES
    """Aimed at."""
    kills: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """Files and processes left behind, and commands that fail."""

    @property
    def missing(self) -> dict[str, int]:
        """How often each phase is still to be hit, for a tenth of all kills in each."""
        return {phase: self.asked // 10 - self.kills[phase] for phase in self.phases}

    @property
    def enough(self) -> bool:
        return self.kills.total() >= self.asked and max(self.missing.values()) <= 0

    @property
    def wrong(self) -> int:
        return sum(
            sum(one.values()) for one in (self.lost, self.repeated, self.differing, self.left)
        )


class Command:
    """One start of `ablate`, in a session of its own."""

    def __init__(self, folder: Path, setting: Setting, aim: Mapping[str, Any] = NOWHERE) -> None:
        words = ["ablate", "--grid", str(folder.parent / "survival.py"), "--seeds", "2"]
        words += ["--workers", str(setting.workers), "--checkpoint-s", str(setting.checkpoint_s)]
        words += ["--device", "cpu", "--results", str(folder / "results")]
        words += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        paths = f"{Path(__file__).parent / 'aim'}{os.pathsep}{REPOSITORY}"
        env = os.environ | {
            "PYTHONFAULTHANDLER": "1",
            "MBT_CACHE": str(folder / "cache"),
            "PYTHONPATH": paths,
        }
        env |= {"AIM": json.dumps(aim)}
        for name in ("MLFLOW_TRACKING_URI", "MBT_RESULTS"):
            env.pop(name, None)
        self.said = folder / "said.txt"
        self.began = time.monotonic()
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mbt_cli", *words], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env=env, start_new_session=True,
            )  # fmt: skip

    @property
    def late(self) -> bool:
        return time.monotonic() - self.began > LIMIT_S

    def wait(self) -> int:
        """Its exit status, once all its processes are gone; one that hangs is killed."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, LIMIT_S - (time.monotonic() - self.began)))
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        while not self.late:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return code
            time.sleep(0.01)
        raise RuntimeError("A process is left.")


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


class Witness:
    """Looks at a results folder after every kill."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.done: dict[str, dict[str, str]] = {}
        """The digests of all files of the runs that were finished, by key."""
        self.kept: dict[str, list[bytes]] = {}
        """The rows that a checkpoint stands for, by key."""

    def look(self) -> tuple[list[str], list[str]]:
        """What is lost, and what was done again."""
        lost, repeated = [], []
        for folder in sorted(self.results.glob("runs/*/")):
            try:
                self._whole(run := Run(folder))
            except Exception as error:  # noqa: BLE001  # whatever it is, the file is not whole
                lost.append(f"{folder.name}: {error!r}")
                continue
            key, rows = run.key, (folder / "metrics.jsonl")
            lines = rows.read_bytes().splitlines(keepends=True) if rows.exists() else []
            if (before := self.kept.get(key, [])) != lines[: len(before)]:
                repeated.append(f"{key}: rows from before a checkpoint were measured again")
            if (checkpoint := folder / "checkpoint.pt").exists():
                state = torch.load(checkpoint, map_location="cpu", weights_only=True)
                self.kept[key] = lines[: state["progress"]["rows"]]
                if len(self.kept[key]) < len(before):
                    repeated.append(f"{key}: its checkpoint is older than one before")
            elif before and run.state != FINISHED:
                lost.append(f"{key}: its checkpoint is gone")
            now = digests(folder) if run.state == FINISHED else {}
            if key in self.done and self.done[key] != now:
                repeated.append(f"{key}: it was finished, and has changed")
            if now:
                self.done.setdefault(key, now)
        there = {folder.name for folder in self.results.glob("runs/*/")}
        lost += [f"{key}: its folder is gone" for key in {*self.done, *self.kept} - there]
        return lost, repeated

    def _whole(self, run: Run) -> None:
        """Raises whatever is raised where a file cannot be read."""
        for file in run.folder.rglob("*.json"):
            json.loads(file.read_text())
        run.curve()
        for file in run.folder.rglob("*.npz"):
            with np.load(file) as arrays:
                dict(arrays)
        if (run.folder / "weights.safetensors").exists():
            run.weights()


def digests(folder: Path) -> dict[str, str]:
    """Of every file that a finished run keeps."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix != ".part" and path.name != "checkpoint.pt"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def outcome(run: Run) -> dict[str, Any]:
    """All that a run's result is, as values that can be compared."""
    how = Evaluation()
    timeless = ("started", "written", "seconds")
    return {
        "curve": [{name: v for name, v in row.items() if name != "time_s"} for row in run.curve()],
        "figures": run.figures(how),
        "status": {name: value for name, value in run.status.items() if name not in timeless},
        "facts": {name: value for name, value in run.facts.items() if name != "environment"},
        **{name: (v.dtype.str, v.shape, v.tobytes()) for name, v in run.scores(how).items()},
        **{name: (v.dtype, v.shape, v.numpy().tobytes()) for name, v in run.weights().items()},
    }


def logged(results: Path) -> dict[str, Any]:
    """What MLflow holds of each key: every run's status, parameters, and metrics with their steps.

    Raises sqlite3.Error where the database is damaged.
    """
    with sqlite3.connect(results / "mlflow.db") as store:
        ask = partial(store.execute)
        (sound,) = ask("pragma integrity_check").fetchone()
        held: dict[str, Any] = {"integrity": sound}
        runs = ask("select r.run_uuid, r.status, t.value from runs r join tags t using (run_uuid)"
                   " where t.key = 'key' and r.lifecycle_stage = 'active'").fetchall()  # fmt: skip
        for name, status, key in runs:
            rows = {
                table: sorted(ask(f"select {what} from {table} where run_uuid = ?", (name,)))
                for table, what in (("metrics", "key, step, value, is_nan"),
                                    ("latest_metrics", "key, step, value"),
                                    ("params", "key, value"))
            }  # fmt: skip
            held.setdefault(key, []).append((status, rows))
    store.close()
    return held


class Truth:
    """The results of a command that nobody kills."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        folder.mkdir()
        self.setting, self._results = setting, folder / "results"
        self._command = Command(folder, setting)

    @cached_property
    def results(self) -> Path:
        """Waits for them."""
        if self._command.wait():
            raise RuntimeError(self._command.said.read_text())
        print(f"     nobody killed: {self.setting}", flush=True)
        return self._results

    @cached_property
    def empty(self) -> Path:
        """MLflow's database as it is before the first run is logged."""
        empty = self.results / "empty.db"
        shutil.copy(self.results / "mlflow.db", empty)
        with sqlite3.connect(empty) as store:
            for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
                store.execute(f"delete from {table}")
        store.close()
        return empty


@dataclass
class Round:
    """A results folder and a cache of its own, killed in every phase."""

    number: int
    folder: Path
    rng: random.Random
    setting: Setting
    truth: Truth
    tally: Tally
    last: str = ELSEWHERE
    """The phase of the last kill, for which what is found is counted."""

    def run(self) -> None:
        """Kills until all phases are hit, or enough kills are done in all."""
        self.folder.mkdir()
        results = self.folder / "results"
        if self.setting.store:
            results.mkdir()
            shutil.copy(self.truth.empty, results / "mlflow.db")
        witness = Witness(results)
        for phase in [*PHASES[:2], *self.rng.sample(PHASES[2:], 4)]:
            if phase in self.tally.phases and not self._killed(phase, witness):
                break
        self._ended(command := Command(self.folder, self.setting), "let to finish")
        self._found(*witness.look())
        if command.process.returncode == 0:
            self._compare(results)
        self._leftovers()

    def _killed(self, phase: str, witness: Witness) -> bool:
        """Kills in this phase, at the third try at the latest; False where all is done."""
        for _ in range(TRIES):
            if self.tally.enough:
                return False
            shot = Shot(phase, self.folder, self.setting, self.rng)
            command, hit = shot.fire()
            if command.process.returncode == -signal.SIGSEGV:  # faulthandler looks while they run
                self._say(command, f"{phase:<11}died of being looked at, not counted: {shot}")
                continue
            if hit is None:
                self._ended(command, f"{phase:<11}not hit: {shot}")
                return False
            self.last = phase if phase in hit else min(hit, key=ORDER.index)
            self.tally.kills[self.last] += 1
            self._say(command, f"{self.last:<11}{shot}")
            self._found(*witness.look())
            if self.last == phase:
                break
        return True

    def _say(self, command: Command, text: str) -> None:
        spent = time.monotonic() - command.began
        print(
            f"{self.tally.kills.total():>4} round {self.number:<3}{spent:5.1f} s  {text}",
            flush=True,
        )

    def _wrong(self, kind: Counter[str], text: str) -> None:
        kind[self.last] += 1
        print(f"     WRONG {text}", flush=True)

    def _found(self, lost: list[str], repeated: list[str]) -> None:
        for kind, texts in ((self.tally.lost, lost), (self.tally.repeated, repeated)):
            for text in texts:
                self._wrong(kind, text)

    def _ended(self, command: Command, text: str) -> None:
        """A command that nobody killed must have done all."""
        code = command.wait()
        self._say(command, text)
        said = command.said.read_text()
        if code or "did not take all" in said:
            self._wrong(self.tally.left, f"the command ended with {code} and said:\n{said}")

    def _compare(self, results: Path) -> None:
        for folder in sorted(self.truth.results.glob("runs/*/")):
            mine = Run(results / "runs" / folder.name)
            if mine.state != FINISHED:
                self._wrong(self.tally.lost, f"{mine.key} is {mine.state}")
                continue
            theirs, ours = outcome(Run(folder)), outcome(mine)
            if off := [name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)]:
                self._wrong(self.tally.differing, f"{mine.key}: {', '.join(sorted(off))}")
        theirs, ours = logged(self.truth.results), logged(results)
        for name in sorted({*theirs, *ours}):
            if theirs.get(name) != ours.get(name):
                runs = [(status, {table: len(of) for table, of in rows.items()})
                        for status, rows in ours.get(name, [])]  # fmt: skip
                self._wrong(self.tally.differing, f"MLflow's {name}: {runs}")

    def _leftovers(self) -> None:
        for path in sorted(self.folder.rglob("*")):
            if re.search(r"\.part|\.claim|^checkpoint\.pt$|^\.removed|^\.probe", path.name):
                self._wrong(self.tally.left, f"left behind: {path.relative_to(self.folder)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="at least so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, help="this round alone")
    parser.add_argument("--phase", choices=PHASES, action="append", help="this one alone, or these")
    parser.add_argument("--keep", type=Path, help="a new folder for all files, to look into")
    asked = parser.parse_args()
    tally = Tally(asked.kills, asked.phase or PHASES)
    with tempfile.TemporaryDirectory() as room:
        folder = asked.keep or Path(room)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "survival.py").write_text(GRID)
        truth = Truth(folder / "truth", Setting(1, 30.0, False))
        if asked.kills >= MANY:
            other = Truth(folder / "other", Setting(2, 0.2, False)).results
            for run in truth.results.glob("runs/*/"):
                if outcome(Run(run)) != outcome(Run(other / "runs" / run.name)):
                    raise RuntimeError(f"{run.name} depends on workers or checkpoints.")
        for number in itertools.count() if asked.round is None else [asked.round]:
            if tally.enough:
                break
            before = tally.wrong
            rng = random.Random(f"{asked.seed} {number}")
            setting = SETTING[number % len(SETTING)]
            one = Round(number, folder / f"round{number}", rng, setting, truth, tally)
            one.run()
            if tally.wrong > before:
                print(f"     again: --seed {asked.seed} --round {number}", flush=True)
            elif not asked.keep:
                shutil.rmtree(one.folder)
    print(f"{'phase':<12}kills  runs lost  repeated  differing  left behind")
    for phase in ORDER:
        print(f"{phase:<12}{tally.kills[phase]:>5}{tally.lost[phase]:>11}{tally.repeated[phase]:>10}"
              f"{tally.differing[phase]:>11}{tally.left[phase]:>13}")  # fmt: skip
    print(f"{tally.kills.total()} kills, {tally.wrong} wrong")
    sys.exit(1 if tally.wrong else 0)


if __name__ == "__main__":
    main()
