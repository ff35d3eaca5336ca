"""The local launcher: a few worker processes, each doing one run after another. No torch in this process.

Every worker has a pipe of its own, so one that is killed cannot hold up the others. A launcher never
changes a run's identity, and whatever stops it, the same command goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness import registry
from harness.config import RunSpec
from harness.runs.plan import PlannedRun, duration, missing
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, Options, Profile
from harness.types import HarnessError

TARGET = "harness.runs.run:run"
"""``run(folder, evaluations, report, asking) -> str``: makes one run done, returns a remark or nothing."""
REHEARSAL = "harness.runs.run:rehearse"
"""The same, which only looks whether the run could be trained."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Parallelism is over runs."""
CUT = 0.1
"""Share of the answers of a run's first batch that may be cut at the length limit without a word."""
HEARTBEAT_SECONDS = 30.0
"""Between two lines on running workers, where the output is no terminal."""


@dataclass(frozen=True, slots=True)
class Job:
    """Sent to a worker."""

    spec: RunSpec
    evaluations: tuple[Evaluation, ...]
    force: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Sent by a worker after an optimiser step."""

    step: int
    steps: int

    def __str__(self) -> str:
        return "evaluating" if self.step == self.steps else f"step {self.step}/{self.steps}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Sent by a worker as it begins an evaluation."""

    name: str
    """Of the benchmark or audit."""
    number: int
    of: int
    """Evaluations that were missing: a benchmark is one for each decoding and checkpoint."""

    def __str__(self) -> str:
        return f"evaluating {self.name}, {self.number} of {self.of}"


@dataclass(frozen=True, slots=True)
class Said:
    """Sent by a worker: a line that is worth reading before the run is over."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Sent by a worker at the end of a job, or made for one that died. An empty error means done."""

    error: str = ""
    remark: str = ""
    train_seconds: float = 0.0
    evaluation_seconds: float = 0.0


@dataclass(kw_only=True)
class LaunchReport:
    """What became of the runs, in the order they ended."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Run id to a line on why."""
    left: list[str] = field(default_factory=list)
    """Not started, because ``--minutes`` were over."""
    train_seconds: float = 0.0
    """Summed over workers, of this launch only."""
    evaluation_seconds: float = 0.0


@dataclass(kw_only=True)
class Worker:
    """A process, its pipe, and what it is doing."""

    process: SpawnProcess
    pipe: Connection
    job: Job | None = None
    started: float = 0.0


def launch(
    plan: Sequence[PlannedRun], options: Options, *, console: Console, target: str = TARGET, what: str = ""
) -> LaunchReport:
    """Does what is missing of ``plan`` on ``options.jobs`` processes; a failing run does not stop the others.

    ``--force`` does all of it anew. Ctrl-C ends the workers and rises; every finished step is kept. ``what`` stands
    before the count in its lines, so that a launch before the main one is not taken for it.

    Raises:
        HarnessError: too little room on the disk, before anything is started.
    """
    todo = list(plan) if options.force else missing(plan)
    check_room(todo, options)
    with Display(console, len(todo), what) as display:
        pool = Pool(todo, options, display, target)
        try:
            pool.work()
        finally:
            pool.stop()
    return pool.report


def check_room(todo: Sequence[PlannedRun], options: Options) -> None:
    """Compares free space with what the profile says its runs take.

    Raises:
        HarnessError: it would not fit.
    """
    if not todo:
        return
    results = options.results.resolve()
    folder = next(path for path in (results, *results.parents) if path.exists())
    need = len(todo) * registry.profile(options.profile).megabytes_per_run
    free = shutil.disk_usage(folder).free / 1e6
    if free < need:
        raise HarnessError(
            f"{len(todo)} runs need about {need:.0f} MB in {folder}, {free:.0f} MB are free: free space, "
            "plan fewer runs, or name another folder with --results"
        )


