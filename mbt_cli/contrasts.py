"""Which cells differ, by how much, and how sure that is: with late fusion, with the better modality
alone, and with the chosen cell.

Three families of comparisons, each corrected by itself. With late fusion: every cell with the late
fusion of its own settings. With a modality alone: every cell of several with the cell of one that
is best on validation, among those of its own settings where the study has them. With the cell
chosen on validation: every other cell; as the seeds that are compared are those that chose it, all
pairs of cells count as tests. All else is exploratory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mbt_cli.errors import MbtError
from mbt_cli.findings import Cell, Findings, best_of, by_modality
from mbt_cli.samples import sample
from mbt_cli.statistics import (
    LEVEL,
    POWER,
    Difference,
    Sample,
    corrected,
    difference,
)
from mbt_cli.words import TINY, count, ends, p_value, percent, signed

NO_STATEMENT = "no statement about seeds"
INTERVAL = f"{percent(1 - LEVEL)} interval"


@dataclass(frozen=True, eq=False)
class Contrast:
    """A cell's measure less another's."""

    one: Cell
    other: Cell
    measure: str
    difference: Difference | None
    """None where they cannot be compared."""
    trouble: str
    """Why not, or what was left out for it."""
    holm: float | None = None
    """p, corrected for its family: the chance of any false finding in it."""
    bh: float | None = None
    """p, corrected for the share of false ones among the findings of its family."""
    tests: int = 0
    """How many tests its family has."""

    @property
    def differs(self) -> bool:
        """Whether it is said that they differ."""
        return self.holm is not None and self.holm < LEVEL

    @property
    def tied(self) -> bool:
        """Whether the interval has zero in it; of fewer seeds than enough that is not said."""
        known = self.difference
        return known is not None and known.p is not None and known.low <= 0 <= known.high

    def __str__(self) -> str:
        """In a sentence."""
        names = f"{self.one.name} and {self.other.name}"
        if (known := self.difference) is None:
            return f"{names} are not compared: {self.trouble}"
        n, groups = len(known.seeds), known.errors.groups
        where = f"{INTERVAL} {ends(known.low, known.high)}"
        left = f" {self.trouble}" if self.trouble else ""
        if known.errors.seeds is None:
            return (
                f"{self._lead(known)} on these clips ({where}, over {count(groups, 'group')} of"
                f" clips alone); with n = {n} {NO_STATEMENT}.{left}"
            )
        if self.differs:
            told = f"{where}; {self.ps}; n = {n} seeds"
            return f"{self._lead(known)} ({told}).{left}"
        least = known.errors.detectable()
        return (
            f"{names} are not told apart: {signed(known.estimate)} {self.measure} ({where};"
            f" {self.ps}; n = {n} seeds). A true difference of {least:.3f} would be found in"
            f" {percent(POWER)} of such studies.{left}"
        )

    def _lead(self, known: Difference) -> str:
        if abs(known.estimate) < TINY:
            return f"{self.one.name} reaches the same {self.measure} as {self.other.name}"
        more = "more" if known.estimate > 0 else "less"
        return (
            f"{self.one.name} reaches {abs(known.estimate):.3f} {more} {self.measure} than"
            f" {self.other.name}"
        )

    @property
    def ps(self) -> str:
        """p as it is printed."""
        told = "no p" if self.holm is None else f"p {p_value(self.holm)}"
        return f"{told} by Holm over {count(self.tests, 'test')}"


@dataclass(frozen=True)
class Contrasts:
    """Of a study."""

    best: Cell
    """The cell chosen on validation."""
    late: Sequence[Contrast]
    """Cells with the late fusion of their own settings."""
    alone: Sequence[Contrast]
    """Cells of several modalities with the better one alone."""
    chosen: Sequence[Contrast]
    """The chosen cell with the others; those with late fusion and with a modality stand above."""

    @cached_property
    def all(self) -> list[Contrast]:
        return [*self.late, *self.alone, *self.chosen]

    def tied(self, cell: Cell) -> bool:
        """Whether a cell is not told from the chosen one by the interval of their difference."""
        return any(
            one.tied
            for one in self.all
            if self.best in (one.one, one.other)
            and cell in (one.one, one.other)
            and cell is not self.best
        )

    def over_late(self, cell: Cell) -> Contrast | None:
        """A cell's difference from late fusion."""
        return next((one for one in self.late if one.one is cell), None)


