"""Probes: what a trained model does where something is taken from it; nothing is trained again.

Which evaluations probe a run, and what they say of it once they are in its record. No torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import factorial
from typing import Any

from mbt_cli.architecture import Model
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.runs import Run

AS_TRAINED = Evaluation()
SHIFTS_MS = (-500, -200, -100, 100, 200, 500)
"""Of the sound, as far as no more than half of what is shown of a clip."""
MOST_TOKENS = 16
"""Where there are more bottleneck tokens, none is taken away alone."""
COLLAPSED = 0.05
"""Entropy of a line's attention over that of equal shares: below this a query reads little more
than one key, for exp(0.05 log m) is 1.1 keys of m = 10 and 1.4 of 1000."""


@dataclass(frozen=True)
class Attended:
    """What one line read: means over clips, heads and queries."""

    layer: int
    """From 0."""
    writes: Sequence[str]
    reads: Sequence[str]
    clips: int
    entropy: float | None
    """Of a query's attention over the logarithm of the number of keys: 0 is one key, 1 all keys
    alike. Mean over heads; None where there is one key."""
    heads: Sequence[float]
    """The same of each head."""
    shares: Mapping[str, Mapping[str, float]]
    """Of the attention of each stream's queries, what the keys of each stream get."""
    alike: Mapping[str, float]
    """What the keys of each stream would get if all keys got the same."""
    tokens: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """What each key of a stream gets, mean over queries: the segments of a video, or the chunks of
    a vector; a CLS token stands before them. Of features; {} of clips, whose tokens are many."""

    @property
    def collapsed(self) -> bool:
        return self.entropy is not None and self.entropy < COLLAPSED

    @property
    def name(self) -> str:
        """The line as a wiring has it."""
        return f"{' '.join(self.writes)} <- {' '.join(self.reads)}"


@dataclass(frozen=True)
class Probe:
    """One probe of a run, and what it found."""

    name: str
    meaning: str
    how: Evaluation
    value: float | None
    """The measure."""
    change: float | None
    """Against the run as trained; negative where it got worse."""


@dataclass(frozen=True)
class Probed:
    """What the probes of a run say."""

    measure: str
    """By which the run is judged: mAP, GAP or top1."""
    as_trained: float | None
    probes: tuple[Probe, ...]
    shapley: Mapping[str, float]
    """Of each modality; {} for one alone, or where the measure is not defined."""
    value_function: str
    """Of which the Shapley values are."""
    nothing: float | None
    """Its value of no modality: the Shapley values add up to `as_trained` less this."""
    attention: tuple[Attended, ...]

    @property
    def reliance(self) -> dict[str, float]:
        """By how much the measure falls where a modality shows every clip its mean view: about 0
        where the run ignores it."""
        found = {}
        for probe in self.probes:
            names = probe.how.averaged
            if len(names) == 1 and probe.change is not None:
                found[names[0]] = -probe.change
        return found

    @property
    def collapsed(self) -> tuple[Attended, ...]:
        """Lines whose queries read little more than one key each."""
        return tuple(line for line in self.attention if line.collapsed)


def probes(experiment: Experiment, base: Evaluation = AS_TRAINED) -> dict[str, Evaluation]:
    """The probes that make sense for a run, by their names; none for a modality alone.

    `base` says on which clips, and how many spans of them.
    """
    model = experiment.model.canonical()
    names, found = model.modalities, dict[str, Evaluation]()
    if len(names) == 1:
        return found
    if model.fusion != "late" and model.runs_late:
        what = "bottlenecks" if model.bottleneck else "fusion"
        found[f"{what} off"] = replace(base, fusion="late")
    for m in names:
        found[f"{m} removed"] = replace(base, removed=(m,))
    for some in _coalitions(names):
        if some:
            found[f"{' and '.join(some)} averaged"] = replace(base, averaged=some)
    for m in names:
        found[f"{m} shuffled"] = replace(base, shuffled=m)
    if {"audio", "video"} <= {*names}:
        for ms in SHIFTS_MS:
            if abs(ms) <= 500 * experiment.data.views.span_s:
                when = "later" if ms > 0 else "earlier"
                found[f"sound {abs(ms)} ms {when}"] = replace(base, shift_ms=ms)
    if 1 < model.bottlenecks <= MOST_TOKENS:
        for token in range(1, model.bottlenecks + 1):
            found[f"token {token} removed"] = replace(base, without_token=token)
    return found


def meaning(how: Evaluation, model: Model) -> str:
    """What a probe does to a model, in few words."""
    if how.removed:
        return model.removal(how.removed[0])
    if how.averaged:
        return "the mean view over the validation clips for every clip"
    if how.shuffled:
        return f"the {how.shuffled} of another clip, always the same one"
    if how.shift_ms:
        return "against the picture; silence where the clip has no sound"
    if how.without_token:
        return "a bottleneck token less in every layer"
    return "every modality reads its own tokens alone"


def shapley(values: Mapping[frozenset[str], float]) -> dict[str, float]:
    """What each player adds, on average over all orders in which they come together, by the value
    of every coalition of them (Shapley 1953). Their sum is the value of all less that of none."""
    players = sorted(frozenset[str]().union(*values))
    n, found = len(players), dict.fromkeys(players, 0.0)
    for before, value in values.items():
        for player in players:
            if player not in before:
                weight = factorial(len(before)) * factorial(n - len(before) - 1) / factorial(n)
                found[player] += weight * (values[before | {player}] - value)
    return found


def unprobed(run: Run, base: Evaluation = AS_TRAINED) -> bool:
    """Whether a finished run lacks any of its probes."""
    hows = [base, *probes(run.experiment, base).values()]
    return run.attention(base) is None or any(run.figures(how) is None for how in hows)


def probed(run: Run, base: Evaluation = AS_TRAINED) -> Probed | None:
    """What the probes of a run found, from its record; None where one of them is not there."""
    if unprobed(run, base):
        return None
    measure, asked = run.task.primary, probes(run.experiment, base)
    whole = _value(run, base, measure)
    found = []
    for name, how in asked.items():
        value = _value(run, how, measure)
        change = None if value is None or whole is None else value - whole
        found.append(Probe(name, meaning(how, run.experiment.model), how, value, change))
    names = run.experiment.model.canonical().modalities
    values = {
        frozenset(names) - {*some}: _value(run, replace(base, averaged=some), measure)
        for some in (_coalitions(names) if asked else ())
    }
    known = {of: value for of, value in values.items() if value is not None}
    lines = [Attended(**line) for line in run.attention(base) or []]
    return Probed(
        measure=measure,
        as_trained=whole,
        probes=tuple(found),
        shapley=shapley(known) if len(known) == len(values) else {},
        value_function=f"{base.split} {measure} where every modality that is not there shows each"
        " clip its mean view over the validation clips",
        nothing=values.get(frozenset()),
        attention=tuple(lines),
    )


def _value(run: Run, how: Evaluation, measure: str) -> float | None:
    found: dict[str, Any] = run.figures(how) or {}
    return found.get(measure)


def _coalitions(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every set of modalities, the empty one first."""
    for size in range(len(names) + 1):
        yield from combinations(names, size)
