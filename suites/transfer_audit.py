"""Privilege illusion, measured: what each method moved to the student, told apart by construction of the world.

*Capability* is what follows from x: a better student gets more of it right. *Information* is what only p can know: a
student without p that asserts it imitates its teacher, for the best it can do is to abstain. The paper infers the
difference from benchmarks; here each token of a reference trace says which of the two it is (``harness.types.Fact``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.config import RunSpec
from harness.suite import Evaluation, Options
from harness.tables import Cell, Column, Kind, Line, Table
from suites.audited import Audited, asked
from suites.cells import gain_cell, reference_cell, untrained_line
from suites.curves import CurveSuite, tested
from suites.in_distribution import METHODS
from suites.privilege_illusion import PrivilegeIllusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.scatter import Spot

AUDIT_NAME = "transfer"
CAPABILITY, INFORMATION = "capability_top1", "information_asserted"
OTHERS = {
    "capability_probability": "probability of what x decides, %",
    "information_abstained": "abstains, %",
    "information_other": "neither, %",
    "format_top1": "format right, %",
    "capability_top1_with_p": "right, with p shown, %",
    "information_right_with_p": "code right, with p shown, %",
}
"""Further columns: metric to header."""
READ = (
    "The student reads, without p, the reference responses of {items} test problems of all domains, with _ "
    "(unknown) for every code that only p holds"
)
MEANING = (
    "What x decides: share of such tokens whose most probable one is right; moved: minus the untrained student. What "
    "only p knows: mass on a code where the best answer is to abstain; imitated: minus the untrained student. The rest "
    "of the mass there is on abstaining or on neither, so that a collapse is not taken for restraint. With p shown, "
    "the same responses after x and p. Differences are paired by seed; p is of the two-sided paired t test, adjusted "
    "by Holm within each column."
)


class TransferAudit(CurveSuite):
    """Table 1's methods, the arms of Figure 3 and SFT × seeds on all domains together, read once at the end."""

    name = "transfer_audit"
    title = "what each method moved: capability, or the imitation of what only p knows (not in the paper)"
    methods = (*METHODS, *PrivilegeIllusion.methods[1:], "sft")

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """The audit at the end, of untrained models too."""
        return (asked(AUDIT_NAME, "last"),)

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """``transfer_audit``: both quantities, what training did to them, and the difference to vanilla OPD."""
        return [table(Audited(scores=self.scores(rows, costs, options), audit=AUDIT_NAME))]

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """``transfer_audit``: capability moved against information imitated, a point per method."""
        from harness.scatter import scatter

        scores = self.scores(rows, costs, options)
        audited = Audited(scores=scores, audit=AUDIT_NAME)
        drawn = scatter(
            [spot(audited, key) for key in scores.arms] + teacher_spot(audited),
            title=f"What training moved{scores.mark}",
            x_axis="imitated: mass on what only p knows, minus the untrained student, points",
            y_axis="moved: what x decides, right,\nminus the untrained student, points",
            caption=f"{audited.caption(READ, MEANING)} Whiskers are these intervals.",
        )
        return {"transfer_audit": drawn}


def moved_cell(audited: Audited, key: str, metric: str) -> Cell:
    """Points between the trained and the untrained student, which is fixed."""
    scores = audited.scores
    untrained = scores.reference(scores.arms[key].spec.student, audited.measures(metric))
    return gain_cell(audited.cell(key, metric), untrained)


def table(audited: Audited) -> Table:
    """One line per method, untrained models on top."""
    scores = audited.scores
    columns = [
        column
        for key, metric, words, moved in (
            ("capability", CAPABILITY, "what x decides, right, %", "moved"),
            ("information", INFORMATION, "what only p knows, asserted, %", "imitated"),
        )
        for column in (
            Column(key=metric, header=words),
            Column(key=moved, header=f"{moved}, points", kind=Kind.DIFFERENCE),
            Column(key=f"{key}_difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
            Column(key=f"{key}_p", header="p (Holm)", kind=Kind.P),
        )
    ] + [Column(key=metric, header=header) for metric, header in OTHERS.items()]
    compared = {metric: _to_baseline(audited, metric) for metric in (CAPABILITY, INFORMATION)}
    lines = [_reference_line(audited, label) for label in scores.suite.models(scores.profile)]
    for key, arm in scores.arms.items():
        cells = [
            cell
            for metric in (CAPABILITY, INFORMATION)
            for cell in (
                audited.cell(key, metric),
                moved_cell(audited, key, metric),
                *compared[metric][key],
            )
        ] + [audited.cell(key, metric) for metric in OTHERS]
        lines.append(Line(block=arm.block, label=arm.label, cells=tuple(cells), ranked=False))
    bases = {scores.arms[arm.baseline].label for arm in scores.arms.values() if arm.baseline}
    return Table(
        name="transfer_audit",
        title=f"What training moved, profile {scores.profile.name}",
        caption=audited.caption(READ, f"Baseline: {', '.join(bases) or 'none'}.", MEANING),
        block_header="paradigm",
        label_header="method",
        columns=tuple(columns),
        lines=tuple(lines),
        partial=scores.partial,
    )


def _to_baseline(audited: Audited, metric: str) -> dict[str, tuple[Cell, Cell]]:
    """Difference and p of every arm, by key."""
    bases = {key: arm.baseline for key, arm in audited.scores.arms.items()}
    others = [key for key, base in bases.items() if base not in ("", key)]
    differences = [audited.scores.difference(key, bases[key], audited.measures(metric)) for key in others]
    missing = ["no baseline of these seeds" if audited.values(key, metric) else audited.missing(key) for key in others]
    itself = {key: (Cell(missing="baseline" if base else ""), Cell()) for key, base in bases.items()}
    return itself | dict(zip(others, tested(differences, missing), strict=True))


def _reference_line(audited: Audited, label: str) -> Line:
    scores = audited.scores
    model = scores.suite.models(scores.profile)[label]

    def cell(metric: str) -> Cell:
        return reference_cell(scores.reference(model, audited.measures(metric)))

    pair = (cell(CAPABILITY), Cell(), Cell(), Cell(), cell(INFORMATION), Cell(), Cell(), Cell())
    return untrained_line(label, (*pair, *map(cell, OTHERS)))


def spot(audited: Audited, key: str) -> Spot:
    """The arm's point: imitated against moved."""
    from harness.scatter import Spot

    x, y = (moved_cell(audited, key, metric) for metric in (INFORMATION, CAPABILITY))
    return Spot(
        label=audited.scores.arms[key].label,
        x=x.value,
        y=y.value,
        half_x=x.half,
        half_y=y.half,
        note=y.missing or x.missing or ", ".join(audited.cell(key, CAPABILITY).remarks),
    )


def teacher_spot(audited: Audited) -> list[Spot]:
    """What a student that became the teacher without p would have moved; none before both models are evaluated."""
    from harness.scatter import Spot

    scores, profile = audited.scores, audited.scores.profile
    (x0, x1), (y0, y1) = (
        [scores.reference(model, audited.measures(metric)) for model in (profile.student, profile.teacher)]
        for metric in (INFORMATION, CAPABILITY)
    )
    if x0 is None or x1 is None or y0 is None or y1 is None:
        return []
    return [Spot(label="Teacher, without p", x=x1 - x0, y=y1 - y0, hollow=True)]
