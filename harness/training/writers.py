"""Who writes the responses of a batch: student, teacher or data. Deterministic given (seed, step)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness import seeds
from harness.method import Method
from harness.models.sampler import RolloutBatch, from_texts, sample
from harness.training.reduce import world
from harness.training.trainer import Trainer
from harness.types import Example, Finish, Policy, Privilege, Source
from harness.worlds import data

VERIFIED_TRIES = 4
"""Times a teacher is asked again for the responses the grader refused."""


def write_rollouts(trainer: Trainer) -> RolloutBatch:
    """Responses of this step, from the source the method samples; prompts are always the plain ones."""
    source = draw_source(trainer.method, seeds.generator(trainer.spec.seed, "source", trainer.step))
    match source:
        case Source.STUDENT:
            return sampled(trainer, Policy.STUDENT)()
        case Source.PRIVILEGED_STUDENT:
            return plain_context(trainer, sampled(trainer, Policy.STUDENT, trainer.data.privilege)())
        case Source.TEACHER:
            return sampled(trainer, Policy.TEACHER)()
        case Source.VERIFIED_TEACHER:
            return verified(trainer, sampled(trainer, Policy.TEACHER))
        case Source.DATASET:
            return dataset_rollouts(trainer)


def draw_source(method: Method, generator: torch.Generator) -> Source:
    """The writer of this batch, by the method's probabilities."""
    sources = list(method.sampling)
    weights = torch.tensor([method.sampling[s] for s in sources])
    return sources[int(torch.multinomial(weights, 1, generator=generator))]


def batch_examples(trainer: Trainer, count: int) -> list[Example]:
    """This rank's prompts of the current step: epochs over the training set, each in its own random order."""
    rank, size = world()
    n, first = len(trainer.examples), trainer.step * count * size
    places = [divmod(position, n) for position in range(first + rank, first + count * size, size)]
    orders = {epoch: epoch_order(trainer, epoch) for epoch in {epoch for epoch, _ in places}}
    return [trainer.examples[int(orders[epoch][place])] for epoch, place in places]


def epoch_order(trainer: Trainer, epoch: int) -> Tensor:
    """A permutation of the training set, int64 [n]."""
    generator = seeds.generator(trainer.spec.seed, "order", epoch)
    return torch.randperm(len(trainer.examples), generator=generator)


def sampled(trainer: Trainer, policy: Policy, kind: Privilege = Privilege.NONE) -> Callable[[], RolloutBatch]:
    """A sampler of this step's prompts; every call goes on in the same random stream."""
    spec = trainer.spec
    generator = seeds.generator(spec.seed, f"rollout/{world()[0]}", trainer.step)
    examples = batch_examples(trainer, spec.prompts_per_step)
    prompts = trainer.prompts(examples, kind)

    def draw() -> RolloutBatch:
        return sample(
            trainer.policies[policy],
            trainer.tokenizer,
            examples,
            prompts,
            rollouts_per_prompt=spec.rollouts_per_prompt,
            max_new_tokens=spec.max_response_tokens,
            temperature=spec.temperature,
            top_p=spec.top_p,
            generator=generator,
        )

    return draw


def dataset_rollouts(trainer: Trainer) -> RolloutBatch:
    """Reference traces, one a prompt; as many prompts as another source has rollouts, so tokens compare."""
    spec = trainer.spec
    examples = batch_examples(trainer, spec.prompts_per_step * spec.rollouts_per_prompt)
    texts = [data.reference(example) for example in examples]
    rows = list(range(len(examples)))
    return from_texts(trainer.tokenizer, examples, trainer.prompts(examples), texts, rows)


def verified(trainer: Trainer, draw: Callable[[], RolloutBatch]) -> RolloutBatch:
    """Each response the grader refuses is replaced by a later draw it accepts, if one comes in time."""
    batch = draw()
    for _ in range(VERIFIED_TRIES):
        wrong_B = rewards(trainer, batch) == 0
        if not bool(wrong_B.any()):
            break
        again = draw()
        batch = replace_rows(batch, again, wrong_B & (rewards(trainer, again) > 0))
    return batch


def replace_rows(batch: RolloutBatch, other: RolloutBatch, taken_B: Tensor) -> RolloutBatch:
    """Rollouts of ``other`` where ``taken_B`` (bool [B]) is True; both answer the same prompts row by row."""
    rows = torch.arange(len(taken_B)) + taken_B.cpu() * len(taken_B)
    return select(join(batch, other), rows)


def join(batch: RolloutBatch, other: RolloutBatch) -> RolloutBatch:
    """The rollouts of both, one after the other; both answer the same prompts."""
    width = max(batch.mask_BT.shape[1], other.mask_BT.shape[1])

    def stack(a_BT: Tensor, b_BT: Tensor) -> Tensor:
        return torch.cat([pad(t, (0, width - t.shape[1])) for t in (a_BT, b_BT)])

    return dataclasses.replace(
        batch,
        prompt_of_B=torch.cat([batch.prompt_of_B, other.prompt_of_B]),
        response_ids_BT=stack(batch.response_ids_BT, other.response_ids_BT),
        mask_BT=stack(batch.mask_BT, other.mask_BT),
        logp_BT=stack(batch.logp_BT, other.logp_BT),
        finish=batch.finish + other.finish,
    )


def select(batch: RolloutBatch, rows: Tensor) -> RolloutBatch:
    """The rollouts of these rows (int64), in this order. Prompts are kept, so group numbers do not change."""
    index = rows.to(batch.response_ids_BT.device)
    return dataclasses.replace(
        batch,
        prompt_of_B=batch.prompt_of_B[index],
        response_ids_BT=batch.response_ids_BT[index],
        mask_BT=batch.mask_BT[index],
        logp_BT=batch.logp_BT[index],
        finish=tuple(batch.finish[row] for row in rows.tolist()),
    )


def plain_context(trainer: Trainer, batch: RolloutBatch) -> RolloutBatch:
    """The same responses after the prompts without p."""
    ids_PL, mask_PL = trainer.pad(trainer.prompts(batch.examples))
    return dataclasses.replace(batch, prompt_ids_PL=ids_PL, prompt_mask_PL=mask_PL)


def rewards(trainer: Trainer, batch: RolloutBatch) -> Tensor:
    """float32 [B] on the CPU: 1 where the grader accepts the answer."""
    texts = batch.responses(trainer.tokenizer)
    prompts = batch.prompt_of_B.tolist()
    accepted = [data.grade(batch.examples[p], text).answer for p, text in zip(prompts, texts, strict=True)]
    return torch.tensor(accepted, dtype=torch.float32)


def truncation_rate(batch: RolloutBatch) -> float:
    """Share of rollouts cut at the length limit."""
    return sum(f is Finish.LENGTH for f in batch.finish) / len(batch.finish)
