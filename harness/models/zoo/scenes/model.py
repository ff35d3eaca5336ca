"""The architecture of the scenes models, and how rows that share pictures are read: each picture is seen once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from harness.models.zoo.scenes.recipe import Recipe
from harness.models.zoo.scenes.vocabulary import (
    CONTEXT,
    EOS,
    IDS,
    IMAGE,
    MERGE,
    PAD,
    PATCH,
    TEMPORAL,
    TOKENS,
    VIDEO,
    VISION_END,
    VISION_START,
    WORDS,
)
from harness.worlds.scenes.words import SIDE

if TYPE_CHECKING:
    from harness.worlds.scenes.picture import Pixels

Model = Qwen3VLForConditionalGeneration
GRID = (1, SIDE * MERGE, SIDE * MERGE)
"""Patches of a picture: frames, down, across."""


def config_of(recipe: Recipe) -> Qwen3VLConfig:
    """Of the library's class; embeddings are tied, as top and text config both must say."""
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(WORDS),
            "hidden_size": recipe.hidden,
            "num_hidden_layers": recipe.layers,
            "intermediate_size": recipe.feed_forward,
            "num_attention_heads": recipe.heads,
            "num_key_value_heads": recipe.kv_heads,
            "head_dim": 32,
            "max_position_embeddings": CONTEXT,
            "initializer_range": recipe.initializer_range,
            "tie_word_embeddings": True,
            "pad_token_id": IDS[PAD],
            "eos_token_id": IDS[EOS],
            "bos_token_id": None,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": recipe.rope_theta,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": recipe.vision_depth,
            "hidden_size": recipe.vision_hidden,
            "intermediate_size": recipe.vision_feed_forward,
            "num_heads": recipe.vision_heads,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "out_hidden_size": recipe.hidden,
            "num_position_embeddings": (SIDE * MERGE) ** 2,
            "deepstack_visual_indexes": [0],
            "initializer_range": recipe.initializer_range,
        },
        image_token_id=IDS[IMAGE],
        video_token_id=IDS[VIDEO],
        vision_start_token_id=IDS[VISION_START],
        vision_end_token_id=IDS[VISION_END],
        tie_word_embeddings=True,
    )


def build(recipe: Recipe, seed: int) -> Qwen3VLForConditionalGeneration:
    """Random weights, wider than the library's default: narrow ones learn no lookup in this many steps."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config_of(recipe))
    for name, parameter in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            torch.nn.init.constant_(parameter, recipe.norm_weight)
    return model


def patches(pictures: Sequence[Pixels]) -> Tensor:
    """float32 [pictures × 36, 3 × 2 × 12 × 12]: what the image processor makes of them, in one go."""
    x = np.stack(pictures).astype(np.float32) / 127.5 - 1.0
    n, side = len(pictures), SIDE * MERGE
    x = x.transpose(0, 3, 1, 2).reshape(n, 3, SIDE, MERGE, PATCH, SIDE, MERGE, PATCH)
    x = x.transpose(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None]
    x = np.broadcast_to(x, (*x.shape[:6], TEMPORAL, PATCH, PATCH))
    return torch.from_numpy(np.ascontiguousarray(x).reshape(n * side * side, -1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the vision tower makes of some pictures."""

    features_NKD: Tensor
    """[pictures, 9, D]: what stands in the place of the image tokens."""
    deep_NKD: Tensor
    """The same, added after the first layer of the text model."""

    def rows(self, which: Tensor) -> Seen:
        """Of each row's picture."""
        return Seen(features_NKD=self.features_NKD[which], deep_NKD=self.deep_NKD[which])


def see(model: Qwen3VLForConditionalGeneration, pictures: Sequence[Pixels]) -> Seen:
    """Each picture through the tower."""
    grid = torch.tensor([GRID] * len(pictures))
    out = model.model.visual(patches(pictures), grid_thw=grid)
    shape = (len(pictures), TOKENS, -1)
    return Seen(features_NKD=out.pooler_output.view(shape), deep_NKD=out.deepstack_features[0].view(shape))


def positions(rows: int, length: int, at: int) -> Tensor:
    """int64 [4, rows, length]: of text, frame, down and across; the picture's tokens begin at ``at``."""
    text = torch.arange(length)
    after = torch.where(text < at, text, text - TOKENS + SIDE)
    out = torch.stack([text, after, after, after])
    place = torch.arange(TOKENS)
    picture = [torch.zeros_like(place), place // SIDE, place % SIDE]
    for row, offset in enumerate(picture, start=1):
        out[row, at : at + TOKENS] = at + offset
    return out[:, None].expand(4, rows, length)


def hidden(
    model: Qwen3VLForConditionalGeneration, ids_BL: Tensor, seen: Seen, at: int, cache: DynamicCache | None = None
) -> Tensor:
    """[B, L, D]: last hidden states of rows whose picture tokens begin at ``at``; no row is padded on the left."""
    rows, length = ids_BL.shape
    language = model.model.language_model
    embedded = language.embed_tokens(ids_BL)
    embedded = torch.cat([embedded[:, :at], seen.features_NKD, embedded[:, at + TOKENS :]], dim=1)
    mask_BL = torch.zeros(rows, length, dtype=torch.bool)
    mask_BL[:, at : at + TOKENS] = True
    out: Any = language(
        inputs_embeds=embedded,
        position_ids=positions(rows, length, at),
        visual_pos_masks=mask_BL,
        deepstack_visual_embeds=[seen.deep_NKD.flatten(0, 1)],
        cache=cache,
        use_cache=cache is not None,
    )
    return out.last_hidden_state


@torch.inference_mode()
def complete(
    model: Qwen3VLForConditionalGeneration, ids_BL: Tensor, seen: Seen, at: int, new: int, *, greedy: bool = True
) -> Tensor:
    """int64 [B, new]: each row's next tokens, greedy or at temperature 1 from torch's global generator."""
    rows, length = ids_BL.shape
    cache = DynamicCache(config=model.config.get_text_config())
    states = hidden(model, ids_BL, seen, at, cache)[:, -1]
    out: list[Tensor] = []
    for step in range(new):
        logits = model.lm_head(states)
        chosen = logits.argmax(-1) if greedy else torch.multinomial(logits.softmax(-1), 1)[:, 0]
        out.append(chosen)
        if step + 1 == new:
            break
        text = length + step
        where = torch.tensor([text] + [text - TOKENS + SIDE] * 3)[:, None, None].expand(4, rows, 1)
        states = model.model.language_model(
            inputs_embeds=model.model.language_model.embed_tokens(chosen[:, None]),
            position_ids=where,
            cache=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
    return torch.stack(out, dim=1)
