"""The small world of ``small`` with a picture before every prompt: same rollouts, models that see, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from support import small
from support.small import VOCABULARY, padded
from transformers import PreTrainedModel, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

from harness.method import Method
from harness.models.forward import score
from harness.models.media import Picture, PictureMedia, places
from harness.models.prompts import Prompts
from harness.training.step import Batch
from harness.types import PLAIN, PRIVILEGED, Policy, Want

PICTURE, SPECIALS = VOCABULARY, 4
"""The token of a picture is the first after the words of the small world."""
GRIDS = ((1, 2, 2), (1, 2, 4), (1, 4, 2))
"""Patches of a picture, four of which are a token."""


def tiny(seed: int, *, width: int = 16, dtype: torch.dtype = torch.float64) -> Qwen3VLForConditionalGeneration:
    """A random Qwen3-VL of two layers and a tower of one."""
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": VOCABULARY + SPECIALS,
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "max_position_embeddings": 64,
            "initializer_range": 0.3,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 100.0,
                "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": None,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_heads": 2,
            "patch_size": 2,
            "spatial_merge_size": 2,
            "temporal_patch_size": 1,
            "out_hidden_size": width,
            "num_position_embeddings": 4,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.3,
        },
        image_token_id=PICTURE,
        video_token_id=PICTURE + 1,
        vision_start_token_id=PICTURE + 2,
        vision_end_token_id=PICTURE + 3,
        tie_word_embeddings=True,
    )
    model = Qwen3VLForConditionalGeneration(config).to(dtype).eval()
    for module in model.modules():
        if isinstance(module, Qwen3VLTextRMSNorm):
            module.forward = partial(_rms_norm, module)
    return model


def _rms_norm(module: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.rms_norm(x, x.shape[-1:], module.weight, module.variance_epsilon)


def policies() -> dict[Policy, PreTrainedModel]:
    """Student, teacher and every other policy, all with different weights."""
    kinds = [Policy.STUDENT, Policy.TEACHER, Policy.INITIAL, Policy.EMA, Policy.REFERENCE, Policy.SNAPSHOT]
    made: dict[Policy, PreTrainedModel] = {p: tiny(i, width=24 if i == 1 else 16) for i, p in enumerate(kinds)}
    return {p: model if p is Policy.STUDENT else model.requires_grad_(False) for p, model in made.items()}


def picture(name: str) -> Picture:
    """Noise that depends on the name alone."""
    seeds = small.words(name, 4)
    grid = GRIDS[seeds[0] % len(GRIDS)]
    patches, generator = grid[1] * grid[2], torch.Generator().manual_seed(sum(s * 31**i for i, s in enumerate(seeds)))
    return Picture(
        name=name,
        patches_nC=torch.randn(patches, 12, generator=generator, dtype=torch.float64),
        grid=grid,
        tokens=patches // 4,
    )


def seeing(prompts: Prompts, pictures: list[Picture], pad_left: int) -> Prompts:
    """The prompts, each with its picture before it."""
    words = [ids[mask].tolist() for ids, mask in zip(prompts.ids_QL, prompts.mask_QL, strict=True)]
    ids = [[PICTURE] * p.tokens + row for p, row in zip(pictures, words, strict=True)]
    width = max(map(len, ids))
    places_3QW, ends = torch.zeros(3, len(ids), width, dtype=torch.int64), []
    for row, (prompt, p) in enumerate(zip(ids, pictures, strict=True)):
        places_3QW[:, row, width - len(prompt) :], end = places(
            [i == PICTURE for i in prompt], [(p.grid[1] // 2, p.grid[2] // 2)]
        )
        ends.append(end)
    ids_QL, mask_QL = padded(ids, pad_left)
    held = PictureMedia(pictures=tuple((p,) for p in pictures), places_3QW=places_3QW, ends_Q=torch.tensor(ends))
    return replace(prompts, ids_QL=ids_QL, mask_QL=mask_QL, media=held)


def fixed_batch(
    model: PreTrainedModel,
    *,
    method: Method | None = None,
    order: tuple[int, ...] = (0, 1, 2, 3),
    pad_left: int = 0,
    pad_right: int = 0,
) -> Batch:
    """That of ``small``; plain and privileged prompts of one problem have one picture, other contexts other ones."""
    batch = small.fixed_batch(model, method=method, order=order, pad_right=pad_right)
    own = [picture(f"picture {p}") for p in order]
    contexts: dict[str, Prompts] = {}
    for name, prompts in batch.contexts.items():
        rows = len(prompts.ids_QL)
        keys = [2 * p + i for p in order for i in (0, 1)] * (rows // 4)
        held = own if name in (PLAIN, PRIVILEGED) else [picture(f"{name} {key}") for key in keys[:rows]]
        contexts[name] = seeing(prompts, held, pad_left)
    given: Mapping[str, Any] = {"wants": frozenset({Want.LOGP}), "temperature": 1.0, "microbatch": 64}
    r = batch.rollouts
    found = score(model, contexts[PLAIN], r.response_ids_BT, r.mask_BT, **given)
    assert found.logp_BT is not None
    return replace(batch, rollouts=replace(r, prompts=contexts[PLAIN], logp_BT=found.logp_BT), contexts=contexts)
