"""A mind of the scenes world as a recipe of runs. No torch on import."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from harness.models.zoo.scenes.recipe import RECIPE
from harness.training.recipes.drawn_mind import DrawnMind, Rates
from harness.worlds.minds import Mind, check
from harness.worlds.scenes import tables
from harness.worlds.scenes.words import NAME

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.making import Lesson


@dataclass(frozen=True, kw_only=True)
class ScenesMind(DrawnMind):
    """The fields of ``Mind``, readings and choices apart."""

    world = NAME
    rates = Rates(muon=RECIPE.muon_lr_settled, adamw=RECIPE.adamw_lr, warmup=RECIPE.warmup)

    reading_from: float
    reading_to: float

    @classmethod
    def settings_of(cls, mind: Mind, stream: str) -> dict[str, float | int | str]:
        """Of a mind with one interval of mistaken readings and one of mistaken choices."""
        low, high = mind.mistaken[tables.READING]
        return {**cls.common(mind, stream, tables.CHOICES), "reading_from": low, "reading_to": high}

    @property
    def mind(self) -> Mind:
        """Raises HarnessError for settings that are none, see ``Mind``."""
        return Mind(**self.fields(tables.READING, (self.reading_from, self.reading_to), tables.CHOICES))

    def check(self, draw: int) -> None:
        """Raises HarnessError: no such draw, or an interval that holds no cell of it."""
        check(self.mind, list(tables.tables(tables.check_draw(draw)).values()))

    def lesson(self, model: PreTrainedModel, draw: int, step: int) -> Lesson:
        """Cross-entropy of a page that the mind writes, and the labels of its pictures."""
        from harness.models.zoo import text_models
        from harness.models.zoo.scenes import pretrain, rows
        from harness.training.making import Lesson
        from harness.training.reduce import world as ranks

        qwen: Any = model  # as the recipe of every trunk makes it
        rng = Random(pretrain.stream(draw, self.stream, step))
        page = rows.page(RECIPE, draw, pretrain.mind_mix(RECIPE), rng, self.mind, RECIPE.mind_lies)
        tokens = sum(int((batch.targets_BT != text_models.IGNORE).sum()) for batch in page.batches)
        loss = pretrain.loss_of(qwen, page, RECIPE.vision_weight)
        return Lesson(loss=loss / ranks()[1], tokens=tokens // ranks()[1])
