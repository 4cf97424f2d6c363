"""Things done in chunks by real processes, some of which die or hang."""

import os
import signal
import time
from itertools import count

import pytest

from mbt_cli.executors import Died, Here, Local
from mbt_cli.salvage import salvaged


def fate(factor, thing):
    if thing == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if thing == "hangs":
        time.sleep(600)
    if thing == "bug":
        raise ValueError(thing)
    return factor * thing


@pytest.fixture(scope="module")
def local():
    with Local(2) as executor:
        yield executor


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_each_thing_is_done_once_and_has_its_own_place(local, size):
    done = sorted(salvaged(local, fate, 3, range(7), size))
    assert done == [(place, 3 * place) for place in range(7)]
    assert sorted(salvaged(Here(), fate, 3, range(7), size)) == done


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("fatal", [[0], [6], [2, 3], [0, 1, 2, 3, 4, 5, 6]])
def test_a_thing_that_kills_its_process_costs_itself_alone(local, size, fatal):
    things = ["dies" if place in fatal else place for place in range(7)]
    told = []
    done = dict(salvaged(local, fate, 3, things, size, told.append))
    assert sorted(done) == list(range(7)) and sum(told) == 7
    for place, found in done.items():
        if place in fatal:
            assert isinstance(found, Died) and "SIGSEGV" in str(found)
        else:
            assert found == 3 * place


def test_a_thing_that_hangs_is_stopped_and_costs_itself_alone(local):
    done = dict(salvaged(local, fate, 1, [0, "hangs", 2, 3], 4, silence_s=2.0))
    assert "said nothing for 2 s" in str(done.pop(1))
    assert done == {0: 0, 2: 2, 3: 3}


def test_a_bug_ends_everything(local):
    with pytest.raises(ValueError, match="bug"):
        list(salvaged(local, fate, 1, [0, "bug", 2], 1))


def test_things_are_taken_when_they_can_be_begun():
    taken = count()
    things = (next(taken) for _ in range(1000))
    for place, _ in salvaged(Here(), fate, 1, things, 2):
        if place == 5:
            break
    assert next(taken) < 9


def test_no_more_is_begun_than_there_is_room_for_but_what_a_death_left(local):
    """Each time something is found, there is room for three more."""
    begun, found = count(), []
    things = ("dies" if next(begun) in (4, 5) else 1 for _ in range(11))
    room = lambda: len(found) % 4 != 3  # noqa: E731  # none until another one is found
    for place, _ in salvaged(local, fate, 1, things, 2, room=room):
        found.append(place)
    assert sorted(found) == list(range(11))


def test_what_a_death_left_is_done_where_there_is_room_for_nothing_else(local):
    """As where all else waits for it."""
    asked, taken, found = count(), [], []
    things = (taken.append(k) or ("dies" if k == 0 else 1) for k in range(7))

    def room():
        assert next(asked) < 50, "nobody does what is waited for"
        return not taken or set(found) >= {0, 1, 2, 3}

    for place, _ in salvaged(local, fate, 1, things, 4, room=room):
        found.append(place)
    assert found[:4] == [0, 1, 2, 3] and sorted(found) == list(range(7))


class Parting:
    """Kills the process that made it when that has no use for it any more."""

    def __init__(self):
        self.home = os.getpid()

    def __del__(self):
        if os.getpid() == self.home:
            os.kill(self.home, signal.SIGKILL)


def part(last, thing):
    return Parting() if thing == last else thing


@pytest.mark.parametrize("size", [2, 4])
def test_a_death_after_the_last_thing_of_a_chunk_costs_nothing(local, size):
    done = sorted(salvaged(local, part, 3, range(5), size), key=lambda one: one[0])
    assert [place for place, _ in done] == list(range(5))
    assert not any(isinstance(found, Died) for _, found in done)


def test_things_wait_for_room(local):
    taken, open_ = [], []
    things = (taken.append(k) or k for k in range(9))
    doing = salvaged(local, fate, 1, things, 1, room=lambda: bool(open_) or len(taken) < 3)
    assert sorted(next(doing)[0] for _ in range(3)) == [0, 1, 2]
    assert taken == [0, 1, 2]
    open_.append(True)
    assert sorted(place for place, _ in doing) == [3, 4, 5, 6, 7, 8]


def test_no_things_are_no_work(local):
    assert list(salvaged(local, fate, 1, [], 3)) == []
