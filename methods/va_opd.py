"""VA-OPD: on-policy distillation that weighs tokens and rollouts by what the teacher owes to the picture.

Liu, Lv et al., arXiv:2605.21924, equations 2 to 6, from two restatements that agree; there is no official code. The
teacher scores every rollout twice, with the picture and with a copy of which little is left (a tenth of each side). The
advantage of a token is a = max(log t(y | picture) - log t(y | degraded), 0). Rollouts of a prompt are weighted by the
softmax over their standardised mean a; within a rollout the fifth of the tokens with the largest a counts half, the
rest the other half. The loss is reverse KL to the teacher that sees the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity, Support, Tail
from harness.method import Method, check_k
from harness.types import (
    Assignment,
    Example,
    HarnessError,
    Pictures,
    Policy,
    Reduction,
    ScorePool,
    Shown,
    Term,
    View,
    Want,
)

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView

DEGRADED = "degraded"


@dataclass(frozen=True, kw_only=True)
class VisualAdvantageDistillation(Method):
    """y ~ student(. | picture), several rollouts a prompt."""

    reduction: ClassVar[Reduction] = Reduction.PROMPT_MEAN
    needs_siblings: ClassVar[bool] = True
    pictures: ClassVar[tuple[str, ...]] = (DEGRADED,)

    temperature: float = 1.0
    """Of the softmax over the rollouts of a prompt."""
    share: float = 0.2
    """Of a rollout's tokens, the most advantaged; rounded up, ties by place."""
    high_weight: float = 0.5
    """Weight of those tokens' mean; the others' mean has the rest. All of it is theirs where there are no others."""
    epsilon: float = 1e-6
    """Unverified: added to the deviation of a prompt's rollouts; equal rollouts are weighted alike whatever it is."""
    granularity: Granularity = Granularity.FULL
    """Unverified: the estimator of reverse KL; the equations write the whole expectation."""
    k: int = 128
    """Read at top-k only, by the student's own and with a tail."""

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 < self.share <= 1 and 0 <= self.high_weight <= 1 and self.epsilon > 0):
            raise HarnessError(
                f"temperature={self.temperature}, share={self.share}, high_weight={self.high_weight}, "
                f"epsilon={self.epsilon}: temperature and epsilon must be above 0, share in (0, 1], "
                "high_weight in [0, 1]"
            )

    def check_vocabulary(self, size: int) -> None:
        if self.granularity is Granularity.TOP_K:
            check_k(self.k, size)

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = {Want.LOGP} if self.granularity is Granularity.SAMPLED else {Want.LOGP, Want.DISTRIBUTION}
        trained = View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(Policy.TEACHER, wants=frozenset(wants)),)),)

    @property
    def scored(self) -> tuple[View, ...]:
        return (View(Policy.TEACHER, DEGRADED),)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        return {DEGRADED: [Pictures(DEGRADED)] * len(examples)}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Weights that make the mean over |y| that of the two groups, times the rollout's share of its prompt."""
        import torch

        whole, little = (pool.logp_BT[view].double() for view in (self.terms[0].sources[0], self.scored[0]))
        shown_B = pool.present_B.get(DEGRADED)
        mask_BT = pool.mask_BT if shown_B is None else pool.mask_BT & shown_B[:, None]
        advantage_BT = (whole - little).clamp(min=0) * mask_BT
        weight_BT = torch.zeros_like(advantage_BT)
        for group in pool.group_B.unique():
            rows = torch.nonzero((pool.group_B == group) & mask_BT.any(-1)).squeeze(-1)
            if not len(rows):
                continue
            length_K = mask_BT[rows].sum(-1)
            mean_K = advantage_BT[rows].sum(-1) / length_K
            z_K = (mean_K - mean_K.mean()) / (mean_K.std(unbiased=False) + self.epsilon)
            for row, share in zip(rows.tolist(), torch.softmax(z_K / self.temperature, 0), strict=True):
                kept_T = mask_BT[row]
                weight_BT[row, kept_T] = share * self._within(advantage_BT[row][kept_T])
        return Assignment(
            mask_BT=mask_BT,
            weight_BT=weight_BT,
            metrics={"acted": float((advantage_BT[mask_BT] > 0).double().mean()) if mask_BT.any() else 0.0},
        )

    def _within(self, advantage_N: Tensor) -> Tensor:
        """Weight of each token of a rollout, of mean 1."""
        import torch

        n = len(advantage_N)
        high = max(1, math.ceil(self.share * n - 1e-9))  # 0.2 of 15 is 3.0000000000000004
        order_N = advantage_N.argsort(descending=True, stable=True)
        weight_N = torch.full_like(advantage_N, (1 - self.high_weight) * n / (n - high) if n > high else 1.0)
        weight_N[order_N[:high]] = (self.high_weight if n > high else 1.0) * n / high
        return weight_N

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        return token_divergence(
            views[term.trained],
            views[term.sources[0]],
            divergence=Divergence.REVERSE_KL,
            granularity=self.granularity,
            k=self.k,
            support=Support.STUDENT,
            tail=Tail.TAIL,
        )
