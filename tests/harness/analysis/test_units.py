"""Which unit intervals and tests have, and how seeds of one draw become one number."""

from __future__ import annotations

import math

import pytest
from support.drawn_world import PROFILE as DRAWN
from support.tiny_world import PROFILE as TINY

from harness.analysis import statistics
from harness.analysis.units import SEEDS, Variance, units_of, variance

DRAWS = units_of(DRAWN)
"""Two draws: even seeds are of the first."""


def test_seeds_stay_what_they_are() -> None:
    assert units_of(TINY) is SEEDS and SEEDS.are_seeds and SEEDS.many == "seeds"
    assert SEEDS.averaged({3: 0.1, 0: 0.7}) == {3: 0.1, 0: 0.7}
    assert list(SEEDS.averaged({3: 0.1, 0: 0.7})) == [3, 0]


def test_seeds_of_a_draw_are_averaged_first() -> None:
    """Draw 0: (40 + 50) / 2 = 45; draw 1: 60 alone. Their mean is 52.5, that of the three seeds would be 50."""
    assert (DRAWS.one, DRAWS.many, DRAWS.are_seeds) == ("draw", "draws", False)
    by_draw = DRAWS.averaged({0: 40.0, 1: 60.0, 2: 50.0})
    assert by_draw == {0: 45.0, 1: 60.0}
    found = statistics.estimate(list(by_draw.values()))
    assert found.n == 2 and found.mean == 52.5
    # t(0.975, 1) = 12.706, deviation 15 / sqrt 2 = 10.607, over sqrt 2: 7.5
    assert found.half == pytest.approx(12.7062 * 7.5, abs=1e-3)


def test_ten_seeds_of_two_draws_are_two() -> None:
    assert len(DRAWS.averaged({seed: float(seed) for seed in range(10)})) == 2
    assert DRAWS.averaged({1000: 1.0, 1001: 2.0}) == {9: 1.5}


def test_differences_are_within_a_draw() -> None:
    """Draw 0: (40 + 50) / 2 - 30 = 15; draw 1: 60 - 55 = 5, though the seeds are others."""
    a, b = DRAWS.averaged({0: 40.0, 2: 50.0, 1: 60.0}), DRAWS.averaged({4: 30.0, 3: 55.0})
    found = DRAWS.paired_difference(a, b)
    assert found is not None and (found.mean, found.n, found.unit) == (10.0, 2, "draw")
    alone = SEEDS.paired_difference({0: 1.0}, {0: 0.5})
    assert alone is not None and alone.unit == "seed"
    assert DRAWS.paired_difference(a, {}) is None


def test_items_of_a_draw_are_averaged_one_by_one() -> None:
    assert DRAWS.averaged_items({0: [1.0, 0.0], 2: [0.0, 0.0], 1: [1.0, 1.0]}) == {0: [0.5, 0.0], 1: [1.0, 1.0]}


def test_the_word_for_the_unit() -> None:
    assert DRAWS.said("over {seeds}, by {seed}") == "over draws, by draw"
    assert SEEDS.said("over {seeds}, by {seed}") == "over seeds, by seed"


# Items of their own.


def test_nested_items_by_hand() -> None:
    """Items that are all alike within a unit leave nothing to draw but units: the bootstrap-t of the unit means."""
    scores = {unit: [value] * 4 for unit, value in enumerate((0.1, 0.2, 0.4, 0.5, 0.8))}
    nested = statistics.bootstrap_t(scores, nested=True)
    assert nested.n == 5 and nested.mean == pytest.approx(0.4)
    assert nested.low is not None and nested.high is not None
    flat = statistics.bootstrap_t({unit: values[0] for unit, values in scores.items()})
    assert flat.low is not None and flat.high is not None
    # the same quantiles from other resamples of five means
    assert nested.low == pytest.approx(flat.low, abs=0.1) and nested.high == pytest.approx(flat.high, abs=0.1)
    assert statistics.bootstrap_t(scores, nested=True) == nested


def test_nested_items_are_drawn_within_their_unit() -> None:
    """Units of equal means whose items differ: nothing of the given means varies, so there is no scale."""
    scores = {unit: [0.0, 1.0] * 50 for unit in range(5)}
    assert statistics.bootstrap_t(scores, nested=True).low is None
    crossed = statistics.bootstrap_t(scores)
    assert crossed.low is not None and crossed.high is not None and crossed.low < 0.5 < crossed.high


def test_too_few_units_have_no_nested_interval() -> None:
    found = statistics.bootstrap_t({unit: [float(unit), 1.0] for unit in range(4)}, nested=True)
    assert (found.low, found.high, found.n) == (None, None, 4)


def test_nested_pairs_need_no_common_items() -> None:
    a = {unit: [1.0, float(unit % 2)] for unit in range(5)}
    b = {unit: [0.0, 0.0] for unit in range(5)}
    found = statistics.paired_bootstrap_t(a, b, nested=True)
    assert found is not None and found.mean == pytest.approx(0.7) and found.low is not None
    assert not math.isnan(found.low)


# What is the draw's.


def test_variance_by_hand() -> None:
    """Draws 41 and 51 (seeds ± 1): within (1 + 1 + 1 + 1) / 2 = 2, between 2 (25 + 25) / 1 = 100, n_0 = 2, so
    (100 - 2) / 2 = 49 of 51."""
    found = variance(DRAWS, {0: 40.0, 2: 42.0, 1: 50.0, 3: 52.0})
    assert found == Variance(draws=49.0, seeds=2.0, n=2, runs=4)
    assert found.share == pytest.approx(49 / 51)


def test_variance_of_unequal_numbers_by_hand() -> None:
    """Draw 0: 1, 3, 5 (mean 3, squares 8), draw 1: 9. Within 8 / 2 = 4; mean 4.5, between 3 * 2.25 + 20.25 = 27;
    n_0 = (4 - 10 / 4) / 1 = 1.5: (27 - 4) / 1.5."""
    found = variance(DRAWS, {0: 1.0, 2: 3.0, 4: 5.0, 1: 9.0})
    assert found is not None and (found.seeds, found.draws) == (4.0, pytest.approx(23 / 1.5))


def test_variance_that_is_all_the_seeds() -> None:
    found = variance(DRAWS, {0: 0.0, 2: 2.0, 1: 0.0, 3: 2.0})
    assert found == Variance(draws=0.0, seeds=2.0, n=2, runs=4) and found.share == 0
    same = variance(DRAWS, {0: 1.0, 2: 1.0, 1: 1.0, 3: 1.0})
    assert same is not None and same.share is None


@pytest.mark.parametrize("by_seed", [{0: 1.0, 1: 2.0}, {0: 1.0, 2: 2.0}, {}])
def test_variance_that_cannot_be_told(by_seed: dict[int, float]) -> None:
    assert variance(DRAWS, by_seed) is None
    assert variance(SEEDS, {0: 1.0, 1: 2.0, 2: 3.0}) is None
