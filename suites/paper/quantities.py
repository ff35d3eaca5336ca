"""What the claims measure: named values by unit, in points or millinats, from the scores of one suite. No torch.

Keys of arms and names of domains may hold roles (``suites.paper.roles``), which the profile of the scores plays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.analysis.claims import Values
from suites.kit.arms import ArmScores
from suites.kit.chosen import BASELINE
from suites.kit.curves import ENTROPY, MILLI, joined, step_at
from suites.kit.seeds import common_seeds, mean, minus, scaled
from suites.kit.stages import StageScores
from suites.kit.support import LEAST, is_inactive
from suites.paper.roles import played

SUBJECT = "dopd"
MIDDLE = 0.5
"""Share of a run: until here a late fall has its best checkpoint."""


def points(scores: ArmScores, key: str, share: float = 1.0) -> dict[int, float]:
    """Mean of the domains by unit, percent, at a share of the run."""
    return scaled(scores.values(key, scores.inside, step_at(scores.arms[key].spec, share)), 100)


def entropy(scores: ArmScores, key: str, share: float = 1.0) -> dict[int, float]:
    """Millinats by unit, mean since the probed step before."""
    return scaled(scores.values(key, [ENTROPY], step_at(scores.arms[key].spec, share)), MILLI)


def difference(a: str, b: str, share: float = 1.0) -> Callable[[ArmScores], Values]:
    """``a`` minus ``b``, points."""

    def values(scores: ArmScores) -> Values:
        own, other = played(a, scores.profile), played(b, scores.profile)
        return {f"{own} - {other}": minus(points(scores, own, share), points(scores, other, share))}

    return values


def inactive(key: str) -> Callable[[ArmScores], str]:
    """Why nothing can be said of an arm that differs in its support alone, where that leaves next to nothing out."""

    def why(scores: ArmScores) -> str:
        if not is_inactive(scores, scores.arms[key]):
            return ""
        return f"the row is inactive: less than {LEAST:g} in a thousand lies outside its top-k"

    return why


def means(*keys: str) -> Callable[[ArmScores], Values]:
    """Several arms at the end, points."""
    return lambda scores: {key: points(scores, key) for key in keys}


def ahead_of_time(share: float, rivals: Sequence[str]) -> Callable[[ArmScores], Values]:
    """DOPD at a share of the run, others at its end."""
    name = f"{SUBJECT} at {100 * share:g} %"
    return lambda scores: {name: points(scores, SUBJECT, share), **means(*rivals)(scores)}


def gap_share(scores: ArmScores) -> Values:
    """DOPD's score above half of the way from student to teacher, points."""
    student, teacher = (scaled(each, 100) for each in scores.end_values(SUBJECT, scores.inside))
    if not student or not teacher:
        return {SUBJECT: {}}
    half = {unit: (student[unit] + teacher[unit]) / 2 for unit in common_seeds([student, teacher])}
    return {"above half of the gap": minus(points(scores, SUBJECT), half)}


def gains(method: str, pairs: Sequence[str]) -> Callable[[ArmScores], Values]:
    """Gain over the untrained student in several pairs, points."""

    def values(scores: ArmScores) -> Values:
        keys = [f"{played(pair, scores.profile)}/{method}" for pair in pairs]
        return {key: seeds for key in keys for seeds in gain(key)(scores).values()}

    return values


def late_fall(key: str) -> Callable[[ArmScores], Values]:
    """How far the end lies below the best checkpoint of the first half, points.

    Each unit's best checkpoint is chosen by the other units: its own maximum shows a fall in pure noise.
    """

    def values(scores: ArmScores) -> Values:
        spec = scores.arms[key].spec
        early = tuple(step for step in spec.probed_steps() if 0 < step <= MIDDLE * spec.steps)
        half = joined(early, [points(scores, key, step / spec.steps) for step in early], scores.units)
        return {f"fall of {key}": minus(half.best(), points(scores, key))}

    return values


def entropy_loss(key: str, beyond: float = 0.0) -> Callable[[ArmScores], Values]:
    """Vanilla OPD's entropy minus an arm's, millinats, above a share of the former."""
    return lambda scores: {"entropy": minus(scaled(entropy(scores, BASELINE), 1 - beyond), entropy(scores, key))}


def gain(key: str) -> Callable[[ArmScores], Values]:
    """Of an arm over the untrained student, points."""

    def values(scores: ArmScores) -> Values:
        student, _ = scores.end_values(key, scores.inside)
        return {f"gain of {key}": minus(points(scores, key), scaled(student, 100))}

    return values


def gain_lost(key: str, beyond: float) -> Callable[[ArmScores], Values]:
    """What an arm lacks of vanilla OPD's gain, above a share of that gain, points."""

    def values(scores: ArmScores) -> Values:
        (whole,), (kept,) = gain(BASELINE)(scores).values(), gain(key)(scores).values()
        return {f"lost by {key}": minus(scaled(whole, 1 - beyond), kept)}

    return values


def entropy_path(scores: ArmScores) -> Values:
    """DOPD's entropy at each tenth of the run, millinats."""
    steps = [step for step in scores.arms[SUBJECT].spec.probed_steps() if step > 0]
    return {f"step {step}": entropy(scores, SUBJECT, step / steps[-1]) for step in steps}


def all_arms(first: str) -> Callable[[ArmScores], Values]:
    """Every arm of the suite, one of them before the others, points."""
    return lambda scores: means(*sorted(scores.arms, key=lambda key: key != first))(scores)


def out_of_domain(trained: str, tested: str, methods: Sequence[str]) -> Callable[[Any], Values]:
    """Methods trained on one domain, asked in another, points."""

    def values(scores: Any) -> Values:
        source, target = played(trained, scores.profile), scores.target(played(tested, scores.profile))
        return {name: scaled(scores.values(f"{source}/{name}", target), 100) for name in methods}

    return values


def on_domain(scores: StageScores, stage: str, domain: str) -> dict[int, float]:
    """DOPD's percent in a domain after a stage."""
    return scaled(scores.values(f"{stage}/{SUBJECT}", scores.measures(domain)), 100)


def stage_gain(before: str, stage: str) -> Callable[[StageScores], Values]:
    """What DOPD's score in a domain rises by in the domain's own stage, points."""

    def values(scores: StageScores) -> Values:
        earlier, own = played(before, scores.profile), played(stage, scores.profile)
        return {"gain": minus(on_domain(scores, own, own), on_domain(scores, earlier, own))}

    return values


def backward_transfer(scores: StageScores) -> Values:
    """Mean over the earlier domains of the end minus right after their own stage, points."""
    *earlier, last = scores.profile.data.domains
    changes = [minus(on_domain(scores, last, domain), on_domain(scores, domain, domain)) for domain in earlier]
    return {"backward transfer": mean(changes)}
