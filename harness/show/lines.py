"""Lines against a step, a ratio or seconds. No torch.

Saved by ``harness.show.style``. A series is told apart by its look (``harness.show.looks``) and its name at its end,
so that a grey print reads.

Example::

    loss = Series(label="DOPD", x=(0, 50, 100), y=(39.1, 47.0, 51.4), half=(0, 1.2, 1.0))
    panel = LinePanel(title="coding", y_axis="exact answer, %", series=(loss,), references=(student,))
    figures.save(curves([panel], title="Stability", x_axis="step", caption="3 seeds."), folder, "figure8")
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from harness.show.bars import Reference
from harness.show.looks import INK, Look, assigned
from harness.show.page import LABEL_INCHES, LEADER_INCHES, TITLED, UNTITLED, draw_leader, sheet_of, spread, write_name
from harness.show.style import CHARACTER_INCHES, PANEL_INCHES, SMALL, plain_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_WIDTH, LONE_PANEL_WIDTH = 3.3, 4.8
"""Inches of a panel between its axes, side by side and alone."""
CROWDED = 25
"""Points of a series above which not every one is marked."""
PAPER_WHITE = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
"""Under words that stand on lines."""
PLACES: dict[str, tuple[tuple[float, float], str, str]] = {
    "right": ((6, 0), "left", "center"),
    "left": ((-6, 0), "right", "center"),
    "above": ((0, 6), "center", "bottom"),
    "below": ((0, -6), "center", "top"),
}
"""Offset in points and alignment of the words at a point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a panel; a single point is drawn with a whisker."""

    label: str
    """Written at its end."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    """NaN breaks the line."""
    half: tuple[float, ...] = ()
    """Half-width of the shaded band at each point, NaN where none is known; empty: nowhere."""
    line: Literal["own", "solid", "dashed", "none"] = "own"
    """own: its look's; solid and dashed: where the style has a meaning of its own; none: markers alone."""
    look: Look | None = None
    """Of a known thing, in every panel; None: one that nothing else in the figure has."""
    note: str = ""
    """``collapsed 3/3``; of a series without points, why: ``not run``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value that is known without the line it lies on, as a text states it."""

    label: str
    x: float
    y: float
    place: Literal["right", "left", "above", "below"] = "right"
    """Of the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A vertical line: a stage that begins, a step that a text names."""

    label: str
    x: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePanel:
    """Lines on one pair of axes."""

    title: str
    y_axis: str
    """Panels of one figure with equal words here share their limits."""
    series: tuple[Series, ...] = ()
    references: tuple[Reference, ...] = ()
    """Horizontal: student, teacher."""
    moments: tuple[Moment, ...] = ()
    points: tuple[Point, ...] = ()
    x_limits: tuple[float, float] | None = None
    """None: what is drawn, with a margin."""
    y_limits: tuple[float, float] | None = None
    """None: the same."""


def curves(panels: Sequence[LinePanel], *, title: str, x_axis: str, caption: str, log_x: bool = False) -> Figure:
    """Panels of lines, at most three in a row; ``caption`` is printed below."""
    from matplotlib.figure import Figure

    with styled():
        looks = assigned((each.label, each.look) for panel in panels for each in panel.series)
        gutter = LEADER_INCHES + CHARACTER_INCHES * max(map(len, chain.from_iterable(map(_names, panels))), default=0)
        most = max(len(_names(panel)) for panel in panels)
        size = (LONE_PANEL_WIDTH if len(panels) == 1 else PANEL_WIDTH, max(PANEL_INCHES, LABEL_INCHES * (most + 1)))
        sheet = sheet_of(
            len(panels),
            size,
            left=0.62,
            right=gutter + 0.15,
            above=TITLED if any(panel.title for panel in panels) else UNTITLED,
            below=0.46,
            title=title,
            caption=caption,
        )
        figure = Figure(figsize=(sheet.width, sheet.height))
        for panel, box in zip(panels, sheet.boxes, strict=True):
            ax = figure.add_axes(box)
            _axes(ax, panel, [peer for peer in panels if peer.y_axis == panel.y_axis], x_axis, log_x)
            for each in panel.series:
                _draw_series(ax, each, looks[each.label])
            _draw_words(ax, panel)
            _name_lines(ax, panel, looks, size)
        sheet.write(figure)
    return figure


def _axes(ax: Axes, panel: LinePanel, peers: Sequence[LinePanel], x_axis: str, log_x: bool) -> None:
    """Limits, grid and the words of both axes; a panel without any height has no scale."""
    heights = [value for peer in peers for value in _heights(peer)]
    ax.set_ylim(*(panel.y_limits or _room(heights)))
    if log_x:
        _logarithmic(ax)
    widths = [x for each in panel.series for x in each.x] + [each.x for each in (*panel.points, *panel.moments)]
    if panel.x_limits:
        ax.set_xlim(*panel.x_limits)
    elif log_x and widths:
        ax.set_xlim(min(widths) / 1.2, max(widths) * 1.2)
    else:
        ax.set_xlim(*_room(widths, share=0.04))
    if not heights and panel.y_limits is None:
        ax.set_yticks([])
    ax.set_title("\n".join(textwrap.wrap(panel.title, 44)), fontsize=9.5)
    ax.set_xlabel(x_axis, fontsize=8)
    ax.set_ylabel(panel.y_axis, fontsize=8)
    ax.tick_params(labelsize=8)
    plain_axes(ax)


