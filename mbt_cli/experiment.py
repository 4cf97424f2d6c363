"""What one run is: frozen values, no torch. Two experiments of one canonical form are one run.

Where a run happens (device, workers, executor, folders) is not part of what it is. Defaults are
the paper's (Nagrani et al. 2021, sec. 4.2) where it gives a figure; recipes depart from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from mbt_cli import settings
from mbt_cli.dataset import Data, Synthetic
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.settings import above, at_least, below
from mbt_cli.wiring import FSN, name_of, parse, streams, without

SCHEMA = 1
"""Of stored experiments; a later number may read an earlier one, never the reverse."""


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
    readout: Literal["cls", "mean_joint", "mean_each"] = "cls"
    """What is classified: a CLS token per modality; the mean over all tokens of all modalities
    (the official 'gap'); or the mean over the tokens of each modality."""
    gelu: Literal["tanh", "exact"] = "tanh"
    """The official code has the tanh form; timm and AST weights need 'exact'."""
    norm_eps: float = 1e-6
    """Of every LayerNorm; 1e-12 for weights from Hugging Face's AST."""
    stochastic_depth: float = 0.0
    """Chance that the last layer drops a branch of a clip in training; linear in depth from 0 at
    the first layer, kept branches are not rescaled (as in the official code; the paper has 0.3)."""
    position_std: float = 0.02
    """Standard deviation of the initial position embeddings."""
    head_init: Literal["zeros", "xavier"] = "zeros"
    """Initial weights of the classifier; the official code has zeros."""

    @property
    def strategy(self) -> str:
        """The fusion strategy, and the modality where there is only one."""
        alone = f" ({self.modalities[0]} alone)" if len(self.modalities) == 1 else ""
        return f"{self.fusion}{alone}"

    @property
    def hidden(self) -> int:
        """Width of the MLP's hidden layer."""
        return round(self.width * self.mlp_ratio)

    def patch_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The extent of one token of a view of this shape (c, *space): a tubelet of a video, a
        patch of a spectrogram, one feature vector."""
        return {1: (1,), 2: self.patch, 3: self.tubelet}[len(shape) - 1]

    def check(self) -> None:
        at_least("model", self, depth=1, width=1, heads=1, bottlenecks=0, fusion_layer=0)
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

    def canonical(self) -> "MBT":
        """One form for all spellings of the same model: late fusion has L_f = depth, B falls away
        where there is no fsn, a literal wiring that has a name goes by it."""
        modalities = tuple(sorted(self.modalities))
        wiring = parse(self.fusion, modalities)
        name = name_of(wiring if self.bottlenecks else without(wiring, FSN), modalities)
        name = name or self.fusion
        if name == "late" or self.fusion_layer == self.depth:
            name, layer = "late", self.depth
        else:
            layer = self.fusion_layer
        tokens = self.bottlenecks if FSN in streams([parse(name, modalities)]) else 0
        return replace(
            self, modalities=modalities, fusion=name, fusion_layer=layer, bottlenecks=tokens
        )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the model learns (paper, sec. 4.2: SGD, 50 epochs, cosine with 2.5 epochs of warm-up)."""

    seed: int = 0
    """Moves initialisation, order and augmentation; never the data or the split."""
    epochs: int = 50
    """Passes over the training clips."""
    batch_size: int = 64
    """Clips in a step; what is left over at the end of an epoch is dropped."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    learning_rate: float = 0.5
    """At the top of the schedule."""
    momentum: float = 0.9
    """Of SGD; AdamW's first beta."""
    beta2: float = 0.999
    """AdamW's second beta."""
    weight_decay: float = 0.0
    """On the weights of linear layers; not on biases, norms, positions or learned tokens."""
    warmup_epochs: float = 2.5
    """Epochs of linear warm-up, multiplied with a cosine that falls to zero at the end."""
    clip_norm: float = 1.0
    """Largest norm of all gradients together."""
    label_smoothing: float = 0.0
    """e: targets become y (1 - e) + e / classes, in training only (the official code has 0.3)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products in training and evaluation; bfloat16 pays on a GPU, not on a CPU."""

    def check(self) -> None:
        at_least("training", self, seed=0, epochs=1, batch_size=1, warmup_epochs=0, momentum=0)
        at_least("training", self, weight_decay=0, label_smoothing=0, beta2=0)
        above("training", self, learning_rate=0, clip_norm=0)

    def canonical(self) -> "Training":
        """AdamW's second beta falls away where SGD learns."""
        return self if self.optimizer == "adamw" else replace(self, beta2=Training.beta2)


