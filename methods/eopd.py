"""EOPD: on-policy distillation with forward KL where the teacher is unsure.

Jin, Min et al., "Entropy-Aware On-Policy Distillation of Language Models", arXiv:2603.07079. Clipped sampled-token
policy gradient on *all* tokens, plus forward KL on the teacher's top 16 entries, neither renormalised nor given a
tail, where the teacher's entropy reaches tau; both are averaged over all tokens. Four optimiser steps a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity, Support, Tail
from harness.method import Method
from harness.types import Assignment, Policy, Reduction, ScorePool, Term, View, Want
from methods.surrogate import clipped_surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class EntropyAwareDistillation(Method):
    """y ~ student(. | x)."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN
    updates: ClassVar[int] = 4

    threshold: float = 0.8
    """tau, nats; the gate opens at equality (immaterial, unverified)."""
    weight: float = 1.0
    """alpha."""
    k: int = 16
    clip: float = 0.2
    """Not given in the paper; the framework's default."""

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term(
                View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION})),
                (View(Policy.TEACHER, wants=frozenset(Want)),),
            ),
        )

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        teacher, old_BT = self.terms[0].sources[0], pool.sampler_logp_BT
        open_BT = (pool.entropy_BT[teacher] >= self.threshold) & pool.mask_BT
        return Assignment(
            mask_BT=pool.mask_BT,
            fields={"advantage": pool.logp_BT[teacher] - old_BT, "sampler_logp": old_BT, "open": open_BT},
            metrics={"acted": float(open_BT.sum() / pool.mask_BT.sum())},
        )

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        student, teacher = views[term.trained], views[term.sources[0]]
        loss_N = clipped_surrogate(
            student.logp_N, fields["sampler_logp"], fields["advantage"], low=self.clip, high=self.clip
        )
        rows = fields["open"].nonzero().squeeze(-1)
        forward_N = token_divergence(
            student.rows(rows),
            teacher.rows(rows),
            divergence=Divergence.FORWARD_KL,
            granularity=Granularity.TOP_K,
            k=self.k,
            support=Support.TEACHER,
            tail=Tail.RAW,
        )
        return loss_N.index_add(0, rows, self.weight * forward_N)
