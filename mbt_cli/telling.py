"""What a look at a video, or at clips of features, found: tables for a terminal."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mbt_cli.categories import Category, Gaze
from mbt_cli.columns import page, table
from mbt_cli.look import Look
from mbt_cli.rollout import LEARNED


def told(one: Look) -> Group:
    """Labels, where they came from, what crossed over. Wide ones are to be printed uncropped."""
    parts = [_labels(one), *_came(one), *(_crossed(one) if one.rollout.crossings else [])]
    return Group(*[line for part in parts for line in (Text(), part)])


def of_categories(one: Gaze) -> Group:
    """What a run reads of features, by category."""
    every = one.categories
    columns = [
        ("category", [of.name for of in every]),
        ("clips", [f"{of.clips:,}" for of in every]),
    ]
    if one.of_answer:
        for stream in one.tokens:
            columns.append((f"from\n{stream}", [_percent(of.parts[stream]) for of in every]))
        learned = [_percent(1 - sum(of.parts.values())) for of in every]
        columns.append(("learned\ntokens", learned))
    for stream, names in one.tokens.items():
        columns.append((f"most read\nof {stream}", [_most(of, stream, names) for of in every]))
    columns.append(("entropy", [_entropy(of) for of in every]))
    low = [name for name, is_ in zip(one.lines, every[0].collapsed, strict=True) if is_]
    said = f"Collapsed over all clips: {'; '.join(low) or 'no line'}."
    return page(table(*columns), " ".join((*one.notes, said)))


def _most(of: Category, stream: str, names: Sequence[str]) -> str:
    place = of.most(stream)
    return f"{names[place]} ({of.times[stream][place]:.2f})"


def _entropy(of: Category) -> str:
    if of.entropy is None:
        return "one key"
    low = int(of.collapsed.sum())
    return f"{of.entropy:.2f}" + (f", {low} of {len(of.lines)} collapsed" if low else "")


def _labels(one: Look) -> Table:
    answer = one.answer.items()
    if one.truth is None:
        return _table(("label", "score"), [(name, f"{score:.3f}") for name, score in answer])
    return _table(("label", "score", "truth"), [
        (name, f"{score:.3f}", "yes" if name in one.truth else "no") for name, score in answer
    ])  # fmt: skip


def _came(one: Look) -> tuple[Table, Text]:
    found = one.rollout
    origins = [*found.heat, LEARNED]
    heads = ("output", "of the answer", *(f"{m} patches" for m in found.heat), "learned tokens")
    rows = [
        (f"{m}", _percent(weight), *(_percent(found.shares[m][origin]) for origin in origins))
        for m, weight in found.weights.items()
    ]
    if len(rows) > 1:
        whole = [sum(w * found.shares[m][o] for m, w in found.weights.items()) for o in origins]
        rows.append(("together", _percent(1.0), *map(_percent, whole)))
    return _table(heads, rows), Text(
        "Where the answer came from, by attention rollout. Learned tokens (CLS, bottlenecks) are"
        " the same for every clip."
    )


def _crossed(one: Look) -> tuple[Table, Text]:
    crossings = one.rollout.crossings
    tokens = range(1, 1 + len(crossings[0].through))
    heads = ("crossed", "of the output", *(f"token {k}" for k in tokens), "directly")
    rows = [
        (
            f"{crossing.source} -> {crossing.target}",
            _percent(sum(crossing.through) + crossing.directly),
            *map(_percent, crossing.through),
            _percent(crossing.directly),
        )
        for crossing in crossings
    ]
    return _table(heads, rows), Text(
        "How much of an output came from the tokens of the other modality (its CLS token is one of"
        " them), by the bottleneck token through which it first crossed; directly: without one."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    columns = zip(*rows, strict=True)
    return table(*((head, list(texts)) for head, texts in zip(heads, columns, strict=True)))
