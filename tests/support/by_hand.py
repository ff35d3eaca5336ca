"""Losses and assignments worked by hand: views with given distributions, pools with given scores.

Where a comment says ``two-word KL`` it means student (1/2, 1/2) against source (3/4, 1/4).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import torch
from torch import Tensor

from harness.losses.tokens import TokenView
from harness.method import Method
from harness.types import ScorePool, Term, View

HALVES, QUARTERS = [1 / 2, 1 / 2], [3 / 4, 1 / 4]
FORWARD = 3 / 4 * log(3 / 2) + 1 / 4 * log(1 / 2)
REVERSE = 1 / 2 * log(2 / 3) + 1 / 2 * log(2)
JS = (3 / 4 * log(6 / 5) + 1 / 4 * log(2 / 3)) / 2 + (1 / 2 * log(4 / 5) + 1 / 2 * log(4 / 3)) / 2


def f64(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(got: Tensor, want: Any) -> None:
    torch.testing.assert_close(got.detach().double(), f64(want), rtol=1e-12, atol=1e-14)


def views_of(
    method: Method, *rows: list[list[float]], tokens: list[int] | None = None, term: int = 0
) -> tuple[Term, dict[View, TokenView], Tensor]:
    """A term, its views with given distributions (the trained one first; a row per token), the trained logits."""
    chosen = method.terms[term]
    logits = [f64(r).log() for r in rows]
    logits[0].requires_grad_()
    tokens_N = torch.tensor(tokens or [0] * len(rows[0]))
    made = [TokenView(tokens_N=tokens_N, hidden_ND=z, head=lambda h: h) for z in logits]
    return chosen, dict(zip((chosen.trained, *chosen.sources), made, strict=True)), logits[0]


def loss_of(method: Method, *rows: list[list[float]], tokens: list[int] | None = None, **fields: Any) -> Tensor:
    """Token losses under given distributions; fields are laid flat, [N]."""
    term, views, _ = views_of(method, *rows, tokens=tokens)
    return method.token_loss(term, views, {k: torch.as_tensor(v) for k, v in fields.items()})


def padded(rows: Sequence[Sequence[float]]) -> Tensor:
    width = max(map(len, rows))
    return f64([[*row, *[0.0] * (width - len(row))] for row in rows])


def pool(
    sampler: Sequence[Sequence[float]],
    *sources: Sequence[Sequence[float]],
    method: Method | None = None,
    entropy: Sequence[Sequence[float]] | None = None,
    group: list[int] | None = None,
    reward: list[float] | None = None,
    draw: list[float] | None = None,
    **rest: Any,
) -> ScorePool:
    """A rollout a row; numbers are log-probabilities, sources in the order of the method's first term."""
    B, views = len(sampler), () if method is None else method.terms[0].sources
    lengths = torch.tensor([[len(row)] for row in sampler])
    scores = dict(zip(views, map(padded, sources), strict=True))
    return ScorePool(
        mask_BT=torch.arange(int(lengths.max())) < lengths,
        logp_BT=scores,
        entropy_BT={} if entropy is None else dict.fromkeys(scores, padded(entropy)),
        sampler_logp_BT=padded(sampler),
        group_B=torch.tensor(group or [0] * B),
        update_B=torch.zeros(B, dtype=torch.int64),
        draw_B=f64(draw or [0.5] * B),
        reference_B=torch.zeros(B, dtype=torch.bool),
        reward_B=None if reward is None else torch.tensor(reward),
        **rest,
    )
