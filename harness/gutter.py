"""Names at the right of a panel, beside what they name and none over another. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.figures import SMALL
from harness.looks import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def draw_leader(ax: Axes, end: tuple[float, float], at: tuple[float, float], colour: str, *, linewidth: float) -> None:
    """A thin line between a point of the data and a place beside the axes, ``at`` in fractions of them."""
    arrow = {"arrowstyle": "-", "color": colour, "linewidth": linewidth, "shrinkA": 0, "shrinkB": 0}
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
