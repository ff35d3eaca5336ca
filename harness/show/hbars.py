"""Lying bars: a method on the same height in every panel, named once, its number at the right. No torch.

For many methods, and for several quantities side by side: bars from 0, bars stacked to a whole, marks on a zoomed
axis, where bars would lie, and differences as marks beside a line at 0.

Example::

    told = Part(label="asserts", look=Look(colour="#444444"))
    shares = Panel(title="told", groups=(Group(title="dual", bars=(bar,)),), parts=(told,), limits=(0, 100))
    score = Panel(title="score", groups=(Group(title="dual", bars=(mean,)),), zoomed=True)
    figures.save(lying_bars([shares, score], title="Transfer", axis="%", caption="5 seeds."), folder, "transfer")
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.show.bars import BAR_WIDTH, DOTS, WHISKER, Bar, Group, Reference, beside, draw_whisker, limits, number
from harness.show.looks import INK, Look, assigned
from harness.show.style import CHARACTER_INCHES, LINE_INCHES, SMALL, plain_axes, styled, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES, TALL_ROW_INCHES = 0.19, 0.24
"""Height of a bar's place; of one on which seeds lie: a stacked bar's, a mark's."""
WIDTHS = (3.6, 2.3, 1.7)
"""Inches of a panel, alone, beside another one and beside several."""
HEAD_INCHES, TITLE_INCHES, FOOT_INCHES = 0.4, 0.45, 0.45
"""Of the figure's title, of a panel's with the names of its lines, of its axis."""
LEGEND_INCHES = 0.25
"""In the legend of stacked bars."""
LEAST, TITLE_CHARACTER_INCHES = 5.0, 0.09
"""Width of a figure at least, and of a character of its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a segment of the stacked bars is."""

    label: str
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Groups below one another on one axis, with the lines all of them are measured against."""

    title: str
    groups: tuple[Group, ...]
    """The same groups and bars in every panel of a figure; a bar may be empty. A group without title has no heading."""
    references: tuple[Reference, ...] = ()
    axis: str = ""
    """Of this panel; empty: the figure's."""
    parts: tuple[Part, ...] = ()
    """Of its bars, if they are stacked."""
    zoomed: bool = False
    """True: means are marks, on an axis that holds them and the lines; a bar would need to start at 0."""
    differences: bool = False
    """True: marks too, beside a line at 0, and numbers have their sign."""
    note: str = ""
    """Small words under the title, in the place of the references' names: what the differences are to."""
    limits: tuple[float, float] | None = None
    """None: what is drawn; panels of bars share it, those of differences too."""

    @property
    def of_marks(self) -> bool:
        """Whether means are marks and no bars."""
        return self.zoomed or self.differences


Heights = dict[tuple[str, str], float]
"""Rows from the top by group and label; the group's own name under the label ''."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Inches: how panels of rows stand."""

    columns: int
    edges: tuple[float, ...]
    """Left edge of each column."""
    panel: tuple[float, float]
    """Width and height of a panel."""
    head: float
    """Above the first panels."""
    width: float
    height: float
    title: str
    """Wrapped, as the caption is."""
    caption: str

    def box(self, i: int) -> tuple[float, float, float, float]:
        """Of the i-th panel, in fractions of the figure."""
        row, column = divmod(i, self.columns)
        (width, height), w, h = self.panel, self.width, self.height
        top = self.head + row * (TITLE_INCHES + height + FOOT_INCHES) + TITLE_INCHES
        return self.edges[column] / w, 1 - (top + height) / h, width / w, height / h


def lying_bars(
    panels: Sequence[Panel], *, title: str, axis: str, caption: str, columns: int = 0, dots: str = "seeds"
) -> Figure:
    """Panels on common rows; those of plain bars share their axis, others have their own.

    Bars without a look of their own look alike within a group.

    Args:
        columns: panels side by side; 0: all of them.
        dots: what they are, for the legend of stacked bars.
    """
    from matplotlib.figure import Figure

    with styled():
        heights = _heights(panels[0].groups)
        grid = _grid(panels, columns or len(panels), heights, title, caption)
        figure = Figure(figsize=(grid.width, grid.height))
        looks = _looks(panels)
        for i, panel in enumerate(panels):
            ax = figure.add_axes(grid.box(i))
            ends = panel.limits or _shared(panels, panel)
            _draw_panel(ax, panel, looks, heights, ends, named=i % grid.columns == 0)
            ax.set_xlabel(panel.axis or axis, fontsize=8)
        _write_words(figure, grid, [part for panel in panels for part in panel.parts], dots)
    return figure


