"""SDFT: self-distillation from an exponential moving average that sees the demonstration.

Shenfeld et al., "Self-Distillation Enables Continual Learning", arXiv:2601.19897. The paper's equation 1 is reverse KL;
the authors state that every published number used per-token *forward* KL on student rollouts (their repository,
issue 5), over the whole vocabulary, the first three response tokens left out, averaged over a sequence, then over
sequences. The demonstration is p. Left out: importance weights between engines, which are one engine here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.losses.objectives import Divergence, Granularity
from harness.method import Method
from harness.types import PRIVILEGED, Assignment, HarnessError, Policy, ScorePool, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class SelfDistillationFineTuning(Method):
    """y ~ student(. | x); teacher: EMA of the student with p."""

    divergence: Divergence = Divergence.FORWARD_KL
    rate: float = 0.01
    """Share of the student in each update of the average, in (0, 1]."""
    skip: int = 3
    """Response tokens left out at the start."""

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if self.skip < 0:
            raise HarnessError(f"skip={self.skip}: give the number of leading tokens to leave out, 0 or more")

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        own = View(Policy.EMA, PRIVILEGED, wants, rate=self.rate)
        return (Term(View(Policy.STUDENT, wants=wants), (own,)),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Skip the opening; the mean is over what is left of a sequence, so a short one may have nothing."""
        mask_BT = pool.mask_BT.clone()
        mask_BT[:, : self.skip] = False
        left_B1 = mask_BT.sum(-1, keepdim=True).clamp(min=1)
        weight_BT = (pool.mask_BT.sum(-1, keepdim=True).double() / left_B1).expand_as(mask_BT)
        return Assignment(mask_BT=mask_BT, weight_BT=weight_BT)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        return token_divergence(
            views[term.trained],
            views[term.sources[0]],
            divergence=self.divergence,
            granularity=Granularity.FULL,
        )


def check_rate(rate: float) -> None:
    """Refuse an EMA that never moves or overshoots. Raises HarnessError."""
    if not 0 < rate <= 1:
        raise HarnessError(f"EMA rate {rate}: give the student's share of each update, in (0, 1]; 1 copies it")
