"""From files to what the model eats: which datasets there are, and how one is made ready."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar, runtime_checkable

from mbt_cli.data import cache, datasets
from mbt_cli.data.cache import Cached
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Data, Features, Rendered, Synthetic
from mbt_cli.errors import MbtError
from mbt_cli.files import sweep, writing

C = TypeVar("C")
T = TypeVar("T")


@runtime_checkable
class Work(Protocol):
    """Does something with many things somewhere, showing a title and how many are done: the place
    of each, and what the function gave of it, or the error that its process died of."""

    def __call__(
        self,
        title: str,
        function: Callable[[C, T], Any],
        shared: C,
        things: Sequence[T],
        noun: str = "clips",
    ) -> Iterator[tuple[int, Any]]: ...


def one_by_one(
    title: str,  # noqa: ARG001  # nobody waits for it
    function: Callable[[C, T], Any],
    shared: C,
    things: Sequence[T],
    noun: str = "clips",  # noqa: ARG001  # nobody is told
) -> Iterator[tuple[int, Any]]:
    """Work done here and now."""
    return enumerate(function(shared, thing) for thing in things)


def world_of(data: Rendered) -> ModuleType:
    """The room that makes the clips of a built-in world."""
    from mbt_cli.data import feature_world, world

    return world if isinstance(data, Synthetic) else feature_world


def open_manifest(data: Rendered, root: Path | None = None) -> Manifest:
    """The clips of a built-in world. Raises MbtError where a folder is given for them."""
    if root is not None:
        raise MbtError(f"The recipe {data.dataset} renders its own clips: leave out --data {root}.")
    found: Manifest = world_of(data).manifest(data, cache.root() / data.dataset)
    return found


def classes_of(data: Data) -> int | None:
    """How many classes a dataset has; None where only its clips tell."""
    if isinstance(data, Rendered):
        return len(world_of(data).CLASSES)
    return datasets.classes_of(data)


def make_ready(data: Data, manifest: Manifest, work: Work) -> Cached:
    """Renders what is to be rendered, decodes what was not decoded before; all views, to read.

    Raises Unwritable.
    """
    folder = cache.folder_of(manifest, data.views)
    if not cache.complete(folder):
        if isinstance(data, Rendered):
            rendered(data, manifest.entries, work)
        noun = "parts" if isinstance(data.views, Features) else "clips"

        def read(arrays: cache.Arrays, parts: Sequence[cache.Part]) -> Iterator[tuple[int, Any]]:
            return work(f"Reading {noun}", cache.read, arrays, parts, noun)

        cache.fill(manifest, data.views, folder, read)
    return Cached(manifest, folder)


def rendered(data: Rendered, entries: Sequence[Entry], work: Work) -> None:
    """Renders those files of a built-in world that are not there."""
    files = {entry.path: entry for entry in entries}
    missing = [entry for path, entry in files.items() if not path.exists()]
    for parent in {entry.path.parent for entry in missing}:
        with writing(parent):
            parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
    noun = "clips" if len(files) == len(entries) else "shards"
    render = world_of(data).render
    for _, error in work("Rendering the built-in world", render, data, missing, noun):
        if error:
            raise error
