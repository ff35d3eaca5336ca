"""Matrices with numbers in their cells. No torch.

They look as ``harness.show.bars`` and are saved by it.

Example::

    accuracy = Matrix(title="DOPD", row_axis="after", column_axis="tested on", rows=("stage 1",), columns=("coding",),
                      cells=((Cell(value=51.4, half=1.0, n=3),),))
    figures.save(heatmap([accuracy], title="Continual learning", axis="%", caption="3 seeds."), folder, "matrix")
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.show import tables
from harness.show.looks import INK, Look
from harness.show.page import TITLED, UNTITLED, Sheet, sheet_of
from harness.show.style import CHARACTER_INCHES, SMALL, styled
from harness.show.tables import Cell, Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SQUARE_INCHES = (0.92, 0.62)
"""Width and height of a matrix's cell."""
SCALE, SCALE_INCHES, SCALE_LEFT = "scale", 0.42, 0.3
"""Label of the axes of the colours, the height they take, and inches left of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Numbers by row and column."""

    title: str
    row_axis: str
    column_axis: str
    rows: tuple[str, ...]
    """Labels from the top."""
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """``rows`` × ``columns``; a missing number shows its reason, a cell of rank 1 a frame."""
    kind: Kind = Kind.SCORE


def heatmap(matrices: Sequence[Matrix], *, title: str, axis: str, caption: str) -> Figure:
    """Matrices side by side on one colour scale (cividis), their numbers in the cells.

    Args:
        axis: what the numbers are, beside the scale.
    """
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    with styled():
        known = [c.value for m in matrices for row in m.cells for c in row if c.value is not None]
        scale = Normalize(min(known, default=0), max(known, default=1))
        size = (
            SQUARE_INCHES[0] * max(len(m.columns) for m in matrices),
            SQUARE_INCHES[1] * max(len(m.rows) for m in matrices),
        )
        left = 0.45 + CHARACTER_INCHES * max(len(label) for m in matrices for label in m.rows)
        above = TITLED if any(matrix.title for matrix in matrices) else UNTITLED
        sheet = sheet_of(
            len(matrices),
            size,
            left=left,
            right=0.2,
            above=above,
            below=0.55,
            title=title,
            caption=caption,
            extra=SCALE_INCHES,
        )
        figure = Figure(figsize=(sheet.width, sheet.height))
        for matrix, box in zip(matrices, sheet.boxes, strict=True):
            _draw_matrix(figure.add_axes(box), matrix, scale)
        if len(set(known)) > 1:
            _draw_scale(figure, sheet, scale, axis)
        sheet.write(figure)
    return figure


def _draw_scale(figure: Figure, sheet: Sheet, scale: Any, axis: str) -> None:
    """The colours and their numbers, lying above the matrices."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    width, thick = 1.8 / sheet.width, 0.1 / sheet.height
    ax = figure.add_axes((SCALE_LEFT / sheet.width, 1 - (sheet.head + 0.16) / sheet.height, width, thick), label=SCALE)
    bar = figure.colorbar(ScalarMappable(scale, colormaps["cividis"]), cax=ax, orientation="horizontal")
    assert bar.solids is not None
    bar.solids.set_rasterized(False)  # the report shows figures as drawings, and no picture within one
    bar.outline.set_visible(False)
    ax.tick_params(labelsize=SMALL, length=2, pad=1)
    ax.annotate(
        axis, (1, 0.5), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", va="center", fontsize=SMALL
    )


def _draw_matrix(ax: Axes, matrix: Matrix, scale: Any) -> None:
    from matplotlib import colormaps

    colours = colormaps["cividis"]
    for y, row in enumerate(matrix.cells):
        for x, cell in enumerate(row):
            shade = None if cell.value is None else colours(scale(cell.value))
            _draw_cell(ax, x, y, cell, shade, matrix.kind)
    ax.set_xlim(0, len(matrix.columns))
    ax.set_ylim(len(matrix.rows), 0)
    ax.set_xticks([x + 0.5 for x in range(len(matrix.columns))], matrix.columns, fontsize=8)
    ax.set_yticks([y + 0.5 for y in range(len(matrix.rows))], matrix.rows, fontsize=8)
    ax.tick_params(length=0)
    ax.set_xlabel(matrix.column_axis, fontsize=8)
    ax.set_ylabel(matrix.row_axis, fontsize=8)
    ax.set_title("\n".join(textwrap.wrap(matrix.title, 44)), fontsize=9.5)
    ax.spines[:].set_visible(False)


def _draw_cell(ax: Axes, x: int, y: int, cell: Cell, shade: Any, kind: Kind) -> None:
    """A coloured square and its number; hatched, with the reason, where there is none."""
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    face = "#F4F4F4" if shade is None else shade
    hatch = "////" if cell.missing else ""
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", hatch=hatch, linewidth=1.5))
    if cell.rank == 1:
        frame = Rectangle((x + 0.05, y + 0.05), 0.9, 0.9, fill=False, edgecolor="#D55E00", linewidth=2.2)
        ax.add_patch(frame)
    ax.text(
        x + 0.5,
        y + 0.5,
        _in_cell(cell, kind),
        ha="center",
        va="center",
        fontsize=SMALL,
        color=INK if shade is None else Look(colour=to_hex(shade)).ink,
        linespacing=1.25,
        style="normal" if cell.value is not None else "italic",
    )


def _in_cell(cell: Cell, kind: Kind) -> str:
    """The number, its half-width and what must be known of it, a line each."""
    if cell.value is None:
        return "\n".join(textwrap.wrap(cell.missing, 12))
    number = tables.text(Cell(value=cell.value), kind)
    half = "" if cell.half is None else f"±{cell.half:.1f}"
    notes = textwrap.wrap(", ".join(cell.remarks), 16)
    return "\n".join(filter(None, (number, half, *notes)))
