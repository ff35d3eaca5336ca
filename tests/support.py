"""A small world for tests of the step: random models in float64, fixed rollouts, every context."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from harness import registry
from harness.method import Method
from harness.rollout import RolloutBatch
from harness.step import Batch, plain_prompts
from harness.types import PLAIN, PRIVILEGED, Example, Finish, Policy
from harness.views import Prompts

VOCABULARY = 24
LENGTHS = (5, 2, 4, 3, 1, 5, 3, 2)
"""Response tokens of the eight fixed rollouts: two of each of four prompts."""


def tiny(seed: int, *, width: int = 16, dtype: torch.dtype = torch.float64) -> Qwen3ForCausalLM:
    """A random two-layer Qwen3."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.3,
        pad_token_id=0,
        eos_token_id=1,
    )
    model = Qwen3ForCausalLM(config).to(dtype).eval()
    for module in model.modules():
        if isinstance(module, Qwen3RMSNorm):
            module.forward = partial(_rms_norm, module)
    return model


def _rms_norm(module: Qwen3RMSNorm, x: torch.Tensor) -> torch.Tensor:
    """The library's norm computes in float32 whatever it is given; float64 tests need all of float64."""
    return torch.nn.functional.rms_norm(x, x.shape[-1:], module.weight, module.variance_epsilon)


def policies(dtype: torch.dtype = torch.float64) -> dict[Policy, Qwen3ForCausalLM]:
    """Student, teacher and every other policy, all with different weights."""
    return {
        Policy.STUDENT: tiny(0, dtype=dtype),
        Policy.TEACHER: tiny(1, width=24, dtype=dtype).requires_grad_(False),
        Policy.INITIAL: tiny(2, dtype=dtype).requires_grad_(False),
        Policy.EMA: tiny(3, dtype=dtype).requires_grad_(False),
        Policy.REFERENCE: tiny(4, dtype=dtype).requires_grad_(False),
        Policy.SNAPSHOT: tiny(5, dtype=dtype).requires_grad_(False),
    }


def example(i: int) -> Example:
    """An example whose texts nobody reads."""
    return Example(
        id=f"none/train/{i}",
        domain="none",
        difficulty=1,
        split="train",
        messages=({"role": "user", "content": "x"},),
        answer="y",
        trace="y",
        facts=(),
        privileged={},
    )


def padded(rows: list[list[int]], extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Left-padded ids and mask, ``extra`` columns wider than needed."""
    width = max(map(len, rows)) + extra
    ids = torch.tensor([[0] * (width - len(r)) + r for r in rows])
    mask = torch.tensor([[False] * (width - len(r)) + [True] * len(r) for r in rows])
    return ids, mask


def fixed_batch(
    model: Qwen3ForCausalLM,
    *,
    order: tuple[int, ...] = (0, 1, 2, 3),
    pad_left: int = 0,
    pad_right: int = 0,
) -> Batch:
    """Eight rollouts of four prompts with their privileged prompts; ``order`` permutes or selects prompts."""
    g = torch.Generator().manual_seed(7)
    draw = lambda n: torch.randint(2, VOCABULARY, (n,), generator=g).tolist()  # noqa: E731
    prompts = [draw(n) for n in (4, 7, 3, 5)]
    hints = [draw(n) for n in (6, 2, 5, 3)]
    responses = [draw(n - 1) + [1] for n in LENGTHS]
    rewards = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    rows = [2 * p + i for p in order for i in (0, 1)]
    ids_PL, mask_PL = padded([prompts[p] for p in order], pad_left)
    priv_PL, priv_mask_PL = padded([hints[p] + prompts[p] for p in order], pad_left)
    T = max(LENGTHS[r] for r in rows) + pad_right
    ids_BT = torch.tensor([responses[r] + [0] * (T - len(responses[r])) for r in rows])
    mask_BT = torch.tensor([[t < LENGTHS[r] for t in range(T)] for r in rows])
    rollouts = RolloutBatch(
        examples=tuple(example(p) for p in order),
        prompt_ids_PL=ids_PL,
        prompt_mask_PL=mask_PL,
        prompt_of_B=torch.arange(len(order)).repeat_interleave(2),
        response_ids_BT=ids_BT,
        mask_BT=mask_BT,
        logp_BT=plain_logp(model, ids_PL, mask_PL, ids_BT, mask_BT),
        finish=(Finish.EOS,) * len(rows),
    )
    plain = plain_prompts(rollouts)
    privileged = Prompts(ids_QL=priv_PL, mask_QL=priv_mask_PL, row_of_B=rollouts.prompt_of_B)
    return Batch(
        rollouts=rollouts,
        contexts={PLAIN: plain, PRIVILEGED: privileged},
        reward_B=torch.tensor([rewards[r] for r in rows]),
    )


@torch.no_grad()
def plain_logp(
    model: Qwen3ForCausalLM,
    ids_PL: torch.Tensor,
    mask_PL: torch.Tensor,
    ids_BT: torch.Tensor,
    mask_BT: torch.Tensor,
) -> torch.Tensor:
    """Log-probability of each response token by one full forward pass without any cache, [B, T]."""
    out = torch.zeros(ids_BT.shape, dtype=torch.float64)
    for b in range(len(ids_BT)):
        prompt = ids_PL[b // 2][mask_PL[b // 2]]
        response = ids_BT[b][mask_BT[b]]
        logits = model(input_ids=torch.cat([prompt, response])[None]).logits[0]
        logp = logits.double().log_softmax(-1)[len(prompt) - 1 : -1]
        out[b, : len(response)] = logp.gather(-1, response[:, None]).squeeze(-1)
    return out.to(torch.promote_types(model.dtype, torch.float32))


SMALL: Mapping[str, Any] = {"k": 5}
"""Settings that make published sizes fit 24 words; fields a method does not have are ignored."""


def small_method(name: str) -> Method:
    """A registered method with settings that fit the test vocabulary."""
    fields = {f.name for f in dataclasses.fields(registry.method_class(name))}
    return registry.build_method(
        registry.method_spec(name, {k: v for k, v in SMALL.items() if k in fields})
    )
