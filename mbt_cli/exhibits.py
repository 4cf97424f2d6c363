"""The tables of a report: cells, comparisons, groups of classes, probes."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import pandas as pd

from mbt_cli.contrasts import INTERVAL, Contrast, Contrasts
from mbt_cli.document import Column, Row, Table
from mbt_cli.findings import Cell, Findings
from mbt_cli.ledger import WORTH
from mbt_cli.statistics import summary
from mbt_cli.study import Study
from mbt_cli.tagging import SHOWN
from mbt_cli.tried import Tried
from mbt_cli.words import ends, p_value, signed, unit_of

CHOSEN, TIED = "chosen", "tied"
BRIEF = ("GAP", "mAP", "F1_micro")
"""Measures of tagging that a terminal shows too."""


def cells(found: Findings, told: Contrasts, frame: pd.DataFrame) -> Table:
    """The table of cells."""
    measure, unit = found.measure, unit_of(frame["GMACs"])
    names = [*frame.columns][: [*frame.columns].index("parameters")]
    text = {name: all(str(v)[:1].isalpha() for v in frame[name]) for name in names}
    columns = [
        *(Column(name, number=not text[name]) for name in names),
        Column("n", number=True),
        Column(f"test {measure}", number=True),
        Column(f"{measure} over late", number=True),
        Column(INTERVAL, number=True),
        Column("remark"),
        Column(f"validation {measure}", number=True, brief=False),
        Column("MACs over late", number=True),
        Column(f"{unit.letter}MACs per clip and view", number=True, brief=False),
        Column(f"{unit.letter}FLOPs per clip and view", number=True, brief=False),
        Column("parameters", number=True, brief=False),
        Column("s per run", number=True, brief=False),
    ]
    rows = []
    for cell, row in zip(found.cells, _rows(frame), strict=True):
        texts = (
            *(str(row[name]) for name in names),
            str(row["n"]),
            _pair(row, measure),
            *_over(told.over_late(cell)),
            _remark(row, told, cell),
            _number(row[f"validation {measure}"]),
            f"{row['over late']:+.1%}",
            f"{unit.scale * row['GMACs']:#.4g}",
            f"{unit.scale * row['GFLOPs']:#.4g}",
            f"{row['parameters']:,}",
            _number(row["seconds"], 1),
        )
        rows.append(Row(texts, strong=bool(row["chosen"])))
    return Table(tuple(columns), tuple(rows), (
        f"Test {measure}: mean ± spread over n seeds. {measure} over late: the difference from the"
        " late fusion of the same settings, with its interval over other seeds and other clips."
        " Chosen: best on validation. Tied: zero is in the interval of its difference from that."
    ))  # fmt: skip


def _over(one: Contrast | None) -> tuple[str, str]:
    if one is None or (known := one.difference) is None:
        return "–", "–"
    return signed(known.estimate), ends(known.low, known.high)


def _remark(row: dict[str, Any], told: Contrasts, cell: Cell) -> str:
    said = [CHOSEN] if row["chosen"] else []
    said += [TIED] if told.tied(cell) else []
    said += ["missing"] if not row["n"] else []
    said += ["exchanges nothing"] if row["silent"] else []
    return ", ".join(said)


def comparisons(of: Sequence[Contrast]) -> Table:
    """What is known of each difference, and what it would take to know more."""
    columns = (
        Column("cell"), Column("less"), Column("difference", number=True, brief=False),
        Column(INTERVAL, number=True, brief=False),
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
        ends(known.low, known.high),
        _p(one.holm),
        _p(one.bh),
        f"{errors.seeds:.4f}" if errors.seeds is not None else "–",
        f"{errors.clips:.4f}",
        f"{errors.detectable():.3f}" if tested else "–",
        (str(needed) if needed else "more clips") if tested else "–",
        str(len(known.seeds)),
    )


def _p(p: float | None) -> str:
    return "–" if p is None else p_value(p).removeprefix("= ")


def measures(frame: pd.DataFrame) -> Table:
    """What each cell comes to by every measure of tagging."""
    names = [*frame.columns][: [*frame.columns].index("parameters")]
    unit = unit_of(frame["GMACs"])
    shown = [name for name in SHOWN if not frame[name].isna().all()]
    columns = [*(Column(name) for name in names), Column("n", number=True)]
    columns += [Column(f"test {SHOWN[name]}", number=True, brief=name in BRIEF) for name in shown]
    columns += [
        Column("parameters", number=True),
        Column(f"{unit.letter}MACs", number=True),
        Column("ms a clip", number=True, brief=False),
    ]
    rows = [
        Row(
            (
                *(str(row[name]) for name in (*names, "n")),
                *(_terse(row, name) for name in shown),
                f"{row['parameters']:,}",
                f"{unit.scale * row['GMACs']:#.3g}",
                _number(row["ms a clip"], 2),
            ),
            strong=bool(row["chosen"]),
        )
        for row in _rows(frame)
    ]
    return Table(tuple(columns), tuple(rows), (
        "Mean ± spread over n seeds. ms a clip: median of forward passes over one, at the end of"
        " each run and beside whatever ran there too; mbt-cli flops --measure is exact."
    ))  # fmt: skip


def groups(study: Study, frame: pd.DataFrame) -> Table:
    """What each group of classes comes to."""
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
    return Table(tuple(columns), tuple(rows))


def probes(tried: Tried) -> Table:
    """What each probe changes in the cells that were probed."""
    columns = [Column("probe"), Column("what it does", brief=False)]
    columns += [Column(cell, number=True) for cell in tried.changes]
    rows = []
    for probe, meaning in tried.meanings.items():
        found = [of.get(probe, ()) for of in tried.changes.values()]
        rows.append(Row((probe, meaning, *(_change(values) for values in found))))
    return Table(tuple(columns), tuple(rows), (
        f"Change of test {tried.measure} when a trained model is scored that way, without training:"
        " mean ± spread over seeds."
    ))  # fmt: skip


def shares(tried: Tried) -> Table:
    """What each modality adds to each cell, and how spread its attention is."""
    names = list(dict.fromkeys(m for of in tried.shapley.values() for m in of))
    columns = [
        Column("cell"), *(Column(f"Shapley value of {m}", number=True) for m in names),
        Column("least entropy of attention", number=True), Column("where", brief=False),
    ]  # fmt: skip
    rows = []
    for cell, of in tried.shapley.items():
        values = [_change(of.get(m, ()), sign=False) for m in names]
        least, where = tried.entropy.get(cell, (None, ""))
        rows.append(Row((cell, *values, "–" if least is None else f"{least:.2f}", where)))
    return Table(tuple(columns), tuple(rows), (
        f"Shapley values add up to {tried.measure} as trained less that of no modality. Value"
        f" function: {tried.value_function}. Entropy: of a query's attention, over that of equal"
        " attention to all keys (0: one key, 1: all alike); of the line where it is least, mean"
        " over its heads and seeds."
    ))  # fmt: skip


def _change(values: Sequence[float], sign: bool = True) -> str:
    if not values:
        return "–"
    found = summary(values)
    mean = signed(found.mean) if sign else f"{found.mean:.3f}"
    return mean if found.spread is None else f"{mean} ± {found.spread:.3f}"


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _pair(row: dict[str, Any], name: str) -> str:
    """Mean ± spread; a spread of one seed is not known."""
    if isnan(row[name]):
        return "–"
    spread = row[f"{name} spread"]
    return f"{row[name]:.3f}" + (" (no spread)" if isnan(spread) else f" ± {spread:.3f}")


def _terse(row: dict[str, Any], name: str) -> str:
    """The same, without a word where no spread is known."""
    return _pair(row, name).removesuffix(" (no spread)")


def _number(value: float, digits: int = 3) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}"
