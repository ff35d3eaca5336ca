"""One run from its spec to done: train what is missing, evaluate what is wanted, write rows and cost."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from statistics import fmean
from typing import Any

import torch
from transformers import PreTrainedModel

from harness import registry
from harness.config import RunSpec
from harness.evaluation import audits
from harness.evaluation.audits import AUDIT, Subject
from harness.evaluation.evaluate import evaluate
from harness.evaluation.evaluate import prepare as prepare_evaluations
from harness.evaluation.evaluator import Score, unsaid
from harness.method import forwards_per_token
from harness.models import load, lora, sources
from harness.models.stock import save_stock
from harness.runs import kernels
from harness.storage import checkpoint, files
from harness.storage.code import Code, code_of
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation
from harness.training import making
from harness.training.loop import Report, detect_collapse, to_the_end, train
from harness.training.memory import peak_memory_mb, reset_peak_memory
from harness.training.process import device, process
from harness.training.trainer import prepare
from harness.types import Cost, HarnessError, Row

Asking = Callable[[str, int, int], None]
"""Called as an evaluation begins: benchmark or audit, its number, of how many."""


def run(folder: RunFolder, evaluations: Sequence[Evaluation], report: Report, asking: Asking = unsaid) -> str:
    """Make one run done; returns a line on what a resume passed over, or nothing.

    Every finished step and row is kept if this is stopped at any moment; calling it again goes on. Under torchrun
    every rank calls it; the first one writes and evaluates.

    Raises:
        HarnessError: bad input, before compute where it can be; a second process on the run; a full disk.
    """
    torch.set_num_threads(folder.spec.threads)
    reset_peak_memory()
    me = process()
    changed = ""
    with folder.lock() if me.is_main_process else nullcontext():
        if me.is_main_process:
            folder.prepare()
            changed = folder.drop_changed_rows()
            folder.keep_models(sources.unsaid(folder.spec))
            prepare_evaluations([e for e in folder.missing(evaluations) if e.decoding != AUDIT], _draw(folder.spec))
        me.wait_for_everyone()
        kernels.use(folder)
        fault = "" if is_trained(folder) else train_missing(folder, report)
        me.wait_for_everyone()
        if me.is_main_process:
            fault = "; ".join(filter(None, (changed, fault, mended(folder))))
            finish(folder, evaluations, asking)
        me.wait_for_everyone()
    return fault


def rehearse(folder: RunFolder, evaluations: Sequence[Evaluation], report: Report, asking: Asking = unsaid) -> str:
    """Load the models of a run and make every check that stands before its first step; nothing is trained.

    Raises:
        HarnessError: what ``run`` would refuse.
    """
    kernels.use(folder)
    prepare(folder.spec, folder.root)
    folder.mark_done(())
    return ""


def mended(folder: RunFolder) -> str:
    """Brings back the log of a trained run if it was changed; a line on it, see ``checkpoint.mend_log``."""
    if folder.spec.is_reference:
        return ""
    return checkpoint.mend_log(folder.checkpoints, folder.spec.steps, folder.metrics)


def train_missing(folder: RunFolder, report: Report) -> str:
    """From the last checkpoint to the last step, by the run's method or recipe; see ``to_the_end``.

    Raises:
        HarnessError: other code began the run; bad input.
    """
    folder.check_code()
    if folder.spec.recipe is None:
        return train(folder, prepare(folder.spec, folder.root), report)
    made = making.prepare(folder.spec, folder.root)
    return to_the_end(folder, made, report, advance=making.advance, read=lambda each: each.read())


def keep_model(folder: RunFolder) -> None:
    """The model at its last step as a folder that transformers loads; whole or not at all."""
    made = making.prepare(folder.spec, folder.root)
    made.student.load_state_dict(checkpoint.at_step(folder.checkpoints, folder.spec.steps).weights())
    part = folder.path / ".model.tmp"
    for path in (part, folder.model):
        shutil.rmtree(path, ignore_errors=True)
    with files.disk_guard(folder.model):
        save_stock(made.student, made.reader, part)
        os.replace(part, folder.model)


def finish(folder: RunFolder, evaluations: Sequence[Evaluation], asking: Asking) -> None:
    """Rows, cost, the model of a recipe, and ``done`` of a trained run."""
    start = time.perf_counter()
    if folder.spec.recipe is not None and folder.whole_model() is None:
        keep_model(folder)
    evaluate_missing(folder, evaluations, asking)
    write_cost(folder, time.perf_counter() - start)
    folder.mark_done(evaluations)


def is_trained(folder: RunFolder) -> bool:
    """Whether the last checkpoint is there and whole; a damaged one is trained again from the one before."""
    if folder.spec.is_reference:
        return True
    found, _ = checkpoint.latest_valid(folder.checkpoints)
    return found is not None and found.step == folder.spec.steps


def evaluate_missing(folder: RunFolder, evaluations: Sequence[Evaluation], asking: Asking = unsaid) -> None:
    """Score the checkpoints on what has no row yet; rows of one checkpoint are written together."""
    spec = folder.spec
    missing = sorted(folder.missing(evaluations), key=lambda e: e.at(spec))
    if not missing:
        return
    metrics = whole_log(folder)
    numbers = itertools.count(1)

    def begin(name: str) -> None:
        asking(name, next(numbers), len(missing))

    reader = load.load_reader(spec.student, root=folder.root)
    for step, group in itertools.groupby(missing, key=lambda e: e.at(spec)):
        wanted = list(group)
        student = cache(partial(student_at, folder, step))
        subject = Subject(folder=folder, step=step, student=student, reader=reader)
        scores: list[Score] = []
        for e in (e for e in wanted if e.decoding == AUDIT):
            begin(e.benchmark)
            scores += audit_scores(e, subject)
        if asked := [e for e in wanted if e.decoding != AUDIT]:
            scores += evaluate(
                student(),
                reader,
                asked,
                seed=spec.seed,
                step=step,
                draw=_draw(spec),
                begin=lambda job: begin(job.benchmark.name),
            )
        items = {(s.benchmark, s.decoding): s.items for s in scores}
        for e in wanted:
            if records := items.get((e.benchmark, e.decoding)):
                folder.write_samples(e, records)
        code = Code(training=folder.trained_by(), evaluation=code_of(spec).evaluation)
        folder.write_rows([row(spec, score, step, metrics, code) for score in scores])


def whole_log(folder: RunFolder) -> list[dict[str, Any]]:
    """One line for every step; rows and cost are summed over them.

    Raises:
        HarnessError: a step is missing, stands twice, or a line is damaged.
    """
    cure = "so tokens and status of the run are not known: restore the file, or train the run again with --force"
    metrics, spec = files.read_jsonl(folder.metrics, cure=cure), folder.spec
    steps = [m.get("step") for m in metrics]
    lost = sorted(set(range(spec.steps + 1)) - {*steps})
    if lost and not spec.is_reference:
        raise HarnessError(f"{folder.metrics} has no line of step {lost[-1]} of {spec.steps}, {cure}")
    if len(steps) > spec.steps + 1:
        raise HarnessError(f"{folder.metrics} has {len(steps)} lines of {spec.steps + 1} steps, {cure}")
    return metrics


def audit_scores(evaluation: Evaluation, subject: Subject) -> list[Score]:
    """An audit's findings, each as a score.

    Raises:
        HarnessError: it found nothing, or the package holds another version of it.
    """
    asked = audits.known(evaluation.benchmark, evaluation.version)
    found = audits.audit(asked.name, subject)
    if not found.values:
        raise HarnessError(
            f"audit {asked.name} found nothing in {subject.folder.spec.id} at step {subject.step}: ask for a later step"
        )
    return [
        Score(
            benchmark=asked.name,
            version=asked.version,
            decoding=AUDIT,
            metric=metric,
            value=value,
            n=found.n,
            errors=0,
            truncations=0,
            items=found.records,
        )
        for metric, value in found.values.items()
    ]


def student_at(folder: RunFolder, step: int) -> PreTrainedModel:
    """The student at one checkpoint, adapters merged; for a reference row, the model as it came.

    A run that continues another has checkpoints of its own from step 0 on, so the other one is not asked.
    """
    model = load.load(folder.spec.student, dtype=folder.spec.dtype, device=device(folder.spec.device), root=folder.root)
    if not folder.spec.is_reference:
        weights = checkpoint.at_step(folder.checkpoints, step).weights()
        lora.trained(model, weights, folder.spec.lora, folder.spec.seed)
    return model


def row(spec: RunSpec, score: Score, step: int, metrics: Sequence[Mapping[str, Any]], code: Code) -> Row:
    """A score with the run it belongs to and the code that made it."""
    so_far = [m for m in metrics if m["step"] <= step]
    source = (spec.data or registry.profile(spec.profile).data).source
    return Row(
        run=spec.id,
        method=spec.label,
        profile=spec.profile,
        seed=spec.seed,
        train_domains=spec.train_domains,
        step=step,
        steps=spec.steps,
        benchmark=score.benchmark,
        version=score.version,
        decoding=score.decoding,
        metric=score.metric,
        value=score.value,
        n=score.n,
        errors=score.errors,
        truncations=score.truncations,
        status=detect_collapse(so_far),
        tokens=sum(m.get("tokens", 0) for m in so_far),
        training_code=code.training,
        evaluation_code=code.evaluation,
        world=source,
        draw=_draw(spec),
    )


def _draw(spec: RunSpec) -> int | None:
    """Of the run's data."""
    return spec.data.draw if spec.data else None


def write_cost(folder: RunFolder, evaluation_seconds: float) -> None:
    """What the run cost, over all the processes that worked on it."""
    spec, before = folder.spec, folder.cost_if_readable()
    metrics = whole_log(folder)
    seconds = [value for m in metrics for name, value in m.items() if name.startswith("seconds/")]
    acted = [m["acted"] for m in metrics if m.get("acted") is not None]
    cost = Cost(
        run=spec.id,
        method=spec.label,
        seed=spec.seed,
        train_domains=spec.train_domains,
        steps=spec.steps,
        tokens=sum(m.get("tokens", 0) for m in metrics),
        forwards_per_token=forwards_per_token(registry.build_method(spec.method)) if spec.method else 0.0,
        train_seconds=sum(seconds),
        evaluation_seconds=evaluation_seconds + (before.evaluation_seconds if before else 0.0),
        peak_memory_mb=max([peak_memory_mb(), *(m["memory_mb"] for m in metrics if "memory_mb" in m)]),
        acted=fmean(acted) if acted else None,
    )
    folder.write_cost(cost)
