"""Questions: three items about a picture, what each asks for, what it depends on, and what p tells of it. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from harness.worlds.minds import Cell
from harness.worlds.scenes import tables, words
from harness.worlds.scenes.picture import Scene, scene
from harness.worlds.scenes.tables import Know
from harness.worlds.scenes.words import (
    BLANK,
    BOX_CAPTION,
    BOX_LABEL,
    CAPTION,
    CODES,
    FINAL_ANSWER,
    HEADERS,
    ITEMS,
    MARK,
    NO_ANCHOR,
    SLOT,
    Kind,
    crossing,
    line_places,
    neighbour,
)

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that is asked."""

    kind: Kind
    first: str
    """A name or a line."""
    second: str
    """A way, rule, test, relation or name; ``BLANK`` where the kind needs none."""
    code: str
    """Drawn at random; ``BLANK`` for an item without a mark. Only p holds it."""

    @property
    def words(self) -> tuple[str, ...]:
        """Of x."""
        return self.kind, self.first, self.second, BLANK if self.code == BLANK else MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A picture and three items of one kind whose targets are three different places."""

    scene: Scene
    items: tuple[Item, ...]

    @property
    def text(self) -> str:
        """x without its picture."""
        return " ".join(word for item in self.items for word in item.words)


def anchor(item: Item, scene: Scene, know: Know) -> str:
    """The word an item's answer begins with: the named place, or the count of the line."""
    match item.kind:
        case Kind.POINT:
            return NO_ANCHOR
        case Kind.COUNT | Kind.BRANCH:
            return str(scene.lit(line_places(item.first)))
        case _:
            return str(know(tables.NAME, item.first))


def choice(item: Item, scene: Scene, written: str) -> tuple[str, Cell]:
    """Cell set and cell that decide the target, going on from the anchor that is written."""
    match item.kind:
        case Kind.POINT:
            return tables.NAME, item.first
        case Kind.FOLLOW:
            return tables.WAY, (item.second, scene.tick(written))
        case Kind.COUNT:
            return tables.RULE, (item.second, written)
        case Kind.BRANCH:
            return tables.TEST, (item.second, int(written) >= 2)
        case Kind.RELATE:
            return tables.RELATION, item.second
        case Kind.MEET:
            return tables.NAME, item.second


def place(item: Item, scene: Scene, written: str, know: Know) -> str:
    """The target, going on from the anchor that is written."""
    value = know(*choice(item, scene, written))
    match item.kind:
        case Kind.POINT:
            return str(value)
        case Kind.COUNT:
            assert isinstance(value, int)
            return line_places(item.first)[value]
        case Kind.BRANCH:
            return neighbour(line_places(item.first)[1], str(value))
        case Kind.FOLLOW | Kind.RELATE:
            return neighbour(written, str(value))
        case Kind.MEET:
            return crossing(written, str(value))


def reading(scene: Scene, where: str, know: Know) -> str:
    """What stands at a place."""
    return str(know(tables.READING, scene.at(where)))


def targets(question: Question, know: Know) -> tuple[str, ...]:
    """The place of each item."""
    return tuple(place(i, question.scene, anchor(i, question.scene, know), know) for i in question.items)


def evidence(question: Question, know: Know) -> frozenset[str]:
    """Places that some item's answer depends on: targets, the place whose tick is read, the line that is counted."""
    kept = set(targets(question, know))
    for item in question.items:
        if item.kind is Kind.FOLLOW:
            kept.add(anchor(item, question.scene, know))
        if item.kind in (Kind.COUNT, Kind.BRANCH):
            kept.update(line_places(item.first))
    return frozenset(kept)


FIRST = {
    **dict.fromkeys((Kind.POINT, Kind.FOLLOW, Kind.RELATE, Kind.MEET), words.NAMES),
    **dict.fromkeys((Kind.COUNT, Kind.BRANCH), words.LINES),
}
SECOND = {
    Kind.POINT: (BLANK,),
    Kind.FOLLOW: words.WAYS,
    Kind.COUNT: words.RULES,
    Kind.BRANCH: words.TESTS,
    Kind.RELATE: words.RELATIONS,
    Kind.MEET: words.NAMES,
}
"""The words an item of each kind may have."""


