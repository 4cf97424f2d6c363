"""Many small things done in chunks: one that kills its process, or hangs, costs only itself."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Generic, TypeVar

from mbt_cli.executors import Died, Emit, Executor

C = TypeVar("C")
T = TypeVar("T")

Each = Callable[[C, T], Any]
"""What is done with one thing, of what all of them share. Whatever it raises ends everything."""

SILENCE_S = 120.0
"""No clip takes so long: `read_clip` gives up on one before."""


@dataclass(frozen=True)
class Chunk(Generic[C, T]):
    """Some things for a worker."""

    function: Each[C, T]
    shared: C
    first: int
    """The place of the first of them."""
    things: Sequence[T]


def salvaged(
    executor: Executor, function: Each[C, T], shared: C, things: Iterable[T], size: int,
    watch: Callable[[int], None] = lambda _: None, room: Callable[[], bool] = lambda: True,
    silence_s: float = SILENCE_S,
) -> Generator[tuple[int, Any]]:  # fmt: skip
    """Each thing's place and what `function` gives of it, or how its process `Died`; in chunks of
    `size`, in the order in which these end. `watch` is told of each that is done.

    Things are taken when they can be begun, and there is `room` for what comes of them: always
    where all that was begun is used. What a death left of a chunk goes before all others. A thing
    that takes more than `silence_s` seconds hangs: its process is killed.
    """
    chunks = _chunks(function, shared, things, size)
    todo = deque(islice(chunks, 1))
    while todo:  # again, where the last chunk to end was one that died
        places = count()
        begun: dict[int, Chunk[C, T]] = {}
        values: dict[int, list[Any]] = {}

        def jobs() -> Iterator[Chunk[C, T] | None]:
            while True:
                while not (todo or room()):
                    yield None
                if not todo:
                    todo.extend(islice(chunks, 1))
                if not todo:
                    return
                place = next(places)  # noqa: B023  # used up within this turn of the loop
                begun[place], values[place] = todo.popleft(), []  # noqa: B023
                yield begun[place]  # noqa: B023

        def hear(place: int, value: Any) -> None:
            values[place].append(value)  # noqa: B023
            watch(1)

        with closing(executor.run(_do, jobs(), hear, silence_s)) as outcomes:
            for outcome in outcomes:
                if outcome.error and not isinstance(outcome.error, Died):
                    raise outcome.error
                chunk, found = begun.pop(outcome.place), values.pop(outcome.place)
                if outcome.error and len(found) < len(chunk.things):
                    found.append(outcome.error)
                    watch(1)
                    if rest := chunk.things[len(found) :]:
                        todo.appendleft(Chunk(function, shared, chunk.first + len(found), rest))
                yield from enumerate(found, chunk.first)


def _chunks(
    function: Each[C, T], shared: C, things: Iterable[T], size: int
) -> Iterator[Chunk[C, T]]:
    rest, first = iter(things), 0
    while some := list(islice(rest, size)):
        yield Chunk(function, shared, first, some)
        first += len(some)


def _do(chunk: Chunk[C, T], emit: Emit) -> None:
    """One thing after the other, each told of when it is done."""
    for thing in chunk.things:
        emit(chunk.function(chunk.shared, thing))
