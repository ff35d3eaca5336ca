"""Lines and matrices: what is drawn, and that names neither overlap nor are cut. Looks: by eye."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.show import heatmap, page, style
from harness.show.bars import Reference
from harness.show.heatmap import Matrix
from harness.show.lines import LinePanel, Moment, Series, curves
from harness.show.looks import INK, SUBJECT, YELLOW, Look, luminance
from harness.show.tables import Cell

X = (0.0, 50.0, 75.0, 100.0)
INKS = {"white": 1.0, "black": 0.0}
"""Luminance."""
SERIES = (
    Series(label="Vanilla OPD", x=X, y=(39.0, 42.0, 43.0, 44.0), half=(1.0, 1.0, 1.5, 2.0)),
    Series(label="DOPD", x=X, y=(39.0, 48.0, 50.0, 51.0)),
    Series(label="SDPO", x=X, y=(39.0, 41.0, math.nan, math.nan), note="collapsed 1/3"),
    Series(label="TIP", x=(), y=(), note="not run"),
)
PANEL = LinePanel(
    title="general",
    y_axis="exact answer, %",
    series=SERIES,
    references=(Reference(label="Student", value=39.0), Reference(label="Teacher", value=53.0)),
    moments=(Moment(label="stage 2", x=50.0),),
)


def draw(*panels: LinePanel, caption: str = "Last step.", log_x: bool = False) -> Figure:
    return curves(panels or (PANEL,), title="Stability", x_axis="step", caption=caption, log_x=log_x)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts if text.get_text()]


def lines(figure: Figure) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and style of each series of the first panel, in order."""
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata()) == len(X)]
    return {
        each.label: (line.get_color(), line.get_marker(), str(line._unscaled_dash_pattern))
        for each, line in zip([s for s in SERIES if s.x], drawn, strict=True)
    }


def test_every_series_is_named_at_its_end_with_its_note() -> None:
    assert set(texts(draw())) >= {
        "Vanilla OPD",
        "DOPD",
        "SDPO, collapsed 1/3",
        "TIP, not run",
        "Student 39.0",
        "Teacher 53.0",
        "stage 2",
    }


def test_series_differ_in_colour_marker_and_style() -> None:
    looks = list(lines(draw()).values())
    assert [len(set(part)) for part in zip(*looks, strict=True)] == [3, 3, 3]


def test_a_known_look_is_kept_and_so_are_meaningful_styles() -> None:
    pair = tuple(
        Series(label=f"DOPD, {name}", x=X, y=X, look=SUBJECT, line=style)
        for name, style in (("general", "solid"), ("specific", "dashed"))
    )
    first, second = draw(LinePanel(title="", y_axis="", series=pair)).axes[0].lines[:2]
    for line in (first, second):
        assert (line.get_color(), line.get_marker()) == (SUBJECT.colour, SUBJECT.marker)
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")


def test_a_series_looks_the_same_in_every_panel() -> None:
    other = LinePanel(title="other", y_axis="nats", series=SERIES[1:])
    first, second = draw(PANEL, other).axes
    of_dopd = [
        next(line for line in ax.lines if list(line.get_ydata()) == [39.0, 48.0, 50.0, 51.0]) for ax in (first, second)
    ]
    assert of_dopd[0].get_color() == of_dopd[1].get_color() and of_dopd[0].get_marker() == of_dopd[1].get_marker()


def test_a_pale_line_has_a_dark_rim_that_follows_its_dashes() -> None:
    pale = Look(colour=YELLOW, dashes=(0, (5, 2)))
    figure = draw(LinePanel(title="", y_axis="", series=(Series(label="LH", x=X, y=X, look=pale),)))
    line, _, mark = figure.axes[0].lines
    (rim,) = line.get_path_effects()
    assert rim._gc["foreground"] == INK and rim._gc["linewidth"] > line.get_linewidth()
    assert line.get_markeredgecolor() == mark.get_markeredgecolor() == INK
    assert not draw().axes[0].lines[0].get_path_effects()


def test_bands_are_the_half_widths_and_a_lone_point_has_a_whisker() -> None:
    (band,) = (each for each in draw().axes[0].collections if len(each.get_paths()) and each.get_alpha())
    heights = band.get_paths()[0].vertices[:, 1]
    assert (min(heights), max(heights)) == (38.0, 46.0)
    lone = draw(LinePanel(title="", y_axis="%", series=(Series(label="a", x=(3.0,), y=(5.0,), half=(2.0,)),)))
    (whisker,) = (each for each in lone.axes[0].collections if hasattr(each, "get_segments"))
    assert whisker.get_segments()[0][:, 1].tolist() == [3.0, 7.0]


