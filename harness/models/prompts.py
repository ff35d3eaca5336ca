"""Prompts as a model reads them: the only way from chat turns to padded ids and to a model's inputs.

Shapes: Q prompts of one context, L tokens of the longest, B rollouts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from harness.types import Example, HarnessError, Privilege
from harness.worlds import privilege

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader


class Media(Protocol):
    """What prompts hold beside text, an entry a prompt: pictures. A reader that reads them makes it."""

    def select(self, used_Q: Tensor) -> Media:
        """Of these prompts (int64), in this order."""
        ...

    def to(self, device: torch.device | str) -> Media:
        """The same on a device."""
        ...

    def after(self, text_Q: Tensor) -> Tensor:
        """Positions of the token after each prompt, [..., Q], given those of the text alone."""
        ...

    def inputs(self, model: PreTrainedModel, text: Mapping[str, Any]) -> Mapping[str, Any]:
        """A model's inputs, given those of the text alone; features are computed once for each policy."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """The prompts of one context and which rollout continues which."""

    ids_QL: Tensor
    """int64 [Q, L], left-padded."""
    mask_QL: Tensor
    """bool [Q, L]: prompt tokens."""
    row_of_B: Tensor
    """int64 [B]: the prompt each rollout continues."""
    present_B: Tensor | None = None
    """bool [B]: rollouts that have this context; None means all."""
    media: Media | None = None
    """None for text alone."""

    @classmethod
    def of_ids(cls, ids: Sequence[Sequence[int]], pad_id: int, media: Media | None = None) -> Prompts:
        """Token ids of each prompt as one batch, each continued once; on the CPU.

        Raises:
            HarnessError: there is none, or an empty one.
        """
        if not ids or not all(map(len, ids)):
            raise HarnessError(
                f"{len(ids)} prompts, {sum(not len(row) for row in ids)} of them empty: give prompts of some tokens"
            )
        width = max(map(len, ids))
        ids_QL = torch.full((len(ids), width), pad_id, dtype=torch.int64)
        mask_QL = torch.zeros(len(ids), width, dtype=torch.bool)
        for row, prompt in enumerate(ids):
            ids_QL[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
            mask_QL[row, width - len(prompt) :] = True
        return cls(ids_QL=ids_QL, mask_QL=mask_QL, row_of_B=torch.arange(len(ids)), media=media)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each prompt, [Q]."""
        return self.mask_QL.sum(-1).tolist()

    def to(self, device: torch.device | str) -> Prompts:
        """The same on a device; ``present_B`` too."""
        return Prompts(
            ids_QL=self.ids_QL.to(device),
            mask_QL=self.mask_QL.to(device),
            row_of_B=self.row_of_B.to(device),
            present_B=None if self.present_B is None else self.present_B.to(device),
            media=None if self.media is None else self.media.to(device),
        )

    def continued_by(self, row_of_B: Tensor) -> Prompts:
        """The same prompts for other rollouts, all of which have this context."""
        return replace(self, row_of_B=row_of_B, present_B=None)

    def select(self, rows: Tensor) -> Prompts:
        """The same context for fewer rollouts; prompts nobody continues are dropped."""
        used, row_of = torch.unique(self.row_of_B[rows], return_inverse=True)
        mask_QL = self.mask_QL[used]
        length = int(mask_QL.sum(-1).max())
        return Prompts(
            ids_QL=self.ids_QL[used][:, -length:],
            mask_QL=mask_QL[:, -length:],
            row_of_B=row_of,
            present_B=None if self.present_B is None else self.present_B[rows],
            media=None if self.media is None else self.media.select(used),
        )

    @property
    def after_B(self) -> Tensor:
        """Position of the first response token of each rollout, int64 [B]; [4, B] where a model counts positions in
        text and pictures apart (``media``)."""
        text_Q = self.mask_QL.sum(-1)
        return (text_Q if self.media is None else self.media.after(text_Q))[..., self.row_of_B]

    def inputs(self, model: PreTrainedModel) -> Mapping[str, Any]:
        """Keyword arguments by which ``model`` reads the prompts, one row each; no mask where nothing is padded."""
        mask_QL = self.mask_QL
        text = {
            "input_ids": self.ids_QL,
            "attention_mask": None if bool(mask_QL.all()) else mask_QL.long(),
            "position_ids": (mask_QL.long().cumsum(-1) - 1).clamp(min=0),
        }
        return text if self.media is None else self.media.inputs(model, text)


def render(
    reader: Reader, examples: Sequence[Example], kind: str = Privilege.NONE, *, device: torch.device | str = "cpu"
) -> Prompts:
    """The prompt of each example, with p of ``kind`` before it, each continued once.

    Raises:
        HarnessError: an example has no p of this kind; the reader cannot read a message.
    """
    return reader.prompts([privilege.messages(example, kind) for example in examples]).to(device)


def both_prompts(reader: Reader, example: Example, kind: str) -> list[list[int]]:
    """Token ids of the prompt of an example without p and with p of ``kind``.

    Raises:
        HarnessError: as ``render``.
    """
    each = (render(reader, [example], one).ids_QL[0] for one in (Privilege.NONE, kind))
    return [ids_L.tolist() for ids_L in each]
