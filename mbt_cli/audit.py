"""Whether every number in a written report still follows from the scores that were stored."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mbt_cli import archive
from mbt_cli.cost import cost
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import findings_of
from mbt_cli.runs import FINISHED, Run, finished
from mbt_cli.study import Study
from mbt_cli.words import count

EXACT = 1e-9
"""How near a number is to be that is computed again."""
SHOWN = 20
"""Differences that are told; the rest are counted."""
WIDTH = 60
"""Characters of a line that are told."""
NUMBER = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)", re.IGNORECASE
)
UNSEEN = re.compile(r"<style.*?</style>|<[^>]*>", re.DOTALL)
"""What a page of HTML does not show."""

Remake = Callable[[Study, Path], Mapping[str, str]]
"""A report's texts by the names of their files, made anew from a results folder's records."""


@dataclass(frozen=True)
class Audit:
    """What was found."""

    folder: Path
    """The report's."""
    files: tuple[str, ...]
    records: Path
    """Where the records were found."""
    runs: int
    newer: int
    """Runs that were finished since the report was written."""
    numbers: int
    """In the report's files."""
    differences: tuple[str, ...]
    pruned: bool = False
    """Whether only each clip's top classes were kept, of which not all figures follow."""

    def __str__(self) -> str:
        """In a sentence, or in one for each difference."""
        if not self.differences:
            return (
                f"All {self.numbers:,} numbers of {_list(self.files)} in {self.folder} follow from"
                f" the records of {count(self.runs, 'run')} in {self.records}, and their test"
                f" figures from the scores there. {self._recorded} are as they were"
                f" recorded.{self._newer()}"
            )
        more = len(self.differences) - SHOWN
        rest = [f"and {more:,} more."] if more > 0 else []
        return "\n".join([*self.differences[:SHOWN], *rest])

    @property
    def _recorded(self) -> str:
        """What does not follow from them."""
        full = "mAP over all scores, v" if self.pruned else "V"
        return f"{full}alidation figures and times"

    def _newer(self) -> str:
        """What the report does not know of."""
        runs = count(self.newer, "run", "has", "have")
        return f" {runs} been finished since." if self.newer else ""


def audit(study: Study, results: Path, remake: Remake) -> Audit:
    """Makes the report again from its runs' stored scores, and compares all its numbers.

    Raises MbtError where there is no report, or where records of its runs are missing.
    """
    folder = results / study.name
    if not (folder / "report.md").exists():
        raise MbtError(f"{folder} holds no report. Write it first: mbt-cli report {study.name}")
    keys = _reported(folder / "runs.csv")
    source, opened = _records(keys, results, folder)
    with opened as records:
        found = findings_of(study, records)
        newer = {run.key for run in found.runs} - set(keys)
        known = [run for run in archive.runs_of(found, records) if run.key not in newer]
        spare = {*found.unusable} - set(keys)
        runs = [run for run in known if run.state == FINISHED and run.key not in spare]
        wrong = [told for run in runs for told in _recomputed(run, study)]
        if wrong:  # what would follow from such records is of no interest
            return Audit(folder, (), source, len(runs), len(newer), 0, tuple(wrong))
        with archive.copied(known) as copy:  # without what is kept of draws: they are drawn again
            texts = remake(study, copy)
    numbers = 0
    for name, text in texts.items():
        if not (folder / name).exists():
            wrong.append(f"{folder / name} is missing: make the report again.")
            continue
        written = (folder / name).read_text(errors="replace")
        seen = UNSEEN.sub(" ", written) if name.endswith(".html") else written
        numbers += len(NUMBER.findall(_apart(seen, name)))
        both = _apart(written, name), _apart(text, name)
        wrong += [f"{folder / name}, {told}" for told in _unlike(*both)]
    return Audit(folder, tuple(texts), source, len(runs), len(newer), numbers, tuple(wrong),
                 study.data.task.wide)  # fmt: skip


def _apart(text: str, name: str) -> str:
    """With a blank between the values of a table: two beside each other are no thousands."""
    return text.replace(",", ", ") if name.endswith(".csv") else text


def _reported(table: Path) -> list[str]:
    """The keys of the runs that a report is of."""
    try:
        return pd.read_csv(table, usecols=["key"], dtype=str)["key"].tolist()
    except (OSError, ValueError) as error:
        raise MbtError(
            f"{table} cannot be read ({error}), and which runs the report is of stands there. Make"
            " the report again."
        ) from error


