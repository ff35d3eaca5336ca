"""The world of text that tests ask where any would do: the development draw of ``permutations``, its shipped models."""

from __future__ import annotations

from typing import Any

from harness.config import DataSpec
from harness.types import Example, Span
from harness.worlds.permutations import tables, words
from harness.worlds.permutations import world as permutations
from harness.worlds.permutations.words import CODES as CODES
from harness.worlds.permutations.words import DOMAINS as DOMAINS
from harness.worlds.permutations.words import HARD_DIFFICULTY as HARD_DIFFICULTY
from harness.worlds.permutations.words import NAME, TRAIN_DIFFICULTY
from harness.worlds.permutations.words import STRIDE as STRIDE
from harness.worlds.permutations.world import PermutationsWorld
from harness.worlds.world import Grade

WORLD = PermutationsWorld()
DRAW = tables.DEVELOPMENT
STUDENT, TEACHER, SMALL, TRUTH = (f"{NAME}_{mind}_draw{DRAW}" for mind in ("student", "teacher", "small", "truth"))
"""Names of shipped models."""


def data(*domains: str, **more: Any) -> DataSpec:
    """Of some domains, of the development draw."""
    given: dict[str, Any] = {"world": NAME, "version": words.WORLD_VERSION, "domains": domains, "draw": DRAW}
    return DataSpec(**given | more)


def example(domain: str, split: str, index: int, difficulty: tuple[int, int] = TRAIN_DIFFICULTY) -> Example:
    """A problem of the development draw."""
    return permutations.example(DRAW, domain, split, index, difficulty)


def plain_trace(asked: Example) -> str:
    """The best response without p."""
    return WORLD.reference(asked)


def plain_facts(asked: Example) -> tuple[Span, ...]:
    """What decides each word of it."""
    return WORLD.reference_facts(asked)


def privileged_facts(asked: Example, kind: str) -> tuple[Span, ...]:
    """What each word of p is."""
    return WORLD.privileged_facts(asked, kind)


def demonstration(response: str) -> str:
    """A response in the form of hints with execution."""
    return WORLD.demonstration(response)


def grade(asked: Example, response: str) -> Grade:
    """Of a response."""
    return WORLD.grade(asked, response)
