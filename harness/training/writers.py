"""Who writes the responses of a batch: student, teacher or data. Deterministic given (seed, step)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from harness import seeds
from harness.config import RunSpec
from harness.method import Method
from harness.models import load
from harness.models.prompts import render
from harness.models.reader import Reader
from harness.models.sampler import RolloutBatch, from_texts, sample
from harness.training.reduce import world as ranks
from harness.types import Example, Finish, Policy, Privilege, Source
from harness.worlds.world import HasReferences, World, require

VERIFIED_TRIES = 4
"""Times a teacher is asked again for the responses the grader refused."""


def write_rollouts(
    method: Method,
    policies: Mapping[Policy, PreTrainedModel],
    reader: Reader,
    world: World,
    training_set: Sequence[Example],
    *,
    spec: RunSpec,
    step: int,
) -> RolloutBatch:
    """Responses of this step, from the source the method samples; the prompts returned are always the plain ones."""
    source = draw_source(method, seeds.generator(spec.seed, "source", step))
    # As many responses from the data, one a prompt, as others write, so that tokens compare.
    count = spec.prompts_per_step * (spec.rollouts_per_prompt if source is Source.DATASET else 1)
    examples = batch_examples(training_set, count, seed=spec.seed, step=step)
    student, teacher = policies[Policy.STUDENT], policies[Policy.TEACHER]
    match source:
        case Source.STUDENT:
            return sampled(student, reader, examples, spec=spec, step=step)()
        case Source.PRIVILEGED_STUDENT:
            assert spec.data is not None
            batch = sampled(student, reader, examples, spec.data.privilege, spec=spec, step=step)()
            return plain_context(reader, batch)
        case Source.TEACHER:
            return sampled(teacher, reader, examples, spec=spec, step=step)()
        case Source.VERIFIED_TEACHER:
            return verified(world, reader, sampled(teacher, reader, examples, spec=spec, step=step))
        case Source.DATASET:
            prompts = render(reader, examples, device=student.device)
            return from_texts(reader, examples, prompts, references(world, examples))


def draw_source(method: Method, generator: torch.Generator) -> Source:
    """The writer of this batch, by the method's probabilities."""
    sources = list(method.sampling)
    weights = torch.tensor([method.sampling[s] for s in sources])
    return sources[int(torch.multinomial(weights, 1, generator=generator))]


def batch_examples(training_set: Sequence[Example], count: int, *, seed: int, step: int) -> list[Example]:
    """This rank's prompts of a step: epochs over the training set, each in its own random order."""
    rank, size = ranks()
    n, first = len(training_set), step * count * size
    places = [divmod(position, n) for position in range(first + rank, first + count * size, size)]
    orders = {epoch: epoch_order(n, seed, epoch) for epoch in {epoch for epoch, _ in places}}
    return [training_set[int(orders[epoch][place])] for epoch, place in places]


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """A permutation of a training set of ``n``, int64 [n]."""
    return torch.randperm(n, generator=seeds.generator(seed, "order", epoch))


def sampled(
    model: PreTrainedModel,
    reader: Reader,
    examples: Sequence[Example],
    kind: str = Privilege.NONE,
    *,
    spec: RunSpec,
    step: int,
) -> Callable[[], RolloutBatch]:
    """A sampler of these prompts, with p of ``kind``; every call goes on in the same random stream."""
    generator = seeds.generator(spec.seed, f"rollout/{ranks()[0]}", step)
    prompts = render(reader, examples, kind, device=model.device)
    load.check_lengths(model, prompts.lengths, spec.max_response_tokens)

    def draw() -> RolloutBatch:
        return sample(
            model,
            reader,
            examples,
            prompts,
            rollouts_per_prompt=spec.rollouts_per_prompt,
            max_new_tokens=spec.max_response_tokens,
            temperature=spec.temperature,
            top_p=spec.top_p,
            generator=generator,
        )

    return draw


def plain_context(reader: Reader, batch: RolloutBatch) -> RolloutBatch:
    """The same responses after the prompts without p."""
    plain = render(reader, batch.examples, device=batch.response_ids_BT.device)
    return dataclasses.replace(batch, prompts=plain.continued_by(batch.prompt_of_B))


def verified(world: World, reader: Reader, draw: Callable[[], RolloutBatch]) -> RolloutBatch:
    """Each response the grader refuses is replaced by a later draw it accepts, if one comes in time."""

    def accepted(written: RolloutBatch) -> Tensor:
        reward_B = rewards(world, written, written.responses(reader))
        assert reward_B is not None, "checked before the run"
        return reward_B > 0

    batch = draw()
    for _ in range(VERIFIED_TRIES):
        wrong_B = ~accepted(batch)
        if not bool(wrong_B.any()):
            break
        again = draw()
        batch = replace_rows(batch, again, wrong_B & accepted(again))
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
        prompts=batch.prompts.continued_by(torch.cat([batch.prompt_of_B, other.prompt_of_B])),
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
        prompts=batch.prompts.continued_by(batch.prompt_of_B[index]),
        response_ids_BT=batch.response_ids_BT[index],
        mask_BT=batch.mask_BT[index],
        logp_BT=batch.logp_BT[index],
        finish=tuple(batch.finish[row] for row in rows.tolist()),
    )


def references(world: World, examples: Sequence[Example]) -> list[str]:
    """The response to imitate of each example; raises HarnessError if the world has none."""
    return list(map(require(world, HasReferences, "a reference response").reference, examples))


def rewards(world: World, batch: RolloutBatch, texts: Sequence[str]) -> Tensor | None:
    """float32 [B] on the CPU: 1 where the grader accepts the answer; None where the world cannot verify.

    ``texts`` are the decoded responses.
    """
    pairs = zip(batch.prompt_of_B.tolist(), texts, strict=True)
    grades = [world.grade(batch.examples[p], text) for p, text in pairs]
    return None if None in grades else torch.tensor([g is not None and g.answer for g in grades], dtype=torch.float32)


def truncation_rate(batch: RolloutBatch) -> float:
    """Share of rollouts cut at the length limit."""
    return sum(f is Finish.LENGTH for f in batch.finish) / len(batch.finish)
