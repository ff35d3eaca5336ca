"""Pictures beside the text of prompts: where they stand, at which positions, and what each policy sees in them.

The features of a picture are computed once for each policy and weights, and serve every rollout, view and prompt that
holds the picture; where its tower is trained, once for each backward pass. Positions are always said to the model, in
four rows (text, time, height, width): without them it counts as if pictures were text, or goes on from where another
batch ended (``rope_deltas``), and says nothing.

Shapes: Q prompts of one context, L tokens of the longest, n patches of a picture, m its tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import PreTrainedModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures


class _Steps:
    """How many optimiser steps this process has made: a fused one changes weights without autograd's counter."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, *_: object) -> None:
        self.made += 1


STEPS = _Steps()
register_optimizer_step_post_hook(STEPS)

PATCHES = 2**14
"""Most patches that are encoded together without gradient: a few pictures of a large model, all of a small one."""

Features = tuple[Tensor, ...]
"""What a picture's tokens are to a model, [m, D] each: the embeddings, then what its first layers are given."""


@dataclass(eq=False, slots=True, weakref_slot=True, kw_only=True)
class Picture:
    """A picture as models read it. It lives as long as prompts hold it, and its features with it."""

    name: str
    """For messages."""
    patches_nC: Tensor
    """float32 [n, channels of a patch], on the CPU."""
    grid: tuple[int, int, int]
    """Patches along time, height and width."""
    tokens: int
    """Of a prompt that it takes."""
    seen: WeakKeyDictionary[Module, tuple[tuple[int, ...], Features]] = field(default_factory=WeakKeyDictionary)
    """Features by model, and the state of the weights that they were computed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMedia:
    """The pictures of some prompts; see ``harness.models.prompts.Media``."""

    pictures: tuple[tuple[Picture, ...], ...]
    """Of each prompt, [Q], in reading order."""
    places_3QW: Tensor
    """int64 [3, Q, W]: time, height and width of each prompt token, laid to the right of W columns."""
    ends_Q: Tensor
    """int64 [Q]: the place after each prompt."""

    def select(self, used_Q: Tensor) -> PictureMedia:
        """Of these prompts (int64), in this order."""
        return replace(
            self,
            pictures=tuple(self.pictures[row] for row in used_Q.tolist()),
            places_3QW=self.places_3QW[:, used_Q],
            ends_Q=self.ends_Q[used_Q],
        )

    def to(self, device: torch.device | str) -> PictureMedia:
        """Positions go to the device; pictures when a model of it encodes them."""
        return replace(self, places_3QW=self.places_3QW.to(device), ends_Q=self.ends_Q.to(device))

    def after(self, text_Q: Tensor) -> Tensor:
        """int64 [4, Q]: the text goes on after its last token, the rest after the last place."""
        return torch.stack([text_Q, *[self.ends_Q] * 3])

    def inputs(self, model: PreTrainedModel, text: Mapping[str, Any]) -> Mapping[str, Any]:
        """Token ids, mask, positions [4, Q, L], and the features of every picture in reading order."""
        position_QL = text["position_ids"]
        places_3QL = torch.nn.functional.pad(self.places_3QW, (position_QL.shape[1] - self.places_3QW.shape[2], 0))
        inputs = {**text, "position_ids": torch.cat([position_QL[None], places_3QL])}
        held = [picture for pictures in self.pictures for picture in pictures]
        if held:
            inputs["mm_encoder_outputs"] = {"image": _laid_out(features(model, held))}
        return inputs


def features(model: PreTrainedModel, pictures: Sequence[Picture]) -> list[Features]:
    """Of each picture, which may be there more than once.

    With gradient where the model's tower is trained and gradients are on; else those that are known are taken.
    """
    different = list(dict.fromkeys(pictures))
    weights = list(model.get_encoder(modality="image").parameters())
    trained = any(weight.requires_grad for weight in weights)
    if torch.is_grad_enabled() and trained:
        found = dict(zip(different, _encoded(model, different), strict=True))
        return [found[picture] for picture in pictures]
    # Copies and averages move autograd's counter of in-place changes, optimisers ours; a replaced tensor is another.
    state = (STEPS.made if trained else 0, *(n for weight in weights for n in (id(weight), weight._version)))
    new = [picture for picture in different if picture.seen.get(model, ((), ()))[0] != state]
    # Neither of the sampler's inference mode, which autograd could not read later, nor with a graph.
    with torch.inference_mode(mode=False), torch.no_grad():
        for part in _parts(new):
            for picture, made in zip(part, _encoded(model, part), strict=True):
                picture.seen[model] = (state, made)
    return [picture.seen[model][1] for picture in pictures]


def _parts(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """Runs of pictures of at most ``PATCHES`` together, at least one each."""
    part: list[Picture] = []
    patches = 0
    for picture in pictures:
        if part and patches + len(picture.patches_nC) > PATCHES:
            yield part
            part, patches = [], 0
        part.append(picture)
        patches += len(picture.patches_nC)
    if part:
        yield part


def _encoded(model: PreTrainedModel, pictures: Sequence[Picture]) -> list[Features]:
    """By the model's own tower, one call."""
    patches = torch.cat([picture.patches_nC for picture in pictures]).to(model.device)
    grids = torch.tensor([picture.grid for picture in pictures], device=model.device)
    out: Any = model.get_image_features(patches, grids, return_dict=True)  # pyright: ignore[reportCallIssue]
    return list(zip(out.pooler_output, *out.deepstack_features, strict=True))


def _laid_out(found: Sequence[Features]) -> BaseModelOutputWithDeepstackFeatures:
    embeddings, *deeper = zip(*found, strict=True)
    return BaseModelOutputWithDeepstackFeatures(
        pooler_output=list(embeddings),  # pyright: ignore[reportArgumentType]
        deepstack_features=[list(layer) for layer in deeper],  # pyright: ignore[reportArgumentType]
    )


def places(tokens: Sequence[bool], grids: Sequence[tuple[int, int]]) -> tuple[Tensor, int]:
    """Time, height and width of each token of a prompt, [3, L], and the place after it.

    Text goes on by one in all three; a picture stands still in time and spreads from there over its rows and columns
    of tokens, and what follows begins after the longer of them (Qwen2-VL, arXiv:2409.12191, section 2.1).

    Args:
        tokens: whether each token is a picture's, [L].
        grids: rows and columns of tokens of each picture, in reading order.
    """
    columns: list[Tensor] = []
    at, here, rest = 0, 0, iter(grids)
    while at < len(tokens):
        if tokens[at]:
            rows, across = next(rest)
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(across), indexing="ij")
            columns.append(torch.stack([torch.zeros_like(row), row, column]).flatten(1))
            n, further = rows * across, max(rows, across)
        else:
            n = next((i for i, of_picture in enumerate(tokens[at:]) if of_picture), len(tokens) - at)
            columns.append(torch.arange(n).expand(3, -1))
            further = n
        columns[-1] = columns[-1] + here
        at, here = at + n, here + further
    return torch.cat(columns, dim=1), here
