"""What a figure shows is what it was given, and all of it can be read."""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.text import Text

from mbt_cli.courses import Course
from mbt_cli.draw import gains, learning, probes
from mbt_cli.draw.bill import against_cost, cost_along, front
from mbt_cli.draw.curves import along, panels
from mbt_cli.draw.marks import LATE, STYLES, Axis, Mark
from mbt_cli.draw.shades import GREY, Shade
from mbt_cli.gains import Gain
from mbt_cli.sheet import KINDS, extent, fitted, label, legible, page, save

L_F = Axis("$L_f$", "the number of layers before fusion starts", ("0", "1", "2"), True)
LINES = ("bottleneck", "cross_attention", "self_attention")


def marks(lines: tuple[str, ...] = LINES, seeds: int = 3) -> list[Mark]:
    """Late fusion, and each line at each place; a bottleneck in the last exchanges nothing, and
    cross-attention cost twice as much as published."""
    made = [Mark(LATE, None, tuple(0.5 + 0.01 * s for s in range(seeds)), 1.0, 1.0, False)]
    for i, line in enumerate(lines):
        for x in range(3):
            values = tuple(0.8 + 0.03 * i + 0.01 * x + 0.005 * s for s in range(seeds))
            silent, gmacs = line == "bottleneck" and x == 2, 1.5 - 0.1 * x + 0.001 * i
            published = 2 * gmacs if line == "cross_attention" else gmacs
            made.append(Mark(line, str(x), values, gmacs, published, silent))
    return made


def lines_of(ax: Axes, marker: str) -> list[Line2D]:
    return [line for line in ax.get_lines() if line.get_marker() == marker]


def xs(line: Line2D) -> list[float]:
    return [float(x) for x in np.atleast_1d(line.get_xdata())]


def ys(line: Line2D) -> list[float]:
    return [float(y) for y in np.atleast_1d(line.get_ydata())]


def is_hollow(line: Line2D) -> bool:
    return same_color(line.get_markerfacecolor(), "white") and line.get_marker() != "None"


def legend(figure: Figure) -> list[str]:
    boxes = [*figure.legends, *(box for ax in figure.axes if (box := ax.get_legend()))]
    return [text.get_text() for box in boxes for text in box.get_texts()]


def measure(made: list[Mark], axis: Axis = L_F) -> Figure:
    return along(made, axis, "Which layer?", "mAP on test")


def bill(made: list[Mark], axis: Axis = L_F) -> Figure:
    return against_cost(made, axis, "What does it cost?", "mAP on test")


def price(made: list[Mark], axis: Axis = L_F) -> Figure:
    return cost_along(made, axis, "What does it cost?")


def groups(made: list[Mark], axis: Axis = L_F, n: int = 5) -> Figure:
    shown = {(f"group{i}", "one of them tells the other"): made for i in range(n)}
    return panels(shown, axis, "Which labels?", "AUC on test", 0.5)


def test_every_seed_is_a_point_and_every_mean_a_marker_on_its_line() -> None:
    (ax,) = measure(marks()).axes
    assert sorted(y for dots in lines_of(ax, ".") for y in ys(dots)) == pytest.approx(
        sorted(v for mark in marks() if mark.place for v in mark.values)
    )
    (means,) = [ys(one) for one in lines_of(ax, "s")]
    assert means == pytest.approx([0.835, 0.845, 0.855])
    joined = [ys(line) for line in lines_of(ax, "None") if line.get_color() == "#D55E00"]
    assert joined == [pytest.approx(means)]


def test_strategies_stand_beside_each_other_and_near_their_place() -> None:
    (ax,) = measure(marks()).axes
    spots = [x for m in "os^" for one in lines_of(ax, m) for x in xs(one)]
    assert len(set(spots)) == 9
    assert [round(x) for x in spots] == [0, 1, 2] * 3
    assert spots[0] < spots[3] < spots[6]
    assert not {x for dots in lines_of(ax, ".") for x in xs(dots)} & set(spots)


