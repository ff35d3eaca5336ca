"""Columns of arms, and the tables that most suites make of them. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from harness.config import ModelSpec
from harness.show.tables import Cell, Kind, Shade, Table
from suites.kit.arms import ArmScores, baseline_words
from suites.kit.columns import (
    MINUS_BASELINE,
    NO_BASELINE,
    ColumnOf,
    Compared,
    S,
    Subject,
    Untrained,
    cost_columns,
    difference_columns,
    paired,
    table,
)
from suites.kit.measures import At, Measure, asked, benchmark_header, measures_of, words_of
from suites.kit.sentences import SECONDS, tests_sentence

ArmColumn = ColumnOf[str, ModelSpec]
"""Its lines are about an arm's key, or an untrained model."""


def arm_lines(scores: ArmScores, keys: Iterable[str] | None = None) -> list[Subject[str]]:
    """A line per arm; all of them by default."""
    arms = [scores.arms[key] for key in (scores.arms if keys is None else keys)]
    return [
        Subject(of=arm.key, block=arm.block, label=arm.label, ranked=arm.ranked, updates=arm.updates) for arm in arms
    ]


def untrained_lines(models: Mapping[str, ModelSpec]) -> list[Untrained[ModelSpec]]:
    """A line per model that was only evaluated, by its name."""
    return [Untrained(of=model, label=label) for label, model in models.items()]


def score_column(
    scores: ArmScores, measures: Sequence[Measure], *, key: str, header: str, ranked: bool = True
) -> ArmColumn:
    """Mean of some measures, percent; empty without any."""
    if not measures:
        return ArmColumn(key=key, header=header)
    return ArmColumn(
        key=key,
        header=header,
        cell=lambda arm: scores.cell(arm, measures),
        reference=lambda model: scores.reference_cell(model, measures),
        ranked=ranked,
    )


def mean_column(scores: ArmScores) -> ArmColumn:
    """Mean of the trained range."""
    return score_column(scores, scores.inside, key="score", header="mean of domains, %")


def harder_column(scores: ArmScores, *, ranked: bool = True) -> ArmColumn:
    """Mean of the harder range."""
    return score_column(scores, scores.harder, key="harder", header="harder range, %", ranked=ranked)


def gain_of(scores: ArmScores, key: str) -> Cell:
    """Points over the arm's own student, trained range."""
    return scores.gain(key, scores.inside)


def recovery_of(scores: ArmScores, key: str) -> Cell:
    """Percent of the way to the arm's own teacher, trained range."""
    return scores.recovered(key, scores.inside)


def gain_column(scores: ArmScores) -> ArmColumn:
    """``gain_of`` each arm."""
    return ArmColumn(
        key="gain", header="minus student, points", kind=Kind.DIFFERENCE, cell=lambda key: gain_of(scores, key)
    )


def recovery_column(scores: ArmScores) -> ArmColumn:
    """``recovery_of`` each arm."""
    return ArmColumn(key="recovery", header="gap recovered, %", cell=lambda key: recovery_of(scores, key))


def to_baseline(
    scores: ArmScores,
    key: str,
    measures: Sequence[Measure] | None = None,
    step: At = "last",
    scale: float = 100.0,
) -> Compared:
    """An arm minus its baseline in some measures, by default the trained range; nothing for an arm without one."""
    return minus_arm(scores, key, scores.arms[key].baseline, measures, step, scale)


def minus_arm(
    scores: ArmScores,
    key: str,
    base: str,
    measures: Sequence[Measure] | None = None,
    step: At = "last",
    scale: float = 100.0,
) -> Compared:
    """An arm minus another one; nothing where there is no other, and the word for the arm itself."""
    if base in ("", key):
        return Compared(missing="baseline" if base else "")
    measures = scores.inside if measures is None else measures
    missing = scores.cell(key, measures, step).missing or NO_BASELINE
    return paired(scores.difference(key, base, measures, step), missing, scale)


def baseline_columns(scores: ArmScores) -> tuple[ArmColumn, ArmColumn]:
    """``to_baseline`` of each arm and its p."""
    return difference_columns(partial(to_baseline, scores))


def early_columns(scores: ArmScores) -> tuple[ArmColumn, ...]:
    """Mean of the trained range at the early step and its difference to the baseline, without a test."""
    step = scores.early
    if step is None:
        return ()
    return early_pair(step, partial(early_cell, scores), lambda key: to_baseline(scores, key, step=step))


