"""From one number per seed to an estimate. The unit of replication is the seed. No torch.

The embedded weights are fixed, so seeds vary data order and rollouts only: an interval says what another
seed would give, nothing of another initialisation or another set of items.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.types import HarnessError

CONFIDENCE = 0.95
"""Of every interval."""
NO_SPREAD = 1e-12
"""Differences that vary by less are equal up to rounding; t is not defined for them."""


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


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean and two-sided t interval of one value per seed.

    Raises:
        HarnessError: no value, or a value that is not finite.
    """
    _check(values)
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(mean=mean, half=None, n=1)
    return Estimate(mean=mean, half=_half_width(_deviation(values), n, confidence), n=n)


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


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment over one table; untested places (None) stay None and count for nothing."""
    import numpy as np
    from statsmodels.stats.multitest import multipletests

    tested = [p for p in p_values if p is not None]
    if not tested:
        return list(p_values)
    adjusted: Iterator[float] = iter(np.asarray(multipletests(tested, method="holm")[1]).tolist())
    return [None if p is None else next(adjusted) for p in p_values]


def gain(score: float, student: float) -> float:
    """Score minus the untrained student's."""
    return score - student


def gap_recovery(score: float, student: float, teacher: float) -> float | None:
    """Share of the way from student to teacher that was made; below 0 a loss, above 1 past the teacher.

    None where the teacher is not better than the student: there is no gap to close.
    """
    return gain(score, student) / (teacher - student) if teacher > student else None


def _half_width(deviation: float, n: int, confidence: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, n - 1)) * deviation / math.sqrt(n)


def _paired_p(differences: Sequence[float], mean: float) -> float | None:
    from scipy.stats import t

    n = len(differences)
    if n == 1 or (deviation := _deviation(differences)) < NO_SPREAD:
        return None
    return 2 * float(t.sf(abs(mean) * math.sqrt(n) / deviation, n - 1))


def _deviation(values: Sequence[float]) -> float:
    """Sample standard deviation, n - 1 below."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _check(values: Sequence[float]) -> None:
    if not values:
        raise HarnessError("no values to average: give at least one seed")
    if not all(math.isfinite(v) for v in values):
        raise HarnessError(f"values {list(values)} hold NaN or infinity: evaluate those runs again")
