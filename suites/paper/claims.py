"""Which claims of DOPD (arXiv:2606.30626) a profile decides, and the verdict of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from harness import registry
from harness.analysis import results
from harness.analysis.claims import Claim, Decision, Values, decide
from harness.analysis.units import units_of
from harness.suite import Options, Profile
from harness.types import HarnessError, Modality, NoRowsError
from suites.paper import claims_of_language, claims_of_pictures
from suites.paper.roles import cast

CLAIMS: Mapping[Modality, tuple[Claim, ...]] = {
    Modality.TEXT: claims_of_language.CLAIMS,
    Modality.VISION: claims_of_pictures.CLAIMS,
}


def decisions(profile: Profile, options: Options) -> list[Decision]:
    """Every claim with its verdict, from the rows of one source; each suite's rows are read once."""
    claims = CLAIMS[profile.modality]
    scores = {suite: _scores(suite, profile, options) for suite in dict.fromkeys(claim.suite for claim in claims)}
    over = units_of(profile).many
    return [decide(cast(claim, profile), _values(claim, scores[claim.suite]), over) for claim in claims]


def _scores(name: str, profile: Profile, options: Options) -> Any:
    """The suite's scores; a string on why there are none, without this machine's folders: it is published.

    Raises:
        HarnessError: its rows are damaged: that is another matter than rows that are not there.
    """
    suite: Any = registry.suite(name)
    chosen = suite.wholly(options)
    try:
        suite.runs(profile, chosen)
    except HarnessError as error:
        return str(error)
    try:
        rows, costs = results.load(options.source, suite, profile, chosen)
    except NoRowsError as error:
        return str(error).replace(f"{options.published}{os.sep}", "").replace(f"{options.results}{os.sep}", "")
    if stale := costs["state"].tolist().count(results.STALE):
        return f"{stale} of its runs are published under other settings only"
    return "no run of the suite is done" if rows.empty else suite.scores(rows, costs, chosen)


def _values(claim: Claim, scores: Any) -> Values | str:
    if isinstance(scores, str):
        return scores
    try:
        return claim.values(scores)
    except KeyError as error:
        return f"the suite has no arm {error} in profile {scores.profile.name}"
