"""The only place where privileged input enters a context. No torch.

p is read from the example. A run with corrupted p has it corrupted in its training set (``harness.worlds.corruption``),
so nothing here or after knows of it.
"""

from __future__ import annotations

from harness.types import Example, HarnessError, Message, Privilege
from harness.worlds import slots


def messages(example: Example, kind: Privilege) -> tuple[Message, ...]:
    """The chat turns of x with p of ``kind`` before it, as a system turn; x alone for ``Privilege.NONE``.

    p stands before x so that the distance from x to the response does not depend on p. Raises HarnessError
    if the example has no p of this kind.
    """
    if kind is Privilege.NONE:
        return example.messages
    if kind not in example.privileged:
        allowed = ", ".join([Privilege.NONE, *example.privileged])
        raise HarnessError(f"example {example.id} has no privileged input {str(kind)!r}; it has: {allowed}")
    return ({"role": "system", "content": example.privileged[kind]}, *example.messages)


def demonstration(example: Example, response: str) -> tuple[Message, ...]:
    """The chat turns of x with a worked response before it: a sibling's success, a reference, the rollout itself."""
    return ({"role": "system", "content": slots.demonstration(response)}, *example.messages)
