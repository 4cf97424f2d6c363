"""What should attend to what, where a video is one vector of each modality?

The paper (Awan et al. 2024) leaves the tokens of its attention open. No attention; the query, key
and value of a vector in chunks that attend to one another; the vectors of a view (mean and
deviation, or segments); and the one vector to itself, which is a softmax over one key: an identity
but for two projections, and the check that what attention adds is more than these: 4 cells.
"""

from collections.abc import Iterator

from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """None, then each kind of tokens."""
    yield base.at("model.attention_layers", 0)
    for tokens in ("chunks", "vectors", "one"):
        if tokens != "vectors" or base.data.views.shapes["video"][1] > 1:
            yield base.at("model.tokens", tokens)


GRID = Grid(cells, x="model.tokens", by="model.fusion", family="attend_fusion")
