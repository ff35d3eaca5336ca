"""One run in a process of its own, for tests that kill it: ``python drive_run.py RESULTS METHOD STEPS``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from harness import registry
from harness.config import RunSpec
from harness.runs.run import run
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, training_run

EVALUATIONS = (
    Evaluation("last", "permutations_coding", "greedy"),
    Evaluation("last", "permutations_coding", "sample4"),
)

PROBLEMS = 256
"""To train on: more than these runs take. Making the profile's thousands takes longer than a few steps."""


def short_run(method: str, steps: int, *, seed: int = 0, **changes: object) -> RunSpec:
    """An embedded run on few problems; a rollout batch is small so that a step takes a moment."""
    profile = registry.profile("embedded")
    profile = dataclasses.replace(profile, data=dataclasses.replace(profile.data, size=PROBLEMS))
    settings = {"prompts_per_step": 4, "rollouts_per_prompt": 2} | changes
    options = Options(suite="ood", steps=steps)
    return training_run(profile, options, method=method, domains=("coding",), seed=seed, **settings)


def folder_of(results: Path, method: str, steps: int) -> RunFolder:
    """The folder of a short run."""
    return RunFolder(results, short_run(method, steps, seed=3))


if __name__ == "__main__":
    target = folder_of(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print(run(target, EVALUATIONS, lambda step, steps, metrics: None))
