"""Lines as several suites draw them: cells over an axis, untrained models across it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from harness.show.tables import Cell
from suites.kit.looks import ROLES, label_look

if TYPE_CHECKING:
    from harness.show.bars import Reference
    from harness.show.lines import Series
    from harness.show.looks import Look

WHOLE = (-3.0, 103.0)
"""Limits of an axis of shares of a whole, per cent: an interval may leave it, a share cannot."""


def cell_series(
    label: str,
    at: Sequence[tuple[float, Cell]],
    *,
    line: Literal["own", "solid", "dashed", "none"] = "own",
    look: Look | None = None,
) -> Series:
    """Means and half-widths of cells at their x; what is missing breaks the line and is named.

    Args:
        at: x and cell, x rising.
        line: see ``Series.line``.
        look: that of the method with this label, if there is one.
    """
    from harness.show.lines import Series

    look = look or label_look(label)
    note = ", ".join(dict.fromkeys(word for _, cell in at for word in _words(cell)))
    if all(cell.value is None for _, cell in at):
        return Series(label=label, x=(), y=(), line=line, look=look, note=note)
    halves = tuple(_number(cell.half) for _, cell in at)
    return Series(
        label=label,
        x=tuple(x for x, _ in at),
        y=tuple(_number(cell.value) for _, cell in at),
        half=halves if any(cell.half is not None for _, cell in at) else (),
        line=line,
        look=look,
        note=note,
    )


def _words(cell: Cell) -> tuple[str, ...]:
    """What must be known of a number, or why there is none."""
    if cell.value is None:
        return (cell.missing,) if cell.missing else ()
    return cell.remarks


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def reference_lines(values: Mapping[str, float | None]) -> tuple[Reference, ...]:
    """A line across a panel for each model that was evaluated; ``values`` by its name."""
    from harness.show.bars import Reference
    from harness.show.looks import Role

    return tuple(
        Reference(label=label, value=value, role=ROLES.get(label, Role.MARK))
        for label, value in values.items()
        if value is not None
    )
