"""GKD: generalised knowledge distillation on a mixture of student and teacher outputs.

Agarwal et al., "On-Policy Distillation of Language Models", arXiv:2306.13649: with probability lambda, drawn per batch,
the student writes, otherwise the teacher (the training sets carry no solutions); JS at beta over the vocabulary, on
either; no gradient through sampling; mean over tokens. Defaults of TRL's port, lambda = beta = 1/2; the paper tries
lambda in {0, 1/2, 1} and several divergences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity, check
from harness.method import Method
from harness.types import HarnessError, Policy, Reduction, Source, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class GeneralisedDistillation(Method):
    """y ~ student or teacher."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN

    student_share: float = 0.5
    """lambda: probability that the student writes a batch."""
    divergence: Divergence = Divergence.JS
    beta: float = 0.5
    """Weight of the teacher in the mixture; gradients shrink towards either end."""

    def __post_init__(self) -> None:
        check(self.divergence, beta=self.beta)
        if not 0 <= self.student_share <= 1:
            raise HarnessError(f"student_share={self.student_share}: give a probability, in [0, 1]")

    @property
    def sampling(self) -> Mapping[Source, float]:
        shares = {Source.STUDENT: self.student_share, Source.TEACHER: 1 - self.student_share}
        return {source: share for source, share in shares.items() if share > 0}

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        return (Term(View(Policy.STUDENT, wants=wants), (View(Policy.TEACHER, wants=wants),)),)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        return token_divergence(
            views[term.trained],
            views[term.sources[0]],
            divergence=self.divergence,
            granularity=Granularity.FULL,
            beta=self.beta,
        )
