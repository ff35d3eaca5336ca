"""The claims of DOPD (arXiv:2606.30626) on vision-language models, each with the rows and the rule that decide it.

Written before any of their rows (docs/log.md). What the paper shows of language models alone, and a profile with
pictures trains too, is asked again; the source then says ``of language``.
"""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.claims import Claim, Direction
from suites.kit.cells import BASELINE
from suites.paper import claims_of_language
from suites.paper.claims_of_language import dropped
from suites.paper.orders import first_best
from suites.paper.quantities import SUBJECT, difference, gap_share, means

RIVALS = (BASELINE, "uni_opd", "vision_opd", "va_opd")
"""Table 2's."""
SHARED_SUITES = ("privilege_illusion", "continual", "ablation")
"""Of language in the paper, trained on pictures too."""
OF_LANGUAGE = tuple(
    replace(claim, source=f"{claim.source}, of language", late=False)
    for claim in claims_of_language.CLAIMS
    if claim.suite in SHARED_SUITES
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="main_gain",
        statement="DOPD beats vanilla OPD",
        source="Table 2",
        predicted="+6.0 points",
        suite="in_distribution",
        rule=Direction(),
        values=difference(SUBJECT, BASELINE),
    ),
    Claim(
        id="main_recovery",
        statement="DOPD closes more than half of the gap to the teacher",
        source="Table 2",
        predicted="69.2 % of the gap",
        suite="in_distribution",
        rule=Direction(),
        values=gap_share,
    ),
    Claim(
        id="beats_all",
        statement="DOPD beats every method compared on pictures",
        source="Table 2",
        predicted="+2.1 points over the best",
        suite="in_distribution",
        rule=first_best(f"DOPD above {', '.join(RIVALS)}"),
        values=means(SUBJECT, *RIVALS),
    ),
    *dropped("about four fifths of the gain", "Figure 4"),
    Claim(
        id="boxes_beat_answers",
        statement="Boxes with labels beat the final answer as privileged input",
        source="Table 5",
        predicted="+3.4 points (mean of two benchmarks)",
        suite="privileged_input",
        rule=Direction(),
        values=difference("box_label", "final_answer"),
    ),
    Claim(
        id="answers_hurt",
        statement="The final answer as privileged input is worse than none",
        source="text on Table 5",
        predicted="worse; its own table has +2.3 points for the answer",
        suite="privileged_input",
        rule=Direction(),
        values=difference("none", "final_answer"),
    ),
    Claim(
        id="boxes_best",
        statement="Boxes with labels are the best privileged input",
        source="Table 5",
        predicted="+1.2 points over the second best",
        suite="privileged_input",
        rule=first_best("boxes with labels above every other form and none"),
        values=means("box_label", "box_caption", "caption", "final_answer", "none"),
    ),
    *OF_LANGUAGE,
)
