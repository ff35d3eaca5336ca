"""Data sets of VLMEvalKit, its own and ours as it would have them, with what it does to a process contained.

Import it only where it is used.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.evaluation import benchmarks, tsv
from harness.evaluation.benchmarks import ExportedBenchmark, Form, VlmEvalBenchmark
from harness.evaluation.contained import DATA, contained
from harness.types import HarnessError
from harness.worlds import world_of
from harness.worlds.world import graded

SETTINGS = ("SKIP_ERR", "SPLIT_THINK", "EVAL_FORMAT", "LOCAL_LLM", "FORCE_LOCAL", "PRINT_VANILLA")
"""Of the environment, by which VLMEvalKit would ask or score in another way."""
Message = list[dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """What is used of VLMEvalKit. Every part is imported once, where its doings are contained."""

    build: Callable[[str], Any]
    """A data set by name; None if it has none."""
    owner: Callable[[str], tuple[Any, str]]
    """The class of a data set, and the name of its table."""
    job: Callable[..., Any]
    video_job: Callable[..., Any]
    adapter: Callable[[], Any]
    """A model that says, of a dict ``answers``, the next one to a message."""
    load: Callable[[str], Any]
    """A table of a file."""
    flatten: Callable[[Any], dict[str, float]]
    """Metrics of a summary by name."""
    sets: Any
    """The module of exported folders."""


@cache
def modules() -> Modules:
    """Imports VLMEvalKit; only within ``contained``."""
    from vlmeval import dataset, inference, inference_video
    from vlmeval.dataset.video_dataset_config import supported_video_datasets
    from vlmeval.smp import load
    from vlmeval.smp.status_report import flatten_summary_metrics
    from vlmeval.vlm.base import BaseModel

    class Adapter(BaseModel):  # pyright: ignore[reportUntypedBaseClass]
        """Says what was answered already."""

        INTERLEAVE = True

        def __init__(self) -> None:
            super().__init__()
            self.answers: dict[str, list[str]] = {}

        def generate_inner(self, message: Message, dataset: str | None = None) -> str:
            return self.answers[key_of(message)].pop(0)

    def owner(name: str) -> tuple[Any, str]:
        if name in supported_video_datasets:
            made = supported_video_datasets[name]
            return made.func, made.keywords["dataset"]
        known: list[Any] = list(dataset.DATASET_CLASSES)
        return next((each for each in known if name in each.supported_datasets()), dataset.CustomMCQDataset), name

    sys.path.insert(0, str(tsv.TEMPLATES))
    return Modules(
        build=dataset.build_dataset,
        owner=owner,
        job=inference.infer_data_job,
        video_job=inference_video.infer_data_job_video,
        adapter=Adapter,
        load=load,
        flatten=flatten_summary_metrics,
        sets=importlib.import_module("picture_sets"),
    )


def key_of(message: Message) -> str:
    """By which equal messages are known."""
    return json.dumps([[part["type"], part["value"]] for part in message])


@contextmanager
def loaded(benchmark: VlmEvalBenchmark) -> Iterator[Any]:
    """The data set as VLMEvalKit has it; what VLMEvalKit sets or prints meanwhile is undone.

    Raises:
        HarnessError: VLMEvalKit does not know it, or its data cannot be read.
    """
    benchmark.check()
    own_folder = os.environ.get(DATA)
    with contained():
        for name in SETTINGS:
            os.environ.pop(name, None)
        os.environ["PRED_FORMAT"] = "tsv"
        modules()
        if isinstance(benchmark, ExportedBenchmark):
            yield _exported(benchmark)
            return
        with _local(benchmark) if benchmark.data else _of_hub(benchmark, own_folder):
            try:
                found = modules().build(benchmark.dataset)
            except Exception as error:
                raise unreadable(benchmark, f"{type(error).__name__}: {error}") from error
            if found is None:
                raise unreadable(benchmark, "it knows no data set of that name")
            yield found


def unreadable(benchmark: VlmEvalBenchmark, reason: str) -> HarnessError:
    """The error of a data set that VLMEvalKit cannot read."""
    cure = "mend the table" if benchmark.data else "connect to the hub, or name a local table in its field `data`"
    return HarnessError(
        f"benchmark {benchmark.name}: VLMEvalKit could not read its data set {benchmark.dataset} "
        f"({' '.join(reason.split())[:200]}): {cure}"
    )


def _exported(benchmark: ExportedBenchmark) -> Any:
    """Of the very table that is exported, by the very classes; graded by its world, which the exported rule equals."""
    name, text = tsv.data_set(benchmark.own, benchmark.form), tsv.text(benchmark.own, benchmark.form)
    os.environ[DATA] = str(_folder(name, text))
    sets = modules().sets
    if benchmark.form is Form.CHOICE:
        return sets.Choices(dataset=name)
    found, world = sets.OpenQuestions(dataset=name), world_of(benchmark.own.data)
    items = {example.id: example for example in benchmarks.examples(benchmark.own)}

    def grade(line: Mapping[str, str], response: str) -> tuple[bool, bool]:
        grade = graded(world, items[line["id"]], response)
        return grade.answer, grade.parsed

    found.grade = grade
    return found


@cache
def _folder(name: str, text: str) -> Path:
    """Of this process, with this table alone: VLMEvalKit keeps pictures by a table's name and never looks again."""
    path = Path(_kept().name) / hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()[:16]
    path.mkdir()
    (path / f"{name}.tsv").write_text(text, encoding="utf-8")
    return path


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="dopd-vlmeval-")


@contextmanager
def _of_hub(benchmark: VlmEvalBenchmark, folder: str | None) -> Iterator[None]:
    """VLMEvalKit's own folder, the user's or the one of its choice, where what is large is kept."""
    del os.environ[DATA]
    if folder is not None:
        os.environ[DATA] = folder
    owner, _ = modules().owner(benchmark.dataset)
    if hasattr(owner, "LMUData_root"):  # read when VLMEvalKit was imported
        owner.LMUData_root = folder or str(Path.home() / DATA)
    yield


@contextmanager
def _local(benchmark: VlmEvalBenchmark) -> Iterator[None]:
    """A folder with the local table under the name of the hub's, whose digest is then not asked for."""
    owner, name = modules().owner(benchmark.dataset)
    folder = _folder(name, Path(benchmark.data).read_text(encoding="utf-8"))
    os.environ[DATA] = str(folder)
    digests, prepare = owner.DATASET_MD5, getattr(owner, "prepare_dataset", None)
    owner.DATASET_MD5 = {key: value for key, value in digests.items() if key != name}
    if benchmark.videos:
        owner.prepare_dataset = lambda *_: {"data_file": str(folder / f"{name}.tsv"), "root": benchmark.videos}
    try:
        yield
    finally:
        owner.DATASET_MD5 = digests
        if benchmark.videos:
            owner.prepare_dataset = prepare