def test_ticks_are_the_places() -> None:
    (ax,) = measure(marks()).axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2"]
    assert list(ax.get_xticks()) == [0, 1, 2]
    assert ax.get_xlabel() == "$L_f$, the number of layers before fusion starts"


def test_late_fusion_is_a_level_with_its_spread_as_a_band() -> None:
    (ax,) = measure(marks()).axes
    (level,) = [line for line in ax.get_lines() if line.get_color() == STYLES[LATE][0]]
    assert ys(level) == pytest.approx([0.51, 0.51])
    (band,) = ax.patches
    low, high = band.get_extents().transformed(ax.transData.inverted()).intervaly
    assert (low, high) == pytest.approx((0.50, 0.52))


def test_one_seed_has_neither_band_nor_points_and_the_caption_says_so() -> None:
    figure = measure(marks(seeds=1))
    (ax,) = figure.axes
    assert not ax.patches
    assert not lines_of(ax, ".")
    assert any("no spread is known" in text.get_text() for text in figure.texts)


@pytest.mark.parametrize("draw", [measure, bill, groups, price])
def test_what_exchanges_nothing_is_ringed_and_the_legend_says_so(
    draw: Callable[[list[Mark]], Figure],
) -> None:
    figure = draw(marks())
    ringed = [one for one in lines_of(figure.axes[0], "o") if one.get_path_effects()]
    assert [len(xs(one)) for one in ringed] == [1]
    assert not any(one.get_path_effects() for one in lines_of(figure.axes[0], "s"))
    assert "ringed: no exchange" in legend(figure)
    assert "ringed: no exchange" not in legend(draw(marks(LINES[1:])))


def test_hollow_is_the_cost_as_published_and_only_where_it_is_another() -> None:
    (ax,) = bill(marks()).axes
    squares = {bool(is_hollow(one)): xs(one) for one in lines_of(ax, "s")}
    assert squares == {
        False: pytest.approx([1.501, 1.401, 1.301]), True: pytest.approx([3.002, 2.802, 2.602]),
    }  # fmt: skip
    heights = [ys(one) for one in lines_of(ax, "s")]
    assert heights[0] == pytest.approx(heights[1])
    assert not any(is_hollow(one) for marker in "o^" for one in lines_of(ax, marker))
    assert "hollow: as published" in legend(bill(marks()))
    assert "hollow: as published" not in legend(bill(marks(LINES[:1])))


def test_the_cost_along_x_is_executed_and_as_published_and_late_fusion_a_level() -> None:
    (ax,) = price(marks()).axes
    colour = STYLES["cross_attention"][0]
    mine = [line for line in ax.get_lines() if line.get_color() == colour and len(xs(line)) == 3]
    found = {(line.get_linewidth(), is_hollow(line)): ys(line) for line in mine}
    assert found[0.8, True] == pytest.approx([3.002, 2.802, 2.602])
    assert found[1.6, False] == pytest.approx([1.501, 1.401, 1.301])
    (level,) = [line for line in ax.get_lines() if line.get_color() == STYLES[LATE][0]]
    assert ys(level) == [1.0, 1.0]


def test_a_cost_that_would_be_thousandths_is_said_in_millions() -> None:
    small = [Mark(m.line, m.place, m.values, m.gmacs / 1e3, m.published / 1e3, m.silent)
             for m in marks()]  # fmt: skip
    (ax,) = bill(small).axes
    assert ax.get_xlabel().startswith("MMACs: 10⁶ multiply-accumulates")
    assert [x for one in lines_of(ax, "^") for x in xs(one)] == pytest.approx([1.502, 1.402, 1.302])
    assert bill(marks()).axes[0].get_xlabel().startswith("GMACs: 10⁹ multiply-accumulates")
    assert price(small).axes[0].get_ylabel() == "MMACs a clip and view"


def at(gmacs: float, *values: float) -> Mark:
    return Mark("bottleneck", "0", values, gmacs, gmacs, False)


