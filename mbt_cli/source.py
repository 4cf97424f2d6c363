"""Where a run's clips come from: arrays on disk, or their files. What a worker is told of that."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mbt_cli.data.cache import Cached
from mbt_cli.data.clips import Clips
from mbt_cli.data.manifest import Manifest
from mbt_cli.dataset import Viewed
from mbt_cli.executors import Executor, Here, Local
from mbt_cli.experiment import Experiment
from mbt_cli.stream import Streamed


@dataclass(frozen=True)
class Source:
    """The clips of runs."""

    manifest: Manifest
    views: Viewed
    folder: Path | None
    """Of the arrays that hold them; None where they are decoded when they are needed."""
    readers: int = 0
    """Processes that decode them then; with 0 the run's own does."""
    spare: Mapping[str, int] = field(default_factory=dict)
    """Clips of each split that may be lost on the way then."""

    def learned_by(self, experiment: Experiment) -> "Source":
        """The same clips, with the classes that a run learns of theirs.

        Raises MbtError where it asks for more than there are.
        """
        classes = experiment.learns(len(self.manifest.classes))
        return replace(self, manifest=self.manifest.first(classes))

    @contextmanager
    def opened(self) -> Iterator[Clips]:
        """The clips, for as long as they are needed."""
        if self.folder is not None:
            yield Cached(self.manifest, self.folder)
            return
        readers: Executor = Local(self.readers) if self.readers else Here()
        with readers:
            yield Streamed(self.manifest, self.views, readers, self.spare)
