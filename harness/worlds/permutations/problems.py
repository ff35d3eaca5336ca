"""Problems: what x asks, which cells decide its words, and what p tells of it. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from harness.worlds.minds import Cell
from harness.worlds.permutations import tables
from harness.worlds.permutations.tables import Know
from harness.worlds.permutations.words import (
    BLANK,
    CHOICES,
    CODES,
    DIGITS,
    EXECUTION,
    FINAL_ANSWER,
    HEADERS,
    HINTS,
    MARK,
    MARKED,
    MASKED,
    OPS,
    SELECTORS,
    SLOTS,
    STRIDE,
    SUMMARY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One step that is asked."""

    selector: str
    op_a: str
    op_b: str
    code: str
    """Drawn at random; ``BLANK`` for a slot without a mark. Only p holds it."""

    @property
    def words(self) -> tuple[str, ...]:
        """Of x."""
        return self.selector, BLANK if self.code == BLANK else MARK, self.op_a, self.op_b

    def op(self, choice: str) -> str:
        """The operation that a choice names."""
        return self.op_a if choice == CHOICES[0] else self.op_b


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A first digit and one to seven slots."""

    domain: str
    start: str
    slots: tuple[Slot, ...]

    @property
    def text(self) -> str:
        """x."""
        words = [word for slot in self.slots for word in slot.words]
        return " ".join([self.domain, self.start, *words, *[BLANK] * (SLOTS * STRIDE - len(words))])

    def choice(self, i: int, digit: str) -> tuple[str, Cell]:
        """Cell set and cell that decide the choice of step ``i``, going on from the digit that is written."""
        selector = self.slots[i].selector
        match self.domain:
            case "general":
                return tables.LETTER, (selector, digit)
            case "coding":
                return tables.THRESHOLD, (selector, digit)
            case _:
                odd = sum(slot.selector == "odd" for slot in self.slots[i:])
                return tables.PLAN, (len(self.slots) - i, CHOICES[odd % 2])


def problem(domain: str, difficulty: tuple[int, int], rng: Random) -> Problem:
    """A random problem of so many steps, ends included; the two operations of a slot differ."""
    slots = list[Slot]()
    for _ in range(rng.randint(*difficulty)):
        op_a, op_b = rng.sample(OPS, 2)
        code = rng.choice(CODES) if rng.random() < MARKED else BLANK
        slots.append(Slot(selector=rng.choice(SELECTORS[domain]), op_a=op_a, op_b=op_b, code=code))
    return Problem(domain=domain, start=rng.choice(DIGITS), slots=tuple(slots))


def split_of(text: str) -> str:
    """The only split a problem's text can be in: half train, a quarter each of the others."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 4
    return ("test", "validation", "train", "train")[bucket]


def problem_of(split: str, domain: str, difficulty: tuple[int, int], rng: Random) -> Problem:
    """A random problem of a split."""
    found = problem(domain, difficulty, rng)
    while split_of(found.text) != split:
        found = problem(domain, difficulty, rng)
    return found


class Sort(StrEnum):
    """Sorts of facts that p may tell."""

    CHOICE = "choice"
    CODE = "code"
    RESULT = "result"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a p tells of each step; None where it tells nothing."""

    kind: str
    """A kind of p, or the empty text for none."""
    choices: tuple[str | None, ...]
    results: tuple[str | None, ...]
    codes: tuple[bool, ...]
    """Whether it tells the code of a marked slot."""
    answer: str | None = None


def nothing(steps: int) -> Told:
    """Of no p."""
    return Told(kind="", choices=(None,) * steps, results=(None,) * steps, codes=(False,) * steps)


def _tells(kind: str, sort: Sort, i: int, steps: int) -> bool:
    """Whether a kind of p tells this of step ``i``. The last result would make anyone perfect."""
    match sort:
        case Sort.CHOICE:
            return kind in (HINTS, EXECUTION) or (kind == SUMMARY and i % 2 == 0)
        case Sort.CODE:
            return kind in (HINTS, EXECUTION, MASKED)
        case Sort.RESULT:
            return kind == EXECUTION and i < steps - 1
        case Sort.ANSWER:
            return kind == FINAL_ANSWER and i == steps - 1


def tells_of() -> dict[str, frozenset[tuple[Sort, int]]]:
    """By kind of p, the facts it tells of a problem of seven steps: (sort, step)."""
    facts = [(sort, i) for sort in Sort for i in range(SLOTS)]
    return {kind: frozenset((sort, i) for sort, i in facts if _tells(kind, sort, i, SLOTS)) for kind in HEADERS}


def told(kind: str, choices: Sequence[str], results: Sequence[str]) -> Told:
    """What a p of ``kind`` tells, were these the choices and results; the answer is the last result."""
    steps = len(choices)

    def kept(sort: Sort, values: Sequence[str]) -> tuple[str | None, ...]:
        return tuple(value if _tells(kind, sort, i, steps) else None for i, value in enumerate(values))

    return Told(
        kind=kind,
        choices=kept(Sort.CHOICE, choices),
        results=kept(Sort.RESULT, results),
        codes=tuple(_tells(kind, Sort.CODE, i, steps) for i in range(steps)),
        answer=kept(Sort.ANSWER, results)[-1],
    )


def solved(asked: Problem, know: Know) -> tuple[list[str], list[str]]:
    """Choices and results, as ``know`` has them."""
    digit, choices, results = asked.start, list[str](), list[str]()
    for i, slot in enumerate(asked.slots):
        choices.append(str(know(*asked.choice(i, digit))))
        digit = str(know(tables.RESULT, (slot.op(choices[-1]), digit)))
        results.append(digit)
    return choices, results


def honest(asked: Problem, kind: str, know: Know) -> Told:
    """What the true p of ``kind`` tells."""
    return told(kind, *solved(asked, know))


def false(asked: Problem, kind: str, rng: Random) -> Told:
    """A p of ``kind`` with random choices and digits, the same form as a true one."""
    steps = len(asked.slots)
    return told(kind, rng.choices(CHOICES, k=steps), rng.choices(DIGITS, k=steps))


def masked(tells: Told) -> Told:
    """The same without choices and results."""
    none = (None,) * len(tells.choices)
    return replace(tells, choices=none, results=none)


def halved(tells: Told) -> Told:
    """The same of the first half of the steps, the middle one included."""
    steps = len(tells.choices)
    kept = (steps + 1) // 2
    rest = (None,) * (steps - kept)
    return replace(
        tells,
        choices=tells.choices[:kept] + rest,
        results=tells.results[:kept] + rest,
        codes=tells.codes[:kept] + (False,) * (steps - kept),
    )


def privileged_text(asked: Problem, tells: Told) -> str:
    """p: its header, then seven slots of ``[choice, op, code, result]``; a final answer stands in every slot, so that
    it is at one distance from the end whatever the length."""
    out = [HEADERS[tells.kind]]
    if tells.answer is not None:
        return " ".join([*out, *[BLANK, BLANK, BLANK, tells.answer] * SLOTS])
    for i, slot in enumerate(asked.slots):
        choice, result = tells.choices[i], tells.results[i]
        op = slot.op(choice) if tells.kind == EXECUTION and choice else BLANK
        out += [choice or BLANK, op, slot.code if tells.codes[i] else BLANK, result or BLANK]
    return " ".join([*out, *[BLANK] * (STRIDE * (SLOTS - len(asked.slots)))])