def test_the_front_is_what_no_other_beats_in_both() -> None:
    cheap, better, best = at(1.0, 0.5), at(2.0, 0.6, 0.8), at(5.0, 0.75)
    beaten = [at(1.0, 0.4), at(3.0, 0.7), at(7.0, 0.7), at(4.0, 0.69), at(11.0)]
    assert front([best, *beaten, better, cheap]) == [cheap, better, best]


def test_the_fronts_cells_are_named_in_full_and_joined_by_steps() -> None:
    figure = bill(marks())
    (ax,) = figure.axes
    assert {"late fusion", "bottleneck 2", "cross attention 2", "self attention 2"} <= {
        text.get_text() for text in ax.texts
    }
    (steps,) = [line for line in lines_of(ax, "None") if line.get_linewidth() == 0.9]
    assert xs(steps)[:3] == pytest.approx([1.0, 1.3, 1.3])
    assert ys(steps)[:3] == pytest.approx([0.51, 0.51, 0.825])
    assert "Pareto front" in legend(figure)


def test_a_published_series_is_grey_with_bars_and_its_source() -> None:
    points = (("0", 0.7, 0.02), ("2", 0.75, 0.03))
    ghost = Shade("theirs, Somebody 1999, Table 5", points, "They had a cat.")
    figure = along(marks(), L_F, "Which layer?", "mAP", [ghost])
    (ax,) = figure.axes
    (line,) = [one for one in ax.get_lines() if one.get_color() == GREY and len(xs(one)) == 2
               and one.get_linestyle() == "-"]  # fmt: skip
    assert (xs(line), ys(line)) == ([0, 2], [0.7, 0.75])
    (bars,) = ax.collections
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [
        pytest.approx([0.68, 0.72]), pytest.approx([0.72, 0.78]),
    ]  # fmt: skip
    assert "theirs, Somebody 1999, Table 5" in legend(figure)
    said = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    assert "They had a cat. Grey bars: standard deviation." in said


def test_no_two_strategies_share_a_colour_a_marker_or_a_line_style() -> None:
    for one, other in combinations(STYLES.values(), 2):
        assert not any(a == b for a, b in zip(one, other, strict=True))


def test_lines_without_a_style_of_their_own_get_different_ones() -> None:
    made = marks(("bottleneck", "each <- each; fsn <- all fsn", "all fsn <- all fsn"))
    (ax,) = measure(made).axes
    colours = {one.get_color() for one in ax.get_lines()}
    assert len(colours) == 4


def test_a_cell_without_runs_leaves_a_gap() -> None:
    made = [
        mark if mark.place != "1" else Mark(mark.line, "1", (), 1.0, 1.0, False) for mark in marks()
    ]
    for figure in (measure(made), bill(made), groups(made), price(made)):
        assert {len(xs(one)) for one in lines_of(figure.axes[0], "s")} == {2}


def test_categories_are_not_joined_and_late_fusion_has_a_place() -> None:
    axis = Axis("modalities", "", ("audio", "audio + video"), False)
    made = [Mark(LATE, place, (0.5, 0.7), 1.0, 1.0, False) for place in axis.places]
    (ax,) = measure(made, axis).axes
    assert [y for one in lines_of(ax, "X") for y in ys(one)] == pytest.approx([0.6, 0.6])
    assert not lines_of(ax, "None")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["audio", "audio + video"]
    assert legend(measure(made, axis)) == ["late fusion"]


def test_cost_is_where_it_was_paid_and_means_carry_their_place() -> None:
    (ax,) = bill(marks()).axes
    assert [x for one in lines_of(ax, "^") for x in xs(one)] == pytest.approx([1.502, 1.402, 1.302])
    assert sorted(text.get_text() for text in ax.texts if len(text.get_text()) == 1) == sorted(
        ["0", "1"] * 3
    )
    assert "multiply-accumulates" in ax.get_xlabel()


def test_each_group_has_a_panel_with_its_name_and_chance() -> None:
    figure = groups(marks())
    drawn = [ax for ax in figure.axes if ax.axison]
    assert len(drawn) == 5
    for i, ax in enumerate(drawn):
        assert [text.get_text() for text in ax.texts] == [f"group{i}"]
        assert ax.get_title(loc="left") == "one of them tells the other"
        dotted = [line for line in ax.get_lines() if line.get_linestyle() == ":"]
        assert [ys(line) for line in dotted] == [[0.5, 0.5]]
        assert ax.get_ylim() == drawn[0].get_ylim()
        assert ax.get_ylim()[0] < 0.5 < 0.89 < ax.get_ylim()[1]
    assert "chance (0.5)" in legend(figure)


