"""The engine ``lm_eval``: tasks that lm-eval ships, on the model in memory. Import it only where it is used."""

# lm-eval's registry decorator hides the type of HFLM.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportAbstractUsage=false

from __future__ import annotations

import json
import logging
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import lm_eval.api.task
import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.tasks import TaskManager
from lm_eval.utils import handle_non_serializable

from harness import seeds
from harness.evaluation import shipped
from harness.evaluation.benchmarks import NATIVE, LmEvalBenchmark, near
from harness.evaluation.evaluator import Begin, Job, Score
from harness.types import HarnessError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.models.reader import Reader

FEWSHOT_SEED = 1234
"""lm-eval's own, so that the examples in a prompt are those of its command line."""
NOT_FOUND = "[invalid]"
"""What lm-eval's filters make of a response in which they find no answer."""


class NativeLM(HFLM):
    """HFLM that refuses a prompt it would cut, and knows which responses were cut."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, benchmark: LmEvalBenchmark) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=benchmark.batch_size)
        self.benchmark = benchmark
        self.cut: dict[str, list[bool]] = {}
        """By prompt: whether each response to it ran to the length limit."""
        self._prompts: Sequence[str] = ()

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Raises HarnessError for a prompt with its continuation that does not fit."""
        for request in requests:
            self._check_length("".join(request.args), room=0)
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Raises HarnessError for a prompt that does not fit beside its response."""
        for request in requests:
            arguments: Any = request.args
            prompt, stated = arguments
            settings: Any = normalize_gen_kwargs(dict(stated), self.max_gen_toks)
            self._check_length(prompt, room=settings["max_gen_toks"])
        return super().generate_until(requests, disable_tqdm=True)

    def _check_length(self, text: str, *, room: int) -> None:
        tokens = len(self.tok_encode(text))
        if tokens + room > self.max_length:
            beside = f" and its response of up to {room}" if room else ""
            raise HarnessError(
                f"benchmark {self.benchmark.name}: a prompt of {tokens} tokens{beside} exceeds the model's "
                f"{self.max_length} positions: give the benchmark a smaller `fewshot` or `max_new_tokens`"
            )

    def tok_batch_encode(self, strings: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        """Notes which prompts the next responses are to."""
        self._prompts = tuple(strings)
        return super().tok_batch_encode(strings, *args, **kwargs)

    def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **kwargs: Any) -> torch.Tensor:
        out = super()._model_generate(context=context, max_length=max_length, stop=stop, **kwargs)
        texts = self.tokenizer.batch_decode(out[:, context.shape[1] :], skip_special_tokens=False)
        for prompt, text in zip(self._prompts, texts, strict=True):
            cut = out.shape[1] >= max_length and not any(end and end in text for end in stop)
            self.cut.setdefault(prompt, []).append(cut)
        return out


class NativeTasks:
    """The evaluator of ``LmEvalBenchmark``."""

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Reads the data sets, from the hub where no local file is named."""
        for job in jobs:
            with loaded(_native(job)):
                pass

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
        """See ``harness.evaluation.evaluator.Evaluator``; ``batch_size`` is the benchmark's, if that is smaller.

        Where a task samples, its draws depend on (seed, step, benchmark) only.

        Raises:
            HarnessError: data that cannot be had, another version or number of items, a metric that the task does not
                give, or a prompt that does not fit the model.
        """
        scores: list[Score] = []
        for job in jobs:
            begin(job)
            scores += ask(model, reader, _native(job), draws=seeds.seed(seed, f"evaluation/{_name(job)}", step))
        return scores


def _name(job: Job) -> str:
    return job.benchmark.name


def _native(job: Job) -> LmEvalBenchmark:
    assert isinstance(job.benchmark, LmEvalBenchmark)
    return job.benchmark


def ask(model: PreTrainedModel, reader: Reader, benchmark: LmEvalBenchmark, *, draws: int) -> list[Score]:
    """Every metric of one benchmark; ``draws`` seeds the global generators, which the caller restores."""
    with loaded(benchmark) as tasks:
        random.seed(draws)
        np.random.seed(draws % 2**32)
        torch.manual_seed(draws)
        lm = NativeLM(model, reader.tokenizer, benchmark)
        found: Any = evaluate(lm, tasks, apply_chat_template=benchmark.chat, bootstrap_iters=0, log_samples=True)
    n = sum(found["n-samples"][name]["effective"] for name in tasks["tasks"])
    if not benchmark.data and benchmark.n not in (None, n):
        raise HarnessError(
            f"benchmark {benchmark.name} means {benchmark.n} items, the data set of task {benchmark.task} has {n}: it "
            "was changed; give the benchmark that number under another name"
        )
    samples = [(name, sample) for name in tasks["tasks"] for sample in found["samples"][name]]
    items = records(benchmark, samples, lm.cut)
    return [
        Score(
            benchmark=benchmark.name,
            version=benchmark.version,
            decoding=NATIVE,
            metric=metric.name,
            value=_value(benchmark, metric.name, found["results"][benchmark.task]),
            n=n,
            errors=sum(_not_found(sample) for _, sample in samples if metric.name.endswith(f",{sample['filter']}")),
            truncations=sum(map(sum, lm.cut.values())),
            items=items,
        )
        for metric in benchmark.metrics
    ]


def _value(benchmark: LmEvalBenchmark, metric: str, results: dict[str, Any]) -> float:
    if metric not in results:
        given = [name for name in results if "," in name and "_stderr," not in name]
        raise HarnessError(
            f"benchmark {benchmark.name}: task {benchmark.task} gives no metric {metric!r}; {near(metric, given)}"
        )
    return float(results[metric])


