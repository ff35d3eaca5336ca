"""Differences as they are drawn: each unit's own, beside a line at 0, on an axis made for what is ranked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from support.synthetic import PROFILE, UNDRAWN, frames, is_student

from harness.config import RunSpec
from harness.show.bars import Bar, Group
from harness.show.hbars import Panel, lying_bars
from harness.suite import Evaluation, Options, Profile
from suites.in_distribution import InDistribution
from suites.kit.arms import ArmScores
from suites.kit.dots import arm_dots, difference_bar, highest, levels
from suites.profiles import PROFILES

SCORES = {"vanilla_opd": (0.50, 0.52, 0.54), "dopd": (0.55, 0.53, 0.60), "sft": (0.40, 0.42, 0.44)}
"""By seed; DOPD minus vanilla is 5, 1 and 6 points, SFT minus vanilla 10 below in all."""


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROFILES, UNDRAWN.name, "support.synthetic:UNDRAWN")


def scores(root: Path, profile: Profile = UNDRAWN, **changes: object) -> ArmScores:
    """In a profile whose unit is the seed, unless told."""
    suite = InDistribution()
    options = Options(
        suite=suite.name,
        profile=profile.name,
        methods=tuple(SCORES),
        seeds=(0, 1, 2),
        results=root,
        published=root / "p",
    )
    options = dataclasses.replace(options, **changes)  # type: ignore[arg-type]

    def score(spec: RunSpec, _: Evaluation, __: str) -> float:
        if spec.method is None:
            return 0.4 if is_student(spec) else 0.6
        return SCORES[spec.method.name][spec.seed]

    return suite.scores(*frames(options, score, suite=suite, profile=profile), options)


def dots(ax: Axes) -> list[float]:
    return sorted(
        x for each in ax.collections if isinstance(each, PathCollection) for x, _ in each.get_offsets().tolist()
    )


def test_a_difference_has_each_seeds_own(tmp_path: Path) -> None:
    """4 ± 4.303 · √7 / √3."""
    found = scores(tmp_path)
    bar = difference_bar(found, "dopd", found.inside)
    assert bar.points == pytest.approx((5, 1, 6)) and bar.mean == pytest.approx(4)
    assert bar.half == pytest.approx(4.3027 * 7**0.5 / 3**0.5, abs=1e-3)


def test_the_figure_by_hand(tmp_path: Path) -> None:
    figure = arm_dots(scores(tmp_path), {"mean": scores(tmp_path).inside}, topic="All", things="methods")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["DOPD", "SFT"], "the baseline is the line at 0"
    assert dots(ax) == pytest.approx([-10, -10, -10, 1, 5, 6])
    said = {text.get_text() for text in ax.texts}
    assert {"+4.0 ±6.6", "−10.0 ±0.0", "Student 40.0, Vanilla OPD 52.0, Teacher 60.0"} <= said
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines) and ax.get_xlabel() == "minus Vanilla OPD, points"
    assert -13 < ax.get_xlim()[0] < -10 and 10 < ax.get_xlim()[1] < 13, "no wider than the data"
    title, caption = (" ".join(words.split()) for words in (figure.get_suptitle(), figure.texts[-1].get_text()))
    assert title == "All: SFT below Vanilla OPD, none above"
    assert caption.startswith("SFT trails Vanilla OPD by 10.0 ±0.0 points; of 2 methods 0 above, 1 below, 1 not told")
    assert "± is half the 95 % t interval over 3 seeds" in caption


def test_where_there_are_draws_and_an_early_step_words_and_panels_say_so(tmp_path: Path) -> None:
    """The same numbers, a draw each."""
    found = scores(tmp_path, PROFILE)
    early, last = arm_dots(found, {"mean": found.inside}, topic="All", things="methods").axes
    assert (early.get_title(), last.get_title()) == ("mean, early: step 20", "mean")
    assert dots(early) == dots(last) == pytest.approx([-10, -10, -10, 1, 5, 6])
    assert [label.get_text() for label in early.get_yticklabels()] == ["DOPD", "SFT"]
    caption = " ".join(early.figure.texts[-1].get_text().split())
    assert "± is half the 95 % t interval over 3 draws" in caption
    one = scores(tmp_path, PROFILE, seeds=(1,))
    caption = " ".join(arm_dots(one, {"mean": one.inside}, topic="All").texts[-1].get_text().split())
    assert "one draw, so no interval" in caption and "±" not in caption


def test_a_single_run_claims_no_interval(tmp_path: Path) -> None:
    found = scores(tmp_path, seeds=(1,))
    figure = arm_dots(found, {"mean": found.inside}, topic="All")
    caption = " ".join(figure.texts[-1].get_text().split())
    assert "one seed, so no interval" in caption and "±" not in caption
    assert "one seed, no intervals" in " ".join(figure.get_suptitle().split())
    assert not [each for each in figure.axes[0].collections if isinstance(each, LineCollection)]


def test_without_a_baseline_scores_are_drawn_on_an_axis_around_them(tmp_path: Path) -> None:
    found = scores(tmp_path, methods=("dopd", "sft"))
    figure = arm_dots(found, {"mean": found.inside}, topic="All")
    (ax,) = figure.axes
    assert ax.get_xlim()[0] > 30 and {"Student 40.0", "Teacher 60.0"} <= {text.get_text() for text in ax.texts}
    assert "DOPD highest of 2" in figure.get_suptitle() and ax.get_xlabel() == "exact answer, %"


def test_levels_rise_and_say_no_baseline_of_several(tmp_path: Path) -> None:
    found = scores(tmp_path)
    ends = {"Student": 53.0, "Teacher": 40.0, "Lost": None}
    assert levels(found, ["vanilla_opd"], found.inside, ends) == "Teacher 40.0, Vanilla OPD 52.0, Student 53.0"
    assert levels(found, ["vanilla_opd", "dopd"], found.inside, ends) == "Teacher 40.0, Student 53.0"


def test_nothing_run_is_nothing_found() -> None:
    assert highest({}).short == "no rows yet"


def test_what_stands_aside_does_not_make_the_axis_and_is_an_arrow_beyond_it() -> None:
    bars = (Bar(label="a", mean=1.0, half=1.0), Bar(label="far", mean=30.0, half=2.0, points=(29.0,), aside=True))
    panel = Panel(title="", groups=(Group(title="", bars=bars),), differences=True)
    (ax,) = lying_bars([panel], title="", axis="", caption="").axes
    assert ax.get_xlim()[1] < 3
    (arrow,) = (line for line in ax.lines if line.get_marker() == ">")
    assert ax.get_xlim()[0] < arrow.get_xdata()[0] < ax.get_xlim()[1]
    assert "+30.0 ±2.0" in {text.get_text() for text in ax.texts} and dots(ax) == []
