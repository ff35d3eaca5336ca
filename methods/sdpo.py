"""SDPO: self-distillation from a moving average that sees a sibling's success or feedback.

Huebotter et al., "Reinforcement Learning via Self-Distillation", arXiv:2601.20802, settings of the runs without rich
feedback: JS at 1/2 on the student's top 100 entries with a tail bucket, times the importance ratio capped at 2, mean
over the tokens of rollouts that have a teacher. A rollout is shown *another* right rollout of its group; where there
is none it is shown p, in the place of environment feedback (DOPD does not say what its SDPO received), or nothing:
then it is masked. Left out: the trust-region teacher (an option).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity, Support, Tail, check
from harness.method import Method
from harness.types import (
    Assignment,
    Demonstration,
    Example,
    Policy,
    Privilege,
    Reduction,
    ScorePool,
    Shown,
    Term,
    View,
    Want,
)
from methods.sdft import check_rate

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView

FEEDBACK = "feedback"


@dataclass(frozen=True, kw_only=True)
class SelfDistillationPolicyOptimisation(Method):
    """y ~ student(. | x), verified."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN
    needs_reward: ClassVar[bool] = True
    needs_siblings: ClassVar[bool] = True
    shows_responses: ClassVar[bool] = True

    k: int = 100
    beta: float = 0.5
    rate: float = 0.05
    ratio_cap: float = 2.0
    fallback: Privilege = Privilege.HINTS
    """p shown where no sibling succeeded; ``none`` leaves such rollouts out."""

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check(Divergence.JS, beta=self.beta)

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        own = View(Policy.EMA, FEEDBACK, wants, rate=self.rate)
        return (Term(View(Policy.STUDENT, wants=wants), (own,)),)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        """The first right sibling, never the rollout itself; else the fallback; else None."""
        assert rewards is not None
        right: dict[str, list[int]] = {}
        for i, (example, reward) in enumerate(zip(examples, rewards, strict=True)):
            if reward >= 0.5:
                right.setdefault(example.id, []).append(i)

        def context(i: int, example: Example) -> Shown | None:
            for sibling in right.get(example.id, []):
                if sibling != i:
                    return Demonstration(responses[sibling])
            if self.fallback in example.privileged and not right.get(example.id):
                return self.fallback
            return None

        return {FEEDBACK: [context(i, example) for i, example in enumerate(examples)]}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        taught_B = pool.present_B[FEEDBACK]
        return Assignment(
            mask_BT=pool.mask_BT & taught_B[:, None],
            fields={"sampler_logp": pool.sampler_logp_BT},
            metrics={"acted": float(taught_B.double().mean())},
        )

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        pair = (views[term.trained], views[term.sources[0]])
        return capped_divergence(*pair, fields["sampler_logp"], k=self.k, beta=self.beta, cap=self.ratio_cap)


def capped_divergence(
    student: TokenView, source: TokenView, sampler_logp_N: Tensor, *, k: int, beta: float, cap: float
) -> Tensor:
    """JS on the student's top-k entries with a tail, times the ratio to the sampler, capped and without gradient."""
    from harness.losses.tokens import token_divergence

    ratio_N = (student.logp_N.detach() - sampler_logp_N).exp().clamp(max=cap)
    return ratio_N * token_divergence(
        student,
        source,
        divergence=Divergence.JS,
        granularity=Granularity.TOP_K,
        k=k,
        support=Support.STUDENT,
        tail=Tail.TAIL,
        beta=beta,
    )
