"""Grouped bars as papers print them: groups side by side, one thin bar per method, one legend. No torch.

For many methods under few conditions ``harness.show.bars`` draws a panel per group; here all groups stand in a row, so
that a method is followed from group to group. Numbers stand upright on the bars, hatches serve a grey print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.show.bars import WHISKER, Bar, Group, Reference, bar_looks, beside, draw_whisker
from harness.show.looks import INK, Look
from harness.show.page import UNTITLED, Sheet, sheet_of
from harness.show.style import LINE_INCHES, PANEL_INCHES, SMALL, WIDEST, plain_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR_INCHES = 0.125
"""Width of a bar's place: of an upright number in tiny print."""
GAP = 1.6
"""Between two groups, in bars."""
TINY = 5.5
"""Points of the numbers on the bars."""
KEY_INCHES = 1.5
"""Width of a legend's entry."""
WIDTH = 0.92
"""Of a bar, in its place."""
Looks = Mapping[str, Look]
"""By label."""


def clustered_bars(groups: Sequence[Group], *, title: str, axis: str, caption: str) -> Figure:
    """Groups in a row, in several rows where they do not fit; references as short lines across their group."""
    from matplotlib.figure import Figure

    with styled():
        looks = bar_looks(groups)
        rows = _rows(groups)
        width = max(6.5, max(map(_places, rows)) * BAR_INCHES + 0.9)
        keys = [*looks, *dict.fromkeys(line.label for group in groups for line in group.references)]
        columns = max(1, int((width - 0.3) / KEY_INCHES))
        legend = 0.1 + 1.3 * LINE_INCHES * -(-len(keys) // columns)
        sheet = sheet_of(
            len(rows),
            (width - 0.75, PANEL_INCHES),
            left=0.6,
            right=0.15,
            above=UNTITLED,
            below=0.3,
            title=title,
            caption=caption,
            extra=legend,
        )
        figure = Figure(figsize=(sheet.width, sheet.height))
        top = max((bar.mean + (bar.half or 0) for g in groups for bar in g.bars if bar.mean is not None), default=1.0)
        top = max([top, *(line.value for g in groups for line in g.references)])
        for row, box in zip(rows, sheet.boxes, strict=True):
            _draw_row(figure.add_axes(box), row, looks, axis, (max(map(_places, rows)), 1.16 * top))
        _write_legend(figure, sheet, looks, groups, columns)
        sheet.write(figure)
    return figure


def _rows(groups: Sequence[Group]) -> list[list[Group]]:
    """As many groups in a row as fit, rows as even as can be."""
    widest = max(len(group.bars) for group in groups) + GAP
    fitting = max(1, int((WIDEST - 0.9) / (BAR_INCHES * widest)))
    count = -(-len(groups) // fitting)
    size = -(-len(groups) // count)
    return [list(groups[i : i + size]) for i in range(0, len(groups), size)]


def _places(row: Sequence[Group]) -> float:
    """Width of a row in bars."""
    return sum(len(group.bars) + GAP for group in row)


def _draw_row(ax: Axes, row: Sequence[Group], looks: Looks, axis: str, ends: tuple[float, float]) -> None:
    """``ends`` of both axes, the same for all rows."""
    left, centres = GAP / 2, []
    for group in row:
        for i, bar in enumerate(group.bars):
            _draw_bar(ax, left + i + 0.5, bar, looks[bar.label])
        right = left + len(group.bars)
        for each in group.references:
            colour, dashes = each.line.colour, each.line.dashes
            ax.hlines(each.value, left - 0.3, right + 0.3, color=colour, linewidth=1.1, linestyles=dashes, zorder=3)
        centres.append((left + right) / 2)
        left = right + GAP
    ax.set_xlim(0, ends[0])
    ax.set_ylim(0, ends[1])
    ax.set_xticks(centres, [group.title for group in row], fontsize=8)
    ax.tick_params(axis="x", length=0)
    ax.tick_params(axis="y", labelsize=8)
    ax.set_ylabel(axis, fontsize=8)
    plain_axes(ax, "y")


def _draw_bar(ax: Axes, x: float, bar: Bar, look: Look) -> None:
    """The bar with whisker, seeds and number; where there is none, why."""
    said, foot = (bar.note, 0.0) if bar.mean is None else (f"{bar.mean:.1f}", bar.mean + (bar.half or 0))
    if bar.mean is not None:
        ax.bar(x, bar.mean, WIDTH, color=look.colour, hatch=look.hatch, edgecolor=INK, linewidth=0.4, zorder=2)
        ax.scatter(
            beside(x, len(bar.points), WIDTH),
            bar.points,
            s=3,
            facecolor="white",
            edgecolor=INK,
            linewidth=0.4,
            zorder=5,
        )
        said += "  ×" if bar.crossed else ""
    if bar.half is not None and bar.mean is not None:
        draw_whisker(ax, x + WHISKER * WIDTH, bar.mean, bar.half, capsize=1.2, linewidth=0.7)
    ax.annotate(
        said,
        (x, max([foot, *bar.points])),
        xytext=(0, 2),
        textcoords="offset points",
        rotation=90,
        ha="center",
        va="bottom",
        fontsize=TINY,
        color=INK,
        style="italic" if bar.mean is None else "normal",
        zorder=6,
        bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 1},
    )


def _write_legend(figure: Figure, sheet: Sheet, looks: Looks, groups: Sequence[Group], columns: int) -> None:
    """Methods, then references, under the title."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    patches: list[Any] = [
        Patch(facecolor=look.colour, hatch=2 * look.hatch, edgecolor=INK, linewidth=0.5, label=label)
        for label, look in looks.items()
    ]
    lines: dict[str, Reference] = {line.label: line for group in groups for line in group.references}
    for label, each in lines.items():
        patches.append(Line2D([], [], color=each.line.colour, linestyle=each.line.dashes, linewidth=1.1, label=label))
    figure.legend(
        handles=patches,
        ncols=columns,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - sheet.head / sheet.height),
        borderaxespad=0,
        fontsize=SMALL,
        frameon=False,
    )
