"""Is the engine, which runs any wiring, as fast as timm's blocks wired by hand for one strategy?

Both sides have the same weights and compute the same logits and gradients, which is checked first.
The two sides of a pair take turns call by call, in random order, and the pairs of all strategies
take turns too, so that a machine that slows down slows all. The statistic is the median over pairs
of ours over theirs, with a 95 % interval by bootstrap of the pairs.

No block of timm reads another context. Cross-attention's rival is its published form: each
modality's block over all tokens, the others' rows thrown away. It is also held against late
fusion: does it cost what its multiply-accumulates (MACs) say? GMAC/s takes a training step as
three forward passes; its share is of a plain matrix product's rate, measured in the same turns.

    python benchmarks/engine.py            # 11 minutes on two cores
    python benchmarks/engine.py --quick    # 15 seconds: small, float32, one thread, few pairs
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from math import ceil

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import bootstrap
from torch import nn
from torch.testing import assert_close

from mbt_cli.architecture import MBT
from mbt_cli.cost import cost
from mbt_cli.data.world import CLASSES
from mbt_cli.dataset import Synthetic, Views
from mbt_cli.experiment import Experiment, Training
from mbt_cli.model import build
from mbt_cli.recipes import recipe
from rivals.timm_blocks import RIVALS, Tensors, in_timm

LIMIT = 1.05
SAMPLE_S = 0.04
"""A sample is the median of as many calls as take about so long; of one, at the large size."""

Call = Callable[[], object]

SMALL = recipe("synthetic")
LARGE = Experiment(
    data=Synthetic(views=Views(span_s=1.28, frames=4, size=112, mel_bins=192)),
    model=MBT(fusion_layer=8, bottlenecks=5, width=192, heads=3, head_init="xavier"),
    training=Training(batch_size=4),
)  # 96 audio and 196 video patches, and CLS
SIZES = {
    "synthetic": (SMALL, len(CLASSES), {}),
    "width 192": (LARGE, 527, {"cross_attention": 0, "self_attention": 0}),
}
"""An experiment, its classes, and L_f where a strategy is run with another one."""


def pair(experiment: Experiment, classes: int, views: Tensors) -> tuple[nn.Module, nn.Module]:
    """Our model and its rival, of the same random weights; fails unless they compute the same."""
    spec, shapes = experiment.model, experiment.data.views.shapes
    ours, rival = build(spec, shapes, classes), RIVALS[spec.fusion](spec, shapes, classes)
    with torch.no_grad():
        for parameter in ours.parameters():  # no bias, CLS or norm may stay at 0 or 1
            parameter += 0.02 * torch.randn_like(parameter)
    rival.load_state_dict({in_timm(name): value for name, value in ours.state_dict().items()})
    for model in (ours, rival):
        step(model, views, torch.float32, True)()
    for m, logits in ours(views).items():
        assert_close(rival(views)[m], logits, rtol=0, atol=1e-4)
    theirs = dict(rival.named_parameters())
    for name, parameter in ours.named_parameters():
        size = float(parameter.grad.abs().max())
        assert_close(theirs[in_timm(name)].grad, parameter.grad, rtol=0, atol=1e-3 * size)
    return ours, rival


def step(model: nn.Module, views: Tensors, dtype: torch.dtype, train: bool) -> Call:
    """A forward pass in evaluation mode; or one in training mode, and back from squared logits."""
    autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=dtype == torch.bfloat16)

    def forward() -> None:
        with torch.inference_mode(), autocast():
            model(views)

    def both() -> None:
        model.zero_grad(set_to_none=True)
        with autocast():
            loss = sum(logits.square().sum() for logits in model(views).values())
        loss.backward()

    model.train(train)
    return both if train else forward


def seconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def samples(cases: dict[str, list[Call]], pairs: int) -> dict[str, np.ndarray]:
    """Seconds of each case's calls, (pairs, calls)."""
    rng = np.random.default_rng(0)
    found = {name: np.empty((pairs, len(calls))) for name, calls in cases.items()}
    for _ in ("cold", "warm"):
        fastest = {name: min(map(seconds, calls)) for name, calls in cases.items()}
    for i in range(pairs):
        for name in rng.permutation(list(cases)):
            calls = cases[name]
            taken = np.empty((ceil(SAMPLE_S / fastest[name]), len(calls)))
            for row in taken:
                for side in rng.permutation(len(calls)):
                    row[side] = seconds(calls[side])
            found[name][i] = np.median(taken, 0)
    return found


