"""Finished runs visited again: scored in other ways and probed, without training."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mbt_cli.claim import claimed
from mbt_cli.dataset import Viewed
from mbt_cli.errors import MbtError, Unwritable
from mbt_cli.executors import Emit, Executor
from mbt_cli.experiment import Evaluation
from mbt_cli.job import keep
from mbt_cli.metrics import Figures
from mbt_cli.probes import AS_TRAINED, probes, unprobed
from mbt_cli.record import Record
from mbt_cli.runs import FINISHED, Run
from mbt_cli.source import Source
from mbt_cli.words import count

if TYPE_CHECKING:
    from mbt_cli.model import Network

AGAIN_S = 1.0
"""How long to wait before runs that others work on are looked at again."""


@dataclass(frozen=True)
class Visit:
    """A finished run for a worker, and the clips by which it is probed."""

    folder: Path
    source: Source
    device: str
    threads: int


@runtime_checkable
class Show(Protocol):
    """What the user sees meanwhile."""

    def say(self, sentence: str) -> None:
        """What the user should know."""

    def bar(
        self, title: str, total: int, things: str = "clips"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """A bar for so many things; call what it gives with how many more are done."""


def evaluate_again(
    run: Run, hows: Sequence[Evaluation], source: Source, device: str
) -> list[Figures]:
    """What other evaluations of a finished run find: from its record, else by scoring its clips,
    once for all that ask for the same spans of them.

    They are kept in the run's record; nothing is trained. Raises MbtError for clips of other
    classes.
    """
    hows = [how.canonical() for how in hows]
    missing = [how for how in dict.fromkeys(hows) if run.figures(how) is None]
    if missing:
        _evaluate(run, missing, source, device)
    return [run.figures(how) or {} for how in hows]


def probe(run: Run, source: Source, device: str, base: Evaluation = AS_TRAINED) -> None:
    """Asks a finished run all its probes that are not in its record yet."""
    evaluate_again(run, [base, *probes(run.experiment, base).values()], source, device)
    if run.attention(base) is None:
        from mbt_cli.attention import attended

        source = source.learned_by(run.experiment)
        with source.opened() as data:
            model = trained(run, source, device)
            lines = attended(model, run.experiment, data, base.split, device)
        Record(run.folder).attended(base, [asdict(line) for line in lines])


def visit(job: Visit, _: Emit) -> bool:
    """Probes one run in whatever process this is; whether it did, for another may be at it."""
    import torch

    torch.set_num_threads(job.threads)
    with claimed(job.folder) as mine:
        run = Run(job.folder)
        if mine and run.state == FINISHED and unprobed(run):
            probe(run, job.source, job.device)
        return mine


def probe_all(
    runs: Sequence[Run], sources: Mapping[Viewed, Source], *, executor: Executor, device: str,
    threads: int, show: Show,
) -> str:  # fmt: skip
    """Probes every run that was not probed before and has its weights; what is wrong, in a
    sentence. What another command probes is waited for.

    Raises Unwritable.
    """
    todo = [run for run in runs if unprobed(run)]
    jobs = [
        Visit(run.folder, sources[run.experiment.data.views], device, threads)
        for run in todo
        if run.has_weights
    ]
    failed, places = list[str](), list(range(len(jobs)))
    with show.bar("Probing", len(jobs), "runs") as advance:
        while places:
            elsewhere = []
            for outcome in executor.run(visit, [jobs[p] for p in places], lambda *_: None):
                place = places[outcome.place]
                if isinstance(outcome.error, Unwritable):
                    raise outcome.error
                if outcome.error is not None:
                    failed.append(f"{jobs[place].folder.name}: {outcome.error}")
                elif not outcome.value:
                    elsewhere.append(place)
                    continue
                advance(1)
            if elsewhere:
                time.sleep(AGAIN_S)
            places = elsewhere
    said = []
    if bare := len(todo) - len(jobs):
        said.append(f"{count(bare, 'run')} cannot be probed: no weights were kept (--keep none).")
    if failed:
        said.append(f"{count(len(failed), 'run')} could not be probed; the first, {failed[0]}")
    return " ".join(said)


def _evaluate(run: Run, hows: Sequence[Evaluation], source: Source, device: str) -> None:
    from mbt_cli.disguise import room_s
    from mbt_cli.scoring import evaluations

    source = source.learned_by(run.experiment)
    model, record = trained(run, source, device), Record(run.folder)
    beyond = bool(room_s(source.manifest, source.views).any())  # where arrays hold no sound

    def reading(how: Evaluation) -> tuple[bool, str, int]:
        return beyond and bool(how.shift_ms), how.split, how.crops

    for (decoded, _, _), some in groupby(sorted(hows, key=reading), reading):
        asked = list(some)
        with (replace(source, folder=None) if decoded else source).opened() as data:
            found = evaluations(model, run.experiment, data, asked, device, threshold=run.threshold)
            for how, done in zip(asked, found, strict=True):
                keep(record, how, done, data)


def trained(run: Run, source: Source, device: str) -> "Network":
    """The run's model. Raises MbtError for clips of other classes, or without weights."""
    from mbt_cli.model import build

    manifest, classes = source.manifest, run.facts["classes"]
    if list(manifest.classes) != classes:
        raise MbtError(
            f"Run {run.key} knows {len(classes)} classes ({', '.join(classes[:3])}, ...), and these"
            f" clips have {len(manifest.classes)} others ({', '.join(manifest.classes[:3])}, ...):"
            " give clips of the same classes with --data."
        )
    experiment = run.experiment
    model = build(experiment.model, experiment.data.views.shapes, len(classes)).to(device)
    model.load_state_dict(run.weights())
    return model
