"""The slot world: problems whose two gaps are known per token. No torch.

x is ``<domain> <v0>`` and seven slots ``[selector, mark, op_a, op_b]`` (unused slots are dots). The
response is one ``[A|B, op, note, result]`` per used slot, then ``! answer``. A running digit starts at v0;
the domain's rule says which of the slot's two operations acts on it:

- general: a secret table, letter x running digit (memory);
- reasoning: A if the number of one-bits from this slot to the last is even, else B (planning ahead);
- coding: B if the running digit is below the slot's threshold, else A (branching on state).

Choices, operations, results and the answer follow from x: *capability*. A slot marked ``?`` has a code,
drawn at random, that stands only in p: *information*. Without p the best note there is ``_`` (unknown); the
grader never scores notes, so the best accuracy without p is 100 %.

Everything sits at constant distances (slots, hints and steps all have stride four), which is what lets a
model of a few hundred thousand parameters learn the world in minutes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from random import Random

from harness.types import Example, Fact, HarnessError, Privilege, Span, text_of
from harness.worlds.privilege import told
from harness.worlds.world import Grade, word_spans

WORLD_VERSION = 1
"""Bumped when any problem changes; part of every run's identity."""
DOMAINS = ("general", "reasoning", "coding")
SPLITS = ("train", "validation", "test")
TRAIN_DIFFICULTY = (3, 5)
"""Steps, inclusive: what distillation trains and the main benchmarks ask."""
HARD_DIFFICULTY = (6, 7)
"""Steps, inclusive: seen in pre-training only, so a real out-of-distribution axis for distillation."""
SLOTS = 7
STRIDE = 4
"""Tokens per slot of x, per slot of p and per step of a response."""
MAX_RESPONSE_TOKENS = SLOTS * STRIDE + 3
"""Longest right response, end of sequence included."""

ADDITIONS = tuple(f"+{k}" for k in range(1, 10))
PRODUCTS = ("*3", "*7", "*9")
OPS = ADDITIONS + PRODUCTS
"""All are one-to-one modulo 10, so an error does not heal by itself."""
LETTERS = tuple("abcdefghijklmnop")
BITS = ("even", "odd")
THRESHOLDS = tuple(f"<{k}" for k in range(1, 10))
SELECTORS = {"general": LETTERS, "reasoning": BITS, "coding": THRESHOLDS}
CODES = tuple(f"k{i}" for i in range(8))
BLANK, MARK, UNKNOWN, END = ".", "?", "_", "!"
HEADERS = {
    Privilege.FINAL_ANSWER: "answer",
    Privilege.HINTS_WITH_EXECUTION: "execution",
    Privilege.HINTS: "hints",
    Privilege.SUMMARY: "summary",
}
"""First word of each kind of p."""
_PAIRS = tuple((a, b) for a in OPS for b in OPS if a != b)


class Slip(StrEnum):
    """How a prefix is wrong."""

    CHOICE = "choice"
    """One wrong A|B."""
    STEP = "step"
    """One wrong A|B with its operation and its result, consistent with one another."""
    TAIL = "tail"
    """Every step from here on, to the end of the trace."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """x, taken apart."""

    domain: str
    start: int
    slots: tuple[tuple[str, str, str, str], ...]

    @property
    def text(self) -> str:
        words = [word for slot in self.slots for word in slot]
        return " ".join([self.domain, str(self.start), *words, *[BLANK] * (SLOTS * STRIDE - len(words))])


def apply_op(op: str, digit: int) -> int:
    """The digit after ``op``, modulo 10."""
    return (digit + int(op[1:]) if op[0] == "+" else digit * int(op[1:])) % 10


@cache
def secret_table() -> dict[tuple[str, int], str]:
    """The general domain's rule: letter and running digit to A or B, half of each."""
    cells = [(letter, digit) for letter in LETTERS for digit in range(10)]
    Random("slot world, secret table").shuffle(cells)
    return {cell: "AB"[i % 2] for i, cell in enumerate(cells)}


def _general(selectors: tuple[str, ...], i: int, digit: int) -> str:
    return secret_table()[selectors[i], digit]


def _reasoning(selectors: tuple[str, ...], i: int, digit: int) -> str:
    return "AB"[selectors[i:].count("odd") % 2]


def _coding(selectors: tuple[str, ...], i: int, digit: int) -> str:
    return "AB"[digit < int(selectors[i][1:])]


