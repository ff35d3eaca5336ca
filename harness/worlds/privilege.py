"""The only place where privileged input enters a context. No torch.

p is read from the example. A run with corrupted p has it corrupted in its training set (``harness.worlds.corruption``),
so nothing here or after knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.types import (
    Alone,
    Demonstration,
    Example,
    FirstHalf,
    HarnessError,
    ImagePart,
    Instead,
    Message,
    Part,
    Pictures,
    Privilege,
    PrivilegedInput,
    Shown,
    TextPart,
    images_of,
)
from harness.worlds.world import Demonstrates, Halves, Pictured, TellsAlone, World, require


def told(p: PrivilegedInput) -> str:
    """The text of a privileged input, its images left out."""
    if isinstance(p, str):
        return p
    return "" if isinstance(p, Instead) else "".join(part.text for part in p if isinstance(part, TextPart))


def messages(example: Example, kind: str) -> tuple[Message, ...]:
    """The chat turns of x with p of ``kind`` in it; x alone for ``Privilege.NONE``.

    Text stands before x as a system turn, so that the distance from x to the response does not depend on p; the turn is
    marked, for a reader whose template has no place for it. Parts with images begin the first user turn instead: chat
    templates show no image in a system turn. ``Instead`` puts other images in the place of those of x.

    Raises:
        HarnessError: the example has no p of this kind; as ``instead`` says.
    """
    if kind == Privilege.NONE:
        return example.messages
    if kind not in example.privileged:
        allowed = ", ".join([Privilege.NONE, *example.privileged])
        raise HarnessError(f"example {example.id} has no privileged input {str(kind)!r}; it has: {allowed}")
    return _with(example, example.privileged[kind])


def shown(example: Example, what: Shown, world: World, kind: str) -> tuple[Message, ...]:
    """The chat turns of x with what a method asks to see: a kind of p or a worked response before it, other
    images in it, half of p of the run's ``kind`` before it; or that p without x.

    Raises:
        HarnessError: the example has no such p; the world cannot show a response, or has no such images, or cannot tell
            p by halves or alone.
    """
    if isinstance(what, FirstHalf | Alone):
        return _partly(example, what, world, kind)
    if isinstance(what, Pictures):
        return require(world, Pictured, f"a context with images of kind {what.kind}").pictured(example, what.kind)
    if not isinstance(what, Demonstration):
        return messages(example, what)
    return _with(example, require(world, Demonstrates, "a context that shows a response").demonstration(what.response))


POWERS: Mapping[type, type[Any]] = {FirstHalf: Halves, Alone: TellsAlone}
"""What a world must be able to do, by what is shown of p."""


def _partly(example: Example, what: FirstHalf | Alone, world: World, kind: str) -> tuple[Message, ...]:
    if kind not in example.privileged:
        has = ", ".join(example.privileged) or "none"
        raise HarnessError(
            f"a context shows p in part, and example {example.id} has no privileged input {str(kind)!r} (it has: "
            f"{has}): give data with p, and its kind as their privilege"
        )
    if isinstance(what, Alone):
        return require(world, TellsAlone, "a context that shows p alone").alone(example, kind)
    return _with(example, require(world, Halves, "a context that shows half of p").first_half(example, kind))


def instead(turns: Sequence[Message], images: Sequence[ImagePart], whose: str) -> tuple[Message, ...]:
    """The same turns with these images in the place of their own, one for each, in their order.

    Raises:
        HarnessError: not as many as there are; ``whose`` they are is said.
    """
    own = len(images_of(turns))
    if own != len(images):
        raise HarnessError(
            f"{whose}: {len(images)} images for the place of {own}; give one for each image of the messages"
        )
    others = iter(images)
    return tuple(_replaced(turn, others) for turn in turns)


def _replaced(turn: Message, others: Iterator[ImagePart]) -> Message:
    content = turn["content"]
    if isinstance(content, str):
        return turn
    parts = tuple(next(others) if isinstance(part, ImagePart) else part for part in content)
    return {"role": turn["role"], "content": parts}


def _with(example: Example, p: PrivilegedInput) -> tuple[Message, ...]:
    if isinstance(p, Instead):
        return instead(example.messages, p.images, f"privileged input of example {example.id}")
    if isinstance(p, str) or not any(isinstance(part, ImagePart) for part in p):
        return ({"role": "system", "content": told(p), "privileged": True}, *example.messages)
    first = next((i for i, turn in enumerate(example.messages) if turn["role"] == "user"), None)
    if first is None:
        raise HarnessError(
            f"example {example.id} has no user turn, which privileged input with images begins: give it one"
        )
    turn = example.messages[first]
    joined: Message = {"role": "user", "content": (*p, *_parts(turn))}
    return (*example.messages[:first], joined, *example.messages[first + 1 :])


def _parts(turn: Message) -> tuple[Part, ...]:
    content = turn["content"]
    return (TextPart(content),) if isinstance(content, str) else content
