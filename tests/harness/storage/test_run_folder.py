"""Run folders: identity, states, rows, and a run killed at random moments."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.fakes import LAST, checkpoint, cost, row, run, spec

from harness.config import RunSpec, from_json, to_json
from harness.storage import files, run_folder
from harness.storage.code import Code, MadeBy, code_of
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, reference_run
from harness.types import HarnessError

EARLY = Evaluation(5, "quiz", "greedy")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path, spec())
    made.prepare()
    return made


def test_states_from_absent_to_done(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, spec())
    assert folder.state((LAST,)) is RunState.ABSENT
    folder.prepare()
    assert folder.state((LAST,)) is RunState.PARTIAL
    checkpoint(folder, 5)
    assert (folder.last_step(), folder.state((LAST,))) == (5, RunState.PARTIAL)
    checkpoint(folder, 10)
    assert folder.state((LAST,)) is RunState.UNEVALUATED
    folder.write_rows([row(folder.spec)])
    assert folder.state((LAST,)) is RunState.UNEVALUATED, "done is written last"
    folder.mark_done((LAST,))
    assert folder.state((LAST,)) is RunState.DONE


def test_folder_is_named_by_the_spec_and_holds_it(folder: RunFolder) -> None:
    assert folder.path.name == folder.spec.id
    assert from_json(files.read_json(folder.path / "spec.json")) == folder.spec


def test_another_spec_is_another_folder(tmp_path: Path) -> None:
    assert RunFolder(tmp_path, spec(seed=0)).path != RunFolder(tmp_path, spec(seed=1)).path


def test_new_benchmark_evaluates_and_does_not_retrain(folder: RunFolder) -> None:
    checkpoint(folder, 10)
    folder.write_rows([row(folder.spec)])
    folder.mark_done((LAST,))
    wanted = (
        LAST,
        EARLY,
        Evaluation("last", "quiz", "sample4"),
        Evaluation("last", "quiz", "greedy", version=2),
    )
    assert folder.state(wanted) is RunState.UNEVALUATED
    assert folder.missing(wanted) == wanted[1:]


def test_reference_run_needs_no_checkpoint(tmp_path: Path) -> None:
    from support.fakes import PROFILE

    folder = RunFolder(tmp_path, reference_run(PROFILE, PROFILE.student))
    assert folder.state((LAST,)) is RunState.ABSENT
    folder.prepare()
    assert folder.state((LAST,)) is RunState.UNEVALUATED
    folder.write_rows([row(folder.spec)])
    folder.mark_done((LAST,))
    assert folder.state((LAST,)) is RunState.DONE


def test_failed_until_the_next_attempt(folder: RunFolder) -> None:
    folder.mark_failed("why")
    assert folder.state((LAST,)) is RunState.FAILED
    folder.prepare()
    assert folder.state((LAST,)) is RunState.PARTIAL


def test_not_done_without_the_wanted_rows(folder: RunFolder) -> None:
    folder.write_rows([row(folder.spec)])
    with pytest.raises(HarnessError, match=r"no rows of quiz@1 greedy step 5: evaluate it"):
        folder.mark_done((LAST, EARLY))
    assert not (folder.path / "done").exists()


def test_evaluation_at_a_step_without_checkpoint_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"no checkpoint at step 7 .*kept: 0, 2, 4, 6"):
        Evaluation(7, "quiz", "greedy").at(spec(steps=20))


def test_rows_do_not_depend_on_order_or_number_of_writes(tmp_path: Path) -> None:
    parts = [row(spec(), LAST), row(spec(), EARLY), row(spec(), LAST, metric="exact_trace")]
    written = set()
    for number, order in enumerate(itertools.permutations(parts)):
        folder = RunFolder(tmp_path / str(number), spec())
        folder.prepare()
        folder.write_rows(order[:1])
        folder.write_rows(order[1:])
        written.add((folder.path / "rows.jsonl").read_bytes())
        assert folder.rows() == RunFolder(tmp_path / "0", spec()).rows()
    assert len(written) == 1


def other(monkeypatch: pytest.MonkeyPatch, training: str = "other", evaluation: str = "other") -> None:
    """From here on it is other code that runs."""
    monkeypatch.setattr(run_folder, "code_of", lambda spec: Code(training, evaluation))


def test_a_run_goes_on_by_the_code_that_began_it_only(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    here = code_of(folder.spec)
    folder.check_code()
    checkpoint(folder, 5)
    folder.check_code()
    other(monkeypatch, here.training)
    folder.check_code()  # another evaluation stops no training
    other(monkeypatch)
    with pytest.raises(HarnessError) as refused:
        folder.check_code()
    assert str(refused.value) == (
        f"run {folder.spec.id} cannot go on: it was begun by other code (digest {here.training}, here other); delete "
        "its folder or select it with --force, and it is trained anew; or go back to that code"
    )


def test_a_run_without_a_checkpoint_begins_by_any_code(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    other(monkeypatch)
    folder.check_code()
    folder.prepare()
    checkpoint(folder, 5)
    folder.check_code()
    assert folder.trained_by() == "other"


def test_a_run_of_earlier_code_does_not_go_on(folder: RunFolder) -> None:
    checkpoint(folder, 5)
    records = [{k: v for k, v in e.items() if not k.endswith("_code")} for e in folder.environments()]
    files.write_json_atomic(folder.path / "environment.json", records)
    with pytest.raises(HarnessError, match=r"it was begun by earlier code \(digest none, here"):
        folder.check_code()


def test_evaluating_by_other_code_does_not_take_over_the_training(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = code_of(folder.spec).training
    checkpoint(folder, 10)
    other(monkeypatch)
    folder.prepare()
    assert [e["training_code"] for e in folder.environments()] == [trained] * 2
    assert folder.environments()[1]["evaluation_code"] == "other"
    assert folder.trained_by() == trained


def test_what_made_a_run_is_the_worst_of_its_rows(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(folder, 10)
    first, last = row(folder.spec, EARLY), row(folder.spec, LAST)
    folder.write_rows([first, dataclasses.replace(last, evaluation_code="older")])
    assert folder.made_by((EARLY,)) is MadeBy.THIS
    assert folder.made_by((EARLY, LAST)) is MadeBy.OTHER
    folder.write_rows([dataclasses.replace(first, training_code="")])
    assert folder.made_by((EARLY, LAST)) is MadeBy.EARLIER
    assert folder.made_by(()) is MadeBy.THIS
    other(monkeypatch)
    assert folder.made_by(()) is MadeBy.OTHER


def test_row_of_the_same_key_is_replaced(folder: RunFolder) -> None:
    folder.write_rows([row(folder.spec, value=0.1)])
    folder.write_rows([row(folder.spec, value=0.2)])
    assert folder.rows() == [row(folder.spec, value=0.2)]


def test_writing_rows_takes_done_back(folder: RunFolder) -> None:
    """Else a kill between the two files would leave rows that are not those of ``done``."""
    folder.write_rows([row(folder.spec)])
    folder.mark_done()
    folder.write_rows([row(folder.spec, EARLY)])
    assert not (folder.path / "done").exists()
    assert len(folder.rows()) == 2


def test_changed_rows_of_a_done_run_are_refused(folder: RunFolder) -> None:
    folder.write_rows([row(folder.spec, value=0.25)])
    folder.mark_done()
    path = folder.path / "rows.jsonl"
    path.write_text(path.read_text().replace("0.25", "0.95"))
    with pytest.raises(HarnessError, match=r"not what was written.*delete rows.jsonl and done") as error:
        folder.state((LAST,))
    assert "\n" not in str(error.value)


def test_rows_of_another_version_are_refused(folder: RunFolder) -> None:
    record = dataclasses.asdict(row(folder.spec)) | {"colour": "red"}
    rows = folder.path / "rows.jsonl"
    rows.write_text(json.dumps(record) + "\n")
    files.write_json_atomic(folder.path / "done", {"rows_sha256": files.sha256(rows)})
    with pytest.raises(HarnessError, match=r"another version .*colour"):
        folder.rows()


def test_cost_comes_back(folder: RunFolder) -> None:
    assert folder.cost() is None
    folder.write_cost(cost(folder.spec))
    assert folder.cost() == cost(folder.spec)


def test_samples_are_named_by_evaluation(folder: RunFolder) -> None:
    folder.write_samples(LAST, [{"id": "a", "answer": True}])
    assert folder.samples(LAST).name == "step-000010.quiz@1.greedy.jsonl"
    assert files.read_jsonl(folder.samples(LAST)) == [{"id": "a", "answer": True}]


@pytest.mark.parametrize("gone", [(), ("done",), ("written.json",)])
@pytest.mark.parametrize("again", [False, True])
def test_changed_samples_are_refused(folder: RunFolder, gone: tuple[str, ...], again: bool) -> None:
    """Before, tables of items took whatever stood there; also after a run that found all done and said so again."""
    right = [{"id": "a", "answer": False}]
    folder.write_samples(LAST, right)
    folder.write_rows([row(folder.spec, value=0.25)])
    folder.mark_done()
    done = (folder.path / "done").read_bytes()
    for name in gone:
        (folder.path / name).unlink()
    assert folder.read_samples(LAST) == right
    folder.samples(LAST).write_text('{"id": "a", "answer": true}\n')
    if again:
        folder.mark_done()
        assert (folder.path / "done").read_bytes() == done
    with pytest.raises(HarnessError, match=r"not what was written.*delete rows.jsonl and done") as error:
        folder.read_samples(LAST)
    assert "\n" not in str(error.value)
    folder.write_samples(LAST, right)
    assert folder.read_samples(LAST) == right


def better(folder: RunFolder) -> None:
    path = folder.path / "rows.jsonl"
    path.write_text(path.read_text().replace("0.25", "0.99"))


@pytest.mark.parametrize("gone", [("done",), ("done", "written.json"), ("written.json", "done")])
def test_rows_that_were_changed_do_not_count_when_done_is_gone(folder: RunFolder, gone: tuple[str, ...]) -> None:
    """Before, without ``done`` whatever stood there was taken."""
    checkpoint(folder, 10)
    folder.write_rows([row(folder.spec, value=0.25)])
    folder.mark_done((LAST,))
    better(folder)
    for name in gone:
        (folder.path / name).unlink(missing_ok=True)
    assert (folder.rows(), folder.state((LAST,))) == ([], RunState.UNEVALUATED)
    with pytest.raises(HarnessError, match="not what was written"):
        folder.mark_done()
    assert folder.drop_changed_rows() == "rows.jsonl was not what was written: its rows are made anew"
    assert folder.drop_changed_rows() == ""
    folder.write_rows([row(folder.spec, value=0.25)])
    folder.mark_done((LAST,))
    assert [found.value for found in folder.rows()] == [0.25]


def test_rows_as_they_were_written_count_when_done_is_gone(folder: RunFolder) -> None:
    checkpoint(folder, 10)
    folder.write_rows([row(folder.spec, value=0.25)])
    folder.mark_done((LAST,))
    (folder.path / "done").unlink()
    assert folder.missing((LAST,)) == ()
    assert folder.drop_changed_rows() == ""
    folder.mark_done((LAST,))
    assert folder.state((LAST,)) is RunState.DONE


@pytest.mark.parametrize("writes", [1, 2])
def test_a_writer_killed_between_its_files_loses_no_row(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    folder.write_rows([row(folder.spec, value=0.25)])
    folder.mark_done((LAST,))
    replace, done = os.replace, []

    def stop(source: Path, target: Path) -> None:
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        if writes == 1:
            with pytest.raises(KeyboardInterrupt):
                folder.write_rows([row(folder.spec, EARLY)])
        else:
            folder.write_rows([row(folder.spec, EARLY)])
    assert len(folder.rows()) == writes
    assert not (folder.path / "done").exists()


@pytest.mark.parametrize("name", ["done", "environment.json", "models.json", "published.json", "costs.json"])
@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"a": 1', "[{}", "[5]", ""])
def test_json_of_another_kind_is_one_line_and_no_traceback(folder: RunFolder, name: str, text: str) -> None:
    folder.write_rows([row(folder.spec)])
    folder.write_cost(cost(folder.spec))
    folder.mark_done((LAST,))
    (folder.path / name).write_text(text)
    readers = {
        "done": folder.rows,
        "environment.json": folder.environments,
        "models.json": lambda: folder.keep_models({"m": "x"}),
        "published.json": folder.published,
        "costs.json": folder.cost,
    }
    whole = {("environment.json", "[]"), ("published.json", "[]"), ("published.json", "[5]")}
    if (name, text) in whole:
        readers[name]()
        return
    with pytest.raises(HarnessError, match=folder.spec.id) as error:
        readers[name]()
    assert "\n" not in str(error.value)


def test_the_diff_is_recorded_in_whatever_bytes_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte that is no UTF-8 failed every run."""
    code = tmp_path / "code"
    code.mkdir()
    git = ("git", "-C", str(code), "-c", "user.name=a", "-c", "user.email=a@b")
    (code / "log.md").write_text("fine\n")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "one")):
        subprocess.run((*git, *command), check=True)
    (code / "log.md").write_bytes(b"caf\xe9\r\n")
    monkeypatch.setattr(run_folder, "__file__", str(code / "harness" / "storage" / "run_folder.py"))
    monkeypatch.setattr(run_folder, "environment", run_folder.environment.__wrapped__)
    folder = RunFolder(tmp_path, spec())
    folder.prepare()
    (path,) = folder.path.glob("*.diff")
    assert b"+caf\xe9\r\n" in path.read_bytes()
    assert folder.environments()[0]["diff_sha256"] == files.sha256(path)


