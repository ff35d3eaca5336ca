"""The identity of a run: every field of its spec, nested ones included, moves it, and comes back from JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import pytest
from support import language

from harness import config, registry
from harness.config import (
    SCHEMA,
    DataSpec,
    FirstStep,
    LoraSpec,
    MethodSpec,
    ModelSpec,
    OptimSpec,
    RecipeSpec,
    RunSpec,
    Source,
    canonical_json,
    from_json,
    to_json,
)
from harness.suite import Options
from harness.types import Corruption, HarnessError

FULL = RunSpec(
    profile="embedded",
    student=ModelSpec(name=language.SMALL, sha256="a"),
    teacher=ModelSpec(name="big", sha256="b"),
    data=language.data("coding", "general", corruption=Corruption.WRONG_STEPS, corrupted=0.5, draw=1),
    method=MethodSpec(name="dopd", settings={"k": 8}),
    optim=OptimSpec(lr=1e-3),
    steps=20,
    lora=LoraSpec(rank=4, alpha=8.0, targets=("q_proj", "v_proj")),
    extra_checkpoints=(5, 7),
)
RECIPE = dataclasses.replace(
    FULL, method=None, teacher=None, lora=None, recipe=RecipeSpec(name="fine_tune", settings={"k": 8})
)
MADE = dataclasses.replace(FULL, student=ModelSpec(name="tuned", made=RECIPE))
SPECS = {"method": FULL, "recipe": RECIPE, "made": MADE}
"""Between them no field is empty, so that every one can change."""


def others(value: Any) -> Iterator[Any]:
    """Other values of the same kind."""
    match value:
        case bool():
            yield not value
        case StrEnum():
            yield from (member for member in type(value) if member is not value)
        case int() | float():
            yield from (value + 1, value / 2)
        case str():
            yield value + "x"
        case tuple():
            yield (*value[:-1], next(others(value[-1])))
        case Mapping():
            yield {**value, "another": 1}
        case _:
            pytest.fail(f"no other value of {value!r}: say here what one is")


def paths(spec: Any, head: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Of every field of the identity that holds a value."""
    for field in kept(spec):
        value = getattr(spec, field.name)
        if value is None or (field.name == "sha256" and not value):  # a model that is made has none
            continue
        inner = dataclasses.is_dataclass(value)
        yield from paths(value, (*head, field.name)) if inner else [(*head, field.name)]


def kept(spec: Any) -> list[dataclasses.Field[Any]]:
    """Fields of the identity."""
    return [field for field in dataclasses.fields(spec) if field.metadata.get("identity", True)]


def changed(spec: Any, path: tuple[str, ...]) -> Any:
    """With another value there, the first that the spec allows."""
    first, *rest = path
    value = getattr(spec, first)
    if rest:
        return dataclasses.replace(spec, **{first: changed(value, tuple(rest))})
    for other in others(value):
        try:
            return dataclasses.replace(spec, **{first: other})
        except HarnessError:
            continue
    pytest.fail(f"no other value of {'.'.join(path)} is allowed")


EVERY_FIELD = pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind, spec in SPECS.items() for path in paths(spec)]
)


def test_no_field_is_left_out() -> None:
    known = {path[0] for spec in SPECS.values() for path in paths(spec)}
    assert known == {field.name for field in kept(RunSpec)}


def test_where_and_in_what_pieces_is_no_part_of_a_run() -> None:
    """Memory, machine and the place of a file: the same run, whose folder says nothing of them."""
    source = Source(path="there.jsonl", columns=(("prompt", "question"),))
    assert FULL.data
    moved = dataclasses.replace(
        FULL, data=dataclasses.replace(FULL.data, file=source), micro_batch=2, device="cuda:1", max_prompt_tokens=9
    )
    apart = {f.name for kind in (RunSpec, DataSpec) for f in dataclasses.fields(kind)} - {
        f.name for kind in (RunSpec, DataSpec) for f in kept(kind)
    }
    assert apart == {"file", "micro_batch", "device", "kernels", "max_prompt_tokens"}
    assert moved == FULL and moved.hash == FULL.hash and to_json(moved) == to_json(FULL)
    assert pickle.loads(pickle.dumps(moved)).data.file == source, "a worker must find the file"
    content = dataclasses.replace(FULL, data=dataclasses.replace(FULL.data, content="c"))
    assert content != FULL and content.hash != FULL.hash


def test_a_forward_pass_has_a_rollout() -> None:
    with pytest.raises(HarnessError, match="micro_batch=0: give the rollouts of a forward pass, at least 1"):
        dataclasses.replace(FULL, micro_batch=0)