def _logarithmic(ax: Axes) -> None:
    """Ticks at 1, 2, 5, 10, written out."""
    from matplotlib.ticker import LogLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()


def _heights(panel: LinePanel) -> Iterator[float]:
    """Every finite y that must lie inside."""
    for each in panel.series:
        halves = each.half or (0.0,) * len(each.y)
        for y, half in zip(each.y, halves, strict=True):
            yield from (value for value in (y, y - half, y + half) if math.isfinite(value))
    yield from (reference.value for reference in panel.references)
    yield from (point.y for point in panel.points)


def _room(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = share * (high - low) or 1.0
    return low - room, high + room


def _draw_series(ax: Axes, each: Series, look: Look) -> None:
    """The line with its band; a lone point with its whisker. What is pale has a dark rim."""
    from matplotlib.patheffects import withStroke

    style = {"own": look.dashes, "solid": "solid", "dashed": (0, (5, 2)), "none": "none"}[each.line]
    colour = look.colour
    every = max(1, len(each.x) // 12) if len(each.x) > CROWDED else 1
    ax.plot(
        each.x,
        each.y,
        color=colour,
        linestyle=style,
        linewidth=1.5,
        marker=look.marker,
        markevery=every,
        markersize=5,
        markeredgecolor=INK if look.is_pale else "white",
        markeredgewidth=0.5,
        path_effects=[withStroke(linewidth=2.4, foreground=INK)] if look.is_pale else None,
        zorder=3,
    )
    if not each.half:
        return
    if len(each.x) == 1:
        ax.errorbar(each.x, each.y, each.half, color=colour, capsize=3, linewidth=1.1, zorder=2)
        return
    low, high = ([y + sign * h for y, h in zip(each.y, each.half, strict=True)] for sign in (-1, 1))
    ax.fill_between(each.x, low, high, color=colour, alpha=0.5 if look.is_pale else 0.18, linewidth=0, zorder=2)


def _draw_words(ax: Axes, panel: LinePanel) -> None:
    """Reference lines, moments and stated points, the last two with their labels."""
    for reference in panel.references:
        line = reference.line
        ax.axhline(reference.value, color=line.colour, linewidth=1.0, linestyle=line.dashes, zorder=1)
    for moment in panel.moments:
        ax.axvline(moment.x, color="#777777", linewidth=1.0, linestyle="dashdot", zorder=1)
        ax.annotate(
            moment.label,
            (moment.x, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-2, -2),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=SMALL,
            color=INK,
            bbox=PAPER_WHITE,
        )
    for point in panel.points:
        offset, ha, va = PLACES[point.place]
        ax.scatter([point.x], [point.y], s=42, facecolor="white", edgecolor=INK, linewidth=1.3, zorder=5)
        words = "\n".join(textwrap.wrap(point.label, 30))
        ax.annotate(
            words,
            (point.x, point.y),
            xytext=offset,
            textcoords="offset points",
            ha=ha,
            va=va,
            fontsize=SMALL,
            color=INK,
            bbox=PAPER_WHITE,
        )


def _names(panel: LinePanel) -> list[str]:
    """What is written right of a panel, in the order of series and references."""
    named = [", ".join(filter(None, (each.label, each.note))) for each in panel.series]
    return named + [f"{reference.label} {reference.value:.1f}" for reference in panel.references]


def _name_lines(ax: Axes, panel: LinePanel, looks: dict[str, Look], size: tuple[float, float]) -> None:
    """Each name at the height of its line's end, moved up or down until none covers another.

    ``size`` of the panel in inches. A series without points is named at the foot.
    """
    width, height = size
    bottom, top = ax.get_ylim()
    ends = [_end(each) for each in panel.series] + [
        (ax.get_xlim()[1], reference.value) for reference in panel.references
    ]
    wanted = [0.0 if end is None else height * (end[1] - bottom) / (top - bottom) for end in ends]
    looks_of = [looks[each.label] for each in panel.series] + [each.line for each in panel.references]
    marked = [True] * len(panel.series) + [False] * len(panel.references)
    left, right = ax.get_xlim()
    places = spread(wanted, LABEL_INCHES, height)
    for name, end, at, look, mark in zip(_names(panel), ends, places, looks_of, marked, strict=True):
        far = end is not None and (end[0] - left) / (right - left) < 0.9
        place = (1 + LEADER_INCHES / width, at / height)
        _name(ax, name, end, place, look, marked=mark, leader=0.4 if far else 0.8)


def _name(
    ax: Axes,
    name: str,
    end: tuple[float, float] | None,
    at: tuple[float, float],
    look: Look,
    *,
    marked: bool,
    leader: float,
) -> None:
    """One name in the gutter, with its marker and a line of ``leader`` points from the end of its own."""
    edge = INK if look.is_pale else look.colour
    if end is not None:
        draw_leader(ax, end, at, edge, linewidth=leader)
    if end is not None and marked:
        ax.plot(
            *at,
            marker=look.marker,
            color=look.colour,
            markeredgecolor=edge,
            markersize=4.5,
            transform=ax.transAxes,
            clip_on=False,
        )
    write_name(ax, name, at, indent=5 if marked else 2, is_drawn=end is not None)


def _end(each: Series) -> tuple[float, float] | None:
    """The last point that is a number."""
    known = [(x, y) for x, y in zip(each.x, each.y, strict=True) if math.isfinite(y)]
    return known[-1] if known else None
