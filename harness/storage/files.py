"""Plain files that survive kill -9, a full disk and a second process. No torch."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.types import HarnessError

PART = ".tmp"
"""Ending of what is being written; its name begins with a dot."""


@contextlib.contextmanager
def disk_guard(path: Path) -> Iterator[None]:
    """Turns a full disk (or quota) while ``path`` is written into a one-line ``HarnessError``."""
    try:
        yield
    except HarnessError:
        raise  # told already
    except Exception as error:
        if not _is_disk_full(error):
            raise
        raise HarnessError(
            f"disk full while writing {path}: everything written before is kept, this file was not replaced; "
            "free space and run the same command again"
        ) from error


def told(error: OSError, path: Path) -> str:
    """An error of the system in one line, with the file it is about.

    Args:
        path: what was read or written, where the error does not say.
    """
    reason = error.strerror or str(error)
    return f"{error.filename or path}: {reason}; check that the folder is there and can be read and written"


def _is_disk_full(error: BaseException | None) -> bool:
    """True if a full disk is the cause. torch hides the OSError in the context, safetensors in the text."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if f"(os error {errno.ENOSPC})" in str(error):
            return True
        error = error.__context__
    return False


def write_text_atomic(path: Path, text: str) -> None:
    """The text in UTF-8, see ``write_bytes_atomic``."""
    write_bytes_atomic(path, text.encode())


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Writes beside ``path``, syncs, renames: a reader sees the old content or the new, never a part.

    Raises:
        HarnessError: the disk is full; the old file is untouched.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    with disk_guard(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                part.unlink(missing_ok=True)
            raise


def remove_parts(folder: Path) -> None:
    """Removes what killed writers left below a folder; to be called by its only writer, under its lock."""
    for path in folder.rglob(f".*{PART}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_json_atomic(path: Path, value: Any) -> None:
    """Indented JSON with a final newline; NaN and infinities raise ``ValueError``."""
    write_text_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, kind: type[Any] = object) -> Any:
    """The value of a JSON file.

    Args:
        kind: ``dict`` or ``list``, where only that will do.

    Raises:
        HarnessError: the file is damaged, or holds another kind of value.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise HarnessError(f"{path} is not JSON ({error}): move it away and run again") from error
    if not isinstance(value, kind):
        raise HarnessError(
            f"{path} holds a {type(value).__name__}, not a {kind.__name__}: it is damaged, move it away and run again"
        )
    return value


def jsonl(records: list[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Adds one line. A torn last line, left by a killed writer, is cut off first.

    Raises:
        HarnessError: the disk is full; the lines before are kept.
    """
    line = json.dumps(record, allow_nan=False) + "\n"
    with disk_guard(path), path.open("a+b") as file:
        _cut_torn_line(file.fileno())
        file.write(line.encode())


ANEW = "bring the file back from a copy, or delete the run's folder and make it anew"
"""What helps in general where a file of a run is damaged."""


def read_jsonl(path: Path, *, cure: str = ANEW) -> list[dict[str, Any]]:
    """Records of a jsonl file; an absent file has none, a torn last line is not counted.

    ``cure`` is what the message says of a damaged line.

    Raises:
        HarnessError: a whole line is not a JSON object.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise HarnessError(f"{path} line {number} is damaged (not a JSON object): {cure}")
        records.append(record)
    return records


def keep_jsonl(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Drops the records for which ``keep`` is false: those after the checkpoint a run resumes from."""
    if path.exists():
        write_text_atomic(path, jsonl([record for record in read_jsonl(path) if keep(record)]))


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class RunLock:
    """At most one process writes a folder. Held until the process ends, however it ends; re-entrant.

    Example::

        with RunLock(folder / ".lock", name="dopd-...-3fa91c02aa"):
            ...
    """

    def __init__(self, path: Path, *, name: str) -> None:
        from filelock import FileLock  # a sixth of the imports of a plan, which locks nothing

        self._path = path
        self._name = name
        self._lock = FileLock(path, timeout=0)

    def __enter__(self) -> Self:
        from filelock import Timeout

        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout as error:
            holder = self._path.read_text(encoding="utf-8", errors="replace").strip() or "unknown"
            raise HarnessError(
                f"run {self._name} is being written by another process (pid {holder}): "
                "wait for it or stop it, then run the same command again"
            ) from error
        with disk_guard(self._path):
            self._path.write_text(str(os.getpid()), encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


def _cut_torn_line(descriptor: int) -> None:
    """Truncates a file to just after its last newline."""
    end = os.fstat(descriptor).st_size
    block = 4096
    keep, start = 0, end
    while start > 0:
        start = max(0, start - block)
        newline = os.pread(descriptor, min(block, end - start), start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
    if keep != end:
        os.ftruncate(descriptor, keep)