class Pool:
    """Hands jobs to idle workers and reads what they send, until nothing is left that may start."""

    def __init__(self, todo: Sequence[PlannedRun], options: Options, display: Display, target: str) -> None:
        self.report = LaunchReport()
        self._pending = [Job(run.spec, run.wanted, options.force) for run in todo]
        self._arguments = (options.results.resolve(), options.plugin, options.profile_file, options.own, target)
        self._jobs = options.jobs
        minutes = float("inf") if options.minutes is None else options.minutes
        self._deadline = time.monotonic() + 60 * minutes
        self._display = display
        self._workers: list[Worker] = []

    def work(self) -> None:
        """Runs until every job is done, has failed, or may not start any more."""
        while True:
            while (job := self._next()) is not None:
                self._assign(job)
            busy = [worker for worker in self._workers if worker.job]
            if not busy:
                break
            ready = wait([worker.pipe for worker in busy], timeout=1.0)
            for worker in busy:
                if worker.pipe in ready:
                    self._read(worker)
            self._display.heartbeat()
        self.report.left = [job.spec.id for job in self._pending]

    def stop(self) -> None:
        """Lets idle workers go, ends busy ones: they have nothing that a checkpoint has not."""
        for worker in self._workers:
            if worker.job is None:
                with contextlib.suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.terminate()
            worker.process.join()

    def _next(self) -> Job | None:
        """The first job that may start: a worker is free, time is left, and what it needs is done."""
        free = len(self._workers) < self._jobs or any(worker.job is None for worker in self._workers)
        if not free or time.monotonic() > self._deadline:
            return None
        failed = self.report.failed
        while orphan := next((job for job in self._pending if job.spec.needs & failed.keys()), None):
            self._pending.remove(orphan)
            lost = min(orphan.spec.needs & failed.keys())
            verb = "continues" if lost == orphan.spec.start else "has a model of"
            self._end(orphan, Finished(error=f"{verb} run {lost}, which failed"))
        busy = {worker.job.spec.id for worker in self._workers if worker.job}
        unfinished = busy | {job.spec.id for job in self._pending}
        return next((job for job in self._pending if not job.spec.needs & unfinished), None)

    def _assign(self, job: Job) -> None:
        worker = next((worker for worker in self._workers if worker.job is None), None)
        if worker is None:
            worker = start_worker(*self._arguments)
            self._workers.append(worker)
        self._pending.remove(job)
        worker.job, worker.started = job, time.monotonic()
        self._display.start(job.spec)
        # A worker that died while idle is found by the next read of its pipe.
        with contextlib.suppress(OSError):
            worker.pipe.send(job)

    def _read(self, worker: Worker) -> None:
        assert worker.job is not None
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            message = self._bury(worker)
        if isinstance(message, Step | Asked):
            self._display.step(worker.job.spec, message)
            return
        if isinstance(message, Said):
            self._display.say(worker.job.spec, message)
            return
        job, worker.job = worker.job, None
        self._end(job, message, seconds=time.monotonic() - worker.started)

    def _bury(self, worker: Worker) -> Finished:
        worker.process.join()
        self._workers.remove(worker)
        code = worker.process.exitcode or 0
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return Finished(error=f"its worker process ended {how}; the checkpoints are kept, run again to go on")

    def _end(self, job: Job, result: Finished, *, seconds: float = 0.0) -> None:
        if result.error:
            self.report.failed[job.spec.id] = result.error
        else:
            self.report.done.append(job.spec.id)
        self.report.train_seconds += result.train_seconds
        self.report.evaluation_seconds += result.evaluation_seconds
        self._display.end(job.spec, result, seconds)


class Display:
    """Bars on a terminal; lines elsewhere."""

    def __init__(self, console: Console, total: int, what: str = "") -> None:
        self._console = console
        self._total = total
        self._what = f"{what} " if what else ""
        self._first: dict[str, str] = {}
        """The run that failed first, by reason: a fault of all runs is told once."""
        self._ended = 0
        self._steps: dict[str, Step | Asked] = {}
        self._tasks: dict[str, TaskID] = {}
        self._last_line = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> Display:
        self._bars.start()
        self._all = self._bars.add_task("runs", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, spec: RunSpec) -> None:
        """A run was given to a worker."""
        self._steps[spec.id] = Step(0, spec.steps)
        self._tasks[spec.id] = self._bars.add_task(spec.id, total=spec.steps or None)

    def step(self, spec: RunSpec, step: Step | Asked) -> None:
        """A run made a step or began an evaluation."""
        self._steps[spec.id] = step
        if isinstance(step, Step):
            self._bars.update(self._tasks[spec.id], completed=step.step)
        else:
            words = f"{spec.id} evaluating {step.name}"
            self._bars.update(self._tasks[spec.id], description=words, completed=step.number, total=step.of)

    def say(self, spec: RunSpec, said: Said) -> None:
        """A line of a run under way."""
        self._line(f"{self._count} {spec.id} {said.text}")

    def end(self, spec: RunSpec, result: Finished, seconds: float) -> None:
        """A run is done or has failed."""
        self._ended += 1
        self._steps.pop(spec.id, None)
        if spec.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(spec.id))
        self._bars.update(self._all, completed=self._ended)
        outcome = self._failure(spec, result.error) if result.error else f"done in {duration(seconds)}"
        self._line(f"{self._count} {spec.id} {outcome}")
        if result.remark:
            self._line(f"    {result.remark}")

    def heartbeat(self) -> None:
        """Now and then a line on the runs under way, where there are no bars."""
        if self._console.is_terminal or time.monotonic() - self._last_line < HEARTBEAT_SECONDS:
            return
        steps = (f"{run} {s}" for run, s in self._steps.items())
        self._line(f"{self._count} under way: {', '.join(steps)}")

    @property
    def _count(self) -> str:
        return f"[{self._what}{self._ended}/{self._total}]"

    def _failure(self, spec: RunSpec, reason: str) -> str:
        first = self._first.setdefault(reason, spec.id)
        return f"FAILED: {reason}" if first == spec.id else f"FAILED as {first}"

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def start_worker(root: Path, plugin: Path | None, profile: Path | None, own: Profile | None, target: str) -> Worker:
    """A fresh process, so that threads are set before torch is imported."""
    context = get_context("spawn")
    # The type of a pipe's ends differs between systems; their interface does not.
    ours, theirs = cast("tuple[Connection, Connection]", context.Pipe())
    process = context.Process(target=work, args=(theirs, root, plugin, profile, own, target))
    process.start()
    theirs.close()
    return Worker(process=process, pipe=ours)


