"""The clipped policy-gradient surrogate several methods share (PPO; Schulman et al., 2017, equation 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def clipped_surrogate(
    logp_N: Tensor, sampler_logp_N: Tensor, advantage_N: Tensor, *, low: float = 0.2, high: float = 0.2
) -> Tensor:
    """-min(r A, clip(r, 1 - low, 1 + high) A) with r = q / sampler, [N]; to be minimised.

    At one optimiser step a batch r is 1 and the gradient is that of -A log q.
    """
    import torch

    ratio_N = (logp_N - sampler_logp_N).exp()
    return -torch.minimum(ratio_N * advantage_N, ratio_N.clamp(1 - low, 1 + high) * advantage_N)
