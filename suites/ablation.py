"""Table 8: DOPD without one of its parts, and the readings of those rows that the paper leaves open.

Each row is DOPD with one switch: p taken from the data, a source removed, one loss for all tokens, one divergence, one
granularity. Where the text does not say what a removed part leaves behind, the other reading stands below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.tables import Table
from harness.types import PLAIN, Privilege
from suites.analyses import AnalysisSuite, Variant, block_bars
from suites.arms import ArmScores, caption, comparison_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUBJECT = "dopd"
COMPONENTS, READINGS = "components", "other readings"
WHAT = (
    "Without a source, its tokens go to the other one at their own weight and objective, or (dropped) have loss 0. "
    "Without routing, every token learns by JS on top-k from the teacher with p, or without it. One divergence: "
    "reverse KL everywhere; one granularity: top-k everywhere."
)


def without(key: str, label: str, block: str = COMPONENTS, **switches: Any) -> Variant:
    """DOPD with some switches of ``methods.dopd_ablation`` moved."""
    return Variant(key=key, label=label, method="dopd_ablation", settings=switches, block=block, baseline=SUBJECT)


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
        without("one_granularity", "w/o adaptive granularities", one_granularity=True),
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
    )

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table8``: each variant against DOPD."""
        return [table8(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``table8``: the paper's rows, and the other readings."""
        words = caption(scores, WHAT)
        return {"table8": block_bars(scores, title="DOPD without a part", caption=words, anchor=SUBJECT)}


def table8(scores: ArmScores) -> Table:
    """The paper's rows and the other readings, in one ranking."""
    return comparison_table(
        scores,
        name="table8",
        title="Components removed",
        caption=caption(scores, WHAT),
        block_header="rows",
        label_header="variant",
        one_ranking=True,
    )
