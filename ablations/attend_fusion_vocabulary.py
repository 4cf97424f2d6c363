"""How does tagging change with the number of labels?

The most frequent eighth, quarter and half of the classes, and all of them, with the recipe's
attention and without: 8 cells. Each is scored on its own labels: a smaller vocabulary is another,
easier question, and no difference between vocabularies is tested.
"""

from collections.abc import Iterator

from mbt_cli.architecture import AttendFusion
from mbt_cli.data import classes_of
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """Each vocabulary, without attention and with it."""
    assert isinstance(base.model, AttendFusion)
    classes = base.learns(classes_of(base.data) or 0)
    for layers in dict.fromkeys((0, base.model.attention_layers)):
        for share in (8, 4, 2, 1):
            some = base.at("model.attention_layers", layers)
            yield some.at("data.vocabulary", max(1, classes // share) if share > 1 else 0)


GRID = Grid(cells, x="data.vocabulary", by="model.attention_layers", family="attend_fusion")
