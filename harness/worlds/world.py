"""What a world is: problems, privileged input and grades; and the further powers that some worlds have. No torch.

A power is a small protocol that is asked by ``isinstance``, never by a world's name: a method, an audit or a suite that
needs one refuses a world without it before any compute (``require``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Protocol, TypeVar, cast, overload, runtime_checkable

from harness.config import DataSpec, HeldOut
from harness.types import (
    Corruption,
    Example,
    Fact,
    HarnessError,
    Message,
    Modality,
    PrivilegedInput,
    Span,
    images_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What the grader found in one response."""

    answer: bool
    """The response ends in the reference answer; nothing else is looked at."""
    trace: bool
    """Everything the grader reads equals the reference trace."""
    parsed: bool
    """The response ends in some answer, right or wrong."""


class World(Protocol):
    """A source of problems. It is made without arguments and holds no state: equal calls give equal answers."""

    @property
    def version(self) -> int:
        """Bumped when any problem changes; part of every run's identity."""
        ...

    @property
    def modality(self) -> Modality:
        """Of the messages: what a reader must be able to read."""
        ...

    @property
    def domains(self) -> tuple[str, ...]:
        """In the order of tables."""
        ...

    @property
    def privileges(self) -> tuple[str, ...]:
        """The kinds of p its examples have."""
        ...

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """``n`` examples from place ``start`` of the endless list of a split (``in_turn``); the same on every machine.

        Raises:
            HarnessError: what ``data`` asks for is not there.
        """
        ...

    def grade(self, example: Example, text: str) -> Grade | None:
        """Of a decoded response, special tokens removed; None, then for all, if this world cannot verify answers."""
        ...

    def benchmarks(self) -> Sequence[HeldOut]:
        """Its held-out sets, in the order of tables."""
        ...


@runtime_checkable
class Drawn(Protocol):
    """It comes in draws: each has secret tables, orders, items and models of its own (``DataSpec.draw``).

    The data of its ``benchmarks`` name no draw: what a run is asked is of the run's own.
    """

    @property
    def draws(self) -> tuple[int, ...]:
        """Numbers of those that this package holds."""
        ...


@runtime_checkable
class OfData(Protocol):
    """Where problems stand in files of the user's: what such a world has is known once the data are.

    Registered in the place of a ``World``, and like one made without arguments and without state. ``world_of`` asks it
    for the world of a run's data; it has no benchmarks, a profile names its own (``harness.profile.Profile.held_out``).
    """

    @property
    def version(self) -> int:
        """Bumped when the same file would give other problems; part of every run's identity."""
        ...

    def of(self, data: DataSpec) -> World:
        """The world of these data: equal data give equal worlds.

        Raises:
            HarnessError: what ``data`` names cannot be read, or is not what it was.
        """
        ...


@runtime_checkable
class HasReferences(Protocol):
    """Its examples have responses to imitate."""

    def reference(self, example: Example) -> str:
        """The best response without p; what only p knows is left unknown in it."""
        ...


@runtime_checkable
class Demonstrates(Protocol):
    """It can show a worked response as context."""

    def demonstration(self, response: str) -> str:
        """Any response, garbled ones too, as the text of a p."""
        ...


@runtime_checkable
class Corruptible(Protocol):
    """Its p has steps that can be made wrong."""

    def corrupted(self, example: Example, kind: str, corruption: Corruption, rng: Random) -> str:
        """The text of p of ``kind`` with wrong steps, or with its steps in another order; as many words as before."""
        ...


@runtime_checkable
class Pictured(Protocol):
    """Its problems have images, and other images that may stand in their place."""

    @property
    def pictures(self) -> tuple[str, ...]:
        """The kinds there are: ``evidence`` (a crop of what decides the answer), ``degraded`` (little is left)."""
        ...

    def pictured(self, example: Example, kind: str) -> tuple[Message, ...]:
        """The turns of x with images of this kind in the place of its own; the text stays.

        Raises:
            HarnessError: unknown kind.
        """
        ...


@runtime_checkable
class Halves(Protocol):
    """It can tell the first half of a p."""

    def first_half(self, example: Example, kind: str) -> PrivilegedInput:
        """Of ``example.privileged[kind]``, corrupted or not; never empty, never all of it unless p is indivisible.

        Raises:
            HarnessError: p of this kind has no halves.
        """
        ...


