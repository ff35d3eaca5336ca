"""A main table as a leaderboard: lines by their score, each with a picture of its interval. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.show.tables import Cell, Column, Kind, Line, Table

MARGIN = 4.0
"""Percent of a picture's width left free at each side, so that a dot at the edge is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a leaderboard."""

    place: int | None
    """From 1; None for references, methods that are not ranked, and missing numbers."""
    label: str
    block: str
    """Of the table, where the leaderboard ranks across blocks; else empty."""
    cell: Cell
    centre: float | None
    """Place of the mean in the picture, percent from its left edge; None without a number."""
    ends: tuple[float, float] | None
    """Places of the interval's ends; None for a single run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Entries in groups that are ranked apart, on one scale."""

    column: Column
    groups: tuple[tuple[str, tuple[Entry, ...]], ...]
    low: float
    """Value at the left edge of the pictures, and at the right."""
    high: float


def board(table: Table) -> Board | None:
    """The table's ranked column, best first; None if it holds no number."""
    at = _column(table)
    cells = [line.cells[at] for line in table.lines]
    values = [v for cell in cells if cell.value is not None for v in _reach(cell)]
    if not values:
        return None
    low, high = min(values), max(values)
    across = _ranks_across(table.lines, at)
    groups = {"": table.lines} if across else _by_block(table.lines)
    return Board(
        column=table.columns[at],
        groups=tuple((block, tuple(_entries(lines, at, low, high, across))) for block, lines in groups.items()),
        low=low,
        high=high,
    )


def _column(table: Table) -> int:
    """The column that is ranked; else the first of scores, else the first."""
    ranked = [i for line in table.lines for i, cell in enumerate(line.cells) if cell.rank]
    scores = [i for i, column in enumerate(table.columns) if column.kind is Kind.SCORE]
    return min(ranked or scores, default=0)


def _reach(cell: Cell) -> tuple[float, float]:
    assert cell.value is not None
    half = cell.half or 0.0
    return cell.value - half, cell.value + half


def _ranks_across(lines: Sequence[Line], at: int) -> bool:
    """Whether the table has one ranking over its blocks: then some contested block has no best, or a single line is."""
    contested = {b for b, own in _by_block(lines).items() if sum(_competes(line, at) for line in own) > 1}
    best = {line.block for line in lines if line.cells[at].rank == 1}
    return bool(best) and best != contested


def _by_block(lines: Sequence[Line]) -> dict[str, list[Line]]:
    blocks: dict[str, list[Line]] = {}
    for line in lines:
        blocks.setdefault(line.block, []).append(line)
    return blocks


def _competes(line: Line, at: int) -> bool:
    return line.ranked and line.cells[at].value is not None


def _entries(lines: Sequence[Line], at: int, low: float, high: float, across: bool) -> Iterator[Entry]:
    """Best first, what has no number last; values equal as printed share a place."""

    def printed(line: Line) -> float:
        value = line.cells[at].value
        return float("-inf") if value is None else round(value, 1)

    def x(value: float) -> float:
        return MARGIN + (100 - 2 * MARGIN) * (value - low) / ((high - low) or 1.0)

    better = [printed(line) for line in lines if _competes(line, at)]
    for line in sorted(lines, key=printed, reverse=True):
        cell = line.cells[at]
        ends = (
            None if cell.value is None or cell.half is None else (x(cell.value - cell.half), x(cell.value + cell.half))
        )
        yield Entry(
            place=1 + sum(v > printed(line) for v in better) if _competes(line, at) else None,
            label=line.label,
            block=line.block if across else "",
            cell=cell,
            centre=None if cell.value is None else x(cell.value),
            ends=ends,
        )
