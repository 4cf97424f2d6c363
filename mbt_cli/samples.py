"""A cell as statistics see it, out of its records: what each seed reaches on which clips.

What a run's measure comes to on other draws of its clips is kept beside its scores.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mbt_cli.errors import MbtError, Unwritable
from mbt_cli.experiment import Evaluation
from mbt_cli.record import Record
from mbt_cli.resample import DRAWS, Block, drawn, replicates, tagged
from mbt_cli.runs import Run
from mbt_cli.statistics import Sample
from mbt_cli.tagging import top

WAY = f"1: {DRAWS} draws"
"""How draws are made: what was kept of others is made again."""
MANY = 100_000
"""Clips of which draws are made for every run anew: 400 MB of them are not held for the next."""


def sample(
    name: str, runs: Sequence[Run], values: Sequence[float], common: frozenset[str] | None = None
) -> Sample:
    """A cell's finished runs, each with its value of the measure; over their test clips, or over
    some of them, by name. Raises MbtError where the runs were scored on other clips."""
    found = [run.scores_on(common) for run in runs]
    clips = [_clips(arrays) for arrays in found]
    for run, mine in zip(runs, clips, strict=True):
        if mine != clips[0]:
            raise MbtError(
                f"{name} has runs on other clips or labels ({runs[0].key}, {run.key}): no mean is"
                " taken over them."
            )
    draws = [
        _draws(run, arrays, mine) for run, arrays, mine in zip(runs, found, clips, strict=True)
    ]
    seeds = tuple(run.experiment.training.seed for run in runs)
    groups = len(np.unique(found[0]["groups"]))
    return Sample(name, seeds, np.array(values, float), np.stack(draws), clips[0], groups)


def _clips(arrays: dict[str, Any]) -> str:
    told = blake2b(digest_size=12)
    # no wider than the longest of these texts, whatever others the array had
    texts = (np.array(arrays[part].tolist()) for part in ("names", "groups"))
    labels = arrays["labels"]
    known = (labels.indptr, labels.indices) if isinstance(labels, csr_array) else (labels,)
    for values in (*texts, *map(np.ascontiguousarray, known)):
        told.update(values.tobytes())
        told.update(str((values.shape, values.dtype)).encode())
    return told.hexdigest()


def _draws(run: Run, arrays: dict[str, Any], clips: str) -> np.ndarray:
    """Kept beside the scores that they are of, where that can be."""
    task, told = run.task, blake2b(f"{WAY} of {clips}".encode(), digest_size=12)
    for part in ("scores", "classes") if task.wide else ("scores",):
        told.update(np.ascontiguousarray(arrays[part]).tobytes())
    digest = told.hexdigest()
    if (kept := run.draws(Evaluation(), digest)) is not None:
        return kept
    groups = tuple(arrays["groups"].tolist())
    draws = _weights(groups) if len(groups) < MANY else drawn(groups)
    if task.wide:
        found = tagged(top(arrays), draws)
    else:
        found = replicates(arrays["scores"], arrays["labels"], draws, task)
    with suppress(Unwritable):  # of records that are read-only it is made again the next time
        Record(run.folder).drawn(Evaluation(), digest, found)
    return found


@lru_cache(maxsize=1)
def _weights(groups: tuple[str, ...]) -> list[Block]:
    return [*drawn(groups)]
