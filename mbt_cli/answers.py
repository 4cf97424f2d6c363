"""What the probes of a run found, as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType

from mbt_cli.columns import page, table
from mbt_cli.probes import COLLAPSED, Attended, Probed


def of_probes(found: Probed) -> Group:
    """Every probe, what each modality is worth, and what every line reads."""
    measure = found.measure
    values = [found.as_trained, *(probe.value for probe in found.probes)]
    parts: list[RenderableType] = [
        table(
            ("probe", ["as trained", *(probe.name for probe in found.probes)]),
            ("what it means", ["", *(probe.meaning for probe in found.probes)]),
            (measure, [_number(value) for value in values]),
            ("change", ["", *(_change(probe.change) for probe in found.probes)]),
        )
    ]
    if found.shapley:
        parts += [
            table(
                ("modality", list(found.shapley)),
                ("Shapley value", [_change(value) for value in found.shapley.values()]),
            ),
            f"Value function: {found.value_function}. The values add up to {measure} as trained"
            f" less {_number(found.nothing)}, that of no modality.",
        ]
    lines = found.attention
    streams = list(dict.fromkeys(stream for line in lines for stream in line.reads))
    queries = [(line, stream) for line in lines for stream in line.writes]
    reads = table(
        ("layer", [str(line.layer) for line, _ in queries]),
        ("line", [line.name for line, _ in queries]),
        ("entropy", [_number(line.entropy) for line, _ in queries]),
        ("queries of", [stream for _, stream in queries]),
        *((f"read\n{s}", [_share(line, of, s) for line, of in queries]) for s in streams),
    )
    return page(*parts, reads, _of_attention(lines))


def _of_attention(lines: Sequence[Attended]) -> str:
    clips = min((line.clips for line in lines), default=0)
    low = [f"layer {line.layer}, {line.name}" for line in lines if line.collapsed]
    return (
        f"Attention in the first {clips} clips, mean over clips, heads and queries. Entropy: of a"
        " query's attention, over that of equal shares; 0 is one key, 1 all keys alike. Read: the"
        " share of the attention, in brackets that of equal shares. Collapsed (entropy below"
        f" {COLLAPSED:g}): {'; '.join(low) or 'none'}."
    )


def _share(line: Attended, queries: str, keys: str) -> str:
    if keys not in line.alike:
        return ""
    return f"{100 * line.shares[queries][keys]:.0f} % ({100 * line.alike[keys]:.0f} %)"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _change(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
