"""At which layer should sound and sight begin to talk, and what does it cost?

Varies the fusion layer L_f for the three strategies that fuse, beside late fusion, which never
does: 3 x depth + 1 cells. The paper (Fig. 3, AudioSet) finds mid fusion best: L_f = 8 of 12 for
bottlenecks, 10 for cross-attention, with bottlenecks close to the cost of late fusion at every
L_f. A bottleneck at L_f = depth - 1 carries nothing: what one modality writes into it in the last
layer, no later layer reads. Expect late fusion's result there.
"""

from collections.abc import Iterator

from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """Late fusion, then each strategy at each L_f."""
    yield base.at("model.fusion", "late")
    for fusion in ("bottleneck", "cross_attention", "self_attention"):
        for layer in range(base.model.depth):
            yield base.at("model.fusion", fusion).at("model.fusion_layer", layer)


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion", family="mbt")
