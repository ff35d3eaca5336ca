"""Readers: what turns chat turns into prompts and responses into text and back. Nothing else knows a chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from harness.config import PrivilegedTurn
from harness.models.prompts import Prompts
from harness.types import HarnessError, ImagePart, Message, TextPart, text_of


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


PLAIN = (
    "{% for m in messages %}{{ m.role | capitalize }}:\n{{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)
"""The chat template by the name ``plain``: a heading over each turn, for a model that was taught no other."""
BETWEEN = "\n\n"
"""Between p and x where both stand in one turn."""
SAID, ASKED = "e7c1 said", "e7c1 asked"
"""Turns by which a template's own system turn is found."""


class TextReader:
    """A reader of text alone: a tokenizer with a chat template.

    With p and without it a prompt differs in p alone: a system turn that the template has by itself, and would leave
    out for that of p, is said after it.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, privileged_turn: PrivilegedTurn = PrivilegedTurn.SYSTEM
    ) -> None:
        self.tokenizer = tokenizer
        self.privileged_turn = privileged_turn

    @property
    def eos_id(self) -> int | None:
        """The tokenizer's."""
        return cast(Any, self.tokenizer.eos_token_id)

    @property
    def pad_id(self) -> int:
        """The tokenizer's, else its EOS, else 0: padding is masked everywhere."""
        of_tokenizer: Any = self.tokenizer.pad_token_id
        return (self.eos_id or 0) if of_tokenizer is None else of_tokenizer

    @cached_property
    def default_turn(self) -> str:
        """What the template says as a system turn where there is none; empty: nothing."""
        asked = {"role": "user", "content": ASKED}
        try:
            with_turn = self._text([{"role": "system", "content": SAID}, asked])
        except TemplateError:
            return ""
        before, found, after = with_turn.partition(SAID)
        alone = self._text([asked])
        if not found or not (alone.startswith(before) and alone.endswith(after)):
            return ""
        return alone[len(before) : len(alone) - len(after)]

    def ids(self, turns: Sequence[Message]) -> list[int]:
        """Token ids of one conversation; see ``prompts``."""
        return self.templated([{"role": turn["role"], "content": _text(turn)} for turn in self.arranged(turns)])

    def arranged(self, turns: Sequence[Message]) -> list[Message]:
        """The turns with p where it is to stand, see ``arranged``."""
        default = ""
        if (
            turns[0].get("privileged")
            and self.privileged_turn == PrivilegedTurn.SYSTEM
            and turns[1]["role"] != "system"
        ):
            default = self.default_turn
        return arranged(turns, self.privileged_turn, default)

    def templated(self, turns: Sequence[Mapping[str, Any]]) -> list[int]:
        """Token ids of turns as the template takes them, generation prompt included.

        Raises:
            HarnessError: there is no template, or it refuses the turns.
        """
        check_template(self.tokenizer)
        shown: Any = list(turns)
        try:
            ids: Any = self.tokenizer.apply_chat_template(shown, add_generation_prompt=True, return_dict=False)
        except TemplateError as error:
            raise HarnessError(_refused(self.tokenizer, turns, error)) from error
        return list(ids)

    def _text(self, turns: Sequence[dict[str, str]]) -> str:
        check_template(self.tokenizer)
        text: Any = self.tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False)
        return text

    def prompts(self, turns: Sequence[Sequence[Message]]) -> Prompts:
        """Raises HarnessError if a message holds an image, there is no chat template, or it refuses the turns."""
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


def arranged(turns: Sequence[Message], privileged_turn: PrivilegedTurn, default: str = "") -> list[Message]:
    """The turns with p where it is to stand; the same turns where none shows p.

    Args:
        privileged_turn: where p is to stand.
        default: a system turn to be said after that of p.
    """
    if not turns[0].get("privileged"):
        return list(turns)
    told, rest = turns[0], list(turns[1:])
    if privileged_turn == PrivilegedTurn.SYSTEM:
        return [told, *([Message(role="system", content=default)] if default else []), *rest]
    place = next(i for i, turn in enumerate(rest) if turn["role"] == "user")
    head, content = text_of(told) + BETWEEN, rest[place]["content"]
    whole = head + content if isinstance(content, str) else (TextPart(head), *content)
    return [*rest[:place], Message(role="user", content=whole), *rest[place + 1 :]]


def check_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises HarnessError for a tokenizer without a chat template."""
    if tokenizer.chat_template is None:
        raise HarnessError(
            f"model {tokenizer.name_or_path}: its tokenizer has no chat template, so nobody knows how it is asked: "
            "give a folder with chat_template.jinja, or template='plain' of the model in the profile"
        )


def check_one_difference(plain: str, told: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """A prompt with p is the one without it and one piece more.

    Raises:
        HarnessError: it is not.
    """
    pairs = list(zip(plain, told, strict=False))
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
    ends = list(zip(reversed(plain), reversed(told), strict=False))
    last = next((i for i, (a, b) in enumerate(ends) if a != b), len(ends))
    if same + last < len(plain):
        raise HarnessError(
            f"the chat template of model {tokenizer.name_or_path} writes x otherwise where p stands before it "
            f"({plain[same : len(plain) - last]!r:.60} is lost): policies with and without p would differ in more than "
            "p; give privileged_turn='user' of the model in the profile, and look with dopd plan --show-prompts"
        )


def _refused(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Mapping[str, Any]], error: Exception) -> str:
    roles = ", ".join(turn["role"] for turn in turns)
    cure = "give privileged_turn='user' of the model in the profile" if "system" in roles else "give other turns"
    return (
        f"the chat template of model {tokenizer.name_or_path} refuses the turns {roles} ({error}): where it has no "
        f"place for one of these roles, {cure}"
    )


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
