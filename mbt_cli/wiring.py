"""Which tokens read which: the one place where fusion strategies differ.

A layer is a chain of steps joined by "then", a step a set of lines joined by ";". A line is one
transformer block: on its left the streams it rewrites (its queries), on its right the streams it
reads (its keys and values).

    "video fsn <- video fsn; audio fsn <- audio fsn"

All lines of a step read what was there before the step; a stream that several of them rewrite
takes their mean; the next step reads what this one wrote. A stream nobody rewrites stays.
Streams are the modalities of a clip, by name, and `fsn`, the bottleneck tokens. Three words let
a strategy be written once for any number of modalities:

    each    one line for every modality          "each <- each"
    all     every modality, in one line          "all <- all"
    rest    one line for every modality that no line names

With z_i the tokens of modality i, f the bottleneck tokens and T(x, y; θ) a block of queries x
and context y:

    late               z_i'          = T(z_i, z_i; θ_i)
    cross_attention    z_i'          = T(z_i, [z_1 ‖ z_2 ..]; θ_i)
    self_attention     [z_1' ‖ ..]   = T([z_1 ‖ ..], [z_1 ‖ ..]; θ)
    bottleneck         [z_i' ‖ f_i'] = T([z_i ‖ f], [z_i ‖ f]; θ_i),   f' = mean_i f_i'

Nagrani et al. 2021, Attention Bottlenecks for Multimodal Fusion, sec. 3.2 and app. A.1:
arxiv.org/abs/2107.00135
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mbt_cli.errors import MbtError, UnknownName

FUSIONS = {
    "late": "each <- each",
    "cross_attention": "each <- all",
    "self_attention": "all <- all",
    "bottleneck": "each fsn <- each fsn",
    "bottleneck_video_first": "video fsn <- video fsn then rest fsn <- rest fsn",
    "bottleneck_audio_first": "audio fsn <- audio fsn then rest fsn <- rest fsn",
}
"""Fusion strategies by name. A new one is one entry; the tests take it up by themselves."""

FSN = "fsn"
"""The stream no modality fills: bottleneck tokens, learned and carried from layer to layer."""

_WORDS = ("each", "all", "rest")


@dataclass(frozen=True)
class Line:
    """One block: the streams it writes, from the streams it reads."""

    writes: tuple[str, ...]
    reads: tuple[str, ...]


Step = tuple[Line, ...]
Wiring = tuple[Step, ...]
"""The steps of one layer."""


def parse(text: str, modalities: Sequence[str]) -> Wiring:
    """The steps that `text` (a name in FUSIONS, or a wiring) means for these modalities.

    Raises MbtError where the text is no wiring, UnknownName where it names an absent stream.
    """
    if "<-" not in text:
        if text not in FUSIONS:
            raise UnknownName("fusion strategy", text, FUSIONS)
        text = FUSIONS[text]
    steps = [[_sides(line) for line in step.split(";")] for step in text.split(" then ")]
    sides = [side for step in steps for line in step for side in line]
    named = {stream for side in sides for stream in side} - set(_WORDS)
    for stream in sorted(named):
        if stream not in (*modalities, FSN):
            raise UnknownName("stream", stream, [*modalities, FSN, *_WORDS])
    rest = [m for m in modalities if m not in named]
    wired = (tuple(w for line in step for w in _expand(line, modalities, rest)) for step in steps)
    return tuple(step for step in wired if step)


def name_of(wiring: Wiring, modalities: Sequence[str]) -> str | None:
    """The first name in FUSIONS that means this wiring for these modalities."""
    for name in FUSIONS:
        try:
            if parse(name, modalities) == wiring:
                return name
        except UnknownName:
            continue  # a strategy that names a modality this model is not given
    return None


def tidy(text: str) -> str:
    """A wiring's text with one space where there may be any; a name stays as it is."""
    if "<-" not in text:
        return text
    steps = (map(_sides, step.split(";")) for step in text.split(" then "))
    return " then ".join(
        "; ".join(f"{' '.join(left)} <- {' '.join(right)}" for left, right in step)
        for step in steps
    )


def without(wiring: Wiring, stream: str) -> Wiring:
    """The same steps where that stream has no tokens; lines that would do nothing fall away."""

    def rest(side: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in side if name != stream)

    steps = (tuple(Line(rest(line.writes), rest(line.reads)) for line in step) for step in wiring)
    kept = (tuple(line for line in step if line.writes and line.reads) for step in steps)
    return tuple(step for step in kept if step)


