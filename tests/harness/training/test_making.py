"""A recipe that starts from nothing and has two optimisers: one runner, one resume for every recipe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from support import language
from support.small import VOCABULARY, tiny
from transformers import PreTrainedModel

from harness import seeds
from harness.config import NOTHING, ModelSpec, RunSpec
from harness.models import load
from harness.runs.run import run
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import made_model
from harness.training import recipes
from harness.training.making import Lesson, Making
from harness.training.masters import Masters
from harness.training.recipes import Recipe
from harness.types import HarnessError


@dataclass(frozen=True, kw_only=True)
class Born(Recipe):
    """Random weights that learn random words."""

    rate: float = 0.01

    def prepare(self, spec: RunSpec, root: Path | None) -> Making:
        student = tiny(spec.seed, dtype=torch.float32)
        parameters = list(student.parameters())
        optimisers = [
            torch.optim.SGD(parameters[:3], lr=self.rate, momentum=0.9),
            torch.optim.AdamW(parameters[3:], lr=self.rate),
        ]
        schedules = [
            torch.optim.lr_scheduler.LinearLR(each, start_factor=1.0, end_factor=0.1, total_iters=spec.steps)
            for each in optimisers
        ]
        return Making(
            spec=spec,
            student=student,
            weights=Masters(student),
            reader=load.load_reader(ModelSpec(name=language.STUDENT)),
            optimisers=optimisers,
            schedules=schedules,
            clip_norm=1.0,
            lesson=partial(lesson, student, spec.seed),
        )


def lesson(model: PreTrainedModel, seed: int, step: int) -> Lesson:
    words = torch.randint(VOCABULARY, (4, 8), generator=seeds.generator(seed, "words", step))
    return Lesson(loss=model(input_ids=words, labels=words).loss, tokens=words.numel())


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    monkeypatch.setitem(recipes.RECIPES, "born", f"{__name__}:Born")
    model = made_model("child", recipe="born", steps=20)
    assert model.made is not None
    assert model.made.student == NOTHING
    assert model.made.id.startswith("made-born-nothing-seed0-")
    return model.made


class Stopped(Exception):
    """In place of a signal."""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 5, 19])
def test_stopped_and_resumed_is_bit_equal_with_two_optimisers(tmp_path: Path, spec: RunSpec, moment: int) -> None:
    def stop(step: int, *_: object) -> None:
        if step == moment:
            raise Stopped

    whole, stopped = (RunFolder(tmp_path / name, spec) for name in ("whole", "stopped"))
    run(whole, (), lambda *_: None)
    with pytest.raises(Stopped):
        run(stopped, (), stop)
    run(stopped, (), lambda *_: None)
    assert stopped.state() is whole.state() is RunState.DONE
    first, second = ((each.model / "model.safetensors").read_bytes() for each in (whole, stopped))
    assert first == second
    costs = [each.cost() for each in (whole, stopped)]
    assert [cost and (cost.method, cost.tokens, cost.steps) for cost in costs] == [("recipe/born", 640, 20)] * 2


@pytest.mark.slow
def test_a_damaged_checkpoint_falls_back_and_ends_with_the_same_bytes(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder(tmp_path, spec)
    run(folder, (), lambda *_: None)
    weights = folder.model / "model.safetensors"
    before = weights.read_bytes()
    (folder.path / "done").unlink()
    (folder.checkpoints / "step-000020" / "weights.safetensors").write_bytes(b"torn")
    assert "goes on from step 18" in run(folder, (), lambda *_: None)
    assert weights.read_bytes() == before


def test_a_model_planned_with_another_version_of_its_recipe_is_not_made(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Born, "version", 2)
    with pytest.raises(HarnessError, match=r"recipe born was planned with version 1, the code here is version 2: plan"):
        run(RunFolder(tmp_path, spec), (), lambda *_: None)
