"""The secret tables of a draw: three cell sets, and the parity ahead, which is worked out and not looked up. No torch.

All three are known cell by cell, thresholds too: what a mind believes of a threshold and a digit is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

from harness.types import HarnessError
from harness.worlds.minds import Cell, Cells, Value, balanced, cell_set
from harness.worlds.permutations.words import CHOICES, DIGITS, LETTERS, NAME, OPS, THRESHOLDS

DRAWS = 6
"""Draws 0 to 4 are for results; the last is the development draw, for pilots alone."""
DEVELOPMENT = DRAWS - 1
RESULT, LETTER, THRESHOLD = "result", "letter", "threshold"
"""Cell sets: (operation, digit) to the digit after it; (letter, digit) and (threshold, digit) to A or B."""
PLAN = "plan"
"""No cell set. Its cells are (steps from this one to the last, right choice); see ``planner``."""
LOOKED_UP = (LETTER, THRESHOLD)
"""Cell sets that decide a choice."""
Know = Callable[[str, Cell], Value]
"""(cell set, cell) to what is held of it."""


def check_draw(draw: int | None) -> int:
    """The draw, which there is; raises HarnessError for another or none."""
    if draw is None or not 0 <= draw < DRAWS:
        raise HarnessError(
            f"draw={draw}: world {NAME!r} has draws 0 to {DEVELOPMENT - 1} for results and {DEVELOPMENT} for "
            "development; give data.draw one of these"
        )
    return draw


@cache
def tables(draw: int) -> dict[str, Cells]:
    """Cell sets by name. Raises HarnessError for a draw that is not there."""
    check_draw(draw)
    found: dict[str, Cells] = {}
    for name, make in _RIGHT.items():
        rng = Random(f"{NAME}, draw {draw}, {name}")
        found[name] = cell_set(name, make(rng), rng)
    return found


def _permutations(rng: Random) -> dict[Cell, Value]:
    """Each operation a permutation, no two the same: the chance of that is one in millions, and it is looked at."""
    drawn = dict[str, tuple[str, ...]]()
    for op in OPS:
        while (values := tuple(rng.sample(DIGITS, len(DIGITS)))) in drawn.values():
            pass
        drawn[op] = values
    return {(op, digit): value for op, values in drawn.items() for digit, value in zip(DIGITS, values, strict=True)}


def _letters(rng: Random) -> dict[Cell, Value]:
    return balanced([(letter, digit) for letter in LETTERS for digit in DIGITS], CHOICES, rng)


def _thresholds(_: Random) -> dict[Cell, Value]:
    return {(t, digit): CHOICES[int(digit) < int(t[1:])] for t in THRESHOLDS for digit in DIGITS}


_RIGHT: dict[str, Callable[[Random], dict[Cell, Value]]] = {
    RESULT: _permutations,
    LETTER: _letters,
    THRESHOLD: _thresholds,
}


def truth(draw: int) -> Know:
    """What is right."""
    found = tables(draw)

    def know(name: str, cell: Cell) -> Value:
        return right_plan(cell)[1] if name == PLAN else found[name].right[cell]

    return know


def right_plan(cell: Cell) -> tuple[int, str]:
    """Steps from this one to the last, itself counted, and the right choice, of a cell of ``PLAN``."""
    assert isinstance(cell, tuple)
    ahead, right = cell
    return int(ahead), str(right)
