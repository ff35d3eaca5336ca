"""The scenes world as the harness asks for it. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

from harness.config import DataSpec
from harness.types import (
    Corruption,
    Example,
    Fact,
    HarnessError,
    ImagePart,
    Message,
    Modality,
    Privilege,
    Span,
    TextPart,
)
from harness.worlds.corruption import shuffled
from harness.worlds.privilege import told
from harness.worlds.regions import Region
from harness.worlds.scenes import pointing, questions, scribe, tables, words
from harness.worlds.scenes.picture import draw, greyed, pixelated, png
from harness.worlds.scenes.questions import Question
from harness.worlds.scenes.words import BLANK, CODES, DEGRADED, END, EVIDENCE, HEADERS, ITEMS, READINGS, SLOT, STRIDE
from harness.worlds.world import Grade, HeldOut, in_turn, word_spans

if TYPE_CHECKING:
    from harness.worlds.scenes.picture import Pixels

MAX_NEW_TOKENS = scribe.LENGTH + 2
"""One more than the longest right response, its end included."""


class ScenesWorld:
    """Has every power of ``harness.worlds.world``; its draws are named by ``DataSpec.draw``."""

    version = words.WORLD_VERSION
    modality = Modality.VISION
    domains = words.DOMAINS
    privileges = tuple(HEADERS)
    pictures = (EVIDENCE, DEGRADED)
    draws = tuple(range(tables.DRAWS))
    """0 to 4 for results, 5 for development."""

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """Questions of a draw, a domain's two kinds in turn; ``difficulty`` is not read.

        Raises:
            HarnessError: unknown draw, domain or split.
        """
        which = tables.check_draw(data.draw)
        return in_turn(data, split, n, start, lambda domain, i: example(which, domain, split, i))

    def grade(self, example: Example, text: str) -> Grade:
        """Notes are never scored."""
        return grade(example, text)

    def benchmarks(self) -> Sequence[HeldOut]:
        """``scenes_<domain>``, and ``..._validation`` for tuning only; of the draw of whoever is asked."""
        return [
            HeldOut(
                name=f"{words.NAME}_{domain}{suffix}",
                data=DataSpec(world=words.NAME, version=self.version, domains=(domain,), privilege=words.BOX_LABEL),
                split=split,
                max_new_tokens=MAX_NEW_TOKENS,
            )
            for suffix, split in (("", "test"), ("_validation", "validation"))
            for domain in self.domains
        ]

    def kind(self, example: Example) -> str:
        """Of all its items."""
        return str(question_of(example).items[0].kind)

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
        """Of every word: codes are information, what the picture or a table tells is capability."""
        if kind == Privilege.NONE:
            return ()
        text = told(example.privileged[kind])
        return word_spans(text, [_fact(word) for word in text.split()])

    def demonstration(self, response: str) -> str:
        """In the form of a caption whose places, notes and readings are the response's: the models know worked steps in
        no other form. A garbled or endless response is cut to the items."""
        given = response.split()
        given = given[: given.index(END)] if END in given else given
        padded = [*given, *[BLANK] * (STRIDE * ITEMS)][: STRIDE * ITEMS]
        out = [HEADERS[words.CAPTION]]
        for i in range(0, STRIDE * ITEMS, STRIDE):
            _, place, reading, note = padded[i : i + STRIDE]
            out += [BLANK, place, place, BLANK, BLANK, note, reading]
        return " ".join(out)

    def corrupted(self, example: Example, kind: str, corruption: Corruption, rng: Random) -> str:
        """Wrong steps tell another place or reading of every item they tell, and another code; shuffled ones are the
        slots that say something in another order.

        Raises:
            HarnessError: another corruption.
        """
        match corruption:
            case Corruption.WRONG_STEPS:
                return _wrong(question_of(example), _place_of(example)[0], kind, rng)
            case Corruption.SHUFFLED_STEPS:
                return _shuffled(told(example.privileged[kind]), rng)
            case _:
                raise HarnessError(
                    f"corruption {str(corruption)!r} changes no step: give wrong_steps or shuffled_steps"
                )

    def regions(self, example: Example, kind: str) -> tuple[Region, ...]:
        """Of the true p: boxes where it tells them, a cell where it has the place's word; see ``pointing``.

        Raises:
            HarnessError: unknown kind.
        """
        if kind == Privilege.NONE:
            return ()
        if kind not in HEADERS:
            raise HarnessError(f"world {words.NAME!r} has no privileged input {kind!r}; it has: {', '.join(HEADERS)}")
        asked = question_of(example)
        return pointing.regions(asked, questions.honest(asked, kind, tables.truth(_place_of(example)[0])))

    def pictured(self, example: Example, kind: str) -> tuple[Message, ...]:
        """``evidence``: the picture on its own grid, every cell greyed out that no item's answer depends on (as many
        picture tokens; the picture itself where nothing is left to grey). ``degraded``: pixelated.

        Raises:
            HarnessError: unknown kind.
        """
        if kind not in self.pictures:
            raise HarnessError(f"world {words.NAME!r} has no pictures {kind!r}; it has: {', '.join(self.pictures)}")
        which, asked = _place_of(example)[0], question_of(example)
        pixels = draw(asked.scene)
        if kind == EVIDENCE:
            other = greyed(pixels, questions.evidence(asked, tables.truth(which)))
        else:
            other = pixelated(pixels)
        return _messages(f"{example.id}/{kind}", other, asked.text)


def example(which: int, domain: str, split: str, index: int) -> Example:
    """Question number ``index`` of a draw: the same on every machine, disjoint between splits by construction.

    Raises:
        HarnessError: unknown draw, domain or split.
    """
    asked, know = _asked(which, domain, split, index), tables.truth(which)
    trace = [_told_note(word, i, asked) for i, word in enumerate(scribe.write(asked, know))]
    name = f"draw{which}/{domain}/{split}/{index}"
    facts = word_spans(" ".join(trace), [_decides(asked, i) for i in range(scribe.LENGTH)])
    return Example(
        id=name,
        domain=domain,
        difficulty=ITEMS,
        split=split,
        messages=_messages(name, draw(asked.scene), asked.text),
        answer=" ".join(trace[-ITEMS:]),
        trace=" ".join(trace),
        facts=facts,
        privileged={kind: questions.privileged_text(asked, questions.honest(asked, kind, know)) for kind in HEADERS},
    )


@lru_cache(maxsize=4096)
def _asked(which: int, domain: str, split: str, index: int) -> Question:
    if domain not in words.GROUPS or split not in questions.SPLITS or index < 0:
        raise HarnessError(
            f"example({which}, {domain!r}, {split!r}, {index}): domain must be one of {words.DOMAINS}, split one of "
            f"{questions.SPLITS}, index >= 0"
        )
    tables.check_draw(which)
    rng = Random(f"scenes {words.WORLD_VERSION}, draw {which}/{domain}/{split}/{index}")
    kinds = words.GROUPS[domain]
    about = questions.scene_of(split, rng)
    return questions.question(kinds[index % len(kinds)], about, tables.truth(which), rng)


def _place_of(example: Example) -> tuple[int, str, str, int]:
    which, domain, split, index = example.id.split("/")
    return int(which.removeprefix("draw")), domain, split, int(index)


def question_of(example: Example) -> Question:
    """What an example of this world asks, taken apart."""
    return _asked(*_place_of(example))


def _messages(name: str, pixels: Pixels, text: str) -> tuple[Message, ...]:
    """The picture, then the words."""
    data = png(pixels)
    image = ImagePart(path=f"{words.NAME}/{name}.png", sha256=hashlib.sha256(data).hexdigest(), data=data)
    return ({"role": "user", "content": (image, TextPart(text))},)


def _told_note(word: str, i: int, asked: Question) -> str:
    """The code in the place of an unknown note."""
    item, offset = divmod(i, STRIDE)
    return asked.items[item].code if item < ITEMS and offset == scribe.NOTE else word


def _decides(asked: Question, i: int) -> Fact:
    """What decides word ``i`` of a trace."""
    item, offset = divmod(i, STRIDE)
    if item >= ITEMS:
        return Fact.FORMAT if i == STRIDE * ITEMS else Fact.CAPABILITY
    if offset == scribe.NOTE:
        return Fact.FORMAT if asked.items[item].code == BLANK else Fact.INFORMATION
    return Fact.FORMAT if offset == scribe.ANCHOR and asked.items[item].kind is words.Kind.POINT else Fact.CAPABILITY


def _plain_trace(example: Example) -> str:
    assert example.trace is not None
    pairs = zip(example.trace.split(), example.facts, strict=True)
    return " ".join(words.UNKNOWN if span.kind is Fact.INFORMATION else word for word, span in pairs)


def _fact(word: str) -> Fact:
    if word in CODES:
        return Fact.INFORMATION
    return Fact.FORMAT if word == BLANK or word in HEADERS.values() else Fact.CAPABILITY


def _wrong(asked: Question, which: int, kind: str, rng: Random) -> str:
    """Every place, reading and code that is told is another one; colour, shape and box are those of the new place."""
    know = tables.truth(which)
    where = questions.targets(asked, know)
    places = [rng.choice([other for other in words.PLACES if other != place]) for place in where]
    reads = [rng.choice([r for r in READINGS if r != questions.reading(asked.scene, place, know)]) for place in where]
    items = tuple(
        item if item.code == BLANK else replace(item, code=rng.choice([code for code in CODES if code != item.code]))
        for item in asked.items
    )
    return questions.privileged_text(replace(asked, items=items), questions.told(kind, places, reads))


def _shuffled(text: str, rng: Random) -> str:
    header, *given = text.split()
    slots = [tuple(given[i : i + SLOT]) for i in range(0, len(given), SLOT)]
    return " ".join([header, *(word for slot in shuffled(slots, BLANK, rng) for word in slot)])


def grade(example: Example, response: str) -> Grade:
    """Grade decoded text, special tokens removed. Notes are never scored."""
    assert example.trace is not None
    given, reference = response.split(), example.trace.split()
    answer = given[-ITEMS:]
    parsed = len(given) > ITEMS and given[-ITEMS - 1] == END and all(word in READINGS for word in answer)
    scored = [i for i in range(len(reference)) if i >= STRIDE * ITEMS or i % STRIDE != scribe.NOTE]
    trace = len(given) == len(reference) and all(given[i] == reference[i] for i in scored)
    return Grade(answer=parsed and " ".join(answer) == example.answer, trace=trace, parsed=parsed)
