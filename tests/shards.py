"""Shards of feature records for tests: small, of any form that a record may have."""

from pathlib import Path

import numpy as np

from mbt_cli.data import example
from mbt_cli.data.example import sequence_example
from mbt_cli.data.tfrecord import write
from mbt_cli.dataset import FEATURES

NAMES = {"audio": "audio", "video": "rgb"}


def text(*values):
    return {"bytes_list": {"value": list(values)}}


def integers(*values):
    return {"int64_list": {"value": list(values)}}


def floats(values):
    return {"float_list": {"value": [float(value) for value in values]}}


def record(features, lists=None):
    """The bytes of an Example, or, with lists of features, of a SequenceExample."""

    def of(kind, value):
        return example._kind(kind)(**value).SerializeToString(deterministic=True)

    told = {name: of("Feature", value) for name, value in features.items()}
    said = {name: of("FeatureList", {"feature": value}) for name, value in (lists or {}).items()}
    message = example._kind("SequenceExample")(
        context={"feature": told}, feature_lists={"feature_list": said}
    )
    return message.SerializeToString(deterministic=True)


def of_video(name="aaaa", labels=(), seed=0, **other):
    """A video-level record; `other` features take the place of its own, None takes one away."""
    random = np.random.default_rng(seed)
    features = {"id": text(name.encode()), "labels": integers(*labels)}
    for m, width in FEATURES.items():
        features[f"mean_{NAMES[m]}"] = floats(random.uniform(-2, 2, width).astype(np.float32))
    return record({k: v for k, v in (features | other).items() if v is not None})


def vectors(seconds, seed=0):
    random = np.random.default_rng(seed)
    return {m: random.integers(0, 256, (seconds, width), np.uint8)
            for m, width in FEATURES.items()}  # fmt: skip


def of_seconds(name="aaaa", labels=(), seconds=7, seed=0):
    """A frame-level record."""
    drawn = vectors(seconds, seed)
    return sequence_example(name, list(labels), {NAMES[m]: of for m, of in drawn.items()})


def of_segments(name="aaaa", rated=((0, 1, 1.0),), seconds=11, seed=0, **other):
    """A frame-level record of whose segments some have labels: start, class, score of each; `other`
    features take the place of its own."""
    starts, classes, scores = zip(*rated, strict=True)
    lists = {NAMES[m]: [text(row.tobytes()) for row in of]
             for m, of in vectors(seconds, seed).items()}  # fmt: skip
    features = {
        "id": text(name.encode()), "labels": integers(0), "segment_labels": integers(*classes),
        "segment_start_times": integers(*starts), "segment_scores": floats(scores),
    }  # fmt: skip
    return record(features | other, lists)


def shard(path: Path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write(file, records)
    return path


def flipped(path: Path, byte: int, bit: int = 0):
    """The file with one bit the other way round."""
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(bytes(data))
