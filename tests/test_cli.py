"""The command line end to end, as a user has it: real processes, files, MLflow."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import PAIR, TINY

from mbt_cli import __version__
from mbt_cli.cli import app
from mbt_cli.experiment import Evaluation
from mbt_cli.grid import grids, load_grid
from mbt_cli.runs import finished
from mbt_cli.wiring import FUSIONS


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which a command was refused."""
    assert result.returncode == 1, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert lines, result.stdout
    assert "Traceback" not in result.stderr
    assert lines[-1].startswith("mbt-cli: ")
    return " ".join(lines[next(i for i, x in enumerate(lines) if x.startswith("mbt-cli: ")) :])


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "pair.py"
    path.write_text(PAIR)
    return path


@pytest.mark.parametrize(
    "words", [(), ("ablate",), ("report",), ("evaluate",), ("flops",), ("runs",)]
)
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys; from mbt_cli.cli import app\n"
        f"try: app({[*words, '--help']!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'mlflow', 'av', 'sklearn', 'timm'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_lists_what_there_is(mbt):
    shown = " ".join(mbt("ablate", "--help").stdout.split())
    for name in (*grids(), "synthetic", "grid_corpus", *FUSIONS):
        assert name in shown, name


def test_every_command_says_what_it_does():
    names = {command.callback.__name__ for command in app.registered_commands}
    assert names == {
        "ablate", "attention_rollout", "compare", "evaluate", "flops", "report", "sync",
    }  # fmt: skip
    assert all(command.callback.__doc__ for command in app.registered_commands)


def test_version(mbt):
    assert mbt("--version").stdout == f"mbt-cli {__version__}\n"


def test_a_plan_lists_every_run_with_its_price_and_runs_nothing(mbt, tmp_path):
    done = mbt("ablate", "--grid", "fusion_layer", "--plan", "--results", tmp_path / "none")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if " new " in line]
    assert len(rows) == 39
    assert sum("bottleneck" in row for row in rows) == 12
    assert "106,702" in rows[0] and "0.001341" in rows[0] and "0.002682" in rows[0]
    assert "39 runs: 0 finished, 39 to do" in done.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--grid", "fusion_layr"),
            "fusion_layr'. Did you mean 'fusion_layer'?",
        ),
        (("--grid", "nowhere.py"), "There is no file nowhere.py."),
        (("--grid", "fusion_layer", "--recipe", "synthetc"), "Did you mean 'synthetic'?"),
        (("--grid", "fusion_layer", "--set", "model.widht=3"), "Did you mean 'model.width'?"),
        (("--grid", "fusion_layer", "--set", "model.width=x"), "takes a whole number"),
        (("--grid", "fusion_layer", "--set", "model.gelu=tan"), "Did you mean 'tanh'?"),
        (("--grid", "fusion_layer", "--set", "model.width"), "--set takes FIELD=VALUE"),
        (("--grid", "fusion_layer", "--set", "model.heads=5"), "multiple of model.heads"),
        (
            ("--grid", "fusion_layer", "--set", "model.fusion_layer=2"),
            "model.fusion_layer is what the grid fusion_layer varies",
        ),
        (("--grid", "fusion_layer", "--set", "model.fusion=late"), "is what the grid"),
        (("--grid", "fusion_layer", "--set", "training.seed=2"), "leave it to ablate --seeds"),
        (("--grid", "fusion_layer", "--data", "."), "leave out --data"),
        (("--grid", "fusion_layer", "--recipe", "grid_corpus"), "needs --data"),
        (("--grid", "fusion_layer", "--recipe", "grid_corpus", "--data", "/nowhere"), "no folder"),
        (("--grid", "fusion_layer", "--device", "quantum"), "--device quantum is not here"),
    ],
)
def test_a_wrong_word_is_one_sentence(here, tmp_path, words, sentence):
    assert sentence in refused(here("ablate", *words, "--results", tmp_path / "results"))


def test_a_file_that_asks_nothing_is_one_sentence(here, tmp_path):
    (tmp_path / "empty.py").write_text("GRID = 3\n")
    said = refused(here("ablate", "--grid", tmp_path / "empty.py", "--plan"))
    assert "must define GRID = Grid(" in said
    head = "from mbt_cli.grid import Grid\nGRID = Grid(lambda base: "
    for text, sentence in (
        ("[], x='model.width', by='model.fusion')", "The grid empty has no cells"),
        ("[base], x='model.widht', by='model.fusion')", "Did you mean 'model.width'?"),
        ("[base], x='model.width', by='model.fusoin')", "Did you mean 'model.fusion'?"),
    ):
        (tmp_path / "empty.py").write_text(head + text)
        for command in (("ablate", "--plan"), ("flops",)):
            assert sentence in refused(here(*command, "--grid", tmp_path / "empty.py"))


