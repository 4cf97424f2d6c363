"""How wide must fully connected layers be, with attention and without?

Every width of the recipe's layers times a quarter, a half, one and two, with the recipe's attention
and without: 8 cells. The paper's baselines are wide (341 M parameters against 72 M for
Attend-Fusion), and F1 differs by 0.3 points.
"""

from collections.abc import Iterator
from dataclasses import replace

from mbt_cli.architecture import AttendFusion
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid

SHARES = (0.25, 0.5, 1.0, 2.0)


def cells(base: Experiment) -> Iterator[Experiment]:
    """Each width, without attention and with it."""
    model = base.model
    assert isinstance(model, AttendFusion)
    for layers in dict.fromkeys((0, model.attention_layers)):
        for share in SHARES:
            widths, fused = (
                tuple(max(1, round(share * width)) for width in of)
                for of in (model.widths, model.fused_widths)
            )
            yield replace(
                base,
                model=replace(model, attention_layers=layers, widths=widths, fused_widths=fused),
            )


GRID = Grid(cells, x="model.widths", by="model.attention_layers", family="attend_fusion")
