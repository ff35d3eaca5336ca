"""A second tiny world, of pictures: which colour, and how many cells. Its pictures are of several sizes.

p is text (``where``, ``worked``), parts with a picture (``close``), and other pictures in the place of x's own
(``instead``). Models see patches of 4 x 4 pixels, four of which are a token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from harness.config import DataSpec, ModelSpec, OptimSpec
from harness.suite import Profile
from harness.types import Example, Fact, ImagePart, Instead, Message, Modality, Part, Span, TextPart
from harness.worlds import pictures
from harness.worlds.privilege import instead
from harness.worlds.world import Grade, HeldOut, in_turn, word_spans

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

PATCH, MERGE = 4, 2
CELL = PATCH * MERGE
"""Pixels of a cell along each side: a token."""
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}
SIZES = ((2, 2), (3, 2), (2, 4))
"""Cells across and down."""
SPECIALS = (
    "<|pad|>",
    "<|start|>",
    "<|end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
WORDS = (
    "system",
    "user",
    "assistant",
    "colour",
    "cells",
    "of",
    "at",
    "the",
    "it",
    "is",
    "!",
    *COLOURS,
    *map(str, range(13)),
)
TEMPLATE = (
    "{% for m in messages %}<|start|> {{ m.role }} "
    "{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}"
    "{% elif m.role == 'user' %} <|vision_start|> <|image_pad|> <|vision_end|> {% endif %}"
    "{% endfor %}{% endif %} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|start|> assistant{% endif %}"
)


class PictureWorld:
    """Has references, facts of none, and pictures of two kinds; some problems have two or three pictures."""

    version = 1
    modality = Modality.VISION
    domains = ("one", "many")
    privileges = ("where", "worked", "close", "instead")
    pictures = ("evidence", "degraded")

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """The same on every machine."""
        return in_turn(data, split, n, start, lambda domain, i: example(domain, split, i))

    def grade(self, example: Example, text: str) -> Grade:
        """The last word is the answer."""
        words = text.split()
        said = words[words.index("!") + 1 :] if "!" in words else []
        return Grade(answer=said == [example.answer], trace=text == example.trace, parsed=len(said) == 1)

    def benchmarks(self) -> Sequence[HeldOut]:
        """``pictures_<domain>``."""
        return [
            HeldOut(
                name=f"pictures_{domain}",
                data=DataSpec(world="pictures", domains=(domain,), privilege="where"),
                split="test",
                n=4,
                max_new_tokens=6,
            )
            for domain in self.domains
        ]

    def reference(self, example: Example) -> str:
        """The trace: p holds nothing that x does not."""
        return example.trace or ""

    def demonstration(self, response: str) -> str:
        """As it is."""
        return f"it is {response}"

    def pictured(self, example: Example, kind: str) -> tuple[Message, ...]:
        """The first cell of each picture, or each picture with little left."""
        own = pictures_of(example)
        made = {
            "evidence": lambda: [pictures.cropped(part, (0, 0, 2 * CELL, CELL)) for part in own],
            "degraded": lambda: [pictures.degraded(part, 0.1) for part in own],
        }[kind]()
        return instead(example.messages, made, f"example {example.id}")


def pictures_of(example: Example) -> list[ImagePart]:
    """Of its only turn."""
    content = example.messages[-1]["content"]
    assert not isinstance(content, str)
    return [part for part in content if isinstance(part, ImagePart)]


@cache
def picture(seed: str, colour: str) -> ImagePart:
    """Cells of one colour, noise over them."""
    import numpy as np
    from PIL import Image

    rng = Random(seed)
    across, down = rng.choice(SIZES)
    noise = np.array([rng.randrange(-20, 20) for _ in range(across * down * CELL * CELL * 3)])
    pixels = noise.reshape(down * CELL, across * CELL, 3) + np.array(COLOURS[colour])
    return pictures.part_of(Image.fromarray(pixels.clip(0, 255).astype("uint8")), f"{seed}.png")


def example(domain: str, split: str, index: int) -> Example:
    """Problem number ``index``: the colour of one picture, or of the last of two or three."""
    name = f"{domain}/{split}/{index}"
    rng = Random(name)
    shown = [rng.choice(list(COLOURS)) for _ in range(1 if domain == "one" else rng.choice((2, 3)))]
    parts = [picture(f"{name}/{i}", colour) for i, colour in enumerate(shown)]
    said: tuple[Part, ...] = tuple(p for part in parts for p in (part, TextPart(" of ")))
    turn: Message = {"role": "user", "content": (TextPart("the colour of "), *said[:-1], TextPart(" is"))}
    before: tuple[Message, ...] = () if index % 2 else ({"role": "system", "content": "at the colour"},)
    answer = shown[-1]
    trace = f"it is {answer} ! {answer}"
    return Example(
        id=name,
        domain=domain,
        split=split,
        messages=(*before, turn),
        answer=answer,
        trace=trace,
        facts=word_spans(trace, [Fact.FORMAT, Fact.FORMAT, Fact.CAPABILITY, Fact.FORMAT, Fact.CAPABILITY]),
        privileged={
            "where": f"colour {answer} at {len(shown)}",
            "worked": f"{trace} it is {answer}",
            "close": (TextPart("at "), pictures.cropped(parts[-1], (0, 0, CELL, CELL)), TextPart(" it is ")),
            "instead": Instead(tuple(picture(f"{name}/{i}/instead", answer) for i in range(len(shown)))),
        },
    )


def spans(example: Example) -> tuple[Span, ...]:
    """Of the trace."""
    return example.facts


def tokenizer() -> PreTrainedTokenizerFast:
    """Words of the world, and the tokens that stand for pictures."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIALS + WORDS)}, unk_token=SPECIALS[0]))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        unk_token="<|pad|>",
        additional_special_tokens=["<|start|>"],
        extra_special_tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_start_token": "<|vision_start|>",
            "vision_end_token": "<|vision_end|>",
        },
        padding_side="left",
        chat_template=TEMPLATE,
    )


