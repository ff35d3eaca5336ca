"""Benchmarks to scores, each through its engine. Importing this module imports neither torch nor lm-eval."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness import worlds
from harness.evaluation import benchmarks
from harness.evaluation.benchmarks import Decoding, OwnBenchmark, PicturedBenchmark
from harness.evaluation.evaluator import Begin, Job, Score, evaluator, unsaid
from harness.storage.files import jsonl, write_text_atomic
from harness.types import Example, HarnessError
from harness.worlds.privilege import told
from harness.worlds.world import World, graded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader

BATCH_SIZE = 1024
"""Most responses decoded at once. Changes memory; greedy answers only where two tokens tie to the last bit."""
LOGITS = 2**25
"""Most logits alive at once, 128 MiB in float32: where the vocabulary is large, fewer responses are decoded."""
TEMPLATES = Path(__file__).parent / "tasks"
"""Files every exported folder holds unchanged."""


class Evaluation(Protocol):
    """What is wanted: ``harness.suite.Evaluation``, or anything with these fields."""

    @property
    def benchmark(self) -> str:
        """Name among ``harness.evaluation.benchmarks.every()``."""
        ...

    @property
    def decoding(self) -> str:
        """One of the benchmark's."""
        ...

    @property
    def version(self) -> float:
        """The benchmark's version that is meant."""
        ...


