"""The claims of DOPD (arXiv:2606.30626) on vision-language models, each with the rows and the rule that decide it.

Written before any of their rows (docs/log.md). What the paper shows of language models alone, and a profile with
pictures trains too, is asked again; the source then says ``of language``.
"""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.claims import Claim
from suites.kit.chosen import BASELINE
from suites.paper import claims_of_language
from suites.paper.claims_of_language import answers_hurt, dropped, form_beats_answer, form_is_best, headline
from suites.paper.orders import first_best
from suites.paper.quantities import SUBJECT, means

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
    *headline("Table 2", gain="+6.0 points", recovery="69.2 % of the gap"),
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
    form_beats_answer(
        "box_label",
        "Boxes with labels beat",
        "+3.4 points (mean of two benchmarks)",
        source="Table 5",
        id="boxes_beat_answers",
    ),
    answers_hurt("worse; its own table has +2.3 points for the answer", source="text on Table 5"),
    form_is_best(
        ("box_label", "box_caption", "caption", "final_answer", "none"),
        "Boxes with labels are",
        "boxes with labels above every other form and none",
        "+1.2 points over the second best",
        source="Table 5",
        id="boxes_best",
    ),
    *OF_LANGUAGE,
)
