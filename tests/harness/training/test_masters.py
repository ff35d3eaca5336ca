"""Half precision: what is rounded away in a model is kept in its float32 masters, over a resume too."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.drive_run import short_run

from harness.config import FirstStep, OptimSpec
from harness.runs.run import run
from harness.storage import checkpoint
from harness.storage.run_folder import RunFolder
from harness.training.loop import log, restore, save, train_step
from harness.training.masters import Masters
from harness.training.trainer import Trainer, prepare
from harness.types import HarnessError, Policy

HALF = torch.bfloat16


def trainer(method: str = "sdft", dtype: str = "bfloat16", *, lr: float = 2e-4, steps: int = 3) -> Trainer:
    optim = OptimSpec(lr=lr, first_step=FirstStep.FULL, warmup_steps=1)
    return prepare(dataclasses.replace(short_run(method, steps, dtype=dtype), optim=optim))


def way(found: Trainer, steps: int) -> float:
    """How far the average has come, as the length of its move."""
    before = [weight.detach().clone() for weight in found.policies[Policy.EMA].parameters()]
    for _ in range(steps):
        train_step(found)
    pairs = zip(found.copies[Policy.EMA].moved, before, strict=True)
    return sum(float((a - b.float()).square().sum()) for a, b in pairs) ** 0.5


@pytest.mark.slow
def test_an_average_in_bfloat16_moves_as_far_as_in_float32() -> None:
    """It moved 19 times too little: a share of 0.01 of an update is below half of the last bit."""
    found = trainer()
    assert {weight.dtype for weight in found.student.parameters()} == {HALF}
    moved = way(found, 3)
    model = found.policies[Policy.EMA]
    assert 0.5 < moved / way(trainer(dtype="float32"), 3) < 2
    for weight, master in zip(model.parameters(), found.copies[Policy.EMA].moved, strict=True):
        assert weight.dtype is HALF and torch.equal(weight, master.to(HALF))


@pytest.mark.slow
def test_updates_that_no_bit_of_the_model_shows_add_up_in_the_masters() -> None:
    """At this rate one step is below 1/1,000 of the last bit of most weights."""
    found = trainer("vanilla_opd", lr=1e-7)
    before = [master.detach().clone() for master in found.weights.moved]
    held = [weight.detach().clone() for weight in found.student.parameters()]
    train_step(found)
    moved = torch.cat([(a - b).flatten() for a, b in zip(found.weights.moved, before, strict=True)])
    assert float((moved != 0).double().mean()) > 0.5
    same = torch.cat([(a == b).flatten() for a, b in zip(found.student.parameters(), held, strict=True)])
    assert float(same.double().mean()) > 0.9, "or this test shows nothing"


def test_many_small_updates_move_a_weight_that_one_does_not() -> None:
    """256 is followed by 258 in bfloat16: plain descent by 1/4 a step is lost each time; of eight it is one step."""
    model = torch.nn.Linear(1, 1, bias=False).to(HALF)
    torch.nn.init.constant_(model.weight, 256.0)
    weights = Masters(model)
    optimiser = torch.optim.SGD(weights.moved, lr=1.0)
    for _ in range(8):
        model.weight.grad = torch.full_like(model.weight, -0.25)
        weights.take_gradients()
        optimiser.step()
        weights.write()
    assert float(model.weight.detach()) == 258.0 and float(weights.moved[0].detach()) == 258.0


def test_in_float32_nothing_is_copied() -> None:
    model = torch.nn.Linear(2, 2)
    weights = Masters(model)
    assert all(a is b for a, b in zip(weights.moved, model.parameters(), strict=True)) and not weights.copies()


def test_float16_is_not_trained_in() -> None:
    with pytest.raises(HarnessError, match=r"the student's weights are float16: .* train in dtype bfloat16 or float32"):
        trainer(dtype="float16")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sdft", "dapd"])
def test_stopped_after_two_of_three_steps_in_half_precision(tmp_path: Path, method: str) -> None:
    """Masters of student and average, and a snapshot: to the last bit of each."""
    whole = trainer(method)
    folder = RunFolder(tmp_path, whole.spec)
    folder.path.mkdir(parents=True)
    for step in (1, 2):
        log(folder, {"step": step, **train_step(whole)})
    save(folder, whole)
    train_step(whole)
    resumed = prepare(folder.spec)
    restore(folder, resumed, checkpoint.latest_valid(folder.checkpoints)[0])
    train_step(resumed)
    pairs = [(whole.weights, resumed.weights), *((whole.copies[p], resumed.copies[p]) for p in whole.copies)]
    for one, other in pairs:
        assert one.moved and all(torch.equal(a, b) for a, b in zip(one.moved, other.moved, strict=True))
    for policy, model in whole.policies.items():
        mine = resumed.policies[policy].parameters()
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), mine, strict=True)), policy


@pytest.mark.slow
def test_a_run_in_half_precision_is_trained_evaluated_and_kept_in_it(tmp_path: Path) -> None:
    spec = short_run("dopd", 4, dtype="bfloat16")
    folder = RunFolder(tmp_path, spec)
    run(folder, (), lambda *_: None)
    weights = checkpoint.at_step(folder.checkpoints, 4).weights()
    assert {weight.dtype for weight in weights.values()} == {HALF}
    assert any(
        not torch.equal(w, v)
        for w, v in zip(weights.values(), checkpoint.at_step(folder.checkpoints, 0).weights().values(), strict=True)
    )
