"""Tokenizer, chat template and image processor of the scenes models: one id per word, one token per object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.worlds.scenes import words
from harness.worlds.scenes.picture import CELL, PIXELS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, START, EOS, UNK = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"
VISION_START, VISION_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
ROLES = ("system", "user", "assistant")
TASKS = ("describe", "looks", "lamps", "reads", "tally")
"""First words of pre-training rows that are no questions."""
WORDS = (*(PAD, START, EOS, UNK, VISION_START, VISION_END, IMAGE, VIDEO), *ROLES, *TASKS, *words.WORDS)
"""The vocabulary; a word's place is its id."""
IDS = {word: i for i, word in enumerate(WORDS)}
PATCH, MERGE, TEMPORAL = CELL // 2, 2, 2
TOKENS = words.SIDE * words.SIDE
"""Picture tokens of a picture."""
CONTEXT = 256
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|> <|image_pad|> <|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% if not loop.last %} {% endif %}{% endfor %}{% endif %} <|im_end|> "
    "{% endfor %}{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """A fresh tokenizer: word level, split at white space, padded on the left."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel(IDS, unk_token=UNK))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # The processor repeats the image token without spaces between.
    raw.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in WORDS[:8]])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        extra_special_tokens={
            "image_token": IMAGE,
            "video_token": VIDEO,
            "vision_start_token": VISION_START,
            "vision_end_token": VISION_END,
        },
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def image_processor() -> Any:
    """One that needs no torchvision; pictures of the world are read as they are."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=TEMPORAL,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": PIXELS * PIXELS, "longest_edge": PIXELS * PIXELS},
    )
