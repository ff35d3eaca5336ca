"""The paper's claims with their verdicts, as the registry finds them. No torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from harness import registry
from harness.analysis.claims import Decision, Verdict
from harness.report.web.folders import without_folders
from harness.suite import Options, Profile
from harness.types import HarnessError

SIGNS = {Verdict.REPRODUCED: "✓", Verdict.CONTRADICTED: "✗", Verdict.UNDECIDED: "?", Verdict.NOT_RUN: "–"}
"""Beside the word, for the eye; the word is what is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What the page shows, or why it shows nothing."""

    decisions: tuple[Decision, ...] = ()
    reason: str = ""

    @property
    def counts(self) -> dict[Verdict, int]:
        """Claims by verdict, all four of them."""
        found = Counter(decision.verdict for decision in self.decisions)
        return {verdict: found[verdict] for verdict in Verdict}


def load(profile: Profile, options: Options) -> Decisions:
    """Every claim with its verdict, or the reason why there is none."""
    try:
        made = registry.claims(profile, options)
    except ModuleNotFoundError as error:
        if error.name != registry.CLAIMS_MODULE:
            raise
        return Decisions(reason="not available: this version decides no claims")
    except HarnessError as error:
        return Decisions(reason=f"not available: {without_folders(str(error), options)}")
    return Decisions(decisions=tuple(replace(each, note=without_folders(each.note, options)) for each in made))
