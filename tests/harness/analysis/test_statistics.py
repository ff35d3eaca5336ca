"""Estimates over seeds, against arithmetic done by hand and rows whose truth is planted."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from harness.analysis import statistics
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


def test_holm_is_that_of_statsmodels_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # theirs collects garbage at every call
    generator = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        p = generator.beta(0.3, 1, size).round(3).tolist()  # rounded, so that some are equal
        assert statistics.holm(p) == multipletests(p, method="holm")[1].tolist()


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


def test_holm_is_the_step_down_procedure() -> None:
    """Adjusted p < alpha exactly where going from the smallest p up, p (m - i) < alpha never yet failed."""
    p = [0.001, 0.2, 0.012, 0.004, 0.013, 0.9, 0.006]
    adjusted = statistics.holm(p)
    for alpha in (0.01, 0.03, 0.05, 0.1, 0.5):
        rejected: set[float] = set()
        for i, value in enumerate(sorted(p)):
            if value >= alpha / (len(p) - i):
                break
            rejected.add(value)
        assert {value for value, q in zip(p, adjusted, strict=True) if q is not None and q < alpha} == rejected


def planted(effect: float, experiment: int, seeds: int = 5) -> tuple[dict[int, float], dict[int, float]]:
    """Two methods by seed: a shared effect of the seed, deviation 2 points; own noise of 0.5; b + effect = a."""
    generator = np.random.default_rng([experiment, seeds])
    shared = generator.normal(0.5, 0.02, seeds)
    a, b = (shared + generator.normal(0, 0.005, seeds) for _ in range(2))
    return dict(enumerate((a + effect).tolist())), dict(enumerate(b.tolist()))


def found(effect: float, experiments: int = 400) -> float:
    """Share of experiments in which the paired test finds a difference at 5 %."""
    tests = [statistics.paired_difference(*planted(effect, i)) for i in range(experiments)]
    return sum(d is not None and d.p is not None and d.p < 0.05 for d in tests) / experiments


def test_a_planted_effect_is_found_as_often_as_power_says_and_a_null_one_at_alpha() -> None:
    spread = math.sqrt(2) * 0.005
    effect = statistics.minimum_detectable_effect(spread, 5)
    assert effect is not None
    assert found(effect) == pytest.approx(0.8, abs=0.1)  # five standard errors
    assert found(0.0) == pytest.approx(0.05, abs=0.055)
    assert found(0.0) > 0


# Bootstrap-t


def item_scores(seeds: int, items: int) -> dict[int, list[float]]:
    """Right or wrong; most items are always one of them."""
    generator = np.random.default_rng([seeds, items])
    chance_I = generator.beta(0.05, 0.05, items)
    return {s: (generator.random(items) < chance_I).astype(float).tolist() for s in range(seeds)}


def test_bootstrap_t_of_given_draws_by_hand() -> None:
    """Two seeds with means 1 and 3, one value each, three draws: {0, 0}, {0, 1}, {1, 1}.

    The first and last have no spread and are left out; the second has mean 2, t* = 0. So the interval is the mean.
    """
    scores_SI, items_BI = np.array([[1.0], [3.0]]), np.ones((3, 1))
    counts_BS = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    assert statistics.studentised_interval(scores_SI, counts_BS, items_BI) == (2.0, 2.0)


def test_bootstrap_t_is_the_textbook_algorithm() -> None:
    """Efron and Tibshirani, section 12.5, resample by resample; items crossed with seeds."""
    scores_SI = np.array(list(item_scores(5, 7).values()))
    generator = np.random.default_rng(3)
    seeds_BS, items_BI = statistics.draw_counts(5, 60, generator), statistics.draw_counts(7, 60, generator)

    def error(x_SI: np.ndarray) -> float:
        return math.sqrt(x_SI.mean(1).var(ddof=1) / x_SI.shape[0] + x_SI.mean(0).var(ddof=1) / x_SI.shape[1])

    t = []
    for seeds_S, items_I in zip(seeds_BS.astype(int), items_BI.astype(int), strict=True):
        drawn_SI = np.repeat(np.repeat(scores_SI, seeds_S, axis=0), items_I, axis=1)
        t.append((drawn_SI.mean() - scores_SI.mean()) / error(drawn_SI))
    below, above = np.quantile(t, [0.025, 0.975])
    wanted = (scores_SI.mean() - above * error(scores_SI), scores_SI.mean() - below * error(scores_SI))
    assert statistics.studentised_interval(scores_SI, seeds_BS, items_BI) == pytest.approx(wanted, rel=1e-9)


def test_bootstrap_t_counts_draw_with_replacement() -> None:
    counts = statistics.draw_counts(4, 20_000, np.random.default_rng(0))
    assert (counts.sum(1) == 4).all()
    # A unit is left out with chance (3/4)^4 = 0.3164.
    assert float((counts == 0).mean()) == pytest.approx(81 / 256, abs=0.01)


def test_bootstrap_t_over_seeds_is_near_t_where_t_is_right() -> None:
    values = dict(enumerate(np.random.default_rng(0).normal(0, 1, 40).tolist()))
    interval, e = statistics.bootstrap_t(values), statistics.estimate(list(values.values()))
    assert interval.low is not None and interval.high is not None and e.half is not None
    assert (interval.mean, interval.n) == (close(e.mean), 40)
    assert interval.low == pytest.approx(e.mean - e.half, abs=0.2 * e.half)
    assert interval.high == pytest.approx(e.mean + e.half, abs=0.2 * e.half)


def test_items_widen_the_interval_and_one_item_is_one_value() -> None:
    scores = item_scores(6, 50)
    means = {s: math.fsum(v) / len(v) for s, v in scores.items()}
    with_items, without = statistics.bootstrap_t(scores), statistics.bootstrap_t(means)
    assert width(with_items) > 2 * width(without)
    assert statistics.bootstrap_t({s: [m] for s, m in means.items()}) == without


def width(interval: statistics.Interval | None) -> float:
    assert interval is not None and interval.low is not None and interval.high is not None
    return interval.high - interval.low


def test_pairing_items_removes_what_items_share() -> None:
    """b is a with other three of 60 items worse at each seed: their difference is far surer than either score."""
    a = item_scores(6, 60)
    b = {s: [v - (i % 20 == s) for i, v in enumerate(row)] for s, row in a.items()}
    paired = statistics.paired_bootstrap_t(a, b)
    assert width(paired) < 0.5 * width(statistics.bootstrap_t(a))
    assert paired is not None and paired.mean == close(0.05)


def test_paired_bootstrap_t_uses_common_seeds_in_order() -> None:
    a = {0: 0.5, 1: 0.6, 2: 0.8, 3: 0.4, 4: 0.9, 9: 0.0}
    b = {4: 0.2, 3: 0.3, 2: 0.1, 1: 0.2, 0: 0.3, 7: 1.0}
    common = {s: a[s] - b[s] for s in range(5)}
    assert statistics.paired_bootstrap_t(a, b) == statistics.bootstrap_t(common)
    assert statistics.paired_bootstrap_t({0: 0.1}, {1: 0.1}) is None


def test_bootstrap_t_is_deterministic_and_its_seed_matters() -> None:
    scores = item_scores(5, 30)
    assert statistics.bootstrap_t(scores) == statistics.bootstrap_t(dict(reversed(scores.items())))
    assert statistics.bootstrap_t(scores) != statistics.bootstrap_t(scores, seed=1)


@pytest.mark.parametrize("values", [{0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}, dict.fromkeys(range(6), 0.5)])
def test_too_few_seeds_or_nothing_that_varies_is_no_interval(values: dict[int, float]) -> None:
    interval = statistics.bootstrap_t(values)
    assert (interval.low, interval.high, interval.n) == (None, None, len(values))
    assert interval.mean == close(math.fsum(values.values()) / len(values))


def test_draws_of_equal_items_alone_have_no_scale() -> None:
    """Three of 400 items differ: one draw in twenty holds none of them, and its standard error is rounding."""
    scores = {s: [0.0] * 397 + [1.0, float(s == 0), float(s < 3)] for s in range(5)}
    interval = statistics.bootstrap_t(scores)
    assert interval.low is not None and interval.high is not None
    assert 0 < interval.low < 1.8 / 400 < interval.high < 0.05


# Counts


def test_counts_by_hand() -> None:
    """Hypergeometric, both tails: 2 C(5,4) / C(10,4), 2 / C(10,5); 1 / C(8,3) has no other tail."""
    assert statistics.compare_counts((4, 5), (0, 5)) == close(10 / 210)
    assert statistics.compare_counts((0, 5), (5, 5)) == close(2 / 252) == statistics.smallest_count_p(5)
    assert statistics.compare_counts((3, 3), (0, 5)) == close(1 / 56)
    assert statistics.compare_counts((3, 5), (2, 5)) == close(1.0)


@pytest.mark.parametrize(("a", "b"), [((0, 5), (0, 5)), ((5, 5), (5, 5)), ((3, 5), (0, 5)), ((3, 3), (0, 3))])
def test_counts_whose_total_leaves_no_small_p_are_not_tested(a: tuple[int, int], b: tuple[int, int]) -> None:
    assert statistics.compare_counts(a, b) is None


# Equivalence


def test_equivalence_by_hand() -> None:
    # Differences -1, 0, 1: mean 0, deviation 1, standard error 1 / sqrt(3). Margin 5: t = -5 sqrt(3), t^2 = 75; with
    # 2 degrees of freedom P(T < -t) = 1/2 - t / (2 sqrt(2 + t^2)), and its 95 % quantile is 2.919986.
    e = statistics.equivalence({0: -1.0, 1: 0.0, 2: 1.0}, margin=5.0)
    assert e.p == close(0.5 - math.sqrt(75) / (2 * math.sqrt(77)))
    assert (e.mean, e.n, e.margin) == (0.0, 3, 5.0)
    assert (e.low, e.high) == (pytest.approx(-2.919986 / math.sqrt(3), abs=1e-6), pytest.approx(1.685854, abs=1e-6))


@pytest.mark.parametrize(("shift", "margin"), [(0.0, 0.02), (0.01, 0.02), (-0.01, 0.02), (0.03, 0.02), (0.0, 0.004)])
def test_equivalence_is_two_one_sided_tests_and_an_interval_inside(shift: float, margin: float) -> None:
    values = [0.004 + shift, -0.006 + shift, 0.001 + shift, 0.003 + shift, -0.002 + shift]
    e = statistics.equivalence(dict(enumerate(values)), margin)
    assert e.p == close(DescrStatsW(values).ttost_mean(-margin, margin)[0])
    assert e.p is not None and e.low is not None and e.high is not None
    assert (e.p < 0.05) == (-margin < e.low and e.high < margin)


def test_equal_methods_are_equivalent_and_different_ones_are_not() -> None:
    """Differences of deviation 1 point: within 3 points almost always; at the margin itself in 5 % of cases."""
    generator = np.random.default_rng(0)

    def share(mean: float) -> float:
        draws = generator.normal(mean, 0.01, (400, 5)).tolist()
        tests = [statistics.equivalence(dict(enumerate(d)), 0.03) for d in draws]
        return sum(e.p is not None and e.p < 0.05 for e in tests) / len(tests)

    assert share(0.0) > 0.95
    assert share(0.03) == pytest.approx(0.05, abs=0.055)
    assert share(0.06) < 0.01


def test_equivalence_of_one_pair_and_without_spread() -> None:
    one = statistics.equivalence({0: 0.1}, 1.0)
    assert (one.p, one.low, one.high, one.n) == (None, None, None, 1)
    assert statistics.equivalence({0: 0.1, 1: 0.1}, 1.0).p is None


# Power


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_minimum_detectable_effect_is_the_inverse_of_power(n: int) -> None:
    effect = statistics.minimum_detectable_effect(0.7, n)
    assert effect is not None and statistics.power(effect, 0.7, n) == pytest.approx(0.8, abs=1e-9)
    assert statistics.power(-effect, 0.7, n) == pytest.approx(0.8, abs=1e-9)
    assert statistics.power(0.0, 0.7, n) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_power_is_that_of_statsmodels(n: int) -> None:
    for effect in (0.3, 1.0, 2.5):
        assert statistics.power(effect, 1.0, n) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-9)


def test_power_is_a_number_far_out_too() -> None:
    """There scipy's lower tail of the noncentral t is NaN."""
    assert statistics.power(4.0, 1.0, 10) == pytest.approx(1.0)
    assert statistics.power(8.0, 1.0, 2) == pytest.approx(0.6252781, abs=1e-6)  # by quadrature over chi