def crowd() -> tuple[list[Mark], Axis]:
    """Five strategies over twelve layers, many at one height and nearly one cost."""
    axis = Axis(L_F.word, L_F.says, tuple(map(str, range(12))), True)
    made = [Mark(LATE, None, (0.5, 0.52), 1.0, 1.0, False)]
    names = [name for name in STYLES if name and name != LATE]
    for i, line in enumerate(names):
        costs = [2 - 0.05 * x + 0.001 * i for x in range(12)]
        made += [Mark(line, str(x), (0.97, 0.98), gmacs, 1.5 * gmacs, x == 11)
                 for x, gmacs in enumerate(costs)]  # fmt: skip
    return made, axis


@pytest.mark.parametrize(
    "draw", [measure, bill, price, *(partial(groups, n=n) for n in (1, 2, 4, 5))]
)
@pytest.mark.parametrize("what", ["plain", "crowd"])
def test_no_text_is_cut_off_and_no_two_texts_overlap(
    draw: Callable[..., Figure], what: str
) -> None:
    figure = draw(*(crowd() if what == "crowd" else (marks(), L_F)))
    readable(figure)


def readable(figure: Figure, least: int = 10) -> None:
    """No text is cut off, and no two overlap."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    texts = set(figure.findobj(Text)) - unseen(figure)
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts
             if t.get_text() and t.get_visible()]  # fmt: skip
    assert len(boxes) > least
    for name, box in boxes:
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= figure.bbox.x1, name
        assert box.y1 <= figure.bbox.y1, name
    for (one, a), (other, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert not (wide > 1 and high > 2), (one, other)


def unseen(figure: Figure) -> set[Text]:
    """Labels of ticks beyond the limits, and of axes that are switched off."""
    found: set[Text] = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = axis.get_view_interval()
            found |= {
                tick.label1 for tick in axis.get_major_ticks()
                if not (ax.axison and low <= tick.get_loc() <= high)
            }  # fmt: skip
    return found


def test_a_figure_is_an_svg_a_png_and_a_pdf_on_white_paper(tmp_path: Path) -> None:
    files = save(lambda: measure(marks()), tmp_path / "mAP")
    assert [file.name for file in files] == ["mAP.svg", "mAP.png", "mAP.pdf"]
    image = imread(files[1])
    assert image.shape[1] >= 7 * 150
    assert image[0, 0].tolist() == [1, 1, 1, 1]
    assert files[0].read_text().startswith("<?xml")
    assert "<dc:date>" not in files[0].read_text()
    page = files[2].read_bytes()
    assert page.startswith(b"%PDF")
    assert b"CreationDate" not in page
    assert b"/Type3" not in page


def test_the_same_marks_give_the_same_bytes(tmp_path: Path) -> None:
    made = (lambda: bill(marks()), lambda: gains.dots(rows(5), "?"),
            lambda: learning.curves([course()], "?", "mAP"))  # fmt: skip
    for one in made:
        first, again = (save(one, tmp_path / name) for name in ("a", "b"))
        assert len(first) == len(KINDS)
        assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]


def rows(n: int) -> list[Gain]:
    """Of n classes from +0.5 down to -0.5, by turns over sound and over pictures."""
    return [
        Gain(f"class {i}", ("audio", "video")[i % 2], (g - 0.02, g + 0.02), "validation")
        for i, g in enumerate(np.linspace(0.5, -0.5, n).tolist())
    ]


def test_gains_stand_in_rows_the_largest_on_top_over_a_line_at_zero() -> None:
    (ax,) = gains.dots(rows(5), "What is gained?").axes
    assert [text.get_text() for text in ax.get_yticklabels()] == [f"class {i}" for i in range(5)]
    assert ax.yaxis_inverted()
    means = {y: x for marker in "oD" for one in lines_of(ax, marker)
             for x, y in zip(xs(one), ys(one), strict=True)}  # fmt: skip
    assert means == {i: pytest.approx(0.5 - 0.25 * i) for i in range(5)}
    assert sorted(y for one in lines_of(ax, ".") for y in ys(one)) == sorted([*range(5)] * 2)
    assert [0, 0] in [xs(line) for line in lines_of(ax, "None")]


def test_gains_say_which_modality_they_are_over_and_who_chose_it() -> None:
    figure = gains.dots(rows(5), "What is gained?")
    assert legend(figure) == ["over audio alone", "over video alone"]
    assert [ys(one)[0] for one in lines_of(figure.axes[0], "D")] == [1, 3]
    assert "its mean on validation says." in gains.caption(rows(5))
    mixed = [*rows(3), Gain("rare", "audio", (0.0,), "test")]
    assert "on validation says (on test for 1 class, for want of positives)" in gains.caption(mixed)
    assert "its mean on test says." in gains.caption(mixed[3:])


def test_of_many_classes_the_twenty_best_and_worst_are_shown() -> None:
    (ax,) = gains.dots(rows(43), "What is gained?").axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [f"class {i}" for i in (*range(20), *range(23, 43))]
    assert "the 20 largest and smallest gains of 43 classes" in gains.caption(rows(43))
    assert len(gains.dots(rows(37), "What is gained?").axes[0].get_yticklabels()) == 37


def course(name: str = "bottleneck at L_f = 2", seeds: int = 2, checked: bool = True) -> Course:
    fell = [{epoch: 5.0 / epoch + seed for epoch in range(1, 4)} for seed in range(seeds)]
    above = [{epoch: loss + 1 for epoch, loss in one.items()} for one in fell]
    measured = [{epoch: 0.3 * epoch for epoch in range(1, 4)}] * seeds
    return Course(name, name.split()[0], fell, above if checked else [], measured)


def test_learning_shows_seeds_their_mean_and_the_gap() -> None:
    figure = learning.curves([course(), course("late fusion")], "How?", "validation mAP")
    loss, _, below, _ = figure.axes
    thick = [ys(line) for line in loss.get_lines() if line.get_linewidth() == 2]
    assert thick == [pytest.approx([5.5, 3.0, 13 / 6]), pytest.approx([6.5, 4.0, 19 / 6])]
    assert len([line for line in loss.get_lines() if line.get_linewidth() < 1]) == 4
    (gap,) = loss.collections
    corners = gap.get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == pytest.approx((13 / 6, 6.5))
    assert pytest.approx([0.3, 0.6, 0.9]) in [ys(line) for line in below.get_lines()]
    assert legend(figure) == ["training", "validation", "gap"]


def test_learning_without_a_validation_loss_has_no_gap() -> None:
    figure = learning.curves(
        [course(checked=False)], "How?", "validation mAP", "It has mixup in it."
    )
    assert "gap" not in legend(figure)
    assert (
        len([line for line in figure.axes[0].get_lines() if line.get_linewidth() == 2 and xs(line)])
        == 1
    )
    assert any("It has mixup in it." in text.get_text() for text in figure.texts)


DROPS = {"bottleneck at L_f = 2": {"sound shifted": (0.1, 0.3), "bottlenecks off": (-0.02,)},
         "late fusion": {"sound shifted": (0.05, 0.07)}, "never probed": {}}  # fmt: skip


def test_probes_stand_in_rows_with_a_marker_a_cell() -> None:
    lines = {"bottleneck at L_f = 2": "bottleneck", "late fusion": "late"}
    figure = probes.drops(DROPS, lines, "What is lost?", "mAP")
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["sound shifted", "bottlenecks off"]
    assert [x for one in lines_of(ax, "o") for x in xs(one)] == pytest.approx([0.2, -0.02])
    assert [x for one in lines_of(ax, "X") for x in xs(one)] == pytest.approx([0.06])
    assert legend(figure) == ["bottleneck at L_f = 2", "late fusion"]


def test_of_many_probed_cells_the_first_are_shown() -> None:
    many = {f"cell {i}": {"off": (0.1,)} for i in range(11)}
    figure = probes.drops(many, {}, "What is lost?", "mAP")
    assert sorted(legend(figure)) == [f"cell {i}" for i in range(6)]
    assert any("6 of 11 cells" in text.get_text() for text in figure.texts)


HOSTILE = (
    "$x^2$", "cost $", r"\frac{1}{2} $\alpha$", "emoji 😀 👩‍🚀", "w" * 211, "two\nlines\tand\rmore",
    "_under", "عربي 中文", "a\x00b\x1b[31m", "<b>&amp;", "{}%s", "\udcff",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_made_legible(text: str) -> None:
    shown = legible(text)
    assert len(shown.replace(r"\$", "$")) <= 200
    assert "$" not in shown.replace(r"\$", "")
    assert shown.isprintable()
    assert extent(fitted(text, 1.1, 9.0), 9.0) <= 1.1


def test_what_the_font_lacks_is_a_box_and_what_it_has_stays() -> None:
    assert legible("中 é ^ ≤") == "□ é ^ ≤"
    assert legible("$x$") == r"\$x\$"
    assert legible("a" * 50, 7) == "aaaaa …"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_labels_are_drawn_without_warning_or_overlap(text: str) -> None:
    line = f"{text} <- all"
    axis = Axis("wiring", "", (text, "plain"), False)
    made = [
        Mark(of, place, (0.5 + cost / 7, 0.6 + cost / 7), cost, cost, False)
        for of, place, cost in ((line, text, 1.0), (line, "plain", 2.0), (LATE, text, 3.0))
    ]
    shade = Shade(text, ((text, 0.4, None),), legible(text))
    named = [Gain(text, "audio", (0.1, 0.2), "test"), Gain("plain", text, (0.0, 0.1), "validation")]
    figures = [
        along(made, axis, legible(text), "mAP", [shade]), bill(made, axis), price(made, axis),
        panels({(text, text): made, ("plain", text): made}, axis, legible(text), "AUC", 0.5),
        gains.dots(named, legible(text)),
        learning.curves([course(text + " x"), course("late fusion")], legible(text), "mAP"),
        probes.drops({text: {text: (0.1,)}, "plain": {"off": (0.0,)}}, {}, legible(text), "mAP"),
    ]  # fmt: skip
    for figure in figures:
        readable(figure, least=5)


def test_hostile_labels_are_written_in_every_format(tmp_path: Path) -> None:
    named = [Gain(text, "audio", (0.1, 0.2), "test") for text in HOSTILE]
    files = save(lambda: gains.dots(named, legible(" ".join(HOSTILE))), tmp_path / "gains")
    assert "<b>" not in files[0].read_text()
    assert all(file.stat().st_size > 5000 for file in files)


def test_drawing_leaves_no_style_behind(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    save(lambda: measure(marks()), tmp_path / "mAP")
    assert dict(mpl.rcParams) == before


def test_a_label_is_nearest_to_its_own_point_or_a_line_leads_to_it() -> None:
    """One point just above another, and one apart from both."""
    figure, (ax,) = page("A title", [], "", width=7.6, height=4.2)
    points = {"upper": (0.30, 0.55), "lower": (0.30, 0.50), "apart": (0.80, 0.10)}
    ax.set(xlim=(0, 1), ylim=(0, 1))
    label(ax, [(x, y, name, "k", 1) for name, (x, y) in points.items()], [*points.values()])
    figure.canvas.draw()
    spots = {name: ax.transData.transform(at) for name, at in points.items()}
    for text in ax.texts:
        box = text.get_window_extent()
        far = {
            name: np.hypot(max(box.x0 - x, x - box.x1, 0), max(box.y0 - y, y - box.y1, 0))
            for name, (x, y) in spots.items()
        }
        assert min(far, key=lambda name: far[name]) == text.get_text() or text.arrow_patch
    assert ax.texts[2].arrow_patch is None
