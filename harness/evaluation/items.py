"""The items of an own benchmark under one decoding, and what the scores of all its responses are made of. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.evaluation import benchmarks
from harness.evaluation.benchmarks import DECODINGS, Decoding, OwnBenchmark
from harness.evaluation.evaluator import Job, Score
from harness.types import Example, Finish

Items = list[dict[str, Any]]
Responses = dict[str, list[tuple[str, Finish]]]
"""By item id: every response and why it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnJob:
    """One own benchmark with one decoding, its items by id."""

    benchmark: OwnBenchmark
    decoding: Decoding
    examples: dict[str, Example]

    @property
    def name(self) -> str:
        """Of the lm-eval task."""
        return benchmarks.task_name(self.benchmark, self.decoding)


def own_job(job: Job) -> OwnJob:
    """With its items."""
    assert isinstance(job.benchmark, OwnBenchmark)
    decoding = DECODINGS[job.decoding]
    items = benchmarks.examples(job.benchmark)[: decoding.items]
    return OwnJob(benchmark=job.benchmark, decoding=decoding, examples={e.id: e for e in items})


def scores(job: OwnJob, values: dict[str, float], items: Items) -> list[Score]:
    """One of each metric."""
    return [
        Score(
            benchmark=job.benchmark.name,
            version=job.benchmark.version,
            decoding=job.decoding.name,
            metric=metric.name,
            value=values[metric.name],
            n=len(job.examples),
            errors=sum(not item["parsed"] for item in items),
            truncations=sum(item["truncated"] for item in items),
            items=items,
        )
        for metric in job.benchmark.metrics
    ]
