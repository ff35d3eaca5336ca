"""Files that survive kill -9, a full disk and a second process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.storage import files
from harness.types import HarnessError

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


def test_atomic_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    files.write_text_atomic(path, "old")
    files.write_text_atomic(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert list(path.parent.iterdir()) == [path]


def test_writer_stopped_before_the_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    files.write_text_atomic(path, "old")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        files.write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@needs_full
def test_full_disk_is_one_line_that_says_what_is_kept(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"disk full.*kept.*free space") as error:
        files.append_jsonl(FULL, {"a": 1})
    assert "\n" not in str(error.value)


def test_other_system_errors_are_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        files.append_jsonl(tmp_path, {"a": 1})


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.append_jsonl(tmp_path / "a.jsonl", {"loss": float("nan")})


@pytest.mark.parametrize("torn", [b'{"b": 2', b'{"b": "' + b"x" * 10_000, b"\xff\xfe"])
def test_torn_last_line_is_not_read_and_cut_by_the_next_append(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    files.append_jsonl(path, {"a": 1})
    path.write_bytes(path.read_bytes() + torn)
    assert files.read_jsonl(path) == [{"a": 1}]
    files.append_jsonl(path, {"c": 3})
    assert path.read_bytes() == b'{"a": 1}\n{"c": 3}\n'


def test_file_that_is_one_torn_line_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a"')
    assert files.read_jsonl(path) == []
    files.append_jsonl(path, {"c": 3})
    assert path.read_bytes() == b'{"c": 3}\n'


@pytest.mark.parametrize("damage", [b"{{\n", b"[1]\n", b"\n", b'{"a": "\xff"}\n'])
def test_damaged_line_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + damage + b'{"c": 3}\n')
    with pytest.raises(
        HarnessError, match=r"a\.jsonl line 2 is damaged.*delete the run.s folder and make it anew"
    ) as error:
        files.read_jsonl(path)
    assert "\n" not in str(error.value)


def test_keep_jsonl_drops_records(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for step in range(5):
        files.append_jsonl(path, {"step": step})
    files.keep_jsonl(path, lambda record: record["step"] <= 2)
    assert [record["step"] for record in files.read_jsonl(path)] == [0, 1, 2]
    files.keep_jsonl(tmp_path / "absent.jsonl", lambda record: True)
    assert not (tmp_path / "absent.jsonl").exists()


def test_damaged_json_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a":')
    with pytest.raises(HarnessError, match=r"a\.json is not JSON") as error:
        files.read_json(path)
    assert "\n" not in str(error.value)


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until it is stopped."""
    script = (
        "import sys, time; from pathlib import Path; from harness.storage.files import RunLock\n"
        f"with RunLock(Path({str(path)!r}), name='x'):\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_process_gets_one_line_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    with holder(path) as process:
        try:
            with pytest.raises(HarnessError) as error, files.RunLock(path, name="dopd-seed0"):
                pass
            message = str(error.value)
            assert f"run dopd-seed0 is being written by another process (pid {process.pid})" in message
            assert "\n" not in message
        finally:
            process.send_signal(signal.SIGKILL)
    with files.RunLock(path, name="dopd-seed0"):
        assert path.read_text() == str(os.getpid())


def test_lock_is_reentrant_on_one_object_and_free_afterwards(tmp_path: Path) -> None:
    lock = files.RunLock(tmp_path / ".lock", name="x")
    with lock:
        with lock:
            pass
        with pytest.raises(HarnessError), files.RunLock(tmp_path / ".lock", name="x"):
            pass
    with files.RunLock(tmp_path / ".lock", name="x"):
        pass


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".rows.jsonl.123.tmp", "samples/.a.jsonl.9.tmp", ".lock", "notes.tmp", "rows.jsonl"):
        files.write_text_atomic(tmp_path / name, "x")
    (tmp_path / "checkpoints" / ".step-000003.tmp").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".step-000003.tmp" / "weights.safetensors").write_text("half")
    files.remove_parts(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {".lock", "notes.tmp", "rows.jsonl"}
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize(("text", "kind"), [("{}", list), ("[]", dict), ("5", dict), ("null", list)])
def test_json_of_another_kind_is_one_line(tmp_path: Path, text: str, kind: type) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(HarnessError, match=rf"a\.json holds a \w+, not a {kind.__name__}: it is damaged") as error:
        files.read_json(path, kind)
    assert "\n" not in str(error.value)


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    """A guard around another does not put its own file in the place of the one that was written."""
    guards = files.disk_guard(Path("outer")), files.disk_guard(Path("inner"))
    with pytest.raises(HarnessError, match="disk full while writing inner"), guards[0], guards[1]:
        raise OSError(28, "No space left on device")


def test_an_error_of_the_system_is_one_line_with_its_file() -> None:
    told = files.told(OSError(5, "Input/output error", "/mnt/a"), Path("b"))
    assert told == "/mnt/a: Input/output error; check that the folder is there and can be read and written"
    assert files.told(OSError("odd"), Path("b")).startswith("b: odd; ")
