"""Beside a suite's main table: its differences on these items, and what they say of any items of their kind.

A suite lists the pairs its main table compares; ``harness.analysis.answers`` says which items each run
answered right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from harness.analysis import answers, statistics
from harness.analysis.statistics import CONFIDENCE, DRAWS, FEWEST_SEEDS, Difference
from harness.show.tables import Cell, Kind, Table, difference_cell
from harness.types import NoRowsError
from suites.kit.arms import ArmScores, baseline_words
from suites.kit.cells import Measure
from suites.kit.columns import MINUS_BASELINE, NO_BASELINE, ColumnOf, Subject, table

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


NOTHING = Cell()
"""Where no number belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """What the table says of a pair, by the key of the column."""

    difference: Cell = NOTHING
    these_low: Cell = NOTHING
    these_high: Cell = NOTHING
    any_low: Cell = NOTHING
    any_high: Cell = NOTHING
    items: Cell = NOTHING
    differing: Cell = NOTHING


HEADERS = {
    "difference": (MINUS_BASELINE, Kind.DIFFERENCE),
    "these_low": ("these items: from", Kind.DIFFERENCE),
    "these_high": ("these items: to", Kind.DIFFERENCE),
    "any_low": ("any items: from", Kind.DIFFERENCE),
    "any_high": ("any items: to", Kind.DIFFERENCE),
    "items": ("items", Kind.COUNT),
    "differing": ("of them differ", Kind.COUNT),
}
"""Of the fields of ``Intervals``."""


def items_tables(scores: ArmScores, main: Table, pairs: Sequence[Pair], baseline: str) -> list[Table]:
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
        found: Found | None = answers.load(scores.suite, scores.profile, scores.options, scores.rows, names)
    except NoRowsError:
        found = None
    columns: list[ColumnOf[Intervals, None]] = [
        ColumnOf(key=key, header=header, kind=kind, cell=attrgetter(key)) for key, (header, kind) in HEADERS.items()
    ]
    made = table(
        [Subject(of=intervals(pair, found), block=pair.block, label=pair.label, ranked=False) for pair in pairs],
        columns,
        name=f"{main.name}_items",
        title=f"Differences to the baseline: these items, and any items of their kind, profile {scores.profile.name}",
        caption=caption(main, pairs, baseline),
        headers=(main.block_header, main.label_header),
        partial=main.partial,
    )
    return [made]


def arm_items(scores: ArmScores, main: Table, keys: Iterable[str] | None = None) -> list[Table]:
    """``items_tables`` of the arms that a ``comparison_table`` compares; all of them by default."""
    compared = [key for key in (scores.arms if keys is None else keys) if scores.arms[key].baseline not in ("", key)]
    pairs = [arm_pair(scores, key, scores.inside) for key in compared]
    return items_tables(scores, main, pairs, baseline_words(scores, compared))


def arm_pair(scores: ArmScores, key: str, measures: Sequence[Measure], block: str = "") -> Pair:
    """An arm and its baseline; ``block`` of the table, the arm's by default."""
    arm = scores.arms[key]
    return Pair(
        block=block or arm.block,
        label=arm.label,
        measures=measures,
        own=_ids(scores, key),
        base=_ids(scores, arm.baseline),
        difference=scores.difference(key, arm.baseline, measures),
        missing=scores.cell(key, measures).missing,
    )


def _ids(scores: ArmScores, key: str) -> dict[int, str]:
    """Runs by seed."""
    return {seed: line["run"] for seed, line in scores.run_of(key).items()}


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


def intervals(pair: Pair, found: Found | None) -> Intervals:
    """Everything of one pair, or why there is none."""
    difference = pair.difference
    if difference is None:
        return Intervals(difference=Cell(missing=pair.missing or NO_BASELINE))
    own = Intervals(difference=replace(difference_cell(difference), half=None))
    return _any_items(_these_items(own, difference), pair, difference.n, found)


def _these_items(own: Intervals, difference: Difference) -> Intervals:
    if difference.half is None:
        return replace(own, these_low=Cell(missing="single run"))
    low, high = difference.mean - difference.half, difference.mean + difference.half
    return replace(own, these_low=_bound(low, difference.n), these_high=_bound(high, difference.n))


def _any_items(known: Intervals, pair: Pair, seeds: int, found: Found | None) -> Intervals:
    """With both ends, the items and how many of them differ, or why there are none; ``seeds``: of the difference."""
    if found is None:
        return replace(known, any_low=Cell(missing="no answers published"))
    own, base = (_scores(runs, pair.measures, found) for runs in (pair.own, pair.base))
    if (both := len(own.keys() & base.keys())) < seeds:
        return replace(known, any_low=Cell(missing=f"answers of {both} of {seeds} seeds"))
    some = pair.own[next(iter(own))]
    if len({len(found[some, measure.benchmark]) for measure in pair.measures}) > 1:
        # their items together have another mean
        return replace(known, any_low=Cell(missing="benchmarks of unequal size"))
    interval = statistics.paired_bootstrap_t(own, base)
    assert interval is not None  # there is a difference, so there are common seeds
    counted = replace(known, items=Cell(value=len(own[next(iter(own))])), differing=Cell(value=_differing(own, base)))
    if interval.low is None or interval.high is None:
        return replace(
            counted, any_low=Cell(missing=f"under {FEWEST_SEEDS} seeds" if seeds < FEWEST_SEEDS else "no spread")
        )
    return replace(counted, any_low=_bound(interval.low, interval.n), any_high=_bound(interval.high, interval.n))


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


def _bound(share: float, n: int) -> Cell:
    """In points."""
    return Cell(value=100 * share, n=n)
