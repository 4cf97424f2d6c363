"""What the model is shown of one clip, from a file of media or from a shard of features."""

from collections.abc import Mapping

import numpy as np

from mbt_cli.data.manifest import Entry
from mbt_cli.dataset import Features, Viewed


def glance(entry: Entry, views: Viewed, at: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The view (c, *space) of each modality of `at`, which says where in the clip the span lies;
    of features all is shown. Raises ClipError."""
    if isinstance(views, Features):
        from mbt_cli.data import features

        return features.excerpt(entry, views, at)
    from mbt_cli.data.excerpt import excerpt

    return excerpt(entry, views, at)