def test_few_points_have_whiskers_and_a_thin_line() -> None:
    pair = LinePanel(title="", y_axis="%", series=(Series(label="a", x=(1.0, 2.0), y=(5.0, 6.0), half=(2.0, 1.0)),))
    (ax,) = draw(pair).axes
    (whiskers,) = (each for each in ax.collections if hasattr(each, "get_segments"))
    assert [each[:, 1].tolist() for each in whiskers.get_segments()] == [[3.0, 7.0], [5.0, 7.0]]
    assert ax.lines[0].get_linewidth() < draw().axes[0].lines[0].get_linewidth()


def test_what_ties_a_line_to_its_name_is_grey_and_crosses_no_data() -> None:
    """The last point of one lies far from the edge: only a piece of its line stands at its name."""
    far, near = Series(label="far", x=(0.0, 20.0), y=(1.0, 2.0)), Series(label="near", x=(0.0, 100.0), y=(3.0, 4.0))
    (ax,) = draw(LinePanel(title="", y_axis="%", series=(far, near))).axes
    ties = [text for text in ax.texts if not text.get_text()]
    assert len(ties) == 1
    assert len(set(ties[0].arrow_patch.get_edgecolor()[:3])) == 1, "grey"
    assert ties[0].xy[0] == ax.get_xlim()[1], "from the edge, not from a point"
    keys = [line for line in ax.lines if line.get_transform() != ax.transData]
    assert {line.get_color() for line in keys} == {line.get_color() for line in ax.lines if line not in keys}
    assert min(min(line.get_xdata()) for line in keys) > 1, "outside of the axes"


def test_everything_lies_inside_the_limits_and_panels_of_one_scale_share_them() -> None:
    low = LinePanel(title="low", y_axis=PANEL.y_axis, series=(Series(label="DOPD", x=X, y=(1.0, 2.0, 2.5, 3.0)),))
    nats = LinePanel(title="entropy", y_axis="nats", series=(Series(label="DOPD", x=X, y=(1.0, 2.0, 2.5, 3.0)),))
    first, second, third = draw(PANEL, low, nats).axes
    assert first.get_ylim() == second.get_ylim() != third.get_ylim()
    assert first.get_ylim()[0] < 1.0 and first.get_ylim()[1] > 53.0
    assert first.get_xlim()[0] < 0 and first.get_xlim()[1] > 100


def test_a_panel_without_heights_has_no_scale() -> None:
    (ax,) = draw(LinePanel(title="", y_axis="nats", moments=(Moment(label="falls", x=95.0),))).axes
    assert list(ax.get_yticks()) == []


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        draw(LinePanel(title="", y_axis="", series=(Series(label="a", x=X, y=X, half=(1.0,)),)))


def test_a_logarithmic_axis_has_readable_ticks() -> None:
    seconds = tuple(Series(label=str(i), x=(10.0**i,), y=(float(i),)) for i in range(1, 4))
    figure = draw(LinePanel(title="", y_axis="%", series=seconds), log_x=True)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert {"10", "20", "50", "100"} <= {label.get_text() for label in ax.get_xticklabels()}
    assert ax.get_xlim()[0] < 10 and ax.get_xlim()[1] > 1000


def test_spread_keeps_order_and_distance_and_moves_as_little_as_can_be() -> None:
    assert page.spread([], 1.0, 10.0) == []
    assert page.spread([1.0, 5.0], 1.0, 10.0) == [1.0, 5.0]
    assert page.spread([5.0, 5.0], 1.0, 10.0) == pytest.approx([4.5, 5.5])
    assert page.spread([9.9, 10.0, 0.0], 1.0, 10.0) == pytest.approx([9.0, 10.0, 0.0])
    placed = page.spread([3.0, 2.9, 3.1, 0.0], 0.5, 10.0)
    assert placed == pytest.approx([3.0, 2.5, 3.5, 0.0])
    crowded = page.spread([1.0] * 5, 1.0, 2.0)  # five names in a height of two
    assert (min(crowded), max(crowded)) == pytest.approx((0.0, 2.0))


