"""A suite's tables and figures as files and on the terminal; ours beside the published. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.analysis import results
from harness.evaluation.benchmarks import is_primary
from harness.show import latex, style, tables
from harness.show.tables import Table
from harness.storage import files
from harness.suite import Options, Suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from rich.console import Console
    from rich.table import Table as RichTable

WRITERS = {"csv": tables.to_csv, "md": tables.to_markdown, "tex": latex.to_latex}


def emit(
    suite: Suite,
    rows: DataFrame,
    costs: DataFrame,
    options: Options,
    out_dir: Path,
    *,
    console: Console | None = None,
) -> list[Path]:
    """Writes every table and figure of a suite into ``out_dir``; prints its first table, the main one.

    Returns the files written. Equal rows give equal files.
    """
    made = suite.tables(rows, costs, options)
    if console is not None and made:
        console.print(tables.to_rich(made[0], console.width))
    return write_tables(made, out_dir) + write_figures(suite.figures(rows, costs, options), out_dir)


def write_tables(made: Sequence[Table], out_dir: Path, *, console: Console | None = None) -> list[Path]:
    """Each table as CSV, Markdown and LaTeX, named after it; printed too if there is a console."""
    paths: list[Path] = []
    for table in made:
        if console is not None:
            console.print(tables.to_rich(table, console.width))
        for suffix, write in WRITERS.items():
            paths.append(out_dir / f"{table.name}.{suffix}")
            files.write_text_atomic(paths[-1], write(table))
    return paths


def write_figures(drawn: Mapping[str, Figure], out_dir: Path) -> list[Path]:
    """Each figure as PDF and PNG, named by its stem."""
    return [path for stem, figure in drawn.items() for path in style.save(figure, out_dir, stem)]


def compare(rows: DataFrame, published: DataFrame) -> RichTable:
    """Our numbers beside the published ones: the primary metric at the last step, over the seeds both have.

    Runs are matched by id, else by what they are (method, models, domains, seed), so that a run of other
    steps is compared and said to be of other settings.
    """
    from rich.table import Table as RichTable

    pairs = _pairs(results.last_step(rows), results.last_step(published))
    out = RichTable(title="this machine beside the published rows", caption=_agreement(pairs), title_justify="left")
    for name in ("method", "trained on", "benchmark"):
        out.add_column(name)
    for name in ("seeds", "here, %", "published, %", "difference"):
        out.add_column(name, justify="right")
    cells: dict[tuple[str, str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        row = pair.here
        if is_primary(row):
            cells[row["method"], row["train_domains"], row["benchmark"]].append(pair)
    for names, cell in cells.items():
        here = 100 * fmean(pair.here["value"] for pair in cell)
        there = 100 * fmean(pair.published["value"] for pair in cell)
        out.add_row(*names, str(len(cell)), f"{here:.1f}", f"{there:.1f}", f"{here - there + 0.0:+.1f}")
    return out


@dataclass(frozen=True, slots=True)
class Pair:
    """One number, measured twice."""

    here: Mapping[str, Any]
    """A row of this machine."""
    published: Mapping[str, Any]

    @property
    def apart(self) -> float:
        """In [0, 1]."""
        return abs(self.here["value"] - self.published["value"])


def _pairs(rows: DataFrame, published: DataFrame) -> list[Pair]:
    """Every row of ``rows`` that has a counterpart, in the order of ``rows``."""
    matched = results.match_runs(rows["run"].tolist(), published["run"].tolist())
    theirs = {_key(row, row["run"]): row for row in results.records(published)}
    keyed = ((row, _key(row, matched.get(row["run"], ""))) for row in results.records(rows))
    return [Pair(row, theirs[key]) for row, key in keyed if key in theirs]


def _key(row: Mapping[str, Any], run: str) -> tuple[Any, ...]:
    return (run, row["benchmark"], row["version"], row["decoding"], row["metric"])


def _agreement(pairs: Sequence[Pair]) -> str:
    if not pairs:
        return "no run of this selection has been published"
    equal = sum(pair.apart == 0 for pair in pairs)
    other = len({pair.here["run"] for pair in pairs if pair.here["run"] != pair.published["run"]})
    note = f"; {other} runs were published under other settings (steps, versions)" if other else ""
    return (
        f"{equal} of {len(pairs)} numbers of every decoding and metric are equal, the furthest differ by "
        f"{100 * max(pair.apart for pair in pairs):.1f} points{note}"
    )
