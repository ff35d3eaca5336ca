"""Score pools and views of DOPD and its ablation with given probabilities."""

from __future__ import annotations

import torch

from harness.losses.tokens import TokenView
from harness.types import ScorePool
from methods.dopd import DualOnPolicyDistillation


def pool(qt: list[float], qs: list[float], method: DualOnPolicyDistillation) -> ScorePool:
    """One rollout whose tokens have the given probabilities under the two privileged views."""
    teacher, own = method.terms[0].sources
    log = lambda q: torch.tensor([q], dtype=torch.float64).log()  # noqa: E731
    return ScorePool(
        mask_BT=torch.ones(1, len(qt), dtype=torch.bool),
        logp_BT={teacher: log(qt), own: log(qs)},
        entropy_BT={},
        sampler_logp_BT=torch.zeros(1, len(qt)),
        group_B=torch.zeros(1, dtype=torch.int64),
        update_B=torch.zeros(1, dtype=torch.int64),
        draw_B=torch.zeros(1, dtype=torch.float64),
        reference_B=torch.zeros(1, dtype=torch.bool),
    )


def token_view(rows: list[list[float]]) -> TokenView:
    """A view whose distributions are given outright."""
    logits = torch.tensor(rows, dtype=torch.float64).log().requires_grad_()
    return TokenView(tokens_N=torch.zeros(len(rows), dtype=torch.int64), hidden_ND=logits, head=lambda h: h)