def layers(fusion: str, fusion_layer: int, depth: int, modalities: Sequence[str]) -> list[Wiring]:
    """The wiring of every layer: late below `fusion_layer` (L_f), `fusion` from there up.

    A modality alone has nothing to fuse: every strategy by name is late fusion then, as in the
    official code; a wiring that is written out is run as it reads.
    """
    late, fused = parse("late", modalities), parse(fusion, modalities)
    if len(modalities) == 1 and fusion in FUSIONS:
        fused = late
    return [late if layer < fusion_layer else fused for layer in range(depth)]


def live(layers: Sequence[Wiring], outputs: Collection[str]) -> list[Wiring]:
    """The same layers without the lines on which none of `outputs` depends.

    A stream that nobody reads later leaves a line's left side too, unless the line itself reads
    it: the bottleneck tokens of the last layer stay, as in the paper, whose cost counts them.
    """
    needed, kept = set(outputs), list[Wiring]()
    for wiring in reversed(layers):
        steps: list[Step] = []
        for step in reversed(wiring):
            lines = tuple(
                Line(tuple(w for w in line.writes if w in needed or w in line.reads), line.reads)
                for line in step
                if not needed.isdisjoint(line.writes)
            )
            needed = needed.union(*(line.reads for line in lines))
            steps = [lines, *steps] if lines else steps
        kept = [tuple(steps), *kept]
    return kept


def matched(wiring: Wiring, trained: Wiring) -> list[int] | None:
    """For each line of a wiring, which line of another writes the same modalities; of several the
    first that is free. None where any line of either is left without."""
    has, found = [_modalities(line) for step in trained for line in step], list[int]()
    for line in (line for step in wiring for line in step):
        free = [i for i, one in enumerate(has) if one == _modalities(line) and i not in found]
        found += free[:1] or [-1]
    return found if sorted(found) == list(range(len(has))) else None


def streams(layers: Iterable[Wiring]) -> set[str]:
    """Every stream that these layers write or read."""
    return {s for step in _steps(layers) for line in step for s in line.writes + line.reads}


def reach(layers: Iterable[Wiring], modalities: Collection[str]) -> dict[str, set[str]]:
    """For each stream, the modalities its tokens can depend on after these layers."""
    seen: dict[str, set[str]] = {m: {m} for m in modalities} | {FSN: set()}
    for step in _steps(layers):
        before = dict(seen)
        for line in step:
            read = set().union(*(before[r] for r in line.reads))
            for w in line.writes:
                seen[w] = seen[w] | read
    return seen


def exchanges(layers: Iterable[Wiring], modalities: Collection[str]) -> bool:
    """Whether any modality's tokens end up depending on another modality.

    False for late fusion, and for a symmetric bottleneck in the last layer alone: what one
    modality writes there, no later layer reads.
    """
    after = reach(layers, modalities)
    return any(after[m] != {m} for m in modalities)


def _modalities(line: Line) -> set[str]:
    return {*line.writes} - {FSN}


def _sides(line: str) -> tuple[list[str], list[str]]:
    left, arrow, right = line.partition("<-")
    if not (arrow and left.split() and right.split()) or "<-" in right:
        raise MbtError(
            f"A line of a wiring reads 'audio fsn <- audio fsn', but '{line.strip()}' does not."
        )
    return left.split(), right.split()


def _expand(
    line: tuple[list[str], list[str]], modalities: Sequence[str], rest: Sequence[str]
) -> list[Line]:
    words = sorted({"each", "rest"} & {*line[0], *line[1]})
    if len(words) == 2:
        raise MbtError("A line of a wiring may say 'each' or 'rest', but one line says both.")
    word = words[0] if words else ""
    turns = {"each": modalities, "rest": rest}.get(word, [word])

    def streams(side: list[str], turn: str) -> tuple[str, ...]:
        names = [
            n for w in side for n in (modalities if w == "all" else [turn if w == word else w])
        ]
        return tuple(dict.fromkeys(names))

    return [Line(streams(line[0], turn), streams(line[1], turn)) for turn in turns]


def _steps(layers: Iterable[Wiring]) -> Iterable[Step]:
    return (step for wiring in layers for step in wiring)
