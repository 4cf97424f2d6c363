"""What lands on a user's machine: the built wheel, and the words about it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mbt_cli import __version__
from mbt_cli.grid import grids

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as zipped:
        zipped.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_the_grids_inside_the_package(wheel):
    assert {p.name for p in wheel.iterdir()} == {"mbt_cli", f"mbt_cli-{__version__}.dist-info"}
    found = {p.stem for p in (wheel / "mbt_cli" / "ablations").glob("*.py")}
    assert found == set(grids())


def test_the_wheel_carries_what_a_page_of_html_is_made_from(wheel):
    made_from = {p.name for p in (wheel / "mbt_cli" / "document").iterdir()}
    assert {"page.html", "page.css"} <= made_from


def test_an_installed_tool_finds_its_grids_anywhere(wheel, tmp_path):
    code = (
        "import mbt_cli.grid as g; print(g.__file__); print(*g.grids()); g.load_grid('modalities')"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(wheel)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    where, names = done.stdout.splitlines()
    assert Path(where).is_relative_to(wheel)
    assert names.split() == sorted(grids())


def test_no_file_names_a_machine_or_a_package_index():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    forbidden = ("/ro" + "ot/", "/wo" + "rk/", "files.python" + "hosted", "pypi" + ".org")
    for name in filter(None, listed.stdout.split("\0")):
        for text in _texts_of(ROOT / name):
            assert not [word for word in forbidden if word in text], name


def _texts_of(path):
    """What can be read in a file, or in the files that are packed in it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            return [packed.read(name).decode() for name in packed.namelist() if "json" in name]
    binary = path.suffix in (".png", ".npz", ".pdf", ".tfrecord") or not path.is_file()
    return [] if binary else [path.read_text()]


def test_the_readme_shows_only_commands_and_files_that_are_there():
    text = (ROOT / "README.md").read_text()
    for word in ("make demo", "make test", "mbt-cli ablate --grid fusion_layer", "mbt-cli report"):
        assert word in text
    for part in text.split("](")[1:]:
        link = part.split(")")[0]
        if not link.startswith(("http", "#")):
            assert (ROOT / link).exists(), link
    assert __version__ in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
