"""Small text models of the zoo: their architecture, teacher-forced batches, completions, files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from harness.models.prompts import Prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

IGNORE = -100
CONTEXT = 256
CHUNK = 150
"""Prompts continued at once."""
AT_TEMPERATURE_1 = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


class Shape(Protocol):
    """What a recipe says of the architecture."""

    @property
    def hidden(self) -> int:
        """Width."""
        ...

    @property
    def layers(self) -> int:
        """Number of layers."""
        ...

    @property
    def feed_forward(self) -> int:
        """Width inside a layer."""
        ...

    @property
    def heads(self) -> int:
        """Of queries."""
        ...

    @property
    def kv_heads(self) -> int:
        """Of keys and values."""
        ...


def build(shape: Shape, words: Sequence[str], pad: str, eos: str, seed: int) -> Qwen3ForCausalLM:
    """Random weights, wider than the library's default: narrow ones learn no lookup in this many steps."""
    config = Qwen3Config(
        vocab_size=len(words),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        intermediate_size=shape.feed_forward,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        tie_word_embeddings=True,
        initializer_range=0.07,
        bos_token_id=None,
        eos_token_id=words.index(eos),
        pad_token_id=words.index(pad),
        use_cache=True,
    )
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            torch.nn.init.constant_(parameter, 1.5)  # sharper attention from the start
    return model


def collate(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    silent: Sequence[Collection[int]],
    pad_id: int,
) -> tuple[Tensor, Tensor]:
    """Prompts of one length, so that no attention mask is needed, and their responses.

    Returns:
        int64 [B, L], padded on the right; int64 [B, T]: the response tokens, ``IGNORE`` at places that are ``silent``
        and beyond the end.
    """
    length, width = len(prompts[0]), max(map(len, responses))
    ids = torch.full((len(prompts), length + width), pad_id)
    targets = torch.full((len(prompts), width), IGNORE)
    for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        ids[i, : length + len(response)] = torch.tensor([*prompt, *response])
        kept = [IGNORE if j in silent[i] else token for j, token in enumerate(response)]
        targets[i, : len(response)] = torch.tensor(kept)
    return ids, targets


def logits(model: Qwen3ForCausalLM, ids_BL: Tensor, targets_BT: Tensor) -> Tensor:
    """[B, T, V]: over the word at each place of the responses."""
    hidden = model.model(input_ids=ids_BL[:, :-1], use_cache=False).last_hidden_state
    return model.lm_head(hidden[:, ids_BL.shape[1] - targets_BT.shape[1] - 1 :])


@torch.inference_mode()
def complete(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    sample: bool = False,
) -> list[str]:
    """Responses as text, specials removed; greedy, or at temperature 1 from torch's global generator."""
    out: list[str] = []
    generate: Any = model.generate
    for start in range(0, len(prompts), CHUNK):
        batch = Prompts.of_ids(prompts[start : start + CHUNK], 0)
        ids = generate(
            input_ids=batch.ids_QL,
            attention_mask=batch.mask_QL.long(),
            max_new_tokens=max_new_tokens,
            do_sample=sample,
            **(AT_TEMPERATURE_1 if sample else {}),
        )
        out += tokenizer.batch_decode(ids[:, batch.ids_QL.shape[1] :], skip_special_tokens=True)
    return out


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, *, max_new_tokens: int) -> None:
    """Write a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load as it is."""
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=max_new_tokens,
    )
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # the library leaves it to its owner alone
    tokenizer.save_pretrained(folder)
