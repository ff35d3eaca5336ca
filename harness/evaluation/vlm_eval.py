"""The engine ``vlmeval``: data sets of VLMEvalKit, on the model in memory. Import it only where it is used.

VLMEvalKit asks item by item, so all its requests are collected and answered in batches first; its own job then reads
them from an adapter, and its own scorer scores the file that the job wrote. Responses are greedy.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.evaluation.benchmarks import NATIVE, Judge, VlmEvalBenchmark, near
from harness.evaluation.evaluator import Begin, Job, Score
from harness.evaluation.pictured import respond
from harness.evaluation.rule_judge import RuleJudge
from harness.evaluation.vlm_data import Message, key_of, loaded, modules, unreadable
from harness.types import Example, Finish, HarnessError, ImagePart, Part, TextPart

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.reader import Reader

MODEL = "model"
"""What VLMEvalKit calls the model, in the names of its files."""
JUDGED = ("vlmeval.dataset.image_vqa", "vlmeval.dataset.dynamath")
"""Modules that ask a judge for answers."""
FUNCTION = "vlmeval."
"""Begins what is a function of VLMEvalKit and no column."""


class KitDataSets:
    """The evaluator of ``VlmEvalBenchmark``."""

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Reads the data sets, from VLMEvalKit's places where no local table is named, and the first item of each."""
        for job in jobs:
            with loaded(_kit(job)) as data_set:
                _requests(_kit(job), modules().adapter(), data_set, 1)

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

        Raises:
            HarnessError: data that cannot be had, a metric that VLMEvalKit does not give, or a prompt that does not fit
                the model or that it cannot read.
        """
        scores: list[Score] = []
        for job in jobs:
            begin(job)
            scores += ask(model, reader, _kit(job), batch_size=batch_size)
        return scores


def _kit(job: Job) -> VlmEvalBenchmark:
    assert isinstance(job.benchmark, VlmEvalBenchmark)
    return job.benchmark


def ask(model: PreTrainedModel, reader: Reader, benchmark: VlmEvalBenchmark, *, batch_size: int) -> list[Score]:
    """Every metric of one benchmark."""
    with loaded(benchmark) as data_set, tempfile.TemporaryDirectory() as work:
        adapter = modules().adapter()
        requests = _requests(benchmark, adapter, data_set)
        limit, size = benchmark.max_new_tokens, min(batch_size, benchmark.batch_size)
        responses = respond(
            model,
            reader,
            [_example(benchmark, index, message) for index, message in requests.items()],
            whose=f"benchmark {benchmark.name}",
            samples=1,
            temperature=0.0,
            max_new_tokens=limit,
            generator=torch.Generator(),
            batch_size=size,
        )
        given = {index: found[0] for index, found in responses.items()}
        for index, message in requests.items():
            adapter.answers.setdefault(key_of(message), []).append(given[index][0])
        values, lines = _scored(benchmark, adapter, data_set, Path(work))
    items = records(benchmark, lines, given)
    return [
        Score(
            benchmark=benchmark.name,
            version=benchmark.version,
            decoding=NATIVE,
            metric=metric.name,
            value=_value(benchmark, metric.name, values),
            n=len(items),
            errors=sum(not item["parsed"] for item in items),
            truncations=sum(item["truncated"] for item in items),
            items=items,
        )
        for metric in benchmark.metrics
    ]


def _requests(benchmark: VlmEvalBenchmark, adapter: Any, data_set: Any, n: int | None = None) -> dict[str, Message]:
    """What VLMEvalKit will ask, by index; of its first ``n`` lines.

    Raises:
        HarnessError: a line has not what the data set's prompt needs.
    """
    if not _is_video(data_set):
        adapter.set_dump_image(data_set.dump_image)
    shown = {"video_llm": False} if _is_video(data_set) else {}
    lines = data_set.data[:n]
    try:
        built = [data_set.build_prompt(i if shown else lines.iloc[i], **shown) for i in range(len(lines))]
        return {str(i): adapter.preproc_content(message) for i, message in zip(lines["index"], built, strict=True)}
    except Exception as error:
        raise unreadable(benchmark, f"{type(error).__name__}: {error}") from error


def _is_video(data_set: Any) -> bool:
    return data_set.MODALITY == "VIDEO"


def _example(benchmark: VlmEvalBenchmark, index: str, message: Message) -> Example:
    turn = tuple(map(_part, message))
    return Example(
        id=index,
        domain=benchmark.domain,
        split=benchmark.split,
        messages=({"role": "user", "content": turn},),
        answer="",
        trace=None,
        facts=(),
        privileged={},
    )


def _part(part: Mapping[str, str]) -> Part:
    if part["type"] == "text":
        return TextPart(part["value"])
    data = Path(part["value"]).read_bytes()
    return ImagePart(path=part["value"], sha256=hashlib.sha256(data).hexdigest(), data=data)


def _scored(
    benchmark: VlmEvalBenchmark, adapter: Any, data_set: Any, work: Path
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """VLMEvalKit's metrics, and its scored table line by line; the work folder is new, since it takes up old files."""
    kit, name = modules(), data_set.dataset_name
    file = work / f"{MODEL}_{name}.tsv"
    job = kit.video_job if _is_video(data_set) else kit.job
    job(model=adapter, work_dir=str(work), model_name=MODEL, dataset=data_set, api_nproc=1)
    if not file.is_file():
        raise HarnessError(
            f"benchmark {benchmark.name}: VLMEvalKit wrote no responses to {file.name}: nothing was asked"
        )
    with _judge(benchmark.judge):
        found = data_set.evaluate(str(file), model=benchmark.judge.value, nproc=1)
    tables = [path for path in sorted(work.rglob("*")) if path.suffix in (".tsv", ".xlsx") and path != file]
    graded = [kit.load(str(path)) for path in tables]
    wanted = {"prediction"} if benchmark.graded[0].startswith(FUNCTION) else {*benchmark.graded}
    table = next((table for table in graded if wanted & {*table}), None)
    if found is None or table is None:
        raise HarnessError(
            f"benchmark {benchmark.name}: VLMEvalKit gave no scores of {name} with judge {benchmark.judge.value!r}: "
            f"give the benchmark another judge ({', '.join(Judge)}), or other columns in `graded`"
        )
    return kit.flatten(found), table.to_dict("records")


