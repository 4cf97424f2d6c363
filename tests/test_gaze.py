"""What is read of features, by category: against attention by hand, and from end to end."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.testing import assert_close as close

from mbt_cli import gaze as room
from mbt_cli import mosaic, overlay
from mbt_cli.architecture import MBT, AttendFusion
from mbt_cli.attention import attended
from mbt_cli.categories import ALL, MOST, Gaze, Readings, gaze_of
from mbt_cli.choice import OF_FEATURES, chosen
from mbt_cli.data.clips import Batch, Clips
from mbt_cli.data.feature_world import CLASSES as WORLD
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Features, Synthetic, SyntheticFeatures, YouTube8M
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.gaze import folder_of, gaze, readings, spread, write
from mbt_cli.model import build
from mbt_cli.model.attend_fusion import SelfAttention
from mbt_cli.model.transformer import Attention
from mbt_cli.overlay import Scale
from mbt_cli.record import Record
from mbt_cli.rollout import LEARNED, rollout
from mbt_cli.runs import Run, run_folder
from mbt_cli.source import Source
from mbt_cli.wiring import FUSIONS

N, TEST = 5, 19
VIEWS = Features(form="segments", segments=N)
CLASSES = ("first", "second", "third", "rare", "never")
GROUPS = {"some": ("first", "rare"), "none": ("never",)}
TWO = ("audio", "video")
OF_MBT = MBT(
    width=14, heads=2, depth=3, fusion_layer=1, bottlenecks=3, mlp_ratio=1.0, head_init="xavier",
    position_std=1.0,
)  # fmt: skip
OF_STREAMS = AttendFusion(
    widths=(13,), attention_layers=2, attention_width=42, chunks=7, heads=3, fused_widths=(),
    tokens="vectors", fusion="hybrid",
)  # fmt: skip


class Videos(Clips):
    """Of noise, in memory; some cannot be read."""

    def __init__(self, views=VIEWS, lost=()):
        random = np.random.default_rng(0)
        entries = [Entry("train", Path(), "train", (0,))]
        for i in range(TEST):
            labels = (i % 2, 2) if i % 3 else (i % 2,)
            entries.append(Entry(f"v{i}", Path(), "test", labels + ((3,) if i == 11 else ())))
        super().__init__(Manifest(tuple(entries), CLASSES, True, "f" * 12, GROUPS), {})
        self.unread = set(lost)
        self.arrays = {
            m: random.normal(0, 1, (len(entries), *shape)).astype(np.float16)
            for m, shape in views.shapes.items()
        }

    def batches(self, wanted):
        for one in wanted:
            places = np.array([p for p in one.places if p not in self.unread], dtype=np.int64)
            yield Batch(places, {m: self.arrays[m][places] for m in one.at})

    def view(self, place):
        return {m: torch.from_numpy(of[place : place + 1]).float() for m, of in self.arrays.items()}

    def source(self, folder: Path) -> Source:
        folder.mkdir()
        for name, array in self.arrays.items():
            np.save(folder / f"{name}.npy", array)
        (folder / "ready.json").write_text('{"left_out": {}}')
        return Source(self.manifest, VIEWS, folder)


def network(model, views=VIEWS, classes=5):
    """Whose attention is sharp: no two maps are alike."""
    torch.manual_seed(0)
    made = build(model, views.shapes, classes)
    for module in made.modules():
        if isinstance(module, Attention | SelfAttention):
            torch.nn.init.normal_(module.qkv.weight, std=0.5)
    return made.eval()


def recorded(
    results: Path, model=OF_MBT, views=VIEWS, *, data=None, classes=CLASSES, reached=0.5,
    weights=True,
) -> Run:  # fmt: skip
    """A finished run with random weights."""
    one = Experiment(data=data or YouTube8M(views=views), model=model).canonical()
    record = Record(run_folder(results, one.key))
    record.begin(one, {"classes": list(classes), "multi_label": True, "tagging": True})
    if weights:
        record.best(network(model, views, len(classes)).state_dict())
    record.finish(seconds=1.0, epoch=1, validation={"GAP": reached})
    return Run(record.folder)


def recorded_of_clips(results: Path) -> Run:
    one = Experiment(data=Synthetic()).canonical()
    record = Record(run_folder(results, one.key))
    record.begin(one, {"classes": [], "multi_label": True})
    record.finish(seconds=1.0, epoch=1, validation={"mAP": 1.0})
    return Run(record.folder)


def look(model, views=VIEWS, **how) -> tuple[np.ndarray, Readings]:
    data = Videos(views, **how)
    experiment = Experiment(data=YouTube8M(views=views), model=model)
    return readings(network(model, views), experiment, data, data.places("test"))


def seen(shares, labels, *, classes=CLASSES, groups=GROUPS, entropy=None, of_answer=True) -> Gaze:
    """Of made up readings (n, N) by stream, and multi-hot labels."""
    n = len(labels)
    entropy = np.full((n, 1), 0.5) if entropy is None else entropy
    lines = [f"line {k}" for k in range(entropy.shape[1])]
    manifest = Manifest((), classes, True, "", groups)
    run = Run(Path("run"))
    run.__dict__["experiment"] = Experiment(data=YouTube8M(views=VIEWS), model=OF_MBT)
    found = Readings(shares, entropy, lines, of_answer)
    return gaze_of(run, found, np.array(labels, np.float32), manifest, n)


def drawn(n, seed=0):
    random = np.random.default_rng(seed)
    return {m: random.random((n, N)) for m in TWO}, (random.random((n, 5)) < 0.4) * [1, 1, 1, 1, 0]


# What each clip's tokens give


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("readout", ["cls", "mean_joint", "mean_each"])
def test_of_mbt_it_is_the_attention_rollout_of_each_clip_alone(fusion, readout):
    model = replace(OF_MBT, fusion=fusion, readout=readout)
    places, found = look(model)
    made, data = network(model), Videos()
    assert list(places) == list(range(1, TEST + 1)) and found.of_answer
    for row in (0, 7, 8, TEST - 1):  # of a full batch, of the last one
        _, alone = rollout(made, data.view(places[row]))
        whole = sum(w * alone.shares[m][LEARNED] for m, w in alone.weights.items())
        for m in TWO:
            close(
                torch.from_numpy(found.shares[m][row]).float(), alone.heat[m], atol=1e-6, rtol=1e-4
            )
        assert sum(of[row].sum() for of in found.shares.values()) == pytest.approx(
            1 - whole, abs=1e-5
        )


@pytest.mark.parametrize("tokens", ["vectors", "chunks"])
def test_of_attend_fusion_it_is_what_the_last_layer_of_each_stream_reads(tokens):
    model = replace(OF_STREAMS, tokens=tokens, heads=2, attended=("audio", "joint"))
    places, found = look(model)
    made, data = network(model), Videos()
    assert [*found.shares] == ["audio", "joint"] and not found.of_answer
    for row in (0, 7, 8, TEST - 1):
        x = {m: made.laid_out(view) for m, view in data.view(places[row]).items()}
        x["joint"] = torch.cat([x["audio"], x["video"]], -1)
        for stream, of in found.shares.items():
            encoder = made.encoders[stream]
            first, last = encoder.attention
            read = last.heads_weights(first(encoder.dense(x[stream])))
            assert of.shape == (TEST, N if tokens == "vectors" else 7)
            close(torch.from_numpy(of[row]).float(), read[0].mean((0, 1)), atol=1e-6, rtol=1e-4)
            assert of[row].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", [OF_MBT, replace(OF_MBT, fusion="cross_attention"), OF_STREAMS])
def test_the_entropy_of_every_line_is_that_of_the_probes(model):
    one = Experiment(data=YouTube8M(views=VIEWS), model=model)
    probed = attended(network(model), one, Videos(), "test")
    _, found = look(model)
    assert [f"layer {line.layer}, {line.name}" for line in probed] == found.lines
    assert found.entropy.mean(0) == pytest.approx([line.entropy for line in probed], rel=1e-5)
    assert found.entropy.std(0).min() > 0


def test_entropy_is_1_of_equal_shares_0_of_one_key_and_none_of_a_single_one():
    alike, one = torch.full((2, 3, 5, 7), 1 / 7), torch.eye(7)[None, None]
    close(spread(alike), torch.ones(2))
    close(spread(one), torch.zeros(1))
    assert spread(torch.ones(2, 3, 5, 1)).isnan().all()


def test_a_video_that_cannot_be_read_is_left_out():
    lost = (1, 9, 10, *range(17, 20))  # one of a batch, and a whole one
    places, found = look(OF_MBT, lost=lost)
    assert {*places} == {*range(1, TEST + 1)} - {*lost}
    _, whole = look(OF_MBT)
    np.testing.assert_allclose(found.shares["video"], whole.shares["video"][places - 1], rtol=1e-4)
    with pytest.raises(MbtError, match="No clip of the test split can be read"):
        look(OF_MBT, lost=range(TEST + 1))


def test_attention_goes_where_it_is_sent(tmp_path):
    """In videos of a class one segment stands out; keys are told to be as it is."""
    data, model = Videos(), replace(OF_STREAMS, fusion="late", attention_layers=1, heads=1)
    labels = data.labels(np.arange(TEST + 1))
    for of in data.arrays.values():
        of[:] = 0
        for column, segment in enumerate((1, 3)):
            of[labels[:, column] > 0, :, segment] = 1
    made = network(model)
    for encoder in made.encoders.values():
        for part in (encoder.dense[0].linear, encoder.attention[0].qkv):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
        encoder.dense[0].linear.weight.data[0] = 1.0
        width = model.attention_width
        encoder.attention[0].qkv.bias.data[0] = 9.0  # every query
        encoder.attention[0].qkv.weight.data[width, 0] = 9.0  # the key of what stands out
    run = recorded(tmp_path, model)
    Record(run.folder).best(made.state_dict())
    found = gaze(run, data.source(tmp_path / "arrays"))
    by = {one.name: one for one in found.categories}
    for stream in TWO:
        assert (by["first"].most(stream), by["second"].most(stream)) == (1, 3)
        assert by["first"].times[stream][1] > 4.9
        assert by[ALL].times[stream][1] + by[ALL].times[stream][3] == pytest.approx(5, abs=0.05)
    assert by["first"].collapsed.all() and by[ALL].entropy < 0.05


# By category


def test_a_category_is_the_mean_over_the_clips_that_have_its_labels():
    shares, labels = drawn(23)
    found = seen(shares, labels)
    assert [one.kind for one in found.categories] == ["all", "group", *["class"] * 4]
    assert [one.name for one in found.categories] == [ALL, "some", *CLASSES[:4]]
    masks = [labels[:, 0] >= 0, labels[:, [0, 3]].any(1), *(labels[:, k] > 0 for k in range(4))]
    for one, mask in zip(found.categories, masks, strict=True):
        assert one.clips == mask.sum() > 0
        every = np.stack([shares[m][mask].mean(0) for m in TWO])
        for m, mean in zip(TWO, every, strict=True):
            np.testing.assert_allclose(one.shares[m], mean)
            error = shares[m][mask].std(0) / np.sqrt(mask.sum())
            np.testing.assert_allclose(one.errors[m], error)
            np.testing.assert_allclose(one.times[m], mean / every.mean())
            assert one.parts[m] == pytest.approx(mean.sum())
            assert one.most(m) == mean.argmax()
    assert found.without == ["none"]
    assert "No clip of the sample has a label of none: left out." in found.notes


def test_shares_of_streams_that_read_themselves_alone_are_compared_within_each():
    shares, labels = drawn(23)
    shares["video"] *= 3
    (one, *_) = seen(shares, labels, of_answer=False).categories
    assert [of.mean() for of in one.times.values()] == pytest.approx([1, 1])
    (whole, *_) = seen(shares, labels).categories
    assert whole.times["audio"].mean() < 0.6 < 1.4 < whole.times["video"].mean()


def test_only_the_most_frequent_classes_have_rows_and_stand_in_their_order():
    classes = tuple(f"class {k}" for k in range(31))
    labels = np.zeros((41, 31), np.float32)
    for k in range(31):
        labels[: 1 + (7 * k) % 31, k] = 1
    one = seen(drawn(41)[0], labels, classes=classes, groups={})
    asked = [name for k, name in enumerate(classes) if (7 * k) % 31 >= 31 - MOST]
    assert [category.name for category in one.categories] == [ALL, *asked]


def test_where_no_clip_has_a_label_there_is_nothing_but_all_clips():
    shares, labels = drawn(7)
    found = seen(shares, 0 * labels)
    assert [one.name for one in found.categories] == [ALL]
    assert "No clip of the sample has a label." in found.notes


def test_collapse_is_said_of_lines_and_entropy_is_the_mean_over_those_of_several_keys():
    shares, labels = drawn(3)
    entropy = np.array([[0.01, 0.5, np.nan], [0.02, 0.6, np.nan], [0.03, 0.7, np.nan]])
    (one, *_) = seen(shares, labels, entropy=entropy).categories
    assert one.entropy == pytest.approx((0.02 + 0.6) / 2)
    assert one.collapsed.tolist() == [True, False, False]
    (alone, *_) = seen(shares, labels, entropy=entropy[:, 2:]).categories
    assert alone.entropy is None and not alone.collapsed.any()


def test_the_sample_is_the_first_test_clips_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CLIPS", 11)
    run, done = recorded(tmp_path), []
    found = gaze(run, Videos().source(tmp_path / "arrays"), advance=done.append)
    assert (found.clips, found.of, sum(done)) == (11, TEST, 11)
    assert found.notes[0].startswith("Means over clips (the first 11 of 19 test clips).")
    assert "rare" not in {one.name for one in found.categories}  # the twelfth has that label
    _, every = look(OF_MBT)
    np.testing.assert_allclose(
        found.categories[0].shares["audio"], every.shares["audio"][:11].mean(0), rtol=1e-4
    )
    monkeypatch.undo()
    whole = gaze(run, Videos().source(tmp_path / "again"))
    assert whole.clips == TEST and "(19 test clips)" in whole.notes[0]


# Files and page


def test_the_files_hold_every_token_and_every_line_of_every_category(tmp_path):
    found = gaze(recorded(tmp_path), Videos().source(tmp_path / "arrays"))
    files = write(found, folder_of(found.run, tmp_path))
    assert [file.name for file in files] == ["attention.png", "attention.csv", "entropy.csv"]
    assert files[0].parent == tmp_path / "rollouts" / f"features-{found.run.key}"
    assert sorted(files[0].parent.iterdir()) == sorted(files)
    with files[1].open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == len(found.categories) * 2 * N
    second = found.categories[1]
    told = [row for row in rows if row["category"] == second.name and row["stream"] == "video"]
    assert [row["token"] for row in told] == ["1", "2", "3", "4", "5"]
    assert [float(row["share"]) for row in told] == pytest.approx(
        [*second.shares["video"]], rel=1e-4
    )
    assert [float(row["times_equal"]) for row in told] == pytest.approx(
        [*second.times["video"]], rel=1e-4
    )
    assert float(told[0]["standard_error"]) == pytest.approx(second.errors["video"][0], rel=1e-4)
    with files[2].open() as file:
        lines = [*csv.DictReader(file)]
    assert [row["line"] for row in lines[: len(found.lines)]] == found.lines
    assert {row["collapsed"] for row in lines} == {"False"}
    assert float(lines[2]["entropy"]) == pytest.approx(found.categories[0].lines[2], rel=1e-4)


def test_a_field_of_the_page_has_the_colour_of_its_share():
    heat = np.array([[0.5, 1.0, 2.0], [1.5, 0.5, 1.0]], np.float32)
    scale = Scale(0.5, 2.0)
    bar = overlay.ramp(scale, 301, 1)[0]
    shown = mosaic.mosaic(heat, scale)
    for row, column in np.ndindex(heat.shape):
        np.testing.assert_array_equal(
            shown[row, column], bar[round(200 * (float(heat[row, column]) - 0.5))]
        )


def test_all_fields_of_a_page_are_on_one_scale_that_its_bar_tells():
    one = seen(*drawn(23))
    figure = mosaic.page_of(one)
    every = np.concatenate([of for category in one.categories for of in category.times.values()])
    low, high = every.min(), every.max()
    fields = [picture.get_array() for ax in figure.axes for picture in ax.images]
    for found, of in zip(fields, one.categories[0].times.values(), strict=False):
        heat = of[None].astype(np.float32)
        np.testing.assert_array_equal(found, mosaic.mosaic(heat, Scale(float(low), float(high))))
    said = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    assert {f"{low:.2f}", "1.00", f"{high:.2f}"} <= {*said}


@pytest.mark.parametrize(
    "names", [("a", "b", "c", "d", "e"), ("long " * 30, "$x$", "日本", "é", "f")]
)
@pytest.mark.parametrize("many", [1, 2, 16, 300])
def test_a_page_keeps_its_words_apart_whatever_they_are(names, many):
    shares = {m: np.random.default_rng(1).random((23, many)) for m in TWO}
    one = seen(shares, drawn(23)[1], classes=names, groups={})
    tokens = {m: [str(k + 1) for k in range(many)] for m in TWO}
    low = replace(one.categories[1], lines=np.array([0.01]))
    one = replace(one, tokens=tokens, categories=[one.categories[0], low, *one.categories[2:]])
    figure = mosaic.page_of(one)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in figure.texts]
    page = figure.bbox
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= page.x1 and box.y0 >= 0 and box.y1 <= page.y1
        for other in boxes[place + 1 :]:
            assert not (box.x0 < other.x1 and other.x0 < box.x1
                        and box.y0 + 2 < other.y1 - 2 and other.y0 + 2 < box.y1 - 2)  # fmt: skip
    assert "1 collapsed" in "".join(t.get_text() for t in figure.texts)


# Which run


def test_the_best_run_on_features_that_attends_is_chosen(tmp_path):
    with pytest.raises(MbtError, match="attend_fusion --recipe synthetic_features makes some"):
        chosen(tmp_path, None, OF_FEATURES)
    recorded(tmp_path, replace(OF_STREAMS, attention_layers=0), reached=0.99)
    recorded(tmp_path, replace(OF_STREAMS, tokens="one"), reached=0.98)
    recorded_of_clips(tmp_path)
    with pytest.raises(MbtError, match="no finished run with attention between features"):
        chosen(tmp_path, None, OF_FEATURES)
    recorded(tmp_path, OF_STREAMS, reached=0.5)
    best = recorded(tmp_path, OF_MBT, reached=0.625)
    run, why = chosen(tmp_path, None, OF_FEATURES)
    assert run.key == best.key
    assert why == (
        "the best of 2 on youtube8m with attention between features, by validation GAP 0.625"
    )


def test_a_run_on_features_is_not_chosen_to_look_at_a_video(tmp_path):
    recorded(tmp_path, OF_MBT)
    with pytest.raises(MbtError, match="no finished run with bottleneck tokens"):
        chosen(tmp_path, None)


MEAN = replace(VIEWS, form="mean")


@pytest.mark.parametrize(
    ("model", "views", "sentence"),
    [
        (replace(OF_STREAMS, attention_layers=0), VIEWS, "FC hybrid, has no attention: name a run"),
        (replace(OF_STREAMS, tokens="one"), VIEWS, "model.tokens=one: .* --set model.tokens=vec"),
        (replace(OF_STREAMS, tokens="chunks", chunks=1), VIEWS, "model.chunks=1: .* more chunks"),
        (OF_STREAMS, MEAN, "mean of each video: .* --set data.views.form=segments"),
    ],
)
def test_where_attention_has_nothing_to_show_a_sentence_says_why(tmp_path, model, views, sentence):
    run = recorded(tmp_path, model, views)
    with pytest.raises(MbtError, match=f"{sentence}.*evaluate {run.key} --probes"):
        gaze(run, Videos(views).source(tmp_path / "arrays"))


@pytest.mark.parametrize(
    ("model", "views", "tokens"),
    [
        (OF_MBT, MEAN, {"audio": ["mean"], "video": ["mean"]}),
        (OF_MBT, replace(VIEWS, form="mean_std"), {m: ["mean", "deviation"] for m in TWO}),
        (replace(OF_MBT, modalities=("audio",)), VIEWS, {"audio": ["1", "2", "3", "4", "5"]}),
        (replace(OF_STREAMS, tokens="chunks", chunks=2, fusion="early"), MEAN,
         {"joint": ["1", "2"]}),
    ],
)  # fmt: skip
def test_tokens_are_called_what_they_are(tmp_path, model, views, tokens):
    run = recorded(tmp_path, model, views)
    data = Videos(views)
    source = replace(data.source(tmp_path / "arrays"), views=views)
    found = gaze(run, source)
    assert found.tokens == tokens
    assert {stream: len(of) for stream, of in found.categories[0].shares.items()} == {
        stream: len(names) for stream, names in tokens.items()
    }
    notes = " ".join(found.notes)
    assert ("no places of the video" in notes) == ("joint" in tokens)
    assert ("5 equal parts" in notes) == (views is VIEWS)
    assert write(found, tmp_path / "out")[0].stat().st_size > 10_000


def test_what_lacks_is_said_before_anything_is_read(tmp_path):
    bare = recorded(tmp_path, weights=False)
    with pytest.raises(MbtError, match="has no weights any more"):
        gaze(bare, Videos().source(tmp_path / "arrays"))
    other = recorded(tmp_path, OF_STREAMS)
    source = Videos().source(tmp_path / "others")
    source = replace(source, manifest=replace(source.manifest, classes=tuple("abcde"), groups={}))
    with pytest.raises(MbtError, match="knows 5 classes .* and these clips have 5 others"):
        gaze(other, source)
    clips = recorded_of_clips(tmp_path)
    with pytest.raises(MbtError, match=f"attention-rollout VIDEO --run {clips.key}"):
        gaze(clips, source)


# The command


def test_the_command_on_the_built_in_world_of_features(here, tmp_path, monkeypatch):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "cache"))
    world = SyntheticFeatures(train=16, validation=16, test=32, views=VIEWS)
    one, results = recorded(tmp_path, data=world, classes=WORLD), ("--results", tmp_path)
    done = here("attention-rollout", *results)
    assert done.returncode == 0, done.stderr
    assert f"Run {one.key}: bottleneck L_f=1, the only one on synthetic_features" in done.stdout
    said = done.stdout.split("\n")
    (row,) = (line.split() for line in said if line.startswith("loud"))
    assert row[1] == "16" and row.count("%") == 3
    (row,) = (line.split() for line in said if line.startswith("all clips"))
    assert sum(float(word) for word in row[3:9:2]) == pytest.approx(100, abs=0.2)
    assert "Collapsed over all clips: no line." in done.stdout
    folder = tmp_path / "rollouts" / f"features-{one.key}"
    assert f"{folder / 'attention.png'}" in said
    assert (folder / "attention.png").read_bytes().startswith(b"\x89PNG")
    for words, sentence in {
        (
            "test/00002",
            "--run",
            one.key,
        ): "cannot look at a video: leave the video out, or give a run",
        ("--start-s", 1.0): "--start-s is a time in a video",
        ("test/00002", "--data", tmp_path): "leave out test/00002",
        ("--data", tmp_path): "renders its own clips",
    }.items():
        refused = here("attention-rollout", *words, *results)
        assert refused.returncode == 1 and sentence in refused.stderr
        assert refused.stderr.startswith("mbt-cli: ") and "Traceback" not in refused.stderr
