"""The paper's Figures 1 and 6, drawn from the tables they show. No torch.

Every function takes the folder that holds ``paper/``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import results
from harness.analysis.statistics import gain, gap_recovery
from harness.show.tables import Cell, Kind, Table
from suites.kit.columns import ColumnOf, Subject, table
from suites.kit.lines import reference_lines
from suites.kit.looks import label_look
from suites.paper.tables import BASELINE, SINGLE, SUBJECT, table1, table2

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.bars import Group
    from harness.show.lines import Series

BILLIONS = {"Qwen3-8B": 8.0, "Qwen3-4B": 4.0, "Qwen3-1.7B": 1.7, "Qwen3-0.6B": 0.6}
"""Parameters, as the names of the models say."""


def figure1(published: Path) -> dict[str, Figure]:
    """Average and every benchmark of Tables 1 and 2."""
    from harness.show.clusters import clustered_bars

    return {
        f"figure1{suffix}_paper": clustered_bars(
            _bars(printed),
            title=f"The paper's Figure 1, drawn from its Table {number}: {what}",
            axis="score, %",
            caption=SINGLE,
        )
        for suffix, number, what, printed in (
            ("", 1, "language models", table1(published)),
            ("_vlm", 2, "vision-language models", table2(published)),
        )
    }


def _bars(table: Table) -> list[Group]:
    """A group per column, the average first; student and teacher as lines."""
    from harness.show.bars import Bar, Group

    order = [len(table.columns) - 1, *range(len(table.columns) - 1)]
    ends = {line.label: line for line in table.lines if not line.ranked}
    return [
        Group(
            title=table.columns[i].header.removesuffix(", %"),
            bars=tuple(
                Bar(label=line.label, mean=line.cells[i].value, look=label_look(line.label))
                for line in table.lines
                if line.ranked
            ),
            references=reference_lines({label: ends[label].cells[i].value for label in ("Student", "Teacher")}),
        )
        for i in order
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A method on one pair of Table 3."""

    teacher: str
    student: str
    method: str
    ratio: float
    """Parameters of the teacher over those of the student."""
    gain: float
    """Points over the student, of the printed averages."""
    recovery: float
    """Percent of the gap."""


def size_pairs(published: Path) -> list[Pair]:
    """Figure 6's points: Table 3's averages against the ratio of sizes, rising."""
    printed = results.paper_numbers("table3_model_pairs", published)
    models = {line["teacher"]: line["average"] for line in printed if line["method"] == "base"}
    found: list[Pair] = []
    for line in printed:
        if line["method"] == "base":
            continue
        teacher, student = models[line["teacher"]], models[line["student"]]
        share = gap_recovery(line["average"], student, teacher)
        assert share is not None, "no two models of Table 3 have equal averages"
        found.append(
            Pair(
                teacher=line["teacher"],
                student=line["student"],
                method=line["method"],
                ratio=BILLIONS[line["teacher"]] / BILLIONS[line["student"]],
                gain=gain(line["average"], student),
                recovery=100 * share,
            )
        )
    return sorted(found, key=lambda pair: pair.ratio)


DERIVED = (
    "Derived here from the averages of the paper's Table 3 (arXiv:2606.30626): single numbers without seeds or "
    "intervals. Sizes are those in the models' names."
)


def figure6_table(published: Path) -> Table:
    """Gain and gap closed by ratio of sizes."""
    columns: list[ColumnOf[Pair, None]] = [
        ColumnOf(key="ratio", header="size ratio", kind=Kind.RATE, cell=lambda pair: Cell(value=round(pair.ratio, 2))),
        ColumnOf(key="gain", header="gain, points", kind=Kind.DIFFERENCE, cell=lambda pair: Cell(value=pair.gain)),
        ColumnOf(key="recovery", header="gap closed, %", cell=lambda pair: Cell(value=pair.recovery)),
    ]
    return table(
        [
            Subject(of=pair, block=f"{pair.teacher} → {pair.student}", label=pair.method, ranked=False)
            for pair in size_pairs(published)
        ],
        columns,
        name="figure6_paper",
        title="The paper's Figure 6: gain and gap closed against the ratio of sizes",
        caption=DERIVED,
        headers=("teacher → student", "method"),
    )


def figure6(published: Path) -> dict[str, Figure]:
    """6a: gain; 6b: gap closed. Student 0.6B solid, 1.7B dashed."""
    from harness.show.lines import LinePanel, curves

    points = size_pairs(published)
    return {
        f"figure6{letter}_paper": curves(
            [LinePanel(title="", y_axis=axis, series=_size_lines(points, of))],
            title=f"The paper's Figure 6{letter}: {what} against size ratio",
            x_axis="parameters of the teacher ÷ of the student",
            caption=f"{DERIVED} Solid: student Qwen3-0.6B; dashed: Qwen3-1.7B.",
        )
        for letter, what, axis, of in (
            ("a", "gain", "average minus the student's, points", lambda pair: pair.gain),
            ("b", "gap closed", "share of the gap to the teacher closed, %", lambda pair: pair.recovery),
        )
    }


def _size_lines(points: Sequence[Pair], of: Callable[[Pair], float]) -> tuple[Series, ...]:
    from harness.show.lines import Series

    lines: list[Series] = []
    for method in (SUBJECT, BASELINE):
        for student, style in (("Qwen3-0.6B", "solid"), ("Qwen3-1.7B", "dashed")):
            own = [pair for pair in points if (pair.method, pair.student) == (method, student)]
            line = Series(
                label=f"{method}, {student.removeprefix('Qwen3-')}",
                x=tuple(pair.ratio for pair in own),
                y=tuple(map(of, own)),
                look=label_look(method),
            )
            lines.append(replace(line, line=style))
    return tuple(lines)
