"""A study's report as a document: the question, the answer, then the evidence."""

from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any

import pandas as pd

from mbt_cli import findings
from mbt_cli.contrasts import NO_STATEMENT, Contrast, Contrasts, percent, signed
from mbt_cli.document import Column, Document, Figure, Items, Part, Row, Section, Table, Terms
from mbt_cli.findings import Cell, Findings
from mbt_cli.ledger import WORTH
from mbt_cli.notes import GLOSSARY, notes
from mbt_cli.statistics import LEVEL, POWER
from mbt_cli.study import Study
from mbt_cli.symptoms import symptoms
from mbt_cli.words import count

CHOSEN, TIED = "best on validation", "tied with the best"

HOW_SURE = (
    f"An interval is of {percent(1 - LEVEL)}, for one comparison by itself, and has two parts:"
    " other seeds and other clips. p is of no difference; Holm's correction holds the chance of any"
    " false finding in a family of comparisons, Benjamini and Hochberg's (BH) the share of false"
    f" ones among its findings. What is said to differ has p by Holm below {LEVEL}."
)
TWO_FAMILIES = (
    "These comparisons were planned: each cell with late fusion, and with the cell chosen on"
    " validation. As the seeds that are compared are those that chose it, all pairs of cells count"
    " as tests there. What else the numbers suggest is exploratory."
)


def answer(found: Findings, told: Contrasts) -> str:
    """What validation chose and test says, and how sure that is."""
    said = findings.answer(found)
    one = told.over_late(found.best)
    if one is None:
        return said
    if (known := one.difference) is None:
        return f"{said} They are not compared: {one.trouble}"
    between = f"{percent(1 - LEVEL)} interval {signed(known.low)} to {signed(known.high)}"
    if known.errors.seeds is None:
        n = count(len(known.seeds), "seed")
        return f"{said} Over clips alone the {between}; of {n} no statement about seeds is made."
    sure = "found" if one.differs else "not found"
    return f"{said} The difference is {signed(known.estimate)} ({between}): {sure}, {one.ps}."


def page(
    found: Findings, told: Contrasts, frame: pd.DataFrame, pictures: Sequence[Figure]
) -> Document:
    """The whole page, for somebody who knows nothing of the study yet."""
    study = found.study
    head, _, rest = study.question.partition("\n")
    lead = tuple(" ".join(part.split()) for part in rest.split("\n\n") if part.strip())
    sections = [
        Section("Warnings", (Items(tuple(symptoms(found)), warning=True),)),
        Section("Cells", (cells(found, told, frame),)),
        Section("Figures", tuple(pictures)),
        Section("What seeds and clips can show", tuple(_evidence(found, told))),
        Section("By group of classes", tuple(_groups(study, frame))),
        Section("Notes", (Items(tuple(notes(found))),)),
        Section("Words", (Terms(GLOSSARY),), folded=True),
        *_sources(found),
    ]
    kept = tuple(section for section in sections if any(map(_filled, section.parts)))
    return Document(head or study.name, lead, answer(found, told), kept)


def cells(found: Findings, told: Contrasts, frame: pd.DataFrame) -> Table:
    """The table of cells."""
    measure = found.measure
    names = [*frame.columns][: [*frame.columns].index("parameters")]
    text = {name: all(str(v)[:1].isalpha() for v in frame[name]) for name in names}
    columns = [
        *(Column(name, number=not text[name]) for name in names),
        Column("parameters", number=True, brief=False),
        Column("GMACs per clip and view", number=True),
        Column("GFLOPs per clip and view", number=True, brief=False),
        Column("over late", number=True),
        Column("n", number=True),
        Column(f"test {measure}", number=True),
        Column("less late fusion", number=True),
        Column(f"validation {measure}", number=True),
        Column("s per run", number=True, brief=False),
        Column("remark"),
    ]
    rows = []
    for cell, row in zip(found.cells, _rows(frame), strict=True):
        texts = (
            *(str(row[name]) for name in names),
            f"{row['parameters']:,}",
            f"{row['GMACs']:#.4g}",
            f"{row['GFLOPs']:#.4g}",
            f"{row['over late']:+.1%}",
            str(row["n"]),
            _pair(row, measure),
            _over(told.over_late(cell)),
            _number(row[f"validation {measure}"]),
            _number(row["seconds"], 1),
            _remark(row, told, cell),
        )
        rows.append(Row(texts, strong=bool(row["chosen"])))
    return Table(tuple(columns), tuple(rows), "Test: mean ± spread over n seeds. Less late fusion:"
                 f" the difference, and its {percent(1 - LEVEL)} interval.")  # fmt: skip


def _over(one: Contrast | None) -> str:
    if one is None or (known := one.difference) is None:
        return "–"
    return f"{signed(known.estimate)} [{signed(known.low)}, {signed(known.high)}]"


def _remark(row: dict[str, Any], told: Contrasts, cell: Cell) -> str:
    said = [CHOSEN] if row["chosen"] else []
    said += [TIED] if told.tied(cell) else []
    said += ["missing"] if not row["n"] else []
    said += ["exchanges nothing"] if row["silent"] else []
    return ", ".join(said)


def _evidence(found: Findings, told: Contrasts) -> Iterable[Part]:
    if not told.all:
        return
    yield f"{HOW_SURE} {TWO_FAMILIES}"
    if told.late:
        yield Items(tuple(map(str, told.late)))
    yield from _with_chosen(found, told)
    table = _contrasts(told.all)
    if table.rows:
        yield table


