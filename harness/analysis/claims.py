"""Whether runs bear out what a paper claims: three kinds of rule, fixed before the runs. No torch.

- *direction*: the 95 % t interval of a paired difference lies on the claimed side (reproduced) or on the other
  (contradicted);
- *equivalence*: the difference is smaller than a stated margin by two one-sided tests (reproduced), or its 95 %
  interval lies outside the margin (contradicted);
- *order*: a statement about several means holds in at least 95 % of bootstrap draws over seeds and every comparison
  it makes is significant by a paired t test (reproduced: all must hold, so none is corrected), or it holds in at most
  5 % and one comparison is reversed by a paired t test, Holm over them (contradicted). The share alone would not do:
  draws over few seeds cover too little, and of nine equal arms over five seeds a named one is the best in 5 % or less
  six times in ten (docs/statistics.md). Its effect is the comparison that decides, the smallest claimed difference.

Else undecided, with the smallest effect these seeds could have shown; or not run, with the reason. Each claim is
decided on its own at its own 95 %: of many true null claims one in twenty is decided by chance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.analysis import statistics

if TYPE_CHECKING:
    pass

Values = Mapping[str, Mapping[int, float]]
"""Points by name and unit (``harness.analysis.units``), a seed unless a profile has draws."""
SURE = 0.95
"""Share of bootstrap draws that decides an order; one minus it decides against."""
LEAST_SEEDS = 3
"""Below it an interval of seeds says nothing."""


class Verdict(StrEnum):
    """What the runs say of a claim."""

    REPRODUCED = "reproduced"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A claim with its verdict; what is shown of it."""

    id: str
    statement: str
    source: str
    """Where the paper says it."""
    predicted: str
    """The paper's own effect, in its own setting; empty where it states none."""
    rule: str
    late: bool = False
    """Whether the claim was written after rows that it reads had been seen."""
    suite: str
    verdict: Verdict
    effect: float | None = None
    """In ``unit``; of an order the smallest difference it claims."""
    low: float | None = None
    """Of the 95 % interval."""
    high: float | None = None
    unit: str = "points"
    n: int = 0
    """Units."""
    over: str = "seeds"
    """What the units are."""
    place: str = ""
    """Where in the profile's diagram (``Profile.phases``) the runs of its suite stand; empty without a diagram."""
    note: str = ""
    """Why it was not run; what could have been detected; of an order its share of draws, and the means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(ABC):
    """How values decide."""

    unit: str = "points"

    @abstractmethod
    def text(self, over: str = "seeds") -> str:
        """The rule in words; ``over`` is what is repeated."""

    @abstractmethod
    def decide(self, open_: Decision, values: Values) -> Decision:
        """``open_`` with its verdict and effect; every name of ``values`` has a value for the same seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction(Rule):
    """The one quantity is above 0; a claimed loss is written as its negative."""

    def text(self, over: str = "seeds") -> str:
        """The rule in words."""
        return f"direction: the 95 % t interval over {over} lies above 0"

    def decide(self, open_: Decision, values: Values) -> Decision:
        """By the t interval."""
        found = _interval(open_, _only(values))
        assert found.low is not None and found.high is not None
        if found.low > 0:
            return replace(found, verdict=Verdict.REPRODUCED, note="")
        return replace(found, verdict=Verdict.CONTRADICTED, note="") if found.high < 0 else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence(Rule):
    """The one quantity is negligible: smaller than ``margin`` either way."""

    margin: float

    def text(self, over: str = "seeds") -> str:
        """The rule in words, which names no unit."""
        return f"equivalence: two one-sided tests within ±{self.margin:g} {self.unit}"

    def decide(self, open_: Decision, values: Values) -> Decision:
        """By two one-sided tests."""
        seeds = _only(values)
        found, test = _interval(open_, seeds), statistics.equivalence(seeds, self.margin)
        assert found.low is not None and found.high is not None and test.low is not None and test.high is not None
        if -self.margin < test.low and test.high < self.margin:
            return replace(found, verdict=Verdict.REPRODUCED, note="")
        outside = found.low > self.margin or found.high < -self.margin
        return replace(found, verdict=Verdict.CONTRADICTED, note="") if outside else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Rule):
    """A statement about the means of several arms."""

    statement: str
    """In words, for people."""
    holds: Callable[[Mapping[str, float]], bool]
    pairs: Callable[[Sequence[str]], Sequence[tuple[str, str]]]
    """From the names to the comparisons it claims, (higher, lower) each."""

    def text(self, over: str = "seeds") -> str:
        """The rule in words."""
        return (
            f"order: {self.statement}, in at least {100 * SURE:g} % of bootstrap draws over {over} and with every "
            "comparison significant (paired t)"
        )

    def decide(self, open_: Decision, values: Values) -> Decision:
        """By bootstrap draws over seeds, and paired t tests of the comparisons."""
        share = statistics.order_share(values, self.holds)
        assert share is not None
        compared = {
            (high, low): {seed: values[high][seed] - values[low][seed] for seed in values[high]}
            for high, low in self.pairs(list(values))
        }
        weakest = min(compared, key=lambda pair: fmean(compared[pair].values()))
        found = _interval(open_, compared[weakest])
        verdict = Verdict.UNDECIDED
        if share >= SURE and all(map(_is_above, compared.values())):
            verdict = Verdict.REPRODUCED
        elif share <= 1 - SURE and _some_below(compared.values()):
            verdict = Verdict.CONTRADICTED
        means = ", ".join(f"{name} {fmean(seeds.values()):.1f}" for name, seeds in values.items())
        detectable = f"; {found.note}" if verdict is Verdict.UNDECIDED and found.note else ""
        note = f"effect: {weakest[0]} - {weakest[1]}; holds in {100 * share:.0f} % of draws; means: {means}{detectable}"
        return replace(found, verdict=verdict, note=note)