@contextmanager
def _judge(judge: Judge) -> Iterator[None]:
    """Ours where VLMEvalKit would call a model."""
    if judge is not Judge.RULES:
        yield
        return
    asking: list[Any] = [importlib.import_module(name) for name in JUDGED]
    own = [module.build_judge for module in asking]
    try:
        for module in asking:
            module.build_judge = lambda **_: RuleJudge()
        yield
    finally:
        for module, build in zip(asking, own, strict=True):
            module.build_judge = build


def _value(benchmark: VlmEvalBenchmark, metric: str, values: Mapping[str, float]) -> float:
    ends = [name for name in values if name.rpartition("|")[2] == metric]
    name = metric if metric in values else ends[0] if len(ends) == 1 else None
    if name is None:
        raise HarnessError(
            f"benchmark {benchmark.name}: VLMEvalKit gives no metric {metric!r} of it, or several; "
            f"{near(metric, values)}"
        )
    return float(values[name])


def records(
    benchmark: VlmEvalBenchmark, lines: Sequence[Mapping[str, Any]], given: Mapping[str, tuple[str, Finish]]
) -> list[dict[str, Any]]:
    """One per item: how right VLMEvalKit's scorer finds it, ``answer`` null for all where that is a grade for some."""
    scored = {str(line["index"]): _score(benchmark, line) for line in lines}
    yes_or_no = all(value in (0, 1) for value in scored.values())
    lines_of = {str(line["index"]): line for line in lines}
    return [
        {
            "id": str(lines_of[index].get("id", index)),
            "sample": 0,
            "response": response,
            "answer": bool(scored[index]) if yes_or_no else None,
            "score": scored[index],
            "parsed": _is_parsed(lines_of[index]),
            "kind": _text(lines_of[index], "category"),
            "group": _text(lines_of[index], "l2-category"),
            "target": str(lines_of[index]["answer"]),
            "finish": finish.value,
            "truncated": finish is Finish.LENGTH,
        }
        for index, (response, finish) in given.items()
        if index in scored
    ]


def _text(line: Mapping[str, Any], name: str) -> str:
    return str(line.get(name, ""))


def _score(benchmark: VlmEvalBenchmark, line: Mapping[str, Any]) -> float:
    module, _, function = benchmark.graded[0].partition(":")
    if module.startswith(FUNCTION):
        return float(getattr(importlib.import_module(module), function)(line))
    found = [line[name] for name in benchmark.graded if name in line and line[name] == line[name]]  # NaN is no score
    return float(found[0])


def _is_parsed(line: Mapping[str, Any]) -> bool:
    """Whether the scorer found an answer: each of VLMEvalKit's says it in another column."""
    if "parsed" in line or "parse" in line:
        return str(line.get("parsed", line.get("parse"))) == "True"
    return not str(line.get("log", "")).startswith(("Match Log: Failed in Prefetch", "All 5 retries failed", "Try"))
