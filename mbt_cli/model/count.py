"""What a built model costs, counted: the check of the closed form in `cost.py`.

Counted on the meta device, where attention is whole matrix products: torch's counter sees none
of the attention that the CPU runs as one fused kernel.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

from mbt_cli.architecture import Model
from mbt_cli.cost import Cost, Shapes
from mbt_cli.experiment import Experiment
from mbt_cli.model import build


def counted(experiment: Experiment, classes: int) -> Cost:
    """Parameters and multiply-accumulates of one clip, one view, as torch counts them."""
    learned = experiment.learns(classes)
    return counted_model(experiment.model, experiment.data.views.shapes, learned)


def counted_model(model: Model, shapes: Shapes, classes: int) -> Cost:
    """The same of a model for views of these shapes (c, *space)."""
    with torch.device("meta"):
        built = build(model, shapes, classes).requires_grad_(False)
        views = {m: torch.empty(1, *shape) for m, shape in shapes.items()}
        with FlopCounterMode(display=False) as counter:
            built(views)
    parameters = sum(parameter.numel() for parameter in built.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)
