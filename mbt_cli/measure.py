"""What a forward pass takes on this machine: time and memory, each model in a fresh process.

One clip (batch 1) in evaluation mode, without gradients, in the precision of the run.
"""

import ctypes
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from mbt_cli.errors import MbtError
from mbt_cli.executors import Died, Local
from mbt_cli.experiment import Experiment
from mbt_cli.pace import Pace, pace
from mbt_cli.prices import Price

MIB = 2**20


@dataclass(frozen=True)
class Job:
    """A model for a fresh process, and where it is to run."""

    cell: Experiment
    classes: int
    device: str
    threads: int


@dataclass(frozen=True)
class Measured(Pace):
    """Of a forward pass over one clip."""

    peak_mib: float
    """Memory at its fullest, over what was there before the model was built."""
    device: str
    device_name: str
    threads: int
    torch: str
    """Its version."""
    precision: str
    """Of matrix products."""


def check(found: Sequence[Price]) -> None:
    """Raises MbtError where a price is not what torch counts in the built model."""
    from mbt_cli.model.count import counted

    for price in found:
        if (real := counted(price.cell, price.classes)) != price.cost:
            raise MbtError(
                f"{price.cell.title} should have {price.cost.parameters:,} parameters and"
                f" {price.cost.macs:,} MACs, but torch counts {real.parameters:,} and"
                f" {real.macs:,}: report this as a bug of mbt-cli."
            )


def measured(
    found: Sequence[Price], device: str, threads: int, advance: Callable[[int], None]
) -> list[Measured]:
    """Each price's model, one after the other, in a process of its own.

    Raises MbtError where a process dies.
    """
    results = []
    for price in found:
        job = Job(price.cell, price.classes, device, threads)
        with Local(1, threads) as fresh:
            (outcome,) = fresh.run(measure, [job], lambda _, __: None)
        if isinstance(outcome.error, Died):
            raise MbtError(
                f"{price.cell.title} cannot be measured here. {outcome.error}"
            ) from outcome.error
        if outcome.error:
            raise outcome.error
        results.append(cast("Measured", outcome.value))
        advance(1)
    return results


def measure(job: Job, _emit: Callable[[Any], None]) -> Measured:
    """One model, in whatever process this is called."""
    import torch

    from mbt_cli.environment import environment
    from mbt_cli.model import build
    from mbt_cli.scoring import autocast

    torch.set_num_threads(job.threads)
    spec, shapes = job.cell.model, job.cell.data.views.shapes
    views = {m: torch.randn(1, *shapes[m], device=job.device) for m in spec.modalities}
    small = spec.smallest
    with torch.inference_mode(), autocast(job.cell.training, job.device):
        # what libraries load and set up at their first use is no part of the model
        build(small, shapes, job.classes).to(job.device).eval()(views)
        peak = memory_watch(job.device)
        model = build(spec, shapes, job.classes).to(job.device).eval()
        took = pace(model, views, job.device)
    grown = peak() / MIB
    where = environment(job.device)
    return Measured(
        **asdict(took), peak_mib=grown,
        device=job.device, device_name=where["device_name"], threads=where["threads"],
        torch=where["versions"]["torch"], precision=job.cell.training.precision,
    )  # fmt: skip


def memory_watch(device: str) -> Callable[[], int]:
    """From now on; what it gives says by how many bytes memory has grown at its fullest.

    Of a GPU what torch has allocated there. Else the resident memory of this process, on Linux
    from a high-water mark that is set back now, elsewhere from the highest there ever was.
    """
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        there = torch.cuda.memory_allocated(device)
        return lambda: torch.cuda.max_memory_allocated(device) - there
    with suppress(AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not there to be used unseen
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        before = _highest()
        return lambda: _highest() - before
    resident = _status("VmRSS")
    return lambda: _status("VmHWM") - resident


def _status(name: str) -> int:
    """A figure of Linux about this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return 1024 * int(found)


def _highest() -> int:
    """The most resident memory this process ever had, in bytes."""
    import resource
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
