"""What is shown to somebody who waits for a plan. No torch."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

from rich.console import Console

from harness.runs.plan import Track, untracked

PATIENCE = 1.0
"""Seconds without a word."""


@contextmanager
def shown_when_slow(console: Console | None = None, *, patience: float = PATIENCE) -> Iterator[Track]:
    """Tracks what is done; after some seconds it is shown on standard error, if that is a terminal, until the end.

    Args:
        console: in place of standard error.
    """
    if console is None and not sys.stderr.isatty():
        yield untracked
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f}"), TimeElapsedColumn())
    progress = Progress(*columns, console=console or Console(stderr=True), transient=True)
    progress.add_task("planning", total=None)
    shown = progress.tasks[0]

    def track(items: Iterable[Any], words: str) -> Iterable[Any]:
        shown.description = words
        for shown.completed, item in enumerate(items):  # the screen is drawn by a thread of its own, ten times a second
            yield item

    timer = Timer(patience, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield track
    finally:
        timer.cancel()
        timer.join()
        progress.stop()
