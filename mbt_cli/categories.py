"""What a trained model reads in clips of features, category by category, once it was looked at.

n clips, t tokens of a stream, l lines, r categories. No torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64

from mbt_cli.architecture import MBT, AttendFusion
from mbt_cli.choice import blind
from mbt_cli.data.manifest import Manifest
from mbt_cli.dataset import Features
from mbt_cli.errors import MbtError
from mbt_cli.probes import COLLAPSED
from mbt_cli.runs import Run

MOST = 20
"""Classes that have a row of their own; so many, that all of the built-in world have one."""
ALL = "all clips"


@dataclass(frozen=True)
class Readings:
    """What was read in each of some clips."""

    shares: Mapping[str, Float64[np.ndarray, "n _"]]
    """By stream, what each token gives (n, t): of the whole answer, or of its stream."""
    entropy: Float64[np.ndarray, "n l"]
    """Of each line's attention, over that of equal shares: 0 is one key, 1 all keys alike. Mean
    over heads and queries; NaN where there is one key."""
    lines: Sequence[str]
    """What they are called."""
    of_answer: bool
    """Whether shares are of the whole answer, as by attention rollout: with those of learned tokens
    they sum to 1. Else those of each stream do."""


@dataclass(frozen=True)
class Category:
    """The mean over some of the clips."""

    name: str
    kind: str
    """all, group or class."""
    clips: int
    shares: Mapping[str, Float64[np.ndarray, " _"]]
    """As in `Readings`."""
    errors: Mapping[str, Float64[np.ndarray, " _"]]
    """Their standard errors, over clips."""
    lines: Float64[np.ndarray, " l"]
    """Entropy of each line."""
    of_answer: bool

    @property
    def entropy(self) -> float | None:
        """Mean over the lines that have more than one key."""
        known = self.lines[np.isfinite(self.lines)]
        return float(known.mean()) if len(known) else None

    @property
    def collapsed(self) -> Bool[np.ndarray, " l"]:
        """Lines whose queries read little more than one key each."""
        return self.lines < COLLAPSED

    @property
    def parts(self) -> dict[str, float]:
        """What the tokens of each stream give together."""
        return {stream: float(of.sum()) for stream, of in self.shares.items()}

    @cached_property
    def times(self) -> dict[str, Float64[np.ndarray, " _"]]:
        """The shares in times an equal one: of all tokens, or of those of the stream."""
        every = np.concatenate([*self.shares.values()]).mean()
        return {s: of / (every if self.of_answer else of.mean()) for s, of in self.shares.items()}

    def most(self, stream: str) -> int:
        """Which token of a stream gives most."""
        return int(self.shares[stream].argmax())


@dataclass(frozen=True)
class Gaze:
    """What a run reads in a sample of clips, by category."""

    run: Run
    clips: int
    """Of the sample."""
    of: int
    """Clips of the split it is taken from."""
    lines: Sequence[str]
    tokens: Mapping[str, Sequence[str]]
    """What the tokens of each stream are called."""
    categories: Sequence[Category]
    without: Sequence[str]
    """Groups of which the sample has no clip."""

    @property
    def of_answer(self) -> bool:
        return self.categories[0].of_answer

    @property
    def notes(self) -> list[str]:
        """How it is to be read."""
        return [*_notes(self)]

    def rows(self) -> Iterator[dict[str, object]]:
        """A row for each token of each category."""
        for one in self.categories:
            for stream, names in self.tokens.items():
                for place, name in enumerate(names):
                    yield {
                        "category": one.name, "kind": one.kind, "clips": one.clips,
                        "stream": stream, "token": name, "share": one.shares[stream][place],
                        "standard_error": one.errors[stream][place],
                        "times_equal": one.times[stream][place],
                    }  # fmt: skip

    def spreads(self) -> Iterator[dict[str, object]]:
        """A row for each line of each category."""
        for one in self.categories:
            for name, entropy, low in zip(self.lines, one.lines, one.collapsed, strict=True):
                yield {
                    "category": one.name, "kind": one.kind, "clips": one.clips, "line": name,
                    "entropy": entropy, "collapsed": bool(low),
                }  # fmt: skip


def gaze_of(
    run: Run, found: Readings, labels: Float32[np.ndarray, "n c"], manifest: Manifest, of: int
) -> Gaze:
    """The sample as a whole, each group of classes, the most frequent classes; each by the clips
    that have such a label. `labels` is multi-hot; `of` is how many clips the split has."""
    place = {name: column for column, name in enumerate(manifest.classes)}
    frequent = np.argsort(-labels.sum(0), kind="stable")[:MOST]
    named = [(ALL, "all", np.ones(len(labels), bool))]
    for group, names in manifest.groups.items():
        named.append((group, "group", _any(labels, [place[name] for name in names])))
    for column in sorted(frequent.tolist()):
        named.append((manifest.classes[column], "class", _any(labels, [column])))
    return Gaze(
        run, len(labels), of, found.lines, tokens_of(run),
        [_category(found, name, kind, mine) for name, kind, mine in named if mine.any()],
        [name for name, kind, mine in named if kind == "group" and not mine.any()],
    )  # fmt: skip


def _any(labels: Float32[np.ndarray, "n c"], columns: Sequence[int]) -> Bool[np.ndarray, " n"]:
    """Which clips have one of these labels."""
    return np.max(labels[:, columns], axis=1, initial=0.0) > 0


def _category(found: Readings, name: str, kind: str, mine: Bool[np.ndarray, " n"]) -> Category:
    clips = int(mine.sum())
    shares = {stream: of[mine].mean(0) for stream, of in found.shares.items()}
    errors = {stream: of[mine].std(0) / clips**0.5 for stream, of in found.shares.items()}
    lines = found.entropy[mine].mean(0)
    return Category(name, kind, clips, shares, errors, lines, found.of_answer)


def check(run: Run) -> None:
    """Raises MbtError where attention tells nothing of a run's tokens, or its weights are gone."""
    data = run.experiment.data
    if not isinstance(data.views, Features):
        raise MbtError(
            f"Run {run.key} was trained on clips of {data.dataset}, and no video is named: mbt-cli"
            f" attention-rollout VIDEO --run {run.key}."
        )
    if why := blind(run.experiment):
        raise MbtError(
            f"Run {run.key}, {run.experiment.title}, {why} What each modality is worth to it:"
            f" mbt-cli evaluate {run.key} --probes."
        )
    if not run.has_weights:
        run.weights()  # says what to do