def evaluate(
    model: PreTrainedModel,
    reader: Reader,
    evaluations: Sequence[Evaluation],
    *,
    seed: int,
    step: int,
    draw: int | None = None,
    batch_size: int = BATCH_SIZE,
    begin: Begin = unsaid,
) -> list[Score]:
    """Scores of a model in memory: every metric of every evaluation, in order; a repeated one counts once.

    The model comes back in the mode it was in; the random states of Python, NumPy and torch are untouched.
    Sampled responses depend on (seed, step, benchmark, decoding) only.

    Args:
        seed: of the run.
        step: optimiser step of the weights, one for all; an evaluation's own step is not read.
        draw: whose items are asked, of benchmarks whose world has draws.
        begin: told of each benchmark and decoding as it begins.

    Raises:
        HarnessError: unknown benchmark, decoding, version or engine; an own item whose prompt holds privileged text, is
            not one user turn, or does not fit the model.
    """
    jobs = _jobs(evaluations, draw)
    if not jobs:
        return []
    from harness.models.forward import undisturbed, vocabulary_size

    batch_size = max(1, min(batch_size, LOGITS // vocabulary_size(model)))
    found: dict[tuple[str, str], list[Score]] = defaultdict(list)
    with undisturbed(model):
        for asked in by_engine(jobs):
            ask = evaluator(asked[0].benchmark).evaluate
            for score in ask(model, reader, asked, seed=seed, step=step, batch_size=batch_size, begin=begin):
                found[score.benchmark, score.decoding].append(score)
    return [score for job in jobs for score in found[job.benchmark.name, job.decoding]]


def prepare(evaluations: Sequence[Evaluation], draw: int | None = None) -> None:
    """Get the items of every benchmark asked for, so that what is not there is missed before a run is trained.

    Raises:
        HarnessError: unknown benchmark, decoding, version or engine; items that cannot be had.
    """
    for asked in by_engine(_jobs(evaluations, draw)):
        evaluator(asked[0].benchmark).prepare(asked)


def by_engine(jobs: Iterable[Job]) -> list[list[Job]]:
    """Together what one evaluator does, in order."""
    found: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        found[job.benchmark.engine].append(job)
    return list(found.values())


def _jobs(evaluations: Sequence[Evaluation], draw: int | None) -> list[Job]:
    return list(dict.fromkeys(_job(evaluation, draw) for evaluation in evaluations))


def _job(evaluation: Evaluation, draw: int | None) -> Job:
    benchmark = benchmarks.benchmark(evaluation.benchmark, evaluation.version)
    return Job(benchmark=benchmark.in_draw(draw), decoding=benchmarks.decoding(benchmark, evaluation.decoding))


def question(example: Example) -> str:
    """The user turn that is all of x. Raises HarnessError if x is anything else: lm-eval renders one turn."""
    roles = [message["role"] for message in example.messages]
    if roles != ["user"]:
        raise HarnessError(
            f"benchmark item {example.id} has the turns {', '.join(roles)}; an lm-eval task holds one user "
            "turn: fold the others into it"
        )
    content = example.messages[0]["content"]
    if not isinstance(content, str):
        raise HarnessError(f"benchmark item {example.id} holds images, an lm-eval task text alone: ask another engine")
    return content


def check_plain(example: Example, prompt: str) -> None:
    """No p may reach an evaluation. Raises HarnessError if the rendered prompt holds any privileged text."""
    words = " ".join(prompt.split())
    for kind, p in example.privileged.items():
        text = told(p)
        if text.strip() and " ".join(text.split()) in words:
            raise HarnessError(
                f"the evaluation prompt of {example.id} holds its privileged input {str(kind)!r}, {text!r:.60}; it "
                "must show x alone: mend the benchmark's items or the chat template, or, if p says what x says too, "
                "write p with a word that no x has"
            )


def export(out_dir: Path, names: Sequence[str] | None = None) -> list[Path]:
    """Write own benchmarks, by default all of text, as a folder that plain lm-eval runs; returns the files written.

    Those with pictures, which are named, go to its folder ``vlmevalkit``, which plain VLMEvalKit runs, see
    ``harness.evaluation.tsv``.
    One of a world with draws is written once a draw, ``<name>_draw0``.

    Raises:
        HarnessError: unknown benchmark, one that is not ours to write, or one that the folder's scorer would grade
            otherwise than its world does.
    """
    from harness.evaluation import tsv

    own = {name: known for name, known in benchmarks.every().items() if isinstance(known, OwnBenchmark)}
    every = [name for name, known in own.items() if not isinstance(known, PicturedBenchmark)]
    chosen = [_own(name) for name in (every if names is None else names)]
    shown = [benchmark for benchmark in chosen if isinstance(benchmark, PicturedBenchmark)]
    said = [benchmark for benchmark in chosen if not isinstance(benchmark, PicturedBenchmark)]
    return [
        *(_export_tasks(out_dir, said) if said else []),
        *(tsv.export(out_dir / "vlmevalkit", shown) if shown else []),
    ]


def _export_tasks(out_dir: Path, chosen: Sequence[OwnBenchmark]) -> list[Path]:
    out_dir.mkdir(parents=True, exist_ok=True)
    written = [Path(shutil.copy(file, out_dir)) for file in sorted(TEMPLATES.glob("*.*"))]
    for benchmark in (each for own in chosen for each in _in_each_draw(own)):
        items = benchmarks.examples(benchmark)
        texts = {f"{benchmark.name}.jsonl": jsonl([_exported(worlds.world_of(benchmark.data), e) for e in items])}
        for decoding in map(benchmarks.DECODINGS.__getitem__, benchmark.decodings):
            texts[f"{benchmarks.task_name(benchmark, decoding)}.yaml"] = _yaml(benchmark, decoding)
        for name, text in texts.items():
            write_text_atomic(out_dir / name, text)
            written.append(out_dir / name)
    return written


def _own(name: str) -> OwnBenchmark:
    found = benchmarks.benchmark(name)
    if not isinstance(found, OwnBenchmark):
        raise HarnessError(f"benchmark {name} is not ours to export: {found.engine} ships it, ask that one for it")
    return found


def _in_each_draw(benchmark: OwnBenchmark) -> Iterator[OwnBenchmark]:
    for draw in benchmark.draws:
        drawn = benchmark.in_draw(draw)
        yield drawn if draw is None else replace(drawn, name=f"{benchmark.name}_draw{draw}")


def _exported(world: World, example: Example) -> dict[str, Any]:
    check_plain(example, question(example))
    item = {
        "id": example.id,
        "question": question(example),
        "answer": example.answer,
        "trace": graded_words(world, example),
    }
    _check_scorer(world, example, item)
    return item


def _check_scorer(world: World, example: Example, item: dict[str, Any]) -> None:
    """The folder's scorer is plain Python without a world: it must say what the world says of some responses."""
    from harness.evaluation.tasks.utils import grade

    words = (example.trace or "").split()
    swapped = [" ".join([*words[:i], "anything", *words[i + 1 :]]) for i in range(len(words))]
    for response in ["", example.answer, " ".join(words), " ".join(words[:-1]), *swapped]:
        ours, theirs = graded(world, example, response), grade(item, response)
        if (ours.answer, ours.trace) != (bool(theirs["exact_answer"]), bool(theirs["exact_trace"])):
            raise HarnessError(
                f"benchmark item {example.id}: an exported task reads the answer after a last `!` and would grade "
                f"{response!r} otherwise than its world; name the benchmarks to export, without this one"
            )


def graded_words(world: World, example: Example) -> list[str | None]:
    """The reference trace word by word, None where the grader takes any word."""
    assert example.trace is not None
    words = example.trace.split()
    out: list[str | None] = []
    for i, word in enumerate(words):
        changed = " ".join([*words[:i], "anything", *words[i + 1 :]])
        out.append(None if graded(world, example, changed).trace else word)
    return out


def _yaml(benchmark: OwnBenchmark, decoding: Decoding) -> str:
    fields = benchmarks.lm_eval_config(benchmark, decoding) | {
        "dataset_kwargs": {"file": f"{benchmark.name}.jsonl", "items": decoding.items}
    }
    functions = ["custom_dataset: !function utils.docs", "process_results: !function utils.process_results"]
    return "\n".join([*(f"{key}: {json.dumps(value)}" for key, value in fields.items()), *functions, ""])