def early_cell(scores: ArmScores, key: str, measures: Sequence[Measure] | None = None) -> Cell:
    """A score at the early step, with its interval and no colour."""
    assert scores.early is not None
    shown = scores.inside if measures is None else measures
    return replace(scores.cell(key, shown, scores.early), shade=Shade.NONE)


def early_pair(
    step: int, cell: Callable[[S], Cell], compared: Callable[[S], Compared]
) -> tuple[ColumnOf[S, Any], ColumnOf[S, Any]]:
    """A score at an early step and its difference to the baseline, with intervals and without a test."""
    return (
        ColumnOf(key="early", header=f"early, step {step}, %", cell=cell),
        ColumnOf(
            key="early_difference",
            header=f"early, step {step}, {MINUS_BASELINE}",
            kind=Kind.DIFFERENCE,
            compared=compared,
        ),
    )


def arm_costs(scores: ArmScores) -> tuple[ArmColumn, ...]:
    """What an arm's runs cost."""
    return cost_columns(lambda key: list(scores.run_of(key).values()))


def domain_columns(scores: ArmScores) -> list[ArmColumn]:
    """A column per domain, and one for the mean of the harder range where there is one."""
    each = [
        score_column(scores, [m], key=m.benchmark, header=benchmark_header(m.benchmark, scores.profile))
        for m in scores.inside
    ]
    return [*each, harder_column(scores)] if scores.harder else each


def comparison_table(
    scores: ArmScores,
    *,
    name: str,
    title: str,
    caption: str,
    block_header: str = "",
    label_header: str = "method",
    arms: Iterable[str] | None = None,
    extras: Sequence[ArmColumn] | None = None,
    references: Mapping[str, ModelSpec] | None = None,
    one_ranking: bool = False,
) -> Table:
    """Arms with gain, gap recovered, difference to their baselines, extra columns and cost; Holm over the table.

    Args:
        arms: keys, in order; all of them by default.
        extras: further columns; one per domain and the harder range by default.
        references: untrained models on top; the suite's by default.
        one_ranking: best and second among all arms, not within each block.
    """
    keys = list(scores.arms) if arms is None else list(arms)
    models = scores.suite.models(scores.profile) if references is None else references
    return table(
        [*untrained_lines(models), *arm_lines(scores, keys)],
        [
            mean_column(scores),
            gain_column(scores),
            recovery_column(scores),
            *baseline_columns(scores),
            *early_columns(scores),
            *(domain_columns(scores) if extras is None else extras),
            *arm_costs(scores),
        ],
        name=name,
        title=f"{title}, profile {scores.profile.name}",
        caption=compared_caption(scores, keys, caption),
        headers=(block_header, label_header),
        across=one_ranking,
        partial=scores.partial,
    )


def compared_caption(scores: ArmScores, keys: Sequence[str], caption: str) -> Callable[[int], str]:
    """A caption followed by what the differences and their p are, if something is compared, and the costs' unit."""
    words = baseline_words(scores, keys)

    def said(tests: int) -> str:
        tested = f"Baseline: {words}; {tests_sentence(tests, scores.units)}" if words else ""
        return " ".join(filter(None, (caption, tested, SECONDS)))

    return said


FULL = {"full": ("", ""), "sample4": ("sample4", ""), "trace": ("", "exact_trace")}
"""Decoding and metric of the tables of every benchmark, by the end of their names; the primary ones where empty."""


def full_tables(
    scores: ArmScores,
    name: str,
    *,
    title: str,
    caption: Callable[[Sequence[Measure]], str],
    block_header: str,
    lines: Sequence[Subject[str]] | None = None,
) -> list[Table]:
    """A table per way to measure: a column per benchmark that has it, the harder range included.

    Args:
        name: what the tables' names begin with.
        caption: of the measures that a table shows.
        lines: below the untrained models; every arm's by default.
    """
    shown = {
        f"{name}_{how}": measures
        for how, (decoding, metric) in FULL.items()
        if (measures := measures_of(asked(scores.profile), decoding, metric))
    }
    return [
        table(
            [*untrained_lines(scores.suite.models(scores.profile)), *(arm_lines(scores) if lines is None else lines)],
            [
                score_column(scores, [m], key=m.benchmark, header=benchmark_header(m.benchmark, scores.profile))
                for m in measures
            ],
            name=each,
            title=f"{title}, {words_of(measures)}, profile {scores.profile.name}",
            caption=caption(measures),
            headers=(block_header, "method"),
            partial=scores.partial,
        )
        for each, measures in shown.items()
    ]
