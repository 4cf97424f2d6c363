"""A question as a list of cells: experiments without their seeds, and how to draw the answer.

A question is one file in `ablations/`, or a file of the user's own: a docstring (the head of its
report) and GRID, made of a function from the recipe's base experiment to cells.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from runpy import run_path

from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Experiment


@dataclass(frozen=True)
class Grid:
    """`x` and `by` are the fields that vary: what is drawn along, and what gets a line each; or
    `model`, a model in few words, and `network`, its kind."""

    cells: Callable[[Experiment], Iterable[Experiment]]
    x: str
    by: str
    name: str = ""
    source: str = ""
    """How it was asked for: its name, or the path of its file."""
    family: str = ""
    """Of the models that it asks about; '': any."""
    question: str = ""
    """The docstring of its file."""

    def ask(self, base: Experiment) -> list[Experiment]:
        """The cells in the order asked, each once, in their canonical form."""
        asked: dict[str, Experiment] = {}
        for cell in self.cells(base):
            asked.setdefault(cell.cell, cell.canonical())
        return list(asked.values())


def grids() -> dict[str, Path]:
    """The questions that come with the tool, by name."""
    package = Path(__file__).parent
    for folder in (package / "ablations", package.parent / "ablations"):
        if folder.is_dir():
            return {file.stem: file for file in sorted(folder.glob("[!_]*.py"))}
    return {}


def load_grid(name: str) -> Grid:
    """A question by its name, or by the path of a .py file. Raises MbtError."""
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise MbtError(f"There is no file {name}. Give a grid's name, or the path of its file.")
    else:
        known = grids()
        if name not in known:
            raise UnknownName("grid", name, known)
        path = known[name]
    values = run_path(str(path))
    grid = values.get("GRID")
    if not isinstance(grid, Grid):
        raise MbtError(f"{path} must define GRID = Grid(cells, x=..., by=...).")
    question = (values.get("__doc__") or "").strip()
    return replace(grid, name=path.stem, source=name, question=question)
