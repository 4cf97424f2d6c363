"""Attend-Fusion and its baselines as frozen values: fully connected encoders of feature vectors,
with or without attention, and where their modalities meet.

Source: Awan et al. 2024 (arxiv.org/abs/2408.14441). No code was published, and no table of layers:
what is not in its abstract (F1 75.64 % with 72 M parameters, against 75.96 % with 341 M for fully
connected late fusion) is a reconstruction to the stated totals, and every width is a field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.settings import at_least, below

JOINT = "joint"
"""The stream of all modalities together, side by side from the start."""

NAMES = {"plain": "FC", "residual": "FCRN", "gated": "FCRGN"}
"""What the paper calls networks without attention."""


@dataclass(frozen=True, kw_only=True)
class AttendFusion:
    """Encoders of feature vectors, joined; then fully connected layers and a classifier."""

    family: ClassVar[str] = "attend_fusion"
    modalities: tuple[str, ...] = ("audio", "video")
    """Which of the data's modalities the model is given."""
    fusion: Literal["early", "late", "hybrid"] = "late"
    """Where they meet: side by side before one encoder; side by side after an encoder each; or
    both, three encoders side by side."""
    block: Literal["plain", "residual", "gated"] = "plain"
    """A fully connected layer: ReLU(W x + b); added to its input (FCRN), which is projected where
    the width changes; or added after a gate, sigmoid(V h + c) * h (FCRGN, context gating as in
    Miech et al. 2017)."""
    widths: tuple[int, ...] = (1024,)
    """Of the fully connected layers of each encoder."""
    attention_layers: int = 3
    """Layers of self-attention after these, in each encoder; 0 for none."""
    attended: tuple[str, ...] = ()
    """Streams whose encoders have them (audio, video, joint); none named: all."""
    attention_width: int = 1024
    """Of queries, keys and values (the paper: 1024)."""
    heads: int = 1
    """Attention heads in a layer."""
    tokens: Literal["chunks", "vectors", "one"] = "chunks"
    """What attends to what, which the paper leaves open. "chunks": queries, keys and values of the
    one vector of a stream, each cut into `chunks` parts. "vectors": the vectors of a view, which
    are mean and deviation, or the segments of a video. Each goes through the encoder by itself,
    where nothing attends too, and the encoder's output is their mean. "one": the vector to itself,
    a softmax over one key: the identity, but for two projections."""
    chunks: int = 16
    """Parts of a query, key or value that attend to one another."""
    fused_widths: tuple[int, ...] = (4096, 4096)
    """Of the fully connected layers after the encoders, before the classifier."""
    head_bias: float = 0.0
    """Initial bias of the classifier. Of thousands of classes most are rare: at -7 each starts at a
    chance of 0.1 %, and few steps are needed to get there."""
    dropout: float = 0.4
    """Share of the outputs of a fully connected layer, and of what a layer of attention adds, that
    are zero in training (the paper: 0.4)."""

    @property
    def streams(self) -> tuple[str, ...]:
        """What has an encoder: modalities, and JOINT."""
        own = () if self.fusion == "early" else self.modalities
        return own if self.fusion == "late" else (*own, JOINT)

    def attends(self, stream: str) -> bool:
        """Whether a stream's encoder has attention."""
        return self.attention_layers > 0 and (not self.attended or stream in self.attended)

    def vectors(self, stream: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
        """How many vectors a stream's encoder is given of views of these shapes (c, n), and of how
        many values: each of a view, or all of them side by side."""
        views = [shapes[m] for m in (self.modalities if stream == JOINT else (stream,))]
        if self.tokens == "vectors":
            return views[0][1], sum(values for values, _ in views)
        return 1, sum(values * many for values, many in views)

    def encoded(self, inputs: int) -> int:
        """Values of what an encoder makes of vectors of so many."""
        return self.widths[-1] if self.widths else inputs

    @property
    def network(self) -> str:
        """What the paper calls such a network, or nearly so."""
        attends = any(self.attends(stream) for stream in self.streams)
        return "Attend-Fusion" if attends else NAMES[self.block]

    @property
    def strategy(self) -> str:
        """The same, with what it fuses, and where."""
        attends, name = any(self.attends(stream) for stream in self.streams), self.network
        if attends and self.block != "plain":
            name = f"{name} ({self.block})"
        if len(self.modalities) == 1:
            return f"{'attention' if attends else name} ({self.modalities[0]} alone)"
        return f"{name} {self.fusion}"

    @property
    def title(self) -> str:
        """The model in few words."""
        return self.strategy

    @property
    def layer(self) -> str:
        """It has no L_f."""
        return ""

    @property
    def level(self) -> str:
        """What it is called where it is a level."""
        return self.strategy

    @property
    def foreign(self) -> tuple[str, ...]:
        """Fields that it has no value of: along these it is a level, not a point."""
        return self.idle

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields that it makes no use of, whatever they say."""
        names = ("attention_width", "heads", "tokens", "chunks")
        attends = any(self.attends(stream) for stream in self.streams)
        return () if attends else tuple(f"model.{name}" for name in names)

    def removal(self, modality: str) -> str:
        """What is done where a modality is removed, in few words."""
        return f"zeros in place of what was made of {modality}"

    @property
    def exchanges(self) -> bool:
        """Whether any modality can come to depend on another: the classifier sees all of them."""
        return len(self.modalities) > 1

    @property
    def bottleneck(self) -> bool:
        """Whether modalities talk through bottleneck tokens: it has none."""
        return False

    @property
    def dead_end(self) -> bool:
        """No modality writes what none reads."""
        return False

    @property
    def runs_late(self) -> bool:
        """No other fusion can run its layers."""
        return False

    @property
    def smallest(self) -> "AttendFusion":
        """One of the same kind that takes next to no time."""
        return replace(self, widths=(1,), fused_widths=(), attention_layers=0)

    @property
    def draws(self) -> bool:
        """Whether it draws anything in training."""
        return self.dropout > 0

    @property
    def joint(self) -> bool:
        """Whether all modalities are classified together, by one vector."""
        return True

    @property
    def bottlenecks(self) -> int:
        """Bottleneck tokens: it has none."""
        return 0

    def check(self) -> None:
        at_least("model", self, attention_layers=0, attention_width=1, heads=1, chunks=1, dropout=0)
        below("model", self, dropout=1)
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise MbtError(f"model.modalities must name each modality once: {self.modalities}.")
        if min((1, *self.widths, *self.fused_widths)) < 1:
            raise MbtError("model.widths and model.fused_widths must be 1 or more each.")
        for stream in self.attended:
            if stream not in (*self.modalities, JOINT):
                raise UnknownName("stream of model.attended", stream, (*self.modalities, JOINT))
        if self.attention_layers and not self.widths:
            raise MbtError(
                "model.widths names no layer, but attention needs vectors of one width: give one"
                " width at least, or set model.attention_layers to 0."
            )
        parts = self.heads * (self.chunks if self.tokens == "chunks" else 1)
        if self.attention_layers and self.attention_width % parts:
            what = "model.heads times model.chunks" if self.tokens == "chunks" else "model.heads"
            raise MbtError(
                f"model.attention_width ({self.attention_width}) must be a multiple of {what}"
                f" ({parts})."
            )

    def check_views(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises MbtError where a view is no row of feature vectors (c, n)."""
        for modality in self.modalities:
            if len(shapes[modality]) != 2:
                raise MbtError(
                    f"attend_fusion takes feature vectors, but a view of {modality} has the shape"
                    f" {shapes[modality]}: ask it of a recipe of features, such as youtube8m."
                )
        numbers = {m: shapes[m][1] for m in self.modalities}
        if self.tokens == "vectors" and JOINT in self.streams and len({*numbers.values()}) > 1:
            raise MbtError(
                "model.tokens=vectors puts the vectors of all modalities side by side, but their"
                f" views have not as many of them: {numbers}. Take model.fusion=late or"
                " model.tokens=chunks."
            )

    def canonical(self) -> "AttendFusion":
        """One form for all spellings of the same model: a modality alone has nothing to fuse, and
        what only attention needs falls away without it."""
        alone = len(self.modalities) == 1
        mine = replace(
            self, modalities=tuple(sorted(self.modalities)),
            fusion="late" if alone else self.fusion,
        )  # fmt: skip
        attended = tuple(stream for stream in self.streams if self.attends(stream))
        if not attended:
            fresh = AttendFusion()
            return replace(
                mine, attention_layers=0, attended=(), attention_width=fresh.attention_width,
                heads=fresh.heads, chunks=fresh.chunks,
                tokens="vectors" if self.tokens == "vectors" else fresh.tokens,
            )  # fmt: skip
        every = alone or attended == self.streams
        return replace(
            mine, attended=() if every else tuple(sorted(attended)),
            chunks=self.chunks if self.tokens == "chunks" else AttendFusion.chunks,
        )  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A model whose number of parameters a paper states."""

    model: AttendFusion
    stated: int
    """Parameters, as printed."""
    classes: int
    """Of its classifier; it is given means and deviations (MF+STD)."""
    source: str

    def made_of(self, model: object) -> bool:
        """Whether a model is this one, whatever it starts from and drops."""
        mine = self.model.canonical()
        return isinstance(model, AttendFusion) and mine == replace(
            model.canonical(), head_bias=mine.head_bias, dropout=mine.dropout
        )


PRESETS = {
    "attend_fusion_72m": Preset(AttendFusion(), 72_000_000, 4716, "Awan et al. 2024, abstract"),
    "fc_late_341m": Preset(
        AttendFusion(widths=(10_000, 10_000), attention_layers=0),
        341_000_000, 4716, "Awan et al. 2024, abstract",
    ),
}  # fmt: skip
"""Reconstructions to the stated totals, within 0.5 %."""