def test_without_a_test_there_is_no_power() -> None:
    assert statistics.minimum_detectable_effect(0.1, 1) is None
    assert statistics.minimum_detectable_effect(0.0, 5) is None
    assert statistics.power(0.1, 0.1, 1) is None


# Order


def test_order_share_is_exact_where_draws_can_be_listed() -> None:
    """Three seeds, a - b = 3, -1, -1: of 27 draws a is better where seed 0 is drawn at least once and 3k > 3 - k, that
    is in 1 - (2/3)^3 = 19/27, ties (none: 3k = 3 - k has no whole solution) apart."""
    values = {"a": {0: 4.0, 1: 0.0, 2: 0.0}, "b": {0: 1.0, 1: 1.0, 2: 1.0}}
    assert statistics.order_share(values, better("a", "b")) == 19 / 27


def better(a: str, b: str) -> Callable[[Mapping[str, float]], bool]:
    return lambda means: means[a] > means[b]


def test_order_share_is_the_count_over_all_draws() -> None:
    generator = np.random.default_rng(0)
    values = {arm: dict(enumerate(generator.normal(0, 1, 4).tolist())) for arm in "abc"}

    def best(means: Mapping[str, float]) -> bool:
        return max(means, key=lambda arm: means[arm]) == "b"

    draws = list(product(range(4), repeat=4))
    held = sum(best({arm: sum(v[s] for s in draw) for arm, v in values.items()}) for draw in draws)
    assert 0 < held < len(draws)
    assert statistics.order_share(values, best) == held / len(draws)


