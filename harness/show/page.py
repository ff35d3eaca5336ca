"""A figure's paper: equal panels in rows, names beside what they name, title and caption. No torch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.show.looks import INK
from harness.show.style import LINE_INCHES, PER_ROW, SMALL, WIDEST, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    columns = -(-count // rows)  # as even as can be
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


LABEL_INCHES = 0.155
"""Least distance of two names."""


LEADER_INCHES = 0.28
"""From the axes to the names."""


def spread(wanted: Sequence[float], distance: float, height: float) -> list[float]:
    """Places from 0 to ``height``, at least ``distance`` apart and in the same order, nearest to the wanted ones.

    Nearest in least squares; closer than ``distance`` only where so many do not fit.
    """
    from scipy.optimize import isotonic_regression

    if not wanted:
        return []
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    step = min(distance, height / max(len(wanted) - 1, 1))
    shifted = isotonic_regression([wanted[i] - step * rank for rank, i in enumerate(order)]).x
    free = height - step * (len(wanted) - 1)
    placed = {i: min(max(float(shifted[rank]), 0.0), free) + step * rank for rank, i in enumerate(order)}
    return [placed[i] for i in range(len(wanted))]


LEADER = "#AAAAAA"


def draw_leader(ax: Axes, end: tuple[float, float], at: tuple[float, float]) -> None:
    """A thin grey line, not to be taken for data, from the data's edge to a place beside it, ``at`` in fractions."""
    arrow = {"arrowstyle": "-", "color": LEADER, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
    ax.annotate(
        "", end, xycoords="data", xytext=at, textcoords="axes fraction", arrowprops=arrow, annotation_clip=False
    )


def write_name(ax: Axes, name: str, at: tuple[float, float], *, is_drawn: bool, indent: float) -> None:
    """A name ``indent`` points right of its place, slanted where what it names has no point."""
    ax.annotate(
        name,
        at,
        xycoords="axes fraction",
        xytext=(indent, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color=INK,
        style="normal" if is_drawn else "italic",
    )
