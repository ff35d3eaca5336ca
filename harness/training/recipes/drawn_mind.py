"""What recipes of minds share: the trunk of a draw, decayed on what a mind writes, in the steps of a shipped mind.

A suite whose question is what teacher and student know makes its models so, from the trunk that is shipped; each is
trained once and kept as any run. No torch on import.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.config import RunSpec
from harness.training.recipes import Recipe
from harness.types import HarnessError
from harness.worlds.minds import Mind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.making import Lesson, Making


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Of a zoo's recipe."""

    muon: float
    """Peak rate of the matrices inside the layers."""
    adamw: float
    """Of the rest."""
    warmup: int
    """Steps."""


@dataclass(frozen=True, kw_only=True)
class DrawnMind(Recipe):
    """Fields of ``harness.worlds.minds.Mind``, each interval as two numbers; a world adds its own."""

    world: ClassVar[str]
    rates: ClassVar[Rates]

    stream: str
    """Minds of one stream read the same problems."""
    choice_from: float
    choice_to: float
    """Of every set of choices that are looked up."""
    hard: float
    right_low: float
    right_high: float
    wrong_low: float
    wrong_high: float
    guesses: float
    misreads: float

    @staticmethod
    def common(mind: Mind, stream: str, choices: Collection[str]) -> dict[str, float | int | str]:
        """Settings of the fields here, of a mind with one interval for all its choices."""
        found = {mind.mistaken[name] for name in choices}
        assert len(found) == 1
        ((low, high),) = found
        return {
            "stream": stream,
            "choice_from": low,
            "choice_to": high,
            "hard": mind.hard,
            "right_low": mind.right[0],
            "right_high": mind.right[1],
            "wrong_low": mind.wrong[0],
            "wrong_high": mind.wrong[1],
            "guesses": mind.guesses,
            "misreads": mind.misreads,
        }

    def fields(self, mistaken: str, at: tuple[float, float], choices: Collection[str]) -> dict[str, Any]:
        """Of the mind: mistaken ``at`` an interval of one cell set, and about choices."""
        return {
            "mistaken": {mistaken: at, **dict.fromkeys(choices, (self.choice_from, self.choice_to))},
            "hard": self.hard,
            "right": (self.right_low, self.right_high),
            "wrong": (self.wrong_low, self.wrong_high),
            "guesses": self.guesses,
            "misreads": self.misreads,
        }

    @property
    def mind(self) -> Mind:
        """What it is meant to know. Raises HarnessError for settings that are none, see ``Mind``."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        _ = self.mind

    def check(self, draw: int) -> None:
        """Raises HarnessError: the draw does not exist, or the mind does not fit its cells."""
        raise NotImplementedError

    def lesson(self, model: PreTrainedModel, draw: int, step: int) -> Lesson:
        """Of a step: what the mind writes; every rank reads the same."""
        raise NotImplementedError

    def prepare(self, spec: RunSpec, root: Path | None) -> Making:
        """The trunk with the zoo's optimisers, whose rates decay to zero with the run."""
        from torch.optim.lr_scheduler import LambdaLR

        from harness.models import load
        from harness.models.zoo import descent
        from harness.training.making import Making
        from harness.training.masters import Masters

        if spec.data is None or spec.data.world != self.world or spec.data.draw is None:
            raise HarnessError(
                f"run {spec.id} makes a mind of the world {self.world!r}: give it data of one of its draws"
            )
        self.check(spec.data.draw)
        # What a mind reads is made on the processor, and so are the shipped minds.
        model = load.load(spec.student, dtype=spec.dtype, device="cpu", root=root)
        optimisers = descent.optimisers(model, self.rates.muon, self.rates.adamw)
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
        return min(1.0, (step + 1) / self.rates.warmup, max(0, steps - step) / steps)
