"""One thread, and a table of what was measured at the end of the session."""

from __future__ import annotations

import pytest
import torch
from crosscheck.batches import Record

MEASURED: dict[tuple[str, str], tuple[float, float]] = {}
"""(what, against) -> largest relative difference of value and of gradient over the batches compared."""


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def record() -> Record:
    """Keep a comparison for the table: what, against what, difference of value, difference of gradient."""

    def keep(what: str, against: str, value: float, gradient: float) -> None:
        before = MEASURED.get((what, against), (0.0, 0.0))
        MEASURED[what, against] = (max(before[0], value), max(before[1], gradient))

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The rows of ``docs/crosscheck.md``."""
    if not MEASURED:
        return
    terminalreporter.section("relative differences measured")
    for (what, against), (value, gradient) in MEASURED.items():
        terminalreporter.write_line(f"| `{what}` | {against} | {value:.0e} | {gradient:.0e} |")
