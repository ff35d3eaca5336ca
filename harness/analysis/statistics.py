"""From one number per unit to an estimate, an interval, a test. No torch.

The unit of replication is the seed, or the draw of a world (``harness.analysis.units``): what is called a seed below is
whatever the values are by.

The embedded weights are fixed, so seeds vary data order and rollouts only: an interval says what another
seed would give, nothing of another initialisation. Of another set of items only ``bootstrap_t`` speaks, given
scores per item. Formulas, sources and measured coverage: docs/statistics.md.

Shapes: B bootstrap draws, S seeds, I items, A arms.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, TypeAlias

from harness.types import HarnessError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

CONFIDENCE = 0.95
"""Of every interval but that of an equivalence test."""
ALPHA = 0.05
"""Level of every test."""
POWER = 0.8
"""Of a minimum detectable effect."""
NO_SPREAD = 1e-12
"""Differences that vary by less are equal up to rounding; t is not defined for them."""
DRAWS = 1_999
"""Of the bootstrap-t: one less than a multiple of 40, so that both tails end on a draw."""
FEWEST_SEEDS = 5
"""A bootstrap-t over fewer seeds covers far less than it says (docs/statistics.md), so there is none."""
ROUNDING = 12
"""Digits of a mean that an ordering is asked of: equal arms must not be ordered by rounding."""

Scores: TypeAlias = Mapping[int, float | Sequence[float]]
"""By seed: one value, or the scores of the same items in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds, in the unit of the values."""

    mean: float
    half: float | None
    """Half-width of the t interval; None for a single run."""
    n: int
    """Seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean of a - b over the seeds both have."""

    mean: float
    half: float | None
    """Half-width of the paired t interval; None for a single pair."""
    n: int
    """Pairs."""
    p: float | None
    """Two-sided paired t test against 0; None for a single pair or differences without spread."""
    unit: str = "seed"
    """What is paired, see ``harness.analysis.units``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over seeds (and items) with an interval that need not be symmetric."""

    mean: float
    low: float | None
    high: float | None
    """Both None where there is no interval: too few seeds, or nothing varies."""
    n: int
    """Seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Two one-sided t tests of |mean difference| < margin."""

    mean: float
    low: float | None
    high: float | None
    """The interval of confidence 1 - 2 alpha (90 %), inside the margin exactly if p < alpha; None for one pair."""
    n: int
    """Pairs."""
    p: float | None
    """The larger of the two one-sided; None for a single pair or differences without spread."""
    margin: float


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean and two-sided t interval of one value per seed.

    Raises:
        HarnessError: no value, or a value that is not finite.
    """
    _check(values)
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(mean=mean, half=None, n=1)
    return Estimate(mean=mean, half=_half_width(deviation(values), n, confidence), n=n)


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], confidence: float = CONFIDENCE
) -> Difference | None:
    """Paired t of a - b, values by seed, over the seeds both have; None if they share no seed.

    Pairing is right because a seed fixes the problems and their order for every method.
    """
    differences = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
    if not differences:
        return None
    e = estimate(differences, confidence)
    return Difference(mean=e.mean, half=e.half, n=e.n, p=_paired_p(differences, e.mean))


def compare_counts(a: tuple[int, int], b: tuple[int, int], alpha: float = ALPHA) -> float | None:
    """Two-sided p of Fisher's exact test: so many of so many seeds of each arm do something that is all or nothing.

    Seeds count as independent, for no exact paired test of five seeds has a p below 2/32. None where no split of the
    same total has one below ``alpha``: what cannot be shown must not cost the others in ``holm`` (Tarone 1990).

    Args:
        a: (how many, of how many); ``b`` likewise.
    """
    (some, seeds), total, others = a, a[0] + b[0], b[1]
    ways = {k: math.comb(seeds, k) * math.comb(others, total - k) for k in range(min(seeds, total) + 1)}
    p = {k: sum(w for w in ways.values() if w <= own) / sum(ways.values()) for k, own in ways.items() if own}
    return None if min(p.values()) >= alpha else p[some]


