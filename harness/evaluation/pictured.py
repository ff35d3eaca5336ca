"""The engine ``pictured``: own items with pictures, grader of their world, our sampler; needs no VLMEvalKit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness import seeds
from harness.evaluation.evaluate import check_plain
from harness.evaluation.evaluator import Begin, Job, Score
from harness.evaluation.items import Items, OwnJob, Responses, own_job, scores
from harness.models import load
from harness.models.prompts import render
from harness.models.sampler import sample
from harness.types import Example, Finish, text_of
from harness.worlds import world_of
from harness.worlds.world import graded

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from harness.models.reader import Reader

GRADED = {"exact_answer": "answer", "exact_trace": "trace"}
"""The key of each metric in an item's record."""


class PicturedItems:
    """The evaluator of ``PicturedBenchmark``."""

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Makes the items. Raises HarnessError if one shows privileged text."""
        for job in jobs:
            for example in own_job(job).examples.values():
                check_plain(example, _text(example))

    def evaluate(
        self,
        model: PreTrainedModel,
        reader: Reader,
        jobs: Sequence[Job],
        *,
        seed: int,
        step: int,
        batch_size: int,
        begin: Begin,
    ) -> list[Score]:
        """See ``harness.evaluation.evaluator.Evaluator``. Draws depend on (seed, step, benchmark, decoding) only.

        Raises:
            HarnessError: an item whose prompt holds privileged text or a word that the tokenizer does not know, does
                not fit the model, or holds a picture that cannot be read.
        """
        found: list[Score] = []
        for job in jobs:
            begin(job)
            own = own_job(job)
            responses = respond(
                model,
                reader,
                list(own.examples.values()),
                whose=f"benchmark {own.benchmark.name}",
                samples=own.decoding.samples,
                temperature=own.decoding.temperature,
                max_new_tokens=own.benchmark.max_new_tokens,
                generator=seeds.generator(seed, f"evaluation/{own.name}", step),
                batch_size=batch_size,
            )
            items = _records(own, responses)
            found += scores(own, {name: _share(items, name) for name in GRADED}, items)
        return found


def respond(
    model: PreTrainedModel,
    reader: Reader,
    examples: Sequence[Example],
    *,
    whose: str,
    samples: int,
    temperature: float,
    max_new_tokens: int,
    generator: torch.Generator,
    batch_size: int,
) -> Responses:
    """Responses to each, ``batch_size`` of them at once.

    Raises:
        HarnessError: as ``PicturedItems.evaluate``; ``whose`` questions these are is said.
    """
    load.check_words(reader, [_text(example) for example in examples], whose)
    out: Responses = {}
    size = max(1, batch_size // samples)
    for start in range(0, len(examples), size):
        some = examples[start : start + size]
        prompts = render(reader, some)
        for example, ids, mask in zip(some, prompts.ids_QL, prompts.mask_QL, strict=True):
            check_plain(example, reader.decode([ids[mask].tolist()])[0])
        load.check_lengths(model, prompts.lengths, max_new_tokens)
        batch = sample(
            model,
            reader,
            some,
            prompts,
            rollouts_per_prompt=samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            generator=generator,
        )
        pairs = list(zip(batch.responses(reader), batch.finish, strict=True))
        out |= {example.id: pairs[i * samples : (i + 1) * samples] for i, example in enumerate(some)}
    return out


def _text(example: Example) -> str:
    return " ".join(map(text_of, example.messages))


def _records(job: OwnJob, responses: Responses) -> Items:
    world, items = world_of(job.benchmark.data), list[dict[str, object]]()
    for name, example in job.examples.items():
        for i, (response, finish) in enumerate(responses[name]):
            grade = graded(world, example, response)
            items.append(
                {
                    "id": name,
                    "sample": i,
                    "response": response,
                    "answer": grade.answer,
                    "trace": grade.trace,
                    "parsed": grade.parsed,
                    "finish": finish.value,
                    "truncated": finish is Finish.LENGTH,
                }
            )
    return items


def _share(items: Items, metric: str) -> float:
    return sum(item[GRADED[metric]] for item in items) / len(items)
