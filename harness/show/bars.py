"""Figures as values, made from rows by a suite, and as files whose bytes depend on the data only. No torch.

Things are told apart by ``harness.show.looks`` and by direct labels, so that a grey print reads.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.show.looks import INK, REFERENCES, Look, Role, assigned
from harness.show.style import (
    CHARACTER_INCHES,
    LINE_INCHES,
    PANEL_INCHES,
    PER_ROW,
    SMALL,
    WIDEST,
    plain_axes,
    styled,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR_WIDTH = 0.72
"""Of the distance between two bars."""
WHISKER, DOTS = -0.22, (0.02, 0.36)
"""Where a whisker stands and seeds lie, in shares of a bar's width from its middle: beside one another."""
GUTTER = 0.8
"""Inches right of a panel's bars, for the names of its lines."""
BAR_INCHES, DENSE_BAR_INCHES = 0.95, 0.42
"""Width of a bar's place, and where there are more than ``DENSE`` bars, whose labels then stand upright."""
DENSE = 12


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


def grouped_bars(groups: Sequence[Group], *, title: str, axis: str, caption: str) -> Figure:
    """One panel per group on a common axis, one bar per method, seeds as dots, intervals as whiskers.

    A method keeps its colour and hatch over all groups. ``caption`` is printed below the panels.
    """
    from matplotlib.figure import Figure

    with styled():
        layout = _layout(groups, caption)
        figure = Figure(figsize=(layout.width, layout.height))
        axes = figure.subplots(layout.rows, layout.columns, sharey=True, squeeze=False).ravel()
        looks = bar_looks(groups)
        for ax, group in zip(axes, groups, strict=False):
            _draw_group(ax, group, looks, upright=_is_dense(groups))
        for ax in axes[len(groups) :]:
            ax.remove()
        for ax in axes[:: layout.columns]:
            ax.set_ylabel(axis, fontsize=9)
        axes[0].set_ylim(*limits(groups))
        _place(figure, layout, title)
    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Inches, and how the panels stand."""

    columns: int
    rows: int
    width: float
    height: float
    ticks: float
    """Height of the labels under a panel."""
    foot: float
    """Height of the caption with its margins."""
    caption: str
    """Wrapped."""


def _layout(groups: Sequence[Group], caption: str) -> Layout:
    dense = _is_dense(groups)
    panel = max((DENSE_BAR_INCHES if dense else BAR_INCHES) * len(g.bars) + _gutter(g) for g in groups)
    columns = max(1, min(PER_ROW, len(groups), int(WIDEST / panel)))
    rows = -(-len(groups) // columns)
    width = max(6.5, columns * panel + 0.8)
    lines = wrapped(caption, width)
    labels = [tick(bar, upright=dense) for group in groups for bar in group.bars]
    high = max(map(len, labels)) * CHARACTER_INCHES if dense else max(_lines(label) for label in labels) * LINE_INCHES
    ticks, foot = 0.15 + high, 0.25 + LINE_INCHES * len(lines)
    return Layout(
        columns=columns,
        rows=rows,
        width=width,
        height=0.45 + rows * (PANEL_INCHES + 0.3 + ticks) + foot,
        ticks=ticks,
        foot=foot,
        caption="\n".join(lines),
    )


def _place(figure: Figure, layout: Layout, title: str) -> None:
    """Title, panels and caption, in inches from the edges."""
    w, h = layout.width, layout.height
    figure.suptitle(title, fontsize=11, y=1 - 0.12 / h, va="top")
    figure.text(0.6 / w, 0.1 / h, layout.caption, fontsize=SMALL, va="bottom", color=INK, linespacing=1.3)
    figure.subplots_adjust(
        left=0.62 / w,
        right=1 - 0.08 / w,
        top=1 - 0.72 / h,
        bottom=(layout.foot + layout.ticks) / h,
        wspace=0.06,
        hspace=(layout.ticks + 0.3) / PANEL_INCHES,
    )


def bar_looks(groups: Sequence[Group]) -> dict[str, Look]:
    """By label."""
    return assigned((bar.label, bar.look) for group in groups for bar in group.bars)


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


def _draw_group(ax: Axes, group: Group, looks: dict[str, Look], *, upright: bool) -> None:
    ax.set_title(group.title, fontsize=9.5)
    for x, bar in enumerate(group.bars):
        if bar.mean is None:
            _draw_reason(ax, x, bar)
        else:
            _draw_bar(ax, x, bar, bar.mean, looks[bar.label])
    gutter_bars = _gutter(group) / (DENSE_BAR_INCHES if upright else BAR_INCHES)
    right = len(group.bars) - 0.4 + gutter_bars
    for reference in group.references:
        _draw_reference(ax, right, reference)
    ax.set_xlim(-0.6, right)
    ax.set_xticks(range(len(group.bars)), [tick(bar, upright=upright) for bar in group.bars], fontsize=SMALL)
    ax.tick_params(axis="x", length=0, labelrotation=90 if upright else 0)
    ax.tick_params(axis="y", labelsize=8)
    plain_axes(ax, "y")


def _gutter(group: Group) -> float:
    return GUTTER if group.references else 0.0


def _draw_reference(ax: Axes, right: float, reference: Reference) -> None:
    """A line behind the bars, named in the gutter."""
    line = reference.line
    ax.axhline(reference.value, color=line.colour, linewidth=1.1, linestyle=line.dashes, zorder=1)
    ax.annotate(
        f"{reference.label}\n{reference.value:.1f}",
        (right, reference.value),
        xytext=(-2, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=SMALL,
        color=INK,
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
    )


def _draw_reason(ax: Axes, x: int, bar: Bar) -> None:
    """Where a bar is missing, why."""
    ax.annotate(
        bar.note,
        (x, 0),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8,
        rotation=90,
        color=INK,
        style="italic",
    )


def _draw_bar(ax: Axes, x: int, bar: Bar, mean: float, look: Look) -> None:
    ax.bar(x, mean, BAR_WIDTH, color=look.colour, hatch=look.hatch, edgecolor=INK, linewidth=0.7, zorder=2)
    if bar.half is not None:
        draw_whisker(ax, x + WHISKER * BAR_WIDTH, mean, bar.half, capsize=4, linewidth=1.3)
    places = beside(x, len(bar.points), BAR_WIDTH)
    ax.scatter(places, bar.points, s=15, facecolor="white", edgecolor=INK, linewidth=0.8, zorder=5)
    if bar.crossed:
        top = max([mean + (bar.half or 0), *bar.points])
        ax.annotate(
            "×",
            (x, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=15,
            color=INK,
        )


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


def _is_dense(groups: Sequence[Group]) -> bool:
    return max(len(group.bars) for group in groups) > DENSE


def _lines(label: str) -> int:
    return label.count("\n") + 1


def tick(bar: Bar, *, upright: bool) -> str:
    """The method, its number, and what must be known of it: a line each, or one upright line."""
    note = bar.note if bar.mean is not None else ""
    if upright:
        return "  ".join(filter(None, (bar.label, number(bar), note)))
    return "\n".join((*textwrap.wrap(bar.label, 14), *filter(None, (number(bar),)), *textwrap.wrap(note, 16)))


def number(bar: Bar) -> str:
    """``52.1 ±2.0``; empty without one."""
    if bar.mean is None:
        return ""
    return f"{bar.mean:.1f}" + ("" if bar.half is None else f" ±{bar.half:.1f}")
