"""What several rooms' tests need: a small world in a cache of its own, and the command itself."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


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
