"""The slot world (``harness.worlds.slots``) as the harness asks for it, and its p made wrong step by step. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from harness.config import DataSpec
from harness.types import Corruption, Example, HarnessError, Message, Modality, Privilege, Span, text_of
from harness.worlds import slots
from harness.worlds.corruption import shuffled
from harness.worlds.privilege import told
from harness.worlds.slots import BLANK, CODES, STRIDE, apply_op
from harness.worlds.world import Grade, HeldOut, in_turn

NAME = "embedded"
"""As in ``DataSpec.world``."""
HELD_OUT = (
    ("", slots.TRAIN_DIFFICULTY, "test"),
    ("_hard", slots.HARD_DIFFICULTY, "test"),
    ("_validation", slots.TRAIN_DIFFICULTY, "validation"),
)
"""Suffix of the name, steps and split of the held-out sets of every domain; validation is for tuning only."""
MAX_NEW_TOKENS = slots.MAX_RESPONSE_TOKENS + 1
"""One more than the longest right response."""
Step = tuple[str, ...]
"""One slot of p: choice, operation, note, result, ``STRIDE`` words; ``BLANK`` where the kind of p leaves one out."""


class SlotWorld:
    """Has every power of ``harness.worlds.world``."""

    version = slots.WORLD_VERSION
    modality = Modality.TEXT
    domains = slots.DOMAINS
    privileges = tuple(map(str, slots.HEADERS))

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """Problems of ``data.difficulty`` steps; raises HarnessError for an unknown domain, split or range."""
        return in_turn(data, split, n, start, lambda domain, i: slots.example(domain, split, i, data.difficulty))

    def grade(self, example: Example, text: str) -> Grade:
        """Notes are never scored."""
        return slots.grade(example, text)

    def benchmarks(self) -> Sequence[HeldOut]:
        """``embedded_<domain>``, the harder ``..._hard``, and ``..._validation`` for tuning only."""
        return [
            HeldOut(
                name=f"{NAME}_{domain}{suffix}",
                data=DataSpec(world=NAME, version=self.version, domains=(domain,), difficulty=difficulty),
                split=split,
                max_new_tokens=MAX_NEW_TOKENS,
            )
            for suffix, difficulty, split in HELD_OUT
            for domain in self.domains
        ]

    def reference(self, example: Example) -> str:
        """The reference trace, unknowable notes left as unknown."""
        return slots.plain_trace(example)

    @property
    def guesses(self) -> tuple[str, ...]:
        """Every code."""
        return CODES

    def reference_facts(self, example: Example) -> tuple[Span, ...]:
        """Of every word."""
        return slots.plain_facts(example)

    def privileged_facts(self, example: Example, kind: str) -> tuple[Span, ...]:
        """Of every word."""
        return slots.privileged_facts(example, kind)

    def demonstration(self, response: str) -> str:
        """In the form of hints with execution, the only form of worked steps the models know."""
        return slots.demonstration(response)

    def first_half(self, example: Example, kind: str) -> str:
        """The first half of the steps that say something, rounded up, in their places.

        Raises:
            HarnessError: the final answer, which has no steps.
        """
        if kind == Privilege.FINAL_ANSWER:
            raise HarnessError(f"privileged input {str(kind)!r} of {example.id} has no halves: give a kind with steps")
        header, steps = _steps(told(example.privileged[kind]))
        stated = [i for i, step in enumerate(steps) if set(step) != {BLANK}]
        cut = set(stated[(len(stated) + 1) // 2 :])
        return _text(header, [(BLANK,) * STRIDE if i in cut else step for i, step in enumerate(steps)])

    def alone(self, example: Example, kind: str) -> tuple[Message, ...]:
        """p in its place, and blanks for every word of x, so that all distances stay."""
        blanks = " ".join(BLANK for _ in text_of(example.messages[-1]).split())
        p: Message = {"role": "system", "content": told(example.privileged[kind]), "privileged": True}
        return (p, {"role": "user", "content": blanks})

    def corrupted(self, example: Example, kind: str, corruption: Corruption, rng: Random) -> str:
        """Wrong steps are consistent with one another; shuffled ones keep the places that say nothing.

        Shuffling leaves p as it is where all its steps are the same, for want of another order: 1.5 % of the hints and
        43 % of the summaries.
        """
        header, steps = _steps(told(example.privileged[kind]))
        match corruption:
            case Corruption.WRONG_STEPS:
                changed = _wrong(example, steps, rng)
            case Corruption.SHUFFLED_STEPS:
                changed = shuffled(steps, BLANK, rng)
            case _:
                raise HarnessError(
                    f"corruption {str(corruption)!r} changes no step: give wrong_steps or shuffled_steps"
                )
        return _text(header, changed)


def _steps(p: str) -> tuple[str, list[Step]]:
    header, *words = p.split()
    return header, [tuple(words[i : i + STRIDE]) for i in range(0, len(words), STRIDE)]


def _text(header: str, steps: Sequence[Step]) -> str:
    return " ".join([header, *(word for step in steps for word in step)])


def _wrong(example: Example, steps: Sequence[Step], rng: Random) -> list[Step]:
    """Every step with the other choice; its operation and result follow from that, so the plan is consistent."""
    _, start, *x = text_of(example.messages[-1]).split()
    digit = int(start)
    out: list[Step] = []
    for i, (choice, op, note, result) in enumerate(steps):
        op_a, op_b = x[STRIDE * i + 2 : STRIDE * i + 4]
        if choice in ("A", "B"):
            choice = "AB"[choice == "A"]
        if op != BLANK:
            op = op_a if choice == "A" else op_b
            digit = apply_op(op, digit)
        if note in CODES:
            note = rng.choice([code for code in CODES if code != note])
        out.append((choice, op, note, result if result == BLANK else str(digit)))
    return out
