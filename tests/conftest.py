"""What several rooms' tests need: a small world in a cache of its own, and the command itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
TINY = ("--set", "data.train=48", "--set", "data.validation=24", "--set", "data.test=24",
        "--set", "training.epochs=1")  # fmt: skip
PAIR = '''"""Which of two?

For the tests.
"""

from mbt_cli.grid import Grid


def cells(base):
    return [base.at("model.fusion", fusion) for fusion in ("late", "bottleneck")]


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion")
'''


@dataclass(frozen=True)
class Command:
    """The command line as a user has it, with a cache of its own."""

    cache: Path

    def __call__(self, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mbt_cli", *map(str, words)],
            capture_output=True, text=True, timeout=300,
            env=os.environ | {"MBT_CACHE": str(self.cache), "COLUMNS": "200"} | env,
        )  # fmt: skip


@pytest.fixture(scope="session")
def mbt(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow store for the tests that do not look into it: making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in this process: no new one has to import everything."""
    from mbt_cli.cli import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["mbt-cli", *map(str, words)])
        handlers = {ask: signal.getsignal(ask) for ask in (signal.SIGINT, signal.SIGTERM)}
        try:
            with pytest.raises(SystemExit) as left:
                main()
        finally:
            for ask, handler in handlers.items():
                signal.signal(ask, handler)
        said = capsys.readouterr()
        code = int(left.value.code or 0)
        return subprocess.CompletedProcess(sys.argv, code, said.out, said.err)

    return run


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MBT_RESULTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def grid_clips() -> Path:
    """The real clips of the GRID corpus beside the checkout."""
    folder = SHARED / "data" / "grid_s1"
    if not folder.is_dir():
        pytest.skip(f"needs the real clips in {folder}")
    return folder


LONG = ("test_sync", "test_survival", "test_kills", "test_tracking", "test_sharing", "test_real",
        "test_cli", "test_look", "test_executors", "test_transcode", "test_probes")  # fmt: skip
"""Minutes each: begun first, so that two workers end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))
