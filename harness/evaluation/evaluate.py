"""Benchmarks to scores, through lm-eval. Importing this module imports neither torch nor lm-eval."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.evaluation import benchmarks
from harness.evaluation.benchmarks import METRICS, Benchmark, Decoding
from harness.storage.files import jsonl, write_text_atomic
from harness.types import Example, HarnessError
from harness.worlds import data

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BATCH_SIZE = 256
"""Responses decoded at once. Changes memory; greedy answers only where two tokens tie to the last bit."""
TEMPLATES = Path(__file__).parent / "tasks"
"""Files every exported folder holds unchanged."""


class Evaluation(Protocol):
    """What is wanted: ``harness.suite.Evaluation``, or anything with these fields."""

    @property
    def benchmark(self) -> str:
        """Name in ``harness.evaluation.benchmarks.BENCHMARKS``."""
        ...

    @property
    def decoding(self) -> str:
        """Name in ``harness.evaluation.benchmarks.DECODINGS``."""
        ...

    @property
    def version(self) -> int:
        """The benchmark's version that is meant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of one benchmark. Field names are those of ``harness.types.Row``."""

    benchmark: str
    version: int
    decoding: str
    metric: str
    value: float
    """In [0, 1]; a response without an answer scores 0."""
    n: int
    """Items scored."""
    errors: int
    """Responses, of n times the decoding's samples, in which no answer was found: neither right nor wrong."""
    truncations: int
    """Responses cut at the length limit, with an answer or without."""
    items: list[dict[str, Any]]
    """A record per response: id, sample, response, answer, trace, parsed, truncated, finish. Shared by the
    metrics of one benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One benchmark with one decoding, its items by id."""

    benchmark: Benchmark
    decoding: Decoding
    examples: dict[str, Example]

    @property
    def name(self) -> str:
        """Of the lm-eval task."""
        return benchmarks.task_name(self.benchmark, self.decoding)


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    evaluations: Sequence[Evaluation],
    *,
    seed: int,
    step: int,
    batch_size: int = BATCH_SIZE,
) -> list[Score]:
    """Scores of a model in memory: every metric of every evaluation, in order; a repeated one counts once.

    The model comes back in the mode it was in; the random states of Python, NumPy and torch are untouched.
    Sampled responses depend on (seed, step, benchmark, decoding) only.

    Args:
        seed: of the run.
        step: optimiser step of the weights, one for all; an evaluation's own step is not read.

    Raises:
        HarnessError: unknown benchmark, decoding or version; an item whose prompt holds privileged text, is
            not one user turn, or does not fit the model.
    """
    jobs = {job.name: job for job in map(_job, evaluations)}
    if not jobs:
        return []
    from harness.evaluation import lm_eval
    from harness.models.forward import undisturbed

    with undisturbed(model):
        found = lm_eval.run(model, tokenizer, list(jobs.values()), seed=seed, step=step, batch_size=batch_size)
    return [score for name, job in jobs.items() for score in _scores(job, *found[name])]


def _job(evaluation: Evaluation) -> Job:
    benchmark = benchmarks.benchmark(evaluation.benchmark, evaluation.version)
    decoding = benchmarks.decoding(evaluation.decoding)
    items = benchmarks.examples(benchmark)[: decoding.items]
    return Job(benchmark=benchmark, decoding=decoding, examples={e.id: e for e in items})


def _scores(job: Job, values: dict[str, float], items: list[dict[str, Any]]) -> list[Score]:
    return [
        Score(
            benchmark=job.benchmark.name,
            version=job.benchmark.version,
            decoding=job.decoding.name,
            metric=metric,
            value=values[metric],
            n=len(job.examples),
            errors=sum(not item["parsed"] for item in items),
            truncations=sum(item["truncated"] for item in items),
            items=items,
        )
        for metric in METRICS
    ]


def question(example: Example) -> str:
    """The user turn that is all of x. Raises HarnessError if x is anything else: lm-eval renders one turn."""
    roles = [message["role"] for message in example.messages]
    if roles != ["user"]:
        raise HarnessError(
            f"benchmark item {example.id} has the turns {', '.join(roles)}; an lm-eval task holds one user "
            "turn: fold the others into it"
        )
    return example.messages[0]["content"]


def check_plain(example: Example, prompt: str) -> None:
    """No p may reach an evaluation. Raises HarnessError if the rendered prompt holds any privileged text."""
    words = " ".join(prompt.split())
    for kind, text in example.privileged.items():
        if text.strip() and " ".join(text.split()) in words:
            raise HarnessError(
                f"the evaluation prompt of {example.id} holds its privileged input {kind.value!r}; it must "
                "show x alone: mend the benchmark's items or the chat template"
            )


def export(out_dir: Path, names: Sequence[str] = tuple(benchmarks.BENCHMARKS)) -> list[Path]:
    """Write benchmarks as a folder that plain lm-eval runs, without this package; returns the files written.

    Raises:
        HarnessError: unknown benchmark.
    """
    chosen = [benchmarks.benchmark(name) for name in names]
    out_dir.mkdir(parents=True, exist_ok=True)
    written = [Path(shutil.copy(file, out_dir)) for file in sorted(TEMPLATES.glob("*.*"))]
    for benchmark in chosen:
        items = benchmarks.examples(benchmark)
        texts = {f"{benchmark.name}.jsonl": jsonl([_exported(e) for e in items])}
        for decoding in benchmarks.DECODINGS.values():
            texts[f"{benchmarks.task_name(benchmark, decoding)}.yaml"] = _yaml(benchmark, decoding)
        for name, text in texts.items():
            write_text_atomic(out_dir / name, text)
            written.append(out_dir / name)
    return written


def _exported(example: Example) -> dict[str, Any]:
    check_plain(example, question(example))
    return {
        "id": example.id,
        "question": question(example),
        "answer": example.answer,
        "trace": graded_words(example),
    }


def graded_words(example: Example) -> list[str | None]:
    """The reference trace word by word, None where the grader takes any word."""
    assert example.trace is not None
    words = example.trace.split()
    out: list[str | None] = []
    for i, word in enumerate(words):
        changed = " ".join([*words[:i], "anything", *words[i + 1 :]])
        out.append(None if data.grade(example, changed).trace else word)
    return out


def _yaml(benchmark: Benchmark, decoding: Decoding) -> str:
    fields = benchmarks.lm_eval_config(benchmark, decoding) | {
        "dataset_kwargs": {"file": f"{benchmark.name}.jsonl", "items": decoding.items}
    }
    functions = ["custom_dataset: !function utils.docs", "process_results: !function utils.process_results"]
    return "\n".join([*(f"{key}: {json.dumps(value)}" for key, value in fields.items()), *functions, ""])
