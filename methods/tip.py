"""TIP: distil the tokens that matter, by student entropy or disagreement with the teacher.

Xu et al., "TIP: Token Importance in On-Policy Distillation", arXiv:2604.14084. Student entropy and divergence are each
scaled to [0, 1] by minimum and maximum over the batch, joined by a soft or, h + d - h d; the top half of the tokens
is kept, and reverse KL over the vocabulary averaged over it. Which divergence scores a token is unverified; the
loss's own is the natural reading. Left out: the entropy-only and quadrant selections (ablations there).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity
from harness.method import Method
from harness.types import Assignment, HarnessError, Policy, Reduction, ScorePool, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView

TIE = 1e-9
"""Scores this near the border tie with it: two rollouts of one prompt share their first distribution, whose last
digits depend on how a processor sums."""


@dataclass(frozen=True, kw_only=True)
class TokenImportance(Method):
    """y ~ student(. | x)."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN

    keep: float = 0.5
    """rho: share of the batch's response tokens kept."""

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise HarnessError(f"keep={self.keep}: give the share of tokens to keep, in (0, 1]")

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        return (Term(View(Policy.STUDENT, wants=wants), (View(Policy.TEACHER, wants=wants),)),)

    @property
    def scored(self) -> tuple[View, ...]:
        """The student itself, before the step, for the scores."""
        return (View(Policy.STUDENT, wants=frozenset({Want.LOGP, Want.DISTRIBUTION})),)

    def token_stats(self, views: Mapping[View, TokenView]) -> Mapping[str, Tensor]:
        student = views[self.scored[0]]
        divergence_N = self._divergence(student, views[self.terms[0].sources[0]])
        return {"entropy": student.entropy_N, "divergence": divergence_N}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Keep the ceil(rho N) tokens of highest score, more where scores tie at the border."""
        entropy_N, divergence_N = (
            _unit(pool.stats_BT[name][pool.mask_BT].double()) for name in ("entropy", "divergence")
        )
        score_N = entropy_N + divergence_N - entropy_N * divergence_N
        border = score_N.sort(descending=True).values[math.ceil(self.keep * len(score_N)) - 1]
        mask_BT = pool.mask_BT.clone().masked_scatter(pool.mask_BT, score_N >= border - TIE)
        return Assignment(mask_BT=mask_BT, metrics={"acted": float(mask_BT.sum() / pool.mask_BT.sum())})

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        return self._divergence(views[term.trained], views[term.sources[0]])

    def _divergence(self, student: TokenView, teacher: TokenView) -> Tensor:
        from harness.losses.tokens import token_divergence

        return token_divergence(student, teacher, divergence=Divergence.REVERSE_KL, granularity=Granularity.FULL)


def _unit(values_N: Tensor) -> Tensor:
    low, high = values_N.min(), values_N.max()
    return (values_N - low) / (high - low).clamp(min=1e-12)
