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
from typing import TYPE_CHECKING, Any, Literal

from harness.show.bars import Reference
from harness.show.looks import INK, Look, assigned
from harness.show.page import LABEL_INCHES, LEADER_INCHES, TITLED, UNTITLED, draw_leader, sheet_of, spread, write_name
from harness.show.style import CHARACTER_INCHES, PANEL_INCHES, SMALL, plain_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_WIDTH, LONE_PANEL_WIDTH = 2.6, 3.9
"""Inches of a panel between its axes, side by side and alone."""
CROWDED = 25
"""Points of a series above which not every one is marked."""
SPARSE = 3
"""Points up to which each is measured by itself and nothing is known between them."""
NEAR = 0.1
"""Of a panel's width: from there to its edge a line ends at the edge, and is tied to its name."""
LineStyle = Literal["own", "solid", "dashed", "none"]
Key = tuple[Look, Any]
"""How a line is drawn, and matplotlib's style of it."""
PAPER_WHITE = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
"""Under words that stand on lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a panel; of few points each has a whisker, of more the line has a band."""

    label: str
    """Written at its end."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    """NaN breaks the line."""
    half: tuple[float, ...] = ()
    """Half-width of the shaded band at each point, NaN where none is known; empty: nowhere."""
    line: LineStyle = "own"
    """own: its look's; solid and dashed: where the style has a meaning of its own; none: markers alone."""
    look: Look | None = None
    """Of a known thing, in every panel; None: one that nothing else in the figure has."""
    note: str = ""
    """``collapsed 3/3``; of a series without points, why: ``not run``."""


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
    widths = [x for each in panel.series for x in each.x] + [each.x for each in panel.moments]
    if panel.x_limits:
        ax.set_xlim(*panel.x_limits)
    elif log_x:
        if widths:
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


def _room(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = share * (high - low) or 1.0
    return low - room, high + room


def _draw_series(ax: Axes, each: Series, look: Look) -> None:
    """The line with its band; few points with their whiskers. What is pale has a dark rim."""
    from matplotlib.patheffects import withStroke

    style, colour = _dashes(each, look), look.colour
    every = max(1, len(each.x) // 12) if len(each.x) > CROWDED else 1
    ax.plot(
        each.x,
        each.y,
        color=colour,
        linestyle=style,
        linewidth=1.5 if len(each.x) > SPARSE else 0.8,
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
    if len(each.x) <= SPARSE:
        ax.errorbar(each.x, each.y, each.half, fmt="none", ecolor=colour, capsize=3, linewidth=1.1, zorder=2)
        return
    low, high = ([y + sign * h for y, h in zip(each.y, each.half, strict=True)] for sign in (-1, 1))
    ax.fill_between(each.x, low, high, color=colour, alpha=0.5 if look.is_pale else 0.18, linewidth=0, zorder=2)


def _dashes(each: Series, look: Look) -> Any:
    """matplotlib's style of its line."""
    return {"own": look.dashes, "solid": "solid", "dashed": (0, (5, 2)), "none": "none"}[each.line]


def _draw_words(ax: Axes, panel: LinePanel) -> None:
    """Reference lines, and moments with their labels."""
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
    _, right = ax.get_xlim()
    ends = [_end(each) for each in panel.series] + [(right, reference.value) for reference in panel.references]
    wanted = [0.0 if end is None else height * (end[1] - bottom) / (top - bottom) for end in ends]
    keys: list[Key | None] = [(looks[each.label], _dashes(each, looks[each.label])) for each in panel.series]
    keys += [None] * len(panel.references)
    for name, end, at, key in zip(_names(panel), ends, spread(wanted, LABEL_INCHES, height), keys, strict=True):
        place = (1 + LEADER_INCHES / width, at / height)
        if end is not None:
            _draw_key(ax, end, place, key)
        write_name(ax, name, place, indent=2, is_drawn=end is not None)


def _draw_key(ax: Axes, end: tuple[float, float], place: tuple[float, float], key: Key | None) -> None:
    """Left of a name a piece of its line with its marker, tied to where the line meets the edge, if it does."""
    bottom, top = ax.get_ylim()
    left, _ = ax.transAxes.inverted().transform(ax.transData.transform(end))
    x, y = place
    start = 1 + (x - 1) * 0.45
    if left > 1 - NEAR:
        tip = (start if key else x - (x - 1) * 0.1, y)
        draw_leader(ax, (ax.get_xlim()[1], min(max(end[1], bottom), top)), tip)
    if key is None:
        return
    look, dashes = key
    edge = INK if look.is_pale else look.colour
    style: dict[str, Any] = {"color": edge, "transform": ax.transAxes, "clip_on": False}
    ax.plot([start, x], [y, y], linestyle=dashes, linewidth=1.2, **style)
    middle: dict[str, Any] = {**style, "color": look.colour, "markeredgecolor": edge, "markersize": 4}
    ax.plot([(start + x) / 2], [y], marker=look.marker, **middle)


def _end(each: Series) -> tuple[float, float] | None:
    """The last point that is a number."""
    known = [(x, y) for x, y in zip(each.x, each.y, strict=True) if math.isfinite(y)]
    return known[-1] if known else None
