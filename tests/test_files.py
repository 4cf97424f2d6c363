"""A file is there whole or not at all."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from mbt_cli.errors import MbtError, Unwritable
from mbt_cli.files import alive, part_of, sweep, whole, write, writing


def test_until_all_is_written_the_old_file_stands(tmp_path):
    path = tmp_path / "a.json"
    write(path, {"old": 1})
    with whole(path) as file:
        file.write(b"new")
        file.flush()
        assert json.loads(path.read_text()) == {"old": 1}
    assert path.read_bytes() == b"new"
    assert [path] == list(tmp_path.iterdir())


def break_off(path, error):
    with whole(path) as file:
        file.write(b"half")
        raise error


def test_what_breaks_off_leaves_nothing(tmp_path):
    path = tmp_path / "a.json"
    write(path, {"old": 1})
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            break_off(path, error)
    assert json.loads(path.read_text()) == {"old": 1}
    assert [path] == list(tmp_path.iterdir())


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable, match=r"a.json cannot be written \(Not a directory\)"):
        write(tmp_path / "file" / "a.json", {})


def as_torch_save(path):
    with writing(path):
        try:
            raise OSError(122, "disk quota exceeded")
        except OSError:
            raise RuntimeError("unexpected pos 640 vs 534")  # noqa: B904  # nor has torch a cause


def test_an_error_torch_hides_is_found_and_any_other_stays_itself(tmp_path):
    with pytest.raises(Unwritable, match="disk quota"):
        as_torch_save(tmp_path)
    with pytest.raises(RuntimeError, match="a bug") as bug, writing(tmp_path):
        raise RuntimeError("a bug")
    assert not isinstance(bug.value, MbtError)


def test_parts_of_killed_processes_of_this_machine_are_swept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here, file = socket.gethostname(), tmp_path / "study.json"
    gone = [tmp_path / f"study.json.{here}.{dead.pid}.part{end}" for end in ("", "-journal")]
    stay = [tmp_path / f"study.json.{here}.{os.getppid()}.part", part_of(file)]
    stay += [tmp_path / f"study.json.elsewhere.{dead.pid}.part", tmp_path / "my.part", file]
    for path in (*gone, *stay):
        path.touch()
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(stay)


def test_a_dead_process_is_dead_before_and_after_it_is_buried():
    one = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert alive(one.pid) and alive(os.getpid()) and alive(1)
    one.kill()
    deadline = time.monotonic() + 20
    while alive(one.pid):  # a zombie until we ask for its end
        assert time.monotonic() < deadline
    one.communicate()
    assert not alive(one.pid)
