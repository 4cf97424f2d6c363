"""Writes the shards and the values in this folder's `yt8m_*`: TensorFlow writes and reads them.

    pip install tensorflow-cpu
    python tests/records/tensorflow_shards.py

Random values in the official form of YouTube-8M: two kinds of bytes are enough to tell them apart,
and pack well. `Dequantize` is that of the official `utils.py`. Made with TensorFlow 2.21.0.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
WIDTHS = {"rgb": 1024, "audio": 128}
RANDOM = np.random.default_rng(8)


def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def text(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def means(name, labels):
    feature = {"id": text(name), "labels": integers(labels)}
    for m, width in WIDTHS.items():
        feature[f"mean_{m}"] = floats(RANDOM.uniform(-2, 2, width).astype(np.float32))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def seconds(name, labels, t, segments=()):
    context = {"id": text(name), "labels": integers(labels)}
    if segments:
        starts, classes, scores = zip(*segments, strict=True)
        context["segment_start_times"] = integers(starts)
        context["segment_end_times"] = integers([start + 5 for start in starts])
        context["segment_labels"] = integers(classes)
        context["segment_scores"] = floats(scores)
    lists = {}
    for m, width in WIDTHS.items():
        drawn = [RANDOM.integers(0, 256, 2)[RANDOM.integers(0, 2, width)] for _ in range(t)]
        rows = [text(bytes(row.astype(np.uint8))) for row in drawn]
        lists[m] = tf.train.FeatureList(feature=rows)
    return tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    ).SerializeToString()


SHARDS = {
    "video": [means(b"aa00", [0, 7, 300]), means(b"bb01", []), means(b"cc02", [3861])],
    "frame": [seconds(b"dd03", [5], 7), seconds(b"ee04", [1, 2, 99], 1), seconds(b"ff05", [], 13)],
    "segment": [
        seconds(b"gg06", [11, 12], 17, [(0, 11, 1.0), (10, 12, 0.0), (10, 11, 1.0), (5, 12, 0.0)]),
        seconds(b"hh07", [3861], 5, [(0, 3861, 1.0)]),
    ],
}  # fmt: skip


def dequantize(vectors, most=2, least=-2):
    reach = most - least
    return vectors * (reach / 255.0) + (reach / 512.0 + least)


def parsed(kind, record):
    """What TensorFlow reads, with the official reader's specification of it."""
    context = {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)}
    if kind == "video":
        for m, width in WIDTHS.items():
            context[f"mean_{m}"] = tf.io.FixedLenFeature([width], tf.float32)
        found = tf.io.parse_single_example(record, context)
        return {name: tf.sparse.to_dense(found[name]) if name == "labels" else found[name]
                for name in found}  # fmt: skip
    for name in ("segment_labels", "segment_start_times"):
        context[name] = tf.io.VarLenFeature(tf.int64)
    context["segment_scores"] = tf.io.VarLenFeature(tf.float32)
    lists = {m: tf.io.FixedLenSequenceFeature([], tf.string) for m in WIDTHS}
    told, found = tf.io.parse_single_sequence_example(record, context, lists)
    values = {name: of if name == "id" else tf.sparse.to_dense(of) for name, of in told.items()}
    for m, width in WIDTHS.items():
        raw = tf.reshape(tf.io.decode_raw(found[m], tf.uint8), [-1, width])
        values[m] = raw
        mean, variance = tf.nn.moments(tf.cast(dequantize(tf.cast(raw, tf.float32)), tf.float64), 0)
        values[f"{m}_mean"] = tf.cast(mean, tf.float32)
        values[f"{m}_std"] = tf.cast(tf.sqrt(variance), tf.float32)
    return values


every = {"dequantized": dequantize(tf.range(256, dtype=tf.float32)).numpy()}
for kind, records in SHARDS.items():
    path = str(HERE / f"yt8m_{kind}.tfrecord")
    with tf.io.TFRecordWriter(path) as file:
        for record in records:
            file.write(record)
    for i, record in enumerate(tf.data.TFRecordDataset(path)):
        for name, value in parsed(kind, record).items():
            every[f"{kind}/{i}/{name}"] = value.numpy()
np.savez_compressed(HERE / "yt8m_values.npz", **every)
