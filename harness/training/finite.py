"""Numbers that are not finite stop a run at their step, with whose they are and how many.

Only the student's own may break: its step is then left out, and the run is called collapsed (``loop.detect_collapse``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.method import Method
from harness.models.forward import Scores
from harness.types import HarnessError, Policy, Term, View


def check_scores(view: View, scores: Scores, mask_BT: Tensor) -> None:
    """A view without gradient; a probability of zero is none of these numbers.

    Raises:
        HarnessError: the policy gives nan, or hidden states that are not finite, at some response tokens.
    """
    if view.policy is Policy.STUDENT:
        return
    broken_BT = torch.zeros_like(mask_BT)
    for value_BT in (scores.logp_BT, scores.entropy_BT):
        if value_BT is not None:
            broken_BT |= value_BT.isnan()
    if scores.hidden_BTD is not None:
        broken_BT |= ~scores.hidden_BTD.isfinite().all(-1)
    if count := int((broken_BT & mask_BT).sum()):
        raise HarnessError(
            f"the {view.policy} gives numbers that are not finite at {count} of {int(mask_BT.sum())} response tokens "
            f"(context {view.context}): look at its weights, or take a wider dtype"
        )


def check_loss(method: Method, term: Term, loss_N: Tensor, entropy_N: Tensor) -> None:
    """The losses of a term; ``entropy_N`` is of its trained view, and finite where the student's own numbers are.

    Raises:
        HarnessError: a loss is not finite where the student is.
    """
    if count := int((~loss_N.isfinite() & entropy_N.isfinite()).sum()):
        raise HarnessError(
            f"{type(method).__name__}.token_loss is not finite at {count} of {len(loss_N)} tokens where the "
            f"{term.trained.policy} is: look for a logarithm or a quotient of zero, or an exponential without a bound"
        )
