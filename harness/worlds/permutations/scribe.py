"""The scribe: writes what a mind believes of a problem, given p and words that stand already. No torch.

A response is ``[choice, op, note, result]`` a step, then ``!`` and the answer. Each word goes on from what stands
before it, right or wrong: the choice from the digit, the operation from the written choice, the result from the written
operation and digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from harness.worlds.permutations import tables
from harness.worlds.permutations.problems import Problem, Slot, Told, nothing
from harness.worlds.permutations.tables import Know
from harness.worlds.permutations.words import (
    BLANK,
    CHOICE,
    CHOICES,
    CODES,
    DIGITS,
    END,
    NOTE,
    OP,
    RESULT,
    STRIDE,
    UNKNOWN,
)


def length(asked: Problem) -> int:
    """Words of a response."""
    return STRIDE * len(asked.slots) + 2


def write(asked: Problem, know: Know, tells: Told | None = None, forced: Mapping[int, str] | None = None) -> list[str]:
    """The response's words. ``forced`` holds words that stand at some places, whatever the mind believes.

    Notes are the code where p tells it, ``_`` at a mark without, ``.`` without a mark.
    """
    tells, forced = tells or nothing(len(asked.slots)), forced or {}
    out: list[str] = []

    def put(word: str) -> str:
        out.append(forced.get(len(out), word))
        return out[-1]

    digit = asked.start
    for i, slot in enumerate(asked.slots):
        choice = put(tells.choices[i] or str(know(*asked.choice(i, digit))))
        op = put(slot.op(choice))
        put(note(slot, told=tells.codes[i]))
        digit = put(tells.results[i] or str(know(tables.RESULT, (op, digit))))
    put(END)
    put(tells.answer or digit)
    return out


def note(slot: Slot, *, told: bool) -> str:
    """The best note: the code, unknown, or no mark."""
    if slot.code == BLANK:
        return BLANK
    return slot.code if told else UNKNOWN


def slip(asked: Problem, rng: Random) -> dict[int, str]:
    """One word of some step, drawn anew: what a rollout that left the plan looks like."""
    i, offset = rng.randrange(len(asked.slots)), rng.choice((CHOICE, OP, RESULT))
    slot = asked.slots[i]
    drawn_from = {CHOICE: CHOICES, OP: (slot.op_a, slot.op_b), RESULT: DIGITS}[offset]
    return {STRIDE * i + offset: rng.choice(drawn_from)}


def with_notes(written: list[str], asked: Problem, which: Sequence[bool], share: float, rng: Random) -> list[str]:
    """Each note of a marked slot among ``which`` another code with this share: a guess where it was unknown, else a
    misreading."""
    out = list(written)
    for i, (slot, among) in enumerate(zip(asked.slots, which, strict=True)):
        at = STRIDE * i + NOTE
        if among and slot.code != BLANK and rng.random() < share:
            out[at] = rng.choice([code for code in CODES if code != out[at]])
    return out