@pytest.mark.parametrize(("series", "panels"), [(1, 1), (8, 2), (24, 3), (12, 5)])
def test_no_name_covers_another_or_leaves_the_figure(series: int, panels: int) -> None:
    many = tuple(
        Series(label=f"DOPD (initial self) {i}", x=X, y=(39.0, 40.0, 40.0, 40.0 + i / 50), note="collapsed 1/3")
        for i in range(series)
    )
    panel = LinePanel(title="coding → reasoning " * 3, y_axis="%", series=many, references=PANEL.references)
    figure = draw(*(panel,) * panels, caption="A long caption about seeds and steps. " * 20)
    figure.draw_without_rendering()
    frame = figure.bbox
    for ax in figure.axes:
        names = [text.get_window_extent() for text in ax.texts if text.get_text()]
        for box in (*names, ax.title.get_window_extent(), ax.yaxis.label.get_window_extent()):
            assert box.x0 >= 0 and box.x1 <= frame.x1 and box.y0 >= 0 and box.y1 <= frame.y1
        for i, box in enumerate(names):
            assert not any(box.overlaps(other) for other in names[i + 1 :])
    caption = figure.texts[-1].get_window_extent()
    assert caption.x1 <= frame.x1 and caption.y0 >= 0
    assert caption.y1 < min(ax.xaxis.label.get_window_extent().y0 for ax in figure.axes)


def grid(*cells: Cell, side: int = 2) -> Matrix:
    rows = tuple(tuple(cells[i : i + side]) for i in range(0, len(cells), side))
    labels = tuple(f"0.{i}" for i in range(side))
    return Matrix(title="mean", row_axis="β_w", column_axis="β_l", rows=labels, columns=labels, cells=rows)


def test_a_matrix_writes_its_numbers_frames_the_best_and_gives_reasons() -> None:
    cells = (
        Cell(value=40.0, half=1.25, n=3),
        Cell(value=50.0, n=1, rank=1),
        Cell(missing="not run"),
        Cell(value=45.0, notes=("collapsed 1/3",)),
    )
    figure = heatmap.heatmap([grid(*cells)], title="Sensitivity", axis="score, %", caption="c")
    assert texts(figure)[:4] == ["40.0\n±1.2", "50.0\nsingle run", "not run", "45.0\ncollapsed 1/3"]
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [patch.get_xy() for patch in patches if not patch.get_fill()] == [(1.05, 0.05)]
    squares = [patch for patch in patches if patch.get_fill()]
    assert [bool(patch.get_hatch()) for patch in squares] == [False, False, True, False]
    top, bottom = figure.axes[0].get_ylim()
    assert top > bottom  # rows from the top


def test_matrices_share_one_scale_and_light_numbers_stand_on_dark_squares() -> None:
    matrices = [grid(*(Cell(value=v) for v in values)) for values in ((0, 1, 2, 3), (3, 4, 5, 6))]
    figure = heatmap.heatmap(matrices, title="a", axis="score, %", caption="c")
    first, second = ([patch.get_facecolor() for patch in ax.patches] for ax in figure.axes[:2])
    assert first[3] == second[0] and len({*first, *second}) == 7
    for ax in figure.axes[:2]:
        for text, patch in zip(ax.texts, ax.patches, strict=True):
            light, dark = sorted((luminance(to_hex(patch.get_facecolor())), INKS[text.get_color()]), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, "every number is read, those in the middle of the scale too"
    scale = figure.axes[2]
    assert scale.get_label() == heatmap.SCALE and scale.get_xlim() == (0, 6)
    assert [text.get_text() for text in scale.texts] == ["score, %"]


def test_the_words_of_the_scale_fit() -> None:
    small = [grid(*(Cell(value=v) for v in (1, 2, 3, 4)))]
    figure = heatmap.heatmap(small, title="a", axis="exact answer, mean of domains, %", caption="c")
    figure.draw_without_rendering()
    (words,) = figure.axes[1].texts
    assert words.get_window_extent().x1 < figure.bbox.x1


def test_an_empty_matrix_says_why() -> None:
    assert (
        texts(heatmap.heatmap([grid(*(Cell(missing="not run"),) * 4)], title="a", axis="%", caption="c"))
        == ["not run"] * 4
    )


@pytest.mark.slow
def test_files_are_equal_for_equal_figures(tmp_path: Path) -> None:
    first, second = (
        [path.read_bytes() for path in style.save(draw(), tmp_path / name, "a")] for name in ("one", "two")
    )
    assert first == second
