"""Grouped bars: what is drawn, and that the files depend on the data only. Looks were judged by eye."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from harness.show import bars, style
from harness.show.bars import Bar, Group, Reference
from harness.show.looks import SUBJECT

GROUPS = (
    Group(
        title="coding → reasoning",
        bars=(
            Bar(label="Vanilla OPD", mean=52.0, half=4.97, points=(50.0, 52.0, 54.0)),
            Bar(
                label="Priv. S→S",
                mean=0.1,
                half=0.2,
                points=(0.0, 0.1, 0.2),
                note="collapsed 3/3",
                crossed=True,
            ),
            Bar(label="DOPD", mean=None, note="not run"),
        ),
        references=(Reference(label="Student", value=40.0), Reference(label="Teacher", value=90.0)),
    ),
    Group(title="reasoning → coding", bars=(Bar(label="DOPD", mean=48.0, points=(48.0,), note="single run"),)),
)


def draw(groups: tuple[Group, ...] = GROUPS, caption: str = "Last step.") -> Figure:
    return bars.grouped_bars(groups, title="Out of domain", axis="exact answer, %", caption=caption)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for ax in figure.axes for text in ax.texts]
    found += [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    return found + [text.get_text() for text in figure.texts] + [ax.get_title() for ax in figure.axes]


def test_files_open_and_are_not_empty(tmp_path: Path) -> None:
    pdf, png = style.save(draw(), tmp_path / "new", "figure7b")
    assert (pdf.name, png.name) == ("figure7b.pdf", "figure7b.png")
    assert pdf.read_bytes().startswith(b"%PDF-") and b"%%EOF" in pdf.read_bytes()[-10:]
    from matplotlib.image import imread

    pixels = imread(png)
    assert min(pixels.shape[:2]) > 400
    assert 0.02 < float((pixels[..., :3].min(axis=2) < 0.9).mean()) < 0.9  # neither blank nor black
    assert list(tmp_path.rglob("*.tmp")) == []


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in style.save(draw(), tmp_path, "a")]
    second = [path.read_bytes() for path in style.save(draw(), tmp_path, "b")]
    assert first == second
    assert b"CreationDate" not in first[0] and b"Matplotlib" not in first[0] + first[1]


def test_a_readers_own_settings_neither_change_the_file_nor_are_changed(tmp_path: Path) -> None:
    expected = [path.read_bytes() for path in style.save(draw(), tmp_path, "a")]
    with mpl.rc_context({"font.size": 31.0, "axes.facecolor": "red"}):
        assert [path.read_bytes() for path in style.save(draw(), tmp_path, "b")] == expected
        assert (mpl.rcParams["font.size"], mpl.rcParams["axes.facecolor"]) == (31.0, "red")


def test_numbers_notes_and_references_are_written() -> None:
    found = "\n".join(texts(draw(caption="Seeds 0, 1, 2.")))
    for expected in (
        "Vanilla OPD\n52.0 ±5.0",
        "0.1 ±0.2\ncollapsed 3/3",
        "DOPD\n48.0\nsingle run",
        "not run",
        "Student\n40.0",
        "Teacher\n90.0",
        "coding → reasoning",
        "Seeds 0, 1, 2.",
    ):
        assert expected in found


def test_a_cross_stands_on_the_collapsed_bar_alone() -> None:
    crosses = [text for ax in draw().axes for text in ax.texts if text.get_text() == "×"]
    assert [text.xy for text in crosses] == [(1, pytest.approx(0.3))]


def dots(ax: Axes) -> list[list[float]]:
    return [
        point for each in ax.collections if isinstance(each, PathCollection) for point in each.get_offsets().tolist()
    ]


def test_every_seed_is_a_dot_and_bars_start_at_zero() -> None:
    first, second = draw().axes
    assert len(dots(first)) == 6
    assert [round(patch.get_height(), 2) for patch in first.patches] == [52.0, 0.1]
    assert first.get_ylim()[0] == 0 and first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[1] > 90  # the teacher's line is inside


def test_no_dot_lies_on_a_whisker() -> None:
    """Half a point of width, 5 points and the cap's 4 of a place that is 0.95 inches wide: 0.1 of it is enough."""
    first, _ = draw().axes
    whiskers = [
        segment[0][0]
        for each in first.collections
        if isinstance(each, LineCollection)
        for segment in each.get_segments()
    ]
    assert sorted(set(whiskers)) == pytest.approx([-0.1584, 0.8416])
    for x, _ in dots(first):
        assert min(abs(x - whisker) for whisker in whiskers) > 0.1


def test_a_negative_mean_is_inside_the_axis() -> None:
    (ax,) = draw((Group(title="lead", bars=(Bar(label="DOPD", mean=-3.0, half=1.0),)),)).axes
    assert ax.get_ylim()[0] < -4.0


def test_a_method_looks_the_same_in_every_panel_and_like_no_other() -> None:
    labels = [f"method {i}" for i in range(16)]
    groups = (
        Group(title="all", bars=tuple(Bar(label=label, mean=1.0) for label in labels)),
        Group(title="reversed", bars=tuple(Bar(label=label, mean=1.0) for label in labels[::-1])),
    )
    first, second = ([(p.get_facecolor(), p.get_hatch()) for p in ax.patches] for ax in draw(groups).axes)
    assert first == second[::-1]
    assert len(set(first)) == 16
    assert len({hatch for _, hatch in first[:5]}) == 5  # so that a grey print of five methods reads


def test_a_known_look_is_kept_and_given_to_nothing_else() -> None:
    bars = (Bar(label="a", mean=1.0), Bar(label="known", mean=1.0, look=SUBJECT), Bar(label="b", mean=1.0))
    (ax,) = draw((Group(title="", bars=bars),)).axes
    colours = [to_hex(patch.get_facecolor()).upper() for patch in ax.patches]
    assert colours[1] == SUBJECT.colour and SUBJECT.colour not in (colours[0], colours[2])


@pytest.mark.slow
@pytest.mark.parametrize("bars", [1, 5, 12, 25])
def test_nothing_is_cut_off_at_the_edges(bars: int) -> None:
    """Every text lies inside the figure, for few and for many bars and groups, under a long caption."""
    group = Group(
        title="coding → reasoning",
        bars=tuple(
            Bar(
                label=f"DOPD (initial self) {i}",
                mean=50.0,
                half=3.0,
                points=(49.0, 51.0),
                note="1 of 3 not run",
            )
            for i in range(bars)
        ),
        references=GROUPS[0].references,
    )
    figure = draw((group,) * 4, caption="A long caption about seeds and steps. " * 20)
    figure.draw_without_rendering()
    frame = figure.bbox
    for ax in figure.axes:
        for text in (*ax.texts, ax.title, ax.yaxis.label, *ax.get_xticklabels()):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= frame.x1 and box.y0 >= 0 and box.y1 <= frame.y1, text
    caption = figure.texts[-1].get_window_extent()
    assert caption.x1 <= frame.x1 and caption.y0 >= 0
    lowest = min(label.get_window_extent().y0 for ax in figure.axes for label in ax.get_xticklabels())
    assert caption.y1 < lowest  # the caption is below every label
