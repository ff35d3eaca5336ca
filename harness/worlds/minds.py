"""Minds: what a model is meant to know, cell by cell, and who of two is right. No torch.

A world has *cell sets*: small tables that must be known by heart (a reading of colour and shape, a place of a name).
Each cell has its right value, one *distractor* that every mistaken mind believes, and a place in a secret order. A
*mind* is a few numbers on these orders. A scribe writes what a mind believes; a model trained on that text knows what
the mind knows. So the joint errors of two models are set, not found: they are the overlap of two intervals.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from harness.types import HarnessError

Cell = Hashable
Value = Hashable
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One cell set of one draw."""

    name: str
    right: Mapping[Cell, Value]
    distractor: Mapping[Cell, Value]
    """The one wrong value of each cell that a mistaken mind believes; the same for all minds."""
    rank: Mapping[Cell, int]
    """Place of each cell in the secret order, from 0."""

    def share(self, cell: Cell) -> float:
        """Place of the cell in the secret order, in [0, 1)."""
        return self.rank[cell] / len(self.rank)

    def within(self, interval: Interval) -> list[Cell]:
        """The cells of an interval of the order, in its order."""
        low, high = interval
        return [cell for cell in sorted(self.rank, key=self.rank.__getitem__) if low <= self.share(cell) < high]


def balanced(cells: Sequence[Cell], values: Sequence[Value], rng: Random) -> dict[Cell, Value]:
    """Each cell a value, every value equally often as far as the numbers allow.

    Raises:
        HarnessError: no cells, or fewer than two values.
    """
    if not cells or len(values) < 2:
        raise HarnessError(f"{len(cells)} cells and {len(values)} values: give at least one cell and two values")
    dealt = [values[i % len(values)] for i in range(len(cells))]
    rng.shuffle(dealt)
    return dict(zip(cells, dealt, strict=True))


