"""Steps of pre-training that recipes of the zoo share: optimisers, one update, a state that a killed training reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.models.zoo.muon import Muon

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STATE = "trunk.pt"
CLIP_NORM = 1.0


def optimisers(model: PreTrainedModel, muon_lr: float, adamw_lr: float, only: str = "") -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest; ``only`` those whose names begin so."""
    named = [(name, p) for name, p in model.named_parameters() if name.startswith(only)]
    inside = {name for name, p in named if p.ndim == 2 and "embed" not in name}
    return [
        Muon([p for name, p in named if name in inside], lr=muon_lr),
        torch.optim.AdamW(
            [p for name, p in named if name not in inside], lr=adamw_lr, betas=(0.9, 0.95), weight_decay=0.0
        ),
    ]


def descend(model: PreTrainedModel, optims: Sequence[torch.optim.Optimizer], rates: Sequence[float]) -> None:
    """One update at these rates, gradients clipped to ``CLIP_NORM``."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    for optim, rate in zip(optims, rates, strict=True):
        optim.param_groups[0]["lr"] = rate
        optim.step()
    model.zero_grad(set_to_none=True)


def resumed(work: Path, model: PreTrainedModel, optims: Sequence[torch.optim.Optimizer]) -> tuple[int, float] | None:
    """Step and CPU seconds of the state in a folder, which model and optimisers now have; None where there is none."""
    file = work / STATE
    if not file.exists():
        return None
    state: dict[str, Any] = torch.load(file)
    model.load_state_dict(state["model"])
    for optim, saved in zip(optims, state["optims"], strict=True):
        optim.load_state_dict(saved)
    return state["step"], state["seconds"]


def keep(
    work: Path, model: PreTrainedModel, optims: Sequence[torch.optim.Optimizer], step: int, seconds: float
) -> None:
    """Write the state for ``resumed``, never half a file."""
    work.mkdir(parents=True, exist_ok=True)
    state = {
        "model": model.state_dict(),
        "optims": [optim.state_dict() for optim in optims],
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, work / f"{STATE}.new")
    (work / f"{STATE}.new").replace(work / STATE)


def forget(work: Path) -> None:
    """Remove the state and its folder."""
    (work / STATE).unlink(missing_ok=True)
    work.rmdir()
