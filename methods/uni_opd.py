"""Uni-OPD: on-policy distillation whose advantages are calibrated by outcome.

Hou, Peng et al., arXiv:2605.03677, and the authors' code: a = log t - log q at the sampled token. Within each prompt's
group, if right rollouts do not lead wrong ones by a margin in their mean a, both are shifted by half of what is
missing. Clipped policy gradient, mean over sequences. Rollouts of a group's majority outcome are dropped at random
until right and wrong are one to one; a group with one outcome is left as it is. Left out: offline upsampling of
medium-difficulty prompts (bins unverified), min-max gaps and greedy masking (options of the code).
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
class UniversalDistillation(Method):
    """y ~ student(. | x), verified; settings of the strong-to-weak script."""

    needs_reward: ClassVar[bool] = True
    needs_siblings: ClassVar[bool] = True

    margin: float = 0.4
    """delta, nats a token."""
    balance: bool = True
    """Drop rollouts of the majority outcome. The released scripts may not run this step; the paper describes it."""
    clip_low: float = 0.2
    clip_high: float = 0.28
    outlier: float = 10.0
    """Tokens whose |log q - log t|, measured at sampling, reaches this have loss 0."""

    @property
    def terms(self) -> tuple[Term, ...]:
        trained = View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))
        return (Term(trained, (View(Policy.TEACHER),)),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Balance, calibrate, and drop outliers; all per group of the global batch."""
        import torch

        assert pool.reward_B is not None
        right_B, old_BT = pool.reward_B > 0, pool.sampler_logp_BT
        raw_BT = (pool.logp_BT[self.terms[0].sources[0]] - old_BT).double()
        mean_B = (raw_BT * pool.mask_BT).sum(-1) / pool.mask_BT.sum(-1).clamp(min=1)
        kept_B = torch.ones_like(right_B)
        shift_B = torch.zeros_like(mean_B)
        shifted, groups = 0, pool.group_B.unique()
        for group in groups:
            right, wrong = ((pool.group_B == group) & o for o in (right_B, ~right_B))
            if not bool(right.any()) or not bool(wrong.any()):
                continue
            if self.balance:
                right, wrong = balanced(right, wrong, pool.draw_B)
                kept_B &= (pool.group_B != group) | right | wrong
            missing = self.margin - float(_mean(mean_B[right]) - _mean(mean_B[wrong]))
            if missing > 0:
                shift_B += missing / 2 * (right.double() - wrong.double())
                shifted += 1
        mask_BT = pool.mask_BT & kept_B[:, None] & (raw_BT.abs() < self.outlier)
        # Dropped rollouts leave the batch, so the mean is over those that stay.
        weight = len(kept_B) / int(kept_B.sum())
        return Assignment(
            mask_BT=mask_BT,
            weight_BT=torch.full(mask_BT.shape, weight, dtype=torch.float64),
            fields={"advantage": (raw_BT + shift_B[:, None]).to(old_BT.dtype), "sampler_logp": old_BT},
            metrics={"acted": shifted / len(groups), "rollouts_kept": float(kept_B.double().mean())},
        )

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        logp_N = views[term.trained].logp_N
        return clipped_surrogate(
            logp_N, fields["sampler_logp"], fields["advantage"], low=self.clip_low, high=self.clip_high
        )


def balanced(right_B: Tensor, wrong_B: Tensor, draw_B: Tensor) -> tuple[Tensor, Tensor]:
    """As many right rollouts as wrong ones: of the more numerous side, those with the smallest draws stay."""
    keep = min(int(right_B.sum()), int(wrong_B.sum()))

    def thin(side_B: Tensor) -> Tensor:
        last = draw_B[side_B].sort().values[keep - 1]
        return side_B & (draw_B <= last)

    return thin(right_B), thin(wrong_B)


def _mean(values: Tensor) -> Tensor:
    # Sorted, so that the last bit does not depend on the order of the batch.
    return values.sort().values.mean()
