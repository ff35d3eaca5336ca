"""Tables 1 and 2 and Figure 1: every compared method on the domains it was trained on.

The paper trains Qwen3-1.7B on three domains together and asks eight benchmarks of the same domains; with pictures the
same of Qwen3-VL-2B. Here a domain is
one benchmark in the trained range of difficulty and one in a harder range that no method saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.evaluation.benchmarks import told
from harness.show.tables import Table
from suites.kit.arms import ArmScores, MethodSuite, caption
from suites.kit.comparison import comparison_table
from suites.kit.dots import arm_dots
from suites.kit.draws import variance_tables
from suites.kit.items import arm_items
from suites.paper.beside import beside_tables
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "table1"
"""Of the paper, where the profile names no other."""
METHODS = ("vanilla_opd", "opcd", "exopd", "uni_opd", "sdft", "opsd", "sdpo", "eopd", "tip", "dopd")
"""Table 1's, in its order."""


class InDistribution(PaperNumbers, MethodSuite):
    """Table 1's methods × seeds on all domains together."""

    name = "in_distribution"
    title = "every compared method on its own domains (Table 1, Figure 1)"
    ranks_methods = True
    repeats_draws = True
    paper = ("table1", "table2", "figure1", "figure1_vlm")
    methods = METHODS

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table1``: mean, each domain, the harder range, gain, gap recovered, difference to vanilla OPD, cost;
        ``table1_items``: that difference with an interval over items too; ``table2_beside``: the paper's numbers
        beside ours, where the profile names its table, whose name the others then have; ``variance``: where arms have
        several seeds a draw, what of it is the draw's."""
        main = table1(scores)
        return [main, *beside_tables(scores), *arm_items(scores, main), *variance_tables(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure1``: each method minus vanilla OPD, in the mean and in each domain."""
        domains = {told(measure.benchmark).short: [measure] for measure in scores.inside}
        groups = {"mean of domains": scores.inside} | domains
        return {"figure1": arm_dots(scores, groups, topic="In distribution", things="methods")}


def table1(scores: ArmScores) -> Table:
    """All arms in one ranking: blocks are the paradigms' names, but every method competes with every other."""
    return comparison_table(
        scores,
        name=scores.profile.part(scores.suite.name).table or TABLE,
        title="In distribution",
        caption=caption(scores),
        block_header="paradigm",
        one_ranking=True,
    )
