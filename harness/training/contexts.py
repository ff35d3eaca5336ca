"""From rollouts to a batch with the prompts of every context a method's views may name."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness import seeds
from harness.models import render
from harness.models.forward import Prompts
from harness.models.sampler import RolloutBatch, from_texts
from harness.training.reduce import world
from harness.training.step import Batch, plain_prompts
from harness.training.trainer import Trainer
from harness.training.writers import join, rewards
from harness.types import PLAIN, PRIVILEGED, Completion, Message
from harness.worlds import data


def build_batch(trainer: Trainer, rollouts: RolloutBatch) -> Batch:
    """Rollouts, rewards where the data can verify, and the contexts: plain, privileged, the method's own."""
    written = len(rollouts.finish)
    if any(term.completion is Completion.REFERENCE for term in trainer.method.terms):
        rollouts = with_references(trainer, rollouts)
    reward_B = rewards(trainer, rollouts) if data.verifiable(trainer.data) else None
    ids_PL, mask_PL = trainer.pad(trainer.prompts(rollouts.examples, trainer.data.privilege))
    contexts = {
        PLAIN: plain_prompts(rollouts),
        PRIVILEGED: Prompts(ids_QL=ids_PL, mask_QL=mask_PL, row_of_B=rollouts.prompt_of_B),
    }
    own = trainer.method.contexts(
        [rollouts.examples[p] for p in rollouts.prompt_of_B.tolist()],
        rollouts.responses(trainer.tokenizer),
        None if reward_B is None else reward_B.tolist(),
    )
    for name, turns in own.items():
        contexts[name] = per_rollout(trainer, turns, contexts[PLAIN])
    total = len(rollouts.finish)
    generator = seeds.generator(trainer.spec.seed, f"draw/{world()[0]}", trainer.step)
    return Batch(
        rollouts=rollouts,
        contexts=contexts,
        draw_B=torch.rand(total, generator=generator, dtype=torch.float64),
        reference_B=torch.arange(total) >= written,
        reward_B=reward_B,
    )


def with_references(trainer: Trainer, rollouts: RolloutBatch) -> RolloutBatch:
    """The rollouts, and after them for each the reference response of its prompt."""
    rows = rollouts.prompt_of_B.tolist()
    texts = [data.reference(rollouts.examples[p]) for p in rows]
    prompts = trainer.prompts(rollouts.examples)
    return join(rollouts, from_texts(trainer.tokenizer, rollouts.examples, prompts, texts, rows))


def per_rollout(trainer: Trainer, turns: Sequence[Sequence[Message] | None], plain: Prompts) -> Prompts:
    """A prompt of its own for each rollout; where there is none the plain one stands in and is marked absent."""
    prompts = []
    for own, row in zip(turns, plain.row_of_B.tolist(), strict=True):
        stand_in = plain.ids_QL[row][plain.mask_QL[row]].tolist()
        prompts.append(stand_in if own is None else render.prompt_ids(trainer.tokenizer, own))
    ids_QL, mask_QL = trainer.pad(prompts)
    return Prompts(
        ids_QL=ids_QL,
        mask_QL=mask_QL,
        row_of_B=torch.arange(len(prompts), device=ids_QL.device),
        present_B=torch.tensor([own is not None for own in turns]),
    )
