"""Estimates over seeds, against arithmetic done by hand."""

from __future__ import annotations

import math

import pytest

from harness import statistics
from harness.types import HarnessError

T_2 = 4.302652729911275
"""97.5 % quantile of t with 2 degrees of freedom: sqrt(2) * 0.95 / sqrt(1 - 0.95**2)."""


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9)


def test_the_quantile_is_the_closed_form_of_two_degrees() -> None:
    # For 2 degrees F(t) = 1/2 + t / (2 sqrt(2 + t^2)); solved for F = 0.975.
    assert close(math.sqrt(2) * 0.95 / math.sqrt(1 - 0.95**2)) == T_2


def test_interval_over_three_seeds() -> None:
    # Mean (50 + 52 + 54) / 3 = 52; deviation sqrt((4 + 0 + 4) / 2) = 2;
    # half-width 4.302653 * 2 / sqrt(3) = 4.9683.
    e = statistics.estimate([50.0, 52.0, 54.0])
    assert (e.mean, e.n) == (52.0, 3)
    assert e.half == close(T_2 * 2 / math.sqrt(3))
    assert e.half == pytest.approx(4.9683, abs=5e-5)


def test_interval_over_five_seeds() -> None:
    # Mean 3; squares 4 + 1 + 0 + 1 + 4 = 10, deviation sqrt(10 / 4) = 1.581139; t(4) = 2.776445 (tables);
    # half-width 2.776445 * 1.581139 / sqrt(5) = 2.776445 * 0.707107 = 1.963243.
    e = statistics.estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (e.mean, e.half) == (3.0, pytest.approx(1.963243, abs=1e-6))


def test_one_run_has_no_interval() -> None:
    e = statistics.estimate([0.4])
    assert (e.mean, e.half, e.n) == (0.4, None, 1)


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [0.1, math.inf]])
def test_nothing_and_nan_are_refused_not_averaged(values: list[float]) -> None:
    with pytest.raises(HarnessError, match=r"at least one seed|NaN or infinity"):
        statistics.estimate(values)


def test_paired_difference_uses_common_seeds_only() -> None:
    # Differences 0.10, 0.15, 0.05: mean 0.10, deviation sqrt((0 + 0.0025 + 0.0025) / 2) = 0.05.
    # t = 0.10 * sqrt(3) / 0.05 = 2 sqrt(3), t^2 = 12; with 2 degrees of freedom
    # p = 1 - t / sqrt(t^2 + 2) = 1 - sqrt(12 / 14).
    a = {0: 0.60, 1: 0.70, 2: 0.65, 7: 0.0}
    b = {2: 0.60, 1: 0.55, 0: 0.50, 3: 1.0}
    d = statistics.paired_difference(a, b)
    assert d is not None
    assert (d.mean, d.n) == (close(0.10), 3)
    assert d.half == close(T_2 * 0.05 / math.sqrt(3))
    assert d.p == close(1 - math.sqrt(12 / 14))


def test_pairing_removes_what_seeds_share() -> None:
    """Scores of a seed move together by 20 points, the difference stays near 1: only pairing sees it."""
    a, b = {0: 0.31, 1: 0.51, 2: 0.712}, {0: 0.30, 1: 0.50, 2: 0.70}
    d = statistics.paired_difference(a, b)
    assert d is not None and d.p is not None and d.p < 0.01
    alone = statistics.estimate(list(a.values()))
    assert alone.half is not None and alone.half > 0.4


def test_no_common_seed_no_spread_and_one_pair() -> None:
    assert statistics.paired_difference({0: 0.1}, {1: 0.2}) is None
    flat = statistics.paired_difference({0: 0.3, 1: 0.4}, {0: 0.2, 1: 0.3})
    assert flat is not None and flat.p is None  # 0.3 - 0.2 and 0.4 - 0.3 differ by rounding alone
    single = statistics.paired_difference({0: 0.3}, {0: 0.2})
    assert single is not None and (single.half, single.p, single.n) == (None, None, 1)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1 = 0.03, 0.06, 0.04; running maximum 0.03, 0.06, 0.06.
    assert statistics.holm([0.01, 0.04, None, 0.03]) == [close(0.03), close(0.06), None, close(0.06)]


def test_holm_stays_below_one_and_without_tests_does_nothing() -> None:
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([None, None]) == [None, None]


def test_gain_and_gap_recovery() -> None:
    # (0.5 - 0.4) / (0.8 - 0.4) = 0.25; the paper's own: (51.4 - 39.1) / (52.8 - 39.1) = 12.3 / 13.7 = 0.898.
    assert statistics.gain(0.5, 0.4) == close(0.1)
    assert statistics.gap_recovery(0.5, 0.4, 0.8) == close(0.25)
    assert statistics.gap_recovery(51.4, 39.1, 52.8) == pytest.approx(0.898, abs=5e-4)
    assert statistics.gap_recovery(0.3, 0.4, 0.8) == close(-0.25)
    assert statistics.gap_recovery(0.9, 0.4, 0.8) == close(1.25)


def test_without_a_gap_nothing_is_recovered() -> None:
    assert statistics.gap_recovery(0.5, 0.6, 0.6) is None
    assert statistics.gap_recovery(0.5, 0.6, 0.4) is None
