"""This process among those that share a run: started alone, or by torchrun."""

from __future__ import annotations

import torch
from accelerate import PartialState


def process() -> PartialState:
    """Rank, device and barrier; joins torchrun's process group at the first call.

    Without ``cpu=True`` accelerate takes every rank of a machine without a GPU for the only one.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def device() -> torch.device:
    """Where this rank's models live."""
    found = process().device
    assert found is not None
    return torch.device(found)
