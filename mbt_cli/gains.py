"""What fusing gains, class by class: a study's chosen cell over the better single modality.

The single modalities are the runs of `--grid modalities` on the same clips, recipe and settings:
equal to the chosen cell's, but given one modality each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from mbt_cli.experiment import Evaluation
from mbt_cli.findings import Findings, by_modality, command
from mbt_cli.metrics import Figures
from mbt_cli.recipes import recipe
from mbt_cli.runs import FINISHED, Run, run_folder
from mbt_cli.settings import text

_GIVEN = ("training.seed", "data.fingerprint")
"""Fields that a command does not set."""


@dataclass(frozen=True)
class Gain:
    """Of one class."""

    name: str
    over: str
    """The single modality that is better at it."""
    values: tuple[float, ...]
    """Average precision over that modality's on test, one a seed."""
    chosen_on: str
    """The split that said which modality is better: validation, or test for want of it."""

    @property
    def mean(self) -> float:
        return fmean(self.values)


def gains(found: Findings) -> list[Gain]:
    """The largest first; [] where runs of the single modalities are missing: see `missing`."""
    both = found.best
    alone = singles(found)
    if not alone:
        return []
    runs = {run.experiment.training.seed: run for run in both.runs}
    seeds = sorted(set(runs).intersection(*(of.keys() for of in alone.values())))
    if not seeds:
        return []
    scored = {
        name: [of[seed].figures_on(both.common) for seed in seeds]
        for name, of in {"": runs, **alone}.items()
    }
    checked = {
        name: [of[seed].status["validation"] for seed in seeds] for name, of in alone.items()
    }
    rows = []
    for one in found.study.data.classes:
        tested = {name: _defined(values, one) for name, values in scored.items()}
        if any(values is None for values in tested.values()):
            continue
        known = {name: _defined(values, one) for name, values in checked.items()}
        on = "test" if any(values is None for values in known.values()) else "validation"
        judged = known if on == "validation" else tested
        over = max(alone, key=lambda name: fmean(judged[name] or ()))
        values = tuple(a - b for a, b in zip(tested[""] or (), tested[over] or (), strict=True))
        rows.append(Gain(one, over, values, on))
    return sorted(rows, key=lambda row: -row.mean)


def missing(found: Findings) -> str | None:
    """How to get the runs that gains need; None where they are there, or would say nothing."""
    if gains(found) or len(found.best.experiment.model.modalities) < 2:
        return None
    study, network = found.study, found.best.experiment.model.network
    if found.best.experiment.model.family != recipe(study.recipe).model.family:
        return (
            f"What fusing gains for each class, only runs of each modality alone can tell. Of"
            f" {network} the recipe {study.recipe} has none: ask --grid modalities of a recipe of"
            f" {network}."
        )
    first, *_ = found.best.experiment.model.modalities
    ours, base = (
        by_modality(one)[first].canonical().flat()
        for one in (found.best.experiment, recipe(study.recipe))
    )
    changed = {n: text(v) for n, v in ours.items() if v != base[n] and n not in _GIVEN}
    asked = command(replace(study, source="modalities", settings=changed))
    return (
        "What fusing gains for each class, only runs of each modality alone can tell. Run them:"
        f" `{asked}`"
    )


def singles(found: Findings) -> dict[str, dict[int, Run]]:
    """The finished runs of each modality alone, by seed; {} where a modality has none."""
    results = found.runs[0].folder.parents[1]
    seeds = [run.experiment.training.seed for run in found.best.runs]
    alone = {
        name: {
            seed: run
            for seed in seeds
            if (run := Run(run_folder(results, one.at("training.seed", seed).key)))
            and run.state == FINISHED
            and run.figures(Evaluation()) is not None
        }
        for name, one in by_modality(found.best.experiment).items()
    }
    return alone if len(alone) > 1 and all(alone.values()) else {}


def _defined(runs: Sequence[Figures], name: str) -> list[float] | None:
    """A class's average precision in every run; None where it is not defined in each."""
    values = [figures.get("classes", {}).get(name, {}).get("AP") for figures in runs]
    return None if None in values else [float(value) for value in values]
