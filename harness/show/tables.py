"""A table as a value, made from rows by a suite; and its CSV, Markdown and terminal forms. No torch.

Colour, bold and underline follow the paper: blue where over half of the gap to the teacher is closed, green
where all of it is; the best ranked method of a block bold, the second underlined.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.analysis.statistics import Difference, estimate
from harness.analysis.units import SEED, SEEDS, Units

if TYPE_CHECKING:
    from rich.table import Table as RichTable


class Kind(StrEnum):
    """How a column's numbers are written."""

    SCORE = "score"
    """One decimal."""
    DIFFERENCE = "difference"
    """One decimal and always a sign."""
    P = "p"
    """Three decimals; smaller ones as ``<0.001``."""
    COUNT = "count"
    """Rounded to an integer."""
    RATE = "rate"
    """As short as it goes: ``0.0002``."""
    TEXT = "text"
    """Words, no number."""


class Shade(StrEnum):
    """How much of the gap between student and teacher a cell closes."""

    NONE = ""
    OVER_HALF = "over half of the gap"
    """Blue."""
    ALL = "all of the gap"
    """Green."""


CSV_PARTS = ("", "_half", "_n", "_note")
MARKDOWN_RULES = {True: "---", False: "---:"}
"""Of a column of text and of one of numbers."""
MARKDOWN_SIGNS = {Shade.OVER_HALF: " ◐", Shade.ALL: " ●"}
GUTTER, NAMES = 3, 2
"""Characters between two columns of a terminal's table, and its columns of names."""
LEGEND = "Bold: best ranked method, underlined: second"
MARKDOWN_LEGEND = f"{LEGEND}; ◐ over half of the gap to the teacher closed, ● all of it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number with what is needed to trust it, or the reason why there is none.

    Example::

        Cell(value=52.1, half=2.0, n=3, notes=("collapsed 1/3",))   # 52.1 ± 2.0 (n=3, collapsed 1/3)
        Cell(missing="not run")
    """

    value: float | None = None
    """In the unit of its column; None if missing."""
    half: float | None = None
    """Half-width of the interval, same unit."""
    n: int = 0
    """Units, see ``harness.analysis.units``; 0 for a number that is no mean over some."""
    unit: str = SEED
    """What ``n`` counts."""
    notes: tuple[str, ...] = ()
    missing: str = ""
    """Why there is no number; empty where none belongs."""
    words: str = ""
    """Of a column of text."""
    shade: Shade = Shade.NONE
    rank: int = 0
    """1 best, 2 second, 0 neither or not ranked."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Its notes, and before them that it is of a single run, or draw."""
        return (single(self.unit), *self.notes) if self.n == 1 else self.notes


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of numbers."""

    key: str
    """Name in the CSV."""
    header: str
    kind: Kind = Kind.SCORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table; called a line, because a row is a number of a run."""

    block: str
    """Lines of one block stand together and are ranked together."""
    label: str
    cells: tuple[Cell, ...]
    """One per column."""
    ranked: bool = True
    """False for reference lines and methods that see what others may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A finished table; nothing is computed after this."""

    name: str
    """File stem."""
    title: str
    caption: str
    """Checkpoint, seeds, items, what the numbers do not say."""
    block_header: str
    label_header: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    partial: str = ""
    """``20 of 24 runs done``; empty if complete."""

    @property
    def heading(self) -> str:
        """The title, marked if runs are missing."""
        return f"{self.title} (partial: {self.partial})" if self.partial else self.title


def reason(states: Iterable[str]) -> str:
    """Why a cell is empty, from the states of the runs it needs: failed, partial, or not run."""
    seen = set(states)
    if "failed" in seen:
        return "failed"
    if "stale" in seen:
        return "other settings"
    return "partial" if seen & {"partial", "unevaluated"} else "not run"


def seed_cell(
    values: Mapping[int, float],
    states: Mapping[int, str],
    collapsed: Set[int] = frozenset(),
    scale: float = 100.0,
    units: Units = SEEDS,
) -> Cell:
    """Mean, interval and count of one value per unit.

    Args:
        values: by unit; by seed, as in the rows, where that is the unit.
        states: of every planned run of this cell, by seed; what is missing is explained by them.
        collapsed: seeds whose run collapsed; named in the cell, and averaged like the others.
        scale: 100 turns shares into percent.
        units: what the values are by.
    """
    if not values:
        return Cell(missing=reason(states.values()))
    e = estimate([scale * values[unit] for unit in sorted(values)])
    notes = _seed_notes({seed for seed in states if _counts(seed, states, values, units)}, states, collapsed)
    return Cell(value=e.mean, half=e.half, n=e.n, unit=units.one, notes=notes)


