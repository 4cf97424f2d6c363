"""What one run is: frozen values, no torch. Two experiments of one canonical form are one run.

Where a run happens (device, workers, executor, folders) is not part of what it is. Defaults are
the paper's (Nagrani et al. 2021, sec. 4.2) where it gives a figure; recipes depart from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from mbt_cli import settings
from mbt_cli.architecture import MBT, Model
from mbt_cli.dataset import Data, Synthetic
from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.settings import above, at_least

SCHEMA = 1
"""Of stored experiments; a later number may read an earlier one, never the reverse."""
HOP_MS = 10
"""Of the spectrogram's rows."""
MODEL, NETWORK = "model", "network"
"""What may be asked of an experiment beside its fields: its model in few words, and its kind."""


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
    l2: float = 0.0
    """Adds l2 / 2 times the sum of squares to the loss, over every parameter of more than one axis
    in the official code: positions, learned tokens and query, key and value biases are among them
    (there 0)."""
    warmup_epochs: float = 2.5
    """Epochs of linear warm-up, multiplied with a cosine that falls towards the end."""
    final_rate: float = 0.0
    """Where the cosine ends, as a share of `learning_rate`."""
    clip_norm: float = 1.0
    """Largest norm of all gradients together."""
    label_smoothing: float = 0.0
    """e: targets become y (1 - e) + e / classes, in training only (the official code has 0.3)."""
    mixup: float = 0.0
    """alpha: each batch is mixed with itself reversed, by a weight from Beta(alpha, alpha) a step;
    0 for none (the paper has 0.3, the official configuration 0.5)."""
    mixup_independent: bool = False
    """A weight of its own for each modality (the paper's modality mixup, "mixmod")."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products in training and evaluation; bfloat16 pays on a GPU, not on a CPU."""

    def check(self) -> None:
        at_least("training", self, seed=0, epochs=1, batch_size=1, warmup_epochs=0, momentum=0)
        at_least("training", self, weight_decay=0, l2=0, label_smoothing=0, beta2=0)
        at_least("training", self, mixup=0, final_rate=0)
        above("training", self, learning_rate=0, clip_norm=0)

    def canonical(self) -> "Training":
        """AdamW's second beta falls away where SGD learns, mixup's kind where there is none."""
        beta2 = self.beta2 if self.optimizer == "adamw" else Training.beta2
        independent = self.mixup_independent and self.mixup > 0
        return replace(self, beta2=beta2, mixup_independent=independent)


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
        if self.training.mixup_independent and self.model.joint:
            raise MbtError(
                "training.mixup_independent gives each modality labels of its own, but this model"
                " classifies all of them together: choose a model.readout of cls or mean_each."
            )
        shapes = self.data.views.shapes
        for modality in self.model.modalities:
            if modality not in shapes:
                raise UnknownName(f"modality of {self.data.dataset}", modality, shapes)
        self.model.check_views(shapes)

    def learns(self, classes: int) -> int:
        """How many of a dataset's classes a run learns: all, unless its vocabulary is smaller.

        Raises MbtError where its vocabulary is larger.
        """
        asked: int = getattr(self.data, "vocabulary", 0) or classes
        if asked > classes:
            raise MbtError(
                f"data.vocabulary is {asked}, but there are {classes} classes: ask for no more, or"
                " for 0, which is all."
            )
        return asked

    def canonical(self) -> "Experiment":
        """The one form of all experiments that are the same run."""
        return replace(self, model=self.model.canonical(), training=self.training.canonical())

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted name: MLflow's parameters, a report's columns."""
        return settings.flat(self)

    def told(self) -> dict[str, Any]:
        """The same, and what no field says but all families know: the model in few words, and
        which kind of network it is."""
        return {MODEL: self.model.title, NETWORK: self.model.network, **self.flat()}

    def at(self, name: str, value: Any) -> "Experiment":
        """The same experiment with one field, by its dotted name, at another value.

        Text is read as the field's type. Raises UnknownName or MbtError.
        """
        return settings.put(self, name, value, [n for n in self.flat() if n not in _FIXED])

    @property
    def key(self) -> str:
        """Ten hex digits for what differs from the defaults; a new field moves no old key."""
        return _key(self)

    def changed(self) -> dict[str, Any]:
        """What is not at its default, by its dotted name."""
        defaults = Experiment(data=type(self.data)(), model=type(self.model)()).flat()
        return {name: v for name, v in self.flat().items() if v != defaults[name]}

    @property
    def cell(self) -> str:
        """The key at seed 0: runs of one cell differ in the seed alone."""
        return _key(replace(self, training=replace(self.training, seed=0)))

    @property
    def title(self) -> str:
        """The cell in few words, for people."""
        return self.model.title

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


@lru_cache(maxsize=8192)  # a report asks for the same keys again and again
def _key(experiment: Experiment) -> str:
    mine = experiment.canonical()
    return settings.digest({name: mine.flat()[name] for name in _TAGS} | mine.changed())


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
    crops: int = 0
    """Spans of a clip, uniformly spaced, whose logits are averaged; 0: as data.views says."""
    clips: str = ""
    """The fingerprint of other clips than the run's own, of the same classes; '': its own."""
    without_positives: Literal["left_out", "zero"] = "left_out"
    """A class without positives is left out of mAP; the official code of today counts it as 0."""
    removed: tuple[str, ...] = ()
    """Modalities whose tokens and encoders are left out; bottleneck tokens stay, and the others
    read and write them alone. The answer is the mean of the others' logits; with fusion=late too,
    that of their encoders alone. Attend-Fusion answers by all: zeros take their place."""
    averaged: tuple[str, ...] = ()
    """Modalities that every clip shows the same of: the mean view over the validation clips."""
    shuffled: str = ""
    """A modality that every clip takes from another of the split, always the same one, each from
    another; of another group (video, participant) where none holds more than half of the clips."""
    shift_ms: int = 0
    """How much later than its picture a clip's sound is heard, in ms (a multiple of 10, that is,
    rows of the spectrogram); earlier where it is negative. What the clip lacks is silence."""
    without_token: int = 0
    """Which bottleneck token the layers run without, counted from 1; 0: with all of them."""

    def check(self, model: Model) -> None:
        """Raises MbtError where this cannot be asked of a model, UnknownName where it names a
        modality that the model is not given."""
        spec = model.canonical()
        named = [*self.removed, *self.averaged, *([self.shuffled] if self.shuffled else [])]
        for modality in named:
            if modality not in spec.modalities:
                raise UnknownName("modality of the model", modality, spec.modalities)
            if named.count(modality) > 1:
                raise MbtError(
                    f"{modality} is named more than once in removed, averaged and shuffled: name it"
                    " in one of them."
                )
        if {*self.removed} == {*spec.modalities}:
            raise MbtError(
                f"removed={','.join(self.removed)} leaves nothing to answer from: leave one of the"
                f" model's modalities ({', '.join(spec.modalities)})."
            )
        if self.shift_ms % HOP_MS:
            raise MbtError(
                f"shift_ms is {self.shift_ms}, but sound is shifted by rows of {HOP_MS} ms: give"
                f" {self.shift_ms // HOP_MS * HOP_MS} or {(self.shift_ms // HOP_MS + 1) * HOP_MS}."
            )
        if self.shift_ms and "audio" not in {*spec.modalities} - {*self.removed, *self.averaged}:
            raise MbtError("shift_ms moves the sound, but no sound of the clip is heard: leave it"
                           " out.")  # fmt: skip
        if self.without_token and not spec.bottlenecks:
            raise MbtError("without_token leaves a bottleneck token out, but the model has none:"
                           " leave it out.")  # fmt: skip
        if not 0 <= self.without_token <= spec.bottlenecks:
            raise MbtError(
                f"without_token is {self.without_token}, but the model has {spec.bottlenecks}"
                " bottleneck tokens: give the number of one of them, from 1."
            )

    def canonical(self) -> "Evaluation":
        """Modalities in one order."""
        removed, averaged = (tuple(sorted({*names})) for names in (self.removed, self.averaged))
        return replace(self, removed=removed, averaged=averaged)

    def at(self, name: str, value: Any) -> "Evaluation":
        """The same evaluation with one field at another value. Raises UnknownName or MbtError."""
        return settings.put(self, name, value, settings.flat(self))

    @property
    def key(self) -> str:
        """Ten hex digits for what differs from the defaults."""
        return settings.digest(self.changed())

    def changed(self) -> dict[str, Any]:
        """What is not at its default."""
        defaults = settings.flat(Evaluation())
        mine = settings.flat(self.canonical())
        return {name: v for name, v in mine.items() if v != defaults[name]}
