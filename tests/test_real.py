"""Real data by the command line, end to end: scan, train, evaluate, and what may go wrong."""

import json
import shutil

import numpy as np
import pytest
from conftest import PAIR, SHARED, TINY
from rendered import noise, render

from mbt_cli.data.snapshot import load
from mbt_cli.experiment import Evaluation
from mbt_cli.runs import finished

ONE = PAIR.replace('("late", "bottleneck")', '("bottleneck",)').replace(
    "fusion_layer", "bottlenecks"
)
SMALL = ("training.epochs=1", "model.depth=1", "model.fusion_layer=0", "model.width=16",
         "model.heads=2", "data.views.size=32", "data.views.frames=2", "training.batch_size=2",
         "data.views.span_s=0.64", "training.learning_rate=0.001")  # fmt: skip
VIDEO = "{:011d}"
"""A YouTube id, for the tests."""


def small(*more):
    return [word for setting in (*SMALL, *more) for word in ("--set", setting)]


@pytest.fixture
def mbt(here, monkeypatch, tmp_path, logged):
    """The command in this process, with a cache of its own."""
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", logged)
    return here


@pytest.fixture
def grid(tmp_path):
    (tmp_path / "one.py").write_text(ONE)
    return tmp_path / "one.py"


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A clip of one second."""
    folder = tmp_path_factory.mktemp("second")
    return render(folder / "clip.mp4", times_s=tuple(np.arange(25) / 25),
                  sound=noise(1.0, 16_000), rate_hz=16_000)  # fmt: skip


def sorted_clips(folder, second, classes=2, each=6):
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for k in range(each):
            shutil.copy(second, folder / f"class{label}" / f"{k}.mp4")
    return folder


def answered(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def refused(done):
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and done.stderr.startswith("mbt-cli: ")
    return " ".join(done.stderr.split())


def test_own_clips_in_folders_need_no_code(mbt, grid, grid_clips, tmp_path):
    """Real clips sorted by command, windows at random, two crops: decoded as they are needed."""
    for path in (grid_clips / "s1").glob("*.mpg"):
        (tmp_path / "clips" / path.stem[0]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "clips" / path.stem[0] / path.name)
    words = ["--grid", grid, "--recipe", "folder", "--data", tmp_path / "clips", "--seeds", 1]
    words += small("data.views.windows=random", "data.views.crops=2", "data.views.span_s=2")
    runs = []
    for readers in (2, 0):
        results = tmp_path / f"results{readers}"
        how = ["--results", results, "--readers", readers]
        said = answered(mbt("ablate", *words, *how))
        assert "32 of 32 (100.0%)" in said and "Reading clips" not in said
        runs += finished(results).values()
    one, other = runs
    assert one.facts["classes"] == ["b", "l", "p", "s"] and one.status["lost"] == {}
    assert one.key == other.key
    for name, array in one.scores(Evaluation()).items():
        np.testing.assert_array_equal(array, other.scores(Evaluation())[name])
    page = answered(mbt("report", "--results", results))
    assert "train 16 of 16 (100.0%)" in page


def test_verbs_and_nouns_are_answered_by_two_heads(mbt, grid, tmp_path):
    columns = (
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
        "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,"
        "all_noun_classes"
    )
    (root := tmp_path / "epic").mkdir()
    for kind, words in (("verb", "take put wash"), ("noun", "tap spoon")):
        rows = [f"{k},{word},['{word}'],x" for k, word in enumerate(words.split())]
        (root / f"EPIC_100_{kind}_classes.csv").write_text(
            "\n".join(["id,key,instances,category", *rows]) + "\n"
        )
    for split, videos in (("train", range(1, 7)), ("validation", (11,))):
        rows = [columns]
        for video in videos:
            name = f"P01_{video:02}"
            render(root / f"{name}.MP4", times_s=tuple(np.arange(100) / 25),
                   sound=noise(4.0, 16_000, seed=video), rate_hz=16_000)  # fmt: skip
            for k in range(6):
                start, stop = 0.6 * k, 0.6 * k + (0.2 if k % 2 else 0.9)
                rows.append(
                    f"{name}_{k},P01,{name},,00:00:0{start:.2f},00:00:0{stop:.2f},1,2,x,x,"
                    f"{k % 3},y,{k % 2},['y'],[{k % 2}]"
                )
        (root / f"EPIC_100_{split}.csv").write_text("\n".join(rows) + "\n")
    words = ["--grid", grid, "--recipe", "epic_kitchens", "--data", root, "--seeds", 1]
    words += ["--results", tmp_path / "results", *small("data.validation=0.3")]
    said = answered(mbt("ablate", *words))
    assert "42 of 42" in said
    (run,) = finished(tmp_path / "results").values()
    assert run.facts["heads"] == {"verb": 3, "noun": 2}
    assert run.facts["classes"][2:4] == ["verb: wash", "noun: tap"]
    arrays, figures = run.scores(Evaluation()), run.figures(Evaluation())
    right = {}
    for kind, part in (("verb", slice(0, 3)), ("noun", slice(3, 5))):
        right[kind] = arrays["scores"][:, part].argmax(1) == arrays["labels"][:, part].argmax(1)
        assert figures["heads"][kind]["top1"] == pytest.approx(right[kind].mean())
    assert figures["top1"] == pytest.approx((right["verb"] & right["noun"]).mean())
    assert figures["clips"] == 6 and (arrays["labels"].sum(1) == 2).all()
    assert set(arrays["groups"]) == {"P01"}


def vggsound(root, second, *, train=12, test=4):
    """A folder in VGGSound's form, with the official list of classes."""
    stat = SHARED / "data" / "metadata" / "vggsound" / "stat.csv"
    if not stat.exists():
        pytest.skip(f"needs the official list of classes in {stat}")
    root.mkdir()
    shutil.copy(stat, root)
    rows = []
    for k in range(train + test):
        video = VIDEO.format(k)
        shutil.copy(second, root / f"{video}_000030.mp4")
        label = ("airplane", "basketball bounce")[k % 2]
        rows.append(f"{video},30,{label},{'train' if k < train else 'test'}")
    (root / "vggsound.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def spans(tmp_path):
    """A question that needs two sets of arrays."""
    text = ONE.replace('base.at("model.fusion", fusion) for fusion in ("bottleneck",)',
                       'base.at("data.views.span_s", span_s) for span_s in (0.5, 1.0)')  # fmt: skip
    (tmp_path / "spans.py").write_text(text.replace("model.bottlenecks", "data.views.span_s"))
    return tmp_path / "spans.py"


def test_what_clips_show_may_be_what_a_grid_varies(mbt, spans, tmp_path):
    words = ["--grid", spans, "--seeds", 1, "--results", tmp_path / "results", *TINY]
    words += ["--set", "data.world=23"]  # of which no other test has arrays
    said = answered(mbt("ablate", *words))
    assert said.count("Reading clips: 96 clips") == 2
    runs = finished(tmp_path / "results").values()
    scores = {run.experiment.data.views.span_s: run.scores(Evaluation())["scores"] for run in runs}
    assert set(scores) == {0.5, 1.0} and abs(scores[0.5] - scores[1.0]).max() > 1e-4
    assert len({run.cost.macs for run in runs}) == 2
    page = answered(mbt("report", "--results", tmp_path / "results"))
    assert "span_s = 0.5" in page or " 0.5 " in page


def test_the_windows_of_sound_and_pictures_may_be_apart(mbt, grid, tmp_path):
    """In the built-in world, of whose clips half is shown: no arrays, other weights."""
    scores = {}
    for windows in ("one", "asynchronous"):
        words = ["--grid", grid, "--seeds", 1, "--results", tmp_path / windows, *TINY]
        words += ["--set", f"data.views.windows={windows}", "--set", "data.views.span_s=0.5",
                  "--set", "training.batch_size=16"]  # fmt: skip
        said = answered(mbt("ablate", *words, "--readers", 1))
        assert windows == "one" or "Reading clips" not in said
        (run,) = finished(tmp_path / windows).values()
        assert run.experiment.data.views.windows == windows and run.status["lost"] == {}
        scores[windows] = run.scores(Evaluation())["scores"]
    assert abs(scores["one"] - scores["asynchronous"]).max() > 1e-4


def test_a_run_is_evaluated_on_clips_it_was_not_trained_on(mbt, grid, second, tmp_path):
    """VGGSound's real test clips: they cannot be trained on, and a run can be scored on them."""
    root, results = vggsound(tmp_path / "vgg", second), tmp_path / "results"
    words = ["ablate", "--grid", grid, "--recipe", "vggsound", "--seeds", 1, "--results", results]
    words += small("data.validation=0.3", "data.views.crops=1", "data.views.windows=one")
    real = SHARED / "data"
    why = refused(mbt(*words, "--data", real, "--min-coverage", 0))
    assert "No clip of the train split can be read" in why and "The metadata list none" in why
    answered(mbt(*words, "--data", root))
    (run,) = finished(results).values()
    said = answered(mbt("evaluate", run.key, "--data", real, "--results", results))
    assert "other clips than the run was trained on" in said
    (other,) = (how for how, _ in run.evaluations() if how.clips)
    assert run.scores(other)["scores"].shape == (7, 309)
    assert run.scores(other)["labels"].sum() == 7
    again = answered(mbt("evaluate", run.key, "--set", "crops=2", "--results", results))
    assert "as asked" in again
    sorted_clips(tmp_path / "mine", second)
    folder = refused(mbt("evaluate", run.key, "--data", tmp_path / "mine", "--results", results))
    assert "vggsound.csv" in folder


def test_clips_that_will_not_do_are_not_frozen(mbt, grid, second, tmp_path):
    """Else they would still not do when the others have come."""
    root, results = sorted_clips(tmp_path / "clips", second), tmp_path / "results"
    words = ["ablate", "--grid", grid, "--recipe", "folder", "--data", root, "--seeds", 1]
    words += ["--results", results, *small()]
    torn = root / "class0" / "0.mp4"
    torn.write_bytes(b"")
    assert "1 empty" in refused(mbt(*words)) and not (results / "data").exists()
    scan = ["data", "scan", "--recipe", "folder", "--data", root, "--results", results]
    answered(mbt(*scan))
    shutil.copy(second, torn)
    why = refused(mbt(*words))
    assert "1 empty" in why and "of the scan folder, of 20" in why and "another --name" in why
    (results / "data" / "folder.parquet").unlink()
    assert "Clips as they are now: 12 of 12" in answered(mbt(*words, "--plan"))
    assert not any((results / "data").iterdir())
    answered(mbt(*words))
    assert [path.name for path in (results / "data").iterdir()] == ["folder.parquet"]


def test_a_clip_that_vanishes_stops_a_run_and_is_not_lost(mbt, grid, second, tmp_path):
    root, results = sorted_clips(tmp_path / "clips", second), tmp_path / "results"
    words = ["ablate", "--grid", grid, "--recipe", "folder", "--data", root, "--seeds", 1]
    words += ["--results", results, *small("data.views.windows=random")]
    answered(mbt("data", "scan", "--recipe", "folder", "--data", root, "--results", results))
    gone = root / "class0" / "0.mp4"
    for path in root.rglob("*.mp4"):
        path.rename(path.with_suffix(".away"))
    done = mbt(*words)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "does not exist" in said and "--min-coverage" in said and "Put it back" in said
    for path in root.rglob("*.away"):
        path.rename(path.with_suffix(".mp4"))
    answered(mbt(*words, "--retry-failed"))
    (run,) = finished(results).values()
    assert run.status["lost"] == {}
    gone.unlink()
    answered(mbt(*words, "--seeds", 2, "--min-coverage", 0.5))
    lost = [run.status["lost"] for run in finished(results).values()]
    assert sorted(map(len, lost)) == [0, 1] and "class0/0.mp4" in {**lost[0], **lost[1]}
    assert "class0/0.mp4" in answered(mbt("report", "--results", results))


def test_a_prepared_folder_is_a_dataset_of_its_own(mbt, grid, second, tmp_path):
    root, to = sorted_clips(tmp_path / "clips", second), tmp_path / "small"
    (root / "class0" / "0.mp4").write_bytes(b"no video")
    words = ["data", "prepare", "--recipe", "folder", "--data", root, "--to", to]
    said = answered(mbt(*words))
    assert "11 of 12 files" in said and "0.mp4" in said and "Preparing files: 12 files" in said
    assert len(list(to.rglob("*.mp4"))) == 11
    said = answered(mbt(*words))
    assert "11 of them from before" in said and "Preparing files: 1 files" in said
    run = ["ablate", "--grid", grid, "--recipe", "folder", "--data", to, "--seeds", 1, *small()]
    answered(mbt(*run, "--results", tmp_path / "results"))
    why = refused(mbt(*words[:-1], root / "inside"))
    assert "Give a folder beside it" in why
    torn = root / "class1" / "1.mp4"
    torn.write_bytes(torn.read_bytes()[:700])
    assert "10 of 12 files" in answered(mbt(*words))
    assert not (to / "class1" / "1.mp4").exists()  # made of what it was before


def test_prepared_files_keep_their_names_and_splits(mbt, second, tmp_path):
    """A csv names each file; in folders a name decides the split, and two may differ in endings."""
    root = sorted_clips(tmp_path / "clips", second)
    shutil.move(root / "class0" / "0.mp4", root / "class0" / "0.avi")
    shutil.copy(root / "class0" / "0.avi", root / "class0" / "1.mkv")
    files = sorted(root.rglob("*.*"))
    rows = [f"{path.relative_to(root)},{path.parent.name},0,0.8" for path in files]
    (root / "mine.csv").write_text("\n".join(["path,labels,start,end", *rows]) + "\n")
    for recipe in ("csv", "folder"):
        to, tables = tmp_path / recipe, []
        answered(mbt("data", "prepare", "--recipe", recipe, "--data", root, "--to", to))
        for folder in (root, to):
            results = tmp_path / f"{recipe}-{folder.name}"
            scan = ["data", "scan", "--recipe", recipe, "--data", folder, "--results", results]
            assert f"13 of 13 clips of {recipe}" in answered(mbt(*scan))
            tables.append(load(results / "data" / f"{recipe}.parquet").table)
        before, after = (table.set_index("name") for table in tables)
        assert before["split"].to_dict() == after["split"].to_dict()
        assert not set(before["hash"]) & set(after["hash"])
        assert (to / "mine.csv").exists() == (recipe == "csv")


def test_the_scan_says_which_settings_it_is_for(mbt, second, tmp_path):
    root, results = sorted_clips(tmp_path / "clips", second), tmp_path / "results"
    words = ["data", "scan", "--recipe", "folder", "--data", root, "--results", results]
    answered(mbt(*words, "--set", "data.validation=0.3", "--name", "other"))
    why = refused(mbt("ablate", "--grid", "modalities", "--recipe", "folder", "--data", "other",
                      "--results", results))  # fmt: skip
    assert "validation=0.3" in why and json.dumps(0.2) in why
