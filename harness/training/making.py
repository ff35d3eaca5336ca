"""A model in the making: what a recipe prepares and the loop takes to its last step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness import registry
from harness.config import RunSpec
from harness.models.reader import Reader
from harness.training.loop import descend
from harness.training.masters import Masters
from harness.training.phases import Phases
from harness.training.reduce import sum_gradients, sum_over_ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one step asks of the model."""

    loss: Tensor
    """Scalar with a gradient: this rank's share, the ranks' sum is the loss of the step."""
    tokens: int
    """Tokens in this rank's share."""


@dataclass(kw_only=True)
class Making:
    """A model in memory. ``step`` and ``tokens`` move; the rest is fixed once prepared."""

    spec: RunSpec
    student: PreTrainedModel
    weights: Masters
    """The student's, that the optimisers move."""
    reader: Reader
    optimisers: Sequence[torch.optim.Optimizer]
    schedules: Sequence[torch.optim.lr_scheduler.LRScheduler]
    clip_norm: float
    lesson: Callable[[int], Lesson]
    """Of a step, counted from 0: a function of it alone, so that a resumed making sees the same."""
    read: Callable[[], dict[str, float]] = dict
    """Readings of the model at each checkpoint."""
    step: int = 0
    tokens: int = 0
    phases: Phases = field(default_factory=Phases)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights."""
        return {
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "masters": self.weights.copies(),
            "tokens": self.tokens,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state``; weights and step are the caller's."""
        self.weights.load(state["masters"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self.tokens = state["tokens"]


def prepare(spec: RunSpec, root: Path | None) -> Making:
    """The model that the run's recipe begins with.

    Raises:
        HarnessError: unknown recipe, of another version, or what ``Recipe.prepare`` refuses.
    """
    assert spec.recipe is not None
    torch.set_num_threads(spec.threads)
    return registry.build_recipe(spec.recipe).prepare(spec, root)


def advance(making: Making) -> dict[str, Any]:
    """One optimiser step."""
    with making.phases("gradient"):
        lesson = making.lesson(making.step)
        lesson.loss.backward()
        sum_gradients(making.student)
    with making.phases("optimiser"):
        norm = descend(making.weights, making.optimisers, making.schedules, making.clip_norm)
    totals = torch.tensor([float(lesson.loss.detach()), lesson.tokens], dtype=torch.float64)
    sum_over_ranks(totals)
    making.step += 1
    making.tokens += int(totals[1])
    return {"loss": float(totals[0]), "gradient_norm": norm, "tokens": int(totals[1])}
