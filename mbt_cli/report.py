"""Records -> results/<study>/: report.md, runs.csv and figures. MLflow is not asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mbt_cli import findings, plates
from mbt_cli.findings import Findings
from mbt_cli.notes import GLOSSARY, notes
from mbt_cli.sheet import KINDS
from mbt_cli.study import Study

Rows = list[dict[str, str]]
"""A table as it is read: texts by column."""

CHOSEN = "best on validation"
IN_FULL = ("parameters", "GFLOPs per clip and view", "s per run")
"""Columns that are left out in a terminal."""


@dataclass(frozen=True)
class Report:
    """What a study's records say, and where it was written."""

    table: pd.DataFrame
    """One row a cell, numbers as numbers."""
    answer: str
    notes: tuple[str, ...]
    terminal: RenderableType
    """The tables, for a rich console."""
    files: tuple[Path, ...]

    def __rich__(self) -> Group:
        """All that a terminal shows."""
        written = (str(file) for file in self.files if file.suffix not in (".svg", ".pdf"))
        lines = [*(f"- {note}" for note in self.notes), "", *written]
        return Group(Text(self.answer, "bold"), self.terminal, *map(Text, lines))


def report(study: Study, results: Path) -> Report:
    """Writes a study's report into its folder. Raises MbtError where no run is finished."""
    found = findings.findings_of(study, results)
    frame = findings.table(found)
    main, groups = texts(study, frame), group_texts(study, frame)
    folder = results / study.name
    folder.mkdir(parents=True, exist_ok=True)
    pictures = figures(found, folder)
    page, runs = folder / "report.md", folder / "runs.csv"
    page.write_text(markdown(found, main, groups, pictures))
    findings.runs_table(found).to_csv(runs, index=False, lineterminator="\n")
    short = [{n: v for n, v in row.items() if n not in IN_FULL} for row in main]
    aucs = [{n: v for n, v in row.items() if not n.endswith("mAP")} for row in groups]
    shown = Group(*(rich_table(rows) for rows in (short, aucs) if rows))
    said = findings.answer(found)
    return Report(frame, said, tuple(notes(found)), shown, (page, runs, *pictures))


def figures(found: Findings, folder: Path) -> list[Path]:
    """Draws the study's figures into its folder."""
    drawn = plates.drawn(found, folder)
    return [folder / f"{figure.name}.{kind}" for figure in drawn for kind in KINDS]


def texts(study: Study, frame: pd.DataFrame) -> Rows:
    """The table of cells, to be read."""
    validation = f"validation {study.measure}"
    return [
        _fields(row) | {
            "parameters": f"{row['parameters']:,}",
            "GMACs per clip and view": f"{row['GMACs']:#.4g}",
            "GFLOPs per clip and view": f"{row['GFLOPs']:#.4g}",
            "over late": f"{row['over late']:+.1%}",
            "n": str(row["n"]),
            f"test {study.measure}": _pair(row, study.measure),
            validation: _number(row[validation]),
            "s per run": _number(row["seconds"], 1),
            "remark": _remark(row),
        }
        for row in _rows(frame)
    ]  # fmt: skip


def group_texts(study: Study, frame: pd.DataFrame) -> Rows:
    """The table of groups, to be read; empty where there are none."""
    rows = []
    for row in _rows(frame) if study.data.groups else []:
        texts = _fields(row) | {"n": str(row["n"])}
        for group in study.data.groups:
            texts[f"{group} mAP"] = _pair(row, f"{group} mAP")
            texts[f"{group} AUC"] = _number(row[f"{group} AUC"])
        rows.append(texts)
    return rows


def markdown(found: Findings, main: Rows, groups: Rows, pictures: Iterable[Path]) -> str:
    """The page, for somebody who knows nothing of the study yet."""
    study = found.study
    head, _, rest = study.question.partition("\n")
    images = [f"![{p.stem}]({p.name})" for p in pictures if p.suffix == ".png"]
    parts = [f"# {head or study.name}", rest.strip(), f"**Answer.** {findings.answer(found)}"]
    parts += [_pipes(main), "## Figures", *images]
    if groups:
        named = (
            f"**{group}** ({', '.join(classes)}): {plates.meaning(study, group)}"
            for group, classes in study.data.groups.items()
        )
        parts += ["## By group of classes", _lines(named), _pipes(groups)]
    parts += ["## Notes", _lines(notes(found)), "## Words", GLOSSARY, *_sources(found)]
    return "\n\n".join(filter(None, parts)) + "\n"


def rich_table(rows: Rows) -> Table:
    """The same table for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for name in rows[0]:
        width = max(len(row[name]) for row in rows) if name != "remark" else len("validation")
        table.add_column(name, justify="left" if _is_text(rows, name) else "right", min_width=width)
    for row in rows:
        style = "bold" if row.get("remark", "").startswith(CHOSEN) else ""
        table.add_row(*map(Text, row.values()), style=style)
    return table


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _fields(row: dict[str, Any]) -> dict[str, str]:
    names = list(row)
    return {name: str(row[name]) for name in names[: names.index("parameters")]}


def _remark(row: dict[str, Any]) -> str:
    said = [CHOSEN] if row["chosen"] else []
    said += ["missing"] if not row["n"] else []
    said += ["exchanges nothing"] if row["silent"] else []
    return ", ".join(said)


def _pair(row: dict[str, Any], name: str) -> str:
    """Mean ± spread; a spread of one seed is not known."""
    if isnan(row[name]):
        return "–"
    spread = row[f"{name} spread"]
    return f"{row[name]:.3f}" + (" (no spread)" if isnan(spread) else f" ± {spread:.3f}")


def _number(value: float, digits: int = 3) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}"


def _is_text(rows: Rows, name: str) -> bool:
    return name == "remark" or any(row[name][:1].isalpha() for row in rows)


def _pipes(rows: Rows) -> str:
    """A table in Markdown; the chosen cell in bold."""
    rule = ["---" if _is_text(rows, name) else "--:" for name in rows[0]]
    lines = [list(rows[0]), rule]
    for row in rows:
        bold = "**" if row.get("remark", "").startswith(CHOSEN) else ""
        safe = [text.replace("|", r"\|") for text in row.values()]
        lines.append([f"{bold}{text}{bold}" if text else "" for text in safe])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _lines(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {one}" for one in sentences)


def _sources(found: Findings) -> list[str]:
    study, data = found.study, found.study.data
    clips = ", ".join(f"{n:,} {split}" for split, n in data.clips.items())
    machines = dict.fromkeys(
        ", ".join(map(" ".join, findings.machine(run).items())) for run in found.runs
    )
    codes = dict.fromkeys(f"`{run.facts['code']}`" for run in found.runs)
    keys = {cell.name: ", ".join(f"`{run.key}`" for run in cell.runs) for cell in found.cells}
    return [
        "## Data",
        _lines([
            f"Dataset `{data.dataset}`, fingerprint `{data.fingerprint}`: it changes when clips,"
            " labels or splits do.",
            f"Clips as listed: {clips}. Could not be read: {len(found.left_out):,}.",
            f"Classes ({data.class_list or len(data.classes)}): {', '.join(data.classes)}.",
        ]),
        "## Versions and hardware",
        _lines([*machines, f"Code: {', '.join(codes)}.", f"Run with: `{findings.command(study)}`"]),
        "## Runs",
        "Keys of the runs of each cell, in the order of seeds; `runs/<key>` holds the record.",
        _lines(f"{name}: {of or 'none'}" for name, of in keys.items()),
    ]  # fmt: skip
