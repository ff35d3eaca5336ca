"""IW-OPD: sampled-token on-policy distillation whose early tokens weigh more.

Xie, Zhu et al., "On the Position Bias of On-Policy Distillation", arXiv:2606.22600: A_n = log T(y_n) - log old(y_n) at
the sampled token, weighted by the share of the response's discrepancy that is still to come,

    w_n = 1 + gamma (1 - sum_{i<n} |A_i| / sum_i |A_i|),

loss -w_n A_n log q(y_n), w_n and A_n detached; w_n is 1 where no token has any discrepancy. old is the sampler's. Mean
over tokens, as TRL's port; a token that the teacher calls impossible has no finite A and is left out of sums and mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import Assignment, HarnessError, Policy, Reduction, ScorePool, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class ImportanceWeightedDistillation(Method):
    """y ~ student(. | x); the first token weighs 1 + gamma, later ones less."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN

    gamma: float = 0.5

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise HarnessError(f"gamma={self.gamma}: give 0 or more; 0 weighs all tokens alike")

    @property
    def terms(self) -> tuple[Term, ...]:
        trained = View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(Policy.TEACHER),)),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Weights within each rollout, in float64."""
        import torch

        teacher_BT, old_BT = pool.logp_BT[self.terms[0].sources[0]], pool.sampler_logp_BT
        known_BT = pool.mask_BT & teacher_BT.isfinite()
        advantage_BT = torch.where(known_BT, teacher_BT - old_BT, 0.0).double()
        size_BT = advantage_BT.abs()
        total_B1 = size_BT.sum(-1, keepdim=True)
        before_BT = size_BT.cumsum(-1) - size_BT
        weight_BT = torch.where(total_B1 > 0, 1 + self.gamma * (1 - before_BT / total_B1), 1.0)
        return Assignment(mask_BT=known_BT, fields={"advantage": (weight_BT * advantage_BT).to(old_BT.dtype)})

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        return -fields["advantage"] * views[term.trained].logp_N
