"""What does each modality tell by itself, and what do both together?

Sound alone, pictures alone, both with late fusion and both with the recipe's own strategy: 4
cells. The paper's Table 1 asks this of AudioSet (31.3, 27.7 and 43.9 mAP). On the built-in world
it is the check that no answer leaks: `together` and `in_time` must stay at chance (AUC 0.5) for
either modality alone.
"""

from collections.abc import Iterator

from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """Each modality by itself, then all."""
    late = base.at("model.fusion", "late")
    for modality in base.model.modalities:
        yield late.at("model.modalities", modality)
    yield late
    yield base


GRID = Grid(cells, x="model.modalities", by="model.fusion")