@runtime_checkable
class TellsAlone(Protocol):
    """It can tell a p without its problem."""

    def alone(self, example: Example, kind: str) -> tuple[Message, ...]:
        """The turns that show ``example.privileged[kind]``, corrupted or not, and nothing of x."""
        ...


@runtime_checkable
class HasKinds(Protocol):
    """Its problems are of kinds, of which a domain may hold several."""

    def kind(self, example: Example) -> str:
        """One word; problems of one kind have answers of one kind."""
        ...


@runtime_checkable
class KnowsFacts(Protocol):
    """It says what decides each part of a response: what follows from x, what only p holds, what the format fixes."""

    @property
    def guesses(self) -> tuple[str, ...]:
        """Everything a response may assert in the place of what only p holds."""
        ...

    def reference_facts(self, example: Example) -> tuple[Span, ...]:
        """Of ``HasReferences.reference``: the spans of ``example.facts`` one for one, over that text."""
        ...

    def privileged_facts(self, example: Example, kind: str) -> tuple[Span, ...]:
        """Of the text of p; empty for ``Privilege.NONE``."""
        ...


C = TypeVar("C")


def require(world: World, power: type[C], who: str) -> C:
    """The world, which has the power.

    Raises:
        HarnessError: it has not; ``who`` needs it.
    """
    if not isinstance(world, power):
        wants = (power.__doc__ or power.__name__).splitlines()[0].rstrip(".")
        methods = f"give that world the methods of {power.__module__}.{power.__name__}"
        cure = getattr(world, "cures", {}).get(power.__name__, methods)
        raise HarnessError(
            f"{who} needs a world of the kind {power.__name__} ({wants}), {type(world).__name__} is none: choose other "
            f"data, or {cure}"
        )
    return cast(C, world)


def graded(world: World, example: Example, text: str) -> Grade:
    """The world's grade; raises HarnessError if it cannot verify answers."""
    grade = world.grade(example, text)
    if grade is None:
        raise HarnessError(
            f"{type(world).__name__} cannot verify answers, and {example.id} is to be graded: give a grader"
        )
    return grade


class OnDemand(Sequence[Example]):
    """Examples made when they are read, each once: a run reads a few thousand of the tens of thousands it may."""

    def __init__(self, make: Callable[[int], Example], n: int) -> None:
        self._make, self._n = cache(make), n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, place: int) -> Example: ...

    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...

    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        if isinstance(place, slice):
            return [self._make(i) for i in range(self._n)[place]]
        return self._make(range(self._n)[place])


def check_pictured(world: World, example: Example) -> None:
    """In a world of pictures every problem has one.

    Raises:
        HarnessError: this one has none.
    """
    if world.modality is Modality.VISION and not images_of(example.messages):
        raise HarnessError(
            f"example {example.id} of {type(world).__name__} has no picture, and this is a world of pictures: give its "
            "messages an ImagePart, or let the world's modality be text"
        )


def training_set(world: World, data: DataSpec) -> OnDemand:
    """Every training example of the data, ``size`` of each domain, the domains in turn.

    Raises:
        HarnessError: the first of a domain cannot be made; of any, when it is read: see ``check_pictured``.
    """

    def make(place: int) -> Example:
        (example,) = world.examples(data, "train", 1, start=place)
        check_pictured(world, example)
        return example

    found = OnDemand(make, data.size * len(data.domains))
    _ = found[: len(data.domains)]
    return found


def in_turn(data: DataSpec, split: str, n: int, start: int, make: Callable[[str, int], Example]) -> list[Example]:
    """Places ``start`` and following of the endless list that takes the domains in turn.

    Place i is problem ``i // len(domains)`` of domain ``i % len(domains)``, made by ``make(domain, number)``; in the
    train split the problem number wraps at ``data.size``.
    """
    out: list[Example] = []
    for place in range(start, start + n):
        number, which = divmod(place, len(data.domains))
        out.append(make(data.domains[which], number % data.size if split == "train" else number))
    return out


def word_spans(text: str, kinds: Sequence[Fact]) -> tuple[Span, ...]:
    """A span for each word of ``text``, in order; words are separated by white space, as many as ``kinds``."""
    words = re.finditer(r"\S+", text)
    return tuple(Span(word.start(), word.end(), kind) for word, kind in zip(words, kinds, strict=True))
