"""No teacher: a fixed negative advantage on tokens that the student itself finds improbable.

After arXiv:2608.31046 ("Does On-Policy Distillation Really Distill?"), where one fixed negative advantage on tokens of
low log-probability matches a teacher's: A = -c where the sampler gave the token less than tau, else 0; policy gradient
-A log q. What a method gains over this it owes to its teacher. Its value is no divergence, and has no lower bound.
The fixed penalty and the threshold are ours. Left out: that paper's own method, whose penalty depends on the entropy:
its form could not be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.method import Method
from harness.types import Assignment, HarnessError, Policy, ScorePool, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class NoTeacher(Method):
    """y ~ student(. | x); nobody supervises."""

    penalty: float = 1.0
    """c, the size of the advantage. Its source's is not known; 1 nat is what a source e times less sure gives."""
    below: float = 0.1
    """tau: a sampled token of less probability is pushed down. Its source's is not known."""

    def __post_init__(self) -> None:
        if not (self.penalty > 0 and 0 < self.below <= 1):
            raise HarnessError(
                f"penalty={self.penalty}, below={self.below}: give a penalty above 0 and a probability in "
                "(0, 1]; 1 penalises every token"
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        return (Term(View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Every token stays in |y|; the probable ones have advantage 0."""
        low_BT = (pool.sampler_logp_BT.exp() < self.below) & pool.mask_BT
        return Assignment(
            mask_BT=pool.mask_BT,
            fields={"advantage": -self.penalty * low_BT.to(pool.sampler_logp_BT.dtype)},
            metrics={"acted": float(low_BT.sum() / pool.mask_BT.sum())},
        )

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        return -fields["advantage"] * views[term.trained].logp_N