def _with_chosen(found: Findings, told: Contrasts) -> Iterable[Part]:
    """Those that differ one by one, those that are not told apart together."""
    plain = [one for one in told.chosen if one.differs or one.difference is None]
    tied = [one for one in told.chosen if one.tied and one not in plain]
    others = [one for one in told.chosen if one not in plain and one not in tied]
    said = [str(one) for one in (*plain, *others)]
    if tied:
        names = ", ".join(one.other.name for one in tied)
        errors = [one.difference.errors for one in tied if one.difference]
        least = [each.detectable() for each in errors if each.seeds is not None]
        power = (
            f" True differences of {max(least):.3f} would be found in {percent(POWER)} of such"
            " studies."
            if least
            else f" {NO_STATEMENT.capitalize()} is made."
        )
        said.append(f"{found.best.name} is not told apart from {names}.{power}")
    if said:
        yield Items(tuple(said))


def _contrasts(of: Sequence[Contrast]) -> Table:
    columns = (
        Column("cell"), Column("less"), Column("difference", number=True, brief=False),
        Column(f"{percent(1 - LEVEL)} interval", number=True, brief=False),
        Column("p (Holm)", number=True, brief=False), Column("p (BH)", number=True, brief=False),
        Column("error of seeds", number=True, brief=False),
        Column("error of clips", number=True, brief=False),
        Column("smallest detectable", number=True, brief=False),
        Column(f"seeds for {WORTH}", number=True, brief=False),
        Column("n", number=True, brief=False),
    )  # fmt: skip
    rows = [Row((one.one.name, one.other.name, *_figures(one))) for one in of if one.difference]
    return Table(columns, tuple(rows), (
        "Errors are standard errors. The smallest detectable difference is found in 80 % of studies"
        f" with as many seeds and clips; seeds for {WORTH}: as many as find a difference of {WORTH}"
        " as often. Both are without correction."
    ))  # fmt: skip


def _figures(one: Contrast) -> tuple[str, ...]:
    known = one.difference
    assert known is not None
    errors, tested = known.errors, known.errors.seeds is not None
    needed = errors.seeds_needed(WORTH) if tested else None
    return (
        signed(known.estimate),
        f"{signed(known.low)} to {signed(known.high)}",
        f"{one.holm:.3f}" if one.holm is not None else "–",
        f"{one.bh:.3f}" if one.bh is not None else "–",
        f"{errors.seeds:.4f}" if errors.seeds is not None else "–",
        f"{errors.clips:.4f}",
        f"{errors.detectable():.3f}" if tested else "–",
        (str(needed) if needed else "more clips") if tested else "–",
        str(len(known.seeds)),
    )


def _groups(study: Study, frame: pd.DataFrame) -> Iterable[Part]:
    if not study.data.groups:
        return
    yield Terms(tuple(
        (group, f"({', '.join(classes)}) {says(study, group)}")
        for group, classes in study.data.groups.items()
    ))  # fmt: skip
    names = [*frame.columns][: [*frame.columns].index("parameters")]
    columns = [*(Column(name) for name in names), Column("n", number=True)]
    for group in study.data.groups:
        columns += [Column(f"{group} mAP", number=True, brief=False),
                    Column(f"{group} AUC", number=True)]  # fmt: skip
    rows = []
    for row in _rows(frame):
        texts = [*(str(row[name]) for name in names), str(row["n"])]
        for group in study.data.groups:
            texts += [_pair(row, f"{group} mAP"), _number(row[f"{group} AUC"])]
        rows.append(Row(tuple(texts), strong=bool(row["chosen"])))
    yield Table(tuple(columns), tuple(rows))


def says(study: Study, group: str) -> str:
    """What a group's name means."""
    return study.data.says.get(group, ", ".join(study.data.groups[group]))


def _sources(found: Findings) -> list[Section]:
    study, data = found.study, found.study.data
    clips = ", ".join(f"{n:,} {split}" for split, n in data.clips.items())
    machines = dict.fromkeys(
        ", ".join(map(" ".join, findings.machine(run).items())) for run in found.runs
    )
    codes = dict.fromkeys(f"`{run.facts['code']}`" for run in found.runs)
    keys = {cell.name: ", ".join(f"`{run.key}`" for run in cell.runs) for cell in found.cells}
    return [
        Section("Data", (Items((
            f"Dataset `{data.dataset}`, fingerprint `{data.fingerprint}`: it changes when clips,"
            " labels or splits do.",
            f"Clips as listed: {clips}. Could not be read: {len(found.left_out):,}.",
            f"Classes ({data.class_list or len(data.classes)}): {', '.join(data.classes)}.",
        )),), folded=True),
        Section("Versions and hardware", (Items((
            *machines, f"Code: {', '.join(codes)}.", f"Run with: `{findings.command(study)}`",
        )),), folded=True),
        Section("Runs", (
            "Keys of the runs of each cell, in the order of seeds; `runs/<key>` holds the record.",
            Items(tuple(f"{name}: {of or 'none'}" for name, of in keys.items())),
        ), folded=True),
    ]  # fmt: skip


def _filled(part: Part) -> bool:
    match part:
        case Items(sentences):
            return bool(sentences)
        case Table(rows=rows):
            return bool(rows)
    return bool(part)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _pair(row: dict[str, Any], name: str) -> str:
    """Mean ± spread; a spread of one seed is not known."""
    if isnan(row[name]):
        return "–"
    spread = row[f"{name} spread"]
    return f"{row[name]:.3f}" + (" (no spread)" if isnan(spread) else f" ± {spread:.3f}")


def _number(value: float, digits: int = 3) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}"
