"""Arms against what they are compared with: differences as marks with intervals and units, beside a line at 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.show.tables import Cell
from suites.kit import under
from suites.kit.arms import ArmScores, full_label
from suites.kit.columns import NO_BASELINE
from suites.kit.comparison import to_baseline
from suites.kit.findings import Finding, compared, in_points, quoted
from suites.kit.lines import reference_lines
from suites.kit.looks import label_look
from suites.kit.measures import At, Measure
from suites.kit.seeds import minus, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.bars import Bar, Group
    from harness.show.hbars import Panel

DOTS = "Marks are means, bars intervals, dots {seeds}; cross: collapsed; arrow: beyond the axis."
SIDE_BY_SIDE = 2
"""Panels in a row: more could not be read at the width of a page."""
NOT_RANKED = "not ranked"


def budgets(scores: ArmScores) -> tuple[At, ...]:
    """Steps that arms are shown at, a panel each: the early one, where there is one, then the last."""
    return ("last",) if scores.early is None else (scores.early, "last")


def at_budget(title: str, step: At) -> str:
    """``mean of domains, early: step 15``."""
    return title if step == "last" else ", ".join(filter(None, (title, f"early: step {step}")))


def arm_dots(
    scores: ArmScores,
    groups: Mapping[str, Sequence[Measure]],
    *,
    topic: str,
    things: str = "arms",
    drawn: str = "",
    arms: Iterable[str] | None = None,
    blocks: bool = False,
) -> Figure:
    """Each arm minus its baseline, a panel per group of measures; scores, where nothing is compared.

    The finding is of the first group at the last step.

    Args:
        groups: measures by the panel's title.
        topic: what the title begins with.
        things: what the arms are, in one word.
        drawn: sentences on them.
        arms: keys, in order; all of them by default.
        blocks: whether arms of a block stand under its name.
    """
    from harness.show.hbars import lying_bars

    keys = list(scores.arms) if arms is None else list(arms)
    shown = [key for key in keys if scores.arms[key].baseline not in ("", key)]
    measures = next(iter(groups.values()))
    finding = finding_of(scores, keys, measures, things=things)
    panels = [
        panel_of(scores, each, shown or keys, title=at_budget(name, step), step=step, blocks=blocks)
        for name, each in groups.items()
        for step in budgets(scores)
    ]
    return lying_bars(
        panels,
        title=under.title(scores, topic, finding),
        axis=f"minus {base_label(scores, shown)}, points" if shown else f"{scores.label}, %",
        caption=under.caption(scores, finding, f"{drawn} {DOTS}".strip()),
        columns=min(SIDE_BY_SIDE, len(panels)),
    )


def finding_of(scores: ArmScores, keys: Iterable[str], measures: Sequence[Measure], *, things: str = "arms") -> Finding:
    """What the differences of arms to their baselines say at the last step; of arms without one, which is highest.

    What sees more than others may is drawn and not judged, unless there is nothing else.
    """
    asked = list(keys)
    shown = [key for key in asked if scores.arms[key].baseline not in ("", key)]
    if not shown:
        return highest({_told(scores, key): scores.cell(key, measures) for key in asked})
    ranked = [key for key in shown if scores.arms[key].ranked] or shown
    found = [in_points(_told(scores, key), to_baseline(scores, key, measures).difference) for key in ranked]
    return compared(found, base_label(scores, shown), scores.units, things=things)


def _told(scores: ArmScores, key: str) -> str:
    """The arm's label in a sentence, its block in brackets where another arm has the same one."""
    arm = scores.arms[key]
    alone = sum(other.label == arm.label for other in scores.arms.values()) == 1
    return arm.label if alone else f"{arm.label} ({arm.block})"


def base_label(scores: ArmScores, keys: Iterable[str]) -> str:
    """What some arms are compared with: its label, once where every block has one; with its block beside its like."""
    asked = list(keys)
    labels = {scores.arms[key].label for key in asked}
    bases = [scores.arms[base] for key in asked if (base := scores.arms[key].baseline)]
    return " / ".join(
        dict.fromkeys(quoted(full_label(scores, arm) if arm.label in labels else arm.label) for arm in bases)
    )


def highest(cells: Mapping[str, Cell]) -> Finding:
    """Of what is compared with nothing, percent by label: whose mean is highest, and no more."""
    means = {label: cell.value for label, cell in cells.items() if cell.value is not None}
    if not means:
        return Finding(short="no rows yet", sentence="There are no rows yet.")
    top = max(means, key=lambda label: means[label])
    if len(means) == 1:
        return Finding(short=f"{top} alone", sentence=f"{top} has {means[top]:.1f} %; nothing is compared with it.")
    return Finding(
        short=f"{top} highest of {len(means)}",
        sentence=f"{top} has the highest of {len(means)} means, {means[top]:.1f} %; no baseline, so no difference.",
    )


