"""Reference traces token by token, for audits that judge single tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.evaluation.evaluate import graded_words
from harness.models.sampler import RolloutBatch
from harness.types import Example, Fact, HarnessError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the reference traces say of the tokens of some rollouts. [B, T] each, on the CPU."""

    target_BT: Tensor
    """int64: the right token; -1 where nothing decides it, or where the trace is over."""
    judged_BT: Tensor
    """bool: tokens that have a target and follow a prefix without an error. After an error the reference no longer
    says what is right, so nothing is judged there."""
    information_BT: Tensor
    """bool: tokens at places that only p decides, after a prefix without an error."""
    first_error_BT: Tensor
    """bool, at most one in a row: the first token by which the grader would refuse the trace. A response that ends
    where any word would do errs there, though that place has no target."""


def token_ids(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[int]:
    """One id per word.

    Raises:
        HarnessError: the tokenizer splits words, so that facts and grades, given by word, name no tokens.
    """
    encoded: Any = tokenizer(list(words), add_special_tokens=False)["input_ids"]
    if split := [word for word, ids in zip(words, encoded, strict=True) if len(ids) != 1]:
        raise HarnessError(
            f"word {split[0]!r} is not one token of this tokenizer: audits of single tokens need data whose words are"
        )
    return [ids[0] for ids in encoded]


def targets(tokenizer: PreTrainedTokenizerBase, example: Example) -> list[int]:
    """The right token at each place of a response, end included; -1 where the grader takes any word."""
    words = graded_words(example)
    ids = iter(token_ids(tokenizer, [word for word in words if word is not None]))
    end: Any = tokenizer.eos_token_id
    return [*(-1 if word is None else next(ids) for word in words), end]


def judge(tokenizer: PreTrainedTokenizerBase, rollouts: RolloutBatch) -> Verdict:
    """Compares every rollout with the reference trace of its problem."""
    ids_BT, mask_BT = rollouts.response_ids_BT.cpu(), rollouts.mask_BT.cpu()
    prompt_of_B = rollouts.prompt_of_B.cpu()
    target_PT = _padded([targets(tokenizer, e) for e in rollouts.examples], mask_BT.shape[1], -1)
    secret_PT = _padded([[f is Fact.INFORMATION for f in e.facts] for e in rollouts.examples], mask_BT.shape[1], False)
    target_BT = target_PT[prompt_of_B].masked_fill(~mask_BT, -1)
    # No word, so it is refused even where any word would do.
    special_BT = torch.isin(ids_BT, torch.tensor(tokenizer.all_special_ids))
    wrong_BT = mask_BT & torch.where(target_BT >= 0, ids_BT != target_BT, special_BT)
    clean_BT = wrong_BT.cumsum(-1) - wrong_BT.long() == 0
    return Verdict(
        target_BT=target_BT,
        judged_BT=(target_BT >= 0) & clean_BT,
        information_BT=mask_BT & secret_PT[prompt_of_B] & clean_BT,
        first_error_BT=wrong_BT & clean_BT,
    )


def _padded(rows: Sequence[Sequence[int]], width: int, value: int) -> Tensor:
    """Rows of any lengths as [P, width]: cut, or filled up with ``value``."""
    return torch.tensor([[*row, *[value] * width][:width] for row in rows])
