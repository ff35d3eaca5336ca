"""What the four regimes of dual distillation hold, along a run: not in the paper, which shows one trajectory.

The rule reads HS as "the teacher is unreliable" and HT as "a credible capability gap". Here the reference trace says
who was right, so both readings can be checked; and the comparison with a run that was not trained by the rule shows
what the rule itself does to the regimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from harness.config import ModelSpec, RunSpec
from harness.evaluation.audits import SOURCE_OF
from harness.show.lines import LinePanel
from harness.show.tables import Table
from harness.suite import Evaluation, Profile
from suites.kit import under
from suites.kit.arms import Arm, ArmScores
from suites.kit.audited import Audited, AuditSuite, Place, asked, steps
from suites.kit.columns import Compared, cost_columns, difference_columns, paired, table
from suites.kit.curves import step_figure
from suites.kit.findings import Finding, compared, in_points
from suites.kit.lines import WHOLE
from suites.kit.looks import OF_REGIMES
from suites.kit.sentences import SECONDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.hbars import Panel

AUDIT_NAME = "regimes"
PARTS = {"share": "tokens", "first_error": "first errors", "information": "tokens only p decides"}
"""Metrics that add up to 100 % over the regimes, with what they are shares of."""
RIGHTS = {
    "right": "sampled token",
    "student_right": "student, x",
    "plain_teacher_right": "teacher, x",
    "teacher_right": "teacher, x and p",
    "self_right": "student, x and p",
}
"""Whose token is right, by metric."""
OTHER = {"teacher": "self", "self": "teacher"}
READ = "Rollouts at temperature 1 of the student without p, 4 to each of {items} test problems"
MEANING = (
    "At a checkpoint they are routed as one batch by DOPD's rule, whatever the run was trained by. First errors: the "
    "first token of a rollout that the grader refuses. Right: over tokens that the grader looks at and whose prefix "
    "holds no error; for policies, whether their most probable token is the reference's. Source: the policy that "
    "supervises the regime (teacher for LH and HT, student for LL and HS, both with p); source minus other is paired "
    "by {seed}, p is of the two-sided paired t test, adjusted by Holm over this table."
)

COSTS = "Costs are of the whole run, the same in all of its lines."


class RegimeAudit(AuditSuite):
    """DOPD and vanilla OPD × seeds on all domains together, read at four checkpoints."""

    name = "regime_audit"
    audit = AUDIT_NAME
    title = "what the four regimes hold and which source was right (not in the paper)"
    methods = ("dopd", "vanilla_opd")

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """None: step 0 of a run is the untrained student."""
        return {}

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """The audit along the run."""
        return tuple(asked(AUDIT_NAME, step) for step in steps(spec))

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``regime_audit``: a block per method and step, a line per regime."""
        return [regimes_table(Audited(scores=scores, audit=AUDIT_NAME))]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``regime_audit``: shares along the run; ``regime_sources``: whose token is right."""
        audited, first = Audited(scores=scores, audit=AUDIT_NAME), next(iter(scores.arms.values()))
        shares = step_figure(
            scores,
            [share_panel(audited, metric) for metric in PARTS],
            topic="Regimes at the end",
            finding=held(audited),
            drawn=f"Rollouts of a checkpoint, routed by DOPD's rule. Solid: {first.label}.",
            words="rollouts at temperature 1, without p",
            items=f"{audited.items} test problems",
        )
        return {"regime_audit": shares, "regime_sources": source_figure(audited)}


def held(audited: Audited) -> Finding:
    """Which regime holds most tokens and most first errors of the first arm's last checkpoint."""
    arm = next(iter(audited.scores.arms.values()))

    def most(metric: str) -> tuple[str, float] | None:
        cells = {regime: audited.cell(arm.key, f"{regime}/{metric}").value for regime in SOURCE_OF}
        known = {regime: value for regime, value in cells.items() if value is not None}
        return max(known.items(), key=lambda each: each[1]) if known else None

    tokens, errors = most("share"), most("first_error")
    if tokens is None:
        return Finding(short="no rows yet", sentence="There are no rows yet.")
    said = f"At the end of {arm.label}'s run {tokens[0]} holds {tokens[1]:.1f} % of the tokens"
    more = f" and {errors[0]} most first errors ({errors[1]:.1f} %)" if errors else ""
    return Finding(short=f"{tokens[0]} holds {tokens[1]:.0f} % of the tokens", sentence=f"{said}{more}.")


