"""A reader of pictures and text: what a model with a tower of patches (Qwen-VL) is given.

The image processor is the one of the model's folder, in its PIL backend: training does without torchvision, and the
other backend would scale a picture to slightly other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from transformers import PreTrainedTokenizerBase

from harness.config import PrivilegedTurn
from harness.models.media import Picture, PictureMedia, places
from harness.models.prompts import Prompts
from harness.models.reader import TextReader
from harness.types import HarnessError, ImagePart, Message, TextPart, images_of
from harness.worlds.pictures import opened

RECORDS = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
"""Files by which a stock processor is loaded again, beside the tokenizer's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """How a model's config says that it sees: what a reader must know of it."""

    image_token_id: int
    """Of the token that stands for a piece of a picture."""
    patch: tuple[int, int]
    """Pixels of a patch along each side, and pictures in time."""
    merge: int
    """Patches along each side of a token's piece."""
    context: int | None
    """Most tokens of a prompt; None if the config does not say."""

    @classmethod
    def of(cls, config: Any) -> Eye | None:
        """None for a model of text alone, or one that sees in another way."""
        vision = getattr(config, "vision_config", None)
        numbers: list[Any] = [getattr(config, "image_token_id", None)]
        numbers += [getattr(vision, name, None) for name in ("patch_size", "temporal_patch_size", "spatial_merge_size")]
        if None in numbers:
            return None
        token, patch, temporal, merge = numbers
        context = getattr(config.get_text_config(), "max_position_embeddings", None)
        return cls(image_token_id=token, patch=(patch, temporal), merge=merge, context=context)


class ImageReader(TextReader):
    """A tokenizer with a chat template that shows pictures, and an image processor.

    Raises:
        HarnessError: the processor cuts pictures into other patches than the model, or their token is another.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any,
        eye: Eye,
        *,
        records: Sequence[Path] = (),
        privileged_turn: PrivilegedTurn = PrivilegedTurn.SYSTEM,
    ) -> None:
        super().__init__(tokenizer, privileged_turn)
        self.image_processor, self.eye = image_processor, eye
        self._records = tuple(records)
        self._alive: WeakValueDictionary[str, Picture] = WeakValueDictionary()
        self._check()

    def _check(self) -> None:
        processor, eye = self.image_processor, self.eye
        cut = (processor.patch_size, processor.temporal_patch_size, processor.merge_size)
        if cut != (*eye.patch, eye.merge):
            raise HarnessError(
                f"the image processor of {self.tokenizer.name_or_path} has patch_size, temporal_patch_size and "
                f"merge_size {cut}, its model {(*eye.patch, eye.merge)}: give the processor that the model was "
                "trained with"
            )
        token: Any = getattr(self.tokenizer, "image_token", None)
        if token is not None and self.tokenizer.convert_tokens_to_ids(token) != eye.image_token_id:
            raise HarnessError(
                f"the tokenizer of {self.tokenizer.name_or_path} stands {token} for a picture, id "
                f"{self.tokenizer.convert_tokens_to_ids(token)}, its model id {eye.image_token_id}: give the tokenizer "
                "that the model was trained with"
            )

    def save(self, folder: Path) -> None:
        """Tokenizer, template, and the records of the processor as they were found."""
        super().save(folder)
        if not self._records:
            self.image_processor.save_pretrained(folder)
        for record in self._records:
            (folder / record.name).write_bytes(record.read_bytes())

    def ids(self, turns: Sequence[Message]) -> list[int]:
        """Token ids of one conversation, each picture as many tokens as it takes."""
        return self._expanded(turns, [self.picture(image) for image in images_of(turns)])

    def prompts(self, turns: Sequence[Sequence[Message]]) -> Prompts:
        """Raises HarnessError if a picture cannot be read, or takes more tokens than the model's context holds."""
        held = [[self.picture(image) for image in images_of(each)] for each in turns]
        ids = [self._expanded(each, pictures) for each, pictures in zip(turns, held, strict=True)]
        for row, pictures in zip(ids, held, strict=True):
            self._check_context(len(row), pictures)
        return Prompts.of_ids(ids, self.pad_id, self._media(ids, held) if any(held) else None)

    def picture(self, image: ImagePart) -> Picture:
        """The picture as the model reads it: one object for as long as some prompts hold it.

        Raises:
            HarnessError: see ``harness.worlds.pictures.opened``; it is too long and thin for the processor.
        """
        known = self._alive.get(image.sha256)
        if known is not None:
            return known
        try:
            made = self.image_processor(images=[opened(image)], return_tensors="pt")
        except ValueError as error:
            raise HarnessError(
                f"picture {image.path} is refused by the model's image processor ({error}): give one of another shape"
            ) from error
        _, rows, columns = made["image_grid_thw"][0].tolist()
        picture = Picture(
            name=image.path,
            patches_nC=made["pixel_values"],
            grid=(1, rows, columns),
            tokens=rows * columns // self.eye.merge**2,
        )
        self._alive[image.sha256] = picture
        return picture

    def _expanded(self, turns: Sequence[Message], pictures: Sequence[Picture]) -> list[int]:
        ids = self.templated([{"role": turn["role"], "content": _content(turn)} for turn in self.arranged(turns)])
        token = self.eye.image_token_id
        if (marks := ids.count(token)) != len(pictures):
            raise HarnessError(
                f"the chat template of {self.tokenizer.name_or_path} makes {marks} picture tokens of messages with "
                f"{len(pictures)} pictures: a text must not hold {self.tokenizer.convert_ids_to_tokens(token)}, and "
                "pictures must stand in a turn in which the template shows them (user, for most)"
            )
        lengths = (picture.tokens for picture in pictures)
        return [each for i in ids for each in ([i] * next(lengths) if i == token else [i])]

    def _check_context(self, length: int, pictures: Sequence[Picture]) -> None:
        if self.eye.context is not None and length > self.eye.context:
            largest = max(pictures, key=lambda picture: picture.tokens, default=None)
            of_pictures = sum(picture.tokens for picture in pictures)
            which = f", {largest.tokens} of {largest.name}" if largest else ""
            raise HarnessError(
                f"a prompt of {length} tokens, {of_pictures} of them of pictures{which}, exceeds the model's "
                f"{self.eye.context} positions ({self.tokenizer.name_or_path}); give smaller or fewer pictures, or "
                "lower size.longest_edge of the image processor"
            )

    def _media(self, ids: Sequence[Sequence[int]], held: Sequence[Sequence[Picture]]) -> PictureMedia:
        merge, token, width = self.eye.merge, self.eye.image_token_id, max(map(len, ids))
        places_3QW = torch.zeros(3, len(ids), width, dtype=torch.int64)
        ends: list[int] = []
        for row, (prompt, pictures) in enumerate(zip(ids, held, strict=True)):
            grids = [(picture.grid[1] // merge, picture.grid[2] // merge) for picture in pictures]
            places_3QW[:, row, width - len(prompt) :], end = places([i == token for i in prompt], grids)
            ends.append(end)
        return PictureMedia(pictures=tuple(map(tuple, held)), places_3QW=places_3QW, ends_Q=torch.tensor(ends))


def _content(turn: Message) -> str | list[dict[str, str]]:
    content = turn["content"]
    if isinstance(content, str):
        return content
    shown = (part.text if isinstance(part, TextPart) else None for part in content)
    return [{"type": "image"} if text is None else {"type": "text", "text": text} for text in shown]
