"""The engine ``own``: items and grader of a world, lm-eval's aggregation, our sampler. Imported only where used."""

# lm-eval's registry decorator hides the type of HFLM.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportAbstractUsage=false

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM

from harness import seeds
from harness.evaluation.benchmarks import lm_eval_config
from harness.evaluation.evaluate import check_plain, question
from harness.evaluation.evaluator import Begin, Job, Score
from harness.evaluation.items import Items, OwnJob, Responses, own_job, scores
from harness.evaluation.lm_eval import contained
from harness.models import load
from harness.models.prompts import Prompts
from harness.models.reader import check_template
from harness.models.sampler import RolloutBatch, sample
from harness.types import Finish
from harness.worlds import world_of
from harness.worlds.world import graded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader


class OwnItems:
    """The evaluator of ``OwnBenchmark``."""

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Makes the items. Raises HarnessError if the question of one holds privileged text, or is not one turn."""
        for job in jobs:
            for example in own_job(job).examples.values():
                check_plain(example, question(example))

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
            HarnessError: an item whose prompt holds privileged text, is not one user turn, holds a word that the
                tokenizer does not know, or does not fit the model.
        """
        own = [own_job(job) for job in jobs]
        found = run(model, reader, own, seed=seed, step=step, batch_size=batch_size, begin=begin)
        return [score for job in own for score in scores(job, *found[job.name])]


class SamplerLM(HFLM):
    """HFLM on ``harness.models.sampler.sample``: the prompts and the greedy text of HFLM, in less time."""

    def __init__(
        self,
        model: PreTrainedModel,
        reader: Reader,
        jobs: Sequence[OwnJob],
        *,
        seed: int,
        step: int,
        batch_size: int,
        begin: Begin,
    ) -> None:
        super().__init__(pretrained=model, tokenizer=reader.tokenizer, backend="causal", batch_size=batch_size)
        self.reader = reader
        self.jobs = {job.name: job for job in jobs}
        self.seed, self.step = seed, step
        self.begin = begin
        self.finishes: dict[tuple[str, str], list[Finish]] = {}
        """By task and item id, in the order of the samples."""

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Responses in the order of ``requests``; repeats of one request stand side by side.

        Task by task, so that a benchmark's responses do not depend on which others are asked beside it.
        """
        out: list[str] = []
        for name, group in groupby(requests, key=lambda request: request.task_name):
            job = self.jobs[str(name)]
            self.begin(Job(benchmark=job.benchmark, decoding=job.decoding.name))
            items = list(group)[:: job.decoding.samples]
            responses = self._respond(job, {r.doc["id"]: r.args[0] for r in items})
            for item in items:
                found = responses[item.doc["id"]]
                self.finishes[job.name, item.doc["id"]] = [finish for _, finish in found]
                out += [text for text, _ in found]
        return out

    def _respond(self, job: OwnJob, prompts: dict[str, str]) -> Responses:
        """Responses to the rendered prompts, both by item id."""
        examples = [job.examples[item] for item in prompts]
        for example in examples:
            check_plain(example, prompts[example.id])
        load.check_words(self.reader, list(prompts.values()), f"benchmark {job.benchmark.name}")
        ids = self.reader.encode(list(prompts.values()))
        load.check_lengths(self.model, list(map(len, ids)), job.benchmark.max_new_tokens)
        # Prompts of one length need no padding; the sort is stable, so the draws are reproducible.
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        generator = seeds.generator(self.seed, f"evaluation/{job.name}", self.step)
        size = max(1, self.batch_size // job.decoding.samples)
        out: Responses = {}
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = sample(
                self.model,
                self.reader,
                [examples[i] for i in rows],
                Prompts.of_ids([ids[i] for i in rows], self.reader.pad_id),
                rollouts_per_prompt=job.decoding.samples,
                max_new_tokens=job.benchmark.max_new_tokens,
                temperature=job.decoding.temperature,
                generator=generator,
            )
            out |= self._by_item(batch, job.decoding.samples)
        return out

    def _by_item(self, batch: RolloutBatch, samples: int) -> Responses:
        pairs = list(zip(batch.responses(self.reader), batch.finish, strict=True))
        return {e.id: pairs[i * samples : (i + 1) * samples] for i, e in enumerate(batch.examples)}


def run(
    model: PreTrainedModel,
    reader: Reader,
    jobs: Sequence[OwnJob],
    *,
    seed: int,
    step: int,
    batch_size: int,
    begin: Begin,
) -> dict[str, tuple[dict[str, float], Items]]:
    """lm-eval's metrics and the record of every response, by task name."""
    check_template(reader.tokenizer)
    with contained():
        lm = SamplerLM(model, reader, jobs, seed=seed, step=step, batch_size=batch_size, begin=begin)
        tasks = {job.name: _task(job, reader) for job in jobs}
        for task in tasks.values():
            task.records.clear()
        asked: Any = {"tasks": tasks}
        found: Any = evaluate(lm, asked, apply_chat_template=True, bootstrap_iters=0, log_samples=False)
    records = {name: list(task.records) for name, task in tasks.items()}
    for name, items in records.items():
        for item in items:
            item["finish"] = lm.finishes[name, item["id"]][item["sample"]].value
            item["truncated"] = item["finish"] == Finish.LENGTH.value
    values = found["results"]
    names = {job.name: [metric.name for metric in job.benchmark.metrics] for job in jobs}
    return {task: ({m: float(values[task][f"{m},none"]) for m in names[task]}, records[task]) for task in names}


