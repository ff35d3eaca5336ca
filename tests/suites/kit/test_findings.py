"""What a comparison says, by hand: who is above, who below, and what cannot be said."""

from __future__ import annotations

import pytest

from harness.analysis.statistics import Difference
from harness.analysis.units import DRAW, SEEDS, Units
from suites.kit.findings import Contrast, compared, in_points

DRAWS = Units(one=DRAW, of=lambda seed: seed % 5)


def contrast(label: str, mean: float, half: float | None, n: int = 5) -> Contrast:
    return Contrast(label=label, difference=Difference(mean=mean, half=half, n=n, p=None))


ABOVE, BELOW, OPEN = contrast("A", 1.34, 0.8), contrast("B", -4.26, 0.9), contrast("C", -1.0, 1.3)


def test_shares_become_points() -> None:
    found = in_points("A", Difference(mean=0.013, half=0.008, n=5, p=0.01)).difference
    assert found is not None and (found.mean, found.half, found.n) == (pytest.approx(1.3), pytest.approx(0.8), 5)
    assert in_points("A", None).difference is None


def test_who_leads_who_trails_and_how_many() -> None:
    made = compared([ABOVE, BELOW, OPEN, contrast("D", -2.0, 0.5)], "Vanilla OPD", SEEDS, things="methods")
    assert made.sentence == (
        "A leads Vanilla OPD by 1.3 ±0.8 points, B trails it by 4.3 ±0.9; of 4 methods 1 above, 2 below, 1 not told "
        "apart, each alone at 95 % (n = 5 seeds)."
    )
    assert made.short == "A above Vanilla OPD, 2 below"


def test_of_several_above_the_furthest_leads_in_whatever_order() -> None:
    made = compared([ABOVE, contrast("D", 3.0, 0.5), contrast("E", 2.0, 0.5)], "Vanilla OPD", SEEDS)
    assert made.sentence.startswith("D leads Vanilla OPD by 3.0 ±0.5 points; of 3 arms 3 above, 0 below")
    assert made.short == "3 of 3 above Vanilla OPD, none below"


def test_nobody_above() -> None:
    made = compared([BELOW, OPEN], "Vanilla OPD", SEEDS)
    assert made.sentence == (
        "B trails Vanilla OPD by 4.3 ±0.9 points; of 2 arms 0 above, 1 below, 1 not told apart, each alone at 95 % "
        "(n = 5 seeds)."
    )
    assert made.short == "B below Vanilla OPD, none above"
    assert compared([ABOVE, OPEN], "X", SEEDS).short == "A above X, none below"


def test_none_is_told_apart_and_the_largest_is_named() -> None:
    made = compared([OPEN, contrast("D", 0.5, 0.6)], "Vanilla OPD", DRAWS)
    assert made.sentence == (
        "None of 2 arms is told apart from Vanilla OPD, each alone at 95 % (n = 5 draws); the largest difference is "
        "−1.0 ±1.3 points (C)."
    )
    assert made.short == "none of 2 told apart from Vanilla OPD"
    equal = compared([contrast("A", 0.0, 0.0), contrast("B", 0.0, 0.0)], "X", SEEDS)
    assert equal.sentence == "None of 2 arms differs from X at all (n = 5 seeds)."


@pytest.mark.parametrize(
    ("each", "short", "sentence"),
    [
        (ABOVE, "A above X", "A is above X by 1.3 ±0.8 points, 95 % interval (n = 5 seeds)."),
        (BELOW, "B below X", "B is below X by 4.3 ±0.9 points, 95 % interval (n = 5 seeds)."),
        (OPEN, "C not told apart from X", "C is not told apart from X at 95 %: −1.0 ±1.3 points (n = 5 seeds)."),
    ],
)
def test_a_lone_one(each: Contrast, short: str, sentence: str) -> None:
    made = compared([each], "X", SEEDS)
    assert (made.short, made.sentence) == (short, sentence)


def test_the_end_of_an_interval_at_0_is_not_told_apart_and_equal_differences_are() -> None:
    assert contrast("A", 1.0, 1.0).side == 0 and contrast("A", 1.01, 1.0).side == 1
    assert contrast("A", -0.5, 0.0).side == -1 and contrast("A", 1e-14, 0.0).side == 0, "no rounding error is a result"


def test_a_single_run_has_no_result() -> None:
    made = compared([contrast("A", 1.0, None, 1), contrast("B", -3.04, None, 1)], "X", SEEDS)
    assert made.short == "one seed, no intervals"
    assert made.sentence == (
        "B is −3.0 points from X in one seed; of 2 this is the largest difference; without an interval nothing follows."
    )
    assert compared([contrast("A", 1.0, None, 1)], "X", DRAWS).short == "one draw, no intervals"


def test_what_is_not_judged_is_counted_and_n_is_a_range() -> None:
    some = [ABOVE, contrast("B", -4.0, 0.9, 3), contrast("C", 1.0, None, 1), Contrast(label="D", difference=None)]
    sentence = compared(some, "X", SEEDS).sentence
    assert "of 2 arms" in sentence and "(n = 3 to 5 seeds)" in sentence
    assert sentence.endswith("2 more without an interval are not judged.")


def test_nothing_yet() -> None:
    made = compared([Contrast(label="A", difference=None)], "X", SEEDS)
    assert (made.short, made.sentence) == ("nothing to compare yet", "Nothing can be compared with X yet.")


def test_a_label_that_could_be_read_as_two_is_quoted_and_counted_in_a_title() -> None:
    dropped = contrast("w/o teacher, dropped", -2.0, 0.5)
    made = compared([ABOVE, dropped], "DOPD", SEEDS)
    assert "“w/o teacher, dropped” trails it by 2.0" in made.sentence and made.short == "A above DOPD, 1 below"