def contrasts(found: Findings) -> Contrasts:
    """Every comparison that is stated."""
    cells = [cell for cell in found.cells if cell.runs]
    known = {cell.name: _sample(cell, found.measure) for cell in cells}
    by_key = {cell.experiment.cell: cell for cell in cells}
    twins = [(cell, by_key.get(cell.experiment.at("model.fusion", "late").cell)) for cell in cells]
    late = [
        _contrast(cell, twin, known, found.measure) for cell, twin in twins
        if twin is not None and twin is not cell
    ]  # fmt: skip
    over = [*_over_one(found, cells)]
    alone = [_contrast(cell, one, known, found.measure) for cell, one in over]
    best = found.best
    stated = [best, *(other for cell, other in (*twins, *over) if cell is best)]
    alike = [cell for cell in cells if cell.vocabulary == best.vocabulary]  # else: other labels
    chosen = [_contrast(best, cell, known, found.measure) for cell in alike if cell not in stated]
    pairs = len(cells) * (len(cells) - 1) // 2
    return Contrasts(best, _family(late, 0), _family(alone, 0), _family(chosen, pairs))


def _over_one(found: Findings, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Each cell of several modalities, and which of one it is compared with."""
    by_key = {one.experiment.cell: one for one in cells if not one.several}
    for cell in cells:
        if cell.several and by_key:
            names = [one.cell for one in by_modality(cell.experiment).values()]
            own = [by_key[name] for name in names if name in by_key]
            whole = len(own) == len(names)
            yield cell, best_of(own if whole else [*by_key.values()], found.measure)


def _sample(cell: Cell, measure: str) -> "Sample | MbtError":
    try:
        return sample(cell.name, cell.runs, cell.test(measure), cell.common)
    except MbtError as error:
        return error


def _contrast(
    one: Cell, other: Cell, known: "dict[str, Sample | MbtError]", measure: str
) -> Contrast:
    mine, theirs = known[one.name], known[other.name]
    for trouble in (mine, theirs):
        if isinstance(trouble, MbtError):
            return Contrast(one, other, measure, None, str(trouble))
    assert isinstance(mine, Sample) and isinstance(theirs, Sample)
    left = ""
    try:
        both = [seed for seed in mine.seeds if seed in theirs.seeds]
        if both and not _double(mine) and not _double(theirs):
            left = _left_out(mine, theirs)
            mine, theirs = mine.at(both), theirs.at(both)
        return Contrast(one, other, measure, difference(mine, theirs), left)
    except MbtError as error:
        return Contrast(one, other, measure, None, str(error))


def _double(cell: Sample) -> bool:
    return len(set(cell.seeds)) < len(cell.seeds)


def _left_out(one: Sample, other: Sample) -> str:
    """Seeds that only one of two cells has: no mean is taken over them."""
    told = []
    for mine, theirs in ((one, other), (other, one)):
        if spare := sorted(set(mine.seeds) - set(theirs.seeds)):
            seeds = ", ".join(map(str, spare))
            told.append(f"{theirs.name} lacks seed {seeds}, left out here of {mine.name} too.")
    return " ".join(told)


def _family(of: Sequence[Contrast], tests: int) -> list[Contrast]:
    """With p corrected for so many tests, or for as many as there are."""
    ps = [one.difference.p for one in of if one.difference and one.difference.p is not None]
    tests = max(tests, len(ps))
    both = [iter(corrected(ps, method, tests)) for method in ("holm", "fdr_bh")]
    done = []
    for one in of:
        tested = one.difference is not None and one.difference.p is not None
        holm, bh = (next(each) if tested else None for each in both)
        done.append(Contrast(one.one, one.other, one.measure, one.difference, one.trouble,
                             holm, bh, tests))  # fmt: skip
    return done
