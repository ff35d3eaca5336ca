"""Minds as recipes of runs: the shipped minds' steps, settings that say a mind, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from support import permutations, scenes

from harness.config import DataSpec, ModelSpec, RunSpec
from harness.models.zoo.permutations import make as make_permutations
from harness.models.zoo.permutations import pretrain as pretrain_permutations
from harness.models.zoo.permutations import recipe as permutations_recipe
from harness.models.zoo.scenes import make as make_scenes
from harness.models.zoo.scenes import pretrain as pretrain_scenes
from harness.models.zoo.scenes import recipe as scenes_recipe
from harness.suite import made_model
from harness.training import making
from harness.training.recipes import permutations_mind, scenes_mind
from harness.training.recipes.drawn_mind import DrawnMind
from harness.types import HarnessError
from harness.worlds.minds import Mind
from harness.worlds.permutations import words as permutations_words
from harness.worlds.scenes import words as scenes_words

DRAW = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    recipe: type[DrawnMind]
    home: ModuleType
    """Whose RECIPE a test makes small."""
    small: Any
    minds: dict[str, Any]
    data: DataSpec
    make: ModuleType
    wide: str
    """A setting that leaves the unsure cells."""
    shipped: Callable[[Any, Any], Iterator[tuple[int, float]]]
    """Steps of the shipped student from a trunk, by a recipe."""


CASES = {
    "permutations": Case(
        name="permutations_mind",
        recipe=permutations_mind.PermutationsMind,
        home=permutations_mind,
        small=permutations.SMALL,
        minds=permutations_recipe.MINDS,
        data=DataSpec(
            world=permutations_words.NAME,
            version=permutations_words.WORLD_VERSION,
            domains=permutations_words.DOMAINS,
            draw=DRAW,
        ),
        make=make_permutations,
        wide="result_to",
        shipped=lambda model, recipe: pretrain_permutations.train_mind(
            model, recipe, DRAW, "student", permutations_recipe.STUDENT
        ),
    ),
    "scenes": Case(
        name="scenes_mind",
        recipe=scenes_mind.ScenesMind,
        home=scenes_mind,
        small=scenes.SMALL,
        minds=scenes_recipe.MINDS,
        data=DataSpec(
            world=scenes_words.NAME, version=scenes_words.WORLD_VERSION, domains=scenes_words.DOMAINS, draw=DRAW
        ),
        make=make_scenes,
        wide="reading_to",
        shipped=lambda model, recipe: pretrain_scenes.train_mind(model, recipe, DRAW, "student"),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def settings_of(case: Case, name: str) -> dict[str, Any]:
    return case.recipe.settings_of(case.minds[name], name)  # pyright: ignore[reportAttributeAccessIssue]


def run_of(case: Case, folder: Path, steps: int, **changes: object) -> RunSpec:
    model = made_model(
        "mine",
        recipe=case.name,
        settings=settings_of(case, "student") | changes,
        base=ModelSpec(name=str(folder)),
        data=case.data,
        steps=steps,
    )
    assert model.made is not None
    return model.made


def test_settings_say_the_mind(case: Case) -> None:
    for name, mind in case.minds.items():
        if name != "truth":
            found = case.recipe(**settings_of(case, name)).mind
            assert isinstance(found, Mind) and found == mind


def test_its_steps_are_those_of_a_shipped_mind(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case.make, "FOLDER", tmp_path)
    monkeypatch.setattr(case.home, "RECIPE", case.small)
    if case.name == "scenes_mind":
        monkeypatch.setattr(case.make, "RECIPE", case.small)
    case.make.make(DRAW, "trunk", attempt=0, recipe=case.small)
    shipped = case.make.load(DRAW, "trunk")
    losses = [loss for _, loss in case.shipped(shipped, case.small)]
    made = making.prepare(run_of(case, case.make.shelf().folder_of(DRAW, "trunk"), case.small.mind_steps), None)
    found = [making.advance(made) for _ in range(case.small.mind_steps)]
    assert [each["loss"] for each in found] == losses and all(each["tokens"] > 0 for each in found)
    wanted = shipped.state_dict()
    assert all(torch.equal(weight, wanted[name]) for name, weight in made.student.state_dict().items())


def test_what_is_no_mind_of_a_draw_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="contradict"):
        run_of(case, tmp_path, 2, **{case.wide: 0.9})
    spec = run_of(case, tmp_path, 2)
    nowhere = dataclasses.replace(spec, data=dataclasses.replace(case.data, draw=None))
    world = case.data.world
    with pytest.raises(HarnessError, match=f"makes a mind of the world '{world}': give it data of one of its"):
        making.prepare(nowhere, None)
    with pytest.raises(HarnessError, match=r"draw 9|draw=9"):
        making.prepare(dataclasses.replace(spec, data=dataclasses.replace(case.data, draw=9)), None)
