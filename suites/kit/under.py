"""What stands over and under a figure: the finding, then what is drawn, and no more than a reader needs there.

Settings, departures, learning rates by name and what intervals do not say stand in the caption of the table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from suites.kit.arms import ArmScores
from suites.kit.findings import Finding
from suites.kit.measures import Measure, items_of, slashed
from suites.kit.sentences import stale_sentences

BESIDE = "Settings: caption of the table."


def title(scores: ArmScores, topic: str, finding: Finding) -> str:
    """The topic, what came out, and how much of it is there."""
    return f"{topic}: {finding.short}{scores.mark}"


def caption(
    scores: ArmScores,
    finding: Finding,
    drawn: str,
    *,
    words: str = "",
    measures: Sequence[Measure] | None = None,
    items: str = "",
) -> str:
    """The finding; what is drawn, of how many items and units, what ± is; whose learning rate.

    Args:
        drawn: sentences on marks, dots and lines; ``{seed}`` and ``{seeds}`` stand for the unit.
        words: of the metric; the primary one by default.
        measures: that are drawn, for the number of items; the primary ones by default.
        items: the same in words, where it is not of a benchmark: ``200 problems``.
    """
    steps = slashed(arm.spec.steps for arm in scores.arms.values())
    asked = items or f"{items_of(scores.rows, measures)} items a benchmark"
    metric = words or scores.words
    parts = [
        finding.sentence,
        scores.units.said(drawn),
        f"{metric[:1].upper()}{metric[1:]}, {asked}, {steps} steps; {spread(scores)}.",
        f"{rates(scores)}.",
        *stale_sentences(scores.costs),
        BESIDE,
    ]
    return " ".join(filter(None, parts))


def spread(scores: ArmScores) -> str:
    """Over what intervals are; a single run has none and says so."""
    n = len(dict.fromkeys(map(scores.units.of, scores.suite.chosen_seeds(scores.options))))
    return scores.units.said(
        f"± is half the 95 % t interval over {n} {{seeds}}" if n > 1 else "one {seed}, so no interval"
    )


def rates(scores: ArmScores) -> str:
    """Whose learning rate, in a few words."""
    if scores.options.learning_rate != "shared":
        return "Each method has its own tuned learning rate"
    found = {arm.spec.optim.lr for arm in scores.arms.values() if arm.spec.optim}
    return f"Learning rate {found.pop():g}" if len(found) == 1 else "Learning rates differ by arm"
