"""The tiny world in draws, and a profile that runs them: two of results and one for development.

Registered as ``tiny_world`` is: ``WORLDS["drawn"] = "support.drawn_world:DrawnWorld"``; its profile by another line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from support import tiny_world
from support.tiny_world import TinyWorld

from harness.config import DataSpec, ModelSpec
from harness.profile import Draws
from harness.types import Example
from harness.worlds.world import HeldOut, in_turn

RESULTS = 2
DEVELOPMENT = 9


class DrawnWorld(TinyWorld):
    """Each draw has problems of its own."""

    draws = (*range(RESULTS), DEVELOPMENT)

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """A draw's problems are a thousand places further on than those of the one before."""
        assert data.draw is not None
        first = 1000 * data.draw
        return in_turn(data, split, n, start, lambda domain, i: tiny_world.example(domain, split, first + i))

    def benchmarks(self) -> Sequence[HeldOut]:
        """``drawn_<domain>``, and ``drawn_<domain>_validation``."""
        return [
            HeldOut(
                name=f"drawn_{domain}{suffix}",
                data=DataSpec(world="drawn", domains=(domain,), privilege="tint"),
                split=split,
                n=6,
                max_new_tokens=24,
            )
            for suffix, split in (("", "test"), ("_validation", "validation"))
            for domain in self.domains
        ]


def in_draw(model: ModelSpec, draw: int) -> ModelSpec:
    """``student_1`` of ``student``."""
    return ModelSpec(name=f"{model.name}_{draw}")


def save_pairs(folder: Path) -> None:
    """A pair of each draw, as folders that any run can load."""
    for draw in DrawnWorld.draws:
        for name, seed, hidden in (("student", 2 * draw, 32), ("teacher", 2 * draw + 1, 48)):
            tiny_world.model(seed, hidden).save_pretrained(folder / f"{name}_{draw}")
            tiny_world.tokenizer().save_pretrained(folder / f"{name}_{draw}")


PROFILE = replace(
    tiny_world.PROFILE,
    name="drawn",
    data=replace(tiny_world.PROFILE.data, world="drawn"),
    draws=Draws(n=RESULTS, development=DEVELOPMENT, model=in_draw),
    benchmarks=tuple(f"drawn_{domain}" for domain in TinyWorld.domains),
    validation={domain: f"drawn_{domain}_validation" for domain in TinyWorld.domains},
    targets={domain: f"drawn_{domain}" for domain in TinyWorld.domains},
    directions=TinyWorld.domains,
)
"""Its models are folders of the working directory, see ``save_pairs``."""

FIVE = replace(PROFILE, name="drawn_five", draws=Draws(n=5, development=9, model=in_draw))
"""As many draws as a bootstrap asks for; the world holds two of them, so it is for tables only."""

TWO_BUDGETS = replace(PROFILE, name="drawn_budgets", steps=20, extra_checkpoints=(3, 5, 10), early_step=5)
"""Runs with an early step between two tenths; 10 is a tenth itself."""
