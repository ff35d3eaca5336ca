"""Greedy accuracy with privileged input: a reading of the training, never a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness import seeds
from harness.models.forward import undisturbed
from harness.models.prompts import render
from harness.models.reader import Reader
from harness.models.sampler import sample
from harness.training.writers import rewards
from harness.types import Example, HarnessError, Privilege
from harness.worlds import privilege
from harness.worlds.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def readable(reader: Reader, example: Example, kind: str) -> str:
    """The kind itself, or none where the reader has no place for p: a chat template without a system role."""
    try:
        render(reader, [example], kind)
    except HarnessError:
        return Privilege.NONE
    return kind


def accuracies(
    model: PreTrainedModel,
    reader: Reader,
    world: World,
    examples: Sequence[Example],
    kind: str,
    *,
    max_new_tokens: int,
) -> dict[str, float]:
    """``probe/accuracy`` without p and, unless ``kind`` is none, ``probe/accuracy_with_p``, both in [0, 1].

    Nothing where the world cannot verify.
    """
    kinds: dict[str, str] = {"probe/accuracy": Privilege.NONE}
    if kind != Privilege.NONE:
        kinds["probe/accuracy_with_p"] = kind
    found = by_kind(model, reader, world, examples, list(kinds.values()), max_new_tokens=max_new_tokens)
    return {} if found is None else dict(zip(kinds, found, strict=True))


def by_kind(
    model: PreTrainedModel,
    reader: Reader,
    world: World,
    examples: Sequence[Example],
    kinds: Sequence[str],
    *,
    max_new_tokens: int,
) -> list[float] | None:
    """For each kind of p the share of ``examples``, in [0, 1], whose greedy response to (x, p) has the right answer.

    All kinds are asked in one batch. None where the world cannot verify.

    Raises:
        HarnessError: an example has no p of a kind; ``examples`` is empty.
    """
    turns = [privilege.messages(example, kind) for kind in kinds for example in examples]
    with undisturbed(model):
        model.eval()
        batch = sample(
            model,
            reader,
            [*examples] * len(kinds),
            reader.prompts(turns).to(model.device),
            rollouts_per_prompt=1,
            max_new_tokens=max_new_tokens,
            temperature=0.0,
            generator=seeds.generator(0, "probe"),  # greedy: nothing depends on it
        )
    right_B = rewards(world, batch, batch.responses(reader))
    return None if right_B is None else right_B.view(len(kinds), -1).double().mean(-1).tolist()
