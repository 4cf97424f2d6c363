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
import itertools
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mbt_cli.runs import FINISHED, Run
from survival.command import GRID, Command, Setting
from survival.shots import ELSEWHERE, ORDER, PHASES, Shot
from survival.witness import Witness, logged, outcome

MANY = 100
"""From so many kills on it is first seen that no result depends on workers or checkpoints."""
TRIES = 3
"""To hit a phase in a round."""
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
