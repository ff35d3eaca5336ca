"""OPSD and DAPD where the vocabulary is padded: an id that nobody can say is no loss and no gradient."""

from __future__ import annotations

import math

import pytest
import torch
from support.dual import token_view

from harness.losses.tokens import TokenView
from harness.method import Method
from methods.dapd import DualAnchorDistillation
from methods.opsd import OnPolicySelfDistillation


@pytest.mark.parametrize("method", [OnPolicySelfDistillation(), DualAnchorDistillation()])
def test_padding_by_hand(method: Method) -> None:
    """t = (1/4, 3/4), q = (3/4, 1/4), and a third id of no mass: the loss is of the two."""
    term = method.terms[0]
    logits = torch.tensor([[3 / 4, 1 / 4, 0.0]], dtype=torch.float64).log().requires_grad_()
    student = TokenView(tokens_N=torch.tensor([0]), hidden_ND=logits, head=lambda hidden: hidden)
    views = {term.trained: student, term.sources[0]: token_view([[1 / 4, 3 / 4, 0.0]])}
    loss_N = method.token_loss(term, views, {})
    # 1/4 ln(1/3), and 3/4 ln 3 above the cap.
    assert loss_N.item() == pytest.approx(-math.log(3) / 4 + 0.05)
    loss_N.sum().backward()
    # Only the first entry is below the cap: q/4 - 1/4 of it.
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([3 / 16 - 1 / 4, 1 / 16, 0.0])
