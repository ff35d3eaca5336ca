"""The only place that turns chat turns into token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.types import Message

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of the turns through the model's own chat template, generation prompt included."""
    turns = [dict(message) for message in messages]
    ids: Any = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    return list(ids)


def left_pad(prompts: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Tensor, Tensor]:
    """Prompts as one batch, padded on the left: ids_PL (int64) and mask_PL (bool, True on tokens)."""
    import torch

    width = max(map(len, prompts))
    ids_PL = torch.full((len(prompts), width), pad_id, dtype=torch.int64)
    mask_PL = torch.zeros(len(prompts), width, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids_PL[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
        mask_PL[row, width - len(prompt) :] = True
    return ids_PL, mask_PL
