"""What the user sees while work goes on: bars in a terminal, plain lines elsewhere."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mbt_cli.ablate import Planned
from mbt_cli.errors import MbtError
from mbt_cli.job import Result

WIDTH = 120
"""Of lines that go to a file or a pipe."""
LINE_EVERY_S = 10.0
"""Without a terminal, a bar is a line now and then."""


def stdout() -> Console:
    """The terminal as it is; a file or a pipe as wide lines."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=WIDTH)


class Screen:
    """Shows runs and bars on a console; all it is told, it only shows."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = _progress(console)
        self._total = self._ended = 0
        self._tasks: dict[str, TaskID] = {}
        self._overall: TaskID | None = None

    @contextmanager
    def bar(self, title: str, total: int, things: str = "clips") -> Iterator[Callable[[int], None]]:
        """A bar for so many things; the time it took is left as a line."""
        began = shown = time.monotonic()
        done = 0
        with _progress(self.console) as progress:
            task = progress.add_task(title, total=total)

            def advance(more: int) -> None:
                nonlocal done, shown
                done += more
                progress.advance(task, more)
                if not self.console.is_terminal and time.monotonic() - shown > LINE_EVERY_S:
                    shown = time.monotonic()
                    self.console.print(f"{title}: {done:,} of {total:,}")

            yield advance
            progress.remove_task(task)
        if total:
            seconds = time.monotonic() - began
            self.console.print(f"{title}: {done:,} {things} in {seconds:.0f} s")

    def say(self, sentence: str) -> None:
        """A line of its own."""
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def running(self, total: int) -> Iterator[None]:
        """A bar for all runs, and one for each run under way."""
        self._total, self._ended = total, 0
        with self._bars:
            self._overall = self._bars.add_task("[bold]runs", total=total)
            yield

    def event(self, run: Planned, row: Mapping[str, Any]) -> None:
        """Moves a run's own bar."""
        if "micro_batch" in row:
            clips = row["micro_batch"]
            self.say(f"{run.title}: out of memory; it goes on with {clips} clips at a time.")
        if run.key not in self._tasks:
            epochs = run.experiment.training.epochs
            self._tasks[run.key] = self._bars.add_task(run.title, total=epochs)
        if "validation" in row:
            said = f"{run.title}  {headline({**row['validation'], 'groups': {}})}"
            self._bars.update(self._tasks[run.key], completed=row["epoch"], description=said)

    def ended(self, run: Planned, result: Result | None, error: Exception | None) -> None:
        """One line for each run that is done."""
        self._ended += 1
        if run.key in self._tasks:
            self._bars.remove_task(self._tasks.pop(run.key))
        if self._overall is not None:
            self._bars.advance(self._overall)
        head = f"{self._ended:>{len(str(self._total))}}/{self._total}  {run.title:<30}"
        if error is not None:
            said = error if isinstance(error, MbtError) else f"{type(error).__name__}: {error}"
            self.console.print(f"{head}  [red]failed[/red]: ", end="")
            self.console.print(str(said), markup=False, highlight=False, soft_wrap=True)
        elif result is not None:
            said = f"{head}  {headline(result.figures)}  {result.seconds:5.1f} s"
            self.console.print(said, soft_wrap=True)


def headline(figures: Mapping[str, Any]) -> str:
    """The first figures of an evaluation, in one line."""
    names = {"GAP": "GAP", "F1_micro": "F1"} if "GAP" in figures else {"top1": "top1", "mAP": "mAP"}
    known = ((name, figures.get(figure)) for figure, name in names.items())
    said = [f"{name} {value:.3f}" for name, value in known if value is not None]
    groups = figures["groups"].items()
    return "  ".join(
        said + [f"{g} {one['mAP']:.2f}" for g, one in groups if one["mAP"] is not None]
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
