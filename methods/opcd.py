"""OPCD: on-policy context distillation from the privileged teacher.

Ye et al., "On-Policy Context Distillation", arXiv:2602.12275; reverse KL over the student's top 256 entries, neither
renormalised nor given a tail, averaged over tokens. The paper distils a context into the model itself or from a
larger model; DOPD lists it beside strong-to-weak methods, so the teacher here is the external one (unverified).
Left out: picking the best of several checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.losses.objectives import Tail
from harness.types import PRIVILEGED, Reduction
from methods.opd import OnPolicyDistillation


@dataclass(frozen=True, kw_only=True)
class OnPolicyContextDistillation(OnPolicyDistillation):
    """The privileged-teacher arm with its source's support, mass handling and averaging."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN

    k: int = 256
    tail: Tail = Tail.RAW
    source_context: str = PRIVILEGED