def _counts(seed: int, states: Mapping[int, str], values: Mapping[int, float], units: Units) -> bool:
    """Whether a seed's run is in the values; of a draw that has some, those that are done are."""
    return units.of(seed) in values and (units.are_seeds or states[seed] == "done")


def single(unit: str) -> str:
    """What is said of a number that is no mean over several units."""
    return "single run" if unit == SEED else f"single {unit}"


def mean_cell(values: Sequence[float], states: Sequence[str]) -> Cell:
    """A plain mean, for costs: NaN is left out, the states of the runs explain an empty cell."""
    known = [value for value in values if not math.isnan(value)]
    return Cell(value=math.fsum(known) / len(known)) if known else Cell(missing=reason(states))


def difference_cell(difference: Difference, scale: float = 100.0) -> Cell:
    """A difference of shares in points."""
    half = None if difference.half is None else scale * difference.half
    return Cell(value=scale * difference.mean, half=half, n=difference.n, unit=difference.unit)


def shade(recovery: float | None) -> Shade:
    """The paper's colour for a share of the gap: over half, all, or none."""
    if recovery is None or recovery <= 0.5:
        return Shade.NONE
    return Shade.ALL if recovery >= 1 else Shade.OVER_HALF


def marked(cells: Sequence[Cell], digits: int = 1) -> list[Cell]:
    """``cells`` with best and second marked.

    Values equal as printed share a rank. One number alone is no best.
    """
    values = [round(cell.value, digits) for cell in cells if cell.value is not None]
    if len(values) < 2:
        return list(cells)
    best = sorted(set(values), reverse=True)[:2]
    ranks = {value: rank for rank, value in enumerate(best, start=1)}
    return [
        cell if cell.value is None else replace(cell, rank=ranks.get(round(cell.value, digits), 0)) for cell in cells
    ]


def to_csv(table: Table) -> str:
    """Per column: value, half-width, seeds, and a note (why missing, collapse); full precision. Text is one field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = [f"{c.key}{part}" for c in table.columns for part in CSV_PARTS[: 1 if c.kind is Kind.TEXT else None]]
    writer.writerow([table.block_header, table.label_header, *keys])
    for line in table.lines:
        cells = zip(line.cells, table.columns, strict=True)
        writer.writerow([line.block, line.label, *(field for cell, c in cells for field in _csv_fields(cell, c.kind))])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Heading, table and caption; shades as signs, because Markdown has no colour."""
    table = concise(table)
    headers = [table.block_header, table.label_header, *(c.header for c in table.columns)]
    out = [
        f"### {table.heading}",
        "",
        _pipe(headers),
        _pipe(["---", "---", *(MARKDOWN_RULES[is_text(c)] for c in table.columns)]),
    ]
    for line, block in with_block(table.lines):
        cells = (_markdown_cell(cell, c) for cell, c in zip(line.cells, table.columns, strict=True))
        out.append(_pipe([block, line.label, *cells]))
    return "\n".join([*out, "", f"{table.caption} {MARKDOWN_LEGEND if is_marked(table) else ''}".strip(), ""])


def to_rich(table: Table, width: int) -> RichTable:
    """The table for a terminal: blue and green, bold and underlined, reasons dimmed.

    Columns that do not fit are left out, from the right, and named below.

    Args:
        width: of the terminal, in characters.
    """
    from rich.markup import escape
    from rich.table import Table as RichTable

    table = concise(table)
    widths = _widths(table, width)
    said, shown = table.caption, len(widths) - NAMES
    if left := [column.header for column in table.columns[shown:]]:
        said = f"Too wide for {width} characters, so only in the files: {'; '.join(left)}. {said}"
    out = RichTable(title=escape(table.heading), caption=escape(said), title_justify="left", caption_justify="left")
    headers = [table.block_header, table.label_header, *(column.header for column in table.columns)]
    for i, (header, own) in enumerate(zip(headers, widths, strict=False)):
        left = i < NAMES or is_text(table.columns[i - NAMES])
        out.add_column(escape(header), justify="left" if left else "right", width=own)
    for line, block in with_block(table.lines):
        cells = (_rich_cell(cell, c, escape) for cell, c in zip(line.cells, table.columns, strict=True))
        out.add_row(escape(block), escape(line.label), *list(cells)[:shown], end_section=False)
    return out


def _widths(table: Table, width: int) -> list[int]:
    """Characters of the columns that fit a terminal, at least one of numbers; what is left goes to the names.

    Numbers stay in one line; names, headers and notes may be broken between words.
    """
    blocks = [table.block_header, *(line.block for line in table.lines)]
    labels = [table.label_header, *(line.label for line in table.lines)]
    numbers = [
        [_longest_word(column.header), *(_least(line.cells[i], column.kind) for line in table.lines)]
        for i, column in enumerate(table.columns)
    ]
    least = [*(max(map(_longest_word, names)) for names in (blocks, labels)), *map(max, numbers)]
    used = [1 + space for space in accumulate(GUTTER + each for each in least)]
    shown = max(NAMES + 1, sum(each <= width for each in used))
    room = max(0, width - used[shown - 1])
    for i, names in ((1, labels), (0, blocks)):
        more = min(room, max(map(len, names)) - least[i])
        least[i], room = least[i] + more, room - more
    return least[:shown]


