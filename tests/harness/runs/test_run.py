"""Rows of a run: what each says of the run up to its own checkpoint, and what a log must hold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support.drive_run import EVALUATIONS, short_run
from support.fakes import PROFILE, spec
from support.folders import model_folder

from harness.evaluation.audits import AUDIT
from harness.evaluation.benchmarks import BENCHMARKS, Benchmark, benchmark
from harness.evaluation.evaluator import Job, Score
from harness.models.sources import identified
from harness.runs import run as one_run
from harness.runs.run import evaluate_missing, row, whole_log
from harness.storage import files
from harness.storage.code import Code
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, reference_run
from harness.training import loop, trainer
from harness.types import HarnessError

CODING = "permutations_coding"
SCORE = Score(
    benchmark="quiz",
    version=1,
    decoding="greedy",
    metric="exact_answer",
    value=0.5,
    n=4,
    errors=0,
    truncations=0,
    items=[],
)


def log(steps: int, *, collapses: int | None = None) -> list[dict[str, Any]]:
    """Seven tokens a step; a gradient that is not finite at one of them."""
    lines: list[dict[str, Any]] = [{"step": 0, "probe/accuracy": 0.5}]
    for step in range(1, steps + 1):
        lines.append({"step": step, "tokens": 7, "gradient_norm": None if step == collapses else 1.0})
    return lines


def test_a_row_on_the_way_knows_nothing_of_what_came_later() -> None:
    metrics = log(10, collapses=8)
    early, last = (row(spec(), SCORE, step, metrics, Code("trained", "asked")) for step in (5, 10))
    assert (early.step, early.tokens, early.status) == (5, 35, "ok")
    assert (last.step, last.tokens, last.status) == (10, 70, "collapsed")
    assert early.steps == last.steps == 10
    assert (last.training_code, last.evaluation_code) == ("trained", "asked")


def test_evaluations_are_counted_over_checkpoints_and_audits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(
        model: Any, reader: Any, wanted: list[Evaluation], *, begin: Callable[[Job], None], **_: Any
    ) -> list[Score]:
        for e in wanted:
            begin(Job(benchmark=Benchmark(name=e.benchmark), decoding=e.decoding))
        return []

    monkeypatch.setattr(one_run, "evaluate", ask)
    monkeypatch.setattr(one_run, "audit_scores", lambda *_: [])
    monkeypatch.setattr(one_run, "student_at", lambda *_: None)
    monkeypatch.setattr(one_run.load, "load_reader", lambda *_, **__: None)
    folder = RunFolder(tmp_path, spec())
    files.write_text_atomic(folder.metrics, files.jsonl(log(10)))
    asked = [
        Evaluation("last", "quiz", "greedy"),
        Evaluation("last", "reading", AUDIT),
        Evaluation(5, "quiz", "greedy"),
    ]
    said: list[tuple[str, int, int]] = []
    evaluate_missing(folder, asked, lambda *each: said.append(each))
    assert said == [("quiz", 1, 3), ("reading", 2, 3), ("quiz", 3, 3)]


@pytest.mark.parametrize("kept", [9, 0])
def test_a_log_without_its_last_step_is_refused(tmp_path: Path, kept: int) -> None:
    folder = RunFolder(tmp_path, spec())
    files.write_text_atomic(folder.metrics, files.jsonl(log(10)[: kept + 1]))
    with pytest.raises(HarnessError, match=r"metrics.jsonl has no line of step 10 of 10, .*with --force$") as refused:
        whole_log(folder)
    assert "\n" not in str(refused.value)


def test_a_log_with_a_step_twice_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, spec())
    lines = log(10)
    files.write_text_atomic(folder.metrics, files.jsonl([*lines[:4], *lines[2:]]))
    with pytest.raises(HarnessError, match=r"metrics.jsonl has 13 lines of 11 steps, .*with --force$"):
        whole_log(folder)


@pytest.mark.slow
def test_a_collapsed_run_stays_collapsed_when_its_log_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, it came back as ok with 0 tokens: the tool's own advice was to move the log away."""
    monkeypatch.setitem(BENCHMARKS, CODING, replace(benchmark(CODING), n=4))
    monkeypatch.setattr(trainer, "PROBE_SIZE", 4)
    monkeypatch.setattr(loop, "COLLAPSE_SHARE", math.inf)
    folder = RunFolder(tmp_path, short_run("vanilla_opd", 2))
    one_run.run(folder, EVALUATIONS[:1], lambda *_: None)
    before = folder.rows()
    assert {(r.status, r.tokens > 0) for r in before} == {("collapsed", True)}
    for name in ("done", "rows.jsonl", "metrics.jsonl"):
        (folder.path / name).unlink()
    said = one_run.run(folder, EVALUATIONS[:1], lambda *_: None)
    assert said == "metrics.jsonl was not what was written: brought back from step-000002"
    assert folder.rows() == before
    (folder.path / "done").unlink()
    rows = folder.path / "rows.jsonl"
    rows.write_text(re.sub(r'"value": [\d.]+', '"value": 0.99', rows.read_text()))
    assert rows.read_text().count("0.99") == len(before)
    said = one_run.run(folder, EVALUATIONS[:1], lambda *_: None)
    assert said == "rows.jsonl was not what was written: its rows are made anew"
    assert folder.rows() == before, "not what stood there by hand"


def test_a_whole_log_and_that_of_a_reference_pass(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, spec())
    files.write_text_atomic(folder.metrics, files.jsonl(log(10)))
    assert whole_log(folder) == log(10)
    assert whole_log(RunFolder(tmp_path, reference_run(PROFILE, PROFILE.student))) == []


@pytest.mark.slow
def test_other_files_under_the_path_of_a_model_are_never_the_old_run(tmp_path: Path) -> None:
    """Planned without its content: refused. Planned with it: another run. Before, the old rows were served."""
    student = model_folder(tmp_path / "m")
    folder = RunFolder(tmp_path, replace(short_run("vanilla_opd", 1), student=student))
    one_run.run(folder, (), lambda *_: None)
    one_run.run(folder, (), lambda *_: None)
    weights = tmp_path / "m" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] *= 0.5
    old = identified(student)
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(
        HarnessError, match=rf"the files of model {student.name} are not those that run {folder.spec.id}"
    ):
        one_run.run(folder, (), lambda *_: None)
    new = identified(student)
    ids = {replace(folder.spec, student=each).id for each in (student, old, new)}
    assert len(ids) == 3