def test_order_share_draws_seeds_jointly_and_common_ones_only() -> None:
    """a is better at every seed by less than seeds differ: always, if they are paired. Seed 9 has one arm only."""
    values = {"a": {0: 0.1, 1: 0.5, 2: 0.91, 9: -9.0}, "b": {2: 0.90, 1: 0.49, 0: 0.09}}
    assert statistics.order_share(values, better("a", "b")) == 1.0
    assert statistics.order_share(values, better("b", "a")) == 0.0


def test_equal_arms_are_not_ordered_by_rounding() -> None:
    a = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.7}
    b = {s: v + 1e-17 + 0.1 - 0.1 for s, v in a.items()}
    assert statistics.order_share({"a": a, "b": b}, better("a", "b")) == 0.0
    assert statistics.order_share({"a": a, "b": b}, better("b", "a")) == 0.0


def test_order_share_over_many_seeds_draws_at_random_but_repeatably() -> None:
    generator = np.random.default_rng(0)
    values = {arm: dict(enumerate(generator.normal(0, 1, 12).tolist())) for arm in "ab"}
    share = statistics.order_share(values, better("a", "b"))
    assert share is not None and 0 < share < 1 and share == statistics.order_share(values, better("a", "b"))
    other = statistics.order_share(values, better("a", "b"), seed=1)
    assert other is not None and 0 < abs(other - share) < 0.03  # 10,000 draws: standard error at most 0.005
    mean, deviation = (f([values["a"][s] - values["b"][s] for s in range(12)]) for f in (np.mean, np.std))
    normal = 0.5 * (1 + math.erf(mean / deviation * math.sqrt(12 / 2)))
    assert share == pytest.approx(normal, abs=0.03)


