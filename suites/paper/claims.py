"""Which claims of DOPD (arXiv:2606.30626) a profile decides, and the verdict of each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness import registry
from harness.analysis import results
from harness.analysis.claims import Claim, Decision, Values, Verdict, decide
from harness.analysis.units import units_of
from harness.config import RunSpec
from harness.suite import Options, Profile
from harness.types import Corruption, HarnessError, Modality, NoRowsError
from suites.paper import claims_of_language, claims_of_pictures
from suites.paper.roles import cast

CLAIMS: Mapping[Modality, tuple[Claim, ...]] = {
    Modality.TEXT: claims_of_language.CLAIMS,
    Modality.VISION: claims_of_pictures.CLAIMS,
}


ELSEWHERE = "a start, pair or p outside of it"
"""Where a run stands that is at no place of the diagram."""


def decisions(profile: Profile, options: Options) -> list[Decision]:
    """Every claim with its verdict, from the rows of one source; each suite's rows are read once."""
    claims = CLAIMS[profile.modality]
    scores = {suite: _scores(suite, profile, options) for suite in dict.fromkeys(claim.suite for claim in claims)}
    over = units_of(profile).many
    places = {suite: places_of(suite, profile, options) for suite in scores if profile.phases}
    return [
        replace(_decided(claim, profile, scores[claim.suite], over), place=places.get(claim.suite, ""))
        for claim in claims
    ]


def _decided(claim: Claim, profile: Profile, scores: Any, over: str) -> Decision:
    """By its rule; undecided, whatever its numbers, where what it is about is idle here."""
    decision = decide(cast(claim, profile), _values(claim, scores), over)
    if claim.idle is None or decision.verdict is Verdict.NOT_RUN or not (why := claim.idle(scores)):
        return decision
    return replace(decision, verdict=Verdict.UNDECIDED, note=why)


def places_of(name: str, profile: Profile, options: Options) -> str:
    """Where in the profile's diagram a suite's runs stand, or that they have pairs which are not in it."""
    suite: Any = registry.suite(name)
    try:
        runs: Sequence[RunSpec] = suite.runs(profile, suite.wholly(options))
    except HarnessError:
        return ""
    return "; ".join(dict.fromkeys(place_of(profile, spec) for spec in runs if spec.method))


def place_of(profile: Profile, spec: RunSpec) -> str:
    """The place of one run: its pair, with the default kind of p, and how often that is right."""
    data = spec.data
    if data is None or data.draw is None or data.privilege != profile.data.privilege or spec.start:
        return ELSEWHERE
    if data.corruption not in (Corruption.NONE, Corruption.WRONG_STEPS):
        return ELSEWHERE
    pair = (spec.teacher, spec.student)
    found = (p.label for p in profile.phases if p.wrong == data.corrupted and p.pair(data.draw) == pair)
    return next(found, ELSEWHERE)


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