@EVERY_FIELD
def test_a_changed_field_is_another_run(kind: str, path: tuple[str, ...]) -> None:
    spec, other = SPECS[kind], changed(SPECS[kind], path)
    assert other != spec
    assert other.hash != spec.hash and other.id != spec.id


@EVERY_FIELD
def test_a_changed_field_comes_back_from_json(kind: str, path: tuple[str, ...]) -> None:
    other = changed(SPECS[kind], path)
    back = from_json(to_json(other))
    assert back == other and back.id == other.id
    assert type(_at(back, path)) is type(_at(other, path))


def _at(spec: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        spec = getattr(spec, name)
    return spec


def test_what_came_later_is_left_out_while_it_has_its_default() -> None:
    """A field that is new must not move the runs that were made before it."""
    old = {"student": ModelSpec(name="small", sha256="a"), "data": DataSpec(world="embedded", domains=("coding",))}
    plain = dataclasses.replace(FULL, **old, extra_checkpoints=(), lora=None)
    text = str(to_json(plain))
    new = ("corrupt", "first_step", "draw", "extra_checkpoints", "lora", "privileged_turn", "template", "revision")
    assert not any(name in text for name in new)
    assert plain.hash == "3a5718828b", "an old run has another name: which field lost its `since`?"
    assert from_json(to_json(plain)).optim == OptimSpec(lr=1e-3, first_step=FirstStep.ZERO)


def by_hand(spec: RunSpec) -> str:
    """The hash from one text of the whole run."""
    return hashlib.sha256(canonical_json({"schema": SCHEMA, **to_json(spec)}).encode()).hexdigest()[:10]


@pytest.mark.parametrize("profile", [*registry.profiles()])
def test_a_hash_made_of_kept_parts_is_that_of_the_whole(profile: str) -> None:
    """Of every setting of every suite, and of specs whose text needs care."""
    planned = [
        spec
        for suite in map(registry.suite, registry.suites())
        if registry.profile(profile).holds(suite.name) and not suite.lacks(registry.profile(profile))
        for spec in suite.runs(registry.profile(profile), Options(suite=suite.name, profile=profile, seeds=(3,)))
    ]
    odd = [dataclasses.replace(FULL, start='a "b" \u00e9', temperature=t) for t in (1, 1.0, True, -0.0, 1e-30)]
    for spec in (*planned, *SPECS.values(), *odd):
        assert spec.hash == by_hand(spec), spec.id
    assert len({spec.hash for spec in odd}) == 5


def test_an_id_and_the_text_of_a_shared_part_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(config, "canonical_json", lambda value: written.append(value) or canonical_json(value))
    data = language.data("coding")
    specs = [dataclasses.replace(FULL, data=data, seed=seed) for seed in range(3)]
    assert len({(spec.id, spec.hash) for spec in specs for _ in range(4)}) == 3
    assert specs[0].id is specs[0].id
    assert sum(value is data for value in written) == 1
    assert sum(value == 1.0 and type(value) is float for value in written) == 2 * 3, "temperature and top_p of each run"


def test_extra_checkpoints_are_kept_and_not_probed() -> None:
    spec = dataclasses.replace(FULL, steps=20, checkpoints=4, extra_checkpoints=(5, 7))
    assert spec.checkpoint_steps() == (0, 5, 7, 10, 15, 20) and spec.probed_steps() == (0, 5, 10, 15, 20)


@pytest.mark.parametrize("steps", [(0,), (20,), (7, 5), (5, 5)])
def test_extra_checkpoints_that_are_none(steps: tuple[int, ...]) -> None:
    message = re.escape(f"extra_checkpoints={steps} of a run of 20 steps: give steps between")
    with pytest.raises(HarnessError, match=message):
        dataclasses.replace(FULL, extra_checkpoints=steps)


@pytest.mark.parametrize("name", ["/very/deep" * 40, "/" + "ż" * 200, "x" * 300])
def test_a_long_name_is_cut_in_the_id_and_the_hash_never(name: str) -> None:
    """A folder's name has at most 255 bytes; 151 characters for each of two models were too many."""
    long = dataclasses.replace(FULL, student=ModelSpec(name=name), teacher=ModelSpec(name=name))
    for spec in (
        long,
        dataclasses.replace(
            long, teacher=None, method=None, data=None, optim=None, lora=None, steps=0, extra_checkpoints=()
        ),
    ):
        assert len(spec.id.encode()) <= 200
        assert spec.id.endswith(f"-{spec.hash}")
    assert f"-seed{long.seed}-" in long.id
    other = dataclasses.replace(long, student=ModelSpec(name=name + "y"))
    assert other.id != long.id
