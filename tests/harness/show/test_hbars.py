"""Lying bars: rows, looks, stacked and zoomed panels, and that nothing is cut off or overlaps. Looks: by eye."""

from __future__ import annotations

import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from harness.show.bars import Bar, Group, Reference
from harness.show.hbars import Panel, Part, lying_bars
from harness.show.looks import SUBJECT, Look, Role

ENDS = (
    Reference(label="Student", value=40.0, role=Role.STUDENT),
    Reference(label="Teacher", value=90.0, role=Role.TEACHER),
)
PARTS = (Part(label="asserts", look=Look(colour="#555555")), Part(label="abstains", look=Look(colour="#FFFFFF")))


def lying(bars: int = 1, panels: int = 2, columns: int = 0) -> Figure:
    groups = tuple(
        Group(
            title=title,
            bars=(
                *(Bar(label=f"{title} {i}", mean=50.0 + i, half=2.0, points=(49.0, 51.0)) for i in range(bars)),
                Bar(label=f"{title} fallen", mean=1.0, points=(1.0,), note="single run, collapsed 1/1", crossed=True),
                Bar(label=f"{title} absent", mean=None, note="not run"),
            ),
        )
        for title in ("classical", "dual")
    )
    panel = Panel(title="shared", groups=groups, references=ENDS)
    caption = "A long caption about seeds. " * 20
    return lying_bars([panel] * panels, title="All", axis="%", caption=caption, columns=columns)


def lone(*bars: Bar, **panel: object) -> Panel:
    return Panel(title="", groups=(Group(title="", bars=bars),), **panel)  # type: ignore[arg-type]


def test_bars_keep_their_height_in_every_panel() -> None:
    figure = lying()
    first, second = figure.axes
    places = [[(p.get_y(), p.get_width()) for p in ax.patches] for ax in (first, second)]
    assert places[0] == places[1] and len(places[0]) == 4
    labels = {label.get_text(): y for label, y in zip(first.get_yticklabels(), first.get_yticks(), strict=True)}
    assert labels["classical"] < labels["classical 0"] < labels["dual"] < labels["dual 0"]
    assert first.get_ylim()[0] > first.get_ylim()[1]  # the first is above
    assert {label.get_text() for label in second.get_yticklabels()} == {""}
    said = [text.get_text() for text in first.texts]
    assert {"50.0 ±2.0", "1.0  single run, collapsed 1/1", "not run", "Student 40.0", "Teacher 90.0"} <= set(said)
    assert said.count("×") == 2


def test_rows_are_named_at_the_left_of_a_grid_alone() -> None:
    named = [ax.get_yticklabels()[1].get_text() for ax in lying(panels=4, columns=3).axes]
    assert named == ["classical 0", "", "", "classical 0"]


def test_bars_without_a_look_look_alike_within_a_group_only() -> None:
    (ax,) = lying(bars=2, panels=1).axes
    looks = [(p.get_facecolor(), p.get_hatch()) for p in ax.patches]
    assert len(set(looks[:3])) == len(set(looks[3:])) == 1 and looks[0] != looks[3]


def test_a_known_look_is_kept_beside_others() -> None:
    (ax,) = lying_bars(
        [lone(Bar(label="a", mean=1.0), Bar(label="b", mean=1.0, look=SUBJECT))], title="", axis="", caption=""
    ).axes
    first, second = ((to_hex(p.get_facecolor()).upper(), p.get_hatch() or "") for p in ax.patches)
    assert second == (SUBJECT.colour, SUBJECT.hatch) != first


def test_seeds_lie_beside_the_whisker() -> None:
    bar = Bar(label="a", mean=5.0, half=1.0, points=(4.0, 5.0, 6.0))
    for panel in (lone(bar), lone(bar, zoomed=True)):
        (ax,) = lying_bars([panel], title="", axis="", caption="").axes
        (dots,) = (each for each in ax.collections if isinstance(each, PathCollection))
        heights = {y for _, y in dots.get_offsets().tolist()}
        whiskers = {
            segment[0][1]
            for each in ax.collections
            if isinstance(each, LineCollection)
            for segment in each.get_segments()
        }
        assert len(heights) == 3 and max(whiskers) < min(heights) - 0.1  # rows are counted downwards


def test_parts_are_stacked_to_the_whole_with_seeds_on_them_and_a_legend() -> None:
    bar = Bar(label="DOPD", mean=60.0, points=(0.0, 100.0), note="1 of 2", parts=(60.0, 40.0))
    figure = lying_bars([lone(bar, parts=PARTS, limits=(0.0, 100.0))], title="T", axis="%", caption="c")
    (ax,) = figure.axes
    assert [(patch.get_x(), patch.get_width()) for patch in ax.patches] == [(0.0, 60.0), (60.0, 40.0)]
    assert [to_hex(patch.get_facecolor()) for patch in ax.patches] == ["#555555", "#ffffff"]
    assert ax.get_xlim() == (0.0, 100.0)
    (dots,) = (each for each in ax.collections if isinstance(each, PathCollection))
    assert sorted(dots.get_offsets()[:, 0]) == [0.0, 100.0] and not dots.get_clip_on()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["asserts", "abstains", "dots: seeds"]
    assert "60.0  1 of 2" in [text.get_text() for text in ax.texts]


def test_a_zoomed_panel_has_marks_on_an_axis_of_its_own() -> None:
    bar = Bar(label="DOPD", mean=95.0, half=0.5, points=(94.8, 95.2), look=SUBJECT)
    wide = Bar(label="DOPD", mean=20.0)
    plain, zoomed = lying_bars(
        [lone(wide), lone(bar, zoomed=True, references=ENDS[1:], axis="right, %")], title="", axis="%", caption=""
    ).axes
    assert plain.get_xlim()[0] == 0 and plain.get_xlim()[1] < 25
    assert 89 < zoomed.get_xlim()[0] < 90 and 95.5 < zoomed.get_xlim()[1] < 96
    assert not zoomed.patches
    (mark,) = (line for line in zoomed.lines if line.get_marker() == SUBJECT.marker)
    assert mark.get_color() == SUBJECT.colour and list(mark.get_xdata()) == [95.0]
    assert (plain.get_xlabel(), zoomed.get_xlabel()) == ("%", "right, %")


@pytest.mark.slow
@pytest.mark.parametrize(("bars", "panels", "columns"), [(1, 1, 0), (12, 2, 0), (5, 6, 3)])
def test_nothing_is_cut_off_or_overlaps(bars: int, panels: int, columns: int) -> None:
    figure = lying(bars, panels, columns)
    figure.draw_without_rendering()
    frame = figure.bbox
    for ax in figure.axes:
        for text in (*ax.texts, ax.title, ax.xaxis.label, *ax.get_yticklabels()):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= frame.x1 and box.y0 >= 0 and box.y1 <= frame.y1, text
    caption = figure.texts[-1].get_window_extent()
    assert caption.x1 <= frame.x1 and caption.y1 < min(ax.xaxis.label.get_window_extent().y0 for ax in figure.axes)
    if panels > 1:
        first, second = figure.axes[:2]
        assert max(text.get_window_extent().x1 for text in first.texts) < second.get_window_extent().x0
    if panels == 6:
        above, below = figure.axes[0], figure.axes[3]
        assert above.xaxis.label.get_window_extent().y0 > below.title.get_window_extent().y1
