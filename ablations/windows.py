"""Must sound and pictures be of the same moment, and how long should a model look and listen?

Varies the span of a clip that is learned from, from a quarter of the recipe's to all of it, and
whether sound and pictures are of one random span or of two independent ones: 8 cells. The paper
(Fig. 8, mini-AudioSet, t = 2 to 8 s of clips of 10 s) finds no difference between the two, and that
longer is better. Needs clips that are longer than the span: in the built-in world every label is of
a whole clip of one second, and a shorter span hides what some ask for.
"""

from collections.abc import Iterator

from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid

SHARES = (0.25, 0.5, 0.75, 1.0)


def cells(base: Experiment) -> Iterator[Experiment]:
    """Each span, synchronous and asynchronous."""
    for windows in ("random", "asynchronous"):
        for share in SHARES:
            span_s = round(share * base.data.views.span_s, 2)
            yield base.at("data.views.windows", windows).at("data.views.span_s", span_s)


GRID = Grid(cells, x="data.views.span_s", by="data.views.windows")
