"""Further powers of a world: p shown in part. No torch.

Apart from ``harness.worlds.world`` because methods that need them are few, and every run's code is known by that file.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from harness.types import Example, Message


@runtime_checkable
class PrivilegedAlone(Protocol):
    """Its p can be shown without the problem."""

    def privileged_alone(self, example: Example, kind: str) -> tuple[Message, ...]:
        """The chat turns of x with p of ``kind``, nothing left of x but its form.

        Raises:
            HarnessError: the example has no p of this kind.
        """
        ...


@runtime_checkable
class PrivilegedHalf(Protocol):
    """Its p has a first half."""

    def first_half(self, example: Example, kind: str) -> str:
        """The text of p of ``kind`` with what it tells of the second half of the steps left out; as many words.

        Raises:
            HarnessError: the example has no p of this kind, or it tells no steps.
        """
        ...
