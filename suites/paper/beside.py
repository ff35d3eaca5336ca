"""Our numbers beside those that the paper prints for the same lines, in columns of their own. No torch."""

from __future__ import annotations

from harness import registry
from harness.show.tables import Cell, Table
from suites.kit.arms import ArmScores, caption
from suites.kit.columns import table
from suites.kit.comparison import ArmColumn, arm_lines, domain_columns, mean_column, untrained_lines
from suites.paper.numbers import PAPER

NOT_PRINTED = "not in the paper"
BESIDE = (
    "Columns that say paper hold its numbers as printed, single ones of other models and other benchmarks, ranked "
    "among themselves: directions and orders compare, sizes do not."
)


def beside_tables(scores: ArmScores) -> list[Table]:
    """``<table>_beside``: the suite's arms in the layout of the paper's table, ours first; none where the profile names
    no table of the paper for the suite.

    Raises:
        HarnessError: it names a table that is not redrawn, near names offered.
    """
    if not (name := scores.profile.part(scores.suite.name).table):
        return []
    drawn = {each: make for each, redrawn in PAPER.items() if (make := redrawn.table)}
    printed = drawn[registry.lookup("table of the paper", name, drawn)](scores.options.published)
    return [
        table(
            [*untrained_lines(scores.suite.models(scores.profile)), *arm_lines(scores)],
            [mean_column(scores), *domain_columns(scores), *paper_columns(scores, printed)],
            name=f"{name}_beside",
            title=f"Beside the paper's {name.replace('table', 'Table ')}, profile {scores.profile.name}",
            caption=f"{caption(scores)} {BESIDE}",
            headers=("", printed.label_header),
            across=True,
            partial=scores.partial,
        )
    ]


def paper_columns(scores: ArmScores, printed: Table) -> list[ArmColumn]:
    """A column for each of a table of the paper, whose lines are found by label; others say that they are not there."""
    labels = {model: label for label, model in scores.suite.models(scores.profile).items()}
    lines = {line.label: line.cells for line in printed.lines}

    def number(label: str, i: int) -> Cell:
        return lines[label][i] if label in lines else Cell(missing=NOT_PRINTED)

    def column(i: int, key: str, header: str) -> ArmColumn:
        return ArmColumn(
            key=f"paper_{key}",
            header=f"paper: {header}",
            cell=lambda arm: number(scores.arms[arm].label, i),
            reference=lambda model: number(labels[model], i),
        )

    return [column(i, each.key, each.header) for i, each in enumerate(printed.columns)]
