"""One run: what it learns by, what it measures, and that it does the same thing twice."""

import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from mbt_cli import data, memory
from mbt_cli.descent import learning_rate, optimizer_of
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Training
from mbt_cli.feed import drawn, normalised
from mbt_cli.mixup import draw
from mbt_cli.model.mbt import predict
from mbt_cli.recipes import recipe
from mbt_cli.scoring import evaluate
from mbt_cli.train import fit

BASE = recipe("synthetic")
SMALL = replace(
    BASE,
    data=replace(BASE.data, train=72, validation=24, test=24),
    training=replace(BASE.training, epochs=3, batch_size=16),
)


class Kept:
    """A log in memory."""

    def __init__(self, stop_at=None):
        self.rows, self.weights, self.stop_at, self.states = [], [], stop_at, 0

    def row(self, values):
        self.rows.append(values)

    def best(self, weights):
        self.weights.append(weights)

    def step(self, state, *, last):
        self.states += 1
        self.last = last
        if self.states == self.stop_at:
            raise Killed(state())


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MBT_CACHE", str(tmp_path_factory.mktemp("cache")))
        manifest = data.open_manifest(SMALL.data)
        return data.make_ready(SMALL.data, manifest, data.one_by_one)


def shown(cached, places):
    """The normalised views of some clips."""
    views = SMALL.data.views
    return normalised({m: cached.arrays[m][places] for m in views.shapes}, views, "cpu")


@pytest.fixture(scope="module")
def fitted(cached):
    torch.set_num_threads(1)
    return fit(SMALL, cached, log := Kept()), log


def test_the_same_run_gives_the_same_weights_bit_by_bit(cached, fitted):
    again = fit(SMALL, cached, Kept())
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, fitted[0].model.state_dict()[name]), name


@pytest.mark.parametrize("stop_at", [1, 3, 4, 9, 12])
def test_a_run_goes_on_bit_by_bit_from_any_step(cached, tmp_path, stop_at):
    """3 epochs of 4 steps, with everything that is drawn or remembered."""
    how = SMALL.at("training.mixup", 0.3).at("training.mixup_independent", "true")
    how = how.at("model.stochastic_depth", 0.5).at("training.l2", 1e-4)
    whole = fit(how, cached, told := Kept())
    with pytest.raises(Killed) as killed:
        fit(how, cached, before := Kept(stop_at))
    torch.save(killed.value.args[0], tmp_path / "state.pt")
    torch.manual_seed(99)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    again = fit(how, cached, after := Kept(), state=state)
    assert before.rows + after.rows == told.rows
    assert len(before.rows) == state["progress"]["rows"]
    assert (again.epoch, again.validation) == (whole.epoch, whole.validation)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    assert (after.states == 12 - stop_at and told.last and not before.last) or stop_at == 12


def test_what_is_drawn_depends_on_seed_purpose_and_time_alone():
    values = {
        (seed, what, when): drawn(seed, what, when).random()
        for seed in range(3) for what in ("order", "drops", "mixup") for when in range(5)
    }  # fmt: skip
    assert len(set(values.values())) == 45
    assert values[1, "mixup", 3] == drawn(1, "mixup", 3).random()


def test_another_seed_moves_initialisation_and_order(cached, fitted):
    other = fit(SMALL.at("training.seed", 1), cached, log := Kept())
    assert not torch.equal(other.model.head.weight, fitted[0].model.head.weight)
    assert log.rows[0]["loss"] != fitted[1].rows[0]["loss"]


