"""A run stopped after two of three steps ends as one that was not: quick, with every part of the checkpoint in use."""

from __future__ import annotations

from pathlib import Path

import torch
from support.drive_run import folder_of

from harness.storage import checkpoint, files
from harness.training.loop import log, restore, save, train_step
from harness.training.trainer import Trainer, prepare
from harness.types import Policy


def state(trainer: Trainer) -> dict[str, list[torch.Tensor]]:
    """Weights of every policy, Adam's moments, the rate."""
    moments = [v for each in trainer.optimiser.state.values() for v in each.values()]
    rate = [torch.tensor(trainer.schedule.get_last_lr())]
    weights = {policy.value: list(model.parameters()) for policy, model in trainer.policies.items()}
    return {**weights, "moments": moments, "rate": rate, "counts": [torch.tensor([trainer.step, trainer.tokens])]}


def test_stopped_after_two_of_three_steps(tmp_path: Path) -> None:
    """Of a method with a moving copy: optimiser, schedule and copy are all needed for the third step."""
    folder = folder_of(tmp_path, "dopd_ema_self", 3)
    whole = prepare(folder.spec)
    restore(folder, whole, None)
    for step in (1, 2):
        train_step(whole)
        log(folder, {"step": step})
    save(folder, whole)
    log(folder, {"step": 3})
    at_two = [weight.clone() for weight in whole.policies[Policy.EMA].parameters()]
    train_step(whole)
    resumed = prepare(folder.spec)
    found, _ = checkpoint.latest_valid(folder.checkpoints)
    restore(folder, resumed, found)
    assert files.read_jsonl(folder.metrics) == [{"step": 1}, {"step": 2}]
    pairs = zip(at_two, resumed.policies[Policy.EMA].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    train_step(resumed)
    one, other = state(whole), state(resumed)
    assert one.keys() == other.keys()
    for name in one:
        assert all(torch.equal(a, b) for a, b in zip(one[name], other[name], strict=True)), name
