"""Bars as several suites draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.show.tables import Cell
from suites.kit.arms import ArmScores, full_label
from suites.kit.cells import At, Measure
from suites.kit.lines import reference_lines
from suites.kit.looks import label_look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.bars import Bar, Group

DOTS = "Dots are {seeds}, a cross is a collapse."


def budgets(scores: ArmScores) -> tuple[At, ...]:
    """Steps that bars are drawn at, a panel each: the early one, where there is one, then the last."""
    return ("last",) if scores.early is None else (scores.early, "last")


def at_budget(title: str, step: At) -> str:
    """``mean of domains, early: step 15``."""
    return title if step == "last" else ", ".join(filter(None, (title, f"early: step {step}")))


def arm_bars(
    scores: ArmScores,
    groups: Mapping[str, Sequence[Measure]],
    *,
    title: str,
    caption: str,
    axis: str = "",
    arms: Iterable[str] | None = None,
) -> Figure:
    """A panel per group of measures, a bar per arm, with its block where labels repeat; student and teacher as lines.

    Args:
        groups: measures by the panel's title.
        axis: of the primary metric by default.
        arms: keys, in order; all of them by default.
    """
    from harness.show import bars

    keys = list(scores.arms) if arms is None else list(arms)
    return bars.grouped_bars(
        [_group(scores, name, measures, keys, step) for name, measures in groups.items() for step in budgets(scores)],
        title=f"{title}{scores.mark}",
        axis=axis or f"{scores.words}, %",
        caption=f"{caption} {scores.units.said(DOTS)}",
    )


def _group(scores: ArmScores, title: str, measures: Sequence[Measure], keys: Sequence[str], step: At) -> Group:
    from harness.show.bars import Group

    models = scores.suite.models(scores.profile)
    values = {label: scores.reference(model, measures) for label, model in models.items()}
    return Group(
        title=at_budget(title, step),
        bars=tuple(arm_bar(scores, key, measures, step, full_label(scores, scores.arms[key])) for key in keys),
        references=reference_lines(values),
    )


def arm_bar(scores: ArmScores, key: str, measures: Sequence[Measure], step: At = "last", label: str = "") -> Bar:
    """Mean, interval and units of one arm, percent, looking as the method of its own label."""
    cell, values = scores.cell(key, measures, step), scores.values(key, measures, step)
    bar = seed_bar(scores.arms[key].label, cell, values)
    return replace(bar, label=label) if label else bar


def seed_bar(label: str, cell: Cell, values: Mapping[int, float], *notes: str) -> Bar:
    """A mean over units with its interval and the units' own, looking as the method of its label.

    Args:
        values: shares by unit; the cell is percent.
        notes: stand behind the cell's.
    """
    from harness.show.bars import Bar

    said = (*cell.remarks, *notes)
    return Bar(
        label=label,
        mean=cell.value,
        half=cell.half,
        points=tuple(100 * values[seed] for seed in sorted(values)),
        note=cell.missing or ", ".join(said),
        crossed=any(note.startswith("collapsed") for note in said),
        look=label_look(label),
    )
