"""A mind as a recipe of runs: the shipped minds' steps, settings that say a mind, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.permutations import SMALL

from harness.config import DataSpec, ModelSpec, RunSpec
from harness.models.zoo.permutations import make, pretrain
from harness.models.zoo.permutations.recipe import MINDS, STUDENT
from harness.suite import made_model
from harness.training import making
from harness.training.recipes import permutations_mind
from harness.training.recipes.permutations_mind import PermutationsMind
from harness.types import HarnessError
from harness.worlds.permutations import words

DATA = DataSpec(world=words.NAME, version=words.WORLD_VERSION, domains=words.DOMAINS, draw=5)


def run_of(folder: Path, steps: int, **changes: object) -> RunSpec:
    settings = PermutationsMind.settings_of(STUDENT, "student") | changes
    model = made_model(
        "mine",
        recipe="permutations_mind",
        settings=settings,
        base=ModelSpec(name=str(folder)),
        data=DATA,
        steps=steps,
    )
    assert model.made is not None
    return model.made


@pytest.mark.parametrize("name", [name for name in MINDS if name != "truth"])
def test_settings_say_the_mind(name: str) -> None:
    found = PermutationsMind(**PermutationsMind.settings_of(MINDS[name], name))  # pyright: ignore[reportArgumentType]
    assert found.mind == MINDS[name]


def test_its_steps_are_those_of_a_shipped_mind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    monkeypatch.setattr(permutations_mind, "RECIPE", SMALL)
    make.make(5, "trunk", attempt=0, recipe=SMALL)
    shipped = make.load(5, "trunk")
    losses = [loss for _, loss in pretrain.train_mind(shipped, SMALL, 5, "student", STUDENT)]
    made = making.prepare(run_of(make.shelf().folder_of(5, "trunk"), SMALL.mind_steps), None)
    found = [making.advance(made) for _ in range(SMALL.mind_steps)]
    assert [each["loss"] for each in found] == losses and all(each["tokens"] > 0 for each in found)
    wanted = shipped.state_dict()
    assert all(torch.equal(weight, wanted[name]) for name, weight in made.student.state_dict().items())


def test_what_is_no_mind_of_a_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="contradict"):
        run_of(tmp_path, 2, result_to=0.9)
    spec = run_of(tmp_path, 2)
    with pytest.raises(HarnessError, match="makes a mind of the world 'permutations': give it data of one of its"):
        making.prepare(dataclasses.replace(spec, data=dataclasses.replace(DATA, draw=None)), None)
