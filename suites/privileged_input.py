"""Table 4: the form of the privileged input.

The paper varies p for DOPD only and does not say what its form does without routing; so the same five forms are
given to Priv. T→S too, where p reaches the student through one loss for all tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.show.tables import Table
from harness.types import Privilege
from suites.kit.arms import ArmScores, caption
from suites.kit.comparison import comparison_table
from suites.kit.variants import AnalysisSuite, Variant, block_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {
    Privilege.FINAL_ANSWER: "final answer",
    Privilege.HINTS_WITH_EXECUTION: "hints with execution",
    Privilege.HINTS: "hints",
    Privilege.SUMMARY: "summary of hints",
    Privilege.NONE: "no privileged input",
}
"""In the paper's order; its step-wise hints without execution are ``hints``."""
UNIFORM = "privileged_teacher"
SAME_RUNS = "Priv. T→S without privileged input is vanilla OPD: the same runs."


def uniform_variant(kind: Privilege) -> Variant:
    """Priv. T→S with one form of p; with none its teacher reads x alone, which is vanilla OPD."""
    plain = kind is Privilege.NONE
    return Variant(
        key=f"{UNIFORM}/{kind}",
        label=KINDS[kind],
        method="vanilla_opd" if plain else UNIFORM,
        privilege=None if plain else kind,
        block="Priv. T→S",
        baseline=f"{UNIFORM}/{Privilege.HINTS}",
    )


class PrivilegedInput(AnalysisSuite):
    """Forms of p × {DOPD, Priv. T→S}."""

    name = "privileged_input"
    title = "form of the privileged input, with and without routing (Table 4)"
    paper = ("table4", "table5")
    variants = (
        *(
            Variant(
                key=str(kind), label=label, method="dopd", privilege=kind, block="DOPD", baseline=str(Privilege.HINTS)
            )
            for kind, label in KINDS.items()
        ),
        *(uniform_variant(kind) for kind in KINDS),
    )

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table4``: a block per method, each form against hints."""
        return [table4(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``table4``: a panel per method, a bar per form."""
        words = caption(scores, SAME_RUNS)
        return {"table4": block_bars(scores, title="Form of the privileged input", caption=words)}


def table4(scores: ArmScores) -> Table:
    """Each method ranked by itself."""
    return comparison_table(
        scores,
        name="table4",
        title="Form of the privileged input",
        caption=caption(scores, SAME_RUNS),
        block_header="method",
        label_header="privileged input",
    )
