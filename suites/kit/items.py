"""Beside a suite's main table: its differences on these items, and what they say of any items of their kind.

A suite lists the pairs its main table compares; ``harness.analysis.answers`` says which items each run
answered right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.analysis import answers, statistics
from harness.analysis.statistics import CONFIDENCE, DRAWS, FEWEST_SEEDS, Difference
from harness.show.tables import Cell, Column, Kind, Line, Table, difference_cell
from harness.suite import Suite
from harness.types import NoRowsError
from suites.kit.arms import ArmScores, baseline_words
from suites.kit.cells import Measure, Shown

COLUMNS = (
    Column(key="difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
    Column(key="these_low", header="these items: from", kind=Kind.DIFFERENCE),
    Column(key="these_high", header="these items: to", kind=Kind.DIFFERENCE),
    Column(key="any_low", header="any items: from", kind=Kind.DIFFERENCE),
    Column(key="any_high", header="any items: to", kind=Kind.DIFFERENCE),
    Column(key="items", header="items", kind=Kind.COUNT),
    Column(key="differing", header="of them differ", kind=Kind.COUNT),
)
Found = Mapping[tuple[str, str], Sequence[bool]]
"""Right or wrong, item by item, by run and benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A line: something and the baseline it is compared with in the main table."""

    block: str
    label: str
    measures: Sequence[Measure]
    """What the main table compares is their mean."""
    own: Mapping[int, str]
    """Runs by seed."""
    base: Mapping[int, str]
    difference: Difference | None
    """As in the main table, shares."""
    missing: str
    """Why there is no score of its own; empty if there is one."""


def items_tables(suite: Suite, shown: Shown, main: Table, pairs: Sequence[Pair], baseline: str) -> list[Table]:
    """``<main>_items``: each pair's difference with both intervals; no table if nothing is compared.

    Args:
        main: the table that compares the same pairs.
        baseline: its label, for the caption.

    Raises:
        HarnessError: answers are damaged or not those of the rows.
    """
    if not pairs:
        return []
    names = {measure.benchmark for pair in pairs for measure in pair.measures}
    try:
        found: Found | None = answers.load(suite, shown.profile, shown.options, shown.rows, names)
    except NoRowsError:
        found = None
    made = Table(
        name=f"{main.name}_items",
        title=f"Differences to the baseline: these items, and any items of their kind, profile {shown.profile.name}",
        caption=caption(main, pairs, baseline),
        block_header=main.block_header,
        label_header=main.label_header,
        columns=COLUMNS,
        lines=tuple(_line(pair, found) for pair in pairs),
        partial=main.partial,
    )
    return [made]


def arm_items(scores: ArmScores, main: Table, keys: Iterable[str] | None = None) -> list[Table]:
    """``items_tables`` of the arms that a ``comparison_table`` compares; all of them by default."""
    compared = [key for key in (scores.arms if keys is None else keys) if scores.arms[key].baseline not in ("", key)]
    return items_tables(
        scores.suite, scores, main, [_arm_pair(scores, key) for key in compared], baseline_words(scores, compared)
    )


def _arm_pair(scores: ArmScores, key: str) -> Pair:
    arm = scores.arms[key]
    return Pair(
        block=arm.block,
        label=arm.label,
        measures=scores.inside,
        own=runs_by_seed(scores.run_of(key).values()),
        base=runs_by_seed(scores.run_of(arm.baseline).values()),
        difference=scores.difference(key, arm.baseline, scores.inside),
        missing=scores.cell(key, scores.inside).missing,
    )


def runs_by_seed(lines: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Ids of runs from their lines of ``costs``."""
    return {line["seed"]: line["run"] for line in lines}


def caption(main: Table, pairs: Sequence[Pair], baseline: str) -> str:
    """What the two intervals repeat and what neither does."""
    several = max(len(pair.measures) for pair in pairs) > 1
    which = "of all benchmarks whose mean is compared, taken together" if several else "of the tested benchmark"
    percent = f"{100 * CONFIDENCE:g} %"
    return (
        f"The comparisons of {main.name}, whose caption names the settings; points, paired by seed. Baseline: "
        f"{baseline}. These items: {percent} t interval over seeds, the ± of {main.name}; it speaks of other seeds on "
        f"the same items. Any items: {percent} bootstrap-t interval over seeds and items together ({DRAWS:,} draws, "
        f"from {FEWEST_SEEDS} seeds on); it speaks of other seeds and other items of the same kind, and covers less "
        f"than it says where few items differ at any seed. Items are those {which}. Neither is adjusted for the number "
        f"of comparisons, which {main.name} tests, and neither speaks of other initialisations (docs/statistics.md)."
    )


def _line(pair: Pair, found: Found | None) -> Line:
    difference = pair.difference
    if difference is None:
        reason = pair.missing or "no baseline of these seeds"
        cells = (Cell(missing=reason), *(Cell(),) * (len(COLUMNS) - 1))
    else:
        mean = replace(difference_cell(difference), half=None)
        cells = (mean, *_these_items(difference), *_any_items(pair, difference.n, found))
    return Line(block=pair.block, label=pair.label, cells=cells, ranked=False)


def _these_items(difference: Difference) -> tuple[Cell, Cell]:
    if difference.half is None:
        return Cell(missing="single run"), Cell()
    return _bounds(difference.mean - difference.half, difference.mean + difference.half, difference.n)


def _any_items(pair: Pair, seeds: int, found: Found | None) -> tuple[Cell, Cell, Cell, Cell]:
    """Both ends, the items and how many of them differ, or why there are none; ``seeds``: those of the difference."""
    if found is None:
        return _none("no answers published")
    own, base = (_scores(runs, pair.measures, found) for runs in (pair.own, pair.base))
    if (both := len(own.keys() & base.keys())) < seeds:
        return _none(f"answers of {both} of {seeds} seeds")
    some = pair.own[next(iter(own))]
    if len({len(found[some, measure.benchmark]) for measure in pair.measures}) > 1:
        return _none("benchmarks of unequal size")  # their items together have another mean
    interval = statistics.paired_bootstrap_t(own, base)
    assert interval is not None  # there is a difference, so there are common seeds
    items = Cell(value=len(own[next(iter(own))])), Cell(value=_differing(own, base))
    if interval.low is None or interval.high is None:
        return Cell(missing=f"under {FEWEST_SEEDS} seeds" if seeds < FEWEST_SEEDS else "no spread"), Cell(), *items
    return *_bounds(interval.low, interval.high, interval.n), *items


def _differing(own: Mapping[int, Sequence[float]], base: Mapping[int, Sequence[float]]) -> int:
    """Items that are right in one and wrong in the other at any seed both have."""
    pairs = [zip(own[seed], base[seed], strict=True) for seed in own.keys() & base.keys()]
    return sum(any(a != b for a, b in item) for item in zip(*pairs, strict=True))


def _scores(runs: Mapping[int, str], measures: Sequence[Measure], found: Found) -> dict[int, list[float]]:
    """Of all items of the benchmarks, by seed, for the runs whose answers to all of them are there."""
    keys = {seed: [(run, measure.benchmark) for measure in measures] for seed, run in runs.items()}
    return {
        seed: [float(right) for key in each for right in found[key]]
        for seed, each in keys.items()
        if all(key in found for key in each)
    }


def _bounds(low: float, high: float, n: int) -> tuple[Cell, Cell]:
    """Shares to points."""
    return Cell(value=100 * low, n=n), Cell(value=100 * high, n=n)


def _none(reason: str) -> tuple[Cell, Cell, Cell, Cell]:
    return Cell(missing=reason), Cell(), Cell(), Cell()
