"""One run in a process of its own, for tests that kill it: ``python drive_run.py RESULTS METHOD STEPS``."""

from __future__ import annotations

import sys
from pathlib import Path

from harness import registry
from harness.runs.run import run
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, training_run

EVALUATIONS = (
    Evaluation("last", "embedded_coding", "greedy"),
    Evaluation("last", "embedded_coding", "sample4"),
)


def folder_of(results: Path, method: str, steps: int) -> RunFolder:
    """The folder of a short embedded run; a rollout batch is small so that a step takes a moment."""
    profile, options = registry.profile("embedded"), Options(suite="ood", steps=steps)
    return RunFolder(
        results,
        training_run(
            profile, options, method=method, domains=("coding",), seed=3, prompts_per_step=4, rollouts_per_prompt=2
        ),
    )


if __name__ == "__main__":
    target = folder_of(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print(run(target, EVALUATIONS, lambda step, steps, metrics: None))
