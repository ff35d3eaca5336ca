"""Figure 3: what p does to uniform distillation, shown along the run: score, entropy, and the student asked with p.

The paper has four arms: p at nobody, at the teacher alone, at the student alone, at both. "Student alone" has two
readings, and both are run: the student with p teaches the one without (Priv. S→S), or the teacher without p teaches
the student with p (T→Priv. S). Privilege illusion means that what is learnt needs p: accuracy with p minus accuracy
without it is that need, measured. Early gain, late fall and loss of entropy are columns, not assumptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness.config import RunSpec
from harness.evaluation.audits import AUDIT
from harness.show.lines import LinePanel
from harness.show.tables import Cell, Kind, Table
from harness.suite import Evaluation
from harness.types import PRIVILEGED
from suites.kit.arms import Arm, ArmScores, caption
from suites.kit.chosen import BASELINE
from suites.kit.columns import NO_BASELINE, Compared, difference_columns, paired, table
from suites.kit.comparison import ArmColumn, arm_lines, to_baseline
from suites.kit.curves import (
    BEST,
    ENTROPY,
    MILLI,
    READ,
    TRAINING,
    Curve,
    CurveSuite,
    accuracy_panel,
    curve,
    curve_table,
    entropy,
    entropy_panel,
    joined,
    series,
    step_at,
    step_figure,
    training_read,
)
from suites.kit.dots import finding_of
from suites.kit.measures import At, Measure
from suites.kit.seeds import minus
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITH_P = Measure(TRAINING, AUDIT, "accuracy_with_p")
EARLY_GAIN = 0.2
"""Share of the run at which a gain is early: the first that tables show, the paper's step 40 of 200."""
PROBED = (
    "With p: the student of that checkpoint reads the right p, greedy exact answer over the validation problems of the "
    "training's probe. Gap: with p minus without; without p is the mean of the domains, which are other problems of "
    "the same domains and difficulty, so changes of the gap and gaps of two arms compare, its height less so; where "
    "accuracy with p is at its ceiling, the gap only mirrors accuracy without."
)
READS_P = "of the view with p"