def test_a_folder_without_clips_is_one_sentence(mbt, tmp_path):
    (tmp_path / "empty").mkdir()
    words = ("--grid", "fusion_layer", "--recipe", "grid_corpus", "--data", tmp_path / "empty")
    assert "No clip of the GRID corpus lies below" in refused(mbt("ablate", *words))


def test_results_that_cannot_be_written_are_one_sentence(mbt, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = mbt("ablate", "--grid", "fusion_layer", *TINY, "--results", tmp_path / "file")
    assert "Results cannot be written to" in refused(done)


def test_a_report_of_nothing_is_one_sentence(mbt, tmp_path):
    assert "holds no study yet" in refused(mbt("report", "--results", tmp_path))


@pytest.fixture(scope="module")
def ran(mbt, tmp_path_factory):
    """Two cells of two seeds on a tiny world, in two workers."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "pair.py").write_text(PAIR)
    words = ("ablate", "--grid", folder / "pair.py", *TINY, "--results", folder / "results")
    done = mbt(*words, "--seeds", 2, "--workers", 2)
    assert done.returncode == 0, done.stderr
    return folder, words, done


def test_runs_are_recorded_and_told_line_by_line(ran):
    folder, _, done = ran
    runs = finished(folder / "results")
    assert len(runs) == 4
    lines = [line for line in done.stdout.splitlines() if "/4" in line]
    assert len(lines) == 4
    assert all("mAP" in line and " s" in line for line in lines)
    for run in runs.values():
        found = run.figures(Evaluation())
        arrays = run.scores(Evaluation())
        assert arrays["scores"].shape == arrays["labels"].shape == (24, 14)
        assert arrays["scores"].dtype == "float32"
        assert list(arrays["names"][:1]) == ["test/00000"]
        assert found["clips"] == 24
        assert sum("validation" in row for row in run.curve()) == 1
        assert run.status["state"] == "finished" and run.status["epoch"] == 1
        assert set(run.weights()) > {"head.weight", "norm.bias"}
        assert sum(t.numel() for t in run.weights().values()) == run.cost.parameters
        assert run.facts["environment"]["threads"] == 1
        assert {"torch", "av", "numpy"} <= set(run.facts["environment"]["versions"])
        assert run.experiment.key == run.key
    assert not list((folder / "results").rglob("*.part"))


def test_figures_of_a_record_follow_from_its_scores(ran):
    from mbt_cli.data.world import CLASSES, GROUPS
    from mbt_cli.metrics import figures
    from mbt_cli.task import Task

    for run in finished(ran[0] / "results").values():
        arrays = run.scores(Evaluation())
        task = Task(CLASSES, True, groups=GROUPS)
        found = figures(arrays["scores"], arrays["labels"].astype("float32"), task)
        assert found == run.figures(Evaluation())


def test_what_is_finished_is_never_run_again(mbt, ran):
    folder, words, _ = ran
    before = {run.key: run.status for run in finished(folder / "results").values()}
    again = mbt(*words, "--seeds", 2)
    assert "4 runs: 4 finished, 0 to do" in again.stdout
    assert {run.key: run.status for run in finished(folder / "results").values()} == before
    plan = mbt(*words, "--seeds", 3, "--plan").stdout
    assert plan.count("finished") - 1 == 4
    assert "6 runs: 4 finished, 2 to do" in plan


def test_workers_do_not_change_a_result(mbt, ran, tmp_path, logged):
    folder, words, _ = ran
    words = [tmp_path / "alone" if word == folder / "results" else word for word in words]
    done = mbt(*words, "--seeds", 1, "--workers", 1, MLFLOW_TRACKING_URI=logged)
    assert done.returncode == 0, done.stderr
    alone, together = finished(tmp_path / "alone"), finished(folder / "results")
    assert len(alone) == 2
    for key, run in alone.items():
        mine, theirs = run.scores(Evaluation()), together[key].scores(Evaluation())
        assert (mine["scores"] == theirs["scores"]).all()
        assert run.facts["environment"]["threads"] == 1


def test_mlflow_holds_every_run(ran):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{ran[0] / 'results' / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "mbt-cli"]
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["key"] for run in runs} == set(finished(ran[0] / "results"))
    for run in runs:
        assert run.info.status == "FINISHED"
        assert {"parameters", "gmacs", "gflops", "test/mAP", "loss"} <= set(run.data.metrics)
        assert run.data.params["model.width"] == "32"


def test_a_report_is_rebuilt_from_the_records(mbt, ran):
    folder, _, _ = ran
    done = mbt("report", "--results", folder / "results")
    assert done.returncode == 0, done.stderr
    (study,) = (folder / "results").glob("pair-*/report.md")
    assert "Which of two?" in study.read_text()
    names = {file.name for file in study.parent.iterdir()}
    assert {"runs.csv", "mAP.svg", "mAP.png", "cost.png", "groups.svg", "study.json"} <= names
    assert mbt("report", "pair", "--results", folder / "results").stdout == done.stdout
    assert "No study" in refused(mbt("report", "pear", "--results", folder / "results"))


def test_a_run_is_scored_in_another_way_without_training(mbt, ran):
    folder, _, _ = ran
    runs = finished(folder / "results")
    run = next(r for r in runs.values() if r.experiment.model.fusion == "bottleneck")
    before = (run.folder / "weights.safetensors").stat().st_mtime_ns
    words = ("evaluate", run.key[:6], "--set", "fusion=late", "--results", folder / "results")
    done = mbt(*words)
    assert done.returncode == 0, done.stderr
    off = run.figures(Evaluation(fusion="late"))
    assert off["mAP"] != run.figures(Evaluation())["mAP"]
    assert f"{off['mAP']:.3f}" in done.stdout
    assert (run.folder / "weights.safetensors").stat().st_mtime_ns == before
    said = refused(mbt("evaluate", "zz", "--results", folder / "results"))
    assert "No finished run" in said
    said = refused(mbt(*words[:2], "--set", "fusio=late", "--results", folder / "results"))
    assert "Did you mean 'fusion'?" in said


def test_a_run_that_fails_costs_itself_and_the_others_go_on(mbt, tmp_path, logged):
    path = tmp_path / "rates.py"
    path.write_text(PAIR.replace(
        'base.at("model.fusion", fusion) for fusion in ("late", "bottleneck")',
        'base.at("training.learning_rate", rate) for rate in (1e30, 1e-3)',
    ).replace('x="model.fusion_layer"', 'x="training.learning_rate"'))  # fmt: skip
    words = ("ablate", "--grid", path, *TINY, "--set", "training.optimizer=sgd", "--set",
             "training.epochs=2", "--set", "training.batch_size=8", "--workers", 1, "--seeds", 1,
             "--results", tmp_path / "results")  # fmt: skip
    done = mbt(*words, MLFLOW_TRACKING_URI=logged)
    assert "1 of 2 runs failed" in refused(done)
    assert "failed: The training loss is" in done.stdout
    assert len(finished(tmp_path / "results")) == 1
    states = [json.loads(f.read_text()) for f in (tmp_path / "results").glob("runs/*/status.json")]
    failed = next(state for state in states if state["state"] == "failed")
    assert "is nan at step " in failed["error"] or "is inf at step " in failed["error"]
    assert "try a lower training.learning_rate" in failed["error"]
    (log,) = (tmp_path / "results").rglob("error.txt")
    assert f"All of that: {log}" in done.stdout and failed["error"] in log.read_text()
    assert "1 finished, 1 failed, 0 to do" in mbt(*words, "--plan").stdout
    assert "2 runs: 1 finished, 1 to do" in mbt(*words, "--plan", "--retry-failed").stdout
    left = mbt(*words, MLFLOW_TRACKING_URI=logged)
    assert "1 of 2 runs failed earlier and were left alone. The same" in refused(left)
    assert "failed:" not in left.stdout
    again = mbt(*words, "--retry-failed", "--retries", 2, "--on-error", "stop",
                MLFLOW_TRACKING_URI=logged)  # fmt: skip
    assert "--on-error is stop" in refused(again)
    assert again.stdout.count("Trying again (") == 2 and again.stdout.count("failed:") == 1
    assert len(finished(tmp_path / "results")) == 1


def test_runs_are_listed_shown_and_removed(here, ran, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(ran[0] / "results", results, ignore=shutil.ignore_patterns("mlflow*"))
    every = ("--results", results)
    listed = here("runs", "list", *every).stdout
    keys = sorted(finished(results))
    assert [line.split()[0] for line in listed.splitlines()[2:6]] == keys
    assert listed.count("  finished") == 4 and "Runs: 4 (4 finished)" in listed
    run = finished(results)[keys[0]]
    shown = here("runs", "show", keys[0][:6], *every).stdout
    for said in (run.experiment.title, run.facts["code"], "data.train=48", "model.tubelet=2,8,8",
                 f"{run.cost.parameters:,} parameters", "scored on test, as trained",
                 "weights.safetensors", "best epoch 1", run.status["started"]):  # fmt: skip
        assert said in shown
    assert "traceback" not in shown

    assert "add --yes" in refused(here("runs", "remove", keys[0], *every))
    assert "No run in" in refused(here("runs", "remove", keys[0], "zzz", "--yes", *every))
    assert len(finished(results)) == 4
    done = here("runs", "remove", keys[0], keys[1][:7], "--yes", *every)
    assert done.returncode == 0 and "Removed 2 run(s)." in done.stdout
    assert sorted(finished(results)) == keys[2:]
    assert len(list((results / "runs").glob("*/"))) == 2
    assert "holds no run yet" in refused(here("runs", "list", "--results", tmp_path / "none"))


@pytest.fixture
def two_runs(pair, tmp_path):
    """The words that do two tiny runs, one after the other."""
    words = ("ablate", "--grid", pair, *TINY, "--workers", 1, "--seeds", 1)
    return (*words, "--results", tmp_path / "results")


def test_an_mlflow_server_out_of_reach_stops_no_run(mbt, two_runs, tmp_path):
    done = mbt(*two_runs, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    said = refused(done)
    assert "MLflow at http://127.0.0.1:9" in said
    assert len(finished(tmp_path / "results")) == 2


def test_training_runs_where_mlflow_is_not_installed(mbt, two_runs, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\nsys.modules['mlflow'] = None\n"
    )
    done = mbt(*two_runs, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    assert "pip install mlflow" in done.stdout
    assert len(finished(tmp_path / "results")) == 2


def test_a_clip_that_cannot_be_read_is_named_and_needs_leave_to_be_left_out(
    mbt, grid_clips, tmp_path, logged
):
    root = tmp_path / "s1"
    shutil.copytree(grid_clips / "s1", root)
    first, second, *_ = sorted(root.glob("b*.mpg"))
    first.chmod(0o644)
    first.write_bytes(first.read_bytes()[:50_000])
    second.chmod(0o644)
    second.write_bytes(b"")
    sizes = ("training.epochs=1", "data.views.size=32", "model.depth=1", "model.fusion_layer=1")
    (tmp_path / "one.py").write_text(PAIR.replace('("late", "bottleneck")', '("late",)'))
    words = [word for size in sizes[:3] for word in ("--set", size)]
    words += ["--recipe", "grid_corpus", "--data", root, "--workers", 1, "--seeds", 1]
    words += ["--grid", tmp_path / "one.py", "--results", tmp_path / "results"]
    said = refused(mbt("ablate", *words, MLFLOW_TRACKING_URI=logged))
    assert "The train split has 14 of 16 expected clips (87.5%)" in said
    assert f"1 empty (such as {second.stem}" in said and "--min-coverage 0.87." in said
    done = mbt("ablate", *words, "--min-coverage", "0.87", MLFLOW_TRACKING_URI=logged)
    assert done.returncode == 0, done.stderr
    assert "30 of 32 (93.8%)" in done.stdout
    (run,) = finished(tmp_path / "results").values()
    assert not run.facts["left_out"]
    report = " ".join(mbt("report", "--results", tmp_path / "results").stdout.split())
    assert "Coverage of the expected clips: train 14 of 16 (87.5%)" in report


def test_real_clips_run_end_to_end(mbt, grid_clips, tmp_path, logged):
    sizes = ("training.epochs=1", "data.views.size=32", "model.depth=2")
    words = [word for size in sizes for word in ("--set", size)]
    words += [
        "--recipe",
        "grid_corpus",
        "--data",
        grid_clips,
        "--workers",
        1,
        "--seeds",
        1,
        "--results",
        tmp_path,
    ]
    done = mbt("ablate", "--grid", "fusion_layer", *words, MLFLOW_TRACKING_URI=logged)
    assert done.returncode == 0, done.stderr
    runs = finished(tmp_path)
    assert len(runs) == 7
    for run in runs.values():
        found = run.figures(Evaluation())
        assert found["clips"] == 8 and set(found) > {"top1", "top5", "mAP"}
        assert run.facts["left_out"] == {}
    done = mbt("report", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "top1" in done.stdout


def test_a_grid_that_comes_with_the_tool_asks_what_it_says():
    from mbt_cli.recipes import recipe

    cells = load_grid("fusion_layer").ask(recipe("synthetic"))
    assert len(cells) == 13
    assert [c.model.fusion for c in cells].count("late") == 1
    for fusion in ("bottleneck", "cross_attention", "self_attention"):
        layers = [c.model.fusion_layer for c in cells if c.model.fusion == fusion]
        assert layers == [0, 1, 2, 3]
    alone = load_grid("modalities").ask(recipe("synthetic"))
    both = ("audio", "video")
    assert [c.model.modalities for c in alone] == [("audio",), ("video",), both, both]