def source_figure(audited: Audited) -> Figure:
    """``regime_sources``: whose token is right in each regime, before and after the first arm's run."""
    from harness.show.hbars import lying_bars

    scores = audited.scores
    first = next(iter(scores.arms.values()))
    found = compared(
        [
            in_points(
                f"the source of {regime}",
                lead(audited, Place(key=first.key, step=first.spec.steps, part=regime)).difference,
            )
            for regime in SOURCE_OF
        ],
        "the other policy",
        scores.units,
        things="regimes",
    )
    return lying_bars(
        [source_panel(audited, first, step) for step in (0, first.spec.steps)],
        title=under.title(scores, f"Sources at the end of {first.label}'s run", found),
        axis="right, %",
        caption=under.caption(
            scores,
            found,
            "Both see p; the source supervises the regime. Bars from 0, whiskers are intervals, dots {seeds}.",
            words="most probable token right",
            items=f"{audited.items} test problems",
        ),
    )


def regimes_table(audited: Audited) -> Table:
    """Shares, rights, and the source against the other policy that sees p."""
    scores = audited.scores
    return table(
        audited.lines(SOURCE_OF),
        [
            *(audited.part_column(metric, f"of {words}, %") for metric, words in PARTS.items()),
            *(audited.part_column(metric, f"{words}: right, %") for metric, words in RIGHTS.items()),
            *difference_columns(partial(lead, audited), key="lead", header="source minus other, points"),
            *cost_columns(audited.runs_at),
        ],
        name="regime_audit",
        title=f"What the regimes hold, profile {scores.profile.name}",
        caption=audited.caption(READ, audited.scores.units.said(MEANING), COSTS, SECONDS),
        headers=("run", "regime"),
        partial=scores.partial,
    )


def lead(audited: Audited, at: Place) -> Compared:
    """How much more often the source of a regime is right than the other policy that sees p; not without tokens."""
    own = SOURCE_OF[at.part]
    ours, others = (f"{at.part}/{source}_right" for source in (own, OTHER[own]))
    return paired(audited.difference(at.key, ours, others, at.step), audited.missing(at.key, at.step))


def share_panel(audited: Audited, metric: str) -> LinePanel:
    """One kind of share along the run: a line per regime, solid for the first arm."""
    arms = audited.scores.arms
    series = [
        audited.curve(
            key,
            f"{regime}/{metric}",
            label=f"{regime}, {arm.label}" if len(arms) > 1 else regime,
            look=OF_REGIMES[regime],
            line="dashed" if i else "solid",
        )
        for i, (key, arm) in enumerate(arms.items())
        for regime in SOURCE_OF
    ]
    return LinePanel(title=f"share of {PARTS[metric]}", y_axis="share, %", series=tuple(series), y_limits=WHOLE)


def source_panel(audited: Audited, arm: Arm, step: int) -> Panel:
    """Whose token is right at one step, a group per regime."""
    from harness.show.bars import Bar, Group
    from harness.show.hbars import Panel

    def bar(regime: str, metric: str) -> Bar:
        cell = audited.cell(arm.key, f"{regime}/{metric}", step)
        values = audited.values(arm.key, f"{regime}/{metric}", step)
        is_source = metric == f"{SOURCE_OF[regime]}_right"
        return Bar(
            label=f"{RIGHTS[metric]}{' (source)' if is_source else ''}",
            mean=cell.value,
            half=cell.half,
            points=tuple(100 * values[seed] for seed in sorted(values)),
            note=cell.missing or ", ".join(cell.remarks),
            look=OF_REGIMES[regime],
        )

    groups = tuple(Group(title=regime, bars=tuple(bar(regime, metric) for metric in RIGHTS)) for regime in SOURCE_OF)
    return Panel(title="before training" if step == 0 else f"step {step}", groups=groups)
