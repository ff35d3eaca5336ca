"""From a data specification to examples, and back from a response to a grade. No torch."""

from __future__ import annotations

from harness.config import DataSpec
from harness.types import Example, HarnessError
from harness.worlds import slots


def examples(spec: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
    """``n`` examples from place ``start`` of the endless list that takes the domains in turn.

    Place i is problem ``i // len(domains)`` of domain ``i % len(domains)``; in the train split the problem
    number wraps at ``spec.size``. Raises HarnessError if this package does not hold ``spec.world`` at
    ``spec.version``.
    """
    if spec.world != "embedded" or spec.version != slots.WORLD_VERSION:
        raise HarnessError(
            f"data source {spec.world!r} version {spec.version} is not available; allowed is 'embedded' "
            f"version {slots.WORLD_VERSION}: correct the run's data"
        )
    if not spec.domains:
        raise HarnessError(f"domains is empty; name at least one of {slots.DOMAINS}")
    low, high = spec.difficulty
    out = []
    for place in range(start, start + n):
        number, which = divmod(place, len(spec.domains))
        number = number % spec.size if split == "train" else number
        out.append(slots.example(spec.domains[which], split, number, (low, high)))
    return out


def grade(example: Example, text: str) -> slots.Grade:
    """Grade a decoded response, special tokens removed."""
    return slots.grade(example, text)


def verifiable(spec: DataSpec) -> bool:
    """Whether a response to this data can be graded without a judge."""
    return spec.world == "embedded"


def reference(example: Example) -> str:
    """The response to imitate without p: the reference trace, unknowable notes left as unknown."""
    return slots.plain_trace(example)
