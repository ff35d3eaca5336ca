"""Figures as values, made from rows by a suite, and as files whose bytes depend on the data only. No torch.

Colours are Okabe and Ito's, distinct to colour-blind readers; hatches and direct labels carry the same
information, so that a grey print reads.
"""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "----", "++++", "oooo")
INK = "#222222"
BAR_WIDTH = 0.72
"""Of the distance between two bars."""
GUTTER = 0.8
"""Inches right of a panel's bars, for the names of its lines."""
PER_ROW, WIDEST = 3, 13.0
"""At most so many panels side by side, and so many inches."""
BAR_INCHES, DENSE_BAR_INCHES = 0.95, 0.42
"""Width of a bar's place, and where there are more than ``DENSE`` bars, whose labels then stand upright."""
DENSE = 12
ROW_INCHES, LYING_INCHES = 0.19, 3.4
"""Height of a lying bar's place, and width of a panel of them."""
PANEL_INCHES, LINE_INCHES, CHARACTER_INCHES = 2.5, 0.145, 0.06
"""Height of a panel, height of a line of small text, width of a character of it."""
SMALL = 7.5
"""Points of small text."""
CHARACTERS_PER_INCH = 15.5
"""Of small text."""
STYLE: dict[Any, dict[str, Any]] = {
    "pdf": {"fonttype": 42},
    "font": {"family": "DejaVu Sans"},
    "hatch": {"linewidth": 0.6},
}
"""On top of matplotlib's defaults, so that a reader's own settings do not change our files."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A horizontal line through one group: student, teacher."""

    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bars that stand together, with the lines they are measured against."""

    title: str
    bars: tuple[Bar, ...]
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Groups below one another on one axis, with the lines all of them are measured against."""

    title: str
    groups: tuple[Group, ...]
    """The same groups and bars in every panel of a figure; a bar may be empty."""
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
        styles = bar_styles(groups)
        for ax, group in zip(axes, groups, strict=False):
            _draw_group(ax, group, styles, upright=_is_dense(groups))
        for ax in axes[len(groups) :]:
            ax.remove()
        for ax in axes[:: layout.columns]:
            ax.set_ylabel(axis, fontsize=9)
        axes[0].set_ylim(*_limits(groups))
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
    labels = [_tick(bar, upright=dense) for group in groups for bar in group.bars]
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


def lying_bars(panels: Sequence[Panel], *, title: str, axis: str, caption: str) -> Figure:
    """Panels side by side, a method on the same height in all of them, its number at the right.

    Groups stand below one another, each with its name, colour and hatch. For more methods than stand upright.
    """
    from matplotlib.figure import Figure

    with styled():
        heights = _heights(panels[0].groups)
        width, edges = _lying_width(panels)
        lines = wrapped(caption, width - 0.2)
        foot, head = 0.55 + LINE_INCHES * len(lines), 0.85
        height = head + ROW_INCHES * (max(heights.values()) + 1) + foot
        figure = Figure(figsize=(width, height))
        styles = {group.title: (OKABE_ITO[i % 8], HATCHES[i % 8]) for i, group in enumerate(panels[0].groups)}
        limits = _limits([Group(title="", bars=g.bars, references=p.references) for p in panels for g in p.groups])
        for i, panel in enumerate(panels):
            place = (edges[i] / width, foot / height, LYING_INCHES / width, 1 - (head + foot) / height)
            ax = figure.add_axes(place)
            _draw_panel(ax, panel, styles, heights, named=i == 0)
            ax.set_xlim(*limits)
            ax.set_xlabel(axis, fontsize=8)
        figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
        figure.text(
            0.1 / width, 0.1 / height, "\n".join(lines), fontsize=SMALL, va="bottom", color=INK, linespacing=1.3
        )
    return figure


def _heights(groups: Sequence[Group]) -> dict[tuple[str, str], float]:
    """Rows from the top by group and label; the group's own name under the label ''."""
    heights: dict[tuple[str, str], float] = {}
    row = 0.0
    for group in groups:
        for label in ("", *(bar.label for bar in group.bars)):
            heights[group.title, label] = row
            row += 1
        row += 0.4
    return heights


def _lying_width(panels: Sequence[Panel]) -> tuple[float, list[float]]:
    """Inches of the figure, and of the left edge of each panel; numbers stand right of a panel."""
    bars = [[bar for group in panel.groups for bar in group.bars] for panel in panels]
    names = max(len(bar.label) for bar in bars[0]) * CHARACTER_INCHES + 0.3
    gutters = [max(len(_tick(bar, upright=True)) - len(bar.label) for bar in each) for each in bars]
    edges, edge = [], names
    for gutter in gutters:
        edges.append(edge)
        edge += LYING_INCHES + max(gutter, 4) * CHARACTER_INCHES + 0.25
    return edge, edges


def _draw_panel(
    ax: Axes, panel: Panel, styles: dict[str, tuple[str, str]], heights: dict[tuple[str, str], float], *, named: bool
) -> None:
    for group in panel.groups:
        for bar in group.bars:
            _draw_lying(ax, heights[group.title, bar.label], bar, *styles[group.title])
    lowest = min((reference.value for reference in panel.references), default=0.0)
    for i, reference in enumerate(panel.references):
        ax.axvline(reference.value, color=INK, linewidth=1.1, dashes=((4, 2), (1, 1.5))[i % 2], zorder=1)
        ax.annotate(
            f"{reference.label} {reference.value:.1f}",
            (reference.value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right" if reference.value == lowest else "left",
            fontsize=SMALL,
            color=INK,
        )
    ax.set_title(panel.title, fontsize=9.5, pad=14)
    ax.set_ylim(max(heights.values()) + 0.7, -0.7)
    ax.set_yticks(list(heights.values()), [label or group for group, label in heights] if named else [])
    for (_, label), tick in zip(heights, ax.get_yticklabels(), strict=True):
        tick.set_fontsize(SMALL)
        tick.set_fontstyle("normal" if label else "italic")
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)
    plain_axes(ax, "x")


