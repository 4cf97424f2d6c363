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

from mbt_cli.draw import LATE, STYLES, Axis, Mark, against_cost, along, panels
from mbt_cli.sheet import save

L_F = Axis("$L_f$", "the number of layers before fusion starts", ("0", "1", "2"), True)
LINES = ("bottleneck", "cross_attention", "self_attention")


def marks(lines: tuple[str, ...] = LINES, seeds: int = 3) -> list[Mark]:
    """Late fusion, and each line at each place; a bottleneck in the last exchanges nothing."""
    made = [Mark(LATE, None, tuple(0.5 + 0.01 * s for s in range(seeds)), 1.0, False)]
    for i, line in enumerate(lines):
        for x in range(3):
            values = tuple(0.8 + 0.03 * i + 0.01 * x + 0.005 * s for s in range(seeds))
            hollow = line == "bottleneck" and x == 2
            made.append(Mark(line, str(x), values, 1.5 - 0.1 * x + 0.001 * i, hollow))
    return made


def lines_of(ax: Axes, marker: str) -> list[Line2D]:
    return [line for line in ax.get_lines() if line.get_marker() == marker]


def xs(line: Line2D) -> list[float]:
    return [float(x) for x in np.atleast_1d(line.get_xdata())]


def ys(line: Line2D) -> list[float]:
    return [float(y) for y in np.atleast_1d(line.get_ydata())]


def legend(figure: Figure) -> list[str]:
    boxes = [*figure.legends, *(box for ax in figure.axes if (box := ax.get_legend()))]
    return [text.get_text() for box in boxes for text in box.get_texts()]


def measure(made: list[Mark], axis: Axis = L_F) -> Figure:
    return along(made, axis, "Which layer?", "mAP on test")


def bill(made: list[Mark], axis: Axis = L_F) -> Figure:
    return against_cost(made, axis, "What does it cost?", "mAP on test")


def groups(made: list[Mark], axis: Axis = L_F, n: int = 5) -> Figure:
    shown = {(f"group{i}", "one of them tells the other"): made for i in range(n)}
    return panels(shown, axis, "Which labels?", "AUC on test", 0.5)


def test_every_seed_is_a_point_and_every_mean_a_marker_on_its_line() -> None:
    (ax,) = measure(marks()).axes
    assert sorted(y for dots in lines_of(ax, ".") for y in ys(dots)) == pytest.approx(
        sorted(v for mark in marks() if mark.place for v in mark.values)
    )
    means = [ys(one)[0] for one in lines_of(ax, "s")]
    assert means == pytest.approx([0.835, 0.845, 0.855])
    joined = [ys(line) for line in lines_of(ax, "None") if line.get_color() == "#D55E00"]
    assert joined == [pytest.approx(means)]


def test_strategies_stand_beside_each_other_and_near_their_place() -> None:
    (ax,) = measure(marks()).axes
    spots = [xs(one)[0] for m in "os^" for one in lines_of(ax, m)]
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


@pytest.mark.parametrize("draw", [measure, bill, groups])
def test_what_exchanges_nothing_is_hollow_and_the_legend_says_so(
    draw: Callable[[list[Mark]], Figure],
) -> None:
    figure = draw(marks())
    ax = figure.axes[0]
    faces = [same_color(one.get_markerfacecolor(), "white") for one in lines_of(ax, "o")]
    assert faces == [False, False, True]
    assert not any(same_color(one.get_markerfacecolor(), "white") for one in lines_of(ax, "s"))
    assert "hollow: no exchange" in legend(figure)
    assert "hollow: no exchange" not in legend(draw(marks(LINES[1:])))


def test_no_two_strategies_share_a_colour_a_marker_or_a_line_style() -> None:
    for one, other in combinations(STYLES.values(), 2):
        assert not any(a == b for a, b in zip(one, other, strict=True))


def test_lines_without_a_style_of_their_own_get_different_ones() -> None:
    made = marks(("bottleneck", "each <- each; fsn <- all fsn", "all fsn <- all fsn"))
    (ax,) = measure(made).axes
    colours = {one.get_color() for one in ax.get_lines()}
    assert len(colours) == 4


def test_a_cell_without_runs_leaves_a_gap() -> None:
    made = [mark if mark.place != "1" else Mark(mark.line, "1", (), 1.0, False) for mark in marks()]
    for figure in (measure(made), bill(made), groups(made)):
        assert len(lines_of(figure.axes[0], "s")) == 2


def test_categories_are_not_joined_and_late_fusion_has_a_place() -> None:
    axis = Axis("modalities", "", ("audio", "audio + video"), False)
    made = [Mark(LATE, place, (0.5, 0.7), 1.0, False) for place in axis.places]
    (ax,) = measure(made, axis).axes
    assert [ys(one)[0] for one in lines_of(ax, "X")] == pytest.approx([0.6, 0.6])
    assert not lines_of(ax, "None")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["audio", "audio\n+ video"]
    assert legend(measure(made, axis)) == ["late fusion"]


def test_cost_is_where_it_was_paid_and_means_carry_their_place() -> None:
    (ax,) = bill(marks()).axes
    assert [xs(one)[0] for one in lines_of(ax, "s")] == pytest.approx([1.501, 1.401, 1.301])
    assert sorted(text.get_text() for text in ax.texts) == sorted(["0", "1", "2"] * 3 + [LATE])
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
    made = [Mark(LATE, None, (0.5, 0.52), 1.0, False)]
    names = [name for name in STYLES if name and name != LATE]
    for i, line in enumerate(names):
        made += [Mark(line, str(x), (0.97, 0.98), 2 - 0.05 * x + 0.001 * i, x == 11)
                 for x in range(12)]  # fmt: skip
    return made, axis


@pytest.mark.parametrize("draw", [measure, bill, *(partial(groups, n=n) for n in (1, 2, 4, 5))])
@pytest.mark.parametrize("what", ["plain", "crowd"])
def test_no_text_is_cut_off_and_no_two_texts_overlap(
    draw: Callable[..., Figure], what: str
) -> None:
    figure = draw(*(crowd() if what == "crowd" else (marks(), L_F)))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    texts = set(figure.findobj(Text)) - unseen(figure)
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts
             if t.get_text() and t.get_visible()]  # fmt: skip
    assert len(boxes) > 10
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


def test_a_figure_is_an_svg_and_a_png_of_white_paper(tmp_path: Path) -> None:
    files = save(lambda: measure(marks()), tmp_path / "mAP")
    assert [file.name for file in files] == ["mAP.svg", "mAP.png"]
    image = imread(files[1])
    assert image.shape[1] >= 7 * 150
    assert image[0, 0].tolist() == [1, 1, 1, 1]
    assert files[0].read_text().startswith("<?xml")
    assert "<dc:date>" not in files[0].read_text()


def test_the_same_marks_give_the_same_bytes(tmp_path: Path) -> None:
    first, again = (save(lambda: bill(marks()), tmp_path / name) for name in ("a", "b"))
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]


def test_drawing_leaves_no_style_behind(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    save(lambda: measure(marks()), tmp_path / "mAP")
    assert dict(mpl.rcParams) == before
