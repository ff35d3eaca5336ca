"""AR-OPD: self-distillation towards what all of p adds to its first half.

arXiv:2606.10385. T is the student's moving average; it reads the response after x with all of p, and after x with the
first half of p. The target is the reading with half, moved by a share of what the other half adds:

    target = softmax(log T(x, half) + lambda clamp(log T(x, p) - log T(x, half), -5, 5)).

What could be read of it gives the target; the loss (reverse KL over the vocabulary), whose T it is and its rate are
ours. A word that either reading calls impossible has no mass. Mean over the tokens of rollouts that have a half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import (
    PRIVILEGED,
    Assignment,
    Example,
    FirstHalf,
    HarnessError,
    Policy,
    Reduction,
    ScorePool,
    Shown,
    Term,
    View,
    Want,
)
from methods.sdft import check_rate
from methods.targets import reverse_kl_to, shown_rows

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView

HALF = "half"
"""x with the first half of p."""


@dataclass(frozen=True, kw_only=True)
class ResidualDistillation(Method):
    """y ~ student(. | x); teacher: its moving average with half of p, moved by what the rest adds."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN
    shows: ClassVar[tuple[type, ...]] = (FirstHalf,)

    strength: float = 0.8
    """lambda; 0 is the reading with half of p, 1 that with all of it but for the bound."""
    bound: float = 5.0
    """Nats, on each word's difference."""
    rate: float = 0.05
    """Share of the student in each update of the average, in (0, 1]. Ours: SDPO's; whose T it is could not be read."""

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not (self.strength >= 0 and self.bound > 0):
            raise HarnessError(
                f"strength={self.strength}, bound={self.bound}: give a strength of 0 or more and a bound above 0"
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        whole, half = (View(Policy.EMA, context, wants, rate=self.rate) for context in (PRIVILEGED, HALF))
        return (Term(View(Policy.STUDENT, wants=wants), (whole, half)),)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        return {HALF: [FirstHalf()] * len(examples)}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        return Assignment(mask_BT=shown_rows(pool, HALF))

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        whole, half = (views[view].logp_NV for view in term.sources)
        return reverse_kl_to(views[term.trained], self.target(whole, half))

    def target(self, whole_NV: Tensor, half_NV: Tensor) -> Tensor:
        """Log-probabilities of the target up to a constant, [N, V]."""
        moved_NV = half_NV + self.strength * (whole_NV - half_NV).clamp(-self.bound, self.bound)
        # A word that is impossible after half of p is at -inf already: a bounded number does not move it.
        return moved_NV.masked_fill(whole_NV.isneginf(), -math.inf)