def _is_above(differences: Mapping[int, float]) -> bool:
    """Whether the mean is above 0 beyond chance, uncorrected; without any spread it is what it is."""
    values = list(differences.values())
    e = statistics.estimate(values)
    assert e.half is not None
    return e.mean > e.half


def _some_below(compared: Iterable[Mapping[int, float]]) -> bool:
    """Whether the mean of some is below 0 beyond chance, Holm over all."""
    found = [statistics.paired_difference(dict.fromkeys(seeds, 0.0), seeds) for seeds in compared]
    adjusted = statistics.holm([d.p if d else None for d in found])
    return any(
        d is not None and d.mean > 0 and (p is None or p < 1 - statistics.CONFIDENCE)
        for d, p in zip(found, adjusted, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence of a paper that numbers can decide.

    Example::

        Claim(id="main_gain", statement="DOPD beats vanilla OPD", source="Table 1", predicted="+7.5 points",
              suite="in_distribution", rule=Direction(), values=lambda scores: {...})
    """

    id: str
    statement: str
    source: str
    predicted: str = ""
    suite: str
    """Whose rows it needs."""
    rule: Rule
    values: Callable[[Any], Values]
    """From the suite's scores to points by name and seed."""
    late: bool = False
    """Whether it was written after rows that it reads had been seen: then it is a description, not a test."""
    idle: Callable[[Any], str] | None = None
    """From the suite's scores to why its numbers are those of no question: of a row that turned out inactive; empty
    where they are of one."""


def decide(claim: Claim, values: Values | str, over: str = "seeds") -> Decision:
    """A claim's verdict from its values, or not run, from a reason; ``over`` says what the values are by."""
    open_ = Decision(
        id=claim.id,
        statement=claim.statement,
        source=claim.source,
        predicted=claim.predicted,
        rule=claim.rule.text(over),
        over=over,
        late=claim.late,
        suite=claim.suite,
        verdict=Verdict.NOT_RUN,
        unit=claim.rule.unit,
    )
    if isinstance(values, str):
        return replace(open_, note=values)
    common = set[int].intersection(*(set(seeds) for seeds in values.values())) if values else set[int]()
    if len(common) < LEAST_SEEDS:
        lacking = [name for name, seeds in values.items() if len(seeds) < LEAST_SEEDS]
        note = (
            f"{len(common)} common {over}, {LEAST_SEEDS} are needed; too few of {', '.join(lacking) or 'all together'}"
        )
        return replace(open_, n=len(common), note=note)
    paired = {name: {seed: seeds[seed] for seed in sorted(common)} for name, seeds in values.items()}
    return claim.rule.decide(replace(open_, verdict=Verdict.UNDECIDED, n=len(common)), paired)


def _only(values: Values) -> Mapping[int, float]:
    (seeds,) = values.values()
    return seeds


def _interval(open_: Decision, seeds: Mapping[int, float]) -> Decision:
    """With effect and interval, and what these seeds could have shown."""
    values = list(seeds.values())
    e = statistics.estimate(values)
    assert e.half is not None
    least = statistics.minimum_detectable_effect(statistics.deviation(values), e.n)
    note = "" if least is None else f"detectable with 80 % power: {least:.1f} {open_.unit}"
    return replace(open_, effect=e.mean, low=e.mean - e.half, high=e.mean + e.half, note=note)
