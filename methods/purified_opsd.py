"""Purified OPSD: self-distillation towards the initial policy, moved by what p says about this problem.

arXiv:2607.02234, section 3.2. T is the student's moving average; it reads the response after x with p, and after p
alone. What p makes probable whatever the problem is taken away:

    delta = log T(x, p) - log T(p)     delta - its mean over V, then c tanh(delta / c)
    target = softmax(log initial(x) + delta / beta).

What could be read of it gives the target; the loss (reverse KL over the vocabulary), whose T it is, its rate and the
initial student as base are ours. A word that any of the three calls impossible stays out of the mean and has no mass.
Mean over the tokens of rollouts whose p stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import (
    PRIVILEGED,
    Alone,
    Assignment,
    Example,
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

ALONE = "alone"
"""p without x."""


@dataclass(frozen=True, kw_only=True)
class PurifiedSelfDistillation(Method):
    """y ~ student(. | x); teacher: its initial policy, moved by what p adds to x and not by what it says alone."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN
    shows: ClassVar[tuple[type, ...]] = (Alone,)

    beta: float = 1.0
    """Divides the centred, bounded difference."""
    bound: float = 10.0
    """c, nats: of each word's centred difference, approached smoothly."""
    rate: float = 0.05
    """Share of the student in each update of the average, in (0, 1]. Ours: SDPO's; whose T it is could not be read."""

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not (self.beta > 0 and self.bound > 0):
            raise HarnessError(f"beta={self.beta}, bound={self.bound}: both must be above 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        told, alone = (View(Policy.EMA, context, wants, rate=self.rate) for context in (PRIVILEGED, ALONE))
        return (Term(View(Policy.STUDENT, wants=wants), (told, alone, View(Policy.INITIAL, wants=wants))),)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        return {ALONE: [Alone()] * len(examples)}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        return Assignment(mask_BT=shown_rows(pool, ALONE))

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        told, alone, base = (views[view].logp_NV for view in term.sources)
        return reverse_kl_to(views[term.trained], self.target(told, alone, base))

    def target(self, told_NV: Tensor, alone_NV: Tensor, base_NV: Tensor) -> Tensor:
        """Log-probabilities of the target up to a constant, [N, V]."""
        never_NV = told_NV.isneginf() | alone_NV.isneginf() | base_NV.isneginf()
        delta_NV = (told_NV - alone_NV).masked_fill(never_NV, 0.0)
        delta_NV = delta_NV - delta_NV.sum(-1, keepdim=True) / (~never_NV).sum(-1, keepdim=True)
        moved_NV = base_NV + self.bound * (delta_NV / self.bound).tanh() / self.beta
        return moved_NV.masked_fill(never_NV, -math.inf)
