"""Runs a wiring: one block for each line, the mean where lines meet.

b batch, n tokens of a stream, d width.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbt_cli.model.transformer import Block
from mbt_cli.wiring import FSN, Line, Wiring

Streams = dict[str, Float[Tensor, "b _ d"]]
"""The tokens of each stream by name, each (b, n, d); n may differ between streams."""


class Layer(nn.Module):
    """The steps of one layer, one after the other; with `share`, one block runs all lines."""

    def __init__(self, wiring: Wiring, block: Callable[[], Block], share: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block() for _ in range(blocks_of(wiring, share)))
        self.wire(wiring, range(len(self.blocks)))

    def wire(self, wiring: Wiring, blocks: Sequence[int]) -> None:
        """From now on it runs this wiring, each line by the block at this place; one runs all."""
        self.wiring, self.turns = wiring, blocks

    def steps(self) -> Iterator[list[tuple[Line, Block]]]:
        """Each step's lines with the block that runs each."""
        every = cast("list[Block]", list(self.blocks))
        blocks = (every[turn] for turn in self.turns)
        shared = every[0] if len(every) == 1 else None
        for step in self.wiring:
            yield [(line, shared or next(blocks)) for line in step]

    def forward(self, z: Streams) -> Streams:
        """A stream that is not there is neither written nor read. A line is not run where it would
        write nothing or read nothing, or where all modalities it is there to write are gone."""
        for step in self.steps():
            takes: dict[str, list[Tensor]] = {}
            for line, block in step:
                writes, reads = there(z, line.writes), there(z, line.reads)
                gone = {*line.writes} != {FSN} and {*writes} <= {FSN}
                if gone or not (writes and reads):
                    continue
                x = join(z, writes)
                context = x if reads == writes else join(z, reads)
                for stream, take in split(block(x, context), z, writes):
                    takes.setdefault(stream, []).append(take)
            z = z | {s: t[0] if len(t) == 1 else torch.stack(t).mean(0) for s, t in takes.items()}
        return z


def blocks_of(wiring: Wiring, share: bool) -> int:
    """How many blocks a layer of this wiring has."""
    lines = sum(len(step) for step in wiring)
    return min(lines, 1) if share else lines


def there(z: Streams, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the names that are streams."""
    return tuple(name for name in names if name in z)


def join(z: Streams, names: tuple[str, ...]) -> Float[Tensor, "b n d"]:
    """The tokens of these streams, one stream after the other."""
    return z[names[0]] if len(names) == 1 else torch.cat([z[name] for name in names], 1)


def split(
    x: Float[Tensor, "b n d"], z: Streams, names: tuple[str, ...]
) -> Iterator[tuple[str, Tensor]]:
    """The inverse of `join`: each stream's name with its tokens."""
    return zip(names, x.split([z[name].shape[1] for name in names], 1), strict=True)
