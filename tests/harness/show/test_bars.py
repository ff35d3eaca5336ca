"""Marks of a mean in words, and that files of a figure depend on its data only."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from harness.show import bars, style
from harness.show.bars import Bar, Group, Reference
from harness.show.hbars import Panel, lying_bars

BARS = (
    Bar(label="Vanilla OPD", mean=52.0, half=4.97, points=(50.0, 52.0, 54.0)),
    Bar(label="Priv. S→S", mean=0.1, half=0.2, points=(0.0, 0.1, 0.2), note="collapsed 3/3", crossed=True),
    Bar(label="DOPD", mean=None, note="not run"),
)
ENDS = (Reference(label="Student", value=40.0), Reference(label="Teacher", value=90.0))


def draw() -> Figure:
    panel = Panel(title="coding → reasoning", groups=(Group(title="", bars=BARS),), references=ENDS)
    return lying_bars([panel], title="Out of domain", axis="exact answer, %", caption="Last step.")


@pytest.mark.slow
def test_files_open_and_are_not_empty(tmp_path: Path) -> None:
    pdf, png = style.save(draw(), tmp_path / "new", "figure7b")
    assert (pdf.name, png.name) == ("figure7b.pdf", "figure7b.png")
    assert pdf.read_bytes().startswith(b"%PDF-") and b"%%EOF" in pdf.read_bytes()[-10:]
    from matplotlib.image import imread

    pixels = imread(png)
    assert min(pixels.shape[:2]) > 400
    assert 0.02 < float((pixels[..., :3].min(axis=2) < 0.9).mean()) < 0.9  # neither blank nor black
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.slow
def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in style.save(draw(), tmp_path, "a")]
    second = [path.read_bytes() for path in style.save(draw(), tmp_path, "b")]
    assert first == second
    assert b"CreationDate" not in first[0] and b"Matplotlib" not in first[0] + first[1]


@pytest.mark.slow
def test_a_readers_own_settings_neither_change_the_file_nor_are_changed(tmp_path: Path) -> None:
    expected = [path.read_bytes() for path in style.save(draw(), tmp_path, "a")]
    with mpl.rc_context({"font.size": 31.0, "axes.facecolor": "red"}):
        assert [path.read_bytes() for path in style.save(draw(), tmp_path, "b")] == expected
        assert (mpl.rcParams["font.size"], mpl.rcParams["axes.facecolor"]) == (31.0, "red")


@pytest.mark.parametrize(
    ("mean", "half", "signed", "said"),
    [
        (52.04, 1.96, False, "52.0 ±2.0"),
        (-4.31, 0.9, True, "−4.3 ±0.9"),
        (2.0, None, True, "+2.0"),
        (0.0, None, True, "+0.0"),
        (0.02, None, False, "0.0"),
        (0.93, 0.88, True, "+0.93 ±0.88"),  # 0.9 ±0.9 would not say that 0 is outside
        (-0.03, 0.06, True, "−0.03 ±0.06"),
    ],
)
def test_a_number_says_whether_its_interval_holds_0(mean: float, half: float | None, signed: bool, said: str) -> None:
    assert bars.number_words(mean, half, signed=signed) == said


def test_seeds_lie_beside_one_another_and_a_lone_one_in_the_middle() -> None:
    assert bars.beside(1.0, 3, 1.0, (0.0, 0.4)) == pytest.approx([1.0, 1.2, 1.4])
    assert bars.beside(1.0, 1, 1.0, (0.0, 0.4)) == pytest.approx([1.2])


def test_bars_start_at_zero_unless_a_mean_is_below() -> None:
    up = bars.limits([Group(title="", bars=(Bar(label="a", mean=3.0, half=1.0),))])
    down = bars.limits([Group(title="", bars=(Bar(label="a", mean=-3.0, half=1.0),))])
    assert up[0] == 0 and up[1] > 4 and down[0] < -4
