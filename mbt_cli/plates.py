"""Which figures a study has, and what is to be seen in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib.figure import Figure

from mbt_cli import document, sights
from mbt_cli.cost import as_published
from mbt_cli.courses import courses
from mbt_cli.draw import bill, curves, learning, rows, size
from mbt_cli.draw import gains as gained
from mbt_cli.draw import probes as probed
from mbt_cli.draw.marks import Axis, Mark
from mbt_cli.draw.probes import Drops
from mbt_cli.draw.shades import Shade
from mbt_cli.experiment import MODEL
from mbt_cli.findings import Cell, Findings
from mbt_cli.gains import gains
from mbt_cli.ghosts import Comparison, comparison, sizes
from mbt_cli.names import plain, word
from mbt_cli.sheet import legible, save
from mbt_cli.study import Study

AXES = {
    "model.fusion_layer": ("$L_f$", "the number of layers before fusion starts"),
    "model.bottlenecks": ("$B$", "the number of bottleneck tokens"),
}


_PAPER_F1 = "Which F1 the published one is, its abstract does not say."


@dataclass(frozen=True)
class Plate:
    """A figure not yet drawn."""

    says: str
    """What is to be seen in it, for those who cannot see it."""
    draw: Callable[[], Figure]


def drawn(found: Findings, folder: Path, drops: Drops | None = None) -> list[document.Figure]:
    """Draws every figure of a study into its folder, in the formats of `sheet.KINDS`."""
    figures = []
    for name, plate in plates(found, drops).items():
        save(plate.draw, folder / name)
        figures.append(document.Figure(name, plate.says))
    return figures


def plates(found: Findings, drops: Drops | None = None) -> dict[str, Plate]:
    """The figures of a study by the names of their files; `drops` are those of its probes."""
    study, measure = found.study, f"{found.measure} on test"
    marks, beside = _marks(found), _compared(found, found.measure)
    axis = _axis(found, beside)
    price = f"{measure}, against the cost of a forward pass"
    shown = {
        found.measure: Plate(
            _both(sights.along(found, word(study.x)), sights.published(beside)),
            partial(_form(study).along, marks, axis, _title(study), measure, _shades(beside)),
        ),
        "cost": Plate(
            sights.against_cost(marks, found.measure),
            partial(bill.against_cost, marks, axis, price, measure),
        ),
    }
    if study.x == "model.fusion_layer":
        printed = _compared(found, "GMACs")
        axis, title = _axis(found, printed), "What a forward pass costs, by where fusion starts"
        shown["layers-cost"] = Plate(
            _both(sights.costs(marks), sights.published(printed)),
            partial(bill.cost_along, marks, axis, title, _shades(printed)),
        )
    if study.data.tagging and len({cell.cost.parameters for cell in found.cells}) > 1:
        shown["size"] = _size(found, marks, axis)
    if study.data.groups and not study.data.task.wide:  # of top classes no AUC is known
        groups = study.data.groups
        panels = {(g, meaning(study, g)): _of_group(found, marks, g) for g in groups}
        title, axis = "Which labels are learned, by where their answer lies", _axis(found)
        shown["groups"] = Plate(
            sights.groups(panels),
            partial(_form(study).panels, panels, axis, title, "AUC on test", 0.5),
        )
    if each := gains(found):
        title = f"What {found.best.name} gains over a modality alone, by class"
        shown["gains"] = Plate(sights.gains(each), partial(gained.dots, each, legible(title)))
    if told := courses(found):
        shown["learning"] = Plate(
            sights.learning(told, found.measure),
            partial(learning.curves, told, "How training went",
                    f"validation {found.measure}", _regularised(found)),
        )  # fmt: skip
    drops = dict(sorted((drops or {}).items(), key=lambda one: one[0] != found.best.name))
    if any(any(of.values()) for of in drops.values()):
        lines = {cell.name: study.line(cell.experiment) for cell in found.cells}
        title = f"How far {found.measure} on test drops when something is disturbed"
        shown["probes"] = Plate(
            sights.probes(drops, found.measure),
            partial(probed.drops, drops, lines, title, found.measure),
        )
    return shown


def unlike(found: Findings) -> list[str]:
    """Why published numbers of the study's question are not in its figures, a sentence a series."""
    measures = [found.measure, *(["GMACs"] if found.study.x == "model.fusion_layer" else [])]
    _, other = sizes(found.study.cells)
    return [said for measure in measures for said in _compared(found, measure).unlike] + [*other]


