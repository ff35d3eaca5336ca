"""A mind of this world: beliefs on its cells, and how far it plans ahead. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from harness.types import HarnessError
from harness.worlds import minds
from harness.worlds.minds import Beliefs, Cell, Class, Mind, Value
from harness.worlds.permutations import problems, tables
from harness.worlds.permutations.problems import Sort
from harness.worlds.permutations.tables import LOOKED_UP, PLAN, Know
from harness.worlds.permutations.words import CHOICES, HELPFUL, NAME, SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner(Mind):
    """A mind that also knows parities ahead. The defaults know everything, certainly."""

    depth: int = SLOTS
    """It knows the choice of this many last steps in reasoning, and tosses a coin before; 0 to 7."""

    def __post_init__(self) -> None:
        Mind.__post_init__(self)
        if not 0 <= self.depth <= SLOTS:
            raise HarnessError(f"depth={self.depth}: give a number of steps from 0 to {SLOTS}")


KNOWING = Planner()
"""The truth: right and certain everywhere."""


def beliefs(draw: int, mind: Planner) -> Beliefs:
    """Of a mind in a draw; all minds of a draw draw their confidences from one stream.

    Raises:
        HarnessError: it does not fit the cells; or it does not know everything and yet has no use for a kind of p.
    """
    found = Beliefs(mind, tables.tables(draw).values(), f"{NAME}, draw {draw}, confidence")
    if mind != KNOWING:
        check_use(mind)
    return found


def knowing(draw: int, mind: Planner, rng: Random) -> Know:
    """What a mind says when asked: drawn anew each time, as probable as it holds it. Raises as ``beliefs``."""
    held = beliefs(draw, mind)

    def know(name: str, cell: Cell) -> Value:
        if name != PLAN:
            return held.of(name, cell).drawn(rng)
        ahead, right = tables.right_plan(cell)
        return right if ahead <= mind.depth else rng.choice(CHOICES)

    return know


def mistaken_about(mind: Planner) -> frozenset[Sort]:
    """Sorts of scored words that the mind gets wrong somewhere; where it tosses a coin it does, in half."""
    choices = mind.depth < SLOTS or any(name in mind.mistaken for name in LOOKED_UP)
    results = tables.RESULT in mind.mistaken
    return frozenset([Sort.CHOICE] * choices + [Sort.RESULT] * results + [Sort.ANSWER] * (choices or results))


def check_use(mind: Planner) -> None:
    """Every kind of p but the control tells something that the mind gets wrong without it.

    Raises:
        HarnessError: a kind is idle for it.
    """
    wrong, tells = mistaken_about(mind), problems.tells_of()
    for kind in HELPFUL:
        if not wrong & {sort for sort, _ in tells[kind]}:
            raise HarnessError(
                f"privileged input {kind!r} is idle, this mind gets nothing wrong that it tells: let it be mistaken "
                f"about {' or '.join(LOOKED_UP)}, or give it a depth below {SLOTS}"
            )


def class_of(student: Planner, teacher: Planner, draw: int, name: str, cell: Cell) -> Class:
    """Who of a pair believes what is right of a cell, plans ahead too: a coin is no belief."""
    if name != PLAN:
        return minds.class_of(student, teacher, tables.tables(draw)[name], cell)
    ahead, _ = tables.right_plan(cell)
    knows = ahead <= student.depth, ahead <= teacher.depth
    return {
        (True, True): Class.BOTH,
        (False, True): Class.TEACHER_ONLY,
        (True, False): Class.STUDENT_ONLY,
        (False, False): Class.NEITHER,
    }[knows]


def class_sizes(student: Planner, teacher: Planner) -> dict[str, dict[Class, int]]:
    """Cells of each class by cell set, the same in every draw; of plans the steps ahead, 1 to 7."""
    found = {
        name: minds.class_sizes(student, teacher, cells) for name, cells in tables.tables(tables.DEVELOPMENT).items()
    }
    ahead = [class_of(student, teacher, tables.DEVELOPMENT, PLAN, (n, CHOICES[0])) for n in range(1, SLOTS + 1)]
    return found | {PLAN: {each: ahead.count(each) for each in Class}}
