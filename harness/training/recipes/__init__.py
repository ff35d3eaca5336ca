"""How models are made: a visible dict of recipes. No torch; values are imported on use.

A recipe is a frozen dataclass whose fields are its settings; what it is given, it takes from the run: base
(``spec.student``), data, optimiser, steps, seed. A run with a recipe is planned, resumed and kept as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.config import RunSpec

if TYPE_CHECKING:
    from harness.training.making import Making

RECIPES: dict[str, str] = {
    "fine_tune": "harness.training.recipes.fine_tune:FineTune",
    "scenes_mind": "harness.training.recipes.scenes_mind:ScenesMind",
    "permutations_mind": "harness.training.recipes.permutations_mind:PermutationsMind",
}
"""``module:Class`` by name."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Base class. Importing its module imports no torch: a run's identity needs the defaults."""

    version: ClassVar[int] = 1
    """Bumped whenever the models change; part of a run's identity."""

    def prepare(self, spec: RunSpec, root: Path | None) -> Making:
        """The model before its first step, and what each step asks of it. ``root`` is the results folder.

        Raises:
            HarnessError: the spec lacks what the recipe needs, or the base is out of reach; before compute.
        """
        raise NotImplementedError
