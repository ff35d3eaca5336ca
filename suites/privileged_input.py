"""Tables 4 and 5: the form of the privileged input.

The paper varies p for DOPD only and does not say what its form does without routing; so the same forms are given to
Priv. T→S too, where p reaches the student through one loss for all tokens. Which forms there are says the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.profile import Profile
from harness.show.tables import Table
from harness.types import Privilege
from suites.kit.arms import ArmScores, caption
from suites.kit.comparison import comparison_table
from suites.kit.dots import arm_dots
from suites.kit.variants import AnalysisSuite, Variant
from suites.paper.beside import beside_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "table4"
"""Of the paper, where the profile names no other."""
UNIFORM = "privileged_teacher"
SAME_RUNS = "Priv. T→S without privileged input is vanilla OPD: the same runs."


def routed_variant(kind: str, label: str, default: str) -> Variant:
    """DOPD with one form of p, compared with the default one."""
    return Variant(key=str(kind), label=label, method="dopd", privilege=kind, block="DOPD", baseline=str(default))


def uniform_variant(kind: str, label: str, default: str) -> Variant:
    """Priv. T→S with one form of p; with none its teacher reads x alone, which is vanilla OPD."""
    plain = kind == Privilege.NONE
    return Variant(
        key=f"{UNIFORM}/{kind}",
        label=label,
        method="vanilla_opd" if plain else UNIFORM,
        privilege=None if plain else kind,
        block="Priv. T→S",
        baseline=f"{UNIFORM}/{default}",
    )


class PrivilegedInput(AnalysisSuite):
    """Forms of p × {DOPD, Priv. T→S}."""

    name = "privileged_input"
    needs = ("privileges",)
    title = "form of the privileged input, with and without routing (Table 4)"
    paper = ("table4", "table5")
    variants = ()

    def variants_of(self, profile: Profile) -> tuple[Variant, ...]:
        """The profile's kinds of p, each with both methods.

        Raises:
            HarnessError: the profile names no kinds.
        """
        kinds: Mapping[str, str] = profile.given("privileges", self.name)
        return tuple(
            make(kind, label, profile.data.privilege)
            for make in (routed_variant, uniform_variant)
            for kind, label in kinds.items()
        )

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table4``: a block per method, each form against the default one; ``table5_beside``: the paper's numbers
        beside ours, where the profile names its table, whose name the first then has."""
        return [table4(scores), *beside_tables(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``table4``, or the table's other name: each form minus the default one, under its method."""
        drawn = arm_dots(
            scores,
            {"mean of domains": scores.inside},
            topic="Form of the privileged input",
            things="forms",
            drawn=" ".join(same_runs(scores)),
            blocks=True,
        )
        return {table_name(scores): drawn}


def same_runs(scores: ArmScores) -> list[str]:
    """That vanilla OPD stands for Priv. T→S without p, where it does."""
    return [SAME_RUNS] if f"{UNIFORM}/{Privilege.NONE}" in scores.arms else []


def table_name(scores: ArmScores) -> str:
    """The profile's, of the paper's table; ``TABLE`` without one."""
    return scores.profile.part(scores.suite.name).table or TABLE


def table4(scores: ArmScores) -> Table:
    """Each method ranked by itself, under the name of the paper's table."""
    return comparison_table(
        scores,
        name=table_name(scores),
        title="Form of the privileged input",
        caption=caption(scores, *same_runs(scores)),
        block_header="method",
        label_header="privileged input",
    )
