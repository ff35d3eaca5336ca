"""A tiny world of pictures: four squares, their colours and how many of one there are. Registered as ``squares``.

Pictures are 56 x 56, a square is one picture token (patch 14, two patches each way).
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from harness.config import DataSpec
from harness.types import Example, ImagePart, Modality, TextPart
from harness.worlds.world import Grade, HeldOut, in_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CELL, PATCH, MERGE = 28, 14, 2
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "yellow": (230, 220, 40)}
KINDS = {"cells": ("colour", "pair"), "counts": ("count",)}
SPECIALS = (
    "<|pad|>",
    "<|start|>",
    "<|end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
WORDS = ("user", "assistant", "colour", "pair", "count", "of", "at", "!", *COLOURS, *"01234")
TEMPLATE = (
    "{% for m in messages %}<|start|> {{ m.role }} "
    "{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}<|vision_start|> <|image_pad|> <|vision_end|> {% endif %}"
    "{% endfor %}{% endif %} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|start|> assistant{% endif %}"
)


class Squares:
    """Groups ``cells`` and ``counts``, three kinds of question; p names every colour."""

    version = 1
    modality = Modality.VISION
    domains = tuple(KINDS)
    privileges = ("colours",)

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """The same on every machine."""
        return in_turn(data, split, n, start, lambda domain, i: example(domain, split, i))

    def grade(self, example: Example, text: str) -> Grade:
        """The words after the last ``!``."""
        found = re.search(r"! ([^!]+)$", text)
        return Grade(
            answer=found is not None and found[1].split() == example.answer.split(),
            trace=text.split() == (example.trace or "").split(),
            parsed=found is not None,
        )

    def benchmarks(self) -> Sequence[HeldOut]:
        """``squares_<group>``."""
        return [
            HeldOut(
                name=f"squares_{domain}",
                data=DataSpec(world="squares", domains=(domain,), privilege="colours"),
                split="test",
                n=24,
                max_new_tokens=6,
            )
            for domain in self.domains
        ]

    def kind(self, example: Example) -> str:
        """Of its question."""
        return KINDS[example.domain][int(example.id.rpartition("/")[2]) % len(KINDS[example.domain])]


class DrawnSquares(Squares):
    """In two draws of other problems."""

    draws = (0, 1)

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """A draw's are a hundred places further on than those of the one before."""
        assert data.draw is not None
        first = 100 * data.draw
        return in_turn(data, split, n, start, lambda domain, i: example(domain, split, first + i))


@cache
def example(domain: str, split: str, index: int) -> Example:
    """Problem number ``index``."""
    name = f"{domain}/{split}/{index}"
    rng, kind = Random(name), KINDS[domain][index % len(KINDS[domain])]
    squares = rng.choices(list(COLOURS), k=4)
    if kind == "count":
        asked = [rng.choice(list(COLOURS))]
        answer = str(squares.count(asked[0]))
    else:
        places = rng.sample(range(4), 1 if kind == "colour" else 2)
        asked, answer = list(map(str, places)), " ".join(squares[place] for place in places)
    return Example(
        id=name,
        domain=domain,
        split=split,
        messages=({"role": "user", "content": (picture(name, squares), TextPart(" ".join([kind, "of", *asked])))},),
        answer=answer,
        trace=f"at ! {answer}",
        facts=(),
        privileged={"colours": "hint " + " ".join(squares)},
    )


def picture(name: str, squares: Sequence[str]) -> ImagePart:
    """PNG, in the part itself."""
    from PIL import Image

    image, out = Image.new("RGB", (2 * CELL, 2 * CELL)), io.BytesIO()
    for place, colour in enumerate(squares):
        left, top = place % 2 * CELL, place // 2 * CELL
        image.paste(COLOURS[colour], (left, top, left + CELL, top + CELL))
    image.save(out, "PNG")
    data = out.getvalue()
    return ImagePart(path=f"{name}.png", sha256=hashlib.sha256(data).hexdigest(), data=data)


def tokenizer() -> PreTrainedTokenizerFast:
    """Words of the world, and the tokens that stand for pictures."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIALS + WORDS)}, unk_token=SPECIALS[0]))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens([AddedToken(word, special=True) for word in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        unk_token="<|pad|>",
        extra_special_tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_start_token": "<|vision_start|>",
            "vision_end_token": "<|vision_end|>",
        },
        padding_side="left",
        chat_template=TEMPLATE,
    )


def save_model(folder: Path, *, steps: int = 0) -> None:
    """As a folder that any run can load; trained on ``steps`` batches, so that some answers are right."""
    import torch
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from harness.models.image_reader import Eye, ImageReader

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _model()
    words = tokenizer()
    settings: dict[str, Any] = {"patch_size": PATCH, "temporal_patch_size": 2, "merge_size": MERGE}
    settings |= {"size": {"shortest_edge": CELL * CELL, "longest_edge": 16 * CELL * CELL}}
    processor = Qwen2VLImageProcessorPil(**settings, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    eye = Eye.of(model.config)
    assert eye is not None
    reader = ImageReader(words, processor, eye)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(steps):
        some = [example(domain, "train", 8 * step + i) for i in range(8) for domain in KINDS]
        loss = _loss(model, reader, some)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval().save_pretrained(folder)
    reader.save(folder)


def _loss(model: Any, reader: Any, some: Sequence[Example]) -> Any:
    """Cross-entropy of the traces and their end, the pictures handed to the model as pixels."""
    import torch

    prompts = reader.prompts([each.messages for each in some])
    said = [[*ids, reader.eos_id] for ids in reader.encode([each.trace or "" for each in some])]
    width = max(map(len, said))
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in said])
    whole = torch.cat([prompts.ids_QL, labels.clamp(min=0)], dim=1)
    pictures = [picture for row in prompts.media.pictures for picture in row]
    logits = model(
        input_ids=whole,
        attention_mask=torch.cat([prompts.mask_QL, labels >= 0], dim=1).long(),
        mm_token_type_ids=(whole == reader.eye.image_token_id).int(),
        pixel_values=torch.cat([picture.patches_nC for picture in pictures]),
        image_grid_thw=torch.tensor([picture.grid for picture in pictures]),
    ).logits[:, -width - 1 : -1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def _model() -> Any:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    place = {word: i for i, word in enumerate(SPECIALS)}
    sections = {"mrope_section": [3, 3, 2], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(SPECIALS + WORDS),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "max_position_embeddings": 64,
            "initializer_range": 0.07,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, **sections},
            "tie_word_embeddings": True,
            "pad_token_id": 0,
            "bos_token_id": None,
            "eos_token_id": 2,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.07,
        },
        image_token_id=place["<|image_pad|>"],
        video_token_id=place["<|video_pad|>"],
        vision_start_token_id=place["<|vision_start|>"],
        vision_end_token_id=place["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    return Qwen3VLForConditionalGeneration(config)