def _not_found(sample: dict[str, Any]) -> bool:
    return NOT_FOUND in sample["filtered_resps"]


def records(
    benchmark: LmEvalBenchmark, samples: Sequence[tuple[str, dict[str, Any]]], cut: dict[str, list[bool]]
) -> list[dict[str, Any]]:
    """One per item, the task's own order: what lm-eval logs of it under each of the task's filters.

    ``answer`` says whether the primary metric is right; null for all if it grades any item between or beyond 0 and 1.
    """
    alone = len({name for name, _ in samples}) == 1
    out: dict[str, dict[str, Any]] = {}
    for name, sample in samples:
        item = str(sample["doc_id"]) if alone else f"{name}/{sample['doc_id']}"
        first = {
            "id": item,
            "sample": 0,
            "response": [response for responses in sample["resps"] for response in responses],
            "target": sample["target"],
            "answer": None,
            "truncated": any(cut.get(str(sample["arguments"][0][0]), ())),
            "metrics": {},
            "filtered": {},
            **{key: sample[key] for key in ("doc_hash", "prompt_hash", "target_hash")},
        }
        record = out.setdefault(item, first)
        record["filtered"][sample["filter"]] = sample["filtered_resps"]
        for metric in sample["metrics"]:
            record["metrics"][f"{metric},{sample['filter']}"] = sample[metric]
    right = {item: record["metrics"].get(benchmark.primary[1]) for item, record in out.items()}
    if all(value in (0, 1) for value in right.values()):
        for item, record in out.items():
            record["answer"] = bool(right[item])
    return json.loads(json.dumps(list(out.values()), default=handle_non_serializable))


@contextmanager
def loaded(benchmark: LmEvalBenchmark) -> Iterator[Any]:
    """The benchmark's tasks as ``lm_eval.evaluator.evaluate`` takes them; lm-eval is quiet meanwhile.

    Raises:
        HarnessError: see ``harness.evaluation.shipped.check``; data that cannot be read; fewer items than examples.
    """
    shipped.check(benchmark)
    with contained(), tempfile.TemporaryDirectory() as scratch:
        folders: list[str | Path] = [shipped.folder(benchmark), *_local(benchmark, Path(scratch))]
        try:
            found = TaskManager(include_defaults=False, include_path=folders).load([benchmark.task])
        except Exception as error:
            raise _unreadable(benchmark, error) from error
        for task in found["tasks"].values():
            _set_up(task, benchmark)
        yield found


def _unreadable(benchmark: LmEvalBenchmark, error: Exception) -> HarnessError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    head = f"benchmark {benchmark.name}: task {benchmark.task} of lm-eval"
    if isinstance(error, (ImportError, AssertionError)):
        return HarnessError(f"{head} needs packages that are not here ({reason}): install them")
    stated = shipped.settings(benchmark)
    tried = benchmark.data or stated.get("dataset_path") or f"those of {len(shipped.leaves(benchmark))} tasks"
    cure = "mend the file" if benchmark.data else "connect to the hub, or name a local jsonl file in its field `data`"
    return HarnessError(f"{head} could not read its data, {tried} ({reason}): {cure}")


def _set_up(task: Any, benchmark: LmEvalBenchmark) -> None:
    shipped.check_version(benchmark, task.VERSION if "group" not in shipped.settings(benchmark) else benchmark.version)
    if benchmark.fewshot is not None:
        task.set_config("num_fewshot", benchmark.fewshot)
    if benchmark.max_new_tokens is not None and task.OUTPUT_TYPE == "generate_until":
        task.set_config("generation_kwargs", {"max_gen_toks": benchmark.max_new_tokens}, update=True)
    task.set_fewshot_seed(FEWSHOT_SEED)
    shots, items = task.config.num_fewshot or 0, len(task.eval_docs)
    if benchmark.data and shots >= items:
        raise HarnessError(
            f"benchmark {benchmark.name}: each prompt shows {shots} other items, {benchmark.data} has {items}: give "
            "more items, or fewer examples in the field `fewshot`"
        )


def _local(benchmark: LmEvalBenchmark, scratch: Path) -> list[Path]:
    """A folder of tasks of the same names that include the shipped ones and read local files; none without them."""
    paths = shipped.files(benchmark)
    for name, (shipped_file, stated) in shipped.leaves(benchmark).items():
        if name in paths:
            changed = _overrides(stated, paths[name], scratch / "cache")
            changed |= {"include": str(shipped_file), "task": name}
            (scratch / f"{name}.yaml").write_text(json.dumps(changed), encoding="utf-8")
    return [scratch] if paths else []


def _overrides(stated: dict[str, Any], path: Path, cache: Path) -> dict[str, Any]:
    """Every split is the file. lm-eval leaves an item out of its own examples only where both are of the test split."""
    splits = [stated[key] for key in ("training_split", "validation_split", "test_split") if stated.get(key)]
    evaluated = stated.get("test_split") or stated.get("validation_split")
    own_examples = bool((stated.get("fewshot_config") or {}).get("samples"))
    return {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": dict.fromkeys(splits, str(path)), "cache_dir": str(cache)},
        "test_split": evaluated,
        **({} if own_examples else {"fewshot_split": evaluated}),
    }


@contextmanager
def contained() -> Iterator[None]:
    """lm-eval without its advice and progress bars; what it sets in the environment is undone."""
    logger, bars, environment = logging.getLogger("lm_eval"), lm_eval.api.task.tqdm, dict(os.environ)
    level, shown = logger.level, datasets.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    lm_eval.api.task.tqdm = lambda iterable, **_: iterable
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        lm_eval.api.task.tqdm = bars
        if shown:
            datasets.enable_progress_bars()
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
