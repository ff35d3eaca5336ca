"""Privilege illusion, measured: what each method moved to the student, told apart by construction of the world.

*Capability* is what follows from x: a better student gets more of it right. *Information* is what only p can know: a
student without p that asserts it imitates its teacher, for the best it can do is to abstain. The paper infers the
difference from benchmarks; here each token of a reference trace says which of the two it is (``harness.types.Fact``).

What a student does where only p knows may be all in one seed and nothing in the next, so seeds are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from harness.analysis import statistics
from harness.config import RunSpec
from harness.show.looks import UNTRAINED, Look
from harness.show.tables import Cell, Kind, Table
from harness.suite import Evaluation
from suites.in_distribution import METHODS
from suites.kit import under
from suites.kit.arms import ArmScores
from suites.kit.audited import Audited, AuditSuite, asked
from suites.kit.columns import MINUS_BASELINE, NO_BASELINE, Compared, difference_columns, paired, table
from suites.kit.comparison import ArmColumn, arm_costs, arm_lines, untrained_lines
from suites.kit.dots import seed_bar
from suites.kit.findings import Finding, compared, in_points
from suites.kit.lines import reference_lines
from suites.kit.sentences import SECONDS
from suites.privilege_illusion import PrivilegeIllusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.bars import Bar, Group
    from harness.show.hbars import Panel

AUDIT_NAME = "transfer"
CAPABILITY, INFORMATION = "capability_top1", "information_asserted"
ANSWERS = {
    INFORMATION: ("asserts a code", Look(colour="#555555")),
    "information_other": ("neither", Look(colour="#BBBBBB", hatch="////")),
    "information_abstained": ("abstains", Look(colour="#FFFFFF")),
}
"""Where only p knows, by metric: what the student says instead, and how it is drawn; no method's colour."""
MOSTLY = 0.5
"""Share of the mass above which a seed counts as asserting."""
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
    "The student reads, without p, the reference responses of {items} test problems of all domains, with {unknown} for "
    "every code that only p holds"
)
UNKNOWN = "_ (unknown)"
"""In the reference responses of the worlds that come with the package."""
MEANING = (
    "What x decides: share of such tokens whose most probable one is right; moved: minus the untrained student. What "
    "only p knows: mass on a code where the best answer is to abstain; imitated: minus the untrained student. The rest "
    "of the mass there is on abstaining or on neither, so that a collapse is not taken for restraint. With p shown, "
    "the same responses after x and p."
)
TESTS = (
    "Differences are paired by {seed}; p of what x decides is of the two-sided paired t test, adjusted by Holm within "
    "its column."
)
COUNTED = (
    "Where only p knows, one method's {seeds} may lie near 0 and near 1: so those that mostly assert (over half of the "
    "mass) are counted, and a t interval does not describe such shares."
)
DRAWN = "Left: mean mass on each answer, dots each {seed}'s on a code. Right: mean, interval and {seeds}, zoomed."


class TransferAudit(AuditSuite):
    """Table 1's methods, the arms of Figure 3 and SFT × seeds on all domains together, read once at the end."""

    name = "transfer_audit"
    audit = AUDIT_NAME
    title = "what each method moved: capability, or the imitation of what only p knows (not in the paper)"
    methods = (*METHODS, *PrivilegeIllusion.methods[1:], "sft")

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """The audit at the end, of untrained models too."""
        return (asked(AUDIT_NAME, "last"),)

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``transfer_audit``: both quantities, what training did to them, and the difference to vanilla OPD."""
        return [transfer_table(Audited(scores=scores, audit=AUDIT_NAME))]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``transfer_audit``: what is said where only p knows, and what is right where x decides, by method."""
        from harness.show.hbars import lying_bars

        audited = Audited(scores=scores, audit=AUDIT_NAME)
        found = finding(audited)
        drawn = lying_bars(
            [answers_panel(audited), capability_panel(audited)],
            title=under.title(scores, "What only p knows", found),
            axis="",
            caption=under.caption(
                scores,
                found,
                DRAWN,
                words="reference responses without p",
                items=f"{audited.items} test problems",
            ),
            dots=scores.units.many,
        )
        return {"transfer_audit": drawn}


