"""Somebody who waits for a plan is shown how far it is; who does not wait, or is no terminal, sees nothing."""

from __future__ import annotations

import io
import threading
import time

import pytest
from rich.console import Console

from harness.cli.waiting import shown_when_slow
from harness.runs.plan import untracked

NEVER = 3600.0


def terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=80), file


def test_what_is_done_is_shown_once_patience_is_over() -> None:
    console, file = terminal()
    with shown_when_slow(console, patience=0.0) as track:
        for _ in track(range(3), "reading runs"):
            deadline = time.monotonic() + 30
            while "reading runs" not in file.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)
    assert "reading runs" in file.getvalue()
    assert file.getvalue().endswith(("\x1b[2K", "\x1b[?25h")), "the line is taken away at the end"


def test_what_is_fast_shows_nothing_and_leaves_nothing_behind() -> None:
    console, file = terminal()
    before = set(threading.enumerate())
    with shown_when_slow(console, patience=NEVER) as track:
        assert list(track("abc", "reading runs")) == ["a", "b", "c"]
    assert file.getvalue() == ""
    assert set(threading.enumerate()) <= before  # those of others may end meanwhile


def test_an_error_ends_it_too() -> None:
    console, _ = terminal()
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="mine"), shown_when_slow(console, patience=0.0) as track:
        for _ in track(range(3), "planning"):
            raise ValueError("mine")
    deadline = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_what_is_no_terminal_is_shown_nothing() -> None:
    with shown_when_slow() as track:
        assert track is untracked
