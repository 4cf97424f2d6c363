"""What does attention add to fully connected encoders, and how wide and in how many heads?

No attention; queries, keys and values of a quarter, half and all of the recipe's width; and at all
of it 1, 2, 4 and 8 heads: 7 cells at most. The paper (Awan et al. 2024) has a width of 1024 and
leaves the number of heads open.
"""

from collections.abc import Iterator

from mbt_cli.architecture import AttendFusion
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """None, each width, each number of heads."""
    assert isinstance(base.model, AttendFusion)
    yield base.at("model.attention_layers", 0)
    width = base.model.attention_width
    for share in (4, 2, 1):
        yield base.at("model.attention_width", width // share)
    for heads in (1, 2, 4, 8):
        parts = heads * (base.model.chunks if base.model.tokens == "chunks" else 1)
        if width % parts == 0:
            yield base.at("model.heads", heads)


GRID = Grid(cells, x="model.attention_width", by="model.heads", family="attend_fusion")
