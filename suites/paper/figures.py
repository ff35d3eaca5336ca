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
from harness.show.bars import number_words
from harness.show.style import PER_ROW
from harness.show.tables import Cell, Kind, Table
from suites.kit.columns import ColumnOf, Subject, table
from suites.kit.looks import label_look
from suites.paper.tables import BASELINE, SINGLE, SUBJECT, table1, table2

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.hbars import Panel
    from harness.show.lines import Series

BILLIONS = {"Qwen3-8B": 8.0, "Qwen3-4B": 4.0, "Qwen3-1.7B": 1.7, "Qwen3-0.6B": 0.6}
"""Parameters, as the names of the models say."""


def figure1(published: Path) -> dict[str, Figure]:
    """Average and every benchmark of Table 1, each method minus vanilla OPD."""
    return {"figure1_paper": _differences(1, "language models", table1(published))}


def figure1_vlm(published: Path) -> dict[str, Figure]:
    """The same of Table 2."""
    return {"figure1_vlm_paper": _differences(2, "vision-language models", table2(published))}


def _differences(number: int, what: str, printed: Table) -> Figure:
    """A panel per column, the average first."""
    from harness.show.hbars import lying_bars

    last = len(printed.columns) - 1
    averages = {line.label: value for line in printed.lines if line.ranked and (value := line.cells[last].value)}
    first, second = sorted(averages, key=lambda label: -averages[label])[:2]
    lead = averages[first] - averages[second]
    return lying_bars(
        [_panel(printed, i) for i in (last, *range(last))],
        title=f"The paper's Table {number}, {what}: {first}'s average {lead:.1f} above {second}'s",
        axis=f"minus {BASELINE}, points",
        caption=(
            f"{first} has the highest average, {averages[first]:.1f}, next is {second} with {averages[second]:.1f}. "
            f"Drawn from the paper's Table {number} for its Figure 1. {SINGLE}"
        ),
        columns=PER_ROW,
    )


def _panel(printed: Table, i: int) -> Panel:
    """Methods minus vanilla OPD in one column; where student, vanilla OPD and teacher are."""
    from harness.show.bars import Bar, Group
    from harness.show.hbars import Panel

    values = {line.label: line.cells[i].value for line in printed.lines}
    base = values[BASELINE]
    assert base is not None, f"table {printed.name} prints no {BASELINE}"
    rivals = [line.label for line in printed.lines if line.ranked and line.label != BASELINE]
    bars = tuple(
        Bar(label=label, mean=None if (own := values[label]) is None else own - base, look=label_look(label))
        for label in rivals
    )
    return Panel(
        title=printed.columns[i].header.removesuffix(", %"),
        groups=(Group(title="", bars=bars),),
        differences=True,
        note=", ".join(f"{label} {values[label]:.1f}" for label in ("Student", BASELINE, "Teacher")),
    )


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
            title=f"The paper's Figure 6{letter}, {what}: {SUBJECT} above {BASELINE} in {_ahead(points, of)} pairs",
            x_axis="parameters of the teacher ÷ of the student",
            caption=f"{_least(points, of, unit)} {DERIVED} Solid: student Qwen3-0.6B; dashed: Qwen3-1.7B.",
            log_x=True,
        )
        for letter, what, axis, unit, of in (
            ("a", "gain", "average minus the student's, points", "points", lambda pair: pair.gain),
            (
                "b",
                "gap closed",
                "share of the gap to the teacher closed, %",
                "% of the gap",
                lambda pair: pair.recovery,
            ),
        )
    }


def _leads(points: Sequence[Pair], of: Callable[[Pair], float]) -> dict[str, float]:
    """DOPD minus vanilla OPD by pair."""
    values = {(pair.teacher, pair.student, pair.method): of(pair) for pair in points}
    return {
        f"{teacher} → {student}": value - values[teacher, student, BASELINE]
        for (teacher, student, method), value in values.items()
        if method == SUBJECT
    }


def _ahead(points: Sequence[Pair], of: Callable[[Pair], float]) -> str:
    leads = _leads(points, of)
    return f"{sum(lead > 0 for lead in leads.values())} of {len(leads)}"


def _least(points: Sequence[Pair], of: Callable[[Pair], float], unit: str) -> str:
    leads = _leads(points, of)
    low, high = min(leads, key=lambda pair: leads[pair]), max(leads, key=lambda pair: leads[pair])
    return (
        f"{SUBJECT} minus {BASELINE} is {number_words(leads[low], signed=True)} ({low}) to "
        f"{number_words(leads[high], signed=True)} {unit} ({high})."
    )


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
