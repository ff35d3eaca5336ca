"""The launcher with real worker processes and a trainer without torch (``fakes.run``)."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from support.fakes import BUG, KILLED, LAST, SLOW, USER_ERROR, row, spec

from harness import registry
from harness.config import RunSpec
from harness.runs import local as launcher
from harness.runs.local import LaunchReport
from harness.runs.plan import PlannedRun
from harness.storage import files
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Options
from harness.types import HarnessError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _fake_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PROFILES_MODULE", "support.fakes")


@dataclasses.dataclass
class Launch:
    """A launch with its output."""

    report: LaunchReport
    text: str


def options(root: Path, *, jobs: int = 2, minutes: float | None = None, force: bool = False) -> Options:
    return Options(suite="fake", profile="fake", results=root, jobs=jobs, minutes=minutes, force=force)


def planned(root: Path, specs: list[RunSpec]) -> list[PlannedRun]:
    return [
        PlannedRun(spec=s, state=RunFolder(root, s).state((LAST,)), wanted=(LAST,), estimate_seconds=1.0) for s in specs
    ]


def launch(root: Path, specs: list[RunSpec], *, target: str = "support.fakes:run", **flags: object) -> Launch:
    console = Console(file=io.StringIO(), width=160)
    chosen = dataclasses.replace(options(root), **flags)
    report = launcher.launch(planned(root, specs), chosen, console=console, target=target)
    assert isinstance(console.file, io.StringIO)
    return Launch(report, console.file.getvalue())


def states(root: Path, specs: list[RunSpec]) -> list[RunState]:
    return [RunFolder(root, each).state((LAST,)) for each in specs]


@pytest.mark.slow
def test_runs_end_done_with_lines_remarks_and_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    specs = [spec(seed=seed) for seed in range(3)]
    ended = launch(tmp_path, specs)
    assert sorted(ended.report.done) == sorted(each.id for each in specs)
    assert (ended.report.failed, ended.report.left) == ({}, [])
    assert states(tmp_path, specs) == [RunState.DONE] * 3
    assert "[3/3] " in ended.text
    assert "a remark" in ended.text
    folder = RunFolder(tmp_path, specs[0])
    assert folder.log.read_text() == f"hello from {specs[0].id}\n", "output goes to the run's folder"
    assert "hello" not in ended.text
    assert files.read_jsonl(folder.metrics)[0]["threads"] == "1"


@pytest.mark.slow
def test_only_what_is_missing_is_launched(tmp_path: Path) -> None:
    specs = [spec(seed=seed) for seed in (0, 2)]
    launch(tmp_path, specs[:1])
    assert launch(tmp_path, specs).report.done == [specs[1].id]
    again = launch(tmp_path, specs)
    assert (again.report.done, again.text) == ([], "")


@pytest.mark.slow
def test_force_trains_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, spec())
    launch(tmp_path, [folder.spec])
    (folder.path / "stale").write_text("x")
    assert launch(tmp_path, [folder.spec], force=True).report.done == [folder.spec.id]
    assert not (folder.path / "stale").exists()
    assert folder.state((LAST,)) is RunState.DONE


@pytest.mark.slow
def test_failing_runs_do_not_stop_the_others(tmp_path: Path) -> None:
    """A user's error, a bug, and a worker killed by the system: each is told in a line, the rest is done."""
    specs = [spec(seed=seed) for seed in (USER_ERROR, BUG, KILLED, 0, 2)]
    ended = launch(tmp_path, specs)
    assert sorted(ended.report.done) == sorted(each.id for each in specs[3:])
    failed = [ended.report.failed[each.id] for each in specs[:3]]
    assert failed[0] == "the vocabulary is too small: choose another"
    assert re.match(r"ZeroDivisionError: a bug, \w+\.py:\d+ \(traceback in ", failed[1]), "where, in whose file"
    assert failed[2].startswith("its worker process ended by signal SIGKILL; the checkpoints are kept")
    assert not any("\n" in reason for reason in failed)
    assert states(tmp_path, specs[:3]) == [RunState.FAILED, RunState.FAILED, RunState.PARTIAL]
    assert "ZeroDivisionError: a bug\nof two lines\n" in RunFolder(tmp_path, specs[1]).log.read_text()
    assert RunFolder(tmp_path, specs[2]).last_step() == 2, "goes on from here"


FULL_LOG = """
from pathlib import Path
from harness.runs import local
from harness.types import HarnessError
try:
    with local._output_in(Path("/dev/full")):
        raise HarnessError("disk full while writing x")
except HarnessError as error:
    print("told:", error)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_keeps_its_message_though_the_log_is_on_it() -> None:
    """Before, the traceback that could not be written took the place of what had failed."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_LOG],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("told: disk full while writing x\n")


