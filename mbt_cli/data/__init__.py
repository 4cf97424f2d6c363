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

J = TypeVar("J")
R = TypeVar("R")


@runtime_checkable
class Work(Protocol):
    """Does jobs somewhere, showing a title and how many of a total are done."""

    def __call__(
        self, title: str, function: Callable[[J, Callable[[Any], None]], R], jobs: Sequence[J],
        total: int,
    ) -> Iterator[R]: ...  # fmt: skip


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

    Raises MbtError where a split has no clip that can be read, Unwritable.
    """
    folder = cache.folder_of(manifest, data.views)
    if not cache.complete(folder):
        if isinstance(data, Synthetic):
            missing = [entry for entry in manifest.entries if not entry.path.exists()]
            for parent in {entry.path.parent for entry in missing}:
                with writing(parent):
                    parent.mkdir(parents=True, exist_ok=True)
                sweep(parent)
            chunks = [
                (data, missing[i : i + cache.CHUNK]) for i in range(0, len(missing), cache.CHUNK)
            ]
            for _ in work("Rendering the built-in world", render_chunk, chunks, len(missing)):
                pass
        cache.fill(
            manifest, data.views, folder,
            lambda chunks: work("Reading clips", cache.read_chunk, chunks,
                                sum(len(chunk.entries) for chunk in chunks)),
        )  # fmt: skip
    cached = Cached(manifest, folder)
    for split in ("train", "validation", "test"):
        if not len(cached.places(split)):
            reason = next(iter(cached.left_out.values()), "It has none.")
            raise MbtError(f"No clip of the {split} split can be read. {reason}")
    return cached


def render_chunk(job: tuple[Synthetic, Sequence[Entry]], emit: Callable[[Any], None]) -> None:
    """Renders some clips of the built-in world."""
    from mbt_cli.data import world

    data, entries = job
    for entry in entries:
        world.render(data, entry)
        emit(1)
