"""A small world for tests of the step: random models in float64, fixed rollouts, every context."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from harness import registry
from harness.method import Method
from harness.models.prompts import Prompts
from harness.models.sampler import RolloutBatch
from harness.training.step import Batch, optimiser_losses
from harness.types import PLAIN, PRIVILEGED, Completion, Example, Finish, Policy

VOCABULARY = 24
LENGTHS = (5, 2, 4, 3, 1, 5, 3, 2)
"""Response tokens of the eight fixed rollouts: two of each of four prompts."""
REWARDS = (1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0)


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
    method: Method | None = None,
    order: tuple[int, ...] = (0, 1, 2, 3),
    pad_left: int = 0,
    pad_right: int = 0,
) -> Batch:
    """Eight rollouts of four prompts with their privileged prompts; ``order`` permutes or selects prompts.

    With a ``method``, also the contexts it names (the first rollout lacks them) and, if it reads them, the
    reference responses.
    """
    prompts = [words(f"prompt {p}", n) for p, n in zip(order, (LENGTHS[2 * p] + 2 for p in order), strict=True)]
    hints = [words(f"hint {p}", 2 + 3 * (p % 2)) for p in order]
    keys = [2 * p + i for p in order for i in (0, 1)]
    rows = [[*words(f"response {k}", LENGTHS[k] - 1), 1] for k in keys]
    if reads_references(method):
        rows += [[*words(f"reference {k // 2}", 3 + k // 2), 1] for k in keys]
    ids_PL, mask_PL = padded(prompts, pad_left)
    priv_PL, priv_mask_PL = padded([h + x for h, x in zip(hints, prompts, strict=True)], pad_left)
    T = max(map(len, rows)) + pad_right
    ids_BT = torch.tensor([r + [0] * (T - len(r)) for r in rows])
    mask_BT = torch.tensor([[t < len(r) for t in range(T)] for r in rows])
    prompt_of_B = torch.arange(len(order)).repeat_interleave(2).repeat(len(rows) // len(keys))
    rollouts = RolloutBatch(
        examples=tuple(example(p) for p in order),
        prompts=Prompts(ids_QL=ids_PL, mask_QL=mask_PL, row_of_B=prompt_of_B),
        response_ids_BT=ids_BT,
        mask_BT=mask_BT,
        logp_BT=plain_logp(model, ids_PL[prompt_of_B], mask_PL[prompt_of_B], ids_BT, mask_BT),
        finish=(Finish.EOS,) * len(rows),
    )
    contexts = {
        PLAIN: rollouts.prompts,
        PRIVILEGED: Prompts(ids_QL=priv_PL, mask_QL=priv_mask_PL, row_of_B=prompt_of_B),
    }
    for name in own_contexts(method):
        own_PL, own_mask_PL = padded(
            [words(f"{name} {k}", 3 + k % 3) for k in keys] * (len(rows) // len(keys)), pad_left
        )
        contexts[name] = Prompts(
            ids_QL=own_PL,
            mask_QL=own_mask_PL,
            row_of_B=torch.arange(len(rows)),
            present_B=torch.tensor([k != 0 for k in keys] * (len(rows) // len(keys))),
        )
    index = torch.tensor(keys * (len(rows) // len(keys)))
    return Batch(
        rollouts=rollouts,
        contexts=contexts,
        draw_B=torch.linspace(0.05, 0.95, 8, dtype=torch.float64)[index],
        reference_B=torch.arange(len(rows)) >= len(keys),
        reward_B=torch.tensor(REWARDS)[index],
    )


def words(name: str, n: int) -> list[int]:
    """n token ids that depend on a name only; 0 and 1 are padding and EOS."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randint(2, VOCABULARY, (n,), generator=generator).tolist()


def reads_references(method: Method | None) -> bool:
    """Whether a method's loss reads the data's reference responses."""
    return method is not None and any(t.completion is Completion.REFERENCE for t in method.terms)


def own_contexts(method: Method | None) -> list[str]:
    """Names of the contexts a method builds itself."""
    if method is None:
        return []
    named = {v.context for t in method.terms for v in (t.trained, *t.sources)} | {v.context for v in method.scored}
    return sorted(named - {PLAIN, PRIVILEGED})


@torch.no_grad()
def plain_logp(
    model: Qwen3ForCausalLM,
    ids_PL: torch.Tensor,
    mask_PL: torch.Tensor,
    ids_BT: torch.Tensor,
    mask_BT: torch.Tensor,
) -> torch.Tensor:
    """Log-probability of each response token by one full forward pass without any cache, [B, T].

    ``ids_PL`` and ``mask_PL`` have one row per response.
    """
    out = torch.zeros(ids_BT.shape, dtype=torch.float64)
    for b in range(len(ids_BT)):
        prompt = ids_PL[b][mask_PL[b]]
        response = ids_BT[b][mask_BT[b]]
        logits = model(input_ids=torch.cat([prompt, response])[None]).logits[0]
        logp = logits.double().log_softmax(-1)[len(prompt) - 1 : -1]
        out[b, : len(response)] = logp.gather(-1, response[:, None]).squeeze(-1)
    return out.to(torch.promote_types(model.dtype, torch.float32))


SMALL: Mapping[str, Any] = {"k": 5, "threshold": 2.0}
"""Settings that make published sizes fit 24 words; fields a method does not have are ignored."""


def small_method(name: str) -> Method:
    """A registered method with settings that fit the test vocabulary."""
    fields = {f.name for f in dataclasses.fields(registry.method_class(name))}
    return registry.build_method(registry.method_spec(name, {k: v for k, v in SMALL.items() if k in fields}))


def loss_and_gradient(
    method: Method, batch: Batch, *, microbatch: int = 64, models: dict | None = None
) -> tuple[list[float], list[torch.Tensor]]:
    """Loss of each optimiser step of a batch and the gradients summed over them; the student does not move."""
    models = models or policies()
    student = models[Policy.STUDENT]
    losses = [r.loss for r in optimiser_losses(method, models, batch, progress=0.25, microbatch=microbatch)]
    return losses, [torch.zeros_like(p) if p.grad is None else p.grad for p in student.parameters()]