def _records(
    keys: Sequence[str], results: Path, folder: Path
) -> tuple[Path, AbstractContextManager[Path]]:
    """Where all of these runs are recorded, and that place as a results folder."""
    packed = folder / archive.NAME
    known = finished(results)
    if missing := [key for key in keys if key not in known]:
        if packed.exists() and set(keys) <= archive.keys(packed):
            return packed, archive.unpacked(packed)
        raise MbtError(
            f"The records of {count(len(missing), 'run')} of the report ({_list(missing[:3])}"
            f"{', ...' if missing[3:] else ''}) are neither in {results / 'runs'} nor in {packed}:"
            " without them nothing can be checked."
        )
    return results / "runs", nullcontext(results)


def _recomputed(run: Run, study: Study) -> Iterator[str]:
    """Where a run's figures do not follow from its scores, or its cost from its experiment."""
    classes = run.facts["classes"]
    price = cost(run.experiment, len(classes))
    for what, stored, again in (
        ("parameters", run.cost.parameters, price.parameters),
        ("multiply-accumulates", run.cost.macs, price.macs),
    ):
        if stored != again:
            yield f"Run {run.key}: {stored:,} {what} are recorded, {again:,} follow."
    try:
        arrays = run.scores(Evaluation())
        scores, labels, names = (arrays[name] for name in ("scores", "labels", "names"))
        task = replace(run.task, groups=run.facts.get("groups", study.data.groups))
    except MbtError as error:
        yield str(error)
        return
    shape = arrays["classes"].shape if task.wide else (len(names), len(classes))
    if scores.shape != shape or labels.shape != (len(names), len(classes)):
        yield (
            f"Run {run.key}: its scores are {scores.shape}, its labels {labels.shape}, for"
            f" {count(len(names), 'clip')} and {count(len(classes), 'class')}."
        )
    elif not np.isfinite(scores).all():
        yield f"Run {run.key}: some of its scores are no numbers."
    else:
        recorded, found = run.figures(Evaluation()) or {}, run.figures_of(arrays, task)
        if task.wide:  # it does not follow from the top classes
            found["mAP_full"] = recorded.get("mAP_full")
        for where, one, other in _pairs(recorded, found):
            yield f"Run {run.key}: {' '.join(where)} is recorded as {one}, {other} follows."


def _pairs(stored: Any, again: Any, *where: str) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """What differs in two trees of figures, and where."""
    if isinstance(stored, dict) and isinstance(again, dict):
        for name in {**stored, **again}:
            yield from _pairs(stored.get(name), again.get(name), *where, name)
    elif isinstance(stored, int | float) and isinstance(again, int | float):
        if not isclose(stored, again, rel_tol=0, abs_tol=EXACT):
            yield where, stored, again
    elif stored != again:
        yield where, stored, again


def _unlike(written: str, follows: str) -> Iterator[str]:
    """The lines of a file that differ: what stands there, what follows."""
    old, new = written.splitlines(), follows.splitlines()
    matched = SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, begin, stop in matched.get_opcodes():
        if kind == "equal":
            continue
        for place in range(max(end - start, stop - begin)):
            one = old[start + place] if start + place < end else None
            other = new[begin + place] if begin + place < stop else None
            line = f"line {max(min(start + place, end - 1), 0) + 1}"
            if one is None or other is None:
                said = "nothing stands there" if one is None else f"'{one[:WIDTH]}' stands there"
                then = "nothing follows" if other is None else f"'{other[:WIDTH]}' follows"
                yield f"{line}: {said}, {then}."
            else:
                yield from (f"{line}: {told}" for told in _numbers(one, other))


def _numbers(one: str, other: str) -> Iterator[str]:
    """What differs in two lines: numbers, or where the words do the words."""
    if NUMBER.sub("#", one) == NUMBER.sub("#", other):
        for mine, theirs in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True):
            values = (float(text.replace(",", "")) for text in (mine, theirs))
            if not isclose(*values, rel_tol=EXACT, abs_tol=EXACT):
                yield f"{mine} stands there, {theirs} follows."
    else:
        unlike = (k for k, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1)
        begin = max(next(unlike, min(len(one), len(other))) - WIDTH // 3, 0)
        mine, theirs = (text[begin : begin + WIDTH] for text in (one, other))
        yield f"'{mine}' stands there, '{theirs}' follows."


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