class PrivilegeIllusion(PaperNumbers, CurveSuite):
    """p at nobody, teacher, student (two readings), both; one loss for all tokens."""

    name = "privilege_illusion"
    title = "privileged input at the teacher, the student, both: performance and entropy along the run (Figure 3)"
    paper = ("figure3",)
    methods = ("vanilla_opd", "privileged_teacher", "privileged_student", "student_privileged", "privileged_both")

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Also the probe with p before training."""
        asked = super().evaluations(spec)
        return asked if spec.is_reference else (*asked, training_read(0))

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``figure3``: along the run and at its end; ``illusion_signs``: what would show an illusion, tested."""
        return [figure3(scores), illusion_signs(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure3``: accuracy, entropy, accuracy with p, and the gap between the two."""
        panels = [
            accuracy_panel(scores),
            entropy_panel(scores, {key: "reads p" for key in scores.arms if reads_p(scores.arms[key])}),
            LinePanel(
                title="the student asked with p",
                y_axis="exact answer with p, %",
                series=tuple(series(scores, key, with_p(scores, key)) for key in scores.arms),
            ),
            LinePanel(
                title="gap: with p minus without",
                y_axis="gap, points",
                series=tuple(series(scores, key, gap(scores, key)) for key in scores.arms),
            ),
        ]
        drawn = step_figure(
            scores,
            panels,
            topic="Privileged input",
            finding=finding_of(scores, scores.arms, scores.inside),
            drawn="Accuracy with p is of other problems than without, so the gap compares between arms.",
        )
        return {"figure3": drawn}


def reads_p(arm: Arm) -> bool:
    """Whether the trained view has p: its logged entropy is then not that of the deployed student."""
    assert arm.spec.method is not None
    return arm.spec.method.settings.get("trained_context") == PRIVILEGED


def with_p(scores: ArmScores, key: str) -> Curve:
    """Accuracy with p along the run."""
    return curve(scores, key, [WITH_P], probed=True)


def gap(scores: ArmScores, key: str) -> Curve:
    """Accuracy with p minus accuracy without it."""
    asked, plain = with_p(scores, key), curve(scores, key, scores.inside)
    return joined(asked.steps, [minus(asked.at(step), plain.at(step)) for step in asked.steps], scores.units)


def view_sentence(scores: ArmScores) -> str:
    """Whose entropy is not the deployed student's; empty if none."""
    labels = [arm.label for arm in scores.arms.values() if reads_p(arm)]
    if not labels:
        return ""
    return (
        f"In {' and '.join(labels)} the trained policy reads p, so that entropy is not of the deployed student and is "
        "not compared with the others'."
    )


def figure3(scores: ArmScores) -> Table:
    """Score along the run; entropy, accuracy with p and gap at its end."""
    extras = [
        ArmColumn(
            key="entropy",
            header="entropy at the end, millinats",
            cell=lambda key: _noted(scores, key, _last(scores, key, entropy(scores, key), MILLI)),
        ),
        ArmColumn(
            key="with_p", header="with p at the end, %", cell=lambda key: _last(scores, key, with_p(scores, key))
        ),
        ArmColumn(
            key="gap",
            header="gap at the end, points",
            kind=Kind.DIFFERENCE,
            cell=lambda key: _last(scores, key, gap(scores, key)),
        ),
    ]
    return curve_table(
        scores,
        name="figure3",
        title="Privilege illusion",
        caption=caption(scores, scores.units.said(BEST), READ, view_sentence(scores), PROBED),
        extras=extras,
    )


def _last(scores: ArmScores, key: str, path: Curve, scale: float = 100.0) -> Cell:
    return scores.cell_of(key, path.at(path.steps[-1]), scale)


def _noted(scores: ArmScores, key: str, cell: Cell) -> Cell:
    """An entropy that is not of the deployed student says so."""
    apart = reads_p(scores.arms[key]) and cell.value is not None
    return replace(cell, notes=(*cell.notes, READS_P)) if apart else cell


def illusion_signs(scores: ArmScores) -> Table:
    """What an illusion would do, as paired differences; Holm within each column, for each is a claim of its own."""
    step = step_at(next(iter(scores.arms.values())).spec, EARLY_GAIN)

    def sign(key: str, header: str, of: Callable[[str], Compared]) -> tuple[ArmColumn, ArmColumn]:
        return difference_columns(of, key=key, p_key=f"p_{key}", header=header, family=key)

    return table(
        [replace(line, ranked=False) for line in arm_lines(scores)],
        [
            *sign("early", f"minus baseline at step {step}, points", partial(lead, scores, step=step)),
            *sign("late", "minus baseline at the end, points", partial(lead, scores)),
            *sign(
                "entropy",
                "entropy minus baseline's at the end, millinats",
                partial(entropy_lead, scores),
            ),
            *sign(
                "entropy_change",
                "entropy, end minus first tenth, millinats",
                lambda key: _change(scores, key, entropy(scores, key), MILLI),
            ),
            *sign("gap_change", "gap, end minus start, points", lambda key: _change(scores, key, gap(scores, key))),
        ],
        name="illusion_signs",
        title=f"Signs of privilege illusion, profile {scores.profile.name}",
        caption=caption(scores, signs_sentence(scores), READ, view_sentence(scores), PROBED),
        headers=("paradigm", "method"),
        partial=scores.partial,
    )


def lead(
    scores: ArmScores, key: str, measures: Sequence[Measure] | None = None, step: At = "last", scale: float = 100.0
) -> Compared:
    """An arm minus its baseline, the score unless other measures are given; one without a baseline says so."""
    if scores.arms[key].baseline:
        return to_baseline(scores, key, measures, step, scale)
    return Compared(missing=scores.cell(key, measures or scores.inside, step).missing or NO_BASELINE)


def entropy_lead(scores: ArmScores, key: str) -> Compared:
    """Entropy minus the baseline's at the end; only of students without p."""
    if reads_p(scores.arms[key]):
        return Compared(missing=READS_P)
    return lead(scores, key, [ENTROPY], scale=MILLI)


def _change(scores: ArmScores, key: str, path: Curve, scale: float = 100.0) -> Compared:
    """End minus start of a curve."""
    found = scores.units.paired_difference(path.at(path.steps[-1]), path.at(path.steps[0]))
    return paired(found, scores.cell_of(key, {}).missing, scale)


def signs_sentence(scores: ArmScores) -> str:
    """How the columns are to be read."""
    return (
        f"Baseline: {scores.arms[BASELINE].label if BASELINE in scores.arms else 'none'}. Early gain would be a first "
        "column above 0, late degradation a second below 0 (and a fall in figure3), loss of entropy a third or fourth "
        "below 0, learning to need p a fifth above 0. Differences are paired by "
        f"{scores.units.one}; p is of the two-sided paired t test, adjusted by Holm within each column."
    )