def tokens_of(run: Run) -> dict[str, list[str]]:
    """What the tokens of each stream that attends are called, but for CLS and bottleneck tokens."""
    views, model = run.experiment.data.views, run.experiment.model.canonical()
    assert isinstance(views, Features)
    if isinstance(model, MBT):
        return {m: _vectors(views) for m in model.modalities}
    streams = filter(model.attends, model.streams)
    if model.tokens == "chunks":
        return {stream: _numbers(model.chunks) for stream in streams}
    return {stream: _vectors(views) for stream in streams}


def _vectors(views: Features) -> list[str]:
    """What the vectors of a view are called."""
    known = {"mean": ["mean"], "mean_std": ["mean", "deviation"]}
    return known.get(views.form) or _numbers(views.segments)


def _numbers(many: int) -> list[str]:
    return [str(k + 1) for k in range(many)]


def _notes(gaze: Gaze) -> Iterator[str]:
    model, views = gaze.run.experiment.model, gaze.run.experiment.data.views
    assert isinstance(views, Features)
    first = f"the first {gaze.clips:,} of {gaze.of:,}" if gaze.clips < gaze.of else f"{gaze.of:,}"
    yield (
        f"Means over clips ({first} test clips). A clip stands in every category of its labels, and"
        " attention is that of the whole clip, not of one answer."
    )
    if gaze.of_answer:
        yield (
            "Shares: attention rollout, how much of the answer came from a token. 1 is an equal"
            " share of what came from all of these; the rest came from learned tokens (CLS,"
            " bottlenecks), which are the same for every clip."
        )
    else:
        yield (
            "Shares: attention of each stream's last layer, mean over heads and queries; 1 is an"
            " equal share. A stream reads itself alone."
        )
    yield (
        "Attention is not what the classifier makes of it: what a modality is worth, mbt-cli"
        " evaluate --probes tells."
    )
    if isinstance(model, AttendFusion) and model.tokens == "chunks":
        yield f"Tokens are {model.chunks} chunks of one vector: no places of the video."
    elif views.form.startswith("segments"):
        yield f"Tokens are {views.segments} equal parts of the video, in their order."
    yield (
        "Entropy: of a query's attention over that of equal shares, 0 is one key and 1 all keys"
        f" alike; mean over lines. Collapsed: below {COLLAPSED:g}."
    )
    if len(gaze.categories) == 1:
        yield "No clip of the sample has a label."
    elif gaze.without:
        yield f"No clip of the sample has a label of {', '.join(gaze.without)}: left out."
