"""A suite, a profile and a trainer without torch: runs of milliseconds that fail on demand, by their seed."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import language

from harness import registry
from harness.config import MethodSpec, ModelSpec, OptimSpec, RunSpec
from harness.profile import Override
from harness.show.tables import Cell, Column, Line, Table
from harness.storage import files
from harness.storage.code import code_of
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, Profile, Suite, reference_run, training_run
from harness.types import Cost, HarnessError, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

USER_ERROR, BUG, KILLED, SLOW = 100, 101, 102, 103
"""Seeds: what becomes of a run."""
SUITES = {"fake": "support.fakes:FakeSuite", "continual": "support.fakes:FakeSuite"}
ALIASES = {"continual_learning": "continual"}
TUNING = "tuning"
PROFILE = Profile(
    name="fake",
    student=ModelSpec(name=language.SMALL),
    teacher=ModelSpec(name="big"),
    data=language.data("coding"),
    optim=OptimSpec(lr=1e-3),
    steps=10,
    prompts_per_step=2,
    max_response_tokens=8,
    overrides={"dopd": Override(settings={"k": 8}, reason="small vocabulary")},
    benchmarks=("quiz",),
    seconds_per_step=2.0,
    seconds_per_evaluation=5.0,
    megabytes_per_run=0.001,
)
UNREACHABLE = Profile(
    name="unreachable",
    student=ModelSpec(name="huge"),
    teacher=ModelSpec(name="huger"),
    data=language.data("coding"),
    optim=OptimSpec(lr=1e-6),
    steps=10,
    prompts_per_step=2,
    max_response_tokens=8,
    benchmarks=("quiz",),
    seconds_per_step=300.0,
    seconds_per_evaluation=600.0,
    megabytes_per_run=1e12,
    obstacle="its models are huge",
)
PROFILES = {"fake": "support.fakes:PROFILE", "unreachable": "support.fakes:UNREACHABLE"}
LAST = Evaluation("last", "quiz", "greedy")


class FakeSuite(Suite):
    name = "fake"
    title = "nothing at all"

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        methods = ("vanilla_opd", "dopd") if options.methods in (None, "all") else options.methods
        return [reference_run(each, each.student) for each in profile.of_seeds(options.seeds or (0,))] + [
            training_run(profile, options, method=method, domains=("coding",), seed=seed)
            for seed in options.seeds or (0,)
            for method in methods
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        return (LAST,)

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        lines = tuple(
            Line(block="coding", label=row["method"], cells=(Cell(value=100 * row["value"]),))
            for row in rows.to_dict("records")
        )
        return [
            Table(
                name="table0",
                title="Table 0",
                caption="",
                block_header="trained on",
                label_header="method",
                columns=(Column(key="quiz", header="quiz"),),
                lines=lines,
            )
        ]

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        from matplotlib.figure import Figure

        return {"figure0": Figure(figsize=(1, 1))}


def spec(*, seed: int = 0, steps: int = 10, method: str = "vanilla_opd", start: str = "") -> RunSpec:
    """A run that needs no registry."""
    return RunSpec(
        profile="fake",
        student=PROFILE.student,
        teacher=PROFILE.teacher,
        data=PROFILE.data,
        method=MethodSpec(name=method),
        optim=PROFILE.optim,
        steps=steps,
        seed=seed,
        start=start,
    )


def row(spec: RunSpec, evaluation: Evaluation = LAST, *, value: float = 0.5, metric: str = "exact_answer") -> Row:
    """Made by the code that is here."""
    here = code_of(spec)
    return Row(
        run=spec.id,
        method=spec.method.name if spec.method else "student",
        profile=spec.profile,
        seed=spec.seed,
        train_domains=spec.data.domains if spec.data else (),
        step=evaluation.at(spec),
        steps=spec.steps,
        benchmark=evaluation.benchmark,
        version=evaluation.version,
        decoding=evaluation.decoding,
        metric=metric,
        value=value,
        n=4,
        errors=0,
        truncations=0,
        training_code=here.training,
        evaluation_code=here.evaluation,
    )


def cost(spec: RunSpec, *, train_seconds: float = 30.0, evaluation_seconds: float = 1.0) -> Cost:
    return Cost(
        run=spec.id,
        method=spec.method.name if spec.method else "student",
        seed=spec.seed,
        train_domains=spec.data.domains if spec.data else (),
        steps=spec.steps,
        tokens=8,
        forwards_per_token=3.0,
        train_seconds=train_seconds,
        evaluation_seconds=evaluation_seconds,
        peak_memory_mb=1.0,
    )


def checkpoint(folder: RunFolder, step: int, state: str = "") -> None:
    """What ``RunFolder`` sees of a checkpoint."""
    path = folder.checkpoints / f"step-{step:06d}"
    files.write_json_atomic(path / "manifest.json", {"step": step, "state": state})


def run(
    folder: RunFolder,
    evaluations: Sequence[Evaluation],
    report: Callable[[int, int, Mapping[str, Any]], None],
    asking: Callable[[str, int, int], None] = lambda name, number, of: None,
    pause: float = 0.0,
) -> str:
    """In place of ``harness.runs.run.run``: a chain of hashes for weights, its last byte for a score."""
    spec = folder.spec
    if parent_process() is not None:
        registry.PROFILES_MODULE = __name__  # what a test puts in place is not there in a worker
    print("hello from", spec.id)
    if spec.seed == USER_ERROR:
        raise HarnessError("the vocabulary is too small: choose another")
    if spec.seed == BUG:
        raise ZeroDivisionError("a bug\nof two lines")
    step = folder.last_step() or 0
    state = ""
    if step:
        state = files.read_json(folder.checkpoints / f"step-{step:06d}" / "manifest.json")["state"]
    files.keep_jsonl(folder.metrics, lambda record: record["step"] <= step)
    while step < spec.steps:
        step += 1
        state = hashlib.sha256(f"{state} {spec.id} {step}".encode()).hexdigest()
        files.append_jsonl(folder.metrics, {"step": step, "threads": os.environ.get("OMP_NUM_THREADS")})
        if step == 3 and spec.seed == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60 if spec.seed == SLOW and step == 3 else pause)
        if step in spec.checkpoint_steps():
            checkpoint(folder, step, state)
        report(step, spec.steps, {})
    for number, evaluation in enumerate(missing := folder.missing(evaluations), start=1):
        asking(evaluation.benchmark, number, len(missing))
        folder.write_rows([row(spec, evaluation, value=int(state[:2] or "0", 16) / 255)])
    folder.write_cost(cost(spec))
    folder.mark_done(evaluations)
    return "a remark" if spec.seed == 1 else ""


if __name__ == "__main__":
    # One slow run, to be killed: python fakes.py RESULTS
    victim = RunFolder(Path(sys.argv[1]), spec(steps=100))
    with victim.lock():
        victim.prepare()
        run(victim, (LAST,), lambda step, steps, metrics: None, pause=0.01)
