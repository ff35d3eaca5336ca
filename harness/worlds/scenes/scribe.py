"""The scribe: writes what a mind believes of a question, given p and words that stand already. No torch.

A response is ``[anchor, place, reading, note]`` an item, then ``!`` and the three readings. Each word goes on from what
stands before it, right or wrong: the place from the written anchor, the reading from the written place.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from harness.worlds.minds import Beliefs, Cell, Value
from harness.worlds.scenes import questions
from harness.worlds.scenes.questions import NOTHING, Item, Question, Told
from harness.worlds.scenes.tables import Know
from harness.worlds.scenes.words import BLANK, CODES, COUNTS, END, ITEMS, PLACES, READINGS, STRIDE, UNKNOWN, Kind

ANCHOR, PLACE, READING, NOTE = range(STRIDE)
"""Offsets in an item's words."""
LENGTH = ITEMS * STRIDE + 1 + ITEMS
"""Words of a response."""


def knowing(beliefs: Beliefs, rng: Random) -> Know:
    """What a mind says when asked: drawn anew each time, as probable as it holds it."""

    def know(name: str, cell: Cell) -> Value:
        return beliefs.of(name, cell).drawn(rng)

    return know


def write(question: Question, know: Know, tells: Told = NOTHING, forced: Mapping[int, str] | None = None) -> list[str]:
    """The response's words. ``forced`` holds words that stand at some places, whatever the mind believes.

    Notes are the code where p tells it, ``_`` at a mark without, ``.`` without a mark. Where p tells the answer the
    last three words are what it tells, else the readings that are written.
    """
    forced = forced or {}
    out: list[str] = []

    def put(word: str) -> str:
        out.append(forced.get(len(out), word))
        return out[-1]

    for item, where, reads in zip(question.items, tells.places, tells.readings, strict=True):
        begun = put(questions.anchor(item, question.scene, know))
        stands = put(where or questions.place(item, question.scene, begun, know))
        put(reads or questions.reading(question.scene, stands, know))
        put(note(item, tells))
    put(END)
    for i in range(ITEMS):
        put((tells.readings[i] if tells.answer else None) or out[STRIDE * i + READING])
    return out


def note(item: Item, tells: Told) -> str:
    """The best note: the code, unknown, or no mark."""
    if item.code == BLANK:
        return BLANK
    return item.code if tells.codes else UNKNOWN


def slip(question: Question, rng: Random) -> dict[int, str]:
    """One word of some item, drawn anew: what a rollout that left the plan looks like."""
    i, offset = rng.randrange(ITEMS), rng.choice((ANCHOR, PLACE, READING))
    kind = question.items[i].kind
    if offset == ANCHOR and kind is Kind.POINT:
        offset = PLACE
    counted = kind in (Kind.COUNT, Kind.BRANCH)
    drawn_from = {ANCHOR: COUNTS if counted else PLACES, PLACE: PLACES, READING: READINGS}[offset]
    return {STRIDE * i + offset: rng.choice(drawn_from)}


def with_notes(written: list[str], question: Question, share: float, rng: Random) -> list[str]:
    """Each note of a marked item another code with this share: a guess where it was unknown, else a misreading."""
    out = list(written)
    for i, item in enumerate(question.items):
        at = STRIDE * i + NOTE
        if item.code != BLANK and rng.random() < share:
            out[at] = rng.choice([code for code in CODES if code != out[at]])
    return out
