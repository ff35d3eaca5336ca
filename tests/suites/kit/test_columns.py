"""Columns that know their cells, on numbers worked by hand."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import suites
from harness.analysis.statistics import Difference
from harness.show.tables import Cell, Kind, Line, Table
from harness.types import HarnessError
from suites.kit.columns import (
    ColumnOf,
    Compared,
    Subject,
    Untrained,
    cost_columns,
    difference_columns,
    paired,
    table,
)


@dataclass(frozen=True)
class Run:
    """What a line is about: a score, and its difference to a baseline with the p of the test."""

    score: float | None = None
    p: float | None = None
    other_p: float | None = None
    n: int = 3
    compared: bool = True


def difference(p: float | None, n: int = 3) -> Difference:
    return Difference(mean=0.02, half=0.01, n=n, p=p)


def score(run: Run) -> Cell:
    return Cell(missing="not run") if run.score is None else Cell(value=run.score)


def first(run: Run) -> Compared:
    return paired(difference(run.p, run.n) if run.compared else None, "no baseline")


def second(run: Run) -> Compared:
    return paired(difference(run.other_p), "")


SCORE: ColumnOf[Run, float] = ColumnOf(
    key="score", header="score, %", cell=score, reference=lambda value: Cell(value=value), ranked=True
)


def line(label: str, run: Run, block: str = "a", *, ranked: bool = True) -> Subject[Run]:
    return Subject(of=run, block=block, label=label, ranked=ranked)


def made(lines: list[Subject[Run] | Untrained[float]], *columns: ColumnOf[Run, float], **words: object) -> Table:
    given = {"name": "t", "title": "T", "caption": "C.", "headers": ("block", "label"), **words}
    return table(lines, columns, **given)  # type: ignore[arg-type]


def column(shown: Table, key: str) -> list[Cell]:
    place = [each.key for each in shown.columns].index(key)
    return [each.cells[place] for each in shown.lines]


RUNS = [line("one", Run(score=50.0)), line("two", Run(score=52.0)), line("three", Run(score=51.0), "b")]


def test_header_and_cell_are_one_object() -> None:
    """In whatever order the columns stand, each cell is below its own header."""
    other: ColumnOf[Run, float] = ColumnOf(
        key="twice", header="twice", kind=Kind.COUNT, cell=lambda run: Cell(value=2 * (run.score or 0))
    )
    for columns in ((SCORE, other), (other, SCORE)):
        shown = made([*RUNS], *columns)
        assert [(each.key, each.header, each.kind) for each in shown.columns] == [
            (each.key, each.header, each.kind) for each in columns
        ]
        assert [cell.value for cell in column(shown, "score")] == [50, 52, 51]
        assert [cell.value for cell in column(shown, "twice")] == [100, 104, 102]
    assert [(each.block, each.label) for each in shown.lines] == [("a", "one"), ("a", "two"), ("b", "three")]


def test_ranked_within_a_block_or_across() -> None:
    def ranks(**words: object) -> list[int]:
        return [cell.rank for cell in column(made([*RUNS], SCORE, **words), "score")]

    assert ranks() == [2, 1, 0]  # the only one of block b is no best
    assert ranks(across=True) == [0, 1, 2]
    plain = made([*RUNS], replace(SCORE, ranked=False))
    assert {cell.rank for cell in column(plain, "score")} == {0}


def test_a_line_that_is_not_ranked_takes_no_rank_from_others() -> None:
    shown = made([line("oracle", Run(score=90.0), ranked=False), *RUNS[:2]], SCORE)
    assert [cell.rank for cell in column(shown, "score")] == [0, 2, 1]
    assert [each.ranked for each in shown.lines] == [False, True, True]


def test_a_ranked_line_that_takes_several_steps_a_batch_is_named() -> None:
    """By what its method does, not by a name; where nothing is ranked the ranks favour nobody."""
    often, twice = (replace(line(label, Run(score=5.0)), updates=4) for label in ("Often", "Too"))
    said = "C. Often takes 4 optimiser steps a batch, each at the stated learning rate, where others take one."
    assert made([line("Once", Run(score=6.0)), often, often], SCORE).caption == said
    assert "Often and Too take 4 optimiser steps" in made([often, twice], SCORE).caption
    assert made([replace(often, ranked=False), line("Once", Run(score=6.0))], SCORE).caption == "C."
    assert made([often], replace(SCORE, ranked=False)).caption == "C."


def test_untrained_models_stand_where_a_column_knows_them() -> None:
    lines: list[Subject[Run] | Untrained[float]] = [
        Untrained(of=99.0, label="Teacher"),
        *RUNS[:2],
        Untrained(of=40.0, label="Student", block="a"),
    ]
    shown = made(lines, SCORE, *difference_columns(first))
    assert [cell.value for cell in column(shown, "score")] == [99, 50, 52, 40]
    assert [cell.rank for cell in column(shown, "score")] == [0, 2, 1, 0]
    for place, block in ((0, "not trained"), (3, "a")):
        teacher: Line = shown.lines[place]
        assert (teacher.block, teacher.ranked) == (block, False)
        assert teacher.cells[1:] == (Cell(), Cell())


def test_holm_is_over_everything_a_table_tests() -> None:
    """p of 0.01, 0.02, 0.04 and 0.03: 4 * 0.01, 3 * 0.02, 2 * 0.03 and, not below the one before, 0.06."""
    runs = [line("one", Run(p=0.01, other_p=0.04)), line("two", Run(p=0.02, other_p=0.03))]
    both = (*difference_columns(first), *difference_columns(second, key="more", p_key="more_p"))
    said: list[int] = []

    def caption(tests: int) -> str:
        said.append(tests)
        return f"{tests} tests."

    shown = made([*runs], *both, caption=caption)
    assert [cell.value for cell in column(shown, "p_holm")] == pytest.approx([0.04, 0.06])
    assert [cell.value for cell in column(shown, "more_p")] == pytest.approx([0.06, 0.06])
    assert (said, shown.caption) == ([4], "4 tests.")
    assert [(cell.value, cell.half) for cell in column(shown, "difference")] == [pytest.approx((2.0, 1.0))] * 2


def test_holm_within_each_family_where_each_column_is_a_question_of_its_own() -> None:
    runs = [line("one", Run(p=0.01, other_p=0.04)), line("two", Run(p=0.02, other_p=0.03))]
    apart = difference_columns(second, key="more", p_key="more_p", family="more")
    shown = made([*runs], *difference_columns(first), *apart)
    assert [cell.value for cell in column(shown, "p_holm")] == pytest.approx([0.02, 0.02])
    assert [cell.value for cell in column(shown, "more_p")] == pytest.approx([0.06, 0.06])


def test_what_is_missing_says_why_and_costs_the_others_nothing() -> None:
    lines = [
        line("tested", Run(p=0.01)),
        line("no baseline", Run(compared=False)),
        line("single", Run(n=1)),
        line("equal", Run()),
        line("absent", Run()),
    ]
    shown = made([*lines], SCORE, *difference_columns(first))
    assert {cell.missing for cell in column(shown, "score")} == {"not run"}
    assert column(shown, "p_holm") == [
        Cell(value=0.01),  # one test, so nothing to adjust for
        Cell(),
        Cell(missing="single run"),
        Cell(missing="no spread"),
        Cell(missing="no spread"),
    ]
    assert column(shown, "difference")[1] == Cell(missing="no baseline")


def test_another_test_than_that_of_the_difference() -> None:
    """A count may be tested in place of the mean: its p is adjusted, and why there is none is its own reason."""
    found = [replace(paired(difference(0.5), ""), p=p, untested="not tested") for p in (0.01, None)]
    runs = [line("counted", Run(n=0)), line("hopeless", Run(n=1))]
    shown = made([*runs], *difference_columns(lambda run: found[run.n]))
    assert column(shown, "p_holm") == [Cell(value=0.01), Cell(missing="not tested")]


def test_costs_are_means_of_the_runs_that_have_some() -> None:
    paid = {"tokens": 3000, "forwards_per_token": 2.0, "train_seconds": 30.0, "state": "done"}
    lost = {
        "tokens": float("nan"),
        "forwards_per_token": float("nan"),
        "train_seconds": float("nan"),
        "state": "failed",
    }
    runs = {50.0: [paid, {**paid, "tokens": 5000}, lost], 51.0: [lost], 52.0: None}
    shown = made([*RUNS], *cost_columns(lambda run: runs[run.score or 0]))
    assert [each.key for each in shown.columns] == ["tokens", "forwards", "seconds"]
    assert [cell.value for cell in shown.lines[0].cells] == [4, 2, 30]
    assert {cell.missing for cell in shown.lines[2].cells} == {"failed"}
    assert set(shown.lines[1].cells) == {Cell()}


def test_columns_that_cannot_be_are_refused() -> None:
    with pytest.raises(HarnessError, match="table t: two columns have the key 'score': give each a key of its own"):
        made([*RUNS], SCORE, SCORE)
    alone: ColumnOf[Run, float] = ColumnOf(key="p", header="p", kind=Kind.P, tested_against="gain")
    with pytest.raises(HarnessError, match="column 'p' tests 'gain', which is no column of differences; there are"):
        made([*RUNS], *difference_columns(first), alone)


def test_suites_make_tables_and_adjust_and_turn_to_the_paper_in_one_place() -> None:
    """What is not made by ``table`` may have a header over another column's cell; a second Holm is another family."""
    sources = {path: ast.parse(path.read_text(encoding="utf-8")) for path in Path(suites.__path__[0]).rglob("*.py")}
    called = Counter(
        (ast.unparse(node.func).rpartition(".")[2], path.name)
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )
    assert {key: called[key] for key in called if key[0] in ("Table", "Line", "Column", "holm")} == {
        (name, "columns.py"): 1 for name in ("Table", "Line", "Column", "holm")
    }
    asked = [
        path.name
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and ast.unparse(node).endswith("source == 'paper'")
    ]
    assert asked == ["numbers.py"]
