"""MiniLLM: reverse KL of whole sequences, by an exact single-step term and a long-horizon policy gradient.

Gu et al., "MiniLLM: Knowledge Distillation of Large Language Models", arXiv:2306.08543, sections 2.2 and 2.3. Single
step: the analytic reverse KL at each position. Long horizon: clipped policy gradient on the mean of log(t / q) over the
tokens that follow. Left out: sampling from a mixture with the teacher and its importance weights, four inner epochs,
the language-modelling loss on pre-training data, reward scaling and whitening; the authors' code also counts a token's
own reward in its return.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity
from harness.method import Method
from harness.types import Assignment, HarnessError, Policy, Reduction, ScorePool, Term, View, Want
from methods.surrogate import clipped_surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class MiniLLM(Method):
    """y ~ student(. | x)."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN
    """Both terms are divided by the number of response tokens, as in the authors' code."""

    single_step: bool = True
    long_horizon: bool = True
    clip: float = 0.2

    def __post_init__(self) -> None:
        if not (self.single_step or self.long_horizon):
            raise HarnessError("single_step and long_horizon are both off, nothing would be trained: turn one on")

    @property
    def terms(self) -> tuple[Term, ...]:
        trained = View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(Policy.TEACHER, wants=frozenset({Want.LOGP, Want.DISTRIBUTION})),)),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """The length-normalised return: mean of log(t / q) over the tokens after n, 0 at the last."""
        old_BT = pool.sampler_logp_BT
        reward_BT = (pool.logp_BT[self.terms[0].sources[0]] - old_BT).double() * pool.mask_BT
        mask_BT = pool.mask_BT.double()
        later_BT, count_BT = (v.flip(-1).cumsum(-1).flip(-1) - v for v in (reward_BT, mask_BT))
        advantage_BT = later_BT / count_BT.clamp(min=1)
        fields = {"advantage": advantage_BT.to(old_BT.dtype), "sampler_logp": old_BT}
        return Assignment(mask_BT=pool.mask_BT, fields=fields)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        student, parts = views[term.trained], []
        if self.single_step:
            parts.append(
                token_divergence(
                    student,
                    views[term.sources[0]],
                    divergence=Divergence.REVERSE_KL,
                    granularity=Granularity.FULL,
                )
            )
        if self.long_horizon:
            parts.append(
                clipped_surrogate(
                    student.logp_N, fields["sampler_logp"], fields["advantage"], low=self.clip, high=self.clip
                )
            )
        return sum(parts[1:], parts[0])
