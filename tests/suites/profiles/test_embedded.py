"""The default profile, language: draws, models, budgets, and what is refused while a draw is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.config import FirstStep
from harness.models import zoo
from harness.profile import DEVELOPMENT_SEEDS
from harness.runs.plan import check_draws, planned
from harness.suite import Options, training_run
from harness.types import HarnessError
from harness.worlds import world_of

PROFILE = registry.profile("embedded")


def options(suite: str, root: Path, **changes: Any) -> Options:
    return Options(suite=suite, profile="embedded", results=root, **changes)


@pytest.mark.parametrize(("seed", "draw"), [(0, 0), (7, 2), (DEVELOPMENT_SEEDS, 5)])
def test_a_seed_has_the_models_and_problems_of_its_draw(seed: int, draw: int, tmp_path: Path) -> None:
    spec = training_run(PROFILE, options("ood", tmp_path), method="dopd", domains=("coding",), seed=seed)
    assert spec.data and spec.data.draw == draw and spec.teacher
    assert (spec.student.name, spec.teacher.name) == (
        f"permutations_student_draw{draw}",
        f"permutations_teacher_draw{draw}",
    )
    (example,) = world_of(spec.data).examples(spec.data, "train", 1)
    assert example.id.startswith(f"draw{draw}/coding/train/")


def test_every_rung_is_another_mind_of_the_draw() -> None:
    ladder = PROFILE.in_draw(3).ladder
    assert ladder
    assert {name: model.name for name, model in ladder.models.items()} == {
        "small": "permutations_small_draw3",
        "base": "permutations_student_draw3",
        "mid": "permutations_teacher_draw3",
        "strong": "permutations_truth_draw3",
    }


def test_what_the_log_fixed(tmp_path: Path) -> None:
    spec = training_run(PROFILE, options("ood", tmp_path), method="dopd", domains=("coding",), seed=0)
    assert spec.method and spec.method.settings["k"] == 32 and spec.steps == 200
    assert spec.optim and (spec.optim.lr, spec.optim.first_step) == (2e-4, FirstStep.FULL)
    assert spec.extra_checkpoints == (5, 10, 15, 20, 30, 40, 60)
    longest = max(each.trace or "" for each in world_of(spec.data).examples(spec.data, "test", 50))
    assert len(longest.split()) + 1 < spec.max_response_tokens


@pytest.mark.parametrize("suite", ["ood", "robustness", "phases"])
def test_models_that_are_not_there_are_refused_before_compute(suite: str, tmp_path: Path) -> None:
    found = registry.suite(suite)
    plan = planned(found, PROFILE, options(suite, tmp_path), tmp_path)
    lacking = [draw for draw in range(3) if f"permutations_student_draw{draw}" not in zoo.MANIFEST]
    if not lacking:
        check_draws(PROFILE, plan)
        return
    with pytest.raises(HarnessError, match=rf"does not hold the models of draws? {lacking[0]}"):
        check_draws(PROFILE, plan)