Model = MBT


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that changes the trained weights of a run, as one value; `key` is its name."""

    data: Data = field(default_factory=Synthetic)
    model: Model = field(default_factory=MBT)
    training: Training = field(default_factory=Training)

    def check(self) -> None:
        """Raises MbtError where a value is out of range or values contradict each other."""
        for part in (self.data, self.model, self.training):
            part.check()
        shapes = self.data.views.shapes
        for modality in self.model.modalities:
            if modality not in shapes:
                raise UnknownName(f"modality of {self.data.dataset}", modality, shapes)
            space, patch = shapes[modality][1:], self.model.patch_of(shapes[modality])
            if any(size < extent for size, extent in zip(space, patch, strict=True)):
                raise MbtError(
                    f"A view of {modality} is {space}, smaller than its patch of {patch}: make"
                    " model.tubelet or model.patch smaller, or the view in data.views larger."
                )

    def canonical(self) -> "Experiment":
        """The one form of all experiments that are the same run."""
        return replace(self, model=self.model.canonical(), training=self.training.canonical())

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted name: MLflow's parameters, a report's columns."""
        return settings.flat(self)

    def at(self, name: str, value: Any) -> "Experiment":
        """The same experiment with one field, by its dotted name, at another value.

        Text is read as the field's type. Raises UnknownName or MbtError.
        """
        return settings.put(self, name, value, [n for n in self.flat() if n not in _FIXED])

    @property
    def key(self) -> str:
        """Ten hex digits for what differs from the defaults; a new field moves no old key."""
        defaults = Experiment(data=type(self.data)(), model=type(self.model)()).flat()
        mine = self.canonical().flat()
        return settings.digest({n: v for n, v in mine.items() if n in _TAGS or v != defaults[n]})

    @property
    def cell(self) -> str:
        """The key at seed 0: runs of one cell differ in the seed alone."""
        return self.at("training.seed", 0).key

    @property
    def title(self) -> str:
        """The cell in few words, for people."""
        layer = "" if self.model.fusion == "late" else f" L_f={self.model.fusion_layer}"
        return f"{self.model.strategy}{layer}"

    def record(self) -> dict[str, Any]:
        """As nested plain values, for JSON; `from_record` reads it back."""
        return {"schema": SCHEMA, **settings.plain(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Experiment":
        """Raises MbtError where the record is of a newer schema."""
        if record["schema"] > SCHEMA:
            raise MbtError(
                f"A record has schema {record['schema']}, and this version of mbt-cli reads up to"
                f" {SCHEMA}: update mbt-cli."
            )
        return settings.restore(cls, record)


_TAGS = ("data.dataset", "model.family")
_FIXED = (*_TAGS, "data.fingerprint")
"""What names the kind of data and model, and the clips: chosen by a recipe, never set."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What changes only how a trained model is scored: asking for it never trains again."""

    split: Literal["test", "validation"] = "test"
    """Which clips are scored."""
    fusion: str = ""
    """Scored with this strategy in place of the run's own; '': as trained. 'late' on a bottleneck
    run scores it with its bottlenecks off."""
    without_positives: Literal["left_out", "zero"] = "left_out"
    """A class without positives is left out of mAP; the official code of today counts it as 0."""

    def at(self, name: str, value: Any) -> "Evaluation":
        """The same evaluation with one field at another value. Raises UnknownName or MbtError."""
        return settings.put(self, name, value, settings.flat(self))

    @property
    def key(self) -> str:
        """Ten hex digits for what differs from the defaults."""
        mine, defaults = settings.flat(self), settings.flat(Evaluation())
        return settings.digest({n: v for n, v in mine.items() if v != defaults[n]})
