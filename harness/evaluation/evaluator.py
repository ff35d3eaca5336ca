"""Who asks and grades: one evaluator per engine, found by name in ``EVALUATORS``. Importing this imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from harness.evaluation.benchmarks import Benchmark, near
from harness.types import HarnessError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader

EVALUATORS = {
    "own": "harness.evaluation.own:OwnItems",
    "pictured": "harness.evaluation.pictured:PicturedItems",
    "lm_eval": "harness.evaluation.lm_eval:NativeTasks",
    "vlmeval": "harness.evaluation.vlm_eval:KitDataSets",
}
"""By engine: ``module:Class`` of an ``Evaluator``, built without arguments, imported on use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of one benchmark. Field names are those of ``harness.types.Row``."""

    benchmark: str
    version: float
    decoding: str
    metric: str
    value: float
    """In [0, 1] unless the benchmark says another unit; a response without an answer scores 0."""
    n: int
    """Items scored."""
    errors: int
    """Responses, of n times the decoding's samples, in which no answer was found: neither right nor wrong."""
    truncations: int
    """Responses cut at the length limit, with an answer or without."""
    items: list[dict[str, Any]]
    """A record per response, shared by the metrics of one benchmark: ``id``, ``sample``, ``response``, ``answer``
    (whether the primary metric is right, null of all where it is a grade), and what else the engine knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One benchmark with one of its decodings."""

    benchmark: Benchmark
    decoding: str


Begin = Callable[[Job], None]
"""Called by an evaluator as it begins a job, so that whoever waits is told."""


def unsaid(*_: object) -> None:
    """Where nobody waits."""


class Evaluator(Protocol):
    """Benchmarks of one engine to scores."""

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Get the items, so that what is not there is missed before a run is trained.

        Raises:
            HarnessError: items that cannot be had.
        """
        ...

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
        """Every metric of every job, in order. The caller restores mode and random states.

        Raises:
            HarnessError: items that cannot be had, graded or read by the model.
        """
        ...


def check(benchmark: Benchmark) -> None:
    """Refuse before compute, without torch, what cannot be evaluated.

    Raises:
        HarnessError: no evaluator has the benchmark's engine, or the benchmark's own check fails.
    """
    _target(benchmark)
    benchmark.check()


def evaluator(benchmark: Benchmark) -> Evaluator:
    """Of the benchmark's engine. Raises HarnessError if there is none."""
    module, _, name = _target(benchmark).partition(":")
    return getattr(importlib.import_module(module), name)()


def _target(benchmark: Benchmark) -> str:
    if benchmark.engine not in EVALUATORS:
        raise HarnessError(
            f"benchmark {benchmark.name}: no evaluator for engine {benchmark.engine!r}; "
            f"{near(benchmark.engine, EVALUATORS)}"
        )
    return EVALUATORS[benchmark.engine]
