"""Greedy accuracy with privileged input: a reading of the training, never a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness import seeds
from harness.models import render
from harness.models.forward import undisturbed
from harness.models.sampler import sample
from harness.types import Example, Privilege
from harness.worlds import data, privilege

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def accuracy_with_privilege(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    kind: Privilege,
    *,
    max_new_tokens: int,
) -> float:
    """Share of ``examples``, in [0, 1], whose greedy response to (x, p) has the right answer.

    Raises:
        HarnessError: an example has no p of this kind; ``examples`` is empty.
    """
    prompts = [render.prompt_ids(tokenizer, privilege.messages(e, kind)) for e in examples]
    with undisturbed(model):
        model.eval()
        batch = sample(
            model,
            tokenizer,
            examples,
            prompts,
            rollouts_per_prompt=1,
            max_new_tokens=max_new_tokens,
            temperature=0.0,
            generator=seeds.generator(0, "probe"),  # greedy: nothing depends on it
        )
    responses = batch.responses(tokenizer)
    right = [data.grade(e, r).answer for e, r in zip(examples, responses, strict=True)]
    return sum(right) / len(right)
