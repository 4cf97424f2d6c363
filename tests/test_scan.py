"""A folder looked at: what is found, what is lost and why, and that it is frozen."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from rendered import noise, render
from rich.console import Console

from mbt_cli.census import account, class_counts
from mbt_cli.data.snapshot import load
from mbt_cli.dataset import Csv, Folder, VGGSound, Views
from mbt_cli.errors import MbtError
from mbt_cli.executors import Here, Local
from mbt_cli.intake import frozen_of, opened
from mbt_cli.scan import scan
from mbt_cli.terminal import Screen


class Quiet(Screen):
    """A screen whose lines can be read."""

    def __init__(self):
        super().__init__(Console(record=True, width=500, file=StringIO()))

    @property
    def lines(self):
        return self.console.export_text(clear=False)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Clips of one second: a good one, a silent, a still one, one without sound, and two ends."""
    folder = tmp_path_factory.mktemp("good")
    times, sound = tuple(np.arange(25) / 25), noise(1.0, 16_000)
    make = {"sound": sound, "rate_hz": 16_000}
    render(folder / "good.mp4", times_s=times, **make)
    render(folder / "silent.mp4", times_s=times, sound=0 * sound, rate_hz=16_000)
    render(folder / "still.mp4", times_s=times[:1], rate=1, **make)
    render(folder / "deaf.mp4", times_s=times)
    render(folder / "long.mp4", times_s=tuple(np.arange(100) / 25), sound=noise(4.0, 16_000),
           rate_hz=16_000)  # fmt: skip
    (folder / "cut.mp4").write_bytes((folder / "good.mp4").read_bytes()[:900])
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture
def root(good, tmp_path):
    """Sorted by class; cats have losses of every kind."""
    folder = tmp_path / "clips"
    for name in ("good", "silent", "still", "deaf", "cut", "empty", "long"):
        (folder / "cat").mkdir(parents=True, exist_ok=True)
        shutil.copy(good / f"{name}.mp4", folder / "cat" / f"{name}.mp4")
    (folder / "dog").mkdir()
    for k in range(5):
        shutil.copy(good / "good.mp4", folder / "dog" / f"{k}.mp4")
    return folder


def looked_at(root, data=None, **how):
    how = {"leave_out": (), "executor": Here(), "show": Quiet()} | how
    return scan(data or Folder(), root, None, **how)


def reasons(seen):
    return {name.split("/")[-1].split(".")[0]: why for name, why in
            zip(seen.table["name"], seen.table["reason"], strict=True) if why}  # fmt: skip


def test_every_clip_is_used_or_has_one_named_reason(root):
    seen = looked_at(root)
    assert reasons(seen) == {"deaf": "no_audio", "cut": "undecodable", "empty": "empty"}
    assert len(seen.table) == 12 and len(seen.used) == 9
    manifest = seen.manifest
    assert manifest.classes == ("cat", "dog") and len(manifest.entries) == 9
    assert sum(manifest.expected.values()) == 12
    assert "1 no_audio (such as " in manifest.lost and "1 empty" in manifest.lost
    ends = {entry.path.stem: entry.end_s for entry in manifest.entries}
    assert ends["good"] == pytest.approx(1.0, abs=0.05) and ends["long"] > 3.9


def test_remarks_are_no_losses_unless_asked(root):
    rows = looked_at(root).table.set_index("name")
    assert [n.split("/")[-1] for n in rows.index[rows["silent"]]] == ["silent.mp4"]
    assert "cat/still.mp4" in set(rows.index[rows["still"]])
    assert rows["used"]["cat/silent.mp4"]
    without = looked_at(root, leave_out=("silent", "still"))
    assert len(without.used) == 7
    assert "2 left out" in without.lost
    assert sum(without.manifest.expected.values()) == 12 - 2  # what is not wanted is not missing


