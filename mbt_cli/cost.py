"""What a model costs, in closed form: parameters and multiply-accumulates of one clip, one view.

n tokens written, m tokens read, d width, h width of the MLP, c classes. Counted are the matrix
products (projections, attention, MLP, patches, classifier), as torch's FLOP counter does where
it sees attention; biases, norms and softmax are not (about 1 % in the paper's figure). A FLOP
here is half a multiply-accumulate: 1 GMAC = 2 GFLOPs. The paper's "GFLOPs" are GMACs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from mbt_cli.architecture import MBT, AttendFusion
from mbt_cli.experiment import Experiment
from mbt_cli.wiring import FSN, Line

Shapes = Mapping[str, tuple[int, ...]]
"""The shape (c, *space) of each modality's view of one clip."""


@dataclass(frozen=True)
class Cost:
    """Of one forward pass over one clip."""

    parameters: int
    macs: int

    @property
    def gmacs(self) -> float:
        """Multiply-accumulates, in units of 10^9."""
        return self.macs / 1e9

    @property
    def gflops(self) -> float:
        """Floating-point operations, in units of 10^9: two for each multiply-accumulate."""
        return 2 * self.macs / 1e9


def cost(experiment: Experiment, classes: int) -> Cost:
    """Of the model of this experiment on its data's views, in the form that is run, where the
    dataset has so many classes."""
    return COSTS[experiment.model.family](
        experiment.canonical().model, experiment.data.views.shapes, experiment.learns(classes)
    )


def as_published(experiment: Experiment, classes: int) -> int:
    """Multiply-accumulates of the same model in the form of the official code: same output.

    Source: projects/mbt of google-research/scenic. Its cross-attention (sec. 3.2 of the paper, eq.
    5 and 6) puts each modality's encoder over the tokens of all modalities and throws away every
    row that is not that modality's own. Here that is said of any line that reads more than it
    writes; of all others the executed cost is the published one. The paper's Fig. 3 counts so.
    Of Attend-Fusion no code was published: it costs what it costs.
    """
    return AS_PUBLISHED[experiment.model.family](
        experiment.canonical().model, experiment.data.views.shapes, experiment.learns(classes)
    )


def tokens(model: MBT, shapes: Shapes) -> dict[str, int]:
    """The length of each stream, CLS tokens included."""
    cls = 1 if model.readout == "cls" else 0
    lengths = {m: patches(model, shapes[m]) + cls for m in model.modalities}
    return lengths | {FSN: model.bottlenecks}


def patches(model: MBT, shape: tuple[int, ...]) -> int:
    """How many patches a view of this shape (c, *space) is cut into."""
    space, sizes = model.cut(shape)[1:], model.patch_of(shape)
    return prod(size // patch for size, patch in zip(space, sizes, strict=True))


def mbt_cost(model: MBT, shapes: Shapes, classes: int) -> Cost:
    """Of MBT in its canonical form: parameters that no layer uses do not exist."""
    length, d, hidden = tokens(model, shapes), model.width, model.pre_logits
    last = hidden or d
    parameters, macs = 2 * d + (d + 1) * hidden + (last + 1) * classes, 0
    for m in model.modalities:
        inputs = shapes[m][0] * prod(model.patch_of(shapes[m]))
        cls = d if model.readout == "cls" else 0
        parameters += (inputs + 1) * d + cls + length[m] * d
        macs += patches(model, shapes[m]) * inputs * d
    for wiring in model.wirings():
        lines = [line for step in wiring for line in step]
        parameters += len(lines[:1] if model.share_weights else lines) * _block_parameters(model)
        macs += sum(_block_macs(model, line, length) for line in lines)
    parameters += model.bottlenecks * d
    vectors = 1 if model.joint else len(model.modalities)
    macs += vectors * (d * hidden + last * classes)
    return Cost(parameters, macs)


def mbt_as_published(model: MBT, shapes: Shapes, classes: int) -> int:
    """Multiply-accumulates of MBT, canonical, where each block runs over all tokens of its line."""
    length, extra = tokens(model, shapes), 0
    for line in (line for wiring in model.wirings() for step in wiring for line in step):
        either = tuple(dict.fromkeys((*line.writes, *line.reads)))
        extra += _block_macs(model, Line(either, either), length) - _block_macs(model, line, length)
    return mbt_cost(model, shapes, classes).macs + extra


def attend_fusion_cost(model: AttendFusion, shapes: Shapes, classes: int) -> Cost:
    """Of Attend-Fusion in its canonical form."""
    parts, joined = list[Cost](), 0
    for stream in model.streams:
        n, inputs = model.vectors(stream, shapes)
        parts += _dense(model, n, inputs, model.widths)
        joined += (width := model.encoded(inputs))
        if model.attends(stream):
            parts += _self_attention(model, n, width) * model.attention_layers
    parts += _dense(model, 1, joined, model.fused_widths)
    parts.append(_linear(1, (joined, *model.fused_widths)[-1], classes))
    return Cost(sum(part.parameters for part in parts), sum(part.macs for part in parts))


def attend_fusion_as_published(model: AttendFusion, shapes: Shapes, classes: int) -> int:
    """Multiply-accumulates of Attend-Fusion as they are: no code was published."""
    return attend_fusion_cost(model, shapes, classes).macs


COSTS: dict[str, Callable[[Any, Shapes, int], Cost]] = {
    "mbt": mbt_cost,
    "attend_fusion": attend_fusion_cost,
}
"""The formula of each model family."""
AS_PUBLISHED: dict[str, Callable[[Any, Shapes, int], int]] = {
    "mbt": mbt_as_published,
    "attend_fusion": attend_fusion_as_published,
}
"""The formula of each family's multiply-accumulates in the form of its official code."""


def _block_parameters(model: MBT) -> int:
    d, h = model.width, model.hidden
    return 4 * d * (d + 1) + h * (d + 1) + d * (h + 1) + 4 * d


def _block_macs(model: MBT, line: Line, length: Mapping[str, int]) -> int:
    n, m = (sum(length[s] for s in side) for side in (line.writes, line.reads))
    d, h = model.width, model.hidden
    return 2 * n * d * d + 2 * m * d * d + 2 * n * m * d + 2 * n * d * h


def _dense(model: AttendFusion, n: int, inputs: int, widths: Sequence[int]) -> list[Cost]:
    """Fully connected layers of these widths, for n vectors each."""
    parts = list[Cost]()
    for before, width in zip((inputs, *widths), widths, strict=False):
        parts.append(_linear(n, before, width))
        if model.block == "gated":
            parts.append(_linear(n, width, width))
        if model.block != "plain" and before != width:
            parts.append(_linear(n, before, width, biases=0))
    return parts


def _self_attention(model: AttendFusion, n: int, width: int) -> list[Cost]:
    """A layer for n vectors, each cut into `cuts` tokens."""
    a, cuts = model.attention_width, model.chunks if model.tokens == "chunks" else 1
    products = Cost(0, 2 * (n * cuts) ** 2 * (a // cuts))
    return [_linear(n, width, 3 * a), products, _linear(n, a, width)]


def _linear(n: int, inputs: int, outputs: int, biases: int = 1) -> Cost:
    return Cost((inputs + biases) * outputs, n * inputs * outputs)


def overhead(experiment: Experiment, classes: int) -> float:
    """Executed cost over that of late fusion in the same model, as a fraction: 0.1 is 10 % more."""
    late = experiment.at("model.fusion", "late")
    return cost(experiment, classes).macs / cost(late, classes).macs - 1
