"""Costs as tables for a terminal, each with the words that say what is counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mbt_cli import settings
from mbt_cli.ablate import Planned
from mbt_cli.architecture.attend_fusion import PRESETS
from mbt_cli.columns import Column, page, table
from mbt_cli.data.manifest import Manifest
from mbt_cli.experiment import Evaluation
from mbt_cli.measure import MIB, Measured
from mbt_cli.names import models, plain, value, word
from mbt_cli.pace import WARM_UP
from mbt_cli.prices import Price
from mbt_cli.published import CONVENTIONS, SOURCE, Point, farthest
from mbt_cli.runs import FAILED, Run
from mbt_cli.study import Study
from mbt_cli.terminal import headline
from mbt_cli.words import count

SAME = "="
"""In place of a number that is the executed one."""


def plan_table(planned: Sequence[Planned], study: Study) -> Table:
    """Every run of a plan with its price. Wide ones are to be printed uncropped."""
    runs = [run.experiment for run in planned]
    return table(
        ("key", [run.key for run in planned]),
        ("strategy", [run.model.strategy for run in runs]),
        ("L_f", [run.model.layer for run in runs]),
        *((word(name), [str(plain(value(one, name))) for one in runs]) for name in study.further),
        ("seed", [str(run.training.seed) for run in runs]),
        ("parameters", [f"{run.cost.parameters:,}" for run in planned]),
        ("GMACs", _aligned([run.cost.gmacs for run in planned])),
        ("GFLOPs", _aligned([run.cost.gflops for run in planned])),
        ("over\nlate", [f"{run.overhead:+.1%}" for run in planned]),
        ("state", [run.state for run in planned]),
    )


def price(planned: Sequence[Planned], manifest: Manifest) -> str:
    """What a plan will take, in one line: a training step costs about three forward passes."""
    todo = [run for run in planned if run.todo]
    left = sum(run.state == FAILED and not run.todo for run in planned)
    done = len(planned) - len(todo) - left
    failed = f" {left} failed," if left else ""
    clips = manifest.count("train")
    tflops = sum(3 * run.cost.gflops * clips * run.experiment.training.epochs for run in todo) / 1e3
    return (
        f"{count(len(planned), 'run')}: {done} finished,{failed} {len(todo)} to do,"
        f" about {tflops:,.3g} TFLOP of training on {clips:,} clips."
    )


def of_runs(runs: Sequence[Run]) -> Group:
    """Every run: what it is, how it went, what it takes on disk."""
    each = [run.experiment for run in runs]
    sizes = [sum(run.files().values()) / MIB for run in runs]
    states = Counter(run.state for run in runs)
    said = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
    return page(
        table(
            ("key", [run.key for run in runs]),
            ("data", [one.data.dataset for one in each]),
            ("strategy", [one.model.strategy for one in each]),
            ("L_f", [one.model.layer for one in each]),
            ("seed", [str(one.training.seed) for one in each]),
            ("test", [_figure(run) for run in runs]),
            ("MiB", [f"{size:,.1f}" for size in sizes]),
            ("state", [run.state for run in runs]),
        ),
        f"Runs: {len(runs)} ({said}), {sum(sizes):,.1f} MiB. Test: mAP, or top-1 where a clip has"
        " one label, or GAP where its labels are some of very many. A run that is running may have"
        " been killed: ablate goes on with it.",
    )


def of_run(run: Run) -> Group:
    """All that is recorded of one run."""
    one, status = run.experiment, run.status
    changed = {n: v for n, v in one.changed().items() if n != "data.fingerprint"}
    took = f"{status['seconds']:.1f} s, best epoch {status['epoch']}" if "seconds" in status else ""
    if status.get("micro_batch", one.training.batch_size) < one.training.batch_size:
        took += f", {status['micro_batch']} clips at a time (memory was short)"
    facts = {
        "run": f"{run.key}: {one.title}, seed {one.training.seed}",
        "state": run.state,
        "started": status.get("started", ""),
        "written": status.get("written", ""),
        "training": took,
        "data": f"{one.data.dataset}, clips {one.data.fingerprint}",
        "cost": f"{run.cost.parameters:,} parameters, {run.cost.gmacs:.4g} GMACs,"
        f" {run.cost.gflops:.4g} GFLOPs",
        "code": run.facts["code"],
        "not at its default": _settings(changed),
    }
    for how, figures in run.evaluations():
        facts[f"scored {_settings(how.changed()) or 'on test, as trained'}"] = headline(figures)
    facts["error"] = run.trouble
    grid = Table.grid(padding=(0, 2))
    for name, said in facts.items():
        if said:
            grid.add_row(Text(name, style="bold"), Text(said))
    files = run.files()
    return page(
        grid,
        table(("file", list(files)), ("KiB", [f"{size / 1024:,.1f}" for size in files.values()])),
        f"In {run.folder}",
    )


def of_prices(found: Sequence[Price], fields: Sequence[str]) -> Group:
    """What each cell costs, and what is counted. Wide ones are to be printed uncropped."""
    gmacs = [price.cost.gmacs for price in found]
    published = _aligned([price.published / 1e9 for price in found])
    over = [f"{price.published_over_late:+.1%}" for price in found]
    other = [price.published != price.cost.macs for price in found]
    classes = " or ".join(f"{n:,}" for n in sorted({price.classes for price in found}))
    return page(
        table(
            *_named(found, fields),
            ("parameters", [f"{price.cost.parameters:,}" for price in found]),
            ("GMACs", _aligned(gmacs)),
            ("GFLOPs", _aligned([price.cost.gflops for price in found])),
            ("over\nlate", [f"{price.over_late:+.1%}" for price in found]),
            ("GMACs as\npublished", _where(other, published)),
            ("over\nlate", _where(other, over)),
        ),
        f"One clip, one view, forward pass, {classes} classes. Counted are the matrix products;"
        " 1 GMAC (10⁹ multiply-accumulates) is 2 GFLOPs. Over late: against late fusion in the"
        " same model. As published: the official code runs each encoder of cross-attention over all"
        " the tokens it reads and throws the others' rows away, for the same output;"
        f" {SAME} where that changes nothing.",
        *_reconstructed(found),
    )


def _reconstructed(found: Sequence[Price]) -> list[str]:
    """Of models whose layers are not known, but their number of parameters is."""
    said = []
    for price in found:
        for preset in PRESETS.values():
            made, stated = price.cost.parameters, preset.stated
            if preset.made_of(price.cell.model) and price.classes == preset.classes:
                said.append(
                    f"{price.cell.model.title} with {made:,} parameters is a reconstruction to the"
                    f" stated total of {stated / 1e6:g} M ({preset.source};"
                    f" {made / stated - 1:+.2%}):"
                    " its layers were not printed."
                )
    return said


def of_measured(
    found: Sequence[Price], measured: Sequence[Measured], fields: Sequence[str]
) -> Group:
    """What each cell took here, and what exactly was measured, on what."""
    one = measured[0]
    precisions = " or ".join(sorted({one.precision for one in measured}))
    on = one.device_name + ("" if one.device == "cpu" else f" ({one.device})")
    grows = "what torch allocates there" if one.device.startswith("cuda") else "resident memory"
    return page(
        table(
            *_named(found, fields),
            ("GMACs", _aligned([price.cost.gmacs for price in found])),
            ("median ms", [f"{one.median_ms:#.4g}" for one in measured]),
            ("quartiles ms", [f"{one.q1_ms:#.4g} to {one.q3_ms:#.4g}" for one in measured]),
            ("passes", [str(one.passes) for one in measured]),
            ("peak MiB", [f"{one.peak_mib:,.1f}" for one in measured]),
        ),
        f"Measured on {on}, CPU threads: {one.threads}, torch {one.torch}: forward passes of one"
        f" clip (batch 1, evaluation mode, {precisions}) after {WARM_UP} to warm up, each cell in a"
        " fresh process. Half of the passes lie between the quartiles. Peak: how far"
        f" {grows} grows from before the model is built; its weights are in it, the clip and the"
        " libraries are not.",
    )


def of_paper(points: Sequence[Point]) -> Group:
    """Under which conventions, Fig. 3 (right) beside our formula, and how far off that is."""
    far = farthest(points)
    size = f"{100 * abs(far.deviation):.2f} %"
    return page(
        "\n".join((f"{SOURCE}:", *(f"- {one}" for one in CONVENTIONS))),
        table(
            ("strategy", [point.fusion for point in points]),
            ("L_f", [str(point.fusion_layer) for point in points]),
            ("printed\nGFLOPs", [f"{point.printed_gflops:.2f}" for point in points]),
            ("our\nGMACs", [f"{point.gmacs:.2f}" for point in points]),
            ("deviation", [f"{point.deviation:+.2%}" for point in points]),
        ),
        f"Largest deviation: {size} ({far.fusion} at L_f = {far.fusion_layer})",
    )


def _named(found: Sequence[Price], fields: Sequence[str]) -> list[Column]:
    """The columns that say which cell it is."""
    cells = [price.cell for price in found]
    return [
        *(
            [("model", models(cells))]
            if len({one.model.family for one in cells}) > 1
            else [
                ("strategy", [one.model.strategy for one in cells]),
                ("L_f", [one.model.layer for one in cells]),
            ]
        ),
        *((word(field), [str(plain(value(one, field))) for one in cells]) for field in fields),
    ]


def _settings(values: Mapping[str, Any]) -> str:
    """As --set takes them."""
    return " ".join(f"{name}={settings.text(value)}" for name, value in values.items())


def _figure(run: Run) -> str:
    """A run's first figure on test, as far as it has one."""
    value = (run.figures(Evaluation()) or {}).get(run.task.primary)
    return "" if value is None else f"{value:.3f}"


def _where(other: Sequence[bool], texts: Sequence[str]) -> list[str]:
    """The texts, or the sign for what is the same."""
    return [text if differs else SAME for differs, text in zip(other, texts, strict=True)]


def _aligned(values: Sequence[float]) -> list[str]:
    """Numbers of one column: as many decimals as give the smallest of them four digits."""
    decimals = max(0, 3 - floor(log10(min(values))))
    return [f"{value:,.{decimals}f}" for value in values]
