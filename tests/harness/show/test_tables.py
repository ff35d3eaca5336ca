"""Tables as values and their written forms; the expected texts were read by a person."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from harness.analysis.statistics import Difference
from harness.show import tables
from harness.show.tables import Cell, Column, Kind, Line, Shade, Table

DONE = {0: "done", 1: "done", 2: "done"}
COLUMNS = (
    Column(key="score", header="score, %"),
    Column(key="gain", header="gain", kind=Kind.DIFFERENCE),
    Column(key="p", header="p", kind=Kind.P),
)


def line(label: str, *cells: Cell, block: str = "coding → reasoning", ranked: bool = True) -> Line:
    return Line(block=block, label=label, cells=cells, ranked=ranked)


TABLE = Table(
    name="demo_table",
    title="Demo",
    caption="Greedy, 50 % of β & more.",
    block_header="trained → tested",
    label_header="method",
    columns=COLUMNS,
    lines=(
        line("Teacher", Cell(value=72.0, notes=("fixed weights",)), Cell(), Cell(), ranked=False),
        line(
            "Priv. T→S",
            Cell(value=52.04, half=4.97, n=3, rank=2, shade=Shade.OVER_HALF),
            Cell(value=-0.04, half=1.0, n=3),
            Cell(value=0.0312),
        ),
        line(
            "a_b|c",
            Cell(value=73.0, n=1, rank=1, shade=Shade.ALL),
            Cell(value=3.1, n=1),
            Cell(missing="single run"),
        ),
        line(
            "Priv. S→S",
            Cell(value=0.1, half=0.2, n=3, notes=("collapsed 3/3",)),
            Cell(value=-71.9, half=0.3, n=3),
            Cell(value=0.0001),
        ),
        line("DOPD", *(Cell(missing="not run"),) * 3, block="reasoning → coding"),
    ),
    partial="20 of 24 runs done",
)


def test_seed_cell_is_percent_with_interval_and_count() -> None:
    # 50, 52, 54 %: mean 52, half-width 4.302653 * 2 / sqrt(3) = 4.968.
    cell = tables.seed_cell({0: 0.50, 1: 0.52, 2: 0.54}, DONE)
    assert tables.text(cell, Kind.SCORE) == "52.0 ± 5.0 (n=3)"
    assert cell.half == pytest.approx(4.302653 * 2 / math.sqrt(3), abs=1e-5)


def test_seed_cell_names_collapse_single_runs_and_what_is_lacking() -> None:
    written = lambda *arguments: tables.text(tables.seed_cell(*arguments), Kind.SCORE)  # noqa: E731
    assert written({0: 0.5}, {0: "done"}) == "50.0 (single run)"
    assert written({0: 0.5, 1: 0.5}, DONE | {1: "done"}, {1}) == "50.0 ± 0.0 (n=2, 1 of 3 not run, collapsed 1/2)"
    assert written({0: 0.5}, {0: "done", 1: "partial", 2: "absent"}) == "50.0 (single run, 2 of 3 partial)"
    assert written({}, {0: "absent", 1: "absent"}) == "not run"
    assert written({}, {0: "absent", 1: "partial"}) == "partial"
    assert written({}, {0: "unevaluated"}) == "partial"
    assert written({}, {0: "partial", 1: "failed"}) == "failed"


def test_collapsed_seeds_outside_the_cell_are_not_counted() -> None:
    assert tables.seed_cell({0: 0.5, 1: 0.5}, {0: "done", 1: "done"}, {2}).notes == ()


def test_difference_cell_is_in_points() -> None:
    cell = tables.difference_cell(Difference(mean=-0.031, half=0.01, n=3, p=0.04))
    assert tables.text(cell, Kind.DIFFERENCE) == "-3.1 ± 1.0 (n=3)"
    assert tables.text(Cell(value=0.04), Kind.DIFFERENCE) == "+0.0"
    assert tables.text(Cell(value=-0.04), Kind.DIFFERENCE) == "+0.0"


def test_mean_cell_leaves_out_runs_without_a_cost() -> None:
    assert tables.mean_cell([2.0, math.nan, 4.0], ["done", "absent", "done"]).value == 3.0
    assert tables.mean_cell([math.nan], ["partial"]).missing == "partial"


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [
        (None, Shade.NONE),
        (-0.2, Shade.NONE),
        (0.5, Shade.NONE),
        (0.51, Shade.OVER_HALF),
        (0.999, Shade.OVER_HALF),
        (1.0, Shade.ALL),
    ],
)
def test_shades_follow_the_paper(recovery: float | None, expected: Shade) -> None:
    assert tables.shade(recovery) is expected


def ranks(*values: float | None) -> list[int]:
    cells = [Cell(value=v) if v is not None else Cell(missing="not run") for v in values]
    return [marked.rank for marked in tables.marked(cells)]


def test_best_and_second_of_some_cells() -> None:
    assert ranks(1.0, 3.0, 2.0) == [0, 1, 2]
    assert ranks(3.01, 3.04, None, 2.0) == [1, 1, 0, 2]  # equal as printed
    assert ranks(3.0, None) == [0, 0]  # the only one is no best
    assert tables.marked([Cell(value=1.04), Cell(value=1.01)], digits=2)[0] == Cell(value=1.04, rank=1)


MARKDOWN = """\
### Demo (partial: 20 of 24 runs done)

