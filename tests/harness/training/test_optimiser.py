"""What an optimiser step does with a gradient, and the learning rates that the steps of a run have."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.drive_run import short_run

from harness import registry
from harness.config import FirstStep, OptimSpec
from harness.training.loop import apply_gradient
from harness.training.masters import Masters
from harness.training.trainer import build_optimiser, prepare


def trainer_of(gradient: tuple[float, ...]) -> Any:
    """A weight at 0 with this gradient, and plain descent at rate 1: the move is the gradient that was applied."""
    student = torch.nn.Linear(len(gradient), 1, bias=False)
    with torch.no_grad():
        student.weight.zero_()
    optimiser = torch.optim.SGD(student.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1.0 / (1 + step))
    optimiser.step()  # without a gradient: else the library warns where the first one is not applied
    student.weight.grad = torch.tensor([gradient])
    return SimpleNamespace(
        student=student, weights=Masters(student), optim=OptimSpec(lr=1.0), optimiser=optimiser, schedule=schedule
    )


def moved(trainer: Any) -> list[float]:
    return trainer.student.weight.detach()[0].tolist()


@pytest.mark.parametrize(("gradient", "move"), [((3.0, 4.0), (-0.6, -0.8)), ((0.3, 0.4), (-0.3, -0.4))])
def test_a_gradient_is_cut_to_norm_1_and_its_own_norm_is_told(
    gradient: tuple[float, ...], move: tuple[float, ...]
) -> None:
    """3, 4 has norm 5 and is divided by it; 0.3, 0.4 has norm 0.5 and stays."""
    trainer = trainer_of(gradient)
    assert apply_gradient(trainer) == pytest.approx(math.hypot(*gradient))
    assert moved(trainer) == pytest.approx(move, rel=1e-5)
    assert trainer.student.weight.grad is None


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_moves_nothing_and_the_schedule_goes_on(bad: float) -> None:
    trainer = trainer_of((bad, 1.0))
    assert not math.isfinite(apply_gradient(trainer))
    assert moved(trainer) == [0.0, 0.0]
    assert trainer.student.weight.grad is None and trainer.schedule.get_last_lr() == [0.5]


def rates(optim: OptimSpec, steps: int) -> list[float]:
    """Of each optimiser step."""
    model: Any = torch.nn.Linear(1, 1)
    optimiser, schedule = build_optimiser(list(model.parameters()), optim, steps)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def test_rates_from_zero_by_hand() -> None:
    """Two steps of warm-up, 0 and 1/2, then the cosine at 0, 1/3 and 2/3 of its half period: 1, 3/4, 1/4."""
    assert rates(OptimSpec(lr=2.0, warmup_steps=2), 5) == pytest.approx([0.0, 1.0, 2.0, 1.5, 0.5])


def test_rates_from_one_over_warm_up_by_hand() -> None:
    """The same path without its step at 0: four steps see what five saw, and the last is still above 0."""
    full = OptimSpec(lr=2.0, warmup_steps=2, first_step=FirstStep.FULL)
    assert rates(full, 4) == pytest.approx([1.0, 2.0, 1.5, 0.5])
    assert rates(dataclasses.replace(full, warmup_steps=5), 1) == pytest.approx([0.4])
    # Half of the peak is left at the end: 1/2 + 1/2 of 1/4.
    assert rates(dataclasses.replace(full, final_lr_share=0.5), 4)[-1] == pytest.approx(2.0 * 0.625)


@pytest.mark.parametrize(
    ("optim", "steps", "trains"),
    [
        (OptimSpec(lr=1.0), 1, False),
        (OptimSpec(lr=1.0), 2, True),
        (OptimSpec(lr=1.0), 0, False),
        (OptimSpec(lr=1.0, warmup_steps=0), 1, True),
        (OptimSpec(lr=1.0, first_step=FirstStep.FULL), 1, True),
    ],
)
def test_whether_any_rate_is_above_zero(optim: OptimSpec, steps: int, trains: bool) -> None:
    assert optim.trains(steps) is trains
    assert any(rate > 0 for rate in rates(optim, steps)) is trains


@pytest.mark.parametrize(("first", "warm_up"), [(FirstStep.ZERO, 5), (FirstStep.FULL, 4)])
def test_the_schedule_is_as_long_as_the_optimiser_steps_of_the_run(first: FirstStep, warm_up: int) -> None:
    """EOPD takes four a batch: three batches are twelve steps, of which the warm-up has five, or four without its step
    at 0."""
    profile = registry.profile("embedded")
    trainer = prepare(short_run("eopd", 3, optim=dataclasses.replace(profile.optim, first_step=first)))
    assert trainer.method.updates == 4
    found = []
    for _ in range(12):
        found.append(trainer.schedule.get_last_lr()[0] / profile.optim.lr)
        trainer.optimiser.step()
        trainer.schedule.step()
    rest = 12 - warm_up
    cosine = [0.5 * (1 + math.cos(math.pi * k / rest)) for k in range(rest)]
    assert found == pytest.approx([*[0.0, 0.2, 0.4, 0.6, 0.8][-warm_up:], *cosine])
