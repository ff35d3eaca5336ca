"""Vanilla OPD with a share of the response tokens dropped from the loss: the arms of the paper's Figure 4.

Yu et al., arXiv:2606.30626, Figure 4: a fifth of the tokens is dropped at random, where A is lowest, or where A is
highest, A = |log q_T - log q_S| being DOPD's privilege advantage gap. Both privileged views are scored for A and never
supervise: what is trained stays vanilla OPD. With share = 0 this is vanilla OPD itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.types import PRIVILEGED, Assignment, HarnessError, Policy, ScorePool, View, Want
from methods.dopd_ablation import Off
from methods.opd import OnPolicyDistillation

if TYPE_CHECKING:
    from torch import Tensor

TIE_DECIMALS = 5
"""Of A in nats: what differs by less is noise of float32 scores, which depends on the micro-batch."""


class Drop(StrEnum):
    """Which tokens leave the loss."""

    RANDOM = "random"
    LOW = "low"
    """Those of the smallest A."""
    HIGH = "high"
    """Those of the largest A."""


@dataclass(frozen=True, kw_only=True)
class DroppedDistillation(OnPolicyDistillation):
    """The share is of the global rollout batch; equal gaps are dropped in a random order."""

    drop: Drop = Drop.HIGH
    share: float = 0.2
    """Of the response tokens, rounded to whole ones."""
    off: Off = Off.ZERO
    """Silent in the paper, as for the regimes of Table 6."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share < 1:
            raise HarnessError(f"share={self.share}: give the share of tokens to drop, in [0, 1); 0 drops none")

    @property
    def scored(self) -> tuple[View, ...]:
        """Privileged teacher and privileged student, for A; a random choice needs neither."""
        if self.drop is Drop.RANDOM:
            return ()
        return tuple(View(p, PRIVILEGED, frozenset({Want.LOGP})) for p in (Policy.TEACHER, Policy.STUDENT))

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Drop ``share`` of the response tokens of the global batch, whatever its order, padding and ranks."""
        import torch

        mask_BT = pool.mask_BT
        dropped_BT = torch.zeros_like(mask_BT).masked_scatter(mask_BT, self.dropped(pool))
        kept_BT = mask_BT & ~dropped_BT
        weight_BT = None
        if self.off is Off.LEFT_OUT:
            length_B1, left_B1 = (m.sum(-1, keepdim=True).double() for m in (mask_BT, kept_BT))
            weight_BT = (length_B1 / left_B1.clamp(min=1)).expand(mask_BT.shape)
        return Assignment(
            mask_BT=kept_BT,
            weight_BT=weight_BT,
            metrics={"acted": float(dropped_BT.sum() / mask_BT.sum())},
        )

    def dropped(self, pool: ScorePool) -> Tensor:
        """bool [N]: which response tokens leave the loss."""
        import torch

        order_N = _keys(pool).argsort()
        if self.drop is not Drop.RANDOM:
            # Stable, so tokens of equal A stay in the random order.
            gap_N = self._gaps(pool)[order_N]
            order_N = order_N[gap_N.argsort(stable=True, descending=self.drop is Drop.HIGH)]
        dropped_N = torch.zeros(len(order_N), dtype=torch.bool)
        dropped_N[order_N[: round(self.share * len(order_N))]] = True
        return dropped_N

    def _gaps(self, pool: ScorePool) -> Tensor:
        """A of each response token, float64 [N], in nats."""
        teacher, own = (pool.logp_BT[view][pool.mask_BT].double() for view in self.scored)
        return (teacher - own).abs().round(decimals=TIE_DECIMALS)


def _keys(pool: ScorePool) -> Tensor:
    """A uniform number per response token, float64 [N], that depends on its rollout's draw and its position only."""
    import torch

    keys: list[Tensor] = []
    for draw, length in zip(pool.draw_B.tolist(), pool.mask_BT.sum(-1).tolist(), strict=True):
        generator = torch.Generator().manual_seed(int(draw * 2**32))
        keys.append(torch.rand(length, generator=generator, dtype=torch.float64))
    return torch.cat(keys)