RULES: dict[str, Callable[[tuple[str, ...], int, int], str]] = {
    "general": _general,
    "reasoning": _reasoning,
    "coding": _coding,
}
"""(selectors of the used slots, step, running digit) -> A or B."""


def split_of(text: str) -> str:
    """The only split a problem text can be in: half train, a quarter each of the others."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 4
    return ("test", "validation", "train", "train")[bucket]


def example(domain: str, split: str, index: int, difficulty: tuple[int, int] = TRAIN_DIFFICULTY) -> Example:
    """Problem number ``index``: the same on every machine, disjoint between splits by construction.

    ``difficulty`` is the smallest and largest number of steps. Raises HarnessError for an unknown domain,
    split or range.
    """
    low, high = difficulty
    if domain not in DOMAINS or split not in SPLITS or not 1 <= low <= high <= SLOTS or index < 0:
        raise HarnessError(
            f"example({domain!r}, {split!r}, {index}, {difficulty}): domain must be one of {DOMAINS}, split "
            f"one of {SPLITS}, index >= 0, difficulty a range within 1 to {SLOTS}"
        )
    range_name = "" if difficulty == TRAIN_DIFFICULTY else f"{low}-{high}/"
    name = f"{domain}/{split}/{range_name}{index}"
    digest = hashlib.sha256(f"slot world {WORLD_VERSION}/{name}".encode()).digest()
    rng = Random(int.from_bytes(digest[:16], "big"))
    problem = _draw(domain, difficulty, rng)
    while split_of(problem.text) != split:
        problem = _draw(domain, difficulty, rng)
    return _build(name, split, problem, rng)


def _draw(domain: str, difficulty: tuple[int, int], rng: Random) -> _Problem:
    selectors = SELECTORS[domain]
    slots = []
    for _ in range(rng.randint(*difficulty)):
        op_a, op_b = _PAIRS[rng.randrange(len(_PAIRS))]
        mark = MARK if rng.random() < 0.5 else BLANK
        slots.append((selectors[rng.randrange(len(selectors))], mark, op_a, op_b))
    return _Problem(domain, rng.randrange(10), tuple(slots))


def _build(name: str, split: str, problem: _Problem, rng: Random) -> Example:
    selectors = tuple(slot[0] for slot in problem.slots)
    digit, steps, facts = problem.start, [], []
    for i, (_, mark, op_a, op_b) in enumerate(problem.slots):
        choice = RULES[problem.domain](selectors, i, digit)
        op = op_a if choice == "A" else op_b
        digit = apply_op(op, digit)
        note = CODES[rng.randrange(len(CODES))] if mark == MARK else BLANK
        steps.append((choice, op, note, str(digit)))
        kind = Fact.INFORMATION if mark == MARK else Fact.FORMAT
        facts += [Fact.CAPABILITY, Fact.CAPABILITY, kind, Fact.CAPABILITY]
    words = [word for step in steps for word in step]
    trace = " ".join([*words, END, str(digit)])
    return Example(
        id=name,
        domain=problem.domain,
        difficulty=len(steps),
        split=split,
        messages=({"role": "user", "content": problem.text},),
        answer=str(digit),
        trace=trace,
        facts=word_spans(trace, [*facts, Fact.FORMAT, Fact.CAPABILITY]),
        privileged=_privileged(steps, str(digit)),
    )


def _privileged(steps: list[tuple[str, str, str, str]], answer: str) -> dict[str, str]:
    """Every kind of p: its header, then seven slots."""
    blank = (BLANK,) * STRIDE
    rest = [blank] * (SLOTS - len(steps))
    slots = {
        # In every slot's result place, so that "! answer" is at one distance whatever the length.
        Privilege.FINAL_ANSWER: [(BLANK, BLANK, BLANK, answer)] * SLOTS,
        Privilege.HINTS_WITH_EXECUTION: steps + rest,
        Privilege.HINTS: [(choice, BLANK, note, BLANK) for choice, _, note, _ in steps] + rest,
        Privilege.SUMMARY: [(step[0], BLANK, BLANK, BLANK) if i % 2 == 0 else blank for i, step in enumerate(steps)]
        + rest,
    }
    return {kind: " ".join([HEADERS[kind], *(w for slot in slots[kind] for w in slot)]) for kind in slots}


def demonstration(response: str) -> str:
    """A response in the place and form of hints with execution: seven slots, the answer left out.

    Models know worked steps in this form only; a garbled or endless response is cut to the slots.
    """
    words = response.split()
    steps = words[: words.index(END)] if END in words else words
    padded = [*steps, *[BLANK] * (SLOTS * STRIDE)][: SLOTS * STRIDE]
    return " ".join([HEADERS[Privilege.HINTS_WITH_EXECUTION], *padded])


def plain_trace(example: Example) -> str:
    """The best response without p: the reference with ``_`` in place of every code."""
    assert example.trace is not None
    pairs = zip(example.trace.split(), example.facts, strict=True)
    return " ".join(UNKNOWN if span.kind is Fact.INFORMATION else word for word, span in pairs)


def plain_facts(example: Example) -> tuple[Span, ...]:
    """What decides each word of ``plain_trace``: what decides the reference's."""
    return word_spans(plain_trace(example), [span.kind for span in example.facts])