def _heights(groups: Sequence[Group]) -> Heights:
    heights: Heights = {}
    row = 0.0
    for group in groups:
        for label in (*([""] if group.title else []), *(bar.label for bar in group.bars)):
            heights[group.title, label] = row
            row += 1
        row += 0.4
    return heights


def _looks(panels: Sequence[Panel]) -> dict[tuple[str, str], Look]:
    """By group and label: the bar's own, else one that its group has for itself."""
    own = {(group.title, bar.label): bar.look for panel in panels for group in panel.groups for bar in group.bars}
    kept = [(f"{group} {label}", look) for (group, label), look in own.items() if look]
    of_group = assigned([*kept, *((f"{group}\n", None) for (group, _), look in own.items() if look is None)])
    return {place: look or of_group[f"{place[0]}\n"] for place, look in own.items()}


def _shared(panels: Sequence[Panel], panel: Panel) -> tuple[float, float]:
    """Limits of all panels that share an axis; of a zoomed one alone."""
    if panel.zoomed:
        return _around([panel])
    if panel.differences:
        return _around([peer for peer in panels if peer.differences], 0.0)
    peers = [peer for peer in panels if not peer.of_marks and peer.limits is None]
    return limits([Group(title="", bars=g.bars, references=p.references) for p in peers for g in p.groups])


