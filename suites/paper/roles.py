"""What claims name instead of models and domains: roles, which a profile's own names play. No torch.

A key, a statement or a rule of a claim may hold ``{largest_teacher}``; ``played`` puts the profile's name there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.analysis.claims import Claim, Order
from harness.profile import Profile

TEACHERS = ("largest_teacher", "middle_teacher", "smallest_teacher")
"""Of the smaller student."""
STUDENTS = ("smaller_student", "larger_student")
STAGES = ("first_stage", "second_stage", "third_stage")
"""Domains in the order of the profile's data."""
DIRECTIONS = ("first_domain", "second_domain")
"""Domains trained on and tested against each other."""


class Roles(dict[str, str]):
    """The profile's name by role; a role that nothing plays stands for itself, in words."""

    def __missing__(self, role: str) -> str:
        return role.replace("_", " ")


def roles(profile: Profile) -> Mapping[str, str]:
    """Who plays which role; too few models or domains leave roles out."""
    teachers, students = _pairs(profile)
    parts = (
        (TEACHERS, teachers),
        (STUDENTS, students),
        (STAGES, profile.data.domains),
        (DIRECTIONS, profile.directions),
    )
    return Roles({role: name for names, players in parts for role, name in zip(names, players, strict=False)})


def _pairs(profile: Profile) -> tuple[list[str], list[str]]:
    """Teachers of the weaker student, strongest first, and the students, weaker first."""
    if profile.ladder is None:
        return [], []
    rungs, pairs = list(profile.ladder.models), profile.ladder.pairs
    students = [name for name in rungs if name in {student for _, student in pairs}]
    return [name for name in reversed(rungs) if (name, students[0]) in pairs], students


def played(text: str, profile: Profile) -> str:
    """``text`` with the profile's name in place of every role."""
    return text.format_map(roles(profile))


def cast(claim: Claim, profile: Profile) -> Claim:
    """The claim in the profile's words."""
    rule = claim.rule
    if isinstance(rule, Order):
        rule = replace(rule, statement=played(rule.statement, profile))
    return replace(claim, statement=played(claim.statement, profile), rule=rule)
