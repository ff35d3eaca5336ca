"""What methods share that make a target of several distributions: reverse KL to it, and the rollouts that have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.losses.objectives import Divergence

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView
    from harness.types import ScorePool


def reverse_kl_to(student: TokenView, target_NV: Tensor) -> Tensor:
    """KL(student || softmax(target)) over the vocabulary, [N]; gradient reaches the student only.

    ``target_NV`` are log-probabilities up to a constant. A word at -inf has no mass: the divergence is +inf only where
    the student gives it some.
    """
    from harness.losses import fused

    return student.objective(fused.full(target_NV.detach(), Divergence.REVERSE_KL))


def shown_rows(pool: ScorePool, context: str) -> Tensor:
    """Response tokens of the rollouts that have a context, bool [B, T]; all of them where none lacks it."""
    shown_B = pool.present_B.get(context)
    return pool.mask_BT if shown_B is None else pool.mask_BT & shown_B[:, None]
