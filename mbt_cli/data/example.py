"""What a record of features says: TensorFlow's Example and SequenceExample, read by protobuf.

t seconds, c values. Source: TensorFlow's `feature.proto` and `example.proto`. The messages here are
the same on the wire; what a name stands for stays bytes until it is asked for, so that the vectors
of all seconds are read as one array.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from jaxtyping import Float32, UInt8

KINDS = {"bytes": Field.TYPE_BYTES, "float": Field.TYPE_FLOAT, "int64": Field.TYPE_INT64}
FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "BytesList": {"value": (1, "bytes*")},
    "FloatList": {"value": (1, "float*")},
    "Int64List": {"value": (1, "int64*")},
    "Feature": {
        "bytes_list": (1, "BytesList"), "float_list": (2, "FloatList"),
        "int64_list": (3, "Int64List"),
    },
    "FeatureList": {"feature": (1, "Feature*")},
    "Features": {"feature": (1, "map")},
    "FeatureLists": {"feature_list": (1, "map")},
    "SequenceExample": {"context": (1, "Features"), "feature_lists": (2, "FeatureLists")},
}  # fmt: skip
"""Number and type of each field; `map` is from names to messages that stay bytes. An Example is a
SequenceExample without feature_lists."""


class Malformed(ValueError):
    """These bytes are no such message, or do not hold what they should."""


@dataclass(frozen=True, slots=True)
class Example:
    """A record, its features not yet read."""

    context: Mapping[str, bytes]
    """Features by name."""
    lists: Mapping[str, bytes]
    """Lists of features by name; an Example has none."""

    @property
    def names(self) -> list[str]:
        """Of all features."""
        return sorted([*self.context, *self.lists])

    def text(self, name: str) -> str:
        """A name in letters. Raises Malformed where there is not one, or it is no text."""
        values = self._feature(name).bytes_list.value
        if len(values) != 1 or not values[0]:
            raise Malformed(f"{name} has {len(values)} values, and not one.")
        try:
            return str(values[0].decode())
        except UnicodeDecodeError:
            raise Malformed(f"{name} is no text.") from None

    def integers(self, name: str) -> list[int]:
        """Whole numbers; none where there is no such feature. Raises Malformed."""
        return list(self._feature(name).int64_list.value)

    def floats(self, name: str) -> Float32[np.ndarray, " c"]:
        """Numbers; none where there is no such feature. Raises Malformed."""
        return np.array(self._feature(name).float_list.value, np.float32)

    def vectors(self, name: str, width: int) -> UInt8[np.ndarray, "t {width}"]:
        """A list of features, each one string of so many bytes. Raises Malformed."""
        raw = self.lists.get(name, b"")
        head = np.frombuffer(_head(width), np.uint8)
        if len(raw) % (len(head) + width) == 0:
            rows = np.frombuffer(raw, np.uint8).reshape(-1, len(head) + width)
            if (rows[:, : len(head)] == head).all():
                return rows[:, len(head) :]
        values = [one.bytes_list.value for one in _read("FeatureList", raw).feature]
        for second, one in enumerate(values):
            if len(one) != 1 or len(one[0]) != width:
                sizes = ", ".join(str(len(value)) for value in one) or "no"
                raise Malformed(f"{name} of second {second} has {sizes} bytes, not {width}.")
        return np.frombuffer(b"".join(one[0] for one in values), np.uint8).reshape(-1, width)

    def _feature(self, name: str) -> Any:
        return _read("Feature", self.context.get(name, b""))


def example(data: bytes) -> Example:
    """The record that some bytes are. Raises Malformed."""
    message = _read("SequenceExample", data)
    return Example(message.context.feature, message.feature_lists.feature_list)


def sequence_example(
    name: str, labels: list[int], vectors: Mapping[str, UInt8[np.ndarray, "t _"]]
) -> bytes:
    """A frame-level record as it is written: the same bytes for the same values."""
    told = {
        "id": _kind("Feature")(bytes_list={"value": [name.encode()]}),
        "labels": _kind("Feature")(int64_list={"value": labels}),
    }
    context = {name: one.SerializeToString(deterministic=True) for name, one in told.items()}
    lists = {m: b"".join(_head(of.shape[1]) + row.tobytes() for row in of)
             for m, of in vectors.items()}  # fmt: skip
    message = _kind("SequenceExample")(
        context={"feature": context}, feature_lists={"feature_list": lists}
    )
    return bytes(message.SerializeToString(deterministic=True))


@cache
def _head(width: int) -> bytes:
    """What stands before each vector in a list of features: tags and lengths."""
    one = _kind("Feature")(bytes_list={"value": [bytes(width)]})
    return bytes(_kind("FeatureList")(feature=[one]).SerializeToString()[:-width])


def _read(kind: str, data: bytes) -> Any:
    try:
        return _kind(kind).FromString(data)
    except DecodeError:
        raise Malformed(f"There is no {kind} in it.") from None


@cache
def _kind(name: str) -> Any:
    return GetMessageClass(_pool().FindMessageTypeByName(f"mbt_cli.{name}"))


@cache
def _pool() -> Any:
    """A pool of its own: in the common one TensorFlow may have messages of these names."""
    file = FileDescriptorProto(name="mbt_cli.proto", package="mbt_cli", syntax="proto3")
    for message, told in FIELDS.items():
        kind = file.message_type.add(name=message)
        for name, (number, of) in told.items():
            many = of.endswith("*") or of == "map"
            label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
            field = kind.field.add(name=name, number=number, label=label)
            if of == "map":
                entry = "".join(word.capitalize() for word in name.split("_")) + "Entry"
                pair = kind.nested_type.add(name=entry)
                pair.options.map_entry = True
                for place, (half, type_) in enumerate(
                    (("key", Field.TYPE_STRING), ("value", Field.TYPE_BYTES)), 1
                ):
                    pair.field.add(name=half, number=place, type=type_, label=Field.LABEL_OPTIONAL)
                field.type, field.type_name = Field.TYPE_MESSAGE, f".mbt_cli.{message}.{entry}"
            elif (scalar := of.rstrip("*")) in KINDS:
                field.type = KINDS[scalar]
            else:
                field.type, field.type_name = Field.TYPE_MESSAGE, f".mbt_cli.{scalar}"
    pool = DescriptorPool()
    pool.Add(file)
    return pool
