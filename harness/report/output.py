"""A suite's tables and figures as files and on the terminal; ours beside the published. No torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.analysis import results
from harness.evaluation.benchmarks import is_primary
from harness.show import latex, style, tables
from harness.show.tables import Table
from harness.storage import files
from harness.storage.code import Code, MadeBy, told
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
    made = tables_of(suite, rows, costs, options)
    if console is not None and made:
        console.print(tables.to_rich(made[0], console.width))
    return write_tables(made, out_dir) + write_figures(suite.figures(rows, costs, options), out_dir)


def tables_of(suite: Suite, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
    """The suite's tables; a line of each caption says how many of its runs other code made, if any."""
    made = suite.tables(rows, costs, options)
    if options.source == "paper":
        return made
    said = code_line(results.made_by(rows, suite.runs(registry.profile(options.profile), options)))
    return [replace(table, caption=f"{table.caption} {said}".strip()) for table in made] if said else made


def code_line(made: Mapping[str, MadeBy]) -> str:
    """``Of 26 runs: 3 made by other code.``; empty where all are of the code that is here.

    Args:
        made: by run.
    """
    found = told(made.values())
    return f"Of {len(made)} runs: {found}." if found else ""


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


SELECTION_FILE = "selection.json"
"""Beside tables and figures: what was selected, and which files show it."""


@contextmanager
def of_selection(folder: Path, options: Options) -> Iterator[list[Path]]:
    """One folder shows one selection: files of another are removed, those put into the list are noted beside them."""
    note = folder / SELECTION_FILE
    before = files.read_json(note) if note.is_file() else {}
    same = before.get("selection") == options.selection
    for name in () if same else before.get("files", ()):
        (folder / name).unlink(missing_ok=True)
    wrote: list[Path] = []
    yield wrote
    names = sorted({*(before.get("files", ()) if same else ()), *(path.name for path in wrote)})
    if names:
        files.write_json_atomic(note, {"selection": options.selection, "files": names})


def compare(rows: DataFrame, published: DataFrame) -> tuple[RichTable | None, list[str]]:
    """Our numbers beside the published ones of the same runs: the primary metric at the last step, over their seeds.

    A run of other settings (steps, rates, versions) is another run and is only counted: a line for each such number
    of steps. None for the table if no run is published.
    """
    ours, theirs = results.last_step(rows), results.last_step(published)
    pairs = _pairs(ours, theirs)
    lines = _of_other_settings(ours, theirs)
    if not pairs:
        return None, lines or ["no run of this selection has been published"]
    return _compared(pairs), lines


def _compared(pairs: Sequence[Pair]) -> RichTable:
    from rich.table import Table as RichTable

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


def _of_other_settings(rows: DataFrame, published: DataFrame) -> list[str]:
    """``not compared: 4 runs of 4 steps here, published of 100``, one line for each pair of steps."""
    steps = {side: dict(zip(frame["run"], frame["steps"], strict=True)) for side, frame in enumerate((rows, published))}
    matched = results.match_runs(steps[0], steps[1])
    others = Counter((steps[0][run], steps[1][other]) for run, other in matched.items() if run != other)
    return [
        f"not compared: {n} run{'s' * (n > 1)} of {here} steps here, published of {there}"
        + " under other settings (rates, versions)" * (here == there)
        for (here, there), n in others.items()
    ]


@dataclass(frozen=True, slots=True)
class Pair:
    """One number, measured twice."""

    here: Mapping[str, Any]
    """A row of this machine."""
    published: Mapping[str, Any]

    @property
    def of_equal_code(self) -> bool:
        """Whether both were made by code that is known and equal."""
        here, there = (Code(row["training_code"], row["evaluation_code"]) for row in (self.here, self.published))
        return here.beside(there) is MadeBy.THIS

    @property
    def apart(self) -> float:
        """In [0, 1]."""
        return abs(self.here["value"] - self.published["value"])


def _pairs(rows: DataFrame, published: DataFrame) -> list[Pair]:
    """Every row of ``rows`` that is published too, in the order of ``rows``."""
    theirs = {_key(row): row for row in results.records(published)}
    return [Pair(row, theirs[_key(row)]) for row in results.records(rows) if _key(row) in theirs]


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["run"], row["benchmark"], row["version"], row["decoding"], row["metric"])


def _agreement(pairs: Sequence[Pair]) -> str:
    """Digits are compared between numbers of equal code only: others may differ in the last, and so in a word."""
    alike = [pair for pair in pairs if pair.of_equal_code]
    equal = sum(pair.apart == 0 for pair in alike)
    furthest = f"the furthest differ by {100 * max(pair.apart for pair in pairs):.1f} points"
    if len(alike) == len(pairs):
        return f"{equal} of {len(pairs)} numbers of every decoding and metric are equal, {furthest}"
    digits = f"of {len(pairs)} numbers {len(alike)} are of equal code"
    return f"{digits}{f', {equal} of these equal' if alike else ''}; {furthest}"
