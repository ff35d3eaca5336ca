"""The permutations world as the harness asks for it. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

from harness.config import DataSpec
from harness.types import Corruption, Example, Fact, HarnessError, Message, Modality, Privilege, Span
from harness.worlds.corruption import shuffled
from harness.worlds.permutations import problems, scribe, tables, words
from harness.worlds.permutations.problems import Problem
from harness.worlds.permutations.words import (
    BLANK,
    CHOICES,
    CODES,
    DIGITS,
    DOMAINS,
    END,
    EXECUTION,
    FINAL_ANSWER,
    HEADERS,
    NAME,
    NOTE,
    OPS,
    SLOTS,
    SPLITS,
    STRIDE,
    TRAIN_DIFFICULTY,
    UNKNOWN,
    WORLD_VERSION,
    X_WORDS,
)
from harness.worlds.privilege import told
from harness.worlds.world import Grade, HeldOut, in_turn, word_spans

HELD_OUT = (
    ("", TRAIN_DIFFICULTY, "test"),
    ("_hard", words.HARD_DIFFICULTY, "test"),
    ("_validation", TRAIN_DIFFICULTY, "validation"),
)
"""Suffix of the name, steps and split of the held-out sets of every domain; validation is for tuning only."""
MAX_NEW_TOKENS = words.MAX_RESPONSE_TOKENS + 1
"""One more than the longest right response."""


class PermutationsWorld:
    """Has every power of ``harness.worlds.world`` that text has; its draws are named by ``DataSpec.draw``."""

    version = WORLD_VERSION
    modality = Modality.TEXT
    domains = DOMAINS
    privileges = tuple(HEADERS)
    draws = tuple(range(tables.DRAWS))
    """0 to 4 for results, 5 for development."""

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """Problems of a draw, of ``data.difficulty`` steps.

        Raises:
            HarnessError: unknown draw, domain, split or range.
        """
        which = tables.check_draw(data.draw)
        return in_turn(data, split, n, start, lambda domain, i: example(which, domain, split, i, data.difficulty))

    def grade(self, example: Example, text: str) -> Grade:
        """Notes are never scored."""
        return grade(example, text)

    def benchmarks(self) -> Sequence[HeldOut]:
        """``permutations_<domain>``, the harder ``..._hard``, and ``..._validation`` for tuning only; of the draw of
        whoever is asked."""
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
        return _plain_trace(example)

    @property
    def guesses(self) -> tuple[str, ...]:
        """Every code."""
        return CODES

    def reference_facts(self, example: Example) -> tuple[Span, ...]:
        """Of every word."""
        return word_spans(_plain_trace(example), [span.kind for span in example.facts])

    def privileged_facts(self, example: Example, kind: str) -> tuple[Span, ...]:
        """Of every word: codes are information, choices, operations and digits are capability."""
        if kind == Privilege.NONE:
            return ()
        text = _text(example, kind)
        return word_spans(text, [_fact(word) for word in text.split()])

    def demonstration(self, response: str) -> str:
        """In the form of hints with execution, the only form of worked steps the models know: the last result and the
        answer are left out. A garbled or endless response is cut to the slots."""
        given = response.split()
        steps = given[: given.index(END)] if END in given else given
        padded = [*steps, *[BLANK] * (SLOTS * STRIDE)][: SLOTS * STRIDE]
        if steps:
            padded[min(len(steps), SLOTS * STRIDE) - 1] = BLANK
        return " ".join([HEADERS[EXECUTION], *padded])

    def corrupted(self, example: Example, kind: str, corruption: Corruption, rng: Random) -> str:
        """Wrong steps have the other choice everywhere, operations and results that follow from it, and other codes;
        shuffled ones are the steps that say something in another order.

        Raises:
            HarnessError: another corruption.
        """
        match corruption:
            case Corruption.WRONG_STEPS:
                return _wrong(problem_of(example), _place_of(example).draw, kind, rng)
            case Corruption.SHUFFLED_STEPS:
                return _shuffled(_text(example, kind), rng)
            case _:
                raise HarnessError(
                    f"corruption {str(corruption)!r} changes no step: give wrong_steps or shuffled_steps"
                )

    def alone(self, example: Example, kind: str) -> tuple[Message, ...]:
        """x is as many blanks as it has words."""
        return (
            {"role": "system", "content": _text(example, kind), "privileged": True},
            {"role": "user", "content": " ".join([BLANK] * X_WORDS)},
        )

    def first_half(self, example: Example, kind: str) -> str:
        """The middle step of an odd number belongs to it."""
        _ = _text(example, kind)
        if kind == FINAL_ANSWER:
            raise HarnessError(
                f"privileged input {str(kind)!r} tells no steps, so it has no first half: give another kind"
            )
        asked = problem_of(example)
        tells = problems.honest(asked, kind, tables.truth(_place_of(example).draw))
        return problems.privileged_text(asked, problems.halved(tells))


@dataclass(frozen=True, slots=True)
class _Place:
    """Which problem an id names."""

    draw: int
    domain: str
    split: str
    index: int
    difficulty: tuple[int, int] = TRAIN_DIFFICULTY

    @property
    def id(self) -> str:
        low, high = self.difficulty
        steps = "" if self.difficulty == TRAIN_DIFFICULTY else f"{low}-{high}/"
        return f"draw{self.draw}/{self.domain}/{self.split}/{steps}{self.index}"


def _place_of(example: Example) -> _Place:
    draw, domain, split, *steps, index = example.id.split("/")
    place = _Place(int(draw.removeprefix("draw")), domain, split, int(index))
    if not steps:
        return place
    low, high = map(int, steps[0].split("-"))
    return replace(place, difficulty=(low, high))


def example(which: int, domain: str, split: str, index: int, difficulty: tuple[int, int] = TRAIN_DIFFICULTY) -> Example:
    """Problem number ``index`` of a draw: the same on every machine, disjoint between splits by construction.

    ``difficulty`` is the smallest and largest number of steps.

    Raises:
        HarnessError: unknown draw, domain, split or range.
    """
    place = _Place(which, domain, split, index, difficulty)
    asked, know = _asked(place), tables.truth(which)
    steps = len(asked.slots)
    plain = scribe.write(asked, know)
    trace = [_told_note(word, i, asked) for i, word in enumerate(plain)]
    facts = [_decides(asked, i) for i in range(STRIDE * steps)]
    text = " ".join(trace)
    return Example(
        id=place.id,
        domain=domain,
        difficulty=steps,
        split=split,
        messages=({"role": "user", "content": asked.text},),
        answer=trace[-1],
        trace=text,
        facts=word_spans(text, [*facts, Fact.FORMAT, Fact.CAPABILITY]),
        privileged={kind: problems.privileged_text(asked, problems.honest(asked, kind, know)) for kind in HEADERS},
    )


@lru_cache(maxsize=4096)
def _asked(place: _Place) -> Problem:
    low, high = place.difficulty
    known = place.domain in DOMAINS and place.split in SPLITS
    if not known or not 1 <= low <= high <= SLOTS or place.index < 0:
        raise HarnessError(
            f"example({place.draw}, {place.domain!r}, {place.split!r}, {place.index}, {place.difficulty}): domain must "
            f"be one of {DOMAINS}, split one of {SPLITS}, index >= 0, difficulty a range within 1 to {SLOTS}"
        )
    tables.check_draw(place.draw)
    rng = Random(f"{NAME} {WORLD_VERSION}, {place.id}")
    return problems.problem_of(place.split, place.domain, place.difficulty, rng)


def problem_of(example: Example) -> Problem:
    """What an example of this world asks, taken apart."""
    return _asked(_place_of(example))


def _told_note(word: str, i: int, asked: Problem) -> str:
    """The code in the place of an unknown note."""
    step, offset = divmod(i, STRIDE)
    return asked.slots[step].code if step < len(asked.slots) and offset == NOTE else word


def _decides(asked: Problem, i: int) -> Fact:
    """What decides word ``i`` of the steps of a trace."""
    step, offset = divmod(i, STRIDE)
    if offset != NOTE:
        return Fact.CAPABILITY
    return Fact.FORMAT if asked.slots[step].code == BLANK else Fact.INFORMATION


def _plain_trace(example: Example) -> str:
    assert example.trace is not None
    pairs = zip(example.trace.split(), example.facts, strict=True)
    return " ".join(UNKNOWN if span.kind is Fact.INFORMATION else word for word, span in pairs)


def _text(example: Example, kind: str) -> str:
    """p of a kind; raises HarnessError where there is none."""
    if kind not in example.privileged:
        raise HarnessError(
            f"example {example.id} has no privileged input {str(kind)!r} to take apart; it has: "
            f"{', '.join(example.privileged)}"
        )
    return told(example.privileged[kind])


def _fact(word: str) -> Fact:
    if word in CODES:
        return Fact.INFORMATION
    return Fact.CAPABILITY if word in (*CHOICES, *OPS, *DIGITS) else Fact.FORMAT


def _wrong(asked: Problem, draw: int, kind: str, rng: Random) -> str:
    """Every choice is the other one, with its operation and the results that follow, so that the plan is consistent;
    every code is another."""
    choices, results = problems.solved(asked, tables.truth(draw))
    others = [CHOICES[choice == CHOICES[0]] for choice in choices]
    if kind == FINAL_ANSWER:
        results = [rng.choice([digit for digit in DIGITS if digit != results[-1]])] * len(results)
    else:
        results = _executed(asked, others, draw)
    changed = replace(asked, slots=tuple(replace(slot, code=_another(slot.code, rng)) for slot in asked.slots))
    return problems.privileged_text(changed, problems.told(kind, others, results))


def _executed(asked: Problem, choices: Sequence[str], draw: int) -> list[str]:
    know, digit, out = tables.truth(draw), asked.start, list[str]()
    for slot, choice in zip(asked.slots, choices, strict=True):
        digit = str(know(tables.RESULT, (slot.op(choice), digit)))
        out.append(digit)
    return out


def _another(code: str, rng: Random) -> str:
    return code if code == BLANK else rng.choice([other for other in CODES if other != code])


def _shuffled(text: str, rng: Random) -> str:
    header, *given = text.split()
    slots = [tuple(given[i : i + STRIDE]) for i in range(0, len(given), STRIDE)]
    return " ".join([header, *(word for slot in shuffled(slots, BLANK, rng) for word in slot)])


def grade(example: Example, response: str) -> Grade:
    """Grade decoded text, special tokens removed. Notes are never scored."""
    assert example.trace is not None
    given, reference = response.split(), example.trace.split()
    parsed = len(given) >= 2 and given[-2] == END and given[-1] in DIGITS
    scored = [i for i in range(len(reference)) if i % STRIDE != NOTE or i >= len(reference) - 2]
    trace = len(given) == len(reference) and all(given[i] == reference[i] for i in scored)
    return Grade(answer=parsed and given[-1] == example.answer, trace=trace, parsed=parsed)