def smallest_count_p(seeds: int) -> float:
    """Of ``compare_counts``, with so many seeds an arm: all of the one against none of the other, or the reverse."""
    return 2 / math.comb(2 * seeds, seeds)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment over one table; untested places (None) stay None and count for nothing.

    Holm (1979), *A Simple Sequentially Rejective Multiple Test Procedure*: the i-th smallest of m is multiplied by
    m + 1 - i, is never below the one before, and never above 1.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for i, (p, place) in enumerate(tested):
        highest = max(highest, p * (len(tested) - i))
        adjusted[place] = min(highest, 1.0)
    return adjusted


def gain(score: float, student: float) -> float:
    """Score minus the untrained student's."""
    return score - student


def gap_recovery(score: float, student: float, teacher: float) -> float | None:
    """Share of the way from student to teacher that was made; below 0 a loss, above 1 past the teacher.

    None where the teacher is not better than the student: there is no gap to close.
    """
    return gain(score, student) / (teacher - student) if teacher > student else None


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation, n - 1 below.

    Raises:
        HarnessError: fewer than two values, or one that is not finite.
    """
    _check(values)
    if len(values) < 2:
        raise HarnessError("one value has no standard deviation: give at least two seeds")
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def bootstrap_t(
    scores: Scores, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0, nested: bool = False
) -> Interval:
    """Hierarchical bootstrap-t of the mean: seeds and items are drawn with replacement, crossed.

    With one score per item it says what other seeds *and* other items of the same kind would give; with one value
    per seed, what other seeds would. A draw takes the same items for all its seeds. It is studentised by its own
    standard error, ``se^2 = var(seed means) / S + var(item means) / I`` (no second term with one value per seed);
    draws with se = 0 (one seed drawn S times, one value per seed) have no scale and are left out.

    Nested, where every unit has items of its own (draws of a world): units are drawn, and for each time that one is
    drawn its own items. Its mean has the items' noise in it already, so ``se^2 = var(unit means) / S``, of the drawn
    means as of the given ones.

    No interval with fewer than ``FEWEST_SEEDS`` seeds or where nothing varies. Equal arguments give equal results.

    Args:
        nested: whether the items are each unit's own; several scores a unit.

    Raises:
        HarnessError: no seed, no item, a score that is not finite, or seeds with different numbers of items.
    """
    scores_SI = _table(scores)
    (seeds, items), mean = scores_SI.shape, float(scores_SI.mean())
    if seeds < FEWEST_SEEDS:
        return Interval(mean=mean, low=None, high=None, n=seeds)
    if nested:
        low, high = nested_interval(scores_SI, draws, _generator(seed), confidence)
    else:
        low, high = studentised_interval(scores_SI, *_drawn(seeds, items, draws, seed), confidence)
    return Interval(mean=mean, low=low, high=high, n=seeds)


def paired_bootstrap_t(
    a: Scores,
    b: Scores,
    *,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
    nested: bool = False,
) -> Interval | None:
    """``bootstrap_t`` of a - b, item by item, over the seeds both have; None if they share no seed.

    Raises:
        HarnessError: as ``bootstrap_t``, or a and b have different numbers of items.
    """
    common = sorted(a.keys() & b.keys())
    if not common:
        return None
    tables = [_table({s: arm[s] for s in common}) for arm in (a, b)]
    _same_items({table.shape[1] for table in tables})
    rows: list[list[float]] = (tables[0] - tables[1]).tolist()
    return bootstrap_t(
        dict(zip(common, rows, strict=True)), confidence=confidence, draws=draws, seed=seed, nested=nested
    )


def draw_counts(size: int, draws: int, generator: np.random.Generator) -> Floats:
    """How often each of ``size`` units is in a resample with replacement; [draws, size], rows sum to size."""
    import numpy as np

    picks = generator.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(picks.ravel(), minlength=draws * size).reshape(draws, size).astype(np.float64)


@lru_cache(maxsize=2)
def _drawn(seeds: int, items: int, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Resamples of seeds and of items, from one stream; the lines of a table have the same."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return draw_counts(seeds, draws, generator), draw_counts(items, draws, generator)


def studentised_interval(
    scores_SI: Floats, seeds_BS: Floats, items_BI: Floats, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None]:
    """Bootstrap-t interval of the mean of ``scores_SI`` from given resamples; (None, None) where nothing varies.

    ``bootstrap_t`` for two seeds or more; the simulation of coverage calls it with the same draws many times.
    """
    import numpy as np

    mean = float(scores_SI.mean())
    centred_SI = scores_SI - mean
    ones = np.ones((1, 1))
    error = float(_resampled(centred_SI, ones.repeat(len(scores_SI), 1), ones.repeat(scores_SI.shape[1], 1))[1][0])
    shift_B, error_B = _resampled(centred_SI, seeds_BS, items_BI)
    return _from_draws(mean, error, shift_B, error_B, confidence)


def nested_interval(
    scores_SI: Floats, draws: int, generator: np.random.Generator, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None]:
    """Bootstrap-t interval of the mean of units with items of their own; (None, None) where nothing varies."""
    import numpy as np

    units, items = scores_SI.shape
    means_S, mean = scores_SI.mean(1), float(scores_SI.mean())
    error = float(means_S.std(ddof=1)) / math.sqrt(units)
    picks_BS = generator.integers(units, size=(draws, units))
    means_BS = np.empty((draws, units))
    for unit in range(units):
        chosen = picks_BS == unit
        # Items of equal scores are alike, so how often each score is drawn is all that counts.
        values, often = np.unique(scores_SI[unit], return_counts=True)
        means_BS[chosen] = generator.multinomial(items, often / items, size=int(chosen.sum())) @ values / items
    error_B = means_BS.std(1, ddof=1) / math.sqrt(units)
    return _from_draws(mean, error, means_BS.mean(1) - mean, error_B, confidence)


def _generator(seed: int) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng(seed)


def _from_draws(
    mean: float, error: float, shift_B: Floats, error_B: Floats, confidence: float
) -> tuple[float | None, float | None]:
    """The studentised interval; draws without scale are left out."""
    import numpy as np

    scaled = error_B > NO_SPREAD
    if error <= NO_SPREAD or not scaled.any():
        return None, None
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    below, above = np.quantile(shift_B[scaled] / error_B[scaled], tails).tolist()
    return mean - above * error, mean - below * error


def equivalence(differences: Mapping[int, float], margin: float, alpha: float = ALPHA) -> Equivalence:
    """Are paired differences, by seed, smaller than a margin fixed before: two one-sided t tests (Schuirmann 1987).

    Raises:
        HarnessError: no difference, one that is not finite, or a margin that is not positive.
    """
    from scipy.stats import t

    if not 0 < margin < math.inf:
        raise HarnessError(f"margin {margin}: give a positive number, in the unit of the differences")
    values = list(differences.values())
    e = estimate(values, 1 - 2 * alpha)
    if e.half is None:
        return Equivalence(mean=e.mean, low=None, high=None, n=e.n, p=None, margin=margin)
    spread = deviation(values)
    p = None
    if spread >= NO_SPREAD:
        p = float(t.cdf((abs(e.mean) - margin) * math.sqrt(e.n) / spread, e.n - 1))
    return Equivalence(mean=e.mean, low=e.mean - e.half, high=e.mean + e.half, n=e.n, p=p, margin=margin)


def power(effect: float, deviation: float, n: int, alpha: float = ALPHA) -> float | None:
    """Chance that the two-sided paired t test over n seeds finds a true mean difference.

    ``deviation`` is that of the paired differences. From the noncentral t with n - 1 degrees of freedom and
    noncentrality effect sqrt(n) / deviation. None for one seed or differences without spread: there is no test.

    Raises:
        HarnessError: no seed, an effect that is not finite, or a deviation that is no deviation.
    """
    from scipy.stats import nct, t

    _check([effect])
    if not _testable(deviation, n):
        return None
    limit, shift = float(t.ppf(1 - alpha / 2, n - 1)), abs(effect) * math.sqrt(n) / deviation
    # The lower tail by symmetry: scipy's nct.cdf is NaN far out on that side.
    return float(nct.sf(limit, n - 1, shift) + nct.sf(limit, n - 1, -shift))


def minimum_detectable_effect(deviation: float, n: int, power: float = POWER, alpha: float = ALPHA) -> float | None:
    """The true mean difference that the two-sided paired t test over n seeds finds with this power.

    In the unit of ``deviation``, that of the paired differences; the inverse of ``statistics.power``. None for one
    seed or differences without spread.

    Raises:
        HarnessError: no seed, a deviation that is no deviation, or a power that is not between alpha and 1.
    """
    if not alpha < power < 1:
        raise HarnessError(f"power {power}: give a share above alpha = {alpha} and below 1")
    return deviation * _standard_effect(n, power, alpha) if _testable(deviation, n) else None


def order_share(
    values: Mapping[str, Mapping[int, float]],
    holds: Callable[[Mapping[str, float]], bool],
    draws: int = 10_000,
    seed: int = 0,
) -> float | None:
    """Share of bootstrap draws over seeds in which something holds of the arms' means: an ordering, an optimum.

    Args:
        values: By arm, one value per seed. Seeds that all arms have are drawn jointly, as they are paired.
        holds: Is asked the mean of every arm in a draw.
        draws: At most so many resamples; if there are fewer different ones (up to 8 seeds), all are weighed by
            their probability, and the share is exact.
        seed: Of the draws, where they are not all.

    Returns:
        A share; None with fewer than two common seeds.

    Raises:
        HarnessError: no arm, or a value that is not finite.
    """
    import numpy as np

    if not values:
        raise HarnessError("no arms to order: give at least one")
    for arm in values.values():
        _check(list(arm.values()))
    seeds = sorted(set[int].intersection(*(set(arm) for arm in values.values())))
    if len(seeds) < 2:
        return None
    counts_BS, weights_B = seed_resamples(len(seeds), draws, seed)
    arms_SA = np.array([[arm[s] for arm in values.values()] for s in seeds])
    means: list[list[float]] = np.round(counts_BS @ arms_SA / len(seeds), ROUNDING).tolist()
    held = [w for w, line in zip(weights_B, means, strict=True) if holds(dict(zip(values, line, strict=True)))]
    return sum(held) / sum(weights_B)


@functools.lru_cache(maxsize=4)
def seed_resamples(n: int, draws: int, seed: int = 0) -> tuple[Floats, list[int]]:
    """Resamples of n seeds as counts [B, n] and how often each occurs: all n^n of them if that is at most
    ``draws`` different ones, else ``draws`` at random."""
    import numpy as np

    if math.comb(2 * n - 1, n) > draws:
        return draw_counts(n, draws, np.random.default_rng(seed)), [1] * draws
    picks = [Counter(pick) for pick in combinations_with_replacement(range(n), n)]
    counts = np.array([[pick[i] for i in range(n)] for pick in picks], dtype=np.float64)
    return counts, [math.factorial(n) // math.prod(map(math.factorial, pick.values())) for pick in picks]


def log_slope(sizes: Mapping[str, float], values: Mapping[str, float]) -> float:
    """Least-squares slope of a value against log2 of a size: the change per doubling. Both by arm.

    A trend with its share of draws: ``order_share(gains, lambda means: log_slope(ratios, means) > 0)``.

    Raises:
        HarnessError: the arms differ, a size is not positive, or all sizes are equal.
    """
    if sizes.keys() != values.keys():
        raise HarnessError(f"sizes of {sorted(sizes)} and values of {sorted(values)}: give both for the same arms")
    if not sizes or not all(0 < size < math.inf for size in sizes.values()) or len(set(sizes.values())) < 2:
        raise HarnessError(f"sizes {dict(sizes)}: a slope needs at least two different positive sizes")
    x = {arm: math.log2(size) for arm, size in sizes.items()}
    middle = math.fsum(x.values()) / len(x)
    return math.fsum((x[arm] - middle) * values[arm] for arm in x) / math.fsum((v - middle) ** 2 for v in x.values())


def _resampled(centred_SI: Floats, seeds_BS: Floats, items_BI: Floats) -> tuple[Floats, Floats]:
    """Mean and standard error of each resample, [B]."""
    import numpy as np

    seeds, items = centred_SI.shape
    means_BS = items_BI @ centred_SI.T / items
    mean_B = (seeds_BS * means_BS).sum(1) / seeds
    variance_B = (seeds_BS * (means_BS - mean_B[:, None]) ** 2).sum(1) / (seeds - 1) / seeds
    if items > 1:
        # The square of an item's mean over seeds is a sum over pairs of seeds: no array of draws by items is needed.
        first, second = np.triu_indices(seeds)
        pairs_BP = items_BI @ (centred_SI[first] * centred_SI[second]).T / items
        weights_BP = seeds_BS[:, first] * seeds_BS[:, second] * np.where(first == second, 1, 2) / seeds**2
        square_B = (weights_BP * pairs_BP).sum(1)
        # A difference of squares: where only its rounding is left, the drawn items are all equal.
        spread_B = np.where(square_B - mean_B**2 > NO_SPREAD * square_B, square_B - mean_B**2, 0.0)
        variance_B = variance_B + spread_B / (items - 1)
    return mean_B, np.sqrt(variance_B)


@functools.cache
def _standard_effect(n: int, wanted: float, alpha: float) -> float:
    """Effect over deviation at which ``power`` is what is wanted."""
    from scipy.optimize import root_scalar

    def excess(effect: float) -> float:
        reached = power(effect, 1.0, n, alpha)
        assert reached is not None  # two seeds or more
        return reached - wanted

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(root_scalar(excess, bracket=(0.0, high), xtol=1e-12).root)


def _testable(deviation: float, n: int) -> bool:
    if not 0 <= deviation < math.inf:
        raise HarnessError(f"deviation {deviation}: give that of the paired differences, 0 or more")
    if n < 1:
        raise HarnessError(f"{n} seeds: give at least one")
    return n > 1 and deviation >= NO_SPREAD


def _table(scores: Scores) -> Floats:
    """[S, I], seeds in order; one value per seed is one item."""
    import numpy as np

    if not scores:
        raise HarnessError("no values to average: give at least one seed")
    rows = [[value] if isinstance(value, int | float) else list(value) for _, value in sorted(scores.items())]
    _same_items({len(row) for row in rows})
    table = np.array(rows, dtype=np.float64)
    if not table.size:
        raise HarnessError(f"no items for seeds {sorted(scores)}: give at least one score per seed")
    if not np.isfinite(table).all():
        bad = [seed for seed, row in zip(sorted(scores), table, strict=True) if not np.isfinite(row).all()]
        raise HarnessError(f"scores of seeds {bad} hold NaN or infinity: evaluate those runs again")
    return table


def _same_items(sizes: set[int]) -> None:
    if len(sizes) > 1:
        raise HarnessError(f"scores over {sorted(sizes)} items: give the same items for every seed and both arms")


def _half_width(deviation: float, n: int, confidence: float) -> float:
    return _t_limit(n, confidence) * deviation / math.sqrt(n)


@functools.cache
def _t_limit(n: int, confidence: float) -> float:
    """Of Student's t for the mean of n values, two-sided."""
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, n - 1))


def _paired_p(differences: Sequence[float], mean: float) -> float | None:
    from scipy.stats import t

    n = len(differences)
    if n == 1 or (spread := deviation(differences)) < NO_SPREAD:
        return None
    return 2 * float(t.sf(abs(mean) * math.sqrt(n) / spread, n - 1))


def _check(values: Sequence[float]) -> None:
    if not values:
        raise HarnessError("no values to average: give at least one seed")
    if not all(math.isfinite(v) for v in values):
        raise HarnessError(f"values {list(values)} hold NaN or infinity: evaluate those runs again")