def _least(cell: Cell, kind: Kind) -> int:
    """Characters of the number, or of a longer word behind it."""
    number = text(replace(cell, notes=()), kind)
    return max(len(number), *map(_longest_word, ("", *cell.notes)))


def _longest_word(words: str) -> int:
    return max(map(len, words.split()), default=0)


def is_text(column: Column) -> bool:
    """Whether its cells are words, which stand to the left."""
    return column.kind is Kind.TEXT


def text(cell: Cell, kind: Kind) -> str:
    """``52.1 ± 2.0 (n=3)``, ``52.1 (single run)``, or why there is no number."""
    if kind is Kind.TEXT:
        return cell.words
    if cell.value is None:
        return cell.missing
    seeds = (f"n={cell.n}",) if cell.n > 1 else ()
    notes = ", ".join((*seeds, *cell.remarks))
    half = "" if cell.half is None else f" ± {cell.half:.1f}"
    return _number(cell.value, kind) + half + (f" ({notes})" if notes else "")


def _number(value: float, kind: Kind) -> str:
    if kind is Kind.P:
        return "<0.001" if value < 0.0005 else f"{value:.3f}"
    if kind is Kind.COUNT:
        return f"{value:.0f}"
    if kind is Kind.RATE:
        return f"{value:g}"
    rounded = round(value, 1) + 0.0  # turns -0.0 into 0.0
    return f"{rounded:+.1f}" if kind is Kind.DIFFERENCE else f"{rounded:.1f}"


def _seed_notes(there: Set[int], states: Mapping[int, str], collapsed: Set[int]) -> tuple[str, ...]:
    notes: list[str] = []
    lacking = {seed: state for seed, state in states.items() if seed not in there}
    if lacking:
        notes.append(f"{len(lacking)} of {len(states)} {reason(lacking.values())}")
    if fallen := collapsed & there:
        notes.append(f"collapsed {len(fallen)}/{len(there)}")
    return tuple(notes)


def _csv_fields(cell: Cell, kind: Kind) -> tuple[object, ...]:
    if kind is Kind.TEXT:
        return (cell.words,)
    note = cell.missing or "; ".join(cell.remarks)
    blank = "" if cell.value is None else repr(cell.value)
    return blank, "" if cell.half is None else repr(cell.half), cell.n, note


def concise(table: Table) -> Table:
    """The table as a reader sees it: the commonest number of units is said once, in the caption, not in every cell."""
    counts = Counter(
        (cell.n, cell.unit) for line in table.lines for cell in line.cells if cell.n and cell.value is not None
    )
    if not counts:
        return table
    usual, unit = counts.most_common(1)[0][0]
    said = f"S{single(unit)[1:]}s unless said." if usual == 1 else f"n = {usual} {unit}s unless said."
    lines = (
        replace(line, cells=tuple(replace(cell, n=0) if cell.n == usual else cell for cell in line.cells))
        for line in table.lines
    )
    return replace(table, lines=tuple(lines), caption=f"{table.caption} {said}".strip())


def is_marked(table: Table) -> bool:
    """Whether a cell is ranked or shaded, so that the marks need a legend."""
    return any(cell.rank or cell.shade for line in table.lines for cell in line.cells)


def with_block(lines: Sequence[Line]) -> Iterable[tuple[Line, str]]:
    """Each line with its block's name if it opens the block, else nothing."""
    before = ""
    for line in lines:
        yield line, line.block if line.block != before else ""
        before = line.block


def _pipe(fields: Iterable[str]) -> str:
    return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"


def _markdown_cell(cell: Cell, column: Column) -> str:
    written = text(cell, column.kind)
    marked = {1: f"**{written}**", 2: f"<u>{written}</u>"}.get(cell.rank, written)
    return marked + MARKDOWN_SIGNS.get(cell.shade, "")


def _rich_cell(cell: Cell, column: Column, escape: Callable[[str], str]) -> str:
    styles = [{1: "bold", 2: "underline"}.get(cell.rank, ""), "dim" if cell.missing else ""]
    styles.append({Shade.OVER_HALF: "blue", Shade.ALL: "green"}.get(cell.shade, ""))
    style = " ".join(filter(None, styles))
    written = escape(text(cell, column.kind))
    return f"[{style}]{written}[/]" if style else written
