"""The only place where privileged input enters a context. No torch.

p is read from the example. A run with corrupted p has it corrupted in its training set (``harness.worlds.corruption``),
so nothing here or after knows of it.
"""

from __future__ import annotations

from harness.types import Demonstration, Example, HarnessError, Message, Pictures, Privilege, Shown
from harness.worlds.world import Demonstrates, Pictured, World, require


def messages(example: Example, kind: str) -> tuple[Message, ...]:
    """The chat turns of x with p of ``kind`` before it, as a system turn; x alone for ``Privilege.NONE``.

    The turn is marked: where a template has no place for it, a reader puts p elsewhere.

    p stands before x so that the distance from x to the response does not depend on p. Raises HarnessError
    if the example has no p of this kind.
    """
    if kind == Privilege.NONE:
        return example.messages
    if kind not in example.privileged:
        allowed = ", ".join([Privilege.NONE, *example.privileged])
        raise HarnessError(f"example {example.id} has no privileged input {str(kind)!r}; it has: {allowed}")
    return _before(example, example.privileged[kind])


def shown(example: Example, what: Shown, world: World) -> tuple[Message, ...]:
    """The chat turns of x with what a method asks to see: a kind of p or a worked response before it, other
    images in it.

    Raises:
        HarnessError: the example has no such p; the world cannot show a response, or has no such images.
    """
    if isinstance(what, Pictures):
        return require(world, Pictured, f"a context with images of kind {what.kind}").pictured(example, what.kind)
    if not isinstance(what, Demonstration):
        return messages(example, what)
    return _before(
        example, require(world, Demonstrates, "a context that shows a response").demonstration(what.response)
    )


def _before(example: Example, text: str) -> tuple[Message, ...]:
    return ({"role": "system", "content": text, "privileged": True}, *example.messages)
