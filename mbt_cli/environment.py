"""What a run ran on, and which code it ran: recorded beside its key, never part of it."""

import os
import platform
import subprocess
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mbt_cli.errors import MbtError

PACKAGES = ("mbt-cli", "torch", "torchaudio", "numpy", "av", "scikit-learn", "einops")
HERE = Path(__file__).parent
DECIDES = (
    "wiring",
    "architecture",
    "model",
    "data",
    "train",
    "scoring",
    "tally",
    "disguise",
    "feed",
    "stream",
    "memory",
    "descent",
    "progress",
    "loss",
    "mixup",
    "metrics",
    "tagging",
    "task",
)
"""What of the package can change a result."""


@cache
def code() -> str:
    """Twelve hex digits for the code that can change a result."""
    sum_ = blake2b(digest_size=6)
    for name in DECIDES:
        files = sorted((HERE / name).rglob("*.py")) or [HERE / f"{name}.py"]
        for file in files:
            sum_.update(file.relative_to(HERE).as_posix().encode() + file.read_bytes())
    return sum_.hexdigest()


def environment(device: str) -> dict[str, Any]:
    """Versions, machine and git state, as plain values."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    return {
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
        "platform": platform.platform(),
        "device": device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "git": _git(),
    }


def device_of(name: str) -> str:
    """A torch device; "auto" is the GPU where there is one. Raises MbtError for one that is not."""
    import torch

    found = [
        d for d, has in (("cuda", torch.cuda), ("mps", torch.backends.mps)) if has.is_available()
    ]
    if name == "auto":
        return next(iter(found), "cpu")
    if name.partition(":")[0] not in (*found, "cpu"):
        raise MbtError(f"--device {name} is not here. There are: {', '.join(['cpu', *found])}.")
    return name


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def _processor() -> str:
    """The processor's name; Linux keeps it in /proc."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _git() -> dict[str, Any] | None:
    """Commit of the package's checkout and whether it was changed since; None where it is none."""
    try:
        found = [
            subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True, check=True)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": found[0].stdout.strip(), "changed": bool(found[1].stdout.strip())}
