"""Numbers that are not finite stop a run at their step; a run that moved nothing says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.drive_run import short_run
from support.small import fixed_batch, loss_and_gradient, policies, small_method, tiny

from harness.storage import checkpoint, files
from harness.storage.run_folder import RunFolder
from harness.training import loop
from harness.training.loop import train, train_step
from harness.training.trainer import Trainer, prepare
from harness.types import HarnessError, Policy


def broken(method: str, policy: Policy) -> Trainer:
    """A trainer one of whose policies has lost a weight of its last norm."""
    trainer = prepare(short_run(method, 2))
    with torch.no_grad():
        trainer.policies[policy].get_decoder().norm.weight[3] = torch.nan
    return trainer


@pytest.mark.parametrize(
    ("method", "policy", "said"),
    [
        (
            "dopd",
            Policy.TEACHER,
            r"the teacher gives numbers that are not finite at (\d+) of \1 response tokens \(context ",
        ),
        (
            "vanilla_opd",
            Policy.TEACHER,
            r"the teacher gives numbers .* at (\d+) of \1 response tokens \(context plain\)",
        ),
        ("sdft", Policy.EMA, "the ema gives numbers that are not finite"),
        (
            "seqkd",
            Policy.TEACHER,
            r"draw0/teacher, which writes responses, gives probabilities that are not finite at (\d+)",
        ),
        ("grpo", Policy.STUDENT, "draw0/student, which writes responses, gives probabilities that are not finite at"),
    ],
)
def test_a_policy_whose_numbers_are_not_finite_is_named_and_counted(method: str, policy: Policy, said: str) -> None:
    """A nan teacher trained to the end, status ok, losses 1.5; as the writer it was an index out of bounds."""
    with pytest.raises(HarnessError, match=said):
        train_step(broken(method, policy))


def spoilt(value: float) -> Any:
    method: Any = small_method("vanilla_opd")

    class Spoilt(type(method)):
        def token_loss(self, *arguments: Any) -> torch.Tensor:
            loss_N = super().token_loss(*arguments)
            return loss_N + torch.tensor([value, value, *[0.0] * (len(loss_N) - 2)])

    return Spoilt(**{f.name: getattr(method, f.name) for f in dataclasses.fields(method)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_no_collapse(value: float) -> None:
    method = spoilt(value)
    with pytest.raises(
        HarnessError, match=r"^Spoilt.token_loss is not finite at 2 of 25 tokens where the student is: "
    ):
        loss_and_gradient(method, fixed_batch(tiny(0), method=method))


def test_a_student_whose_own_numbers_break_is_left_to_the_rule_of_collapse() -> None:
    models, method = policies(), small_method("vanilla_opd")
    batch = fixed_batch(models[Policy.STUDENT])
    with torch.no_grad():
        models[Policy.STUDENT].get_decoder().norm.weight[3] = torch.nan
    losses, _ = loss_and_gradient(method, batch, models=models)
    assert losses[0] != losses[0]


@pytest.mark.slow
def test_updates_left_out_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = prepare(short_run("eopd", 2))
    whole = train_step(trainer)
    assert "updates_left_out" not in whole
    norms = iter([1.0, float("nan"), float("inf"), 1.0])
    monkeypatch.setattr(loop, "descend", lambda *_: next(norms))
    assert train_step(trainer)["updates_left_out"] == 2


def remark(tmp_path: Path, change: Callable[[Trainer], None], steps: int = 2, **changes: Any) -> str:
    folder = RunFolder(tmp_path, short_run("vanilla_opd", steps, **changes))
    with folder.lock():
        folder.prepare()
        trainer = prepare(folder.spec)
        change(trainer)
        return train(folder, trainer, lambda *_: None)


def at_rate_zero(trainer: Trainer) -> None:
    for group in trainer.optimiser.param_groups:
        group["lr"] = group["initial_lr"] = 0.0
    trainer.schedule.base_lrs = [0.0]


NOTHING = "nothing moved: after 2 steps the weights are those of step 0, to the last bit "


@pytest.mark.slow
def test_a_run_that_moved_nothing_says_so(tmp_path: Path) -> None:
    assert remark(tmp_path / "fine", lambda _: None) == ""
    said = remark(tmp_path / "rate", at_rate_zero)
    assert said == f"{NOTHING}(there were gradients, the learning rate moved nothing)"


@pytest.mark.slow
def test_a_run_without_a_gradient_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for norm, why in ((0.0, "every gradient was zero"), (float("nan"), "no gradient was finite")):
        monkeypatch.setattr(loop, "descend", lambda *_, norm=norm: norm)
        assert remark(tmp_path / why, lambda _: None) == f"{NOTHING}({why})"


@pytest.mark.slow
def test_a_damaged_first_checkpoint_does_not_end_a_run_that_is_trained(tmp_path: Path) -> None:
    def damaged(folder: RunFolder) -> None:
        (folder.checkpoints / "step-000000" / checkpoint.WEIGHTS).write_bytes(b"")

    folder = RunFolder(tmp_path, short_run("vanilla_opd", 2))
    with folder.lock():
        folder.prepare()
        assert train(folder, prepare(folder.spec), lambda step, *_: damaged(folder)) == ""


@pytest.mark.slow
def test_the_step_that_refuses_is_named(tmp_path: Path) -> None:
    def breaks(trainer: Trainer) -> None:
        with torch.no_grad():
            trainer.policies[Policy.TEACHER].get_decoder().norm.weight[3] = torch.nan

    with pytest.raises(HarnessError, match=r"^step 1: the teacher gives numbers that are not finite"):
        remark(tmp_path, breaks)
    (folder,) = (tmp_path / "runs").iterdir()
    assert [line["step"] for line in files.read_jsonl(folder / "metrics.jsonl")] == [0]
