"""The paper's own tables and figures, redrawn from its own numbers: ``--from paper``. No torch.

A suite is of ``PaperNumbers`` and names what it shows in ``paper``; here it is decided whether that or the suite's own
tables and figures are shown. The paper's figures exist as pictures only and were not read: Figures 1 and 6 are drawn
from the tables they show; of the others the text states a number or a few, which are a table and no picture, and where
it states none the table says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness import registry
from harness.analysis import results
from harness.show.tables import Kind, Table
from harness.suite import Options
from harness.types import HarnessError, Modality
from suites.kit.arms import ArmSuite
from suites.paper import figures as paper_figures
from suites.paper import tables as paper_tables
from suites.paper import text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class PaperNumbers(ArmSuite):
    """A suite with something to show under ``--from paper``."""

    paper: ClassVar[tuple[str, ...]] = ()
    """Names of ``PAPER``, in order."""

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """The paper's, or those of the rows."""
        return self.paper_tables(options) if from_paper(options) else super().tables(rows, costs, options)

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """The paper's, or those of the rows."""
        return self.paper_figures(options) if from_paper(options) else super().figures(rows, costs, options)

    def paper_rows(self, options: Options) -> DataFrame:
        """The numbers of ``paper_tables`` in the columns of rows; what the paper does not state is absent.

        Raises:
            HarnessError: the suite shows nothing of the paper.
        """
        if not self.paper:
            raise HarnessError(f"suite {self.name}: the paper states no numbers for it; use --from runs or published")
        return rows(self.paper_tables(options))

    def paper_tables(self, options: Options) -> list[Table]:
        """Every table of ``paper`` that has one; those of the profile's modality first."""
        return [make(options.published) for each in self._shown(options) if (make := each.table)]

    def paper_figures(self, options: Options) -> dict[str, Figure]:
        """Every figure of ``paper``, by file stem; those of the profile's modality first."""
        drawn: dict[str, Figure] = {}
        for each in self._shown(options):
            if draw := each.figures:
                drawn |= draw(options.published)
        return drawn

    def _shown(self, options: Options) -> list[Redrawn]:
        modality = registry.profile(options.profile).modality
        return sorted((PAPER[name] for name in self.paper), key=lambda each: each.modality is not modality)


def from_paper(options: Options) -> bool:
    """Whether the paper's own numbers are asked for."""
    return options.source == "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawn:
    """What can be shown of one table or figure of the paper; arguments are the folder that holds ``paper/``."""

    table: Callable[[Path], Table] | None = None
    figures: Callable[[Path], dict[str, Figure]] | None = None
    modality: Modality = Modality.TEXT
    """Of the problems that it is about."""


def rows(tables: Sequence[Table]) -> DataFrame:
    """The numbers of some tables as rows: method the line's label, metric the table's name, values as shares.

    Counts and ratios are no scores and are left out.
    """
    import pandas as pd

    records = [
        {
            "run": results.PAPER,
            "method": line.label,
            "profile": results.PAPER,
            "train_domains": line.block,
            "benchmark": column.key,
            "metric": table.name,
            "value": round(cell.value / 100, 6),
        }
        for table in tables
        for line in table.lines
        for column, cell in zip(table.columns, line.cells, strict=True)
        if cell.value is not None and column.kind in (Kind.SCORE, Kind.DIFFERENCE)
    ]
    return pd.DataFrame(records, columns=list(results.ROW_COLUMNS))


PAPER: dict[str, Redrawn] = {
    "table1": Redrawn(table=paper_tables.table1),
    "table2": Redrawn(table=paper_tables.table2, modality=Modality.VISION),
    "table3": Redrawn(table=paper_tables.table3),
    "table4": Redrawn(table=paper_tables.table4),
    "table5": Redrawn(table=paper_tables.table5, modality=Modality.VISION),
    "table6": Redrawn(table=paper_tables.table6),
    "table7": Redrawn(table=paper_tables.table7),
    "table8": Redrawn(table=paper_tables.table8),
    "figure1": Redrawn(figures=paper_figures.figure1),
    "figure1_vlm": Redrawn(figures=paper_figures.figure1_vlm, modality=Modality.VISION),
    "figure3": Redrawn(table=text.figure3_table),
    "figure4": Redrawn(table=text.figure4_table),
    "figure6": Redrawn(table=paper_figures.figure6_table, figures=paper_figures.figure6),
    "figure7a": Redrawn(table=text.figure7a_table),
    "figure7b": Redrawn(table=text.figure7b_table),
    "figure8": Redrawn(table=text.figure8_table),
    "figure10": Redrawn(table=text.figure10_table),
}
"""By the paper's name, in its order: tables, then figures."""
