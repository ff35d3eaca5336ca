"""ExOPD: on-policy distillation that extrapolates beyond the teacher.

Yang et al., "Learning beyond Teacher: Generalized On-Policy Distillation with Reward Extrapolation",
arXiv:2602.12125, equations 9 and 12: A = lambda log(t / ref) - log(q / ref) at the sampled token, detached; clipped
policy gradient; mean over tokens. lambda = 1 is on-policy distillation. Left out: truncated importance weights
between inference and training engines, which are one engine here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import Assignment, Policy, Reduction, ScorePool, Term, View, Want
from methods.surrogate import clipped_surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class ExtrapolatedDistillation(Method):
    """y ~ student(. | x); per-position optimum proportional to ref^(1 - lambda) teacher^lambda."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN

    extrapolation: float = 1.25
    """lambda."""
    clip: float = 0.2

    @property
    def terms(self) -> tuple[Term, ...]:
        """The reference is the student's initial policy, the repository's default; DOPD does not say."""
        trained = View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(Policy.TEACHER), View(Policy.REFERENCE))),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        teacher_BT, reference_BT = (pool.logp_BT[v] for v in self.terms[0].sources)
        old_BT = pool.sampler_logp_BT
        advantage_BT = self.extrapolation * (teacher_BT - reference_BT) - (old_BT - reference_BT)
        return Assignment(mask_BT=pool.mask_BT, fields={"advantage": advantage_BT, "sampler_logp": old_BT})

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        logp_N = views[term.trained].logp_N
        return clipped_surrogate(logp_N, fields["sampler_logp"], fields["advantage"], low=self.clip, high=self.clip)
