"""Table 8: DOPD without one of its parts, the readings of those rows that the paper leaves open, and why.

Each row is DOPD with one switch: p taken from the data, a source removed, one loss for all tokens, one divergence, one
granularity. Where the text does not say what a removed part leaves behind, the other reading stands below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Table
from harness.suite import Evaluation
from harness.types import PLAIN, Privilege
from suites.kit.arms import ArmScores, caption
from suites.kit.comparison import comparison_table, domain_columns
from suites.kit.dots import arm_dots
from suites.kit.items import arm_items
from suites.kit.support import FEW, outside_columns, support_read
from suites.kit.support import WHAT as OUTSIDE_WHAT
from suites.kit.variants import AnalysisSuite, Variant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUBJECT = "dopd"
WHY_BESIDE = (SUBJECT, "no_privilege", "one_divergence")
"""Rows of Table 8 that the added ones are read with."""
COMPONENTS, READINGS, MECHANISM = "components", "other readings", "why (added after these results)"
FEW_KEY = "few"
WITH_FEW = f"components, k = {FEW}"
WHAT = (
    "Without a source, its tokens go to the other one at their own weight and objective, or (dropped) have loss 0. "
    "Without routing, every token learns by JS on top-k from the teacher with p, or without it. One divergence: "
    "reverse KL everywhere; one granularity: top-k everywhere."
)
WHY = (
    "Added after the rows of Table 8 were seen, to explain them. HT has weight 1 in DOPD, LH and HS 0.6, LL 0.3: to "
    "divide these by four is four times HT. One divergence: reverse KL everywhere."
)


def without(key: str, label: str, block: str = COMPONENTS, **switches: Any) -> Variant:
    """DOPD with some switches of ``methods.dopd_ablation`` moved."""
    return Variant(key=key, label=label, method="dopd_ablation", settings=switches, block=block, baseline=SUBJECT)


def weighed(key: str, label: str, **weights: float) -> Variant:
    """DOPD with other weights of the regimes."""
    return Variant(key=key, label=label, method=SUBJECT, settings=weights, block=MECHANISM, baseline=SUBJECT)


class Ablation(AnalysisSuite):
    """DOPD and DOPD without one part."""

    name = "ablation"
    title = "components of DOPD removed (Table 8)"
    paper = ("table8",)
    variants = (
        Variant(key=SUBJECT, label="DOPD", method=SUBJECT, block=COMPONENTS, baseline=SUBJECT),
        Variant(
            key="no_privilege",
            label="w/o privileged input",
            method=SUBJECT,
            privilege=Privilege.NONE,
            block=COMPONENTS,
            baseline=SUBJECT,
        ),
        without("no_student_source", "w/o student as source", removed="student"),
        without("no_teacher_source", "w/o teacher as source", removed="teacher"),
        without("not_adaptive", "w/o advantage-aware routing", adaptive=False),
        without("one_divergence", "w/o adaptive divergences", one_divergence=True),
        replace(without("one_granularity", "w/o adaptive granularities", one_granularity=True), by_support=True),
        Variant(
            key=FEW_KEY,
            label="DOPD",
            method=SUBJECT,
            settings={"k": FEW},
            block=WITH_FEW,
            baseline=FEW_KEY,
            optional=True,
        ),
        replace(
            without("one_granularity_few", "w/o adaptive granularities", WITH_FEW, one_granularity=True, k=FEW),
            baseline=FEW_KEY,
            by_support=True,
            optional=True,
        ),
        without(
            "no_student_source_dropped",
            "w/o student as source, dropped",
            READINGS,
            removed="student",
            drop_removed=True,
        ),
        without(
            "no_teacher_source_dropped",
            "w/o teacher as source, dropped",
            READINGS,
            removed="teacher",
            drop_removed=True,
        ),
        without(
            "not_adaptive_plain", "w/o routing, teacher without p", READINGS, adaptive=False, uniform_context=PLAIN
        ),
        weighed("ht_four_times", "HT at four times its weight (β / 4)", beta_l=0.15, beta_w=0.075),
        weighed("ht_less", "all regimes at weight 1 (β = 1)", beta_l=1.0, beta_w=1.0),
        Variant(
            key="no_privilege_one_divergence",
            label="w/o privileged input, w/o adaptive divergences",
            method="dopd_ablation",
            settings={"one_divergence": True},
            privilege=Privilege.NONE,
            block=MECHANISM,
            baseline=SUBJECT,
        ),
    )

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Also what lies outside the top-k, where arms of another k are compared."""
        asked = super().evaluations(spec)
        return (*asked, *support_read(spec)) if self.compares_k(registry.profile(spec.profile)) else asked

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table8``: each variant against DOPD; ``table8_items``: with an interval over items too; ``table8_few``: at
        another k, ``table8_why``: what was added to explain it, tested apart, each where it is among the arms."""
        main = table8(scores)
        few = [table8_few(scores)] if FEW_KEY in scores.arms else []
        why = [table8_why(scores)] if explained(scores) else []
        return [main, *arm_items(scores, main, components(scores)), *few, *why]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``table8``: the paper's rows, the other readings and what explains them, each minus DOPD."""
        groups = {"mean of domains": scores.inside}
        return {"table8": arm_dots(scores, groups, topic="DOPD without a part", things="variants", blocks=True)}


def components(scores: ArmScores) -> list[str]:
    """Keys of Table 8's rows and their other readings."""
    return [key for key, arm in scores.arms.items() if arm.block not in (MECHANISM, WITH_FEW)]


def explained(scores: ArmScores) -> bool:
    """Whether arms that explain Table 8 are there."""
    return any(arm.block == MECHANISM for arm in scores.arms.values())


def table8(scores: ArmScores) -> Table:
    """The paper's rows and the other readings, in one ranking."""
    return comparison_table(
        scores,
        name="table8",
        title="Components removed",
        caption=caption(scores, WHAT, *([OUTSIDE_WHAT] if outside_columns(scores) else [])),
        block_header="rows",
        label_header="variant",
        arms=components(scores),
        extras=[*domain_columns(scores), *outside_columns(scores)],
        one_ranking=True,
    )


def table8_few(scores: ArmScores) -> Table:
    """Granularity where a top-k leaves something out, ranked and tested apart."""
    return comparison_table(
        scores,
        name="table8_few",
        title=f"Granularity at k = {FEW}",
        caption=caption(scores, f"Both rows have k = {FEW} in place of the profile's.", OUTSIDE_WHAT),
        block_header="rows",
        label_header="variant",
        arms=[key for key, arm in scores.arms.items() if arm.block == WITH_FEW],
        extras=[*domain_columns(scores), *outside_columns(scores)],
    )


def table8_why(scores: ArmScores) -> Table:
    """What was added to explain Table 8, against DOPD."""
    return comparison_table(
        scores,
        name="table8_why",
        title="Components: weight of HT, privileged input and divergence",
        caption=caption(scores, WHY),
        block_header="rows",
        label_header="variant",
        arms=[key for key, arm in scores.arms.items() if arm.block == MECHANISM or key in WHY_BESIDE],
        one_ranking=True,
    )