def _draw_lying(ax: Axes, y: float, bar: Bar, colour: str, hatch: str) -> None:
    said = _tick(bar, upright=True).removeprefix(bar.label).strip() or bar.note
    style = "normal" if bar.mean is not None else "italic"
    ax.annotate(
        said,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color=INK,
        style=style,
    )
    if bar.mean is None:
        return
    ax.barh(y, bar.mean, BAR_WIDTH, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.6, zorder=2)
    if bar.half is not None:
        ax.errorbar(bar.mean, y, xerr=bar.half, color=INK, capsize=2.5, linewidth=1.1, zorder=4)
    ax.scatter(bar.points, [y] * len(bar.points), s=6, facecolor="white", edgecolor=INK, linewidth=0.6, zorder=5)
    if bar.crossed:
        end = max([bar.mean + (bar.half or 0), *bar.points])
        ax.annotate("×", (end, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=11, color=INK)


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """``stem``.pdf and ``stem``.png in ``folder``, without date or version: equal figures are equal files."""
    paths: list[Path] = []
    with styled():
        for kind, metadata in (
            ("pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
            ("png", {"Software": None}),
        ):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
            paths.append(folder / f"{stem}.{kind}")
            _write_bytes(paths[-1], buffer.getvalue())
    return paths


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's defaults and ``STYLE``, whatever a reader has set; drawing and saving happen inside."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        for group, settings in STYLE.items():
            mpl.rc(group, **settings)
        yield


def plain_axes(ax: Axes, grid: Literal["x", "y", "both"] = "both") -> None:
    """A faint grid behind the data; no frame above and at the right."""
    ax.grid(axis=grid, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def wrapped(caption: str, inches: float) -> list[str]:
    """Lines of small text that fit into a width."""
    return textwrap.wrap(caption, int(CHARACTERS_PER_INCH * inches))


def _write_bytes(path: Path, data: bytes) -> None:
    """Beside ``path``, then renamed: a figure is whole or not there."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage.disk_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)


def bar_styles(groups: Sequence[Group]) -> dict[str, tuple[str, str]]:
    """Label to colour and hatch, by first appearance; the second eight take the hatches in another order."""
    labels = dict.fromkeys(bar.label for group in groups for bar in group.bars)
    size = len(OKABE_ITO)
    return {label: (OKABE_ITO[i % size], HATCHES[(i + i // size) % size]) for i, label in enumerate(labels)}


def _limits(groups: Sequence[Group]) -> tuple[float, float]:
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


def _draw_group(ax: Axes, group: Group, styles: dict[str, tuple[str, str]], *, upright: bool) -> None:
    ax.set_title(group.title, fontsize=9.5)
    for x, bar in enumerate(group.bars):
        if bar.mean is None:
            _draw_reason(ax, x, bar)
        else:
            _draw_bar(ax, x, bar, bar.mean, *styles[bar.label])
    gutter_bars = _gutter(group) / (DENSE_BAR_INCHES if upright else BAR_INCHES)
    right = len(group.bars) - 0.4 + gutter_bars
    for i, reference in enumerate(group.references):
        _draw_reference(ax, right, reference, dashes=((4, 2), (1, 1.5))[i % 2])
    ax.set_xlim(-0.6, right)
    ax.set_xticks(range(len(group.bars)), [_tick(bar, upright=upright) for bar in group.bars], fontsize=SMALL)
    ax.tick_params(axis="x", length=0, labelrotation=90 if upright else 0)
    ax.tick_params(axis="y", labelsize=8)
    plain_axes(ax, "y")


def _gutter(group: Group) -> float:
    return GUTTER if group.references else 0.0


def _draw_reference(ax: Axes, right: float, reference: Reference, dashes: tuple[float, float]) -> None:
    """A line behind the bars, named in the gutter."""
    ax.axhline(reference.value, color=INK, linewidth=1.1, dashes=dashes, zorder=1)
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


def _draw_bar(ax: Axes, x: int, bar: Bar, mean: float, colour: str, hatch: str) -> None:
    ax.bar(x, mean, BAR_WIDTH, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.7, zorder=2)
    if bar.half is not None:
        ax.errorbar(x, mean, bar.half, color=INK, capsize=4, linewidth=1.3, zorder=4)
    spread = 0.28 * BAR_WIDTH if len(bar.points) > 1 else 0.0
    places = [x + spread * (2 * i / max(len(bar.points) - 1, 1) - 1) for i in range(len(bar.points))]
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


def _is_dense(groups: Sequence[Group]) -> bool:
    return max(len(group.bars) for group in groups) > DENSE


def _lines(label: str) -> int:
    return label.count("\n") + 1


def _tick(bar: Bar, *, upright: bool) -> str:
    """The method, its number, and what must be known of it: a line each, or one upright line."""
    number = "" if bar.mean is None else f"{bar.mean:.1f}" + ("" if bar.half is None else f" ±{bar.half:.1f}")
    note = bar.note if bar.mean is not None else ""
    if upright:
        return "  ".join(filter(None, (bar.label, number, note)))
    return "\n".join((*textwrap.wrap(bar.label, 14), *filter(None, (number,)), *textwrap.wrap(note, 16)))