def test_leftovers_of_killed_writers_go_when_the_next_begins(folder: RunFolder) -> None:
    part = folder.path / ".rows.jsonl.12345.tmp"
    part.write_text("half")
    folder.prepare()
    assert not part.exists()


def test_a_stray_folder_beside_the_checkpoints_is_no_step(folder: RunFolder) -> None:
    checkpoint(folder, 5)
    (folder.checkpoints / "step-000005").rename(folder.checkpoints / "step-000009.bak")
    checkpoint(folder, 5)
    assert folder.last_step() == 5


def edit_spec(folder: RunFolder) -> None:
    files.write_json_atomic(folder.path / "spec.json", to_json(dataclasses.replace(folder.spec, seed=7)))


def test_edited_spec_is_refused_wherever_the_folder_is_opened(tmp_path: Path, folder: RunFolder) -> None:
    edit_spec(folder)
    for action in (folder.prepare, folder.state, lambda: list(run_folder.folders(tmp_path))):
        with pytest.raises(HarnessError, match=r"seed7-\w+, not of its folder.*move the folder away"):
            action()


def test_spec_of_another_version_is_one_line(folder: RunFolder) -> None:
    files.write_json_atomic(folder.path / "spec.json", {"profile": "fake"})
    with pytest.raises(HarnessError, match=r"another version") as error:
        folder.state()
    assert "\n" not in str(error.value)


