"""MBT as frozen values: a transformer for each modality, wired together.

Defaults are the paper's (Nagrani et al. 2021, sec. 4.2) where it gives a figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Literal

from mbt_cli.errors import MbtError
from mbt_cli.settings import above, at_least, below
from mbt_cli.wiring import (
    FSN,
    Wiring,
    exchanges,
    layers,
    live,
    matched,
    name_of,
    parse,
    streams,
    tidy,
    without,
)


@dataclass(frozen=True, kw_only=True)
class MBT:
    """A transformer for each modality, wired together by a fusion strategy."""

    family: ClassVar[str] = "mbt"
    modalities: tuple[str, ...] = ("audio", "video")
    """Which of the data's modalities the model is given."""
    fusion: str = "bottleneck"
    """A name in `wiring.FUSIONS`, or a wiring: what the layers from `fusion_layer` up do."""
    fusion_layer: int = 8
    """L_f, the number of layers before fusion starts: 0 is early fusion, `depth` is late."""
    bottlenecks: int = 4
    """B, bottleneck tokens. Their real number: the official code makes B + 1 with CLS read-out."""
    share_weights: bool = False
    """Whether all lines of a layer use one block, below L_f too (the official shared encoder)."""
    depth: int = 12
    """Layers, L."""
    width: int = 768
    """d, the size of a token."""
    heads: int = 12
    """Attention heads in a block."""
    mlp_ratio: float = 4.0
    """Width of the MLP's hidden layer over `width`."""
    tubelet: tuple[int, int, int] = (1, 16, 16)
    """Frames, height and width in pixels that become one video token."""
    patch: tuple[int, int] = (16, 16)
    """Time steps (of 10 ms) and mel bins that become one audio token."""
    sampled_frames: int = 0
    """Frames of a video that become tokens, at a uniform stride (the official temporal sampling);
    0 for all. Tubelets are then one frame long."""
    sampling: Literal["uniform", "released"] = "uniform"
    """How they are chosen. "released" is as the official code does: rounding may take one frame
    more, and a patch may reach over two frames where their height is no multiple of its own."""
    readout: Literal["cls", "mean_joint", "max_joint", "sum_joint", "mean_each"] = "cls"
    """What is classified: a CLS token per modality; the mean, largest value or sum over all tokens
    of all modalities (the official 'gap', 'gmp', 'gsp'); or the mean over the tokens of each."""
    pre_logits: int = 0
    """Width of a linear layer with tanh before the classifier; 0 for none."""
    gelu: Literal["tanh", "exact"] = "tanh"
    """The official code has the tanh form; timm and AST weights need 'exact'."""
    norm_eps: float = 1e-6
    """Of every LayerNorm; 1e-12 for weights from Hugging Face's AST."""
    stochastic_depth: float = 0.0
    """Chance that the last layer drops a branch of a clip in training; linear in depth from 0 at
    the first layer, kept branches are not rescaled (as in the official code; the paper has 0.3)."""
    position_std: float = 0.02
    """Standard deviation of the initial position embeddings."""
    head_bias: float = 0.0
    """Initial bias of the classifier."""
    head_init: Literal["zeros", "xavier"] = "zeros"
    """Initial weights of the classifier; the official code has zeros."""

    @property
    def network(self) -> str:
        """What such a network is called."""
        return "MBT"

    @property
    def title(self) -> str:
        """The model in few words."""
        layer = "" if self.fusion == "late" else f" L_f={self.fusion_layer}"
        return f"{self.strategy}{layer}"

    @property
    def layer(self) -> str:
        """L_f, as a table has it."""
        return str(self.fusion_layer)

    @property
    def level(self) -> str:
        """What it is called where it is one."""
        return "late fusion"

    @property
    def foreign(self) -> tuple[str, ...]:
        """Fields that it has no value of: along these it is a level, not a point."""
        return ("model.fusion_layer", "model.bottlenecks") if self.fusion == "late" else ()

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields that it makes no use of: late fusion has an L_f, the depth."""
        return ()

    def removal(self, modality: str) -> str:
        """What is done where a modality is removed, in few words."""
        return f"no tokens of {modality}; the answer is the others'"

    @property
    def exchanges(self) -> bool:
        """Whether any modality can come to depend on another."""
        wired = layers(self.fusion, self.fusion_layer, self.depth, self.modalities)
        return exchanges(wired, self.modalities)

    @property
    def bottleneck(self) -> bool:
        """Whether modalities talk through bottleneck tokens."""
        return FSN in streams(self.wirings())

    @property
    def dead_end(self) -> bool:
        """Whether it has bottleneck tokens that are written, and never read by another modality."""
        wired = layers(self.fusion, self.fusion_layer, self.depth, self.modalities)
        return FSN in streams(wired) and self.fusion_layer == self.depth - 1

    @property
    def runs_late(self) -> bool:
        """Whether late fusion can run its blocks."""
        late = replace(self, fusion="late").wirings()
        each = zip(late, self.wirings(), strict=True)
        return self.share_weights or all(matched(*pair) is not None for pair in each)

    @property
    def smallest(self) -> "MBT":
        """One of the same kind that takes next to no time."""
        return replace(self, width=self.heads, depth=1, fusion_layer=0)

    @property
    def draws(self) -> bool:
        """Whether it draws anything in training."""
        return self.stochastic_depth > 0

    @property
    def strategy(self) -> str:
        """The fusion strategy, and the modality where there is only one."""
        alone = f" ({self.modalities[0]} alone)" if len(self.modalities) == 1 else ""
        return f"{self.fusion}{alone}"

    @property
    def hidden(self) -> int:
        """Width of the MLP's hidden layer."""
        return round(self.width * self.mlp_ratio)

    @property
    def joint(self) -> bool:
        """Whether all modalities are classified together, by one vector."""
        return self.readout.endswith("_joint")

    def wirings(self) -> list[Wiring]:
        """Every layer as it is run: no line whose tokens nobody reads, no fsn where B is 0."""
        found = layers(self.fusion, self.fusion_layer, self.depth, self.modalities)
        if not self.bottlenecks:
            found = [without(wiring, FSN) for wiring in found]
        return live(found, self.modalities)

    def patch_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The extent of one token of a view of this shape (c, *space): a tubelet of a video, a
        patch of a spectrogram, one feature vector."""
        return {1: (1,), 2: self.patch, 3: self.tubelet}[len(shape) - 1]

    def cut(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape (c, *space) that is cut into tokens: of a video only its sampled frames, which
        the official code stacks to one tall picture."""
        if len(shape) != 4 or not self.sampled_frames:
            return shape
        channels, frames, height, width = shape
        taken = len(self.frames(frames))
        if self.sampling == "released":
            return channels, 1, taken * height, width
        return channels, taken, height, width

    def frames(self, total: int) -> list[int]:
        """Which of a view's frames become tokens."""
        wanted = self.sampled_frames
        if not wanted or wanted >= total:
            return list(range(total))
        stride = total / (wanted + 1)
        steps = ceil((total - stride) / stride) if self.sampling == "released" else wanted
        return [min(round(stride + i * stride), total - 1) for i in range(steps)]

    def check(self) -> None:
        at_least("model", self, depth=1, width=1, heads=1, bottlenecks=0, fusion_layer=0)
        at_least("model", self, sampled_frames=0, pre_logits=0)
        above("model", self, mlp_ratio=0, norm_eps=0)
        at_least("model", self, stochastic_depth=0, position_std=0)
        below("model", self, stochastic_depth=1)
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise MbtError(f"model.modalities must name each modality once: {self.modalities}.")
        late = parse(self.fusion, self.modalities) == parse("late", self.modalities)
        if self.fusion_layer > self.depth and not late:
            raise MbtError(
                f"model.fusion_layer is {self.fusion_layer}, but the model has {self.depth} layers:"
                f" choose 0 to {self.depth}."
            )
        if self.width % self.heads:
            raise MbtError(
                f"model.width ({self.width}) must be a multiple of model.heads ({self.heads})."
            )
        if min(*self.tubelet, *self.patch) < 1:
            raise MbtError("model.tubelet and model.patch must be 1 or more on each axis.")
        if self.sampled_frames and self.tubelet[0] > 1:
            raise MbtError(
                f"model.sampled_frames ({self.sampled_frames}) takes single frames, but"
                f" model.tubelet is {self.tubelet[0]} frames long: set its first value to 1."
            )

    def check_views(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises MbtError where a view (c, *space) of a modality is smaller than a patch of it."""
        for modality in self.modalities:
            shape = shapes[modality]
            space, patch = self.cut(shape)[1:], self.patch_of(shape)
            if any(size < extent for size, extent in zip(space, patch, strict=True)):
                raise MbtError(
                    f"A view of {modality} is {space}, smaller than its patch of {patch}: make"
                    " model.tubelet or model.patch smaller, or the view in data.views larger."
                )

    def canonical(self) -> "MBT":
        """One form for all spellings of the same model: late fusion has L_f = depth, B falls away
        where no token of fsn is used, a literal wiring that has a name goes by it."""
        mine = replace(self, modalities=tuple(sorted(self.modalities)))
        wirings, wiring = mine.wirings(), parse(mine.fusion, mine.modalities)
        if all(wiring == parse("late", mine.modalities) for wiring in wirings):
            name, layer = "late", self.depth
        else:
            known = name_of(wiring if self.bottlenecks else without(wiring, FSN), mine.modalities)
            name, layer = known or tidy(self.fusion), self.fusion_layer
        return replace(
            mine, fusion=name, fusion_layer=layer,
            bottlenecks=self.bottlenecks if FSN in streams(wirings) else 0,
            sampling=self.sampling if self.sampled_frames else "uniform",
        )  # fmt: skip
