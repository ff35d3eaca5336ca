"""Tiny random models and a tiny tokenizer, built in memory: no download, no weights on disk."""

# ruff: noqa: I001
from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import harness  # noqa: F401 -- first: it makes torchvision importable, without which transformers imports no model

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from harness import registry

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = ("system", "user", "assistant", *"0123456789", *"abcdefghijklmnopqrstuvwxyz", "!")
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m.role }} {{ m.content }} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("vision") and importlib.util.find_spec("vlmeval") is None:
        pytest.skip("needs the extra `vlm`: nox -s vision")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def _no_profile_left() -> Iterator[None]:
    """A profile of flags or of a file is registered for the whole process: the next file must not see it."""
    yield
    registry._own_profile.clear()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """43 words; <|im_end|> is EOS, <|endoftext|> is padding, padded on the left, with a chat template."""
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(SPECIALS + WORDS)}, unk_token=SPECIALS[0]))
    core.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def tiny_qwen3(seed: int, *, hidden: int = 32, layers: int = 2) -> Qwen3ForCausalLM:
    """A random Qwen3 with grouped queries; EOS (id 2) has a probability near 1 / 43."""
    config = Qwen3Config(
        vocab_size=len(SPECIALS) + len(WORDS),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=True,
        max_position_embeddings=256,
        initializer_range=0.3,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config).eval()


@pytest.fixture(scope="session")
def tiny_model() -> Qwen3ForCausalLM:
    """The student of the tests; shared, so a test that trains it must copy it first."""
    return tiny_qwen3(0)


@pytest.fixture(scope="session")
def tiny_teacher() -> Qwen3ForCausalLM:
    """Another architecture size and other weights over the same vocabulary."""
    return tiny_qwen3(1, hidden=48, layers=3)