def work(
    pipe: Connection, root: Path, plugin: Path | None, profile: Path | None, own: Profile | None, target: str
) -> None:
    """The life of a worker: jobs from the pipe, one after another, until it gets None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(ONE_THREAD)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if plugin is not None:
        registry.load_plugin(plugin)
    if profile is not None:
        registry.load_profile(profile)
    if own is not None:
        registry.use_profile(own)
    while (job := pipe.recv()) is not None:
        pipe.send(do_job(job, root, target, pipe.send))


def do_job(job: Job, root: Path, target: str, send: Callable[[Step | Asked | Said], None]) -> Finished:
    """One run, under its lock, its output in its folder; errors become one line."""
    folder = RunFolder(root, job.spec)
    clock = Clock(send)
    try:
        with folder.lock():
            if job.force:
                folder.clear()
            return _do_locked(job, folder, target, clock)
    except HarnessError as error:
        return Finished(error=str(error))
    except OSError as error:  # a folder that cannot be written or read: there is no log to put a traceback in
        return Finished(error=files.told(error, folder.path))


def _do_locked(job: Job, folder: RunFolder, target: str, clock: Clock) -> Finished:
    error, remark = "", ""
    folder.prepare()
    module, _, name = target.partition(":")
    try:
        with _output_in(folder.log):
            remark = getattr(importlib.import_module(module), name)(folder, job.evaluations, clock.report, clock.asking)
        if (state := folder.state(job.evaluations)) is not RunState.DONE:
            error = f"it ended {state.value}, see {folder.log}"
    except HarnessError as user_error:
        error = str(user_error)
    except OSError as system:
        error = f"{files.told(system, folder.path)} (traceback in {folder.log})"
    except Exception as bug:
        said = str(bug).strip().split(chr(10))[0]
        error = f"{type(bug).__name__}: {said}{_where(bug)} (traceback in {folder.log})"
    if error:
        # On a full disk this cannot be written either; the launcher says it all the same.
        with contextlib.suppress(HarnessError, OSError):
            folder.mark_failed(error)
    return Finished(error=error, remark=remark, **clock.read())


class Clock:
    """Splits a job's seconds: training until the last step's report, evaluation from there."""

    def __init__(self, send: Callable[[Step | Asked | Said], None]) -> None:
        self._send = send
        self._start = self._last_step = time.perf_counter()

    def report(self, step: int, steps: int, metrics: Mapping[str, Any]) -> None:
        """Called by the training loop after each step."""
        self._last_step = time.perf_counter()
        self._send(Step(step, steps))
        cut = metrics.get("truncation_rate") or 0.0
        if step == 1 and cut > CUT:
            self._send(
                Said(
                    f"{100 * cut:.0f} % of the answers of the first batch were cut at the length limit: what is cut "
                    "ends without an answer; more room is --max-response-tokens"
                )
            )

    def asking(self, name: str, number: int, of: int) -> None:
        """Called as each evaluation begins."""
        self._send(Asked(name, number, of))

    def read(self) -> dict[str, float]:
        """Seconds so far, by field of ``Finished``."""
        now = time.perf_counter()
        return {"train_seconds": self._last_step - self._start, "evaluation_seconds": now - self._last_step}


@contextlib.contextmanager
def _output_in(path: Path) -> Iterator[None]:
    """Appends stdout, stderr and a traceback to ``path``: workers share one terminal."""
    saved = [os.dup(number) for number in (1, 2)]
    try:
        with files.disk_guard(path):
            opened = path.open("a", encoding="utf-8")
        with opened as file:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            try:
                yield
            except BaseException:
                with contextlib.suppress(OSError):  # of a full disk the first error is the one to tell
                    traceback.print_exc()
                raise
    finally:
        for number, descriptor, stream in zip((1, 2), saved, (sys.stdout, sys.stderr), strict=True):
            with contextlib.suppress(OSError):
                stream.flush()
            os.dup2(descriptor, number)
            os.close(descriptor)


def _die_with_parent() -> None:
    """A worker whose launcher was killed must not hold the lock against the next one."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _where(bug: BaseException) -> str:
    """``, my_method.py:41``: the last line of it that is neither ours nor a library's; empty without one."""
    others = (Path(registry.__file__).parent, Path(sys.prefix), Path(sys.base_prefix))
    frames = [(Path(each.filename), each.lineno) for each in traceback.extract_tb(bug.__traceback__)]
    theirs = [(path, line) for path, line in frames if path.is_file() and not any(map(path.is_relative_to, others))]
    return f", {theirs[-1][0].name}:{theirs[-1][1]}" if theirs else ""
