"""Tables whose columns know their cells: header and cell are one object, so they cannot meet by counting. No torch.

A line is about a subject (an arm's key, a stage and a method); a column says what stands there for any of them.
``table`` makes every line, ranks the columns that are ranked, and adjusts by Holm once over what a table tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from harness.analysis import statistics
from harness.analysis.statistics import Difference
from harness.show import tables
from harness.show.tables import Cell, Kind, Line, Table, difference_cell, mean_cell, single
from harness.types import HarnessError

S = TypeVar("S")
"""What a line of something trained is about."""
M = TypeVar("M")
"""What a line of an untrained model is about."""
MINUS_BASELINE = "minus baseline, points"
NO_BASELINE = "no baseline of these seeds"
"""Why there is no difference, where there is a score."""


@dataclass(frozen=True, kw_only=True)
class Subject(Generic[S]):
    """What a line is about."""

    of: S
    """What its cells are asked of."""
    block: str
    label: str
    ranked: bool = True
    updates: int = 1
    """Optimiser steps its method takes of a batch; a table that ranks it says so where they are several."""


@dataclass(frozen=True, kw_only=True)
class Untrained(Generic[M]):
    """A line of a model that was only evaluated."""

    of: M
    label: str
    block: str = "not trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A line's difference to something and the p of its test; or why there is none, nothing where none belongs."""

    difference: Difference | None = None
    missing: str = ""
    """Why there is no difference."""
    p: float | None = None
    """As tested, before Holm."""
    untested: str = ""
    """Why there is a difference and no p."""
    scale: float = 100.0
    """Turns shares into points."""

    @property
    def cell(self) -> Cell:
        """The difference."""
        if self.difference is None:
            return Cell(missing=self.missing)
        return difference_cell(self.difference, self.scale)

    def p_cell(self, adjusted: float | None) -> Cell:
        """Its p after Holm."""
        if self.difference is None:
            return Cell()
        return Cell(missing=self.untested) if adjusted is None else Cell(value=adjusted)


def paired(difference: Difference | None, missing: str, scale: float = 100.0) -> Compared:
    """A difference tested by the paired t test; ``missing``: why there is none, if there is none."""
    if difference is None:
        return Compared(missing=missing)
    untested = single(difference.unit) if difference.n == 1 else "no spread"
    return Compared(difference=difference, p=difference.p, untested=untested, scale=scale)


@dataclass(frozen=True, kw_only=True)
class ColumnOf(Generic[S, M]):
    """A column that knows its cells: it has ``cell``, or is a difference (``compared``), or the p of one.

    Example::

        ColumnOf(key="gain", header="minus student, points", kind=Kind.DIFFERENCE, cell=lambda key: gain_of(key))
        ColumnOf(key="p_holm", header="p (Holm)", kind=Kind.P, tested_against="difference")
    """

    key: str
    """Name in the CSV, unique in its table."""
    header: str
    kind: Kind = Kind.SCORE
    cell: Callable[[S], Cell] | None = None
    compared: Callable[[S], Compared] | None = None
    """Of a column of differences."""
    tested_against: str = ""
    """Of a column of p: the key of the differences it tests."""
    family: str = ""
    """Of a column of p: Holm is over all columns of the table that have the same one."""
    reference: Callable[[M], Cell] | None = None
    """Of an untrained model; None: nothing stands there."""
    ranked: bool = False
    """Whether best and second are marked."""


def table(
    lines: Iterable[Subject[S] | Untrained[M]],
    columns: Iterable[ColumnOf[S, M]],
    *,
    name: str,
    title: str,
    caption: str | Callable[[int], str],
    headers: tuple[str, str],
    across: bool = False,
    partial: str = "",
) -> Table:
    """Every cell of every line, ranked and adjusted.

    Args:
        caption: its words, or what makes them from the number of tests in the table.
        headers: of the blocks and of the labels.
        across: best and second among all lines, not within each block.
        partial: see ``Table``.

    Raises:
        HarnessError: two columns have one key, or a p tests what is no column of differences.
    """
    lines, columns = list(lines), list(columns)
    compared = {c.key: [_compared(c.compared, line) for line in lines] for c in columns if c.compared}
    _check(name, columns, compared)
    adjusted = _adjusted(columns, compared)
    cells = [_cells(column, lines, compared, adjusted) for column in columns]
    for place, column in enumerate(columns):
        if column.ranked:
            cells[place] = _ranked(lines, cells[place], across)
    tests = sum(p is not None for each in adjusted.values() for p in each)
    said = caption if isinstance(caption, str) else caption(tests)
    steps = updates_sentences(lines) if any(column.ranked for column in columns) else []
    return Table(
        name=name,
        title=title,
        caption=" ".join(filter(None, (said, *steps))),
        block_header=headers[0],
        label_header=headers[1],
        columns=tuple(tables.Column(key=c.key, header=c.header, kind=c.kind) for c in columns),
        lines=tuple(
            Line(block=line.block, label=line.label, cells=own, ranked=_is_ranked(line))
            for line, own in zip(lines, zip(*cells, strict=True), strict=True)
        ),
        partial=partial,
    )