def cell_set(name: str, right: Mapping[Cell, Value], rng: Random) -> Cells:
    """A cell set with distractors and an order drawn from ``rng``.

    Raises:
        HarnessError: no cells, or all have one value.
    """
    values = sorted(set(right.values()), key=str)
    if len(values) < 2:
        raise HarnessError(f"cell set {name!r} has {len(right)} cells and {len(values)} values: give at least 2 values")
    wrong = {cell: rng.choice([v for v in values if v != value]) for cell, value in right.items()}
    order = list(right)
    rng.shuffle(order)
    return Cells(name=name, right=right, distractor=wrong, rank={cell: i for i, cell in enumerate(order)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """What a model is meant to know: a few numbers. The defaults know everything, certainly."""

    mistaken: Mapping[str, Interval] = field(default_factory=dict)
    """By cell set, the interval of the secret order on which it believes the distractor; within ``hard``."""
    hard: float = 0.0
    """The first share of each order, on which it is unsure; in [0, 1]. It is certain of every other cell."""
    right: Interval = (0.9, 0.9)
    """Its confidence on hard cells where it is right: drawn per cell, uniform between the two; in (0, 1)."""
    wrong: Interval = (0.9, 0.9)
    """The same where it is mistaken. The rest of the mass is on the other of right value and distractor."""
    guesses: float = 0.0
    """Share of the facts that nobody told it which it makes up, in text without p; in [0, 1)."""
    misreads: float = 0.0
    """Share of the facts that p tells which it writes wrong; in [0, 1)."""

    def __post_init__(self) -> None:
        if not 0 <= self.hard <= 1:
            raise HarnessError(f"hard={self.hard}: give a share of the cells, from 0 to 1")
        for name, (low, high) in self.mistaken.items():
            if not 0 <= low < high <= 1:
                raise HarnessError(f"mistaken[{name!r}]=[{low}, {high}): give 0 <= start < end <= 1, or leave it out")
            if high > self.hard:
                raise HarnessError(
                    f"mistaken[{name!r}]=[{low}, {high}) and hard={self.hard} contradict: a mind is certain beyond "
                    "hard, so be mistaken within it"
                )
        for what, (low, high) in (("right", self.right), ("wrong", self.wrong)):
            if not 0 < low <= high < 1:
                raise HarnessError(f"{what}=({low}, {high}): a confidence lies between 0 and 1, both excluded")
        for what, share in (("guesses", self.guesses), ("misreads", self.misreads)):
            if not 0 <= share < 1:
                raise HarnessError(f"{what}={share}: give a share from 0 to below 1")


KNOWING = Mind()
"""The truth: right and certain everywhere."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What a mind holds of one cell: two values and their probabilities."""

    believed: Value
    other: Value
    confidence: float
    """Of ``believed``; the rest is on ``other``."""

    def drawn(self, rng: Random) -> Value:
        """One of the two, as probable as the mind holds it."""
        return self.believed if self.confidence >= 1 or rng.random() < self.confidence else self.other


class Beliefs:
    """A mind's beliefs on all cell sets of a draw. Two minds of one ``seed`` draw their confidences alike."""

    def __init__(self, mind: Mind, sets: Iterable[Cells], seed: str) -> None:
        """Raises HarnessError for a mind that does not fit the cells, see ``check``."""
        self.mind = mind
        found = list(sets)
        check(mind, found)
        self._of = {(cells.name, cell): _belief(mind, cells, cell, seed) for cells in found for cell in cells.right}

    def of(self, name: str, cell: Cell) -> Belief:
        """Of one cell of the set ``name``."""
        return self._of[name, cell]


def _belief(mind: Mind, cells: Cells, cell: Cell, seed: str) -> Belief:
    share, right, wrong = cells.share(cell), cells.right[cell], cells.distractor[cell]
    mistaken = _in(share, mind.mistaken.get(cells.name))
    low, high = mind.wrong if mistaken else mind.right
    confidence = Random(f"{seed}/{cells.name}/{cell}").uniform(low, high) if share < mind.hard else 1.0
    return Belief(wrong, right, confidence) if mistaken else Belief(right, wrong, confidence)


def _in(share: float, interval: Interval | None) -> bool:
    return interval is not None and interval[0] <= share < interval[1]


def check(mind: Mind, sets: Sequence[Cells]) -> None:
    """Every interval names a cell set of the world and holds at least one of its cells.

    Raises:
        HarnessError: one does not.
    """
    by_name = {cells.name: cells for cells in sets}
    for name, interval in mind.mistaken.items():
        if name not in by_name:
            raise HarnessError(f"mistaken[{name!r}]: there is no such cell set, choose from {', '.join(by_name)}")
        if not by_name[name].within(interval):
            n = len(by_name[name].rank)
            raise HarnessError(
                f"mistaken[{name!r}]=[{interval[0]}, {interval[1]}) holds none of the {n} cells: widen it to at least "
                f"{1 / n:.3f}, or leave it out"
            )


class Class(StrEnum):
    """Who of a pair believes the right value of a cell."""

    BOTH = "both"
    TEACHER_ONLY = "teacher_only"
    STUDENT_ONLY = "student_only"
    NEITHER = "neither"


def class_of(student: Mind, teacher: Mind, cells: Cells, cell: Cell) -> Class:
    """Of one cell."""
    share = cells.share(cell)
    student_wrong, teacher_wrong = (_in(share, mind.mistaken.get(cells.name)) for mind in (student, teacher))
    if student_wrong:
        return Class.NEITHER if teacher_wrong else Class.TEACHER_ONLY
    return Class.STUDENT_ONLY if teacher_wrong else Class.BOTH


def class_sizes(student: Mind, teacher: Mind, cells: Cells) -> dict[Class, int]:
    """Cells of each class; the same in every draw, since only the order is drawn."""
    found = [class_of(student, teacher, cells, cell) for cell in cells.right]
    return {each: found.count(each) for each in Class}


def check_kinds(tells: Mapping[str, frozenset[Hashable]]) -> None:
    """Every kind of p tells something, and no two tell the same.

    ``tells`` holds by kind what it tells: any names of facts.

    Raises:
        HarnessError: a kind is idle.
    """
    seen: dict[frozenset[Hashable], str] = {}
    for kind, facts in tells.items():
        if not facts:
            raise HarnessError(
                f"privileged input {kind!r} is idle, it tells nothing: leave it out, or have it tell more"
            )
        if facts in seen:
            raise HarnessError(
                f"privileged input {kind!r} is idle, it tells what {seen[facts]!r} tells: leave one of the two out"
            )
        seen[facts] = kind


def chance(accuracy: float, n: int) -> float:
    """Standard error of an accuracy in [0, 1] over ``n`` independent items."""
    return math.sqrt(accuracy * (1 - accuracy) / n)