def processor(**changes: object) -> object:
    """In PIL; pictures of the world keep their size."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    own = {
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "merge_size": MERGE,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"shortest_edge": CELL * CELL, "longest_edge": 64 * CELL * CELL},
    }
    return Qwen2VLImageProcessorPil(**(own | changes))


def model(seed: int, hidden: int = 16) -> Qwen3VLForConditionalGeneration:
    """Random weights over the tokenizer's vocabulary, ``hidden`` wide."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    place = {word: i for i, word in enumerate(SPECIALS)}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(SPECIALS + WORDS),
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "max_position_embeddings": 128,
            "initializer_range": 0.3,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 100.0,
                "mrope_section": [3, 3, 2],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": 0,
            "bos_token_id": None,
            "eos_token_id": 2,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.3,
        },
        image_token_id=place["<|image_pad|>"],
        video_token_id=place["<|video_pad|>"],
        vision_start_token_id=place["<|vision_start|>"],
        vision_end_token_id=place["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3VLForConditionalGeneration(config).eval()


def save_model(folder: Path, seed: int, hidden: int = 16) -> None:
    """As a folder that any run can load: weights, tokenizer, and a processor without a part for films."""
    model(seed, hidden).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    processor().save_pretrained(folder)  # pyright: ignore[reportAttributeAccessIssue]


def save_pair(folder: Path) -> None:
    """A student and a larger teacher."""
    save_model(folder / "student", 0)
    save_model(folder / "teacher", 1, hidden=24)


def change(folder: Path, record: str, **values: object) -> None:
    """Other values in a JSON file of a model's folder."""
    path = folder / record
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


PROFILE = Profile(
    name="pictures",
    student=ModelSpec(name="student"),
    teacher=ModelSpec(name="teacher"),
    data=DataSpec(
        world="pictures", version=PictureWorld.version, domains=PictureWorld.domains, size=8, privilege="where"
    ),
    optim=OptimSpec(lr=1e-3, warmup_steps=1),
    steps=3,
    prompts_per_step=4,
    rollouts_per_prompt=2,
    max_response_tokens=6,
    benchmarks=tuple(f"pictures_{domain}" for domain in PictureWorld.domains),
    seconds_per_step=0.1,
    seconds_per_evaluation=0.1,
)
"""Its models are folders of the working directory, see ``save_pair``."""
