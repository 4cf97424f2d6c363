"""One run, in whatever process a worker is: from its first record to its last."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbt_cli.claim import claimed
from mbt_cli.cost import Cost
from mbt_cli.data.clips import Clips
from mbt_cli.environment import code, environment
from mbt_cli.errors import Unwritable
from mbt_cli.executors import Died
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.metrics import Figures
from mbt_cli.pace import Pace, pace
from mbt_cli.record import Record
from mbt_cli.runs import FINISHED, RUNNING, Run
from mbt_cli.source import Source
from mbt_cli.tagging import Pruned

if TYPE_CHECKING:
    from mbt_cli.model import Network
    from mbt_cli.progress import State
    from mbt_cli.tally import Scored

PACE_S = 0.1
"""How long forward passes are timed at the end of a run, if ten of them do not take longer."""
LEAST_PAUSE = 50
"""Between two checkpoints, over the time that one takes."""


@dataclass(frozen=True)
class Result:
    """What a finished run comes back with; the rest is in its record."""

    figures: Figures
    seconds: float


@dataclass(frozen=True)
class Job:
    """A run for a worker: all it needs, and where its record belongs."""

    experiment: Experiment
    cost: Cost
    source: Source
    record: Path
    device: str
    threads: int
    checkpoint_s: float
    """Seconds from one checkpoint to the next."""
    keep: str
    """What of its weights stays when it is finished: one of `record.KEEP`."""


def execute(job: Job, emit: Callable[[Any], None]) -> Result | None:
    """One run, in whatever process this is called; None while another process works on it."""
    with claimed(job.record) as mine:
        if not mine:
            return None
        left = Run(job.record)
        if left.state == FINISHED and left.facts["code"] == code():  # by another, just now
            return Result(left.figures(Evaluation()) or {}, left.status["seconds"])
        return _execute(job, emit)


def buried(job: Job, why: Died) -> None:
    """Records as failed a run whose process died."""
    with claimed(job.record) as mine:
        if mine and Run(job.record).state == RUNNING and (job.record / "run.json").exists():
            Record(job.record).fail(why)


def _execute(job: Job, emit: Callable[[Any], None]) -> Result:
    """One run, from its first record to its last."""
    import torch

    torch.set_num_threads(job.threads)
    record, source = Record(job.record), job.source.learned_by(job.experiment)
    manifest = source.manifest
    with source.opened() as data:
        facts = {
            "cost": {"parameters": job.cost.parameters, "macs": job.cost.macs},
            **manifest.task.record(),
            "left_out": data.left_out,
            "code": code(),
        }
        state = record.resume(**facts)
        if state is None:
            record.begin(job.experiment, {**facts, "environment": environment(job.device)})
        else:
            for row in record.curve():
                data.lost |= row.get("lost", {})
        try:
            return _fitted(job, record, data, _Log(record, emit, job), state)
        except Unwritable:
            raise
        except Exception as error:
            record.fail(error)
            raise


def _fitted(job: Job, record: Record, data: Clips, log: "_Log", state: "State | None") -> Result:
    """Trains a run, scores it, and closes its record."""
    from mbt_cli.model.count import counted
    from mbt_cli.scoring import evaluate
    from mbt_cli.train import fit

    if (real := counted(job.experiment, len(data.manifest.classes))) != job.cost:
        raise RuntimeError(f"The model costs {real}, but the plan says {job.cost}.")
    fitted = fit(job.experiment, data, log, job.device, state)
    told = fitted.validation.get("F1_threshold")
    done = evaluate(
        fitted.model, job.experiment, data, Evaluation(), job.device, threshold=told, full=True
    )
    keep(record, Evaluation(), done, data)
    took = {"seconds": fitted.seconds, "micro_batch": fitted.micro_batch, "lost": data.lost}
    took |= {"latency": asdict(_pace(fitted.model, job))}
    record.finish(job.keep, **took, epoch=fitted.epoch, validation=fitted.validation)
    return Result(done.figures, fitted.seconds)


def _pace(model: "Network", job: Job) -> Pace:
    """Of the trained model where it was trained, whatever runs there beside it."""
    import torch

    from mbt_cli.scoring import autocast

    one, model = job.experiment, model.eval()
    shapes = one.data.views.shapes
    views = {m: torch.zeros(1, *shapes[m], device=job.device) for m in model.spec.modalities}
    with torch.inference_mode(), autocast(one.training, job.device):
        return pace(model, views, job.device, PACE_S)


def keep(record: Record, how: Evaluation, done: "Scored", data: Clips) -> None:
    """What an evaluation found, into the run's record."""
    names, groups = data.names(done.places), data.groups(done.places)
    if isinstance(done.scores, Pruned):
        record.tagged(how, done.figures, done.scores, names, groups)
    else:
        labels = data.labels(done.places)
        record.evaluated(how, done.figures, done.scores, labels, names, groups)


class _Log:
    """Writes what a run measures into its record, and tells the caller's process."""

    def __init__(self, record: Record, emit: Callable[[Any], None], job: Job) -> None:
        self.record, self.emit, self.pause_s = record, emit, job.checkpoint_s
        self.keep_last = job.keep == "all"
        self.best, self.next_s = record.best, time.monotonic() + job.checkpoint_s

    def step(self, state: Callable[[], Mapping[str, Any]], *, last: bool) -> None:
        """Keeps a checkpoint now and then, for no more than a fiftieth of the time; where the pause
        is 0 after every step."""
        if (began := time.monotonic()) >= self.next_s or (last and self.keep_last):
            self.record.checkpoint(state())
            took = time.monotonic() - began
            pause_s = max(self.pause_s, LEAST_PAUSE * took) if self.pause_s else 0.0
            self.next_s = time.monotonic() + pause_s

    def row(self, values: Mapping[str, Any]) -> None:
        self.record.row(values)
        self.emit(dict(values))