def test_folders_lists_every_run(tmp_path: Path) -> None:
    specs = [spec(seed=seed) for seed in range(3)]
    for each in specs:
        RunFolder(tmp_path, each).prepare()
    assert [folder.spec for folder in run_folder.folders(tmp_path)] == sorted(specs, key=lambda s: s.id)
    assert list(run_folder.folders(tmp_path / "nowhere")) == []


def test_clear_leaves_only_the_lock(folder: RunFolder) -> None:
    with folder.lock():
        run(folder, (LAST,), lambda step, steps, metrics: None)
        folder.clear()
        assert [path.name for path in folder.path.iterdir()] == [".lock"]
    assert folder.state() is RunState.ABSENT


def test_environment_is_recorded_once_and_again_when_it_changes(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.path / "environment.json"
    first = files.read_json(path)
    folder.prepare()
    assert files.read_json(path) == first
    monkeypatch.setattr(run_folder, "environment", lambda: ({"commit": "abc", "diff_sha256": "d" * 64}, b"- a\n+ b\n"))
    folder.prepare()
    here = code_of(folder.spec)
    changed = {"commit": "abc", "diff_sha256": "d" * 64, "torch_threads": 1}
    changed |= {"training_code": here.training, "evaluation_code": here.evaluation}
    assert files.read_json(path) == [*first, changed]
    assert (folder.path / f"{'d' * 10}.diff").read_text() == "- a\n+ b\n"


def test_environment_says_versions_machine_and_commit() -> None:
    record, diff = run_folder.environment()
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["versions"]["torch"]
    assert record["machine"]["cores"] >= 1
    assert (record["diff_sha256"] is None) == (diff == b"")


def killed_and_resumed(results: Path, moments: list[float]) -> None:
    tests = Path(__file__).resolve().parents[2]
    command = [sys.executable, str(tests / "support" / "fakes.py"), str(results)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tests.parent, tests)))}
    metrics = RunFolder(results, spec(steps=100)).metrics
    for seconds in moments:
        before = metrics.read_bytes() if metrics.exists() else b""
        victim = subprocess.Popen(command, env=environment)
        while victim.poll() is None and (not metrics.exists() or metrics.read_bytes() == before):
            time.sleep(0.01)
        time.sleep(seconds)
        victim.kill()
        assert victim.wait() == -signal.SIGKILL, "it ended before it could be killed"
    subprocess.run(command, env=environment, check=True)


@pytest.mark.slow
def test_killed_run_ends_with_the_bytes_of_one_never_killed(tmp_path: Path) -> None:
    """Real processes and SIGKILL at random moments; the real trainer has its own such test."""
    moments = [random.Random(0).uniform(0.0, 0.2) for _ in range(3)]
    killed_and_resumed(tmp_path / "killed", moments)
    killed_and_resumed(tmp_path / "whole", [])
    the_spec: RunSpec = spec(steps=100)
    ended = [RunFolder(tmp_path / name, the_spec) for name in ("killed", "whole")]
    assert [folder.state((LAST,)) for folder in ended] == [RunState.DONE] * 2
    for name in ("rows.jsonl", "done", "metrics.jsonl"):
        first, second = [(folder.path / name).read_bytes() for folder in ended]
        assert first == second, name