def _around(panels: Sequence[Panel], *more: float) -> tuple[float, float]:
    """Means, intervals, seeds, lines and whatever else must be inside, with a margin."""
    ends = [*more, *(reference.value for panel in panels for reference in panel.references)]
    every = [bar for panel in panels for group in panel.groups for bar in group.bars if bar.mean is not None]
    bars = [bar for bar in every if not bar.aside] or every
    for bar in bars:
        assert bar.mean is not None
        ends += [bar.mean - (bar.half or 0), bar.mean + (bar.half or 0), *bar.points]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _grid(panels: Sequence[Panel], columns: int, heights: Heights, title: str, caption: str) -> Grid:
    tall, stacked = any(panel.parts or panel.of_marks for panel in panels), any(panel.parts for panel in panels)
    height = (TALL_ROW_INCHES if tall else ROW_INCHES) * (max(heights.values()) + 1.4)
    width = WIDTHS[min(columns, len(WIDTHS)) - 1]
    names = max(len(label or group) for group, label in heights) * CHARACTER_INCHES + 0.3
    said = [
        max((len(_said(panel, bar)) for group in panel.groups for bar in group.bars), default=0) for panel in panels
    ]
    notes = [len(panel.note) * CHARACTER_INCHES - width for panel in panels]
    gutters = [
        max(4 * CHARACTER_INCHES, *(n * CHARACTER_INCHES for n in said[i::columns]), *notes[i::columns]) + 0.25
        for i in range(columns)
    ]
    *edges, end = accumulate((names, *(width + gutter for gutter in gutters)))
    end = max(end, LEAST)
    lines, heading = wrapped(caption, end - 0.2), textwrap.wrap(title, int(end / TITLE_CHARACTER_INCHES))
    head = HEAD_INCHES + 0.2 * (len(heading) - 1) + (LEGEND_INCHES if stacked else 0)
    rows = -(-len(panels) // columns)
    return Grid(
        columns=columns,
        edges=tuple(edges),
        panel=(width, height),
        head=head,
        width=end,
        height=head + rows * (TITLE_INCHES + height + FOOT_INCHES) + 0.15 + LINE_INCHES * len(lines),
        title="\n".join(heading),
        caption="\n".join(lines),
    )


def _write_words(figure: Figure, grid: Grid, parts: Sequence[Part], dots: str) -> None:
    """Title, legend of the parts and of the dots on them, caption."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    w, h = grid.width, grid.height
    figure.suptitle(grid.title, fontsize=11, y=1 - 0.1 / h, va="top")
    figure.text(0.1 / w, 0.1 / h, grid.caption, fontsize=SMALL, va="bottom", color=INK, linespacing=1.3)
    if not parts:
        return
    dot = Line2D(
        [], [], linestyle="none", marker="o", markersize=4, color="white", markeredgecolor=INK, label=f"dots: {dots}"
    )
    patches = [
        Patch(facecolor=part.look.colour, hatch=part.look.hatch, edgecolor=INK, linewidth=0.6, label=part.label)
        for part in parts
    ]
    figure.legend(
        handles=[*patches, dot],
        ncols=len(parts) + 1,
        loc="upper left",
        bbox_to_anchor=(grid.edges[0] / w, 1 - (grid.head - LEGEND_INCHES) / h),
        borderaxespad=0,
        fontsize=SMALL,
        frameon=False,
    )


def _draw_panel(
    ax: Axes,
    panel: Panel,
    looks: dict[tuple[str, str], Look],
    heights: Heights,
    ends: tuple[float, float],
    *,
    named: bool,
) -> None:
    """``ends`` of its axis."""
    ax.set_xlim(*ends)
    for group in panel.groups:
        for bar in group.bars:
            y, look = heights[group.title, bar.label], looks[group.title, bar.label]
            _write_number(ax, y, bar, _said(panel, bar))
            if bar.mean is not None and bar.aside and not ends[0] <= bar.mean <= ends[1]:
                _draw_arrow(ax, y, bar.mean, ends, look)
            elif bar.mean is not None:
                draw = _draw_mark if panel.of_marks else _draw_bar
                draw(ax, y, bar, bar.mean, [part.look for part in panel.parts] if bar.parts else [look])
    _draw_references(ax, panel.references)
    if panel.differences:
        ax.axvline(0, color=INK, linewidth=1.1, zorder=1)
    ax.annotate(
        panel.note,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 2),
        textcoords="offset points",
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


def _draw_references(ax: Axes, references: Sequence[Reference]) -> None:
    """Lines behind the bars, named above the panel, the lowest to its left."""
    lowest = min((reference.value for reference in references), default=0.0)
    for reference in references:
        line = reference.line
        ax.axvline(reference.value, color=line.colour, linewidth=1.1, linestyle=line.dashes, zorder=1)
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


def _said(panel: Panel, bar: Bar) -> str:
    """What is written right of a row."""
    return "  ".join(filter(None, (number(bar, signed=panel.differences), bar.note)))


def _write_number(ax: Axes, y: float, bar: Bar, said: str) -> None:
    ax.annotate(
        said,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color=INK,
        style="normal" if bar.mean is not None else "italic",
    )


def _draw_bar(ax: Axes, y: float, bar: Bar, mean: float, looks: Sequence[Look]) -> None:
    """From 0, or stacked from 0; the seeds of a stacked bar spread over its whole width."""
    left = 0.0
    for share, look in zip(bar.parts or (mean,), looks, strict=True):
        ax.barh(
            y, share, BAR_WIDTH, left=left, color=look.colour, hatch=look.hatch, edgecolor=INK, linewidth=0.6, zorder=2
        )
        left += share
    if bar.half is not None:
        draw_whisker(ax, y + WHISKER * BAR_WIDTH, mean, bar.half, capsize=2, linewidth=1.1, lying=True)
    places = beside(y, len(bar.points), BAR_WIDTH, (-0.36, 0.36) if bar.parts else DOTS)
    _draw_seeds(ax, places, bar)
    if bar.crossed:
        end = max([left, mean + (bar.half or 0), *bar.points])
        ax.annotate("×", (end, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=11, color=INK)


def _draw_mark(ax: Axes, y: float, bar: Bar, mean: float, looks: Sequence[Look]) -> None:
    """The mean with its interval above, its seeds below."""
    (look,) = looks
    if bar.half is not None:
        draw_whisker(ax, y + WHISKER * BAR_WIDTH, mean, bar.half, capsize=2, linewidth=1.1, lying=True)
    ax.plot(
        mean,
        y + WHISKER * BAR_WIDTH if bar.points else y,
        look.marker,
        color=look.colour,
        markeredgecolor=INK,
        markeredgewidth=0.6,
        markersize=5.5,
        zorder=6,
    )
    _draw_seeds(ax, beside(y, len(bar.points), BAR_WIDTH), bar)
    if bar.crossed:
        end = min(max([mean + (bar.half or 0), *bar.points]), ax.get_xlim()[1])
        ax.annotate("×", (end, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=11, color=INK)


def _draw_arrow(ax: Axes, y: float, mean: float, ends: tuple[float, float], look: Look) -> None:
    """At the edge beyond which a mean lies; its number stands at the right as every other."""
    low, high = ends
    inside = 0.025 * (high - low)
    at, sign = (low + inside, "<") if mean < low else (high - inside, ">")
    ax.plot(at, y, sign, color=look.colour, markeredgecolor=INK, markeredgewidth=0.6, markersize=6, zorder=6)


def _draw_seeds(ax: Axes, places: Sequence[float], bar: Bar) -> None:
    ax.scatter(bar.points, places, s=6, facecolor="white", edgecolor=INK, linewidth=0.6, zorder=5, clip_on=bar.aside)