def panel_of(
    scores: ArmScores, measures: Sequence[Measure], keys: Sequence[str], *, title: str, step: At, blocks: bool = False
) -> Panel:
    """Arms in some measures at a step: differences to their baselines, or scores where none has one."""
    from harness.show.bars import Group
    from harness.show.hbars import Panel

    compares = [key for key in keys if scores.arms[key].baseline not in ("", key)]
    bar = difference_bar if compares else score_bar
    by_block: dict[str, list[Bar]] = {}
    for key in keys:
        block = _heading(scores, scores.arms[key].block, keys) if blocks else ""
        drawn = replace(bar(scores, key, measures, step), label=_row(scores, key, keys, blocks=blocks))
        by_block.setdefault(block, []).append(drawn)
    models = scores.suite.models(scores.profile)
    values = {label: scores.reference(model, measures) for label, model in models.items()}
    groups: tuple[Group, ...] = tuple(Group(title=block, bars=tuple(bars)) for block, bars in by_block.items())
    if not compares:
        return Panel(title=title, groups=groups, references=reference_lines(values), zoomed=True)
    bases = list(dict.fromkeys(scores.arms[key].baseline for key in compares))
    note = levels(scores, bases, measures, values, step)
    return Panel(title=title, groups=groups, differences=True, note=note)


def _heading(scores: ArmScores, block: str, keys: Sequence[str]) -> str:
    """A block's name, with its own baseline where another block has another one; empty if there is one block."""
    arms = [scores.arms[key] for key in keys]
    if len({arm.block for arm in arms}) == 1:
        return ""
    bases = {arm.block: arm.baseline for arm in arms}
    own = scores.arms.get(bases[block])
    return f"{block}, minus {own.label}" if own and len(set(bases.values())) > 1 else block


def _row(scores: ArmScores, key: str, keys: Sequence[str], *, blocks: bool) -> str:
    """The arm's label, with its block where another row has the same one; what sees more than others may says so."""
    arm = scores.arms[key]
    others = dict.fromkeys((*keys, *(base for each in keys if (base := scores.arms[each].baseline))))
    alone = blocks or sum(scores.arms[other].label == arm.label for other in others) == 1
    label = arm.label if alone else full_label(scores, arm)
    return label if arm.ranked else f"{label}, {NOT_RANKED}"


def levels(
    scores: ArmScores,
    bases: Sequence[str],
    measures: Sequence[Measure],
    ends: Mapping[str, float | None],
    step: At = "last",
) -> str:
    """Where the differences lie: ``Student 27.3, Vanilla OPD 55.4, Teacher 66.0``, percent, rising.

    Args:
        bases: keys of the baselines; of several none is said.
        ends: percent of the untrained models, by name.
    """
    known = {label: value for label, value in ends.items() if value is not None}
    if len(bases) == 1:
        mean = scores.cell(bases[0], measures, step).value
        known |= {} if mean is None else {scores.arms[bases[0]].label: mean}
    return ", ".join(f"{label} {value:.1f}" for label, value in sorted(known.items(), key=lambda each: each[1]))


def difference_bar(scores: ArmScores, key: str, measures: Sequence[Measure], step: At = "last") -> Bar:
    """An arm minus its baseline, points: mean, interval and each unit's own."""
    from harness.show.bars import Bar

    arm, cell = scores.arms[key], scores.cell(key, measures, step)
    if not arm.baseline:
        return Bar(label=arm.label, mean=None, note=NO_BASELINE, aside=not arm.ranked, look=label_look(arm.label))
    found = to_baseline(scores, key, measures, step)
    values = minus(scores.values(key, measures, step), scores.values(arm.baseline, measures, step))
    each = in_points(arm.label, found.difference).difference
    notes = (*cell.remarks,) if each else (found.missing,)
    return Bar(
        label=arm.label,
        mean=each.mean if each else None,
        half=each.half if each else None,
        points=tuple(scaled(values, 100)[unit] for unit in sorted(values)) if each else (),
        note=", ".join(filter(None, notes)),
        crossed=(fallen := any(note.startswith("collapsed") for note in notes)),
        aside=fallen or not arm.ranked,
        look=label_look(arm.label),
    )


def score_bar(scores: ArmScores, key: str, measures: Sequence[Measure], step: At = "last") -> Bar:
    """Mean, interval and units of one arm, percent, looking as the method of its own label."""
    return seed_bar(scores.arms[key].label, scores.cell(key, measures, step), scores.values(key, measures, step))


def seed_bar(label: str, cell: Cell, values: Mapping[int, float]) -> Bar:
    """A mean over units with its interval and the units' own, looking as the method of its label.

    Args:
        values: shares by unit; the cell is percent.
    """
    from harness.show.bars import Bar

    said = cell.remarks
    return Bar(
        label=label,
        mean=cell.value,
        half=cell.half,
        points=tuple(100 * values[seed] for seed in sorted(values)),
        note=cell.missing or ", ".join(said),
        crossed=any(note.startswith("collapsed") for note in said),
        look=label_look(label),
    )