def updates_sentences(lines: Iterable[Subject[Any] | Untrained[Any]]) -> list[str]:
    """Which of the ranked lines learn more often than the others, a sentence per number of optimiser steps."""
    several: dict[int, dict[str, None]] = {}
    for line in lines:
        if isinstance(line, Subject) and line.ranked and line.updates > 1:
            several.setdefault(line.updates, {})[line.label] = None
    return [
        f"{' and '.join(labels)} take{'s' if len(labels) == 1 else ''} {updates} optimiser steps a batch, each at the "
        "stated learning rate, where others take one."
        for updates, labels in several.items()
    ]


def difference_columns(
    compared: Callable[[S], Compared],
    *,
    key: str = "difference",
    p_key: str = "p_holm",
    header: str = MINUS_BASELINE,
    family: str = "",
) -> tuple[ColumnOf[S, Any], ColumnOf[S, Any]]:
    """A difference and its adjusted p."""
    return (
        ColumnOf(key=key, header=header, kind=Kind.DIFFERENCE, compared=compared),
        ColumnOf(key=p_key, header="p (Holm)", kind=Kind.P, tested_against=key, family=family),
    )


def cost_columns(runs: Callable[[S], Sequence[Mapping[str, Any]] | None]) -> tuple[ColumnOf[S, Any], ...]:
    """Thousand tokens, forwards per token, seconds: means over the runs that have a cost.

    Args:
        runs: lines of ``costs``; None where no cost belongs.
    """

    def mean(subject: S, name: str, unit: float = 1) -> Cell:
        own = runs(subject)
        return Cell() if own is None else mean_cell([run[name] / unit for run in own], [run["state"] for run in own])

    return (
        ColumnOf(
            key="tokens", header="tokens trained, k", kind=Kind.COUNT, cell=lambda each: mean(each, "tokens", 1000)
        ),
        ColumnOf(key="forwards", header="forwards per token", cell=lambda each: mean(each, "forwards_per_token")),
        ColumnOf(key="seconds", header="training, s", kind=Kind.COUNT, cell=lambda each: mean(each, "train_seconds")),
    )


def _check(name: str, columns: Sequence[ColumnOf[Any, Any]], compared: Mapping[str, object]) -> None:
    keys = [column.key for column in columns]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise HarnessError(f"table {name}: two columns have the key {twice[0]!r}: give each a key of its own")
    for column in columns:
        if column.tested_against and column.tested_against not in compared:
            raise HarnessError(
                f"table {name}: column {column.key!r} tests {column.tested_against!r}, which is no column of "
                f"differences; there are {', '.join(compared) or 'none'}"
            )


def _adjusted(
    columns: Sequence[ColumnOf[Any, Any]], compared: Mapping[str, Sequence[Compared]]
) -> dict[str, list[float | None]]:
    """By the key of the differences, the p of each line: Holm over each family of tests."""
    families: dict[str, list[str]] = {}
    for column in columns:
        if column.tested_against:
            families.setdefault(column.family, []).append(column.tested_against)
    found: dict[str, list[float | None]] = {}
    for keys in families.values():
        adjusted = iter(statistics.holm([each.p for key in keys for each in compared[key]]))
        found |= {key: [next(adjusted) for _ in compared[key]] for key in keys}
    return found


def _compared(ask: Callable[[Any], Compared], line: Subject[Any] | Untrained[Any]) -> Compared:
    return ask(line.of) if isinstance(line, Subject) else Compared()


def _cells(
    column: ColumnOf[S, M],
    lines: Sequence[Subject[S] | Untrained[M]],
    compared: Mapping[str, Sequence[Compared]],
    adjusted: Mapping[str, Sequence[float | None]],
) -> list[Cell]:
    """Of one column, line by line."""
    if column.compared:
        return [each.cell for each in compared[column.key]]
    if key := column.tested_against:
        return [each.p_cell(p) for each, p in zip(compared[key], adjusted[key], strict=True)]
    return [_cell(column, line) for line in lines]


def _cell(column: ColumnOf[S, M], line: Subject[S] | Untrained[M]) -> Cell:
    if isinstance(line, Subject):
        return column.cell(line.of) if column.cell else Cell()
    return column.reference(line.of) if column.reference else Cell()


def _is_ranked(line: Subject[Any] | Untrained[Any]) -> bool:
    return isinstance(line, Subject) and line.ranked


def _ranked(lines: Sequence[Subject[Any] | Untrained[Any]], cells: Sequence[Cell], across: bool) -> list[Cell]:
    """Best and second marked among the ranked lines of each block, or of all."""
    groups: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if _is_ranked(line):
            groups.setdefault("" if across else line.block, []).append(place)
    out = list(cells)
    for places in groups.values():
        for place, cell in zip(places, tables.marked([cells[each] for each in places]), strict=True):
            out[place] = cell
    return out
