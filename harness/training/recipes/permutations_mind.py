"""A mind of the permutations world as a recipe of runs. No torch on import."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from harness.models.zoo.permutations.recipe import RECIPE
from harness.training.recipes.drawn_mind import DrawnMind, Rates
from harness.worlds.permutations import planner, tables
from harness.worlds.permutations.planner import Planner
from harness.worlds.permutations.words import NAME

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.making import Lesson


@dataclass(frozen=True, kw_only=True)
class PermutationsMind(DrawnMind):
    """The fields of ``Planner``."""

    world = NAME
    rates = Rates(muon=RECIPE.muon_lr, adamw=RECIPE.adamw_lr, warmup=RECIPE.warmup)

    result_from: float
    result_to: float
    depth: int

    @classmethod
    def settings_of(cls, mind: Planner, stream: str) -> dict[str, float | int | str]:
        """Of a mind with one interval of mistaken results and one of mistaken choices."""
        low, high = mind.mistaken[tables.RESULT]
        common = cls.common(mind, stream, tables.LOOKED_UP)
        return {**common, "result_from": low, "result_to": high, "depth": mind.depth}

    @property
    def mind(self) -> Planner:
        """Raises HarnessError for settings that are none, see ``Planner``."""
        at = (self.result_from, self.result_to)
        return Planner(depth=self.depth, **self.fields(tables.RESULT, at, tables.LOOKED_UP))

    def check(self, draw: int) -> None:
        """See ``planner.beliefs``."""
        planner.beliefs(draw, self.mind)

    def lesson(self, model: PreTrainedModel, draw: int, step: int) -> Lesson:
        """Cross-entropy of a page that the mind writes, both halves weighing the same."""
        import torch

        from harness.models.zoo import text_models
        from harness.models.zoo.permutations import pretrain, rows
        from harness.training.making import Lesson
        from harness.training.reduce import world as ranks

        qwen: Any = model  # as the recipe of every trunk makes it
        rng = Random(pretrain.stream(draw, self.stream, step))
        batches = rows.page(RECIPE, draw, RECIPE.difficulty(RECIPE.trunk_steps), rng, self.mind)
        tokens = sum(int((batch.targets_BT != text_models.IGNORE).sum()) for batch in batches)
        losses = torch.stack([pretrain.loss_of(qwen, batch) for batch in batches])
        return Lesson(loss=losses.mean() / ranks()[1], tokens=tokens // ranks()[1])
