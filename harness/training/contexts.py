"""From rollouts to a batch with the prompts of every context a method's views may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from harness import seeds
from harness.method import Method, contexts_read
from harness.models.prompts import Prompts, render
from harness.models.reader import Reader
from harness.models.sampler import RolloutBatch, from_texts
from harness.training.reduce import world as ranks
from harness.training.step import Batch
from harness.training.writers import join, references, rewards
from harness.types import PLAIN, PRIVILEGED, Alone, Completion, Example, FirstHalf, Message, Pictures, Shown
from harness.worlds import privilege
from harness.worlds.world import World


def build_batch(
    method: Method, reader: Reader, world: World, rollouts: RolloutBatch, kind: str, *, seed: int, step: int
) -> Batch:
    """Rollouts, rewards where the world can verify, and the contexts: plain, with p of ``kind`` if a view reads it, the
    method's own."""
    written, device = len(rollouts.finish), rollouts.response_ids_BT.device
    if any(term.completion is Completion.REFERENCE for term in method.terms):
        rollouts = with_references(reader, world, rollouts)
    responses = rollouts.responses(reader)
    reward_B = rewards(world, rollouts, responses)
    contexts = {PLAIN: rollouts.prompts}
    if PRIVILEGED in contexts_read(method):  # a template may have no place for p
        told = render(reader, rollouts.examples, kind, device=device)
        contexts[PRIVILEGED] = told.continued_by(rollouts.prompt_of_B)
    examples = [rollouts.examples[p] for p in rollouts.prompt_of_B.tolist()]
    own = method.contexts(examples, responses, None if reward_B is None else reward_B.tolist())
    for name, shown in own.items():
        contexts[name] = per_rollout(reader, world, examples, shown, kind).to(device)
    total = len(rollouts.finish)
    generator = seeds.generator(seed, f"draw/{ranks()[0]}", step)
    return Batch(
        rollouts=rollouts,
        contexts=contexts,
        draw_B=torch.rand(total, generator=generator, dtype=torch.float64),
        reference_B=torch.arange(total) >= written,
        reward_B=reward_B,
    )


def with_references(reader: Reader, world: World, rollouts: RolloutBatch) -> RolloutBatch:
    """The rollouts, and after them for each the reference response of its prompt."""
    texts = references(world, rollouts.examples)
    beside = [texts[p] for p in rollouts.prompt_of_B.tolist()]
    return join(rollouts, from_texts(reader, rollouts.examples, rollouts.prompts, beside))


SHARED = (Pictures, FirstHalf, Alone)
"""What is the same for every rollout of a problem."""


def per_rollout(
    reader: Reader, world: World, examples: Sequence[Example], shown: Sequence[Shown | None], kind: str
) -> Prompts:
    """A prompt of its own for each rollout; where there is none the plain one stands in and is marked absent.

    Rollouts of one problem that are shown the same pictures, or p of ``kind`` in the same part, share a prompt, so that
    it is made and read once.
    """
    keys = [
        (example.id, what) if isinstance(what, SHARED) else place
        for place, (example, what) in enumerate(zip(examples, shown, strict=True))
    ]
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    rows = {place: row for row, place in enumerate(sorted(first.values()))}
    turns = [_turns(examples[place], shown[place], world, kind) for place in rows]
    prompts = reader.prompts(turns).continued_by(torch.tensor([rows[first[key]] for key in keys]))
    return replace(prompts, present_B=torch.tensor([what is not None for what in shown]))


def _turns(example: Example, what: Shown | None, world: World, kind: str) -> tuple[Message, ...]:
    return example.messages if what is None else privilege.shown(example, what, world, kind)
