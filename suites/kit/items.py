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
from harness.analysis.units import Units
from harness.show.tables import Cell, Kind, Table, difference_cell, single
from harness.types import NoRowsError
from suites.kit.arms import ArmScores, baseline_words
from suites.kit.columns import MINUS_BASELINE, NO_BASELINE, ColumnOf, Subject, table
from suites.kit.measures import Measure

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
    drawn = {} if scores.units.are_seeds else DRAWN_HEADERS
    what = "draws, and draws with their items" if drawn else "these items, and any items of their kind"
    columns: list[ColumnOf[Intervals, None]] = [
        ColumnOf(key=key, header=drawn.get(key, header), kind=kind, cell=attrgetter(key))
        for key, (header, kind) in HEADERS.items()
    ]
    made = table(
        [
            Subject(of=intervals(pair, found, scores.units), block=pair.block, label=pair.label, ranked=False)
            for pair in pairs
        ],
        columns,
        name=f"{main.name}_items",
        title=f"Differences to the baseline: {what}, profile {scores.profile.name}",
        caption=caption(main, pairs, baseline, scores.units),
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


def caption(main: Table, pairs: Sequence[Pair], baseline: str, units: Units) -> str:
    """What the two intervals repeat and what neither does."""
    if not units.are_seeds:
        return drawn_caption(main, baseline)
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


def drawn_caption(main: Table, baseline: str) -> str:
    """The same where every draw has its own items: a draw's mean varies with them, so both intervals cover them."""
    percent = f"{100 * CONFIDENCE:g} %"
    return (
        f"The comparisons of {main.name}, whose caption names the settings; points, paired by draw. Baseline: "
        f"{baseline}. Every draw has items of its own, counted over all draws. From draws: {percent} t interval, the ± "
        f"of {main.name}. From draws and items: {percent} bootstrap-t interval over draws, items drawn again within "
        f"each ({DRAWS:,} resamples, from {FEWEST_SEEDS} draws on). Both speak of other draws with other items of the "
        f"same kind and of no other world (docs/statistics.md). Neither is adjusted for the number of comparisons, "
        f"which {main.name} tests."
    )


DRAWN_HEADERS = {
    "these_low": "from draws: from",
    "these_high": "from draws: to",
    "any_low": "from draws and items: from",
    "any_high": "from draws and items: to",
}
"""In the place of ``HEADERS`` where items are a draw's own."""


def intervals(pair: Pair, found: Found | None, units: Units) -> Intervals:
    """Everything of one pair, or why there is none."""
    difference = pair.difference
    if difference is None:
        return Intervals(difference=Cell(missing=pair.missing or NO_BASELINE))
    own = Intervals(difference=replace(difference_cell(difference), half=None))
    return _any_items(_these_items(own, difference), pair, difference.n, found, units)


def _these_items(own: Intervals, difference: Difference) -> Intervals:
    if difference.half is None:
        return replace(own, these_low=Cell(missing=single(difference.unit)))
    low, high = difference.mean - difference.half, difference.mean + difference.half
    return replace(
        own,
        these_low=_bound(low, difference.n, difference.unit),
        these_high=_bound(high, difference.n, difference.unit),
    )


def _any_items(known: Intervals, pair: Pair, n: int, found: Found | None, units: Units) -> Intervals:
    """With both ends, the items and how many of them differ, or why there are none; ``n``: of the difference."""
    if found is None:
        return replace(known, any_low=Cell(missing="no answers published"))
    own, base = (_scores(runs, pair.measures, found) for runs in (pair.own, pair.base))
    if (both := len({units.of(seed) for seed in own} & {units.of(seed) for seed in base})) < n:
        return replace(known, any_low=Cell(missing=f"answers of {both} of {n} {units.many}"))
    some = pair.own[next(iter(own))]
    if len({len(found[some, measure.benchmark]) for measure in pair.measures}) > 1:
        # their items together have another mean
        return replace(known, any_low=Cell(missing="benchmarks of unequal size"))
    a, b = units.averaged_items(own), units.averaged_items(base)
    interval = statistics.paired_bootstrap_t(a, b, nested=not units.are_seeds)
    assert interval is not None  # there is a difference, so there are common units
    items, differing = _counted(own, base, units)
    counted = replace(known, items=Cell(value=items), differing=Cell(value=differing))
    if interval.low is None or interval.high is None:
        return replace(
            counted, any_low=Cell(missing=f"under {FEWEST_SEEDS} {units.many}" if n < FEWEST_SEEDS else "no spread")
        )
    return replace(counted, any_low=_bound(interval.low, n, units.one), any_high=_bound(interval.high, n, units.one))


def _counted(own: Mapping[int, Sequence[float]], base: Mapping[int, Sequence[float]], units: Units) -> tuple[int, int]:
    """Items, and those that are right in one and wrong in the other at any seed both have; a draw's are its own."""
    groups: dict[int, list[int]] = {}
    for seed in own.keys() & base.keys():
        groups.setdefault(0 if units.are_seeds else units.of(seed), []).append(seed)
    pairs = [[zip(own[seed], base[seed], strict=True) for seed in seeds] for seeds in groups.values()]
    differ = [any(a != b for a, b in item) for each in pairs for item in zip(*each, strict=True)]
    return len(differ), sum(differ)


def _scores(runs: Mapping[int, str], measures: Sequence[Measure], found: Found) -> dict[int, list[float]]:
    """Of all items of the benchmarks, by seed, for the runs whose answers to all of them are there."""
    keys = {seed: [(run, measure.benchmark) for measure in measures] for seed, run in runs.items()}
    return {
        seed: [float(right) for key in each for right in found[key]]
        for seed, each in keys.items()
        if all(key in found for key in each)
    }


def _bound(share: float, n: int, unit: str) -> Cell:
    """In points."""
    return Cell(value=100 * share, n=n, unit=unit)
