"""Metadata files row by row, so that every complaint names the file and the line."""

import csv
import re
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path

from mbt_cli.errors import MbtError
from mbt_cli.words import count

CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)


def at(path: Path, line: int, why: str) -> MbtError:
    """A complaint about one line."""
    return MbtError(f"{path}, line {line}: {why}")


def rows(path: Path, spaced: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is not empty, and its fields; `spaced` where a space follows
    each comma. No field may go over several lines. Raises MbtError."""
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=spaced, strict=True)
            for row in reader:
                begun, line = line + 1, reader.line_num
                if line > begun:
                    raise at(path, begun, "a quote is opened and not closed in that line.")
                if row:
                    yield line, row
    except csv.Error as why:
        raise at(path, line + 1, f"this is no row of a csv file ({why}).") from None
    except UnicodeDecodeError:
        raise at(path, _undecodable(path), "this is no UTF-8 text.") from None
    except OSError as why:
        raise MbtError(f"{path} cannot be read ({why.strerror}).") from None


def named(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """The fields of these columns of a table with a header, of each row; an optional column that
    is not there is empty. Raises MbtError where a column is missing, or a row is too long or short.
    """
    lines = rows(path)
    start, header = next(lines, (1, []))
    header = [name.strip() for name in header]
    for column in columns:
        if column not in header:
            raise at(
                path, start, f"no column is called '{column}', only {', '.join(header) or 'none'}."
            )
    for column in (*columns, *optional):
        if header.count(column) > 1:
            raise at(path, start, f"two columns are called '{column}'.")
    places = [header.index(c) if c in header else -1 for c in (*columns, *optional)]
    for line, row in lines:
        if len(row) != len(header):
            raise at(
                path, line, f"the row has {count(len(row), 'field')}, the header {len(header)}."
            )
        yield line, [row[place] if place >= 0 else "" for place in places]


def seconds(path: Path, line: int, text: str) -> float:
    """A time of 0 or more. Raises MbtError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (isfinite(value) and value >= 0):
        raise at(path, line, f"'{text}' is no time in seconds.")
    return value


def clock(path: Path, line: int, text: str) -> float:
    """A time such as 00:05:27.28, in seconds. Raises MbtError."""
    if (found := CLOCK.fullmatch(text)) is None:
        raise at(path, line, f"'{text}' is no time of the form 00:05:27.28.")
    hours, minutes, rest = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def span(path: Path, line: int, start: str, end: str) -> tuple[float, float]:
    """Two times in seconds, the second later. Raises MbtError."""
    start_s, end_s = seconds(path, line, start), seconds(path, line, end)
    if end_s <= start_s:
        raise at(path, line, f"the clip ends at {end} s, not after it starts at {start} s.")
    return start_s, end_s


def _undecodable(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return number
