"""The secret tables of a draw: six cell sets. No torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

from harness.types import HarnessError
from harness.worlds.minds import Cell, Cells, Value, balanced, cell_set
from harness.worlds.scenes import words

DRAWS = 6
"""Draws 0 to 4 are for results; the last is the development draw, for pilots alone."""
DEVELOPMENT = DRAWS - 1
READING, NAME, WAY, RULE, TEST, RELATION = "reading", "name", "way", "rule", "test", "relation"
CHOICES = (NAME, WAY, RULE, TEST, RELATION)
"""Cell sets that decide a place; the other decides what stands there."""
Know = Callable[[str, Cell], Value]
"""(cell set, cell) to what is held of it."""

_CELLS: dict[str, tuple[tuple[Cell, ...], tuple[Value, ...]]] = {
    READING: (tuple((c, s) for c in words.COLOURS for s in words.SHAPES), words.READINGS),
    NAME: (words.NAMES, words.PLACES),
    WAY: (tuple((way, tick) for way in words.WAYS for tick in words.TICKS), words.DIRECTIONS),
    RULE: (tuple((rule, count) for rule in words.RULES for count in words.COUNTS), (0, 1, 2)),
    TEST: (tuple((test, many) for test in words.TESTS for many in (False, True)), words.DIRECTIONS),
    RELATION: (words.RELATIONS, words.DIRECTIONS),
}


def check_draw(draw: int | None) -> int:
    """The draw, which there is; raises HarnessError for another or none."""
    if draw is None or not 0 <= draw < DRAWS:
        raise HarnessError(
            f"draw={draw}: world {words.NAME!r} has draws 0 to {DEVELOPMENT - 1} for results and {DEVELOPMENT} for "
            "development; give data.draw one of these"
        )
    return draw


@cache
def tables(draw: int) -> dict[str, Cells]:
    """Cell sets by name. Raises HarnessError for a draw that is not there."""
    check_draw(draw)
    found: dict[str, Cells] = {}
    for name, (cells, values) in _CELLS.items():
        rng = Random(f"scenes, draw {draw}, {name}")
        found[name] = cell_set(name, balanced(cells, values, rng), rng)
    return found


def truth(draw: int) -> Know:
    """What is right."""
    found = tables(draw)
    return lambda name, cell: found[name].right[cell]
