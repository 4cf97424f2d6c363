"""Records -> results/<study>/: a report in every format. MLflow is not asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Group
from rich.text import Text

from mbt_cli import ledger, plates
from mbt_cli.contrasts import Contrasts, contrasts
from mbt_cli.document import Document, Figure, console, html, latex, markdown
from mbt_cli.files import write_text
from mbt_cli.findings import Findings, findings_of
from mbt_cli.notes import notes
from mbt_cli.pages import cells, page
from mbt_cli.sheet import KINDS
from mbt_cli.study import Study
from mbt_cli.symptoms import symptoms


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

    @property
    def answer(self) -> str:
        return self.document.answer

    def __rich__(self) -> Group:
        """All that a terminal shows."""
        pages = (str(file) for file in self.files if file.suffix[1:] not in KINDS)
        return Group(console.page(self.document), *map(Text, ("", *pages)))


def report(study: Study, results: Path) -> Report:
    """Writes a study's report into its folder. Raises MbtError where no run is finished."""
    found, folder = findings_of(study, results), results / study.name
    told = contrasts(found)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = plates.drawn(found, folder)
    made, written = _document(found, told, pictures), list[Path]()
    for name, text in _texts(found, told, made, folder).items():
        write_text(folder / name, text)
        written.append(folder / name)
    figures = [folder / f"{one.name}.{kind}" for one in pictures for kind in KINDS]
    known = (tuple(notes(found)), tuple(symptoms(found)))
    return Report(ledger.table(found), told, made, *known, (*written, *figures))


def texts(study: Study, records: Path, folder: Path) -> dict[str, str]:
    """Every text of a study's report, by file, made of the records in one folder of results; its
    figures are taken from another folder, as they are."""
    found = findings_of(study, records)
    told = contrasts(found)
    pictures = [Figure(name, one.says) for name, one in plates.plates(found).items()]
    return _texts(found, told, _document(found, told, pictures), folder)


def _document(found: Findings, told: Contrasts, pictures: Sequence[Figure]) -> Document:
    return page(found, told, ledger.table(found), pictures)


def _texts(found: Findings, told: Contrasts, made: Document, folder: Path) -> dict[str, str]:
    study = found.study
    main = cells(found, told, ledger.table(found))
    caption = f"{made.title} {made.answer}"
    values = ledger.record(found, told, made.answer, notes(found), symptoms(found))
    return {
        "report.md": markdown.page(made),
        "report.html": html.page(made, folder),
        "table.tex": latex.table(main, caption, f"tab:{study.name}"),
        "runs.csv": ledger.runs_table(found).to_csv(index=False, lineterminator="\n"),
        "report.json": json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