def question(kind: Kind, about: Scene, know: Know, rng: Random) -> Question:
    """Three items about a scene, drawn until their targets are three different places; half of them are marked."""
    while True:
        drawn = tuple(
            Item(
                kind=kind,
                first=rng.choice(FIRST[kind]),
                second=rng.choice(SECOND[kind]),
                code=rng.choice(CODES) if rng.random() < 0.5 else BLANK,
            )
            for _ in range(ITEMS)
        )
        found = Question(scene=about, items=drawn)
        if len(set(targets(found, know))) == ITEMS:
            return found


def split_of(about: Scene) -> str:
    """The only split a scene can be in, by what is to be seen: half train, a quarter each of the others."""
    bucket = hashlib.sha256(about.key.encode()).digest()[0] % 4
    return ("test", "validation", "train", "train")[bucket]


def scene_of(split: str, rng: Random, *, easy: bool = False) -> Scene:
    """A random scene of a split."""
    found = scene(rng, easy=easy)
    while split_of(found) != split:
        found = scene(rng, easy=easy)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a p tells of each item; None where it tells nothing."""

    kind: str
    """A kind of p, or the empty text for none."""
    places: tuple[str | None, ...] = (None,) * ITEMS
    readings: tuple[str | None, ...] = (None,) * ITEMS

    @property
    def codes(self) -> bool:
        """Whether it tells the codes of marked items."""
        return self.kind in (BOX_LABEL, BOX_CAPTION)

    @property
    def answer(self) -> bool:
        """Whether it tells the answer itself."""
        return self.kind == FINAL_ANSWER


NOTHING = Told(kind="")
_PLACES = {BOX_LABEL: (0, 1, 2), BOX_CAPTION: (0, 1, 2), CAPTION: (0, 2), FINAL_ANSWER: ()}
_READINGS = {BOX_LABEL: (), BOX_CAPTION: (0, 1), CAPTION: (), FINAL_ANSWER: (0, 1, 2)}
"""Items whose place, and whose reading, a kind of p tells."""


def told(kind: str, places: Sequence[str], readings: Sequence[str]) -> Told:
    """What a p of ``kind`` tells, were these the places and readings."""
    return Told(
        kind=kind,
        places=tuple(p if i in _PLACES[kind] else None for i, p in enumerate(places)),
        readings=tuple(r if i in _READINGS[kind] else None for i, r in enumerate(readings)),
    )


def honest(question: Question, kind: str, know: Know) -> Told:
    """What the true p of ``kind`` tells."""
    where = targets(question, know)
    return told(kind, where, [reading(question.scene, p, know) for p in where])


def false(kind: str, rng: Random) -> Told:
    """A p of ``kind`` with random places and readings, the same form as a true one."""
    return told(kind, [rng.choice(words.PLACES) for _ in range(ITEMS)], rng.choices(words.READINGS, k=ITEMS))


def privileged_text(question: Question, tells: Told) -> str:
    """p: its header, then seven words an item.

    Colour and box (or shape) are of what stands at the place that is told; a caption has the place's word where a box
    has left and top.
    """
    out = [HEADERS[tells.kind]]
    for item, where, reads in zip(question.items, tells.places, tells.readings, strict=True):
        slot = [BLANK] * SLOT
        if where is not None:
            colour, shape = question.scene.at(where)
            boxed = (where, where, shape, BLANK) if tells.kind == CAPTION else question.scene.box_words(where)
            slot[:5] = [colour, *boxed]
        if tells.codes:
            slot[5] = item.code
        if reads is not None:
            slot[6] = reads
        out += slot
    return " ".join(out)


def tells_of() -> dict[str, frozenset[tuple[str, int]]]:
    """By kind of p, the facts it tells: (what, item)."""
    codes = {kind: range(ITEMS) if Told(kind=kind).codes else () for kind in HEADERS}
    shapes = {kind: _PLACES[kind] if kind == CAPTION else () for kind in HEADERS}
    facts = {"place": _PLACES, "reading": _READINGS, "code": codes, "shape": shapes}
    return {kind: frozenset((what, i) for what in facts for i in facts[what][kind]) for kind in HEADERS}