@pytest.mark.slow
def test_an_error_of_the_system_in_a_worker_is_one_line_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "unread.py").write_text(
        "def run(folder, evaluations, report, asking):\n"
        "    raise OSError(5, 'Input/output error', str(folder.metrics))\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        ended = launch(tmp_path, [spec()], target="unread:run")
    finally:
        sys.path.remove(str(tmp_path))
    folder = RunFolder(tmp_path, spec())
    reason = ended.report.failed[spec().id]
    assert reason.startswith(f"{folder.metrics}: Input/output error; check that the folder is there")
    assert "\n" not in reason


def test_runs_below_a_file_are_one_line_each_and_no_worker_dies(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    ended = launch(tmp_path, [spec()])
    assert f"{tmp_path / 'runs'}" in ended.report.failed[spec().id]
    assert "exit code" not in ended.report.failed[spec().id]


@pytest.mark.slow
def test_one_worker_goes_on_after_a_failure(tmp_path: Path) -> None:
    specs = [spec(seed=seed) for seed in (BUG, KILLED, 0)]
    ended = launch(tmp_path, specs, jobs=1)
    assert ended.report.done == [specs[2].id]
    assert list(ended.report.failed) == [each.id for each in specs[:2]]


@pytest.mark.slow
def test_trainer_that_does_not_finish_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text("def run(folder, evaluations, report, asking):\n    return ''\n")
    sys.path.insert(0, str(tmp_path))
    try:
        ended = launch(tmp_path, [spec()], target="lazy:run")
    finally:
        sys.path.remove(str(tmp_path))
    assert ended.report.failed[spec().id].startswith("it ended partial, see ")


def test_no_minutes_left_starts_nothing_and_says_what_is_left(tmp_path: Path) -> None:
    ended = launch(tmp_path, [spec()], minutes=0.0)
    assert (ended.report.done, ended.report.left) == ([], [spec().id])
    assert states(tmp_path, [spec()]) == [RunState.ABSENT]


@pytest.mark.slow
def test_minutes_stop_at_the_end_of_a_run(tmp_path: Path) -> None:
    specs = [spec(seed=seed, steps=100) for seed in range(50)]
    ended = launch(tmp_path, specs, jobs=1, minutes=1 / 60)
    assert ended.report.done
    assert ended.report.left
    assert states(tmp_path, specs).count(RunState.PARTIAL) == 0


@pytest.mark.slow
def test_run_waits_for_the_one_it_continues(tmp_path: Path) -> None:
    first = spec(steps=50)
    second = spec(seed=2, start=first.id)
    assert launch(tmp_path, [second, first]).report.done == [first.id, second.id]


@pytest.mark.slow
def test_run_that_continues_a_failed_one_fails_with_it(tmp_path: Path) -> None:
    first = spec(seed=BUG)
    second = spec(seed=2, start=first.id)
    third = spec(seed=3, start=second.id)
    ended = launch(tmp_path, [third, second, first])
    assert ended.report.failed[second.id] == f"continues run {first.id}, which failed"
    assert ended.report.failed[third.id] == f"continues run {second.id}, which failed"


@pytest.mark.slow
def test_second_process_on_the_same_run_is_one_line(tmp_path: Path) -> None:
    specs = [spec(seed=0), spec(seed=2)]
    with RunFolder(tmp_path, specs[0]).lock():
        ended = launch(tmp_path, specs)
    assert ended.report.done == [specs[1].id]
    assert f"by another process (pid {os.getpid()})" in ended.report.failed[specs[0].id]
    assert states(tmp_path, specs[:1]) == [RunState.ABSENT], "the other process's run is not marked failed"


@pytest.mark.slow
def test_run_done_by_another_process_meanwhile_is_not_trained_again(tmp_path: Path) -> None:
    plan = planned(tmp_path, [spec()])
    launch(tmp_path, [spec()])
    folder = RunFolder(tmp_path, spec())
    before = folder.metrics.read_bytes()
    console = Console(file=io.StringIO())
    assert launcher.launch(plan, options(tmp_path), console=console, target="support.fakes:run").done == [spec().id]
    assert folder.metrics.read_bytes() == before


def test_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"1 runs need about 1000000000000 MB .* are free: free space") as error:
        launch(tmp_path, [spec()], profile="unreachable")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_evaluated_rows_need_no_training(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, spec())
    launch(tmp_path, [folder.spec])
    before = folder.metrics.read_bytes()
    (folder.path / "done").unlink()
    (folder.path / "rows.jsonl").unlink()
    assert folder.state((LAST,)) is RunState.UNEVALUATED
    launch(tmp_path, [folder.spec])
    assert folder.state((LAST,)) is RunState.DONE
    assert folder.metrics.read_bytes() == before
    assert [r.run for r in folder.rows()] == [row(folder.spec).run]


@pytest.mark.slow
def test_plugin_reaches_the_workers(tmp_path: Path) -> None:
    plugin = tmp_path / "my_method.py"
    plugin.write_text(
        "from dataclasses import dataclass\nfrom harness.method import Method\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass MyMethod(Method):\n    weight: float = 1.0\n"
    )
    (tmp_path / "builder.py").write_text(
        "from support import fakes\nfrom harness import registry\n\n\n"
        "def run(folder, evaluations, report, asking):\n"
        "    fakes.run(folder, evaluations, report, asking)\n"
        "    return str(registry.build_method(folder.spec.method))\n"
    )
    registry.load_plugin(plugin)
    sys.path.insert(0, str(tmp_path))
    try:
        mine = dataclasses.replace(spec(), method=registry.method_spec("my_method"))
        ended = launch(tmp_path, [mine], target="builder:run", plugin=plugin)
    finally:
        sys.path.remove(str(tmp_path))
        registry._plugin.clear()
    assert ended.report.failed == {}
    assert "MyMethod(weight=1.0)" in ended.text


SLOW_LAUNCH = f"""
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits SIGINT ignored
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, {str(Path(__file__).parent)!r}]
from harness import registry
from test_local import launch, spec
if __name__ == "__main__":
    registry.PROFILES_MODULE = "support.fakes"
    launch(Path(sys.argv[1]), [spec(seed={SLOW})], jobs=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_stopped_launcher_takes_its_workers_along_and_the_run_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    """The worker sleeps for a minute; the lock must be free long before, and its checkpoint of use."""
    script = tmp_path / "slow_launch.py"
    script.write_text(SLOW_LAUNCH)
    folder = RunFolder(tmp_path, spec(seed=SLOW))
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        while folder.last_step() != 2 or len(files.read_jsonl(folder.metrics)) < 3:
            assert parent.poll() is None, "the launcher ended by itself"
            time.sleep(0.02)
    finally:
        parent.send_signal(how)
    parent.wait(timeout=300)
    wait_for_lock(folder)
    assert folder.state((LAST,)) is RunState.PARTIAL
    assert folder.last_step() == 2


def wait_for_lock(folder: RunFolder) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with folder.lock():
                return
        except HarnessError:
            time.sleep(0.05)
    pytest.fail("the worker outlived its launcher")


@pytest.mark.slow
def test_terminal_shows_bars(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=160, force_terminal=True)
    launcher.launch(planned(tmp_path, [spec()]), options(tmp_path), console=console, target="support.fakes:run")
    assert isinstance(console.file, io.StringIO)
    assert "10/10" in console.file.getvalue() or "1/1" in console.file.getvalue()


def test_heartbeat_says_what_is_under_way_where_there_are_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=160)
    with launcher.Display(console, 2) as display:
        display.start(spec())
        display.step(spec(), launcher.Step(4, 10))
        display.heartbeat()
        assert isinstance(console.file, io.StringIO)
        assert console.file.getvalue() == ""
        monkeypatch.setattr(launcher, "HEARTBEAT_SECONDS", 0.0)
        display.heartbeat()
    assert console.file.getvalue() == f"[0/2] under way: {spec().id} step 4/10\n"


def test_an_evaluation_says_which_of_how_many_it_is(tmp_path: Path) -> None:
    asked = launcher.Asked("quiz", 3, 6)
    assert str(asked) == "evaluating quiz, 3 of 6"
    sent: list[object] = []
    launcher.Clock(sent.append).asking("quiz", 3, 6)
    assert sent == [asked]
    console = Console(file=io.StringIO(), width=160, force_terminal=True)
    with launcher.Display(console, 1) as display:
        display.start(spec())
        display.step(spec(), asked)
    assert isinstance(console.file, io.StringIO)
    assert "evaluating quiz" in console.file.getvalue() and "3/6" in console.file.getvalue()


@pytest.mark.slow
def test_workers_tell_of_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(launcher.Display, "step", lambda self, spec, step: shown.append(str(step)))
    launch(tmp_path, [spec()])
    assert shown == [*(f"step {n}/10" for n in range(1, 10)), "evaluating", "evaluating quiz, 1 of 1"]


def test_a_run_whose_steps_are_done_is_evaluating() -> None:
    assert [str(launcher.Step(n, 10)) for n in (3, 10)] == ["step 3/10", "evaluating"]
    assert str(launcher.Step(0, 0)) == "evaluating", "a model that is not trained"


def test_clock_splits_training_from_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 103.0, 107.0, 112.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    sent: list[launcher.Step | launcher.Asked] = []
    clock = launcher.Clock(sent.append)
    clock.report(1, 2, {})
    clock.report(2, 2, {})
    assert clock.read() == {"train_seconds": 7.0, "evaluation_seconds": 5.0}
    assert sent == [launcher.Step(1, 2), launcher.Step(2, 2)]
