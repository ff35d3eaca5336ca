"""This process among those that share a run: started alone, or by torchrun."""

from __future__ import annotations

import torch
from accelerate import PartialState

from harness.types import HarnessError

AUTO = "auto"
"""A GPU where there is one."""


def process() -> PartialState:
    """Rank, device and barrier; joins torchrun's process group at the first call.

    Without ``cpu=True`` accelerate takes every rank of a machine without a GPU for the only one.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def device(asked: str = AUTO) -> torch.device:
    """Where this rank's models live; ``asked`` as in ``RunSpec.device``.

    Raises:
        HarnessError: torch knows no such device, or has none here.
    """
    if asked != AUTO:
        return _of_name(asked)
    found = process().device
    assert found is not None
    return torch.device(found)


def _of_name(name: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise HarnessError(f"device {name!r} is not here ({reason}): give cpu, cuda, cuda:1 or {AUTO}") from error
