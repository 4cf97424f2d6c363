"""A grid asked of a recipe: on which base experiment and clips, and whether it can be asked."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mbt_cli.data.manifest import SPLITS, Manifest
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid
from mbt_cli.recipes import recipe as recipe_of
from mbt_cli.study import Data, Study


def base_of(grid: Grid, recipe: str, settings: Mapping[str, str]) -> Experiment:
    """A recipe's base experiment with some fields set.

    Raises MbtError where a setting is wrong, or sets what the grid varies; where the grid has no
    cells, or is drawn along a field there is not.
    """
    base = recipe_of(recipe)
    for name, text in settings.items():
        if name == "training.seed":
            raise MbtError("training.seed is crossed with every grid: leave it to ablate --seeds.")
        base = base.at(name, text)
    if grid.family not in ("", base.model.family):
        raise MbtError(
            f"The grid {grid.name} asks about models of the family {grid.family}, and the recipe"
            f" {recipe} has one of {base.model.family}: choose another --recipe."
        )
    values, cells = base.told(), _asked(grid, base, recipe)
    if not cells:
        raise MbtError(f"The grid {grid.name} has no cells: its function must give some.")
    for name in (grid.x, grid.by):
        if name not in values:
            raise UnknownName(f"field of the grid {grid.name}", name, values)
    for name in settings:
        if name in (grid.x, grid.by) or any(
            cell.flat().get(name, values[name]) != values[name] for cell in cells
        ):
            raise MbtError(
                f"{name} is what the grid {grid.name} varies: leave out --set"
                f" {name}={settings[name]}, or ask another grid."
            )
    for cell in cells:
        cell.check()
        if _clips(cell) != _clips(base):
            raise MbtError(
                f"The grid {grid.name} varies which clips there are, but the cells of a study share"
                " them: ask it once for each set of clips, with --set or --data."
            )
    return base


def _asked(grid: Grid, base: Experiment, recipe: str) -> list[Experiment]:
    try:
        return list(grid.cells(base))
    except UnknownName as error:
        said = re.split(" Did you mean | There are: ", str(error))[0]
        raise MbtError(
            f"The grid {grid.name} cannot be asked of the recipe {recipe}: {said} Choose another"
            " --recipe."
        ) from error


def _clips(one: Experiment) -> dict[str, Any]:
    """What of an experiment decides which clips there are."""
    return {
        name: value for name, value in one.flat().items()
        if name.startswith("data.") and not name.startswith(("data.views.", "data.vocabulary"))
    }  # fmt: skip


def ask(
    grid: Grid, recipe: str, base: Experiment, settings: Mapping[str, str], manifest: Manifest
) -> Study:
    """The study of a grid on a base experiment and a frozen set of clips."""
    base = replace(base, data=replace(base.data, fingerprint=manifest.fingerprint))
    data = Data(
        dataset=base.data.dataset, fingerprint=manifest.fingerprint, classes=manifest.classes,
        groups=dict(manifest.groups), says=dict(manifest.says), multi_label=manifest.multi_label,
        clips={split: manifest.count(split) for split in SPLITS}, expected=dict(manifest.expected),
        class_list=manifest.class_list, lost=manifest.lost, tagging=manifest.tagging,
    )  # fmt: skip
    words = [grid.name, recipe, *(f"{n.split('.')[-1]}={v}" for n, v in settings.items())]
    return Study(
        name="-".join(re.sub(r"[^\w.,=+]+", "_", word) for word in words),
        grid=grid.name,
        source=grid.source,
        recipe=recipe,
        settings=dict(settings),
        question=grid.question,
        x=grid.x,
        by=grid.by,
        cells=tuple(grid.ask(base)),
        data=data,
    )
