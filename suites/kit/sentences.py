"""Sentences of captions that several suites share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from harness.analysis import results
from harness.analysis.units import Units
from harness.method import Entry
from harness.suite import Options, Profile, learning_rate
from suites import TUNING

if TYPE_CHECKING:
    from pandas import DataFrame

SECONDS = "Seconds are wall time of one worker beside others on a shared machine."
"""In the caption of whatever shows some."""
COLLAPSES = "Collapsed runs are averaged like the others and named."


def tests_sentence(tests: int, units: Units) -> str:
    """How the differences of a table are tested; ``tests``: how many of them are."""
    if not tests:
        return units.said(
            "differences are paired by {seed}; with fewer than two {seeds}, or none that differ, nothing is tested."
        )
    return units.said(
        "differences are paired by {seed}, p is of the two-sided paired t test, adjusted by Holm over the "
        f"{tests} test{'s' * (tests > 1)} of this table."
    )


def fixed_weights_sentence(profile: Profile) -> str:
    """What the intervals say of the models, and what they do not."""
    if profile.draws:
        return (
            "Each draw has its own tables, items, student and teacher, so intervals speak of other draws of this world "
            "and of no other world."
        )
    return (
        f"Student {profile.student.name} and teacher {profile.teacher.name} are fixed weights: seeds vary "
        "the order of problems and the rollouts, and say nothing of other initialisations or items."
    )


def departure_sentences(entries: Iterable[Entry]) -> list[str]:
    """What differs from the cited sources."""
    return [f"{entry.label}: {entry.departure}." for entry in entries if entry.departure]


def override_sentences(profile: Profile, entries: Mapping[str, Entry]) -> list[str]:
    """Settings of the profile that differ from the published ones, one sentence per setting and reason."""
    labels: dict[tuple[str, str], list[str]] = {}
    for name, entry in entries.items():
        if override := profile.override(name):
            labels.setdefault((override.text, override.reason), []).append(entry.label)
    return [
        f"Profile {profile.name} sets {settings} for {', '.join(names)}: {why}."
        for (settings, why), names in labels.items()
    ]


def learning_rate_sentence(profile: Profile, options: Options, entries: Mapping[str, Entry]) -> str:
    """Which learning rate the runs had."""
    if options.learning_rate == "shared":
        return f"Learning rate {profile.optim.lr:g}, shared by all methods (the paper's protocol)."
    rates = ", ".join(f"{entry.label} {learning_rate(profile, options, name):g}" for name, entry in entries.items())
    return f"Learning rates tuned on the validation split, one by one (suite {TUNING}): {rates}."


def stale_sentences(costs: DataFrame) -> list[str]:
    """Whether published runs are of other settings."""
    stale = costs["state"].tolist().count(results.STALE)
    return [f"{stale} runs are published under other settings than the planned ones and not shown."] if stale else []


def standing_sentences(profile: Profile, entries: Mapping[str, Entry], costs: DataFrame) -> list[str]:
    """What every caption of trained runs says: fixed weights, collapses, overrides, departures, other settings."""
    return [
        fixed_weights_sentence(profile),
        COLLAPSES,
        *override_sentences(profile, entries),
        *departure_sentences(entries.values()),
        *stale_sentences(costs),
    ]