def meaning(study: Study, group: str) -> str:
    """What a group's name means."""
    return study.data.says.get(group, ", ".join(study.data.groups[group]))


def _marks(found: Findings) -> list[Mark]:
    study, classes, marks = found.study, len(found.study.data.classes), []
    for cell in found.cells:
        place = None if _level(found, cell) else str(plain(study.place(cell.experiment)))
        line, seeds = study.line(cell.experiment), tuple(cell.test(found.measure))
        published = as_published(cell.experiment, classes) / 1e9
        marks.append(Mark(
            line, place, seeds, cell.cost.gmacs, published, cell.silent, cell.cost.parameters,
            cell.name if study.x == MODEL else "",
        ))  # fmt: skip
    return marks


def _size(found: Findings, marks: Sequence[Mark], axis: Axis) -> Plate:
    """F1 against parameters: what the paper of Attend-Fusion states of its models."""
    published, _ = sizes(found.study.cells)
    f1 = [
        replace(mark, values=tuple(cell.test("F1_micro")))
        for cell, mark in zip(found.cells, marks, strict=True)
    ]
    title, note = "F1 on test, against the size of the model", _PAPER_F1 if published else ""
    return Plate(
        sights.against_size(f1, published),
        partial(size.against_size, f1, axis, title, "F1 (micro) on test", published, note),
    )


def _form(study: Study) -> ModuleType:
    """Names of models are long: they stand below one another."""
    return rows if study.x == MODEL else curves


def _of_group(found: Findings, marks: Sequence[Mark], group: str) -> list[Mark]:
    """The same marks by a group's AUC."""
    return [replace(mark, values=tuple(cell.test("groups", group, "AUC")))
            for cell, mark in zip(found.cells, marks, strict=True)]  # fmt: skip


def _level(found: Findings, cell: Cell) -> bool:
    """Whether a cell is drawn as a level, for want of a place on x beside the others."""
    alone = all(found.study.place(one.experiment) is None for one in found.cells)
    return found.study.place(cell.experiment) is None and not alone


def _compared(found: Findings, measure: str) -> Comparison:
    study = found.study
    return comparison(study.cells, study.x, study.by, measure)


def _axis(found: Findings, beside: Comparison | None = None) -> Axis:
    """The places of the cells, and of what was published beside them."""
    study, x = found.study, found.study.x
    known: list[Any] = [study.place(c.experiment) for c in found.cells if not _level(found, c)]
    known += [at for ghost in (beside.ghosts if beside else ()) for at, _, _ in ghost.points]
    ordered = all(isinstance(value, int | float) for value in known)
    places = dict.fromkeys(sorted(known) if ordered else known)
    words = AXES.get(x, (word(x).replace("_", " "), ""))
    return Axis(*words, tuple(str(plain(place)) for place in places), ordered)


def _shades(beside: Comparison) -> list[Shade]:
    return [
        Shade(g.name, tuple((str(plain(at)), y, std) for at, y, std in g.points), g.note)
        for g in beside.ghosts
    ]


def _both(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _title(study: Study) -> str:
    first = " ".join(study.question.split("\n\n")[0].split())
    return legible(first or f"{study.measure} by {word(study.x)}")


def _regularised(found: Findings) -> str:
    how = found.best.experiment.training
    kinds = [("mixup", how.mixup), ("label smoothing", how.label_smoothing)]
    used = [name for name, value in kinds if value]
    return f"The training loss has {' and '.join(used)} in it." if used else ""
