"""What looks wrong is said first: failures, old records, bad training, what probes found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from recorded import SMALL, few, fill, study_of

from mbt_cli.contrasts import contrasts
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.files import write
from mbt_cli.findings import findings_of
from mbt_cli.probes import probed, probes
from mbt_cli.record import Record
from mbt_cli.report import report
from mbt_cli.runs import Run, read
from mbt_cli.study import Study
from mbt_cli.symptoms import symptoms
from mbt_cli.tried import Tried, tried


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = study_of(few(), SMALL)
    fill(made, tmp_path, multi_label=True)
    return made


def warnings(study: Study, results: Path) -> list[str]:
    found = findings_of(study, results)
    return symptoms(found, tried(found, contrasts(found)))


def record_of(study: Study, results: Path, cell: int, seed: int) -> Record:
    return Record(results / "runs" / study.cells[cell].at("training.seed", seed).key)


def trained(run: Record, losses: Sequence[float], measure: Sequence[float]) -> None:
    (run.folder / "metrics.jsonl").unlink(missing_ok=True)
    for epoch, (loss, reached) in enumerate(zip(losses, measure, strict=True), 1):
        run.row({"epoch": epoch, "step": epoch, "loss": 1 / epoch})
        run.row({"epoch": epoch, "step": epoch, "validation": {"loss": loss, "mAP": reached}})


def test_where_nothing_is_wrong_nothing_is_said(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        trained(record_of(study, tmp_path, 1, seed), [3.0, 2.0, 1.5, 1.5], [0.5, 0.7, 0.8, 0.801])
    assert warnings(study, tmp_path) == []


def test_failed_runs_are_named_with_their_reason(study: Study, tmp_path: Path) -> None:
    run = record_of(study, tmp_path, 1, 2)
    run.fail(MbtError("The training loss is nan at step 7 of seed 2."))
    (said,) = warnings(study, tmp_path)
    assert said.startswith(
        "1 run failed (bottleneck L_f=2 seed 2: The training loss is nan at step"
    )
    assert "--retry-failed" in said
    assert len(findings_of(study, tmp_path).cells[1].runs) == 2


@pytest.mark.parametrize(("file", "lacks"), [
    ("status.json", "validation"), ("run.json", "cost"),
])  # fmt: skip
def test_records_of_an_older_form_are_left_out_and_named(
    study: Study, tmp_path: Path, file: str, lacks: str
) -> None:
    run = record_of(study, tmp_path, 1, 2)
    values = read(run.folder / file)
    del values[lacks]
    write(run.folder / file, values)
    (said,) = warnings(study, tmp_path)
    assert said.startswith("1 finished run cannot be reported, being of another version")
    assert f"`{run.key}` has no {lacks}" in said
    found = findings_of(study, tmp_path)
    assert [len(cell.runs) for cell in found.cells] == [3, 2, 3]


@pytest.mark.parametrize(("file", "lacks"), [
    ("status.json", "seconds"), ("status.json", "epoch"), ("run.json", "code"),
    ("run.json", "environment"), ("run.json", "multi_label"), ("run.json", "groups"),
])  # fmt: skip
def test_what_an_older_record_does_not_say_is_not_missed(
    study: Study, tmp_path: Path, file: str, lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbt_cli.plates.plates", lambda *_: {})
    whole = report(study, tmp_path)
    run = record_of(study, tmp_path, 1, 2)
    values = read(run.folder / file)
    values.pop(lacks, None)
    write(run.folder / file, values)
    assert warnings(study, tmp_path) == []
    assert report(study, tmp_path).answer == whole.answer


def test_a_run_whose_measure_is_not_defined_is_left_out_and_named(
    study: Study, tmp_path: Path
) -> None:
    run = record_of(study, tmp_path, 1, 2)
    path = run.evaluation(Evaluation()) / "evaluation.json"
    values = read(path)
    values["figures"]["mAP"] = None
    write(path, values)
    (said,) = warnings(study, tmp_path)
    assert f"`{run.key}` has no mAP, for no test clip has a label" in said


def test_a_run_without_test_scores_is_left_out_and_named(study: Study, tmp_path: Path) -> None:
    run = record_of(study, tmp_path, 1, 2)
    (run.evaluation(Evaluation()) / "evaluation.json").unlink()
    (said,) = warnings(study, tmp_path)
    assert f"`{run.key}` has no test scores" in said


def test_where_all_runs_failed_the_refusal_says_so(tmp_path: Path) -> None:
    study = study_of(few(), SMALL)
    fill(study, tmp_path, seeds=1)
    for cell in range(3):
        record_of(study, tmp_path, cell, 0).fail(MbtError("It is torn."))
    with pytest.raises(MbtError, match=r"no finished run of few-synthetic \(3 failed\).*retry-fai"):
        findings_of(study, tmp_path)


def test_a_validation_loss_that_rose_again_is_overfitting(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        rises = [3.0, 1.0, 1.1, 1.3] if seed else [3.0, 1.0, 0.9, 0.8]
        trained(record_of(study, tmp_path, 1, seed), rises, [0.5, 0.8, 0.8, 0.8])
        mostly = [3.0, 1.0, 1.1, 1.1 if seed else 1.5]
        trained(record_of(study, tmp_path, 2, seed), mostly, [0.5, 0.8, 0.8, 0.8])
    (said,) = warnings(study, tmp_path)
    assert said.startswith("Overfitting: the validation loss of bottleneck at L_f = 2 rose again")


def test_a_measure_that_still_climbed_is_underfitting(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        trained(record_of(study, tmp_path, 1, seed), [3.0, 2.0, 1.0], [0.5, 0.6, 0.61])
        trained(record_of(study, tmp_path, 2, seed), [3.0, 2.0, 1.0], [0.5, 0.6, 0.604])
        trained(record_of(study, tmp_path, 0, seed), [3.0, 2.0, 1.0], [0.7, 0.6, 0.65])
    (said,) = warnings(study, tmp_path)
    assert said.startswith("Underfitting: mAP of bottleneck at L_f = 2 still climbed")


def test_of_two_epochs_no_trend_is_told(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        trained(record_of(study, tmp_path, 1, seed), [1.0, 3.0], [0.5, 0.9])
    assert warnings(study, tmp_path) == []


def probe(run: Record, fall: float, entropy: float, multi: bool = True) -> None:
    """Makes up what the probes of a run found: each takes `fall` from its mAP."""
    whole = run.figures(Evaluation()) or {}
    kept = run.scores(Evaluation())
    for how in probes(run.experiment).values():
        figures = whole | {"mAP": whole["mAP"] - fall * max(1, len(how.averaged))}
        labels = kept["labels"].astype(float)
        run.evaluated(how, figures, kept["scores"], labels, kept["names"].tolist())
    line: dict[str, Any] = {
        "layer": 1, "writes": ["audio"], "reads": ["audio"], "clips": 7, "entropy": entropy,
        "heads": [entropy], "shares": {"audio": {"audio": 1.0}}, "alike": {"audio": 1.0},
    }  # fmt: skip
    run.attended(Evaluation(), [line, line | {"layer": 2, "entropy": 0.7, "heads": [0.7]}])


def test_a_modality_that_changes_nothing_is_ignored(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        probe(record_of(study, tmp_path, 1, seed), 0.004, 0.5)
        probe(record_of(study, tmp_path, 0, seed), 0.004 if seed else 0.006, 0.5)
    said = warnings(study, tmp_path)
    assert [one.partition(":")[0] for one in said] == [
        "bottleneck at L_f = 2 ignores audio", "bottleneck at L_f = 2 ignores video",
    ]  # fmt: skip


def test_attention_that_reads_one_key_is_collapsed(study: Study, tmp_path: Path) -> None:
    for seed in range(3):
        probe(record_of(study, tmp_path, 1, seed), 0.1, 0.5 if seed else 0.04)
        probe(record_of(study, tmp_path, 2, seed), 0.1, 0.06)
    (said,) = warnings(study, tmp_path)
    assert said.startswith("Collapsed attention in bottleneck at L_f = 2: layer 1, audio <- audio.")


def test_what_probes_found_is_gathered_over_seeds(study: Study, tmp_path: Path) -> None:
    for seed in range(2):  # the third was not probed
        probe(record_of(study, tmp_path, 1, seed), 0.1 + seed / 10, 0.5 + seed / 10)
        probe(record_of(study, tmp_path, 0, seed), 0.05, 0.5)
    found = findings_of(study, tmp_path)
    told = tried(found, contrasts(found))
    assert isinstance(told, Tried)
    best = found.best.name
    assert best == "bottleneck at L_f = 2"
    assert set(told.changes) == {best, "late fusion"}
    assert told.changes[best]["audio removed"] == pytest.approx([-0.1, -0.2])
    assert told.drops[best]["audio removed"] == pytest.approx([0.1, 0.2])
    assert told.reliance[best]["video"] == pytest.approx([0.1, 0.2])
    assert told.entropy[best] == (pytest.approx(0.55), "layer 1, audio <- audio")
    one = probed(Run(record_of(study, tmp_path, 1, 0).folder))
    assert one is not None
    assert told.shapley[best]["audio"][0] == pytest.approx(one.shapley["audio"])
    assert told.value_function == one.value_function
    assert "bottleneck at L_f = 3" not in told.shapley


def test_without_probes_nothing_is_told_of_them(study: Study, tmp_path: Path) -> None:
    found = findings_of(study, tmp_path)
    told = tried(found, contrasts(found))
    assert not told.changes and not told.shapley
