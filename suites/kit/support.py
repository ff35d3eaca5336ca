"""How much of the probability a top-k leaves out: where hardly any, arms that differ in the support alone are equal.

A row whose question is the support says *inactive* there and is not ranked. No torch.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import fmean

from harness.analysis import results
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT
from harness.losses.objectives import Granularity
from harness.show.tables import Cell
from harness.suite import Evaluation
from suites.kit.arms import Arm, ArmScores
from suites.kit.audited import asked
from suites.kit.comparison import ArmColumn
from suites.kit.measures import At

SUPPORT, OUTSIDE = "support", ("student_outside", "source_outside")
FEW = 8
"""A k that leaves something out where a profile's leaves out next to nothing."""
LEAST = 1.0
"""Thousandths of the mass outside the top-k below which a choice of support decides nothing."""
WHAT = (
    "Outside top-k: probability there under the student or under the teacher that it learns from, whichever is more, "
    f"mean over tokens of its rollouts; where it is below {LEAST:g} in a thousand at both ends of the run, a row that "
    "differs from one on the full vocabulary in its support alone is inactive and not ranked."
)


def support_read(spec: RunSpec) -> tuple[Evaluation, ...]:
    """The audit before and after a run whose method looks at its k most probable tokens."""
    if spec.method is None or spec.teacher is None or "k" not in spec.method.settings:
        return ()
    if spec.method.settings.get("granularity", Granularity.TOP_K) != Granularity.TOP_K:
        return ()
    return asked(SUPPORT, 0), asked(SUPPORT, "last")


def outside(scores: ArmScores, arm: Arm, step: At) -> Cell:
    """Thousandths outside the top-k of the arm's method, mean over its runs: of student or source, whichever is more;
    empty for an arm that is not asked."""
    if not support_read(arm.spec):
        return Cell()
    ids = [spec.id for spec in arm.specs.values()]
    rows = results.select(scores.rows, benchmark=SUPPORT, decoding=AUDIT)
    rows = rows.loc[rows["run"].isin(ids) & (rows["step"] == (arm.spec.steps if step == "last" else step))]
    found = [results.select(rows, metric=metric)["value"].tolist() for metric in OUTSIDE]
    if not all(found):
        return Cell(missing="not run")
    return Cell(value=1000 * max(map(fmean, found)))


def is_inactive(scores: ArmScores, arm: Arm) -> bool:
    """Whether hardly any mass lies outside, before and after."""
    found = [outside(scores, arm, step).value for step in (0, "last")]
    return all(value is not None and value < LEAST for value in found)


def marked_inactive(arm: Arm) -> Arm:
    """As tables show it."""
    return replace(arm, label=f"{arm.label} (inactive)", ranked=False)


def outside_columns(scores: ArmScores) -> list[ArmColumn]:
    """Before training and at its end; none where no run was asked."""
    if results.select(scores.rows, benchmark=SUPPORT, decoding=AUDIT).empty:
        return []
    ends: tuple[tuple[str, str, At], ...] = (("before", "before training", 0), ("end", "at the end", "last"))
    return [
        ArmColumn(
            key=f"outside_{when}",
            header=f"outside top-k {words}, 1/1000",
            cell=partial(_outside_of, scores, step),
        )
        for when, words, step in ends
    ]


def _outside_of(scores: ArmScores, step: At, key: str) -> Cell:
    return outside(scores, scores.arms[key], step)
