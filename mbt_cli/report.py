"""Records -> results/<study>/: a report in every format. MLflow is not asked."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Group
from rich.text import Text

from mbt_cli import archive, ledger, plates
from mbt_cli.contrasts import Contrasts, contrasts
from mbt_cli.document import Document, Figure, console, html, latex, markdown
from mbt_cli.exhibits import cells
from mbt_cli.files import write_text
from mbt_cli.findings import Findings, findings_of
from mbt_cli.names import encodable
from mbt_cli.notes import notes
from mbt_cli.pages import page
from mbt_cli.sheet import KINDS
from mbt_cli.study import Study
from mbt_cli.symptoms import symptoms
from mbt_cli.tried import Tried, tried

UNPRINTED = ("validation mAP", "validation top1", "validation GAP", "MACs over late",
             "GFLOPs per clip and view", "MFLOPs per clip and view", "s per run")  # fmt: skip
"""Columns that the table for LaTeX leaves out, so that it fits a page."""


@dataclass(frozen=True)
class Report:
    """What a study's records say, and where it was written."""

    table: pd.DataFrame
    """One row a cell, numbers as numbers."""
    contrasts: Contrasts
    document: Document
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]
    own: bool
    """Whether it was made of runs that are here."""
    trouble: str
    """Why their records were not packed beside it; empty where they were."""

    @property
    def answer(self) -> str:
        return self.document.answer

    def __rich__(self) -> Group:
        """All that a terminal shows."""
        pages = (str(file) for file in self.files if file.suffix[1:] not in KINDS)
        said = (self.trouble,) if self.trouble else ()
        return Group(console.page(self.document), *map(Text, ("", *said, *pages)))


def report(study: Study, results: Path) -> Report:
    """Writes a study's report into its folder: from its runs, or where there are none from the
    records that were packed beside an earlier report. Raises MbtError where there are neither."""
    folder = results / study.name
    packed, own = folder / archive.NAME, any(study.runs_of(results).values())
    with archive.unpacked(packed) if packed.exists() and not own else nullcontext(results) as at:
        seen = _seen(study, at)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = plates.drawn(seen.found, folder, seen.tried.drops)
        made, written = seen.document(pictures), list[Path]()
        for name, text in seen.texts(made, folder).items():
            write_text(folder / name, text)
            written.append(folder / name)
        trouble = archive.pack(seen.found, results) if own else ""
    written += [packed] if packed.exists() else []
    written += [folder / f"{one.name}.{kind}" for one in pictures for kind in KINDS]
    told = (seen.notes, seen.warnings, tuple(written), own, trouble)
    return Report(seen.table, seen.told, made, *told)


def texts(study: Study, records: Path, folder: Path) -> dict[str, str]:
    """Every text of a study's report, by file, made of the records in one folder of results; its
    figures are taken from another folder, as they are."""
    seen = _seen(study, records)
    shown = plates.plates(seen.found, seen.tried.drops)
    return seen.texts(
        seen.document([Figure(name, one.says) for name, one in shown.items()]), folder
    )


@dataclass(frozen=True)
class _Seen:
    """All that is known of a study when its report is written."""

    found: Findings
    told: Contrasts
    tried: Tried
    table: pd.DataFrame
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def document(self, pictures: Sequence[Figure]) -> Document:
        return page(self.found, self.told, self.tried, self.table, pictures)

    def texts(self, made: Document, folder: Path) -> dict[str, str]:
        values = ledger.record(self.found, self.told, made.answer, self.notes, self.warnings)
        main = cells(self.found, self.told, self.table)
        caption, label = f"{made.title} {made.answer} {main.caption}", self.found.study.name
        made_of = {
            "report.md": markdown.page(made),
            "report.html": html.page(made, folder),
            "table.tex": latex.table(main.without(UNPRINTED), caption, f"tab:{label}"),
            "runs.csv": ledger.runs_table(self.found).to_csv(index=False, lineterminator="\n"),
            "report.json": json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        }
        return {name: encodable(text) for name, text in made_of.items()}


def _seen(study: Study, records: Path) -> _Seen:
    found = findings_of(study, records)
    told = contrasts(found)
    probed = tried(found, told)
    known = (tuple(notes(found)), tuple(symptoms(found, probed)))
    return _Seen(found, told, probed, ledger.table(found), *known)