def test_the_fingerprint_is_of_content_and_not_of_place(root, tmp_path):
    seen = looked_at(root)
    moved = shutil.move(root, tmp_path / "elsewhere")
    assert looked_at(moved).fingerprint == seen.fingerprint
    one = looked_at(moved, Folder(split_seed=1))
    assert one.fingerprint != seen.fingerprint or one.manifest.entries == seen.manifest.entries
    still = looked_at(moved).table.set_index("name")
    (moved / "dog" / "0.mp4").write_bytes((moved / "cat" / "silent.mp4").read_bytes())
    other = looked_at(moved)
    after = other.table.set_index("name")
    assert after["end_s"].to_dict() == still["end_s"].to_dict()
    assert other.fingerprint != seen.fingerprint


def test_what_is_frozen_is_read_back_as_it_was(root, tmp_path):
    seen = replace(looked_at(root), name="mine")
    path = seen.save(tmp_path / "results")
    again = load(path)
    assert path.name == "mine.parquet"
    assert again.fingerprint == seen.fingerprint and again.manifest == seen.manifest
    assert again.header["data"]["dataset"] == "folder" and "views" not in again.header["data"]
    with pytest.raises(MbtError, match=r"frozen already.*--name"):
        seen.save(tmp_path / "results")
    path.write_bytes(b"no parquet")
    with pytest.raises(MbtError, match="damaged"):
        load(path)


def test_what_was_looked_at_is_not_looked_at_again_unless_it_changed(root):
    looked_at(root)
    show = Quiet()
    looked_at(root, show=show)
    assert "Looking at clips: 12" not in show.lines and "Looking at clips:" not in show.lines
    os.utime(root / "dog" / "0.mp4", (1, 1))
    (root / "dog" / "1.mp4").write_bytes(b"")
    looked_at(root, show=(show := Quiet()))
    assert "Looking at clips: 2 clips" in show.lines


def test_a_folder_is_the_same_by_whatever_name_it_goes(root, tmp_path, monkeypatch):
    seen = looked_at(root)
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(root, target_is_directory=True)
    replace(seen, name="mine").save(tmp_path / "results")
    for name in (Path("clips"), Path("./clips/"), Path("link"), tmp_path / "." / "clips"):
        again = looked_at(name, show=(show := Quiet()))
        assert "Looking at clips:" not in show.lines
        assert again.header["root"] == seen.header["root"] and again.manifest == seen.manifest
        assert frozen_of(Folder(), name, tmp_path / "results").stem == "mine"


def test_two_commands_look_at_a_fresh_folder_once(root, tmp_path):
    """The later one waits for the first, and takes what it has frozen."""
    words = [sys.executable, "-m", "mbt_cli", "data", "scan", "--recipe", "folder", "--data",
             str(root), "--workers", "1", "--results"]  # fmt: skip
    both = [
        subprocess.Popen([*words, str(tmp_path / f"results{k}")], stdout=subprocess.PIPE, text=True)
        for k in range(2)
    ]
    said = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("Looking at clips: 12" in one for one in said) == 1, said
    (journal,) = (tmp_path / "cache" / "scans").iterdir()
    assert len(journal.read_text().splitlines()) == 12


def test_a_file_that_could_not_be_read_for_a_while_is_looked_at_again(root, tmp_path):
    """Nothing of the file itself changes when it may be read again."""
    looked_at(root)
    (journal,) = (tmp_path / "cache" / "scans").iterdir()
    lines = journal.read_text()
    assert lines.count('"reason": "empty"') == 1
    journal.write_text(lines.replace('"reason": "empty"', '"reason": "unreadable"'))
    looked_at(root, show=(show := Quiet()))
    assert "Looking at clips: 1 clips" in show.lines


