"""A mind of the permutations world as a recipe of runs: the trunk of a draw, decayed on what the mind writes.

A suite whose question is what teacher and student know makes its models so, from the trunk that is shipped; each is
trained once and kept as any run. No torch on import.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from harness.config import RunSpec
from harness.models.zoo.permutations.recipe import RECIPE
from harness.training.recipes import Recipe
from harness.types import HarnessError
from harness.worlds.permutations import tables
from harness.worlds.permutations.planner import Planner
from harness.worlds.permutations.words import NAME

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.making import Lesson, Making


@dataclass(frozen=True, kw_only=True)
class PermutationsMind(Recipe):
    """The fields of ``Planner``, each interval as two numbers, and ``stream``. The same steps as the shipped minds'."""

    stream: str
    """Minds of one stream read the same problems."""
    result_from: float
    result_to: float
    choice_from: float
    choice_to: float
    """Of every set of choices that are looked up."""
    depth: int
    hard: float
    right_low: float
    right_high: float
    wrong_low: float
    wrong_high: float
    guesses: float
    misreads: float

    @classmethod
    def settings_of(cls, mind: Planner, stream: str) -> dict[str, float | int | str]:
        """Of a mind with one interval of mistaken results and one of mistaken choices."""
        results, (choices, *others) = mind.mistaken[tables.RESULT], [mind.mistaken[name] for name in tables.LOOKED_UP]
        assert all(each == choices for each in others)
        return {
            "stream": stream,
            "result_from": results[0],
            "result_to": results[1],
            "choice_from": choices[0],
            "choice_to": choices[1],
            "depth": mind.depth,
            "hard": mind.hard,
            "right_low": mind.right[0],
            "right_high": mind.right[1],
            "wrong_low": mind.wrong[0],
            "wrong_high": mind.wrong[1],
            "guesses": mind.guesses,
            "misreads": mind.misreads,
        }

    @property
    def mind(self) -> Planner:
        """What it is meant to know. Raises HarnessError for settings that are none, see ``Planner``."""
        choices = (self.choice_from, self.choice_to)
        return Planner(
            mistaken={
                tables.RESULT: (self.result_from, self.result_to),
                **dict.fromkeys(tables.LOOKED_UP, choices),
            },
            depth=self.depth,
            hard=self.hard,
            right=(self.right_low, self.right_high),
            wrong=(self.wrong_low, self.wrong_high),
            guesses=self.guesses,
            misreads=self.misreads,
        )

    def __post_init__(self) -> None:
        _ = self.mind

    def prepare(self, spec: RunSpec, root: Path | None) -> Making:
        """The trunk with the zoo's optimisers, whose rates decay to zero with the run."""
        from torch.optim.lr_scheduler import LambdaLR

        from harness.models import load
        from harness.models.zoo import descent
        from harness.training.making import Making
        from harness.training.masters import Masters
        from harness.training.process import device
        from harness.worlds.permutations import planner

        if spec.data is None or spec.data.world != NAME or spec.data.draw is None:
            raise HarnessError(f"run {spec.id} makes a mind of the world {NAME!r}: give it data of one of its draws")
        planner.beliefs(spec.data.draw, self.mind)
        model = load.load(spec.student, dtype=spec.dtype, device=device(spec.device), root=root)
        optimisers = descent.optimisers(model, RECIPE.muon_lr, RECIPE.adamw_lr)
        return Making(
            spec=spec,
            student=model,
            weights=Masters(model),
            reader=load.load_reader(spec.student, root=root),
            optimisers=optimisers,
            schedules=[LambdaLR(each, partial(self.share, spec.steps)) for each in optimisers],
            clip_norm=descent.CLIP_NORM,
            lesson=partial(self.lesson, model, spec.data.draw),
        )

    def share(self, steps: int, step: int) -> float:
        """Of the rates at a step, counted from 0."""
        return min(1.0, (step + 1) / RECIPE.warmup, max(0, steps - step) / steps)

    def lesson(self, model: PreTrainedModel, draw: int, step: int) -> Lesson:
        """Cross-entropy of a page that the mind writes, both halves weighing the same; every rank reads the same."""
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
