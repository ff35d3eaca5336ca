"""Runs that continue another: where they begin, that a killed one ends the same, what is refused."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import language
from support.fakes import LAST, PROFILE, FakeSuite
from support.fakes import checkpoint as fake_checkpoint
from support.fakes import spec as fake_spec

from harness import registry
from harness.config import ModelSpec, RunSpec
from harness.models import load
from harness.profile import Override
from harness.runs import plan
from harness.runs.run import run, student_at
from harness.storage import checkpoint, files
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Options, Profile, reference_run, training_run
from harness.training.trainer import prepare
from harness.types import HarnessError, Policy

STEPS = 3


def silent(*_: object) -> None:
    pass


def stage(method: str, *, domain: str = "coding", start: str = "", steps: int = STEPS) -> RunSpec:
    """A short embedded run; DAPD's snapshot moves within it."""
    profile, options = registry.profile("embedded"), Options(suite="ood", steps=steps)
    profile = dataclasses.replace(
        profile,
        data=dataclasses.replace(profile.data, size=200),
        overrides={**profile.overrides, "dapd": Override(settings={"every": 2}, reason="short")},
    )
    return training_run(
        profile,
        options,
        method=method,
        domains=(domain,),
        seed=0,
        prompts_per_step=4,
        rollouts_per_prompt=2,
        start=start,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a first stage, trained and not evaluated. Tests add runs and leave this one alone."""
    folder = RunFolder(tmp_path_factory.mktemp("results"), stage("vanilla_opd", domain="general"))
    trained(folder)
    return folder.root


@pytest.fixture(scope="module")
def first(root: Path) -> RunFolder:
    return RunFolder(root, stage("vanilla_opd", domain="general"))


def trained(folder: RunFolder, report: Callable[..., Any] = silent) -> None:
    run(folder, (), report)


def weights(folder: RunFolder, step: int) -> dict[str, torch.Tensor]:
    return checkpoint.at_step(folder.checkpoints, step).weights()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dapd", "sdpo", "exopd"])
def test_student_and_its_copies_begin_where_the_first_ended(root: Path, first: RunFolder, method: str) -> None:
    """Between them these methods have the initial, snapshot, EMA and reference policies."""
    trainer = prepare(stage(method, start=first.spec.id), root)
    last = weights(first, STEPS)
    assert not equal(last, weights(first, 0)), "the first stage must have moved"
    for policy, model in trainer.policies.items():
        assert equal(model.state_dict(), last) == (policy is not Policy.TEACHER), policy
    assert (trainer.step, trainer.tokens, trainer.optimiser.state_dict()["state"]) == (0, 0, {})
    alone = prepare(stage(method))
    assert trainer.schedule.state_dict() == alone.schedule.state_dict(), "the schedule begins anew"
    assert not equal(alone.student.state_dict(), last)


@pytest.mark.slow
def test_its_own_checkpoint_of_step_0_holds_those_weights(root: Path, first: RunFolder) -> None:
    """So it is evaluated, at any step, without the first: its folder may be gone."""
    folder = RunFolder(root, stage("vanilla_opd", start=first.spec.id, steps=2))
    trained(folder)
    begun = student_at(folder, 0).state_dict()
    assert equal(begun, weights(first, STEPS))
    moved = folder.root / "elsewhere"
    first.path.rename(moved)
    try:
        assert equal(student_at(folder, 0).state_dict(), begun)
        assert not equal(student_at(folder, 2).state_dict(), begun)
        assert run(folder, (), silent) == "", "trained already: nothing is prepared"
    finally:
        moved.rename(first.path)
    before, after = (files.read_jsonl(f.metrics) for f in (first, folder))
    assert [m["step"] for m in after] == [0, 1, 2]
    assert before[-1]["step"] == STEPS


@pytest.mark.slow
def test_order_of_stages_is_part_of_the_identity(first: RunFolder) -> None:
    assert len({stage("sft", start=start).id for start in ("", first.spec.id, "another")}) == 3


class Stop(Exception):
    pass


def stop_at(moment: int) -> Callable[..., None]:
    def report(step: int, *_: object) -> None:
        if step == moment:
            raise Stop

    return report


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 2])
def test_stopped_and_resumed_it_ends_in_the_same_bytes(
    root: Path, first: RunFolder, tmp_path: Path, moment: int
) -> None:
    """Before the first checkpoint after step 0, and after DAPD's snapshot took its own weights."""
    spec = stage("dapd", start=first.spec.id)
    shutil.copytree(first.path, tmp_path / "runs" / first.spec.id)
    whole, stopped = RunFolder(root, spec), RunFolder(tmp_path, spec)
    if whole.last_step() != STEPS:
        trained(whole)
    with pytest.raises(Stop):
        trained(stopped, stop_at(moment))
    trained(stopped)
    for step in range(STEPS + 1):
        assert equal(weights(whole, step), weights(stopped, step)), step
    a, b = (checkpoint.latest_valid(f.checkpoints)[0] for f in (whole, stopped))
    assert a is not None and b is not None
    assert equal(a.state()["copies"]["snapshot"], b.state()["copies"]["snapshot"])


# Bad input


def refused(monkeypatch: pytest.MonkeyPatch, spec: RunSpec, root: Path | None) -> str:
    """The one line of ``prepare``, which must come before any model is loaded."""
    monkeypatch.setattr(load, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    with pytest.raises(HarnessError) as caught:
        prepare(spec, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_start_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = stage("sft", start="sft-mid-base-general-seed0-0123456789")
    message = refused(monkeypatch, spec, tmp_path)
    assert message.startswith(f"run {spec.id} continues {spec.start}, which is not in {tmp_path / 'runs'}: train that")
    assert "give the results folder" in refused(monkeypatch, spec, None)


def test_a_start_that_is_unfinished_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, stage("vanilla_opd", domain="general"))
    folder.prepare()
    spec = stage("sft", start=folder.spec.id)
    assert "last checkpoint is of step 0, not 3: run that one to its end" in refused(monkeypatch, spec, tmp_path)
    fake_checkpoint(folder, 2)
    assert "last checkpoint is of step 2, not 3: run that one to its end" in refused(monkeypatch, spec, tmp_path)


def test_a_start_that_is_damaged_is_refused(monkeypatch: pytest.MonkeyPatch, first: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path, first.spec)
    shutil.copytree(first.path, copy.path)
    path = copy.checkpoints / f"step-{STEPS:06d}" / checkpoint.WEIGHTS
    path.write_bytes(path.read_bytes()[:-4])
    message = refused(monkeypatch, stage("sft", start=first.spec.id), tmp_path)
    assert f"sha256 of {checkpoint.WEIGHTS} differs" in message


@pytest.mark.parametrize("changes", [{"student": ModelSpec(name=language.SMALL)}, {"profile": "other"}])
def test_a_start_of_another_model_or_profile_is_refused(
    monkeypatch: pytest.MonkeyPatch, root: Path, first: RunFolder, changes: dict[str, Any]
) -> None:
    (what,) = changes
    spec = dataclasses.replace(stage("sft", start=first.spec.id), **changes)
    message = refused(monkeypatch, spec, root)
    assert f"whose {what} is " in message and message.endswith("continue one of the same")


def test_a_reference_row_cannot_be_continued(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = registry.profile("embedded")
    row = RunFolder(tmp_path, reference_run(profile.at(1000), profile.at(1000).student))
    row.prepare()
    assert "a reference row without training" in refused(monkeypatch, stage("sft", start=row.spec.id), tmp_path)


# Plans


class Chain(FakeSuite):
    """Three stages; ``shown`` says which of them the suite plans."""

    def __init__(self, *shown: int) -> None:
        one = fake_spec(seed=0)
        two = fake_spec(seed=2, start=one.id)
        self.stages = (one, two, fake_spec(seed=3, start=two.id))
        self.shown = shown or (0, 1, 2)

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        return [self.stages[i] for i in self.shown]


def states(root: Path, *shown: int) -> list[RunState]:
    options = Options(suite="fake", profile="fake", published=Path("nowhere"))
    return [planned.state for planned in plan.planned(Chain(*shown), PROFILE, options, root)]


def test_a_run_whose_start_is_neither_planned_nor_trained_is_refused_by_the_plan(tmp_path: Path) -> None:
    one, two, _ = Chain().stages
    assert states(tmp_path) == [RunState.ABSENT] * 3
    with pytest.raises(HarnessError, match=rf"^run {two.id} continues {one.id}, which is not in [^\n]*$"):
        states(tmp_path, 1, 2)
    folder = RunFolder(tmp_path, one)
    folder.prepare()
    with pytest.raises(HarnessError, match="last checkpoint is of step 0, not 10"):
        states(tmp_path, 1, 2)
    fake_checkpoint(folder, one.steps)
    assert states(tmp_path, 1, 2) == [RunState.ABSENT] * 2


def test_a_trained_run_is_evaluated_though_its_start_is_gone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, Chain().stages[1])
    folder.prepare()
    fake_checkpoint(folder, folder.spec.steps)
    assert states(tmp_path, 1) == [RunState.UNEVALUATED]


@pytest.mark.slow
def test_without_its_folder_the_first_stage_alone_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    from rich.console import Console

    from harness.runs.local import launch

    monkeypatch.setattr(registry, "PROFILES_MODULE", "support.fakes")
    options = Options(suite="fake", profile="fake", results=tmp_path, jobs=2, published=Path("nowhere"))

    def launched() -> list[str]:
        runs = plan.planned(Chain(), PROFILE, options, tmp_path)
        return launch(runs, options, console=Console(file=io.StringIO()), target="support.fakes:run").done

    stages = [spec.id for spec in Chain().stages]
    assert launched() == stages
    before = {path: path.read_bytes() for path in tmp_path.rglob("rows.jsonl")}
    shutil.rmtree(RunFolder(tmp_path, Chain().stages[0]).path)
    assert launched() == stages[:1]
    assert {path: path.read_bytes() for path in tmp_path.rglob("rows.jsonl")} == before
    assert RunFolder(tmp_path, Chain().stages[2]).state((LAST,)) is RunState.DONE
