"""Seconds of one training step of each method, as a ratio to vanilla OPD.

Methods take turns step by step in one process, on the embedded profile, so that a machine that slows down slows
all of them. Run: ``python tests/speed/step.py [--methods dopd,sft] [--steps 30]``.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table

from harness import registry
from harness.suite import Options, training_run
from harness.training.loop import train_step
from harness.training.trainer import Trainer, prepare

BASE = "vanilla_opd"
WARM_UP = 3


def trainer_of(method: str) -> Trainer:
    """A fresh embedded run of one method on all domains."""
    profile, options = registry.profile("embedded"), Options(suite="ood", steps=1000)
    return prepare(training_run(profile, options, method=method, domains=profile.data.domains, seed=0))


def measure(methods: list[str], steps: int) -> dict[str, list[float]]:
    """CPU seconds of each step of each method, taken in turn."""
    trainers = {name: trainer_of(name) for name in methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for step in range(steps + WARM_UP):
        for name, trainer in trainers.items():
            start = time.process_time()
            train_step(trainer)
            if step >= WARM_UP:
                seconds[name].append(time.process_time() - start)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="dopd,privileged_teacher,privileged_student,sft")
    parser.add_argument("--steps", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    methods = [BASE, *(m for m in given.methods.split(",") if m != BASE)]
    seconds = measure(methods, given.steps)
    table = Table("method", "ms a step, median", "ratio to vanilla OPD, median of pairs", "quartiles")
    for name in methods:
        ratios = [a / b for a, b in zip(seconds[name], seconds[BASE], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if name != BASE else (1.0, 1.0, 1.0)
        median = 1e3 * statistics.median(seconds[name])
        table.add_row(name, f"{median:.0f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
