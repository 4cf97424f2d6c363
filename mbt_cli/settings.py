"""A tree of frozen dataclasses, by dotted names: read, set from text, stored and hashed.

A field may hold a dataclass, or one of a union of dataclasses; the members of a union say which
they are by a class variable (a tag), which is stored with their fields and cannot be set.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from hashlib import blake2b
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from mbt_cli.errors import MbtError, UnknownName

T = TypeVar("T")
_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Every value, and every tag, by its dotted name."""
    leaves = {prefix + name: tag for name, tag in tags(tree).items()}
    for one in fields(tree):
        value, name = getattr(tree, one.name), prefix + one.name
        leaves |= flat(value, f"{name}.") if is_dataclass(value) else {name: value}
    return leaves


def tags(tree: Any) -> dict[str, str]:
    """The class variables by which a member of a union says which it is."""
    hints = _hints(type(tree))
    return {name: getattr(tree, name) for name, hint in hints.items() if _is_tag(hint)}


def put(tree: T, name: str, value: Any, settable: Iterable[str]) -> T:
    """The same tree with one field at another value; text is read as the field's type.

    Raises UnknownName for a field not in `settable` or a choice there is not, MbtError for a
    value of the wrong kind.
    """
    if name not in (known := list(settable)):
        raise UnknownName("field", name, known)
    return _put(tree, name.split("."), name, value)


def plain(tree: Any) -> Any:
    """As nested dicts and lists for JSON; `restore` reads them back."""
    if is_dataclass(tree):
        return tags(tree) | {one.name: plain(getattr(tree, one.name)) for one in fields(tree)}
    return list(tree) if isinstance(tree, tuple) else tree


def text(value: Any) -> str:
    """A value as --set takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def restore(kind: type[T], record: Mapping[str, Any]) -> T:
    """A field that the record is too old to know takes its default."""
    hints = _hints(kind)
    known = {}
    for one in fields(kind):  # type: ignore[arg-type]  # a dataclass, by contract
        if one.name in record:
            value = record[one.name]
            if isinstance(value, Mapping):
                value = restore(_member(hints[one.name], value), value)
            known[one.name] = tuple(value) if isinstance(value, list) else value
    return kind(**known)


def digest(values: Mapping[str, Any]) -> str:
    """Ten hex digits that stand for these values, whatever their order."""
    return blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=5).hexdigest()


def at_least(where: str, part: Any, **lowest: int) -> None:
    """Raises MbtError where a field is below its bound."""
    for name, low in lowest.items():
        if not getattr(part, name) >= low:
            raise MbtError(f"{where}.{name} must be at least {low}, but is {getattr(part, name)}.")


def above(where: str, part: Any, **bounds: int) -> None:
    """Raises MbtError where a field is not above its bound."""
    for name, bound in bounds.items():
        if not getattr(part, name) > bound:
            raise MbtError(f"{where}.{name} must be above {bound}, but is {getattr(part, name)}.")


def below(where: str, part: Any, **bounds: int) -> None:
    """Raises MbtError where a field is not below its bound."""
    for name, bound in bounds.items():
        if not getattr(part, name) < bound:
            raise MbtError(f"{where}.{name} must be below {bound}, but is {getattr(part, name)}.")


def _is_tag(hint: Any) -> bool:
    return get_origin(hint) is ClassVar


def _put(tree: Any, path: list[str], name: str, value: Any) -> Any:
    here, *deeper = path
    old = getattr(tree, here)
    if deeper:
        new = _put(old, deeper, name, value)
    else:
        new = _read(name, value, old, _hints(type(tree))[here])
    return replace(tree, **{here: new})


def _read(name: str, value: Any, old: Any, hint: Any) -> Any:
    if not isinstance(old, tuple) and (choices := get_args(hint)):
        if value not in choices:
            raise UnknownName(f"value of {name}", str(value), choices)
        return value
    try:
        if isinstance(old, tuple):
            parts = value.split(",") if isinstance(value, str) else value
            kind = get_args(hint)[0]
            new = tuple(kind(str(part).strip()) for part in parts if str(part).strip())
            if Ellipsis not in get_args(hint) and len(new) != len(old):
                raise ValueError
            return new
        if isinstance(old, bool):
            return {"true": True, "false": False}[str(value).lower()]
        return type(old)(str(value))
    except (ValueError, KeyError, TypeError):
        raise MbtError(f"{name} takes {_kind(old)}, but got '{value}'.") from None


def _kind(old: Any) -> str:
    if isinstance(old, tuple):
        if not old:
            return "names with commas between them"
        return f"{len(old)} values, as in {','.join(map(str, old))}"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(type(old), "text")


def _member(hint: Any, record: Mapping[str, Any]) -> type:
    members = get_args(hint) or (hint,)
    for member in members:
        wanted = {n: getattr(member, n) for n, h in _hints(member).items() if _is_tag(h)}
        if wanted.items() <= record.items():
            return member
    found = ", ".join(str(v) for v in record.values() if isinstance(v, str))
    raise MbtError(f"This version knows no kind of experiment that the record describes: {found}.")