def test_an_order_is_drawn_for_every_epoch_and_seed(cached, monkeypatch):
    seen = []

    def watched(wanted):
        wanted = list(wanted)
        seen.extend(one.places.tolist() for one in wanted)
        return type(cached).batches(cached, wanted)

    monkeypatch.setattr(cached, "batches", watched)
    orders = []
    for seed in (0, 1):
        seen.clear()
        fit(SMALL.at("training.seed", seed).at("training.epochs", 2), cached, Kept())
        trained = [batch for batch in seen if len(batch) == 16]
        assert len(trained) == 2 * 4
        orders += [[*chain(*trained[:4])], [*chain(*trained[4:])]]
    assert all(len(set(order)) == 64 for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_an_epoch_is_judged_by_the_middle_of_each_clip_however_many_crops_a_test_has(
    cached, monkeypatch
):
    seen = set()

    def watched(wanted):
        wanted = list(wanted)
        seen.update(share for one in wanted for at in one.at.values() for share in at)
        return type(cached).batches(cached, wanted)

    monkeypatch.setattr(cached, "batches", watched)
    fit(SMALL.at("data.views.crops", 3).at("training.epochs", 1), cached, Kept())
    assert seen == {0.5}


def test_initial_weights_are_drawn_for_every_seed(cached):
    still = SMALL.at("training.learning_rate", 1e-30).at("training.epochs", 1)
    heads = [fit(still.at("training.seed", s), cached, Kept()).model.head.weight for s in (0, 1)]
    assert not torch.equal(*heads)


def test_of_equal_epochs_the_first_is_kept(cached):
    still = SMALL.at("training.learning_rate", 1e-30)
    assert fit(still, cached, log := Kept()).epoch == 1
    assert len(log.weights) == 1


def test_an_early_best_epoch_is_gone_back_to(cached):
    wild = SMALL.at("training.learning_rate", 0.3).at("training.warmup_epochs", 0.0)
    for seed in range(9):
        run = fit(wild.at("training.seed", seed), cached, Kept())
        if run.epoch < wild.training.epochs:
            break
    assert run.epoch < wild.training.epochs
    scored = evaluate(run.model, wild, cached, Evaluation(split="validation")).figures
    assert scored["mAP"] == pytest.approx(run.validation["mAP"])


def test_the_model_kept_is_that_of_the_epoch_best_on_validation(cached, fitted):
    run, log = fitted
    found = [row["validation"]["mAP"] for row in log.rows if "validation" in row]
    assert len(found) == 3
    assert run.epoch == found.index(max(found)) + 1
    assert run.validation["mAP"] == max(found)
    scored = evaluate(run.model, SMALL, cached, Evaluation(split="validation")).figures
    assert scored["mAP"] == pytest.approx(max(found))
    for name, tensor in log.weights[-1].items():
        assert torch.equal(tensor, run.model.state_dict()[name])


def test_the_loss_is_logged_over_every_step(fitted):
    rows = [row for row in fitted[1].rows if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[0]["loss"] > rows[-1]["loss"]
    assert {row["epoch"] for row in rows} == {1, 2, 3}
    assert all(row["learning_rate"] <= SMALL.training.learning_rate for row in rows)


def test_scores_are_the_mean_of_the_modalities_logits(cached, fitted):
    done = evaluate(fitted[0].model, SMALL, cached, Evaluation())
    scores, found = done.scores, done.figures
    inputs = shown(cached, cached.places("test"))
    with torch.no_grad():
        logits = fitted[0].model(inputs)
    np.testing.assert_allclose(scores, sum(logits.values()).numpy() / 2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores, predict(logits), rtol=1e-4, atol=1e-5)
    assert found["clips"] == 24


def test_scores_do_not_depend_on_what_else_is_in_the_batch(cached, fitted):
    test = cached.places("test")
    with torch.no_grad():
        alone = fitted[0].model(shown(cached, test[3:4]))
        beside = fitted[0].model(shown(cached, test))
    torch.testing.assert_close(predict(alone)[0], predict(beside)[3], rtol=1e-4, atol=1e-5)


def test_views_are_normalised_by_the_settings(cached):
    views = replace(SMALL.data.views, video_mean=3.0, video_std=7.0, audio_mean=-2.0, audio_std=5.0)
    at = cached.places("train")[:2]
    batch = normalised({m: cached.arrays[m][at] for m in views.shapes}, views, "cpu")
    np.testing.assert_allclose(
        batch["video"], (cached.arrays["video"][at].astype(np.float32) - 3) / 7, rtol=1e-5
    )
    np.testing.assert_allclose(
        batch["audio"], (cached.arrays["audio"][at].astype(np.float32) + 2) / 5, rtol=1e-5
    )


def test_the_schedule_is_linear_warm_up_times_a_cosine_that_starts_after_it():
    how = Training(learning_rate=0.5, warmup_epochs=2.5, epochs=50)
    rates = [learning_rate(step, how, 7) for step in range(351)]
    assert rates[0] == 0
    assert rates[7] == pytest.approx(0.5 * 7 / 17.5)
    past = (100 - 17.5) / (350 - 17)
    assert rates[100] == pytest.approx(0.25 * (1 + math.cos(math.pi * past)))
    assert max(rates) == pytest.approx(0.5, rel=1e-3)
    assert rates[349] == pytest.approx(0, abs=1e-4)
    assert learning_rate(0, replace(how, warmup_epochs=0.0), 7) == 0.5
    floor = replace(how, final_rate=0.1)
    assert learning_rate(349, floor, 7) == pytest.approx(0.05, rel=1e-3)
    assert learning_rate(100, floor, 7) == pytest.approx(0.05 + 0.9 * rates[100])


def test_mixup_is_drawn_for_every_step_and_seed(cached, monkeypatch):
    seen = []

    def watched(alpha, modalities, **how):
        seen.append(draw(alpha, modalities, **how))
        return seen[-1]

    monkeypatch.setattr("mbt_cli.train.draw", watched)
    how = SMALL.at("training.epochs", 1).at("training.mixup", 0.3)
    losses = []
    for seed, independent in ((0, "false"), (0, "false"), (1, "false"), (0, "true")):
        this = how.at("training.seed", seed).at("training.mixup_independent", independent)
        fit(this, cached, log := Kept())
        losses.append([row["loss"] for row in log.rows if "loss" in row])
    runs = [seen[i : i + 4] for i in range(0, 16, 4)]
    assert runs[0] == runs[1] and losses[0] == losses[1]
    assert len({one["audio"] for run in runs[:3] for one in run}) == 8
    assert all(one["audio"] == one["video"] for run in runs[:3] for one in run)
    assert all(one["audio"] != one["video"] for one in runs[3])
    fit(SMALL.at("training.epochs", 1), cached, log := Kept())
    assert len(seen) == 16 and log.rows[0]["loss"] != losses[0][0]


def test_a_penalty_is_added_to_the_loss_and_pulls_weights_to_zero(cached):
    sizes = {}
    for l2 in (0.0, 0.1):
        how = SMALL.at("training.l2", l2).at("training.optimizer", "sgd")
        run = fit(how.at("training.learning_rate", 0.1), cached, log := Kept())
        sizes[l2] = (log.rows[0]["loss"], run.model.embed["audio"].project.weight.norm().item())
    assert sizes[0.1][0] == sizes[0.0][0]  # what is logged is the loss of the labels
    assert sizes[0.1][1] < 0.99 * sizes[0.0][1]


def test_weight_decay_is_for_the_weights_of_linear_layers_alone(fitted):
    model = fitted[0].model
    for name in ("sgd", "adamw"):
        optimizer = optimizer_of(model, Training(optimizer=name, weight_decay=0.1, momentum=0.7))
        decayed, free = ({id(p) for p in group["params"]} for group in optimizer.param_groups)
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
        assert len(decayed) + len(free) == len(list(model.parameters()))
        assert {id(model.head.weight), id(model.embed["audio"].project.weight)} <= decayed
        assert {id(model.fsn), id(model.norm.weight), id(model.embed["audio"].cls)} <= free
        group = optimizer.param_groups[0]
        assert group.get("momentum", group.get("betas", (0,))[0]) == 0.7


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_both_optimizers_learn(cached, name):
    how = {"training.optimizer": name, "training.learning_rate": {"sgd": 0.05, "adamw": 2e-3}[name]}
    experiment = SMALL.at("model.fusion", "late")
    for field, value in how.items():
        experiment = experiment.at(field, value)
    fit(experiment, cached, log := Kept())
    losses = [row["loss"] for row in log.rows if "loss" in row]
    assert losses[-1] < losses[0]


def test_bfloat16_is_in_the_products_and_scores_come_back_in_float32(cached):
    experiment = SMALL.at("training.precision", "bfloat16").at("training.epochs", 1)
    run = fit(experiment, cached, Kept())
    scores = evaluate(run.model, experiment, cached, Evaluation()).scores
    exact = evaluate(run.model, SMALL, cached, Evaluation()).scores
    assert scores.dtype == np.float32
    assert 0 < abs(scores - exact).max() < 0.2
    assert run.model.head.weight.dtype == torch.float32


def test_gradients_are_clipped_to_the_norm_asked(cached):
    rates = {}
    for clip in (1e-6, 1.0):
        still = SMALL.at("training.optimizer", "sgd").at("training.clip_norm", clip)
        still = still.at("training.momentum", 0.0).at("training.epochs", 1)
        torch.manual_seed(still.training.seed)
        run = fit(still.at("training.warmup_epochs", 0.0), cached, Kept())
        rates[clip] = run.model.head.bias.abs().max().item()
    assert rates[1e-6] < 1e-4 < rates[1.0]


def test_an_evaluation_with_bottlenecks_off_leaves_the_model_as_it_was(cached, fitted):
    off, as_trained = (evaluate(fitted[0].model, SMALL, cached, how).scores for how in (
        Evaluation(fusion="late"), Evaluation()))  # fmt: skip
    assert abs(off - as_trained).max() > 1e-4
    inputs = shown(cached, cached.places("test"))
    evaluate(fitted[0].model, SMALL, cached, Evaluation(fusion="late"))
    with torch.no_grad():
        np.testing.assert_allclose(predict(fitted[0].model(inputs)), as_trained, atol=1e-5)


@pytest.mark.parametrize("fusion", ["self_attention", "bottleneck_video_first", "nothing"])
def test_an_evaluation_needs_a_strategy_of_the_same_blocks(cached, fitted, fusion):
    if fusion == "bottleneck_video_first":
        evaluate(fitted[0].model, SMALL, cached, Evaluation(fusion=fusion))
        return
    with pytest.raises(MbtError, match=fusion):
        evaluate(fitted[0].model, SMALL, cached, Evaluation(fusion=fusion))


def test_bottlenecks_cannot_be_put_where_none_were_learned(cached):
    run = fit(SMALL.at("model.fusion", "late"), cached, Kept())
    cross = fit(SMALL.at("model.fusion", "cross_attention"), cached, Kept())
    evaluate(run.model, SMALL, cached, Evaluation(fusion="bottleneck"))
    with pytest.raises(MbtError, match="no bottleneck tokens"):
        evaluate(cross.model, SMALL, cached, Evaluation(fusion="bottleneck"))


def test_a_batch_that_cannot_be_filled_is_one_sentence(cached):
    with pytest.raises(MbtError, match="batch_size is 73, but there are 72 training clips"):
        fit(SMALL.at("training.batch_size", 73), cached, Kept())


def test_a_loss_that_is_no_number_is_one_sentence_with_its_step(cached):
    wild = SMALL.at("training.learning_rate", 1e30).at("training.optimizer", "sgd")
    with pytest.raises(MbtError, match=r"The training loss is (nan|inf) at step \d+"):
        fit(wild, cached, Kept())


def test_a_step_that_ran_out_of_memory_is_done_again_as_if_it_were_new(cached, monkeypatch):
    """After gradients of some of its clips were there already."""
    how = SMALL.at("model.stochastic_depth", 0.5).at("training.mixup", 0.3)
    how = how.at("training.optimizer", "sgd").at("training.learning_rate", 0.05)
    whole = fit(how, cached, Kept())
    real, calls = memory.gradients, []

    def short(model, objective, views, targets, clips, seed):
        calls.append(clips)
        value = real(model, objective, views, targets, clips, seed)
        if len(calls) in (3, 4):
            model.head.weight.grad += 7  # of other clips than the rest would be
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return value

    monkeypatch.setattr("mbt_cli.train.gradients", short)
    again = fit(how, cached, log := Kept())
    assert calls == [16, 16, 16, 8, *[4] * 10]
    told = [(row["step"], row["micro_batch"]) for row in log.rows if "micro_batch" in row]
    assert told == [(2, 8), (2, 4)]
    assert (whole.micro_batch, again.micro_batch) == (16, 4)
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


def test_scoring_that_ran_out_of_memory_scores_every_clip_once(cached, fitted, monkeypatch):
    calls = []

    def short(logits):
        calls.append(len(logits["audio"]))
        if calls[-1] > 5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return predict(logits)

    whole = evaluate(fitted[0].model, SMALL, cached, Evaluation())
    monkeypatch.setattr("mbt_cli.scoring.predict", short)
    again = evaluate(fitted[0].model, SMALL, cached, Evaluation())
    assert calls == [24, 24, 24, 16, 8, *[4] * 6]
    assert again.places.tolist() == whole.places.tolist()
    np.testing.assert_allclose(again.scores, whole.scores, rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_no_number_is_told_with_its_step_though_rows_are_of_several(
    cached, monkeypatch
):
    real, calls = memory.gradients, []

    def third(*words):
        calls.append(real(*words))
        return calls[-1] * (math.nan if len(calls) == 3 else 1)

    monkeypatch.setattr("mbt_cli.train.gradients", third)
    with pytest.raises(MbtError, match="The training loss is nan at step 3 of seed 0: try"):
        fit(SMALL.at("training.batch_size", 3), cached, log := Kept())
    assert len(calls) == 4 and [row["step"] for row in log.rows] == [2]
