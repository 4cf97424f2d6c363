"""The runs of two sides, seed by seed, on the test clips that all of them scored.

n clips, c classes. A difference is A's figure less B's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mbt_cli import tagging
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.metrics import Figures
from mbt_cli.moved import Moved, classes, clips, lead, most
from mbt_cli.runs import Run
from mbt_cli.samples import sample
from mbt_cli.sides import Side
from mbt_cli.statistics import Difference, difference
from mbt_cli.task import Task

NAMED = 4
"""Names in a sentence or a cell of a table; the rest are counted."""


@dataclass(frozen=True)
class Pairs:
    """What can be compared of A and B."""

    a: Side
    b: Side
    runs: tuple[tuple[Run, Run], ...]
    """One of A and one of B each."""
    common: frozenset[str] | None
    """The clips that all of these runs scored; None where that is all that any of them did."""
    only: tuple[int, int]
    """How many clips only A has, and only B."""

    @property
    def single(self) -> bool:
        """Whether two runs are compared, of whatever seeds."""
        return self.a.single and self.b.single

    @property
    def sides(self) -> Iterator[tuple[Side, tuple[Run, ...]]]:
        """Both, with the runs of them that are compared."""
        return zip((self.a, self.b), zip(*self.runs, strict=True), strict=True)

    @property
    def left_out(self) -> Iterator[list[Run]]:
        """The runs of each side whose seed the other lacks."""
        return ([run for run in side.runs if run not in used] for side, used in self.sides)

    @property
    def task(self) -> Task:
        """What was asked of all of them."""
        return self.runs[0][0].task

    @property
    def measure(self) -> str:
        """By which they are compared."""
        return self.task.primary

    @cached_property
    def figures(self) -> list[tuple[Figures, Figures]]:
        """Of every pair, on the common clips."""
        return [(one.figures_on(self.common), other.figures_on(self.common))
                for one, other in self.runs]  # fmt: skip

    @cached_property
    def difference(self) -> Difference:
        """Of the measure. Raises MbtError where it is not defined, or the labels are not alike."""
        samples = []
        for place, (side, runs) in enumerate(self.sides):
            values = [pair[place][self.measure] for pair in self.figures]
            if None in values:
                raise MbtError(f"The {self.measure} of {side.name} is not defined on these clips.")
            found = sample(side.name, runs, values, self.common)
            samples.append(replace(found, seeds=(0,)) if self.single else found)
        return difference(*samples)

    def classes(self, figure: str) -> list[Moved]:
        """Every class that has this figure (AP, AUC)."""
        return classes(self.figures, figure)

    def clips(self) -> list[tuple[Moved, list[str]]]:
        """Those that moved most by their lead, with their labels."""
        task, leads = self.task, []
        for pair in self.runs:
            found = [run.scores_on(self.common) for run in pair]
            one, other = (
                tagging.lead(tagging.top(arrays)) if task.wide
                else lead(arrays["scores"], arrays["labels"], task) for arrays in found
            )  # fmt: skip
            leads.append((one, other))
        names, labels = found[0]["names"].tolist(), found[0]["labels"]
        row = {name: place for place, name in enumerate(names)}
        return [
            (one, [task.classes[place] for place in labels[[row[one.name]]].nonzero()[1]])
            for one in most(clips(names, leads))
        ]


def pairs(a: Side, b: Side) -> Pairs:
    """Of two sides that share no run.

    Raises MbtError where they have no seed or no clip in common, or other classes.
    """
    runs = _paired(a, b)
    _alike(a, b, *runs[0])
    scored = [
        [frozenset(run.scores(Evaluation())["names"].tolist()) for run in side]
        for side in zip(*runs, strict=True)
    ]
    mine, theirs = (frozenset.intersection(*side) for side in scored)
    if not (both := mine & theirs):
        raise MbtError(f"{a.name} and {b.name} were scored on other test clips: they share none.")
    whole = all(one == both for side in scored for one in side)
    return Pairs(a, b, runs, None if whole else both, (len(mine - both), len(theirs - both)))


def seeds(runs: Sequence[Run]) -> str:
    """Theirs, in a list."""
    return ", ".join(str(run.experiment.training.seed) for run in runs)


def few(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*names[:NAMED], *more])


def _paired(a: Side, b: Side) -> tuple[tuple[Run, Run], ...]:
    if a.single and b.single:
        return ((a.runs[0], b.runs[0]),)
    others = {run.experiment.training.seed: run for run in b.runs}
    found = ((run, others.get(run.experiment.training.seed)) for run in a.runs)
    if both := tuple((mine, theirs) for mine, theirs in found if theirs is not None):
        return both
    raise MbtError(
        f"{a.name} and {b.name} have no seed in common ({seeds(a.runs)}; {seeds(b.runs)}): run one"
        " that both have, or compare two single runs."
    )


def _alike(a: Side, b: Side, one: Run, other: Run) -> None:
    """Raises MbtError where they do not answer the same question."""
    mine, theirs = (run.task.record() for run in (one, other))
    if spare := sorted(set(mine["classes"]) ^ set(theirs["classes"])):
        raise MbtError(
            f"{a.name} and {b.name} cannot be compared: only one of them knows the classes"
            f" {few(spare)}."
        )
    for name, what in (
        ("classes", "their classes are in another order"),
        ("multi_label", "a clip has one label for one of them, several for the other"),
        ("tagging", "one of them is judged by GAP, the other by mAP"),
        ("heads", "they have other heads"),
    ):
        if mine[name] != theirs[name]:
            raise MbtError(f"{a.name} and {b.name} cannot be compared: {what}.")