| trained → tested | method | score, % | gain | p |
| --- | --- | ---: | ---: | ---: |
| coding → reasoning | Teacher | 72.0 (fixed weights) |  |  |
|  | Priv. T→S | <u>52.0 ± 5.0</u> ◐ | +0.0 ± 1.0 | 0.031 |
|  | a_b\\|c | **73.0 (single run)** ● | +3.1 (single run) | single run |
|  | Priv. S→S | 0.1 ± 0.2 (collapsed 3/3) | -71.9 ± 0.3 | <0.001 |
| reasoning → coding | DOPD | not run | not run | not run |

Greedy, 50 % of β & more. n = 3 seeds unless said. Bold: best ranked method, underlined: second; \
◐ over half of the gap to the teacher closed, ● all of it.
"""


def test_markdown() -> None:
    assert tables.to_markdown(TABLE) == MARKDOWN


def test_csv_keeps_precision_and_reasons() -> None:
    parsed = list(csv.DictReader(io.StringIO(tables.to_csv(TABLE))))
    assert [record["method"] for record in parsed] == [each.label for each in TABLE.lines]
    assert {record["trained → tested"] for record in parsed} == {"coding → reasoning", "reasoning → coding"}
    assert (parsed[1]["score"], parsed[1]["score_half"], parsed[1]["score_n"]) == ("52.04", "4.97", "3")
    assert (parsed[2]["score_half"], parsed[2]["score_note"]) == ("", "single run")
    assert parsed[3]["score_note"] == "collapsed 3/3"
    assert (parsed[4]["score"], parsed[4]["score_note"]) == ("", "not run")


def test_terminal_table_says_the_same() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tables.to_rich(TABLE, 200))
    printed = console.export_text()
    for expected in ("partial: 20 of 24", "52.0 ± 5.0", "n = 3 seeds", "collapsed 3/3", "not run", "a_b|c"):
        assert expected in printed


def test_square_brackets_are_no_terminal_markup() -> None:
    odd = replace(TABLE, lines=(line("[bold]x", *(Cell(missing="[red]why"),) * 3),))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tables.to_rich(odd, 200))
    assert "[bold]x" in console.export_text(clear=False) and "[red]why" in console.export_text()


def printed(table: Table, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(tables.to_rich(table, width))
    return console.export_text()


def test_a_narrow_terminal_cuts_no_word_and_names_the_columns_it_leaves_out() -> None:
    wide, narrow = printed(TABLE, 200), printed(TABLE, 60)
    assert "only in the files" not in wide and "…" not in wide
    assert "…" not in narrow
    assert "Too wide for 60 characters, so only in the files: gain; p." in " ".join(narrow.split())
    assert "52.0 ± 5.0" in narrow and "-71.9" not in narrow
    assert all(len(each) <= 60 for each in narrow.splitlines())


def test_the_commonest_number_of_seeds_is_said_once() -> None:
    concise = tables.concise(TABLE)
    assert concise.caption == "Greedy, 50 % of β & more. n = 3 seeds unless said."
    assert [each.cells[0].n for each in concise.lines] == [0, 0, 1, 0, 0], "the single run keeps its count"
    alone = replace(TABLE, lines=(TABLE.lines[2],), caption="")
    assert tables.concise(alone).caption == "Single runs unless said."
    none = replace(TABLE, lines=(TABLE.lines[0],))
    assert tables.concise(none) == none, "no mean over seeds, nothing to say"
