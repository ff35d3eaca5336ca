"""On-policy distillation with one supervising view: vanilla OPD and the paper's privilege arms.

Thinking Machines Lab, "On-Policy Distillation", 2025 (granularity ``sampled``, whose gradient is that of the blog's
policy-gradient surrogate with advantage log t - log q); DOPD (arXiv:2606.30626),
section 3 and Table 7 (every divergence at every granularity), Figure 3 (four arms, which differ in the two
views only). Left out: discounting future KL, task rewards, importance ratios (one optimiser step a batch).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.losses.objectives import Divergence, Granularity, Support, Tail, check
from harness.method import Method, check_k
from harness.types import PLAIN, Policy, Source, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class OnPolicyDistillation(Method):
    """y ~ student(. | x); per token D(student || source), mean over |y|, then over sequences."""

    divergence: Divergence = Divergence.REVERSE_KL
    """The paper: vanilla OPD is reverse KL."""
    granularity: Granularity = Granularity.TOP_K
    """The paper does not say which cell of its Table 7 is Table 1's vanilla OPD; top-k (40.8, 40.9) fits best."""
    k: int = 128
    support: Support = Support.STUDENT
    """Silent in the paper. Reverse KL takes its expectation under the student."""
    tail: Tail = Tail.TAIL
    """Silent in the paper. A tail bucket keeps the value a true lower bound of the full KL and leaks no mass."""
    beta: float = 0.5
    """Mixture weight of JS; no other divergence reads it."""
    trained_context: str = PLAIN
    """privileged trains the student's privileged view (PT→PS, T→PS); deployment still sees x only."""
    source_policy: Policy = Policy.TEACHER
    source_context: str = PLAIN
    sampler: Source = Source.STUDENT
    """Silent in the paper for the arms that train the privileged view; the deployed student keeps arms comparable."""

    def __post_init__(self) -> None:
        check(self.divergence, tail=self.tail, beta=self.beta)

    def check_vocabulary(self, size: int) -> None:
        if self.granularity is Granularity.TOP_K:
            check_k(self.k, size)

    @property
    def sampling(self) -> Mapping[Source, float]:
        return {self.sampler: 1.0}

    @property
    def terms(self) -> tuple[Term, ...]:
        sampled = self.granularity is Granularity.SAMPLED
        wants = frozenset({Want.LOGP if sampled else Want.DISTRIBUTION})
        trained = View(Policy.STUDENT, self.trained_context, frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(self.source_policy, self.source_context, wants),)),)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        return token_divergence(
            views[term.trained],
            views[term.sources[0]],
            divergence=self.divergence,
            granularity=self.granularity,
            k=self.k,
            support=self.support,
            tail=self.tail,
            beta=self.beta,
        )
