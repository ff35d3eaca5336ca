"""Problems of a profile of pictures: one of each kind, with its picture under every kind of p. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.web.album import Album, Drawn, kinds_of_p
from harness.report.web.folders import names_alone
from harness.suite import Profile
from harness.types import Example, HarnessError, Modality, Pictures, Privilege, text_of
from harness.worlds import world_of
from harness.worlds.privilege import told
from harness.worlds.world import HasKinds, HasReferences, Pictured, World

LOOKED = 8
"""Test problems of a domain among which one of each kind is looked for."""
MOST = 12
"""Problems on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A problem's pictures as one view of it shows them."""

    title: str
    text: str
    """Of p; empty where it has none."""
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of question."""

    id: str
    kind: str
    question: str
    answer: str
    reference: str
    """The best response without p; empty where the world knows none."""
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """What the page shows of them, or why nothing."""

    problems: tuple[Problem, ...] = ()
    found: int = 0
    """Kinds there are; ``problems`` may be a part of them."""
    reason: str = ""


def load(profile: Profile, album: Album) -> Problems | None:
    """One test problem of each kind, of the first seed's draw; None where problems are text alone."""
    try:
        data = profile.at(0).data
        world = world_of(data)
        if world.modality is not Modality.VISION:
            return None
        found = _one_of_each(world, world.examples(data, "test", LOOKED * len(data.domains)))
        shown = list(found.items())[:MOST]
        problems = tuple(_problem(kind, world, example, profile, album) for kind, example in shown)
    except HarnessError as error:
        if profile.modality is not Modality.VISION:
            return None
        return Problems(reason=f"not available: {names_alone(str(error))}")
    return Problems(problems=problems, found=len(found))


def title_of(kind: str, profile: Profile) -> str:
    """A kind of p in the profile's words, else in its own."""
    if kind == Privilege.NONE:
        return "no privileged input"
    return profile.privileges.get(kind, kind.replace("_", " "))


def _one_of_each(world: World, examples: list[Example]) -> dict[str, Example]:
    found: dict[str, Example] = {}
    for example in examples:
        kind = f"{example.domain}: {world.kind(example)}" if isinstance(world, HasKinds) else example.domain
        found.setdefault(kind, example)
    return dict(sorted(found.items(), key=lambda each: world.domains.index(each[1].domain)))


def _problem(kind: str, world: World, example: Example, profile: Profile, album: Album) -> Problem:
    return Problem(
        id=example.id,
        kind=kind,
        question=" ".join(text_of(turn) for turn in example.messages if turn["role"] == "user"),
        answer=example.answer,
        reference=world.reference(example) if isinstance(world, HasReferences) else "",
        panels=tuple(_panels(world, example, profile, album)),
    )


def _panels(world: World, example: Example, profile: Profile, album: Album) -> Iterator[Panel]:
    for kind in kinds_of_p(world, example):
        text = "" if kind == Privilege.NONE else told(example.privileged[kind])
        yield Panel(title=title_of(kind, profile), text=text, drawn=album.shown(world, example, kind))
    for kind in world.pictures if isinstance(world, Pictured) else ():
        yield Panel(
            title=f"other picture: {kind.replace('_', ' ')}",
            text="",
            drawn=album.shown(world, example, Pictures(kind)),
        )