def test_one_common_seed_orders_nothing() -> None:
    assert statistics.order_share({"a": {0: 1.0, 1: 2.0}, "b": {0: 0.0, 2: 1.0}}, better("a", "b")) is None


def test_slope_by_hand_and_its_share() -> None:
    # log2 of 2, 4, 8 is 1, 2, 3; values 1, 2, 6: slope ((-1) 1 + 0 * 2 + 1 * 6) / 2 = 2.5 per doubling.
    sizes = {"x": 2.0, "y": 4.0, "z": 8.0}
    assert statistics.log_slope(sizes, {"z": 6.0, "y": 2.0, "x": 1.0}) == close(2.5)
    gains = {"x": {0: 0.0, 1: 0.1}, "y": {0: 0.2, 1: 0.1}, "z": {0: 0.3, 1: 0.0}}
    # Slopes 0.15 and -0.05 by seed; drawn (0, 0), (0, 1), (1, 0), (1, 1): positive in three of four.
    assert statistics.order_share(gains, lambda means: statistics.log_slope(sizes, means) > 0) == 0.75


# Bad input

BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no seed": (lambda: statistics.bootstrap_t({}), "at least one seed"),
    "no item": (lambda: statistics.bootstrap_t({0: [], 1: []}), "at least one score"),
    "NaN": (lambda: statistics.bootstrap_t({0: [0.1, 0.2], 1: [0.1, math.nan]}), r"seeds \[1\] hold NaN"),
    "item sets": (lambda: statistics.bootstrap_t({0: [0.1, 0.2], 1: [0.1]}), r"\[1, 2\] items"),
    "arms": (lambda: statistics.paired_bootstrap_t({0: [0.1, 0.2]}, {0: [0.1]}), r"\[1, 2\] items"),
    "no difference": (lambda: statistics.equivalence({}, 0.1), "at least one seed"),
    "NaN difference": (lambda: statistics.equivalence({0: math.nan}, 0.1), "NaN or infinity"),
    "margin": (lambda: statistics.equivalence({0: 0.1}, 0.0), "margin 0.0"),
    "NaN margin": (lambda: statistics.equivalence({0: 0.1}, math.nan), "margin nan"),
    "one value": (lambda: statistics.deviation([0.1]), "at least two seeds"),
    "deviation": (lambda: statistics.minimum_detectable_effect(-0.1, 5), "deviation -0.1"),
    "NaN deviation": (lambda: statistics.power(0.1, math.nan, 5), "deviation nan"),
    "seeds": (lambda: statistics.power(0.1, 0.1, 0), "0 seeds"),
    "power": (lambda: statistics.minimum_detectable_effect(0.1, 5, power=1.0), "power 1.0"),
    "effect": (lambda: statistics.power(math.inf, 0.1, 5), "NaN or infinity"),
    "no arms": (lambda: statistics.order_share({}, lambda means: True), "no arms"),
    "empty arm": (lambda: statistics.order_share({"a": {}}, lambda means: True), "at least one seed"),
    "NaN arm": (lambda: statistics.order_share({"a": {0: math.nan}}, lambda means: True), "NaN or infinity"),
    "sizes": (lambda: statistics.log_slope({"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 1.0}), "two different"),
    "no size": (lambda: statistics.log_slope({"a": 0.0, "b": 1.0}, {"a": 0.0, "b": 1.0}), "positive"),
    "other arms": (lambda: statistics.log_slope({"a": 1.0, "b": 2.0}, {"a": 0.0, "c": 1.0}), "same arms"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name: str) -> None:
    call, match = BAD[name]
    with pytest.raises(HarnessError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)