def finding(audited: Audited) -> Finding:
    """How many methods mostly assert what only p knows, and what they do where x decides."""
    scores = audited.scores
    counts = {arm.label: found for key, arm in scores.arms.items() if (found := asserting(audited, key))[1]}
    bases = dict.fromkeys(scores.arms[arm.baseline].label for arm in scores.arms.values() if arm.baseline)
    right = compared(
        [
            in_points(arm.label, capability_compared(audited, key).difference)
            for key, arm in scores.arms.items()
            if arm.baseline not in ("", key)
        ],
        " / ".join(bases) or "a baseline",
        scores.units,
        things="methods",
    )
    if not counts:
        told = f"None of the problems holds what only p knows. Where x decides: {right.sentence}"
        return Finding(short="there is nothing that only p knows", sentence=told)
    some = {label: own for label, (own, _) in counts.items() if own}
    most = max(some, key=lambda label: some[label], default="")
    furthest = f" (most: {most}, {some[most]} of {counts[most][1]} {scores.units.many})" if some else ""
    said = f"{len(some) or 'None'} of {len(counts)} methods"
    return Finding(
        short=f"{len(some) or 'none'} of {len(counts)} methods assert it",
        sentence=(
            f"{said} mostly assert{'s' * (len(some) < 2)} a code that only p holds, in some {scores.units.one}"
            f"{furthest}. Where x decides: {right.sentence}"
        ),
    )


def moved_cell(audited: Audited, key: str, metric: str) -> Cell:
    """Points between the trained and the untrained student, which is fixed."""
    scores = audited.scores
    return scores.gain(key, audited.measures(metric), audited.cell(key, metric))


def asserting(audited: Audited, key: str) -> tuple[int, int]:
    """Units that mostly assert, and how many there are."""
    values = audited.values(key, INFORMATION)
    return sum(value > MOSTLY for value in values.values()), len(values)


def count_cell(audited: Audited, key: str) -> Cell:
    """``4 of 5``, or why nothing is counted."""
    count, seeds = asserting(audited, key)
    return Cell(words=f"{count} of {seeds}" if seeds else audited.missing(key))


def transfer_table(audited: Audited) -> Table:
    """One line per method, untrained models on top."""
    scores = audited.scores
    bases = {scores.arms[arm.baseline].label for arm in scores.arms.values() if arm.baseline}
    lines = [replace(line, ranked=False) for line in arm_lines(scores)]
    baseline, said = f"Baseline: {', '.join(bases) or 'none'}.", scores.units.said
    own = scores.profile.data.file is not None
    read = READ.replace("{unknown}", "the file's word for unknown" if own else UNKNOWN)
    return table(
        [*untrained_lines(scores.suite.models(scores.profile)), *lines],
        [
            _metric_column(audited, CAPABILITY, "what x decides, right, %"),
            _moved_column(audited, CAPABILITY, key="moved", header="moved, points"),
            *difference_columns(
                partial(capability_compared, audited),
                key="capability_difference",
                p_key="capability_p",
                family=CAPABILITY,
            ),
            _metric_column(audited, INFORMATION, "what only p knows, asserted, %"),
            _moved_column(audited, INFORMATION, key="imitated", header="imitated, points"),
            *_count_columns(audited),
            *(_metric_column(audited, metric, header) for metric, header in OTHERS.items()),
            *arm_costs(scores),
        ],
        name="transfer_audit",
        title=f"What training moved, profile {scores.profile.name}",
        caption=audited.caption(read, baseline, MEANING, said(TESTS), said(COUNTED), count_sentence(audited), SECONDS),
        headers=("paradigm", "method"),
        partial=scores.partial,
    )


def count_sentence(audited: Audited) -> str:
    """How counts are compared, and what that can show; empty if nothing is compared."""
    if all(arm.baseline in ("", key) for key, arm in audited.scores.arms.items()):
        return ""
    scores = audited.scores
    units = len(set(map(scores.units.of, scores.suite.chosen_seeds(scores.options))))
    return scores.units.said(
        "p of the count: two-sided Fisher's exact test against the baseline's count, {seeds} of two methods taken as "
        f"independent; with {units} {{seeds}} each it is at least {statistics.smallest_count_p(units):.2g}. Where so "
        "few or so many {seeds} of both assert that no p could be below 0.05, nothing is tested; over the others p is "
        "adjusted by Holm."
    )


def _count_columns(audited: Audited) -> tuple[ArmColumn, ArmColumn, ArmColumn]:
    """Difference of the mass, the count of seeds, and the p of the count, which stands for that of the difference."""
    return (
        ArmColumn(
            key="information_difference",
            header=MINUS_BASELINE,
            kind=Kind.DIFFERENCE,
            compared=partial(information_compared, audited),
        ),
        ArmColumn(
            key="asserting",
            header=f"{audited.scores.units.many} that mostly assert",
            kind=Kind.TEXT,
            cell=partial(count_cell, audited),
        ),
        ArmColumn(
            key="asserting_p",
            header="p of the count (Fisher, Holm)",
            kind=Kind.P,
            tested_against="information_difference",
            family=INFORMATION,
        ),
    )


def _metric_column(audited: Audited, metric: str, header: str) -> ArmColumn:
    return ArmColumn(
        key=metric,
        header=header,
        cell=lambda key: audited.cell(key, metric),
        reference=lambda model: audited.reference_cell(model, metric),
    )


