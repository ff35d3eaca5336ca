"""A figure's paper: equal panels in rows, room for what stands beside them, title and caption. No torch."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.figures import LINE_INCHES, PER_ROW, SMALL, WIDEST, wrapped
from harness.looks import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLED, UNTITLED = 0.36, 0.16
"""Inches above a panel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A figure's paper: size in inches, places of the panels in fractions of it, and the words around them."""

    width: float
    height: float
    boxes: tuple[tuple[float, float, float, float], ...]
    title: str
    caption: str
    head: float
    """Inches from the top to the end of the title."""

    def write(self, figure: Figure) -> None:
        """Title and caption."""
        figure.suptitle(self.title, fontsize=11, y=1 - 0.1 / self.height, va="top")
        x, y = 0.1 / self.width, 0.1 / self.height
        figure.text(x, y, self.caption, fontsize=SMALL, va="bottom", color=INK, linespacing=1.3)


def sheet_of(
    count: int,
    size: tuple[float, float],
    *,
    left: float,
    right: float,
    above: float,
    below: float,
    title: str,
    caption: str,
    extra: float = 0.0,
) -> Sheet:
    """Equal panels of ``size`` in rows.

    Args:
        left: inches for what stands beside a panel; ``right``, ``above`` and ``below`` likewise.
        extra: inches between the title and the panels, for a legend.
    """
    whole = left + size[0] + right
    columns = max(1, min(PER_ROW, count, int(WIDEST / whole)))
    rows = -(-count // columns)
    width = max(5.0, columns * whole)
    margin = (width - columns * whole) / 2
    heading = textwrap.wrap(title, int(width / 0.09))
    lines = wrapped(caption, width - 0.2)
    title_inches, foot = 0.12 + 0.2 * len(heading), 0.18 + LINE_INCHES * len(lines)
    head = title_inches + extra
    height = head + rows * (above + size[1] + below) + foot
    boxes = tuple(
        (
            (margin + (i % columns) * whole + left) / width,
            1 - (head + (i // columns + 1) * (above + size[1]) + (i // columns) * below) / height,
            size[0] / width,
            size[1] / height,
        )
        for i in range(count)
    )
    return Sheet(
        width=width,
        height=height,
        boxes=boxes,
        title="\n".join(heading),
        caption="\n".join(lines),
        head=title_inches,
    )
