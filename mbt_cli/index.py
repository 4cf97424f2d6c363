"""results/README.md: which questions were asked, what the answers are, where their reports lie."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mbt_cli.document.markdown import line
from mbt_cli.files import write_text

MARK = "<!-- Written by mbt-cli report, each time. -->"
"""The first line: a page of the same name that lacks it is somebody's own, and stays."""
FILES = {
    "report.md": "report",
    "report.html": "the same as one page of HTML",
    "table.tex": "its table for LaTeX",
    "runs.csv": "every run",
    "records.zip": "the records it is made of",
}
LEAD = (
    "A folder for each study: a grid of runs that answers a question. `mbt-cli report STUDY` makes"
    " its report again from the records; with `--check` it only looks whether every number in it"
    " still follows from them."
)


def write(results: Path) -> None:
    """The page of all studies with a report, by name. Raises Unwritable."""
    page = results / "README.md"
    if page.exists() and not page.read_text(errors="replace").startswith(MARK):
        return
    folders = sorted(file.parent for file in results.glob("*/report.md"))
    parts = [MARK, "# Results", LEAD, *(part for folder in folders for part in _study(folder))]
    if (results / "LOG.md").exists():
        parts.append("## Log\n\nWhat was learned by running things: [LOG.md](LOG.md).")
    write_text(page, "\n\n".join(parts) + "\n")


def _study(folder: Path) -> list[str]:
    at, told = quote(folder.name), _told(folder)
    question = str(told.get("question") or "").strip().partition("\n\n")[0]
    parts = [f"## [{line(question or folder.name)}]({at}/report.md)"]
    parts += [f"**Answer.** {line(str(told['answer']))}"] if told.get("answer") else []
    runs = f", {told['n_runs']:,} runs" if isinstance(told.get("n_runs"), int) else ""
    there = {name: says for name, says in FILES.items() if (folder / name).exists()}
    links = ", ".join(f"[{says}]({at}/{name})" for name, says in there.items())
    parts.append(f"{line(folder.name)}{runs}: {links}.")
    picture = Path(f"{told.get('measure', '')}.png").name
    if (folder / picture).exists():
        parts.append(f"![{line(picture.removesuffix('.png'))}]({at}/{quote(picture)})")
    return parts


def _told(folder: Path) -> dict[str, Any]:
    """`report.json`; {} where there is none that can be read, for the next report writes it."""
    try:
        told = json.loads((folder / "report.json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