def privileged_facts(example: Example, kind: str) -> tuple[Span, ...]:
    """What each word of the text of p is; empty for ``Privilege.NONE``."""
    if kind == Privilege.NONE:
        return ()
    text = told(example.privileged[kind])
    return word_spans(text, [_fact(word) for word in text.split()])


def _fact(word: str) -> Fact:
    if word in CODES:
        return Fact.INFORMATION
    return Fact.CAPABILITY if word in ("A", "B", *OPS) or word.isdigit() else Fact.FORMAT


def knows_codes(kind: str) -> bool:
    """True where p holds the codes, so that the best note is the code."""
    return kind in (Privilege.HINTS, Privilege.HINTS_WITH_EXECUTION)


def slip(example: Example, words: list[str], step: int, kind: Slip, rng: Random) -> tuple[list[str], list[bool]]:
    """``words``, a right trace of ``example``, made wrong from ``step`` on as ``kind`` says.

    Returns the new words and which of them are wrong. After a choice or a step the trace goes on as if
    nothing had happened; a tail stays wrong up to the answer, which is right in every case.
    """
    assert example.difficulty is not None
    out, wrong = list(words), [False] * len(words)
    digit = _digit_before(example, words, step)
    last = example.difficulty if kind is Slip.TAIL else step + 1
    for i in range(step, last):
        at = STRIDE * i
        choice = rng.choice("AB") if i > step else "AB"[words[at] == "A"]
        op = _slot(example, i)[2 if choice == "A" else 3]
        digit = apply_op(op, digit)
        new = {0: choice} if kind is Slip.CHOICE else {0: choice, 1: op, 3: str(digit)}
        for offset, word in new.items():
            out[at + offset], wrong[at + offset] = word, True
    return out, wrong


def wrong_prefix(example: Example, step: int, kind: Slip, *, codes: bool = False) -> str:
    """The response up to and including the slip at ``step``: what a rollout that left the plan looks like.

    ``kind`` is CHOICE or STEP; ``codes`` writes the codes in the notes, as a policy with p would.
    """
    assert example.trace is not None and kind is not Slip.TAIL
    words = (example.trace if codes else plain_trace(example)).split()
    out, _ = slip(example, words, step, kind, Random(0))
    return " ".join(out[: STRIDE * step + (1 if kind is Slip.CHOICE else STRIDE)])


def _slot(example: Example, i: int) -> list[str]:
    start = 2 + STRIDE * i
    return text_of(example.messages[-1]).split()[start : start + STRIDE]


def _digit_before(example: Example, words: list[str], step: int) -> int:
    return int(words[STRIDE * step - 1]) if step else int(text_of(example.messages[-1]).split()[1])


def grade(example: Example, response: str) -> Grade:
    """Grade decoded text, special tokens removed. Notes are never scored."""
    assert example.trace is not None and example.difficulty is not None
    words, reference = response.split(), example.trace.split()
    parsed = len(words) >= 2 and words[-2] == END and words[-1] in "0123456789" and len(words[-1]) == 1
    scored = [i for i in range(len(reference)) if i % STRIDE != 2 or i >= STRIDE * example.difficulty]
    trace = len(words) == len(reference) and all(words[i] == reference[i] for i in scored)
    return Grade(answer=parsed and words[-1] == example.answer, trace=trace, parsed=parsed)
