"""Where should the features of sound and pictures meet?

Side by side before one encoder (early), after an encoder each (late), or both (hybrid), with the
recipe's attention and without: 6 cells. The paper (Awan et al. 2024) names early and late variants;
hybrid is this tool's reading of both at once.
"""

from collections.abc import Iterator

from mbt_cli.architecture import AttendFusion
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """Each fusion, without attention and with it."""
    assert isinstance(base.model, AttendFusion)
    for layers in dict.fromkeys((0, base.model.attention_layers)):
        for fusion in ("early", "late", "hybrid"):
            yield base.at("model.attention_layers", layers).at("model.fusion", fusion)


GRID = Grid(cells, x="model.fusion", by="model.attention_layers", family="attend_fusion")