class OwnTask(ConfigurableTask):
    """The lm-eval task of one job, to be asked again and again.

    Its requests are made once: items and chat template are fixed.
    """

    def __init__(self, job: OwnJob) -> None:
        self.records: Items = []
        """Of every response of the last evaluation."""
        self._built = False
        super().__init__(config=_config(job, self.records))

    def build_all_requests(self, **how: Any) -> None:
        """Of the first time, without the answers that were given then."""
        if not self._built:
            super().build_all_requests(**how)
            self._built = True
        for instance in self.instances:
            instance.resps, instance.filtered_resps = [], {}


TASKS: dict[str, OwnTask] = {}
"""Of this process, by a digest of all that their requests depend on."""


def _task(job: OwnJob, reader: Reader) -> OwnTask:
    template = (reader.tokenizer.chat_template, reader.tokenizer.special_tokens_map)
    everything = repr((job.benchmark, job.decoding, template, list(job.examples.values())))
    key = hashlib.sha256(everything.encode()).hexdigest()
    if key not in TASKS:
        TASKS[key] = OwnTask(job)
    return TASKS[key]


def _config(job: OwnJob, items: Items) -> dict[str, Any]:
    """Scoring appends the record of each response to ``items``.

    Plain functions, not methods: lm-eval copies the configuration deeply, and a bound method with its object.
    """

    def docs(**_: Any) -> dict[str, datasets.Dataset]:
        rows = [{"id": e.id, "question": question(e), "answer": e.answer} for e in job.examples.values()]
        return {"test": datasets.Dataset.from_list(rows)}

    world = world_of(job.benchmark.data)

    def process_results(doc: dict[str, Any], results: list[list[str]]) -> dict[str, float]:
        grades = [graded(world, job.examples[doc["id"]], response) for response in results[0]]
        for i, (response, g) in enumerate(zip(results[0], grades, strict=True)):
            fields = {"answer": g.answer, "trace": g.trace, "parsed": g.parsed}
            items.append({"id": doc["id"], "sample": i, "response": response, **fields})
        right = {"exact_answer": [g.answer for g in grades], "exact_trace": [g.trace for g in grades]}
        return {m.name: sum(right[m.name]) / len(grades) for m in job.benchmark.metrics}

    config = lm_eval_config(job.benchmark, job.decoding)
    return config | {"custom_dataset": docs, "process_results": process_results}
