"""From files to what the model eats: which datasets there are, and how one is made ready."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from mbt_cli.data import cache
from mbt_cli.data.cache import Cached
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Data, GridCorpus, Synthetic
from mbt_cli.errors import MbtError
from mbt_cli.files import sweep, writing

C = TypeVar("C")
T = TypeVar("T")


@runtime_checkable
class Work(Protocol):
    """Does something with many things somewhere, showing a title and how many are done: the place
    of each, and what the function gave of it, or the error that its process died of."""

    def __call__(
        self, title: str, function: Callable[[C, T], Any], shared: C, things: Sequence[T]
    ) -> Iterator[tuple[int, Any]]: ...


def open_manifest(data: Data, root: Path | None) -> Manifest:
    """The clips of a dataset: below `root`, or the built-in ones. Raises MbtError."""
    if isinstance(data, Synthetic):
        from mbt_cli.data import world

        if root is not None:
            raise MbtError(f"The recipe synthetic renders its own clips: leave out --data {root}.")
        return world.manifest(data, cache.root() / "synthetic")
    from mbt_cli.data import grid_corpus

    assert isinstance(data, GridCorpus)
    return grid_corpus.manifest(data, root)


def classes_of(data: Data) -> int:
    """How many classes a dataset has; known without its clips."""
    if isinstance(data, Synthetic):
        from mbt_cli.data import world

        return len(world.CLASSES)
    from mbt_cli.data import grid_corpus

    assert isinstance(data, GridCorpus)
    return len(grid_corpus.WORDS[data.target])


def make_ready(data: Data, manifest: Manifest, work: Work) -> Cached:
    """Renders what is to be rendered, decodes what was not decoded before; all views, to read.

    Raises Unwritable.
    """
    folder = cache.folder_of(manifest, data.views)
    if not cache.complete(folder):
        if isinstance(data, Synthetic):
            rendered(data, manifest.entries, work)
        cache.fill(
            manifest,
            data.views,
            folder,
            lambda arrays, places: work("Reading clips", cache.read, arrays, places),
        )
    return Cached(manifest, folder)


def rendered(data: Synthetic, entries: Sequence[Entry], work: Work) -> None:
    """Renders those clips of the built-in world that are not there."""
    from mbt_cli.data import world

    missing = [entry for entry in entries if not entry.path.exists()]
    for parent in {entry.path.parent for entry in missing}:
        with writing(parent):
            parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
    for _, error in work("Rendering the built-in world", world.render, data, missing):
        if error:
            raise error
