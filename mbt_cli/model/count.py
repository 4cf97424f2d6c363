"""What a built model costs, counted: the check of the closed form in `cost.py`.

Counted on the meta device, where attention is whole matrix products: torch's counter sees none
of the attention that the CPU runs as one fused kernel.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

from mbt_cli.cost import Cost
from mbt_cli.experiment import Experiment
from mbt_cli.model import build


def counted(experiment: Experiment, classes: int) -> Cost:
    """Parameters and multiply-accumulates of one clip, one view, as torch counts them."""
    shapes = experiment.data.views.shapes
    with torch.device("meta"):
        model = build(experiment.model, shapes, classes).requires_grad_(False)
        views = {m: torch.empty(1, *shape) for m, shape in shapes.items()}
        with FlopCounterMode(display=False) as counter:
            model(views)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)
