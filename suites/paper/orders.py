"""Statements about the order of several means, each with the comparisons that would reverse it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from harness.analysis.claims import Order


def first_best(statement: str) -> Order:
    """The first mean is above all others."""
    return Order(statement=statement, holds=_first_is_best, pairs=_first_against_others)


def rising(statement: str) -> Order:
    """Each mean is above the one before."""
    return Order(statement=statement, holds=_rises, pairs=_neighbours)


def inner_peak(statement: str, unit: str) -> Order:
    """Neither end is the highest; which of the others is, is not said."""
    return Order(statement=statement, holds=_rises_then_falls, pairs=_middle_against_ends, unit=unit)


def _first_is_best(means: Mapping[str, float]) -> bool:
    first, *others = means.values()
    return first > max(others)


def _first_against_others(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(names[0], name) for name in names[1:]]


def _rises(means: Mapping[str, float]) -> bool:
    return all(a < b for a, b in pairwise(means.values()))


def _neighbours(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(b, a) for a, b in pairwise(names)]


def _rises_then_falls(means: Mapping[str, float]) -> bool:
    first, *inner, last = means.values()
    return max(inner) > max(first, last)


def _middle_against_ends(names: Sequence[str]) -> list[tuple[str, str]]:
    middle = names[len(names) // 2]
    return [(middle, names[0]), (middle, names[-1])]
