"""EOPD at one optimiser step a rollout batch: as many updates as the methods it is compared with.

Jin, Min et al., arXiv:2603.07079, take four steps a batch (``methods/eopd.py``), so at a shared learning rate EOPD
moves four times as often as the others. Here the whole batch feeds one step; the ratio to the sampler is then 1 and the
clip idle. Everything else is EOPD's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.eopd import EntropyAwareDistillation


@dataclass(frozen=True, kw_only=True)
class SingleUpdateEntropyAware(EntropyAwareDistillation):
    """EOPD of which the whole batch feeds one step."""

    updates: ClassVar[int] = 1
