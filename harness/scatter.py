"""Two quantities of each method as a point with both intervals. No torch.

Points look as ``harness.figures`` and are saved by it. Each is told apart by colour, marker and its name at the right.

Example::

    dopd = Spot(label="DOPD", x=61.0, y=1.9, half_x=3.0, half_y=0.4)
    figures.save(scatter([dopd], title="Transfer", x_axis="imitated", y_axis="moved", caption="5 seeds."), folder, "a")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.curves import COLOURS, MARKERS
from harness.figures import CHARACTER_INCHES, INK, plain_axes, styled
from harness.gutter import LABEL_INCHES, LEADER_INCHES, draw_leader, spread, write_name
from harness.sheet import sheet_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (5.2, 3.8)
"""Inches between the axes."""
LEAST = 2.0
"""Units that each axis spans at least, so that noise about 0 does not fill it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One point, or the reason why there is none."""

    label: str
    x: float | None
    y: float | None
    half_x: float | None = None
    """Half-widths of the intervals; None: a single run or a fixed model."""
    half_y: float | None = None
    note: str = ""
    """``single run``; without a point, why: ``not run``."""
    hollow: bool = False
    """True for what is no competitor: a reference."""


def scatter(spots: Sequence[Spot], *, title: str, x_axis: str, y_axis: str, caption: str) -> Figure:
    """One panel with lines through 0; the names stand at the right, in the order of height."""
    from matplotlib.figure import Figure

    with styled():
        gutter = LEADER_INCHES + CHARACTER_INCHES * max(len(_name(spot)) for spot in spots)
        size = (SIZE[0], max(SIZE[1], LABEL_INCHES * (len(spots) + 1)))
        sheet = sheet_of(1, size, left=0.75, right=gutter + 0.15, above=0.1, below=0.46, title=title, caption=caption)
        figure = Figure(figsize=(sheet.width, sheet.height))
        ax = figure.add_axes(sheet.boxes[0])
        _axes(ax, spots, x_axis, y_axis)
        looks = [
            (INK, "o") if spot.hollow else (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
            for i, spot in enumerate(spots)
        ]
        for spot, look in zip(spots, looks, strict=True):
            _draw(ax, spot, *look)
        _write_names(ax, spots, looks, size[1])
        sheet.write(figure)
    return figure


def _name(spot: Spot) -> str:
    return ", ".join(filter(None, (spot.label, spot.note)))


def _axes(ax: Axes, spots: Sequence[Spot], x_axis: str, y_axis: str) -> None:
    ax.set_xlim(*_limits([(spot.x, spot.half_x) for spot in spots]))
    ax.set_ylim(*_limits([(spot.y, spot.half_y) for spot in spots]))
    ax.axhline(0, color=INK, linewidth=0.9, zorder=1)
    ax.axvline(0, color=INK, linewidth=0.9, zorder=1)
    ax.set_xlabel(x_axis, fontsize=8)
    ax.set_ylabel(y_axis, fontsize=8)
    ax.tick_params(labelsize=8)
    plain_axes(ax)


def _limits(values: Sequence[tuple[float | None, float | None]]) -> tuple[float, float]:
    """Every interval and 0, with a margin."""
    known = [(value, half or 0.0) for value, half in values if value is not None]
    low = min([0.0, *(value - half for value, half in known)])
    high = max([0.0, *(value + half for value, half in known)])
    lacking = max(LEAST - (high - low), 0.0) / 2
    room = 0.06 * (high - low + 2 * lacking)
    return low - lacking - room, high + lacking + room


def _draw(ax: Axes, spot: Spot, colour: str, marker: str) -> None:
    if spot.x is None or spot.y is None:
        return
    ax.errorbar(spot.x, spot.y, spot.half_y, spot.half_x, color=colour, capsize=2.5, linewidth=1.1, zorder=3)
    face, edge = ("white", colour) if spot.hollow else (colour, "white")
    ax.plot(spot.x, spot.y, marker, color=face, markeredgecolor=edge, markersize=7, markeredgewidth=0.9, zorder=4)


def _write_names(ax: Axes, spots: Sequence[Spot], looks: Sequence[tuple[str, str]], height: float) -> None:
    """Each name beside its point's height, moved up or down until none covers another; without a point, at the foot."""
    bottom, top = ax.get_ylim()
    heights = [bottom if spot.y is None else spot.y for spot in spots]
    places = spread([height * (y - bottom) / (top - bottom) for y in heights], LABEL_INCHES, height)
    x = 1 + LEADER_INCHES / SIZE[0]
    for spot, place, (colour, marker) in zip(spots, places, looks, strict=True):
        at = (x, place / height)
        if spot.x is not None and spot.y is not None:
            draw_leader(ax, (spot.x, spot.y), at, colour, linewidth=0.5, gap=4)
            face = "white" if spot.hollow else colour
            ax.plot(
                *at, marker, color=face, markeredgecolor=colour, markersize=4.5, transform=ax.transAxes, clip_on=False
            )
        write_name(ax, _name(spot), at, is_drawn=spot.x is not None)
