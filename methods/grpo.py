"""GRPO: group-relative policy optimisation, the reinforcement-learning comparator.

Shao et al., "DeepSeekMath", arXiv:2402.03300, section 4.1: A = (R - mean) / std over a prompt's rollouts, equal for all
tokens; clipped policy gradient, 1/|y|, then the mean over rollouts. A group with one outcome gives no gradient. The
KL penalty to a reference is off, today's usual default (the paper's coefficient is 0.04).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import Assignment, Policy, ScorePool, Term, View, Want
from methods.surrogate import clipped_surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class GroupRelativePolicyOptimisation(Method):
    """y ~ student(. | x), verified; no teacher."""

    needs_reward: ClassVar[bool] = True
    needs_siblings: ClassVar[bool] = True

    clip: float = 0.2
    normalise_std: bool = True
    """Divide by the group's standard deviation (sample, as in common ports)."""

    @property
    def terms(self) -> tuple[Term, ...]:
        return (Term(View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        import torch

        assert pool.reward_B is not None
        reward_B = pool.reward_B.double()
        advantage_B = torch.zeros_like(reward_B)
        split = 0
        groups = pool.group_B.unique()
        for group in groups:
            here = pool.group_B == group
            deviation = reward_B[here].std()
            if float(deviation) > 0:
                centred = reward_B[here] - reward_B[here].mean()
                advantage_B[here] = centred / deviation if self.normalise_std else centred
                split += 1
        old_BT = pool.sampler_logp_BT
        advantage_BT = advantage_B[:, None].to(old_BT.dtype).expand_as(old_BT)
        return Assignment(
            mask_BT=pool.mask_BT,
            fields={"advantage": advantage_BT, "sampler_logp": old_BT},
            metrics={"acted": split / len(groups)},
        )

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        logp_N = views[term.trained].logp_N
        return clipped_surrogate(logp_N, fields["sampler_logp"], fields["advantage"], low=self.clip, high=self.clip)
