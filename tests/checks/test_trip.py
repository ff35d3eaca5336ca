"""How far a text goes until it has its first score, counted: each file on the way is one more place to look."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.drive_run import short_run

from harness.training import loop, step
from harness.training.trainer import prepare
from harness.types import Example

ROOT = Path(__file__).resolve().parents[2]
MOST = 8
LONG = 60
"""Characters: what is shorter is a name."""


def is_text(value: Any, depth: int = 0) -> bool:
    """An example, a turn, a prompt, or a short collection that begins with one."""
    if isinstance(value, str):
        return len(value) > LONG
    if isinstance(value, dict):
        return {"role", "content"} <= value.keys() or (depth < 2 and any(is_text(v, depth + 1) for v in value.values()))
    if isinstance(value, (list, tuple)) and depth < 2:
        return any(is_text(each, depth + 1) for each in value[:2])
    return isinstance(value, Example)


@pytest.mark.slow
def test_a_text_passes_few_files_before_it_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one step of DOPD: files with a function to which an example, its turns or its p are handed."""

    class ScoredError(Exception):
        pass

    def scored(*_: object, **__: object) -> None:
        raise ScoredError

    handed: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        path, code = Path(frame.f_code.co_filename), frame.f_code
        if event == "call" and path.is_relative_to(ROOT / "harness"):
            given = list(frame.f_locals.values())[: code.co_argcount + code.co_kwonlyargcount]
            if any(map(is_text, given)):
                handed.add(path.relative_to(ROOT).as_posix())

    trainer = prepare(short_run("dopd", 2), tmp_path)
    monkeypatch.setattr(step, "score", scored)
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with pytest.raises(ScoredError):
            loop.train_step(trainer)
    finally:
        sys.setprofile(before)
    assert {"harness/models/prompts.py", "harness/worlds/privilege.py"} < handed
    assert len(handed) <= MOST, sorted(handed)
