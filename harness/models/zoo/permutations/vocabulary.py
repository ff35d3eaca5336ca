"""Tokenizer of the permutations models: one id per word. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.models.zoo.tokenizer import EOS, PAD, ROLES, START, UNK, build
from harness.worlds.permutations import words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WORDS = (*(PAD, START, EOS, UNK), *ROLES, *words.WORDS)
"""The vocabulary; a word's place is its id."""
IDS = {word: i for i, word in enumerate(WORDS)}


def tokenizer() -> PreTrainedTokenizerFast:
    """A fresh one."""
    return build(WORDS)


def prompt(text: str, privileged: str = "") -> list[int]:
    """Token ids of a prompt as the chat template writes it; ``privileged`` is p, empty for none."""
    before = [START, "system", *privileged.split(), EOS] if privileged else []
    return [IDS[word] for word in (*before, START, "user", *text.split(), EOS, START, "assistant")]
