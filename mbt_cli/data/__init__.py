"""From files to what the model eats: which datasets there are, and how one is made ready."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from mbt_cli.data import cache, datasets
from mbt_cli.data.cache import Cached
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Data, Synthetic
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


def one_by_one(
    title: str,  # noqa: ARG001  # nobody waits for it
    function: Callable[[C, T], Any],
    shared: C,
    things: Sequence[T],
) -> Iterator[tuple[int, Any]]:
    """Work done here and now."""
    return enumerate(function(shared, thing) for thing in things)


def open_manifest(data: Synthetic, root: Path | None = None) -> Manifest:
    """The clips of the built-in world. Raises MbtError where a folder is given for them."""
    from mbt_cli.data import world

    if root is not None:
        raise MbtError(f"The recipe synthetic renders its own clips: leave out --data {root}.")
    return world.manifest(data, cache.root() / "synthetic")


def classes_of(data: Data) -> int | None:
    """How many classes a dataset has; None where only its clips tell."""
    if isinstance(data, Synthetic):
        from mbt_cli.data import world

        return len(world.CLASSES)
    return datasets.classes_of(data)


def make_ready(data: Data, manifest: Manifest, work: Work) -> Cached:
    """Renders what is to be rendered, decodes what was not decoded before; all views, to read.

    Raises Unwritable.
    """
    folder = cache.folder_of(manifest, data.views)
    if not cache.complete(folder):
        if isinstance(data, Synthetic):
            rendered(data, manifest.entries, work)

        def read(arrays: cache.Arrays, places: Sequence[cache.Place]) -> Iterator[tuple[int, Any]]:
            return work("Reading clips", cache.read, arrays, places)

        cache.fill(manifest, data.views, folder, read)
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