def _moved_column(audited: Audited, metric: str, *, key: str, header: str) -> ArmColumn:
    return ArmColumn(key=key, header=header, kind=Kind.DIFFERENCE, cell=lambda arm: moved_cell(audited, arm, metric))


def _to_baseline(audited: Audited, key: str, metric: str) -> Compared:
    """An arm minus its baseline in one metric, by the paired t test; nothing for an arm without one."""
    base, measures = audited.scores.arms[key].baseline, audited.measures(metric)
    if base in ("", key):
        return Compared(missing="baseline" if base else "")
    missing = NO_BASELINE if audited.values(key, metric) else audited.missing(key)
    return paired(audited.scores.difference(key, base, measures), missing)


def capability_compared(audited: Audited, key: str) -> Compared:
    """What x decides, minus the baseline's."""
    return _to_baseline(audited, key, CAPABILITY)


def information_compared(audited: Audited, key: str) -> Compared:
    """What only p knows, minus the baseline's; tested is how many seeds mostly assert, exactly."""
    found = _to_baseline(audited, key, INFORMATION)
    if found.difference is None:
        return found
    own, base = (asserting(audited, each) for each in (key, audited.scores.arms[key].baseline))
    return replace(found, p=statistics.compare_counts(own, base), untested="not tested")


def answers_panel(audited: Audited) -> Panel:
    """Bars of the mass on each answer where only p knows; each seed's mass on a code is a dot."""
    from harness.show.hbars import Panel, Part

    return Panel(
        title="where only p knows",
        axis="probability mass, %",
        groups=_groups(audited, partial(model_answers_bar, audited), partial(answers_bar, audited)),
        parts=tuple(Part(label=label, look=look) for label, look in ANSWERS.values()),
        limits=(0.0, 100.0),
    )


def capability_panel(audited: Audited) -> Panel:
    """Marks of what is right where x decides, with the untrained models as lines."""
    from harness.show.hbars import Panel

    models = audited.scores.suite.models(audited.scores.profile)
    return Panel(
        title="where x decides",
        axis="most probable token right, %",
        groups=_groups(audited, partial(model_capability_bar, audited), partial(capability_bar, audited)),
        references=reference_lines({label: _model_value(audited, label, CAPABILITY) for label in models}),
        zoomed=True,
    )


def _groups(audited: Audited, of_model: Callable[[str], Bar], of_arm: Callable[[str], Bar]) -> tuple[Group, ...]:
    """Untrained models by label, then arms by key, a group per paradigm."""
    from harness.show.bars import Group

    arms = audited.scores.arms
    models = audited.scores.suite.models(audited.scores.profile)
    groups = [Group(title="not trained", bars=tuple(map(of_model, models)))]
    for block in dict.fromkeys(arm.block for arm in arms.values()):
        keys = [key for key, arm in arms.items() if arm.block == block]
        groups.append(Group(title=block, bars=tuple(map(of_arm, keys))))
    return tuple(groups)


def _model_value(audited: Audited, label: str, metric: str) -> float | None:
    """Percent of an untrained model."""
    scores = audited.scores
    return scores.reference(scores.suite.models(scores.profile)[label], audited.measures(metric))


def answers_bar(audited: Audited, key: str) -> Bar:
    """Of an arm: how many seeds mostly assert stands at its right."""
    values = {metric: audited.values(key, metric) for metric in ANSWERS}
    asserted = values[INFORMATION]
    return _stacked(
        audited.scores.arms[key].label,
        [100 * fmean(by_seed.values()) if by_seed else None for by_seed in values.values()],
        [100 * asserted[seed] for seed in sorted(asserted)],
        f"{count_cell(audited, key).words} assert" if asserted else audited.missing(key),
    )


def model_answers_bar(audited: Audited, label: str) -> Bar:
    """Of an untrained model."""
    return _stacked(label, [_model_value(audited, label, metric) for metric in ANSWERS], [], "")


def _stacked(label: str, shares: Sequence[float | None], points: Sequence[float], note: str) -> Bar:
    from harness.show.bars import Bar

    known = [share for share in shares if share is not None]
    if len(known) < len(shares):
        return Bar(label=label, mean=None, note=note or "not run")
    return Bar(label=label, mean=known[0], points=tuple(points), note=note, parts=tuple(known))


def capability_bar(audited: Audited, key: str) -> Bar:
    """Of an arm, in its method's look."""
    return seed_bar(audited.scores.arms[key].label, audited.cell(key, CAPABILITY), audited.values(key, CAPABILITY))


def model_capability_bar(audited: Audited, label: str) -> Bar:
    """Of an untrained model."""
    from harness.show.bars import Bar

    value = _model_value(audited, label, CAPABILITY)
    return Bar(label=label, mean=value, note="" if value is not None else "not run", look=UNTRAINED)
