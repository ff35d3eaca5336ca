"""What is drawn of a mean: its interval, its units and what must be known of it; and how these stand. No torch.

Things are told apart by ``harness.show.looks`` and by direct labels, so that a grey print reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.show.looks import INK, REFERENCES, Look, Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR_WIDTH = 0.72
"""Of the distance between two bars."""
WHISKER, DOTS = -0.22, (0.02, 0.36)
"""Where a whisker stands and seeds lie, in shares of a bar's width from its middle: beside one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One method in one group; unit of the axis."""

    label: str
    mean: float | None
    """None if there is no number; ``note`` says why."""
    half: float | None = None
    """Half-width of the interval; None for a single run."""
    points: tuple[float, ...] = ()
    """One per seed."""
    note: str = ""
    """``collapsed 3/3``, ``single run``, ``not run``; written at the bar."""
    crossed: bool = False
    """True puts a cross on the bar: a run behind it collapsed."""
    look: Look | None = None
    """Of a known thing; None: one that nothing else in the figure has."""
    aside: bool = False
    """Of a mark: its axis is made for the others, and it stands at the edge as an arrow where it lies beyond."""
    parts: tuple[float, ...] = ()
    """Of a stacked bar, one per part of its panel; ``mean`` and ``points`` are then the first part's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A level across one group: student, teacher."""

    label: str
    value: float
    role: Role = Role.MARK
    look: Look | None = None
    """Of a known thing; None: the role's."""

    @property
    def line(self) -> Look:
        """How it is drawn."""
        return self.look or REFERENCES[self.role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bars that stand together, with the lines they are measured against."""

    title: str
    bars: tuple[Bar, ...]
    references: tuple[Reference, ...] = ()


def limits(groups: Sequence[Group]) -> tuple[float, float]:
    """Bars start at 0, so that lengths compare; below it only where a mean lies there."""
    tops, bottoms = [0.0], [0.0]
    for group in groups:
        tops += [reference.value for reference in group.references]
        for bar in group.bars:
            if bar.mean is not None:
                tops += [bar.mean + (bar.half or 0), *bar.points]
                bottoms += [bar.mean - (bar.half or 0)] if bar.mean < 0 else []
    low, high = min(bottoms), max(tops)
    room = 0.08 * (high - low) or 1.0
    return (low - room if low < 0 else 0.0), high + room


def beside(middle: float, count: int, width: float, ends: tuple[float, float] = DOTS) -> list[float]:
    """Places of seeds across a bar, clear of its whisker; a lone one in the middle of theirs."""
    low, high = (middle + end * width for end in ends)
    if count == 1:
        return [(low + high) / 2]
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def draw_whisker(
    ax: Axes, place: float, mean: float, half: float, *, capsize: float, linewidth: float, lying: bool = False
) -> None:
    """An interval, on a white rim so that it is seen on a hatch."""
    x, y, across, up = (mean, place, half, None) if lying else (place, mean, None, half)
    for colour, extra, above in (("white", 1.0, 3), (INK, 0.0, 4)):
        width = linewidth + extra
        ax.errorbar(
            x, y, up, across, fmt="none", ecolor=colour, elinewidth=width, capsize=capsize, capthick=width, zorder=above
        )


def number(bar: Bar, *, signed: bool = False) -> str:
    """``52.1 ±2.0``; empty without one."""
    return "" if bar.mean is None else number_words(bar.mean, bar.half, signed=signed)


def number_words(mean: float, half: float | None = None, *, signed: bool = False) -> str:
    """``52.1 ±2.0``, ``−4.3 ±0.9``: one decimal; of a difference two, where one hides whether its interval holds 0."""
    lost = signed and mean != 0 and round(abs(mean), 1) in (0, None if half is None else round(half, 1))
    digits = 2 if lost else 1
    sign = "+" if signed else ""
    written = f"{mean:{sign}.{digits}f}".replace("-", "−")
    return written if half is None else f"{written} ±{half:.{digits}f}"
