"""Readers: what turns chat turns into prompts and responses into text and back. Nothing else knows a chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from transformers import PreTrainedTokenizerBase

from harness.models.prompts import Prompts
from harness.types import HarnessError, ImagePart, Message


class Reader(Protocol):
    """How a family of models reads and writes."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Of text."""
        ...

    @property
    def pad_id(self) -> int:
        """Fills rows up."""
        ...

    @property
    def eos_id(self) -> int | None:
        """Ends a response; None if the tokenizer names none."""
        ...

    def prompts(self, turns: Sequence[Sequence[Message]]) -> Prompts:
        """Each conversation through the chat template, generation prompt included; on the CPU.

        Raises:
            HarnessError: a message holds what this reader cannot read.
        """
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of responses, without special tokens."""
        ...

    def places(self, text: str) -> list[tuple[int, int]]:
        """First and last character (exclusive) of each token that ``encode`` makes of ``text``.

        Raises:
            HarnessError: the tokenizer does not tell.
        """
        ...

    def decode(self, ids: Sequence[Sequence[int]], *, special: bool = False) -> list[str]:
        """Texts of responses; ``special`` keeps special tokens."""
        ...

    def save(self, folder: Path) -> None:
        """Into a model's folder, from which it is loaded again."""
        ...


class TextReader:
    """A reader of text alone: a tokenizer with a chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    @property
    def eos_id(self) -> int | None:
        """The tokenizer's."""
        return cast(Any, self.tokenizer.eos_token_id)

    @property
    def pad_id(self) -> int:
        """The tokenizer's, else its EOS, else 0: padding is masked everywhere."""
        of_tokenizer: Any = self.tokenizer.pad_token_id
        return (self.eos_id or 0) if of_tokenizer is None else of_tokenizer

    def ids(self, turns: Sequence[Message]) -> list[int]:
        """Token ids of one conversation; see ``prompts``."""
        plain = [{"role": turn["role"], "content": _text(turn)} for turn in turns]
        ids: Any = self.tokenizer.apply_chat_template(plain, add_generation_prompt=True, return_dict=False)
        return list(ids)

    def prompts(self, turns: Sequence[Sequence[Message]]) -> Prompts:
        """Raises HarnessError if a message holds an image."""
        return Prompts.of_ids([self.ids(each) for each in turns], self.pad_id)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """By the tokenizer."""
        encoded: Any = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return encoded

    def places(self, text: str) -> list[tuple[int, int]]:
        """By the tokenizer's offset mapping; raises HarnessError for a tokenizer without one."""
        if not self.tokenizer.is_fast:
            raise HarnessError(
                f"{type(self.tokenizer).__name__} does not tell which characters a token stands for: facts of tokens "
                "need a fast tokenizer"
            )
        encoded: Any = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return encoded["offset_mapping"]

    def decode(self, ids: Sequence[Sequence[int]], *, special: bool = False) -> list[str]:
        """By the tokenizer, as it is written: spaces that a setting of it would clean up are an answer's own."""
        return self.tokenizer.batch_decode(
            [list(row) for row in ids], skip_special_tokens=not special, clean_up_tokenization_spaces=False
        )

    def save(self, folder: Path) -> None:
        """The tokenizer with its template."""
        self.tokenizer.save_pretrained(folder)


def _text(message: Message) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    for part in content:
        if isinstance(part, ImagePart):
            raise HarnessError(
                f"a message holds the image {part.path}, this model reads text only: choose a model that reads images, "
                "or data without them"
            )
    return "".join(part.text for part in content if not isinstance(part, ImagePart))
