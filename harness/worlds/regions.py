"""Where in its pictures a problem's privileged input points: for whoever shows p to a reader. No torch.

The power stands apart from those of ``harness.worlds.world``: it decides no number, and what does is known by its code
(``harness.storage.code``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness.types import Example
from harness.worlds.pictures import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a picture that p tells of."""

    box: Box
    """Pixels, within the picture."""
    label: str
    """A word or a number, short enough to be drawn beside it."""
    words: str = ""
    """What else p says of it."""
    boxed: bool = True
    """Whether p holds the edges; False: it has only a word for the part, whose edges these are."""
    picture: int = 0
    """Of the pictures of ``harness.worlds.privilege.messages`` with this p, in reading order."""


@runtime_checkable
class Pointing(Protocol):
    """Its p points at parts of its pictures."""

    def regions(self, example: Example, kind: str) -> tuple[Region, ...]:
        """What p of ``kind`` points at; empty where it points at nothing, and for ``Privilege.NONE``.

        Raises:
            HarnessError: the example has no p of this kind.
        """
        ...
