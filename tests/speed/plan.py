"""CPU seconds and memory of ``dopd plan`` at few and at many runs, with and without the start of the process.

Each measurement is a process of its own, user and system time together; the kinds take turns, so that a machine that
slows down slows all of them. Nothing is on disk of the runs that are planned. With ``--before`` the code of another
checkout takes turns too. Run: ``python tests/speed/plan.py [--seeds 5,83] [--rounds 5] [--before ../older]``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parents[2]
START = "from harness import registry; from harness.cli import verbs; registry.suite('all')"
"""What every plan of all suites imports."""
MEBI = 1024 if sys.platform == "linux" else 1024**2
"""Units of ``ru_maxrss`` in a MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One process."""

    seconds: float
    """CPU time, user and system."""
    mebibytes: float
    """Largest resident set."""
    runs: int
    """Planned; 0 for the start alone."""


def measure(tree: Path, arguments: Sequence[str]) -> Measured:
    """A fresh interpreter on the code of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen([sys.executable, *arguments], cwd=tree, env=environment, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode} in {tree}")
        output.seek(0)
        last = output.read().splitlines()[-1:]
    runs = int(last[0].split()[0]) if last else 0
    return Measured(seconds=usage.ru_utime + usage.ru_stime, mebibytes=usage.ru_maxrss / MEBI, runs=runs)


def spread(values: Sequence[float]) -> str:
    """``1.52 (1.41-1.60)``: median, least and most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="5,83", help="counts of seeds of --suite all (83 are 9,964 runs)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, help="another checkout")
    given = parser.parse_args()
    trees = {"here": HERE, **({"before": given.before.resolve()} if given.before else {})}
    counts = given.seeds.split(",")
    with tempfile.TemporaryDirectory() as empty:
        plan = ["-m", "harness", "plan", "--suite", "all", "--results", empty, "--seeds"]
        kinds = {"start": ["-c", START], **{count: [*plan, count] for count in counts}}
        found: dict[tuple[str, str], list[Measured]] = {(kind, tree): [] for kind in kinds for tree in trees}
        for _ in range(given.rounds):
            for kind, tree in found:
                found[kind, tree].append(measure(trees[tree], kinds[kind]))
    heads = ("code", "runs", "CPU s", "beyond the start", "us a run", "peak MiB", "ratio to here", "n")
    table = Table(*heads, title="dopd plan --suite all; median (min-max)", title_justify="left")
    for (kind, tree), values in found.items():
        seconds = [each.seconds for each in values]
        beyond = [a.seconds - b.seconds for a, b in zip(values, found["start", tree], strict=True)]
        runs = values[0].runs
        table.add_row(
            tree,
            f"{runs:,}" if runs else "start",
            spread(seconds),
            spread(beyond) if runs else "",
            f"{1e6 * statistics.median(beyond) / runs:.0f}" if runs else "",
            f"{max(each.mebibytes for each in values):.0f}",
            spread([a / b.seconds for a, b in zip(seconds, found[kind, "here"], strict=True)]),
            str(len(values)),
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    main()
