"""What the probes of a study's runs found, cell by cell; of the seeds that were probed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from mbt_cli.contrasts import Contrasts
from mbt_cli.findings import Findings
from mbt_cli.probes import Attended, Probed, probed


@dataclass(frozen=True)
class Tried:
    """Of every cell that was probed, by its name; one value a seed."""

    measure: str
    changes: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """Of the measure, by probe: for the chosen cell and its late fusion."""
    meanings: Mapping[str, str] = field(default_factory=dict)
    """What each of these probes does."""
    shapley: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """What each modality adds."""
    value_function: str = ""
    """Of which the Shapley values are."""
    reliance: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """By how much the measure falls where a modality shows its mean view."""
    entropy: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Of the attention of the line where it is least, and which line that is."""
    collapsed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Lines whose queries read little more than one key, in any seed."""

    @property
    def drops(self) -> dict[str, dict[str, list[float]]]:
        """How far the measure falls, by cell and probe."""
        return {
            cell: {probe: [-value for value in values] for probe, values in of.items()}
            for cell, of in self.changes.items()
        }


def tried(found: Findings, told: Contrasts) -> Tried:
    """Out of the records; nothing where no run was probed."""
    known = {cell.name: [p for run in cell.runs if (p := probed(run))] for cell in found.cells}
    known = {name: of for name, of in known.items() if of}
    if not known:
        return Tried(found.measure)
    late = told.over_late(found.best)
    shown = [found.best.name, *([late.other.name] if late else [])]
    changes, meanings = {}, dict[str, str]()
    for name in shown:
        each = known.get(name, [])
        meanings |= {one.name: one.meaning for of in each for one in of.probes}
        if each:
            changes[name] = _gathered([
                {one.name: one.change for one in of.probes if one.change is not None} for of in each
            ])  # fmt: skip
    return Tried(
        measure=found.measure,
        changes=changes,
        meanings=meanings,
        shapley={name: _gathered([of.shapley for of in each]) for name, each in known.items()},
        value_function=next(iter(known.values()))[0].value_function,
        reliance={name: _gathered([of.reliance for of in each]) for name, each in known.items()},
        entropy={n: least for n, each in known.items() if (least := _least(each)) is not None},
        collapsed={
            name: lines for name, each in known.items()
            if (lines := list(dict.fromkeys(_where(one) for of in each for one in of.collapsed)))
        },
    )  # fmt: skip


def _gathered(each: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    names = dict.fromkeys(name for of in each for name in of)
    return {name: [of[name] for of in each if name in of] for name in names}


def _least(each: Sequence[Probed]) -> tuple[float, str] | None:
    lines: dict[str, list[float]] = {}
    for of in each:
        for line in of.attention:
            if line.entropy is not None:
                lines.setdefault(_where(line), []).append(line.entropy)
    means = {where: fmean(values) for where, values in lines.items()}
    return min((value, where) for where, value in means.items()) if means else None


def _where(line: Attended) -> str:
    return f"layer {line.layer}, {line.name}"
