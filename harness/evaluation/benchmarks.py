"""The benchmarks: what is asked and how it is decoded. No torch, so that plans and tables can name them.

The primary metric, fixed before any method was run, is the greedy exact answer (``PRIMARY``).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness.types import Example, HarnessError
from harness.worlds import slots

METRICS = ("exact_answer", "exact_trace")
"""Share of responses with the reference answer; with every graded token of the reference trace."""
PRIMARY = ("greedy", "exact_answer")
"""Decoding and metric every claim is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How responses are drawn."""

    name: str
    samples: int
    """Responses per item; a metric is their mean."""
    temperature: float
    """0 is greedy."""
    items: int | None
    """Only the first so many items; None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One held-out set of problems.

    Example::

        Benchmark(name="embedded_coding", domain="coding", difficulty=(3, 5), split="test")
    """

    name: str
    version: int = 1
    """Bumped when an item, its grading or the length limit changes; part of every row."""
    domain: str
    difficulty: tuple[int, int]
    """Smallest and largest number of steps, inclusive."""
    split: str
    """test, or validation for tuning."""
    n: int = 400
    """Items."""
    max_new_tokens: int = slots.MAX_RESPONSE_TOKENS + 1
    """One more than the longest right response: what is cut there was wrong already."""


DECODINGS = {
    "greedy": Decoding(name="greedy", samples=1, temperature=0.0, items=None),
    "sample4": Decoding(name="sample4", samples=4, temperature=1.0, items=200),
}


def _benchmarks() -> dict[str, Benchmark]:
    kinds = (
        ("", slots.TRAIN_DIFFICULTY, "test"),
        ("_hard", slots.HARD_DIFFICULTY, "test"),
        ("_validation", slots.TRAIN_DIFFICULTY, "validation"),
    )
    made = [
        Benchmark(name=f"embedded_{domain}{suffix}", domain=domain, difficulty=difficulty, split=split)
        for suffix, difficulty, split in kinds
        for domain in slots.DOMAINS
    ]
    return {benchmark.name: benchmark for benchmark in made}


BENCHMARKS: dict[str, Benchmark] = _benchmarks()
"""By name: ``embedded_<domain>``, the harder ``..._hard``, and ``..._validation`` for tuning only."""


def benchmark(name: str, version: int | None = None) -> Benchmark:
    """The benchmark of that name; of any version unless one is meant.

    Raises:
        HarnessError: an unknown one, near names offered; another version.
    """
    if name not in BENCHMARKS:
        raise HarnessError(f"no benchmark {name!r}; {_near(name, BENCHMARKS)}")
    found = BENCHMARKS[name]
    if version not in (None, found.version):
        raise HarnessError(
            f"benchmark {name} version {version} is not in this package, version {found.version} is: ask for that one, "
            "or install the package that measured the other"
        )
    return found


def benchmark_version(name: str) -> int:
    """Of a benchmark; 1 for those this package only knows by name."""
    return BENCHMARKS[name].version if name in BENCHMARKS else 1


def decoding(name: str) -> Decoding:
    """The decoding of that name. Raises HarnessError for an unknown one."""
    if name not in DECODINGS:
        raise HarnessError(f"no decoding {name!r}; {_near(name, DECODINGS)}")
    return DECODINGS[name]


def _near(name: str, known: dict[str, Benchmark] | dict[str, Decoding]) -> str:
    near = difflib.get_close_matches(name, known)
    return f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"


def task_name(benchmark: Benchmark, decoding: Decoding) -> str:
    """Name of the lm-eval task: the benchmark's own for greedy, with the decoding appended for others."""
    return benchmark.name if decoding.name == "greedy" else f"{benchmark.name}_{decoding.name}"


@cache
def examples(benchmark: Benchmark) -> tuple[Example, ...]:
    """The items, in order."""
    numbers = range(benchmark.n)
    return tuple(slots.example(benchmark.domain, benchmark.split, i, benchmark.difficulty) for i in numbers)


def lm_eval_config(benchmark: Benchmark, decoding: Decoding) -> dict[str, Any]:
    """The lm-eval task, its data and scorer left out: one text for the task in memory and the exported one.

    A document has at least the fields ``id``, ``question`` (the user turn) and ``answer``.
    """
    generation: dict[str, Any] = {"until": [], "max_gen_toks": benchmark.max_new_tokens, "do_sample": False}
    if decoding.temperature > 0:
        # Without the last two, transformers keeps only the 50 most probable tokens.
        generation |= {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": 1.0}
    return {
        "task": task_name(benchmark, decoding),
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "question",
        "doc_to_target": "answer",
        "generation_kwargs": generation,
        "repeats": decoding.samples,
        # lm-eval's default filter keeps the first response only.
        "filter_list": [{"name": "none", "filter": [{"function": "take_first_k", "k": decoding.samples}]}],
        "metric_list": [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in METRICS],
        "num_fewshot": 0,
        "metadata": {"version": benchmark.version},
    }
