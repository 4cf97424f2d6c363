"""Two runs, two cells, or what two studies chose, beside each other: a page.

A difference is A's figure less B's, over the seeds and the test clips that both have.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mbt_cli.contrasts import INTERVAL, NO_STATEMENT
from mbt_cli.document import Column, Document, Items, Part, Row, Section, Table
from mbt_cli.findings import Findings, machine
from mbt_cli.moved import MOST, Moved, most
from mbt_cli.names import plain
from mbt_cli.pairs import Pairs, few, pairs, seeds
from mbt_cli.runs import Run
from mbt_cli.sides import sides
from mbt_cli.statistics import POWER, Summary, summary
from mbt_cli.tagging import SHOWN
from mbt_cli.words import TINY, count, ends, p_value, percent, signed

A_AND_B = (Column("A"), Column("B"))
NONE = "–"
MEANS = (
    "Means over seeds, ± their sample standard deviation. A difference is A less B; that of the"
    " measure has its 95 % interval."
)


def compare(results: Path, one: str, other: str) -> Document:
    """The page; `sides.py` says how the two are named.

    Raises MbtError where they cannot be compared: no seed or no clip in common, other classes or
    labels, scores that are not there.
    """
    a, b = sides(results, one, other)
    title = f"{a.name} (A) and {b.name} (B)"
    shared = [_shared(a.chosen_of, b.chosen_of)] if a.chosen_of and b.chosen_of else []
    if {run.key for run in a.runs} & {run.key for run in b.runs}:
        answer = f"Both studies chose the same cell, {a.name}: there is nothing to compare."
        return Document(title, (), answer, tuple(shared))
    found = pairs(a, b)
    sections = [
        Section("Figures", (_figures(found), Items((MEANS, *_notes(found))))),
        Section("What differs", (_settings(a.runs, b.runs),)),
        Section("Classes that moved most", _classes(found)),
        Section("Clips that moved most", _clips(found)),
    ]
    return Document(title, (), _answer(found), (*sections, *shared))


def _answer(found: Pairs) -> str:
    known, n, measure = found.difference, len(found.runs), found.measure
    one, other = f"A, {found.a.name},", f"B, {found.b.name},"
    more = "more" if known.estimate > 0 else "less"
    said = f"{one} reaches {abs(known.estimate):.3f} {more} {measure} than {other[:-1]}"
    if abs(known.estimate) < TINY:
        said = f"{one} reaches the same {measure} as {other[:-1]}"
    where = f"{INTERVAL} {ends(known.low, known.high)}"
    if known.p is None:
        groups = count(known.errors.groups, "group")
        told = f"{said}, on these clips ({where}, over {groups} of clips alone; n = {n})."
    else:
        p = f"p {p_value(known.p)}"
        told = f"{said} ({where}; {p}, of this one test; n = {n} seeds)."
        if known.low <= 0 <= known.high:
            told = (
                f"{one} and {other} are not told apart: {signed(known.estimate)} {measure}"
                f" ({where}; {p}, of this one test; n = {n} seeds). A true difference of"
                f" {known.errors.detectable():.3f} would be found in {percent(POWER)} of such"
                " comparisons."
            )
    mine, theirs = (run.cost.macs for run in found.runs[0])
    return f"{told} A takes {mine / theirs:.3f} times the multiply-accumulates of B."


def _notes(found: Pairs) -> Iterator[str]:
    """What must be known beside the difference."""
    if found.single:
        known = {run.experiment.training.seed for run in found.runs[0]}
        also = " They are of different seeds, which alone moves a result." if len(known) > 1 else ""
        yield f"Two single runs: the interval is of clips alone, with {NO_STATEMENT}.{also}"
    elif found.difference.p is None:
        n = len(found.runs)
        yield f"With n = {n} the interval is of clips alone, with {NO_STATEMENT}."
    for (side, _), spare in zip(found.sides, found.left_out, strict=True):
        if spare:
            yield f"Left out of {side.name}, for the other side lacks it: seed {seeds(spare)}."
    clips = count(int(found.figures[0][0]["clips"]), "test clip")
    if found.common is None:
        yield f"All figures are over {clips}: all that either was scored on."
    else:
        a, b = found.only
        yield (
            f"All figures are over the {clips} that both were scored on; {a:,} more only A was,"
            f" {b:,} only B."
        )
    if found.a.chosen_of or found.b.chosen_of:
        yield "A study is compared by the cell that it chose on its validation clips."
    yield (
        "The interval is of this one comparison. Who looks at several and tells the largest finds"
        " differences where there are none: a report corrects for that."
    )


def _figures(found: Pairs) -> Table:
    known, measure = found.difference, found.measure
    interval = f"{signed(known.estimate)}, {ends(known.low, known.high)}"
    one, other = (str(summary(values)) for values in _both(found, (measure,)))
    mine, theirs = (run.cost for run in found.runs[0])
    rows = [
        Row(("what", found.a.name, found.b.name, "")),
        Row(("seeds", *(seeds(runs) for _, runs in found.sides), "")),
        Row((f"test {measure}", one, other, interval), strong=True),
        *_measures(found),
        *_groups(found),
        Row(("parameters", f"{mine.parameters:,}", f"{theirs.parameters:,}",
             f"{mine.parameters / theirs.parameters:.3f} times")),
        Row(("GMACs per clip and view", f"{mine.gmacs:#.4g}", f"{theirs.gmacs:#.4g}",
             f"{mine.macs / theirs.macs:.3f} times")),
    ]  # fmt: skip
    return Table((Column(""), *A_AND_B, Column("A against B")), tuple(rows))


def _measures(found: Pairs) -> Iterator[Row]:
    """The others by which tagging is judged."""
    if found.task.tagging:
        for figure, name in SHOWN.items():
            if figure != found.measure:
                yield from _row(f"test {name}", *_both(found, (figure,)))


def _groups(found: Pairs) -> Iterator[Row]:
    """Of classes, where the data has such."""
    for group in found.figures[0][0]["groups"]:
        for figure in ("mAP", "AUC"):
            yield from _row(f"{group} {figure}", *_both(found, ("groups", group, figure)))


def _row(name: str, one: Sequence[float | None], other: Sequence[float | None]) -> Iterator[Row]:
    """A figure on both sides, where it is defined."""
    mine, theirs = ([value for value in side if value is not None] for side in (one, other))
    if len(mine) == len(one) and len(theirs) == len(other):
        gap = summary([a - b for a, b in zip(mine, theirs, strict=True)])
        yield Row((name, *(_pair(summary(values)) for values in (mine, theirs)), _gap(gap)))


def _both(found: Pairs, path: Sequence[str]) -> list[list[Any]]:
    """A figure of A's runs, and of B's."""
    sides = []
    for side in zip(*found.figures, strict=True):
        values = list(side)
        for name in path:
            values = [one[name] for one in values]
        sides.append(values)
    return sides


def _settings(one: Sequence[Run], other: Sequence[Run]) -> Part:
    """Settings, data, code and machines that are not the same."""
    described = [[_described(run) for run in side] for side in (one, other)]
    rows = []
    for name in dict.fromkeys(name for side in described for run in side for name in run):
        a, b = (dict.fromkeys(run.get(name, NONE) for run in side) for side in described)
        if a.keys() != b.keys():
            rows.append(Row((name, ", ".join(a), ", ".join(b))))
    if not rows:
        return Items(("Nothing but the seed: settings, data, code and machine are the same.",))
    return Table((Column("setting"), *A_AND_B), tuple(rows))


def _described(run: Run) -> dict[str, str]:
    values = run.experiment.flat()
    told = {name: str(plain(v)) for name, v in values.items() if name != "training.seed"}
    return told | {"code": run.code} | machine(run)


def _classes(found: Pairs) -> tuple[Part, ...]:
    areas = {one.name: _gap(one.difference) for one in found.classes("AUC")}
    names = ("AP of A", "AP of B", "AP, A less B", "AUC, A less B")
    rows = [
        Row((one.name, *_moved(one), areas.get(one.name, NONE)))
        for one in most(found.classes("AP"))
    ]
    if not rows:
        return (Items(("No class has another AP.",)),)
    by = "AP in the lists of each clip's 20 top classes" if found.task.wide else "AP"
    says = f"By {by}, at most {MOST} each way; means over seeds, ± their sample standard deviation."
    columns = (Column(name, number=True) for name in names)
    return Table((Column("class"), *columns), tuple(rows)), Items((says,))


def _clips(found: Pairs) -> tuple[Part, ...]:
    rows = [Row((one.name, few(labels) or NONE, *_moved(one))) for one, labels in found.clips()]
    if not rows:
        return (Items(("No clip is told better by one than by the other.",)),)
    numbers = (Column(name, number=True) for name in ("A", "B", "A less B"))
    rest = "; classes that are not among its top ones count as 0" if found.task.wide else ""
    says = (
        "By the mean probability that a clip is given of its labels, less that of all other classes"
        f" (1: all right, -1: all wrong{rest}); at most {MOST} each way."
    )
    return Table((Column("clip"), Column("labels"), *numbers), tuple(rows)), Items((says,))


def _shared(a: Findings, b: Findings) -> Section:
    """The cells that two studies both have."""
    theirs, rows = {cell.experiment.cell: cell for cell in b.cells}, []
    for cell in a.cells:
        if twin := theirs.get(cell.experiment.cell):
            chosen = [name for name, study, one in (("A", a, cell), ("B", b, twin))
                      if one is study.best]  # fmt: skip
            n = str(len(cell.runs))
            rows.append(Row((cell.name, twin.name, n, " and ".join(chosen)), strong=bool(chosen)))
    names = Column("in A"), Column("in B"), Column("runs", number=True), Column("chosen by")
    told = Table(names, tuple(rows)) if rows else Items(("They share none.",))
    return Section("Cells of both", (told,))


def _moved(one: Moved) -> tuple[str, str, str]:
    return f"{one.one:.3f}", f"{one.other:.3f}", _gap(one.difference)


def _pair(one: Summary) -> str:
    return f"{one.mean:.3f}" + ("" if one.spread is None else f" ± {one.spread:.3f}")


def _gap(one: Summary) -> str:
    return signed(one.mean) + ("" if one.spread is None else f" ± {one.spread:.3f}")
