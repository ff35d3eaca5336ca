"""Values by seed, or by another unit, and what is made of several of them unit by unit. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean


def common_seeds(values: Sequence[Mapping[int, object]]) -> list[int]:
    """Seeds that all of them have, rising; none without any of them."""
    return sorted(set[int].intersection(*map(set, values))) if values else []


def minus(a: Mapping[int, float], b: Mapping[int, float]) -> dict[int, float]:
    """Paired: of the seeds that both have."""
    return {seed: a[seed] - b[seed] for seed in common_seeds([a, b])}


def mean(values: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Over several quantities, of the seeds that have all of them."""
    return {seed: fmean(each[seed] for each in values) for seed in common_seeds(values)}


def scaled(values: Mapping[int, float], factor: float) -> dict[int, float]:
    """Each times a factor."""
    return {seed: factor * value for seed, value in values.items()}
