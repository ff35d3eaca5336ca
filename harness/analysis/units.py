"""What is repeated: the unit of every interval and test, decided here and nowhere else. No torch.

A run has a seed. Where a profile has draws of its world (``harness.profile.Draws``), seeds of one draw share its
tables, items and models, so they are averaged first and the draw is the unit: ten seeds of five draws are five numbers.
Elsewhere every seed is a unit of its own. Values *by unit* are what intervals, tests and orders are made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from harness.analysis import statistics
from harness.analysis.statistics import Difference

if TYPE_CHECKING:
    from harness.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """A kind of unit and how seeds fall into its units."""

    one: str
    """``seed`` or ``draw``."""
    of: Callable[[int], int]
    """From a seed to the number of its unit."""

    @property
    def many(self) -> str:
        """``seeds``."""
        return f"{self.one}s"

    @property
    def are_seeds(self) -> bool:
        """Whether every seed is a unit of its own."""
        return self.one == SEED

    def said(self, sentence: str) -> str:
        """A sentence of a caption with the word for the unit in place of ``{seed}`` and ``{seeds}``."""
        return sentence.format(seed=self.one, seeds=self.many)

    def averaged(self, by_seed: Mapping[int, float]) -> dict[int, float]:
        """By unit, in the order of their first seeds: the mean over the seeds that are there."""
        found: dict[int, list[float]] = defaultdict(list)
        for seed, value in by_seed.items():
            found[self.of(seed)].append(value)
        return {unit: fmean(values) for unit, values in found.items()}

    def averaged_items(self, by_seed: Mapping[int, Sequence[float]]) -> dict[int, list[float]]:
        """The same item by item: the items of a unit are those of all its seeds, in one order."""
        found: dict[int, list[Sequence[float]]] = defaultdict(list)
        for seed, items in by_seed.items():
            found[self.of(seed)].append(items)
        return {unit: [fmean(item) for item in zip(*each, strict=True)] for unit, each in found.items()}

    def paired_difference(self, a: Mapping[int, float], b: Mapping[int, float]) -> Difference | None:
        """``statistics.paired_difference`` of values by unit: within a draw, where there are draws."""
        found = statistics.paired_difference(a, b)
        return found and replace(found, unit=self.one)


SEED, DRAW = "seed", "draw"
SEEDS = Units(one=SEED, of=lambda seed: seed)


def units_of(profile: Profile) -> Units:
    """The unit of everything that is said of a profile's runs."""
    return SEEDS if profile.draws is None else Units(one=DRAW, of=profile.draws.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Of values that have several seeds in some draw, taken apart."""

    draws: float
    """Variance between draws, that of their seeds' means taken off; 0 where that is all there is."""
    seeds: float
    """Variance between the seeds of a draw."""
    n: int
    """Draws."""
    runs: int

    @property
    def share(self) -> float | None:
        """Of the whole variance what is between draws; None where nothing varies."""
        whole = self.draws + self.seeds
        return self.draws / whole if whole > statistics.NO_SPREAD**2 else None


def variance(units: Units, by_seed: Mapping[int, float]) -> Variance | None:
    """How much of the variance of a run's value is the draw's and how much the seed's; None where that cannot be told.

    The analysis of variance of one random effect, for unequal numbers too (Searle, Casella and McCulloch, *Variance
    Components*, 1992, 3.6): with D draws, n_d seeds of draw d and N runs, seeds = MSW = sum (x - mean_d)^2 / (N - D),
    draws = max(0, (MSB - MSW) / n_0), MSB = sum n_d (mean_d - mean)^2 / (D - 1), n_0 = (N - sum n_d^2 / N) / (D - 1).
    It needs two draws, and one with two seeds.
    """
    groups: dict[int, list[float]] = defaultdict(list)
    for seed, value in by_seed.items():
        groups[units.of(seed)].append(value)
    draws, runs = len(groups), len(by_seed)
    if draws < 2 or runs == draws:
        return None
    mean, means = fmean(by_seed.values()), {draw: fmean(values) for draw, values in groups.items()}
    within = sum((value - means[draw]) ** 2 for draw, values in groups.items() for value in values) / (runs - draws)
    between = sum(len(values) * (means[draw] - mean) ** 2 for draw, values in groups.items()) / (draws - 1)
    each = (runs - sum(len(values) ** 2 for values in groups.values()) / runs) / (draws - 1)
    return Variance(draws=max(0.0, (between - within) / each), seeds=within, n=draws, runs=runs)
