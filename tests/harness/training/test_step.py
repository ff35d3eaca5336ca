"""What a step asks of a method."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from support.small import fixed_batch, loss_and_gradient, small_method, tiny
from torch import Tensor

from harness.types import HarnessError


def test_a_loss_that_is_not_one_per_token_is_told_in_the_contracts_words() -> None:
    method: Any = small_method("vanilla_opd")

    class Averaged(type(method)):
        def token_loss(self, *arguments: Any) -> Tensor:
            return super().token_loss(*arguments).mean()

    wrong = Averaged(**{f.name: getattr(method, f.name) for f in dataclasses.fields(method)})
    with pytest.raises(
        HarnessError, match=r"^Averaged.token_loss returned shape \(\), it must be one loss per token, \[N\]"
    ):
        loss_and_gradient(wrong, fixed_batch(tiny(0), method=wrong))
