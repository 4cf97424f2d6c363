"""A study's report as a document: the question, the answer, then the evidence."""

from collections.abc import Iterable, Sequence

import pandas as pd

from mbt_cli import exhibits, findings, plates, published
from mbt_cli.contrasts import INTERVAL, NO_STATEMENT, Contrasts
from mbt_cli.document import Document, Figure, Items, Part, Section, Table, Terms
from mbt_cli.findings import Findings
from mbt_cli.notes import glossary, notes
from mbt_cli.statistics import LEVEL, POWER
from mbt_cli.study import Study
from mbt_cli.symptoms import symptoms
from mbt_cli.tried import Tried
from mbt_cli.words import count, ends, percent, signed

MANY, FIRST = 1000, 20
"""Classes from which on only the first are named, and how many these are."""
HOW_SURE = (
    f"An interval is of {percent(1 - LEVEL)}, for one comparison by itself, and has two parts:"
    " other seeds and other clips. p is of no difference; Holm's correction holds the chance of any"
    " false finding in a family of comparisons, Benjamini and Hochberg's (BH) the share of false"
    f" ones among its findings. What is said to differ has p by Holm below {LEVEL}."
)
PLANNED = (
    "These comparisons were planned: each cell with late fusion, with the better modality alone"
    " (better on validation), and with the cell chosen on validation. As the seeds that are"
    " compared are those that chose it, all pairs of cells count as tests there. What else the"
    " numbers suggest is exploratory."
)


def answer(found: Findings, told: Contrasts) -> str:
    """What validation chose and test says, and how sure that is."""
    said = findings.answer(found)
    one = told.over_late(found.best)
    if one is None:
        return said
    if (known := one.difference) is None:
        return f"{said} They are not compared: {one.trouble}"
    reach = ends(known.low, known.high)
    between = f"{INTERVAL} {reach}"
    if known.errors.seeds is None:
        n = count(len(known.seeds), "seed")
        return (
            f"{said} Over clips alone the {INTERVAL} of the difference is {reach}; with {n}"
            f" {NO_STATEMENT} is made."
        )
    sure = f"The difference is {signed(known.estimate)} ({between}; {one.ps})"
    return f"{said} {sure}." if one.differs else f"{said} {sure}: it is not told from chance."


def page(
    found: Findings, told: Contrasts, tried: Tried, frame: pd.DataFrame, pictures: Sequence[Figure],
) -> Document:  # fmt: skip
    """The whole page, for somebody who knows nothing of the study yet."""
    study = found.study
    head, _, rest = study.question.partition("\n")
    lead = tuple(" ".join(part.split()) for part in rest.split("\n\n") if part.strip())
    sections = [
        Section("Warnings", (Items(tuple(symptoms(found, tried)), warning=True),)),
        Section("Cells", (exhibits.cells(found, told, frame),)),
        Section("Figures", tuple(pictures)),
        Section("What seeds and clips can show", tuple(_evidence(found, told)), brief=False),
        Section("By other measures", tuple(_measures(found, frame))),
        Section("By group of classes", tuple(_groups(study, frame))),
        Section("Probes", tuple(_probes(tried))),
        Section("Published numbers", (Items(tuple(_published(found))),), brief=False),
        Section("Notes", (Items(tuple(notes(found))),)),
        Section("Words", (Terms(glossary(found)),), folded=True),
        *_sources(found),
    ]
    kept = tuple(section for section in sections if any(map(_filled, section.parts)))
    return Document(head or study.name, lead, answer(found, told), kept)


def _evidence(found: Findings, told: Contrasts) -> Iterable[Part]:
    if not told.all:
        return
    yield f"{HOW_SURE} {PLANNED}"
    if told.late:
        yield Items(tuple(map(str, told.late)))
    if told.alone:
        yield Items(tuple(map(str, told.alone)))
    yield from _with_chosen(found, told)
    yield exhibits.comparisons(told.all)


def _with_chosen(found: Findings, told: Contrasts) -> Iterable[Part]:
    """Those that differ one by one, those that are not told apart together."""
    plain = [one for one in told.chosen if one.differs or one.difference is None]
    tied = [one for one in told.chosen if one.tied and one not in plain]
    others = [one for one in told.chosen if one not in plain and one not in tied]
    said = [str(one) for one in (*plain, *others)]
    if tied:
        names = ", ".join(one.other.name for one in tied)
        least = max(one.difference.errors.detectable() for one in tied if one.difference)
        power = (
            f" True differences of {least:.3f} would be found in {percent(POWER)} of such studies."
        )
        said.append(f"{found.best.name} is not told apart from {names}.{power}")
    if said:
        yield Items(tuple(said))


def _measures(found: Findings, frame: pd.DataFrame) -> Iterable[Part]:
    if found.study.data.tagging:
        yield exhibits.measures(frame)


def _groups(study: Study, frame: pd.DataFrame) -> Iterable[Part]:
    if study.data.groups:
        yield Terms(tuple(
            (group, f"({', '.join(classes)}) {plates.meaning(study, group)}")
            for group, classes in study.data.groups.items()
        ))  # fmt: skip
        yield exhibits.groups(study, frame)


def _probes(tried: Tried) -> Iterable[Part]:
    if tried.changes:
        yield exhibits.probes(tried)
        yield exhibits.shares(tried)


def _published(found: Findings) -> Iterable[str]:
    yield from plates.unlike(found)
    yield from published.conflicts(found.best.experiment.data)


def _sources(found: Findings) -> list[Section]:
    study, data = found.study, found.study.data
    clips = ", ".join(f"{n:,} {split}" for split, n in data.clips.items())
    machines = dict.fromkeys(
        ", ".join(map(" ".join, findings.machine(run).items())) for run in found.runs
    )
    codes = dict.fromkeys(f"`{run.code}`" for run in found.runs)
    keys = {cell.name: ", ".join(f"`{run.key}`" for run in cell.runs) for cell in found.cells}
    return [
        Section("Data", (Items((
            f"Dataset `{data.dataset}`, fingerprint `{data.fingerprint}`: it changes when clips,"
            " labels or splits do.",
            f"Clips as listed: {clips}. Could not be read: {len(found.left_out):,}.",
            *([f"Lost of those expected ({data.coverage}): {data.lost}."] if data.lost else ()),
            f"Classes ({data.class_list or len(data.classes)}): {_some(data.classes)}.",
        )),), folded=True),
        Section("Versions and hardware", (Items((
            *machines, f"Code: {', '.join(codes)}.", f"Run with: `{findings.command(study)}`",
        )),), folded=True),
        Section("Runs", (
            "Keys of the runs of each cell, in the order of seeds; `runs/<key>` holds the record.",
            Items(tuple(f"{name}: {of or 'none'}" for name, of in keys.items())),
        ), folded=True),
    ]  # fmt: skip


def _some(classes: Sequence[str]) -> str:
    """All of few, the first of many."""
    if len(classes) <= MANY:
        return ", ".join(classes)
    return f"{', '.join(classes[:FIRST])} and {len(classes) - FIRST:,} more"


def _filled(part: Part) -> bool:
    match part:
        case Items(sentences):
            return bool(sentences)
        case Table(rows=rows):
            return bool(rows)
    return bool(part)