def interval(ratios: np.ndarray) -> tuple[float, list[str]]:
    """The upper end of the median's 95 % interval; and the median and both ends, as text."""
    found = bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    return float(high), [f"{np.median(ratios):.3f}", f"{low:.3f} to {high:.3f}"]


def table(title: str, *columns: str) -> Table:
    made = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(made.columns):
        column.no_wrap, column.justify = True, "left" if i < 3 else "right"
    return made


def measure(
    size: str, settings: Sequence[tuple[torch.dtype, int, bool]], pairs: int, console: Console
) -> tuple[float, float]:
    """Prints one size's tables; the largest upper bounds, over timm and of cross over late."""
    base, classes, layers = SIZES[size]
    batch, shapes = base.training.batch_size, base.data.views.shapes
    views = {m: torch.randn(batch, *shape) for m, shape in shapes.items()}
    models, macs = {}, {}
    for fusion in RIVALS:
        layer = layers.get(fusion, base.model.fusion_layer)
        one = base.at("model.fusion", fusion).at("model.fusion_layer", layer).canonical()
        models[fusion] = pair(one, classes, views)
        macs[fusion] = batch * cost(one, classes).macs
    extra = macs["cross_attention"] / macs["late"]
    gc.freeze()  # what there is by now is not searched for garbage while the clock runs

    rows = table(
        f"{size}, batch {batch}: ours over timm's blocks", "strategy", "pass", "dtype", "threads",
        "ours ms", "timm ms", "ratio", "95 % interval", "GMAC/s", "matmul", "share",
    )  # fmt: skip
    crossed = table(
        f"{size}: cross-attention over late fusion", "strategies", "pass", "dtype", "threads",
        "time ratio", "MAC ratio", "quotient", "95 % interval",
    )  # fmt: skip
    bounds, crossings = [], []
    for dtype, threads, train in track(settings, size, console=Console(stderr=True)):
        torch.set_num_threads(threads)
        square = torch.randn(1024, 1024).to(dtype)
        cases = {f: [step(model, views, dtype, train) for model in models[f]] for f in RIVALS}
        found = samples(cases | {"matmul": [partial(torch.mm, square, square)]}, pairs)
        what = ("train" if train else "forward", str(dtype).removeprefix("torch."), str(threads))
        rate = len(square) ** 3 / np.median(found.pop("matmul")) / 1e9
        for fusion, times in found.items():
            ours, theirs = np.median(times, 0)
            reached = macs[fusion] * (3 if train else 1) / ours / 1e9
            high, said = interval(times[:, 0] / times[:, 1])
            bounds.append(high)
            rows.add_row(
                fusion, *what, f"{ours * 1e3:.2f}", f"{theirs * 1e3:.2f}", *said,
                f"{reached:.1f}", f"{rate:.0f}", f"{reached / rate:.0%}",
            )  # fmt: skip
        taken = found["cross_attention"][:, 0] / found["late"][:, 0]
        high, said = interval(taken / extra)
        crossings.append(high)
        crossed.add_row("cross / late", *what, f"{np.median(taken):.3f}", f"{extra:.3f}", *said)
    console.print(rows, crossed)
    return max(bounds), max(crossings)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="small, float32, one thread, 5 pairs")
    parser.add_argument("--size", choices=SIZES, help="one size alone")
    asked = parser.parse_args()
    some = slice(1 if asked.quick else None)
    dtypes, threads = (torch.float32, torch.bfloat16)[some], (1, 2)[some]
    sizes = [asked.size] if asked.size else list(SIZES)[some]
    pairs = 5 if asked.quick else asked.pairs

    torch.manual_seed(0)
    console, settings = Console(width=120), list(product(dtypes, threads, (False, True)))
    highest = [measure(size, settings, pairs, console) for size in sizes]
    bound, crossing = (max(ends) for ends in zip(*highest, strict=True))
    print(f"largest upper bound of cross over late, in time over in MACs: {crossing:.3f}")
    verdict = "at most" if bound <= LIMIT else "more than"
    print(f"largest upper bound of ours over timm's: {bound:.3f}, {verdict} {LIMIT}")


if __name__ == "__main__":
    main()