@pytest.mark.parametrize("name", ["a/b", "../b", ".b"])
def test_a_name_that_is_no_files_name_is_refused_before_anything_is_looked_at(
    here, root, tmp_path, name
):
    words = ["data", "scan", "--recipe", "folder", "--data", root, "--results", tmp_path / "r"]
    done = here(*words, "--name", name)
    assert done.returncode == 1 and "is no name for a scan" in done.stderr
    assert "Looking" not in done.stdout


def test_results_that_cannot_be_written_are_one_sentence(here, root, tmp_path):
    (tmp_path / "r").touch()
    done = here("data", "scan", "--recipe", "folder", "--data", root, "--results", tmp_path / "r")
    assert done.returncode == 1 and "cannot be written" in done.stderr


def any_of_group(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("command", ["data scan", "ablate --grid modalities"])
def test_ctrl_c_ends_a_scan_and_its_processes(good, tmp_path, command):
    folder = tmp_path / "many"
    for k in range(200):
        (folder / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(good / "long.mp4", folder / "ab"[k % 2] / f"{k:03}.mp4")
    words = [sys.executable, "-m", "mbt_cli", *command.split(), "--recipe", "folder",
             "--data", str(folder), "--results", str(tmp_path / "results")]  # fmt: skip
    scans = tmp_path / "cache" / "scans"
    program = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    while not any(f.suffix == ".jsonl" and f.stat().st_size > 2000 for f in scans.glob("*")):
        assert program.poll() is None
        time.sleep(0.02)
    os.killpg(program.pid, signal.SIGINT)
    _, why = program.communicate(timeout=20)
    assert program.returncode == 130 and "Traceback" not in why, why
    assert "Stopped." in why
    until = time.monotonic() + 10
    while any_of_group(program.pid):
        assert time.monotonic() < until, "a process outlived the command"
        time.sleep(0.05)
    assert [f.suffix for f in scans.iterdir()] == [".jsonl"]


def test_a_clip_is_short_where_more_than_a_tenth_of_what_is_promised_is_not_there(root, tmp_path):
    table = tmp_path / "mine.csv"
    rows = [f"dog/{k}.mp4,{'ab'[k % 2]},0,{end}" for k, end in enumerate((1.0, 1.05, 1.2, 9, 0.3))]
    table.write_text("\n".join(["path,labels,start,end", *rows]) + "\n")
    seen = scan(Csv(), root, table, leave_out=(), executor=Here(), show=Quiet())
    assert seen.table["short"].tolist() == [False, False, True, True, False]
    assert seen.table["used"].all()


def test_of_two_scans_of_a_folder_the_last_one_is_taken(root, tmp_path):
    seen = looked_at(root)
    for when, name in enumerate(("z", "a", "m")):
        os.utime(replace(seen, name=name).save(tmp_path / "r"), (100 + when, 100 + when))
    assert frozen_of(Folder(), root, tmp_path / "r").stem == "m"


def test_a_clip_ends_where_its_sound_or_its_pictures_end_first(root):
    times = tuple(np.arange(25) / 25)
    render(root / "dog" / "0.mp4", times_s=times, sound=noise(0.5, 16_000), rate_hz=16_000)
    render(root / "dog" / "1.mp4", times_s=times[:10], sound=noise(1.0, 16_000), rate_hz=16_000)
    ends = looked_at(root).table.set_index("name")["end_s"]
    assert ends["dog/0.mp4"] == pytest.approx(0.5, abs=0.07)
    assert ends["dog/1.mp4"] == pytest.approx(0.4, abs=0.01)


def test_a_file_of_another_size_is_another_file_whatever_its_time_says(root):
    path = root / "dog" / "0.mp4"
    seen, state = looked_at(root), path.stat()
    shutil.copy(root / "cat" / "long.mp4", path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert looked_at(root).fingerprint != seen.fingerprint


def test_a_journal_that_a_kill_cut_short_costs_its_last_line(root, tmp_path):
    seen = looked_at(root)
    (journal,) = (tmp_path / "cache" / "scans").iterdir()
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-40])
    show = Quiet()
    assert looked_at(root, show=show).fingerprint == seen.fingerprint
    assert "Looking at clips: 1 clips" in show.lines
    assert looked_at(root, show=(show := Quiet())).fingerprint == seen.fingerprint
    assert "Looking at clips:" not in show.lines


def test_a_file_that_kills_its_decoder_costs_one_clip(root, monkeypatch, tmp_path):
    """A real crash, in a real worker, when it opens that file."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def fall(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('dog/2.mp4'):\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "sys.addaudithook(fall)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with Local(2) as executor:
        seen = looked_at(root, executor=executor)
    rows = seen.table.set_index("name")
    assert rows["reason"]["dog/2.mp4"] == "undecodable"
    assert "SIGSEGV" in rows["detail"]["dog/2.mp4"]
    assert len(seen.used) == 8


def test_a_scan_that_is_killed_goes_on(good, tmp_path):
    folder = tmp_path / "many"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for k in range(60):
        shutil.copy(good / "long.mp4", folder / "ab"[k % 2] / f"{k:02}.mp4")
    words = [sys.executable, "-m", "mbt_cli", "data", "scan", "--recipe", "folder",
             "--data", str(folder), "--results", str(tmp_path / "results"),
             "--workers", "1"]  # fmt: skip
    scans = tmp_path / "cache" / "scans"
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while not (scans.exists() and any(f.stat().st_size > 2000 for f in scans.iterdir())):
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "results" / "data").exists()
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split("Looking at clips: ")[1].split()[0])
    assert 0 < count < 60
    assert "60 of 60 clips" in done.stdout and "Frozen:" in done.stdout


def test_the_account_names_every_loss_with_its_reason(root):
    console = Console(record=True, width=300, file=StringIO())
    console.print(account(looked_at(root, leave_out=("silent",))))
    said = " ".join(console.export_text().split())
    for part in ("8 of 12 clips of folder can be used", "no_audio", "cat/deaf.mp4", "undecodable",
                 "empty", "silent", "cat/silent.mp4", "same content"):  # fmt: skip
        assert part in said, part


def test_classes_are_counted_in_each_split(root):
    counts = class_counts(looked_at(root)).set_index("class")
    assert counts["listed"].to_dict() == {"cat": 7, "dog": 5}
    assert counts["used"].to_dict() == {"cat": 4, "dog": 5}
    assert list(counts.index) == ["cat", "dog"]


def test_a_folder_is_scanned_once_and_then_taken_as_it_was_frozen(root, tmp_path):
    results = tmp_path / "results"
    how = {"executor": Here(), "show": Quiet()}
    first = opened(Folder(), root, results, **how)
    (root / "dog" / "9.mp4").write_bytes((root / "dog" / "0.mp4").read_bytes())
    again = opened(Folder(views=Views(size=17)), root, results, **how)
    assert again.fingerprint == first.fingerprint
    assert frozen_of(Folder(), root, results) == results / "data" / "folder.parquet"
    assert frozen_of(Folder(), root, results, tmp_path) is None
    by_name = opened(Folder(), Path("folder"), results, **how)
    assert by_name.fingerprint == first.fingerprint
    run = replace(Folder(), fingerprint=first.fingerprint)
    assert opened(run, None, results, **how).fingerprint == first.fingerprint
    with pytest.raises(MbtError, match=r"needs --data.*\(folder\)"):
        opened(Folder(), None, results, **how)
    with pytest.raises(MbtError, match=r"holds the clips of.*validation=0.2.*another name"):
        opened(Folder(validation=0.3), Path("folder"), results, **how)
    with pytest.raises(MbtError, match="elsewhere/folder is no folder"):
        opened(Folder(), tmp_path / "elsewhere" / "folder", results, **how)
    frozen = results / "data" / "folder.parquet"
    assert opened(Folder(), frozen, results, **how).fingerprint == first.fingerprint


def test_no_clip_at_all_is_one_sentence_and_nothing_is_frozen(here, tmp_path, root):
    for path in root.rglob("*.mp4"):
        path.write_bytes(b"")
    results = tmp_path / "results"
    with pytest.raises(MbtError, match=r"No clip of folder can be used.*12 empty"):
        opened(Folder(), root, results, executor=Here(), show=Quiet())
    done = here("data", "scan", "--recipe", "folder", "--data", root, "--results", results)
    assert done.returncode == 1 and "nothing is frozen" in done.stderr
    assert not (results / "data").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "synthetic"], "renders its own clips"),
        (["--recipe", "vgsound"], "Did you mean 'vggsound'"),
        (["--recipe", "folder", "--leave-out", "slient"], "Did you mean 'silent'"),
        (["--recipe", "folder", "--set", "data.test=2"], "data.test must be below 1"),
        (["--recipe", "vggsound"], "vggsound.csv"),
    ],
)
def test_a_wrong_word_is_one_sentence(here, root, tmp_path, words, said):
    done = here("data", "scan", *words, "--data", root, "--results", tmp_path / "results")
    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") <= 3, done.stderr


def test_a_second_scan_of_other_clips_needs_another_name(here, root, tmp_path):
    words = ["data", "scan", "--recipe", "folder", "--data", root, "--results", tmp_path / "r"]
    assert "Frozen: " in here(*words).stdout
    assert "Frozen already, and the same" in here(*words).stdout
    (root / "dog" / "9.mp4").write_bytes((root / "dog" / "0.mp4").read_bytes())
    done = here(*words)
    assert done.returncode == 1 and "--name folder-2" in done.stderr
    assert "--data folder-2" in here(*words, "--name", "folder-2").stdout
    listed = here("data", "list", "--results", tmp_path / "r").stdout
    assert "folder-2" in listed and str(root) in listed


def test_the_vggsound_clips_are_accounted_for(tmp_path):
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real clips in {SHARED / 'data'}")
    seen = scan(VGGSound(), SHARED / "data", None, leave_out=(), executor=Here(), show=Quiet())
    found = seen.used
    assert len(seen.table) == 3157 and len(found) == 7 and set(found["split"]) == {"test"}
    assert found["end_s"].between(9.9, 10.1).all() and (found["start_s"] == 0).all()
    assert seen.header["class_list"] == "vggsound-309 (official)"
    rows = {row["path"].split("/")[-1]: row for row in found.to_dict("records")}
    one = rows["M1pPtg6a_g8_000230.mp4"]
    assert (one["width"], one["height"], one["channels"]) == (480, 360, 2)
    assert json.loads(json.dumps(seen.header)) == seen.header
    assert seen.manifest.lost == "3,150 missing (such as glLQrEijrKg_300)"
    console = Console(record=True, width=300, file=StringIO())
    console.print(account(seen))
    said = " ".join(console.export_text().split())
    assert "test 15,446 3,157 7 7 0.2%" in said and "train 183,730 0 0 0 –" in said
    assert "No train or validation clip is listed" in said and "to learn from" not in said


def test_what_is_found_and_what_is_used_are_counted_apart(root, tmp_path):
    table = tmp_path / "mine.csv"
    names = [
        "dog/0.mp4",
        "dog/1.mp4",
        "dog/2.mp4",
        "cat/cut.mp4",
        "cat/deaf.mp4",
        "cat/nowhere.mp4",
    ]
    rows = [f"{name},{'ab'[k % 2]},test" for k, name in enumerate(names)]
    table.write_text("\n".join(["path,labels,split", *rows]) + "\n")
    seen = scan(Csv(), root, table, leave_out=(), executor=Here(), show=Quiet())
    console = Console(record=True, width=300, file=StringIO())
    console.print(account(seen))
    assert "test 6 5 3 50.0%" in " ".join(console.export_text().split())
