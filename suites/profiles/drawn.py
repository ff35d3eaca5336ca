"""What the profiles of worlds with draws share: names of models and benchmarks, K, and EOPD's gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from harness.config import ModelSpec
from harness.models import zoo
from harness.profile import Draws, Override, TopK
from suites.kit.chosen import MAIN

DRAWS, DEVELOPMENT = 5, 5
"""Draws of results, 0 to 4, and the number of the one that no table holds."""
K = 32
"""Of every method that looks at its most probable tokens."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """Models of a world that come with the package, one of each mind in each draw."""

    world: str

    def name(self, mind: str, draw: int) -> str:
        """``scenes_teacher_draw0``."""
        return f"{self.world}_{mind}_draw{draw}"

    def model(self, mind: str, draw: int) -> ModelSpec:
        """Without a hash where the package holds none of that name."""
        name = self.name(mind, draw)
        return ModelSpec(name=name, sha256=zoo.MANIFEST.get(name, {}).get("sha256", ""))

    def draws(self, minds: Mapping[str, str]) -> Draws:
        """Of the profile; ``minds`` by the names that the profile gives to its models."""

        def model(asked: ModelSpec, draw: int) -> ModelSpec:
            return self.model(minds[asked.name], draw)

        every = (*range(DRAWS), DEVELOPMENT)
        held = (draw for draw in every if {self.name(mind, draw) for mind in minds.values()} <= zoo.MANIFEST.keys())
        return Draws(n=DRAWS, development=DEVELOPMENT, model=model, twice=MAIN, held=tuple(held))


class Benchmarks(TypedDict):
    """Fields of a profile."""

    benchmarks: tuple[str, ...]
    targets: dict[str, str]
    validation: dict[str, str]


def benchmarks(world: str, domains: Sequence[str]) -> Benchmarks:
    """Every domain has a test and a validation split of its own."""
    targets = {domain: f"{world}_{domain}" for domain in domains}
    return {
        "benchmarks": tuple(targets.values()),
        "targets": targets,
        "validation": {domain: f"{name}_validation" for domain, name in targets.items()},
    }


def top_k(vocabulary: int, codes: int) -> TopK:
    """``codes``: those that only p can tell."""
    return TopK(
        vocabulary=vocabulary,
        above=K,
        k=K,
        reason=(
            f"{{k}} is too large a part of {vocabulary} words to leave anything out; {K} is above the number of codes "
            f"that p alone holds ({codes}), so that those a student guesses are within it"
        ),
    )


def eopd_opened(threshold: float, *, reached: str, published: str) -> dict[str, Override]:
    """EOPD, at four steps a batch and at one, with a gate that opens on about as many words as in its paper.

    Args:
        threshold: nats.
        reached: per cent of the words of the student's responses whose entropy under the teacher reaches it.
        published: per cent that reach the published 0.8 nats.
    """
    reason = (
        f"on the student's responses this teacher reaches the published 0.8 nats on {published} % of the tokens, so "
        f"the gate would stay shut; {threshold:g} is reached by {reached} % of them, 18.5 % in the source; k stays 16"
    )
    return dict.fromkeys(("eopd", "eopd_one_update"), Override(settings={"threshold": threshold}, reason=reason))
