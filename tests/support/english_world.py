"""A few sums told in English, with worked steps as p; the colour of a basket is what only p tells.

For models that read English: every text is words, and facts are spans of characters in them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from harness.config import DataSpec
from harness.types import Example, Fact, Modality, Span
from harness.worlds.world import Grade, HeldOut, in_turn

COLOURS = ("red", "blue", "green")
UNKNOWN = "unknown"
"""In the place of the colour, where p does not tell it."""
NAMES = ("Ada", "Tom", "Lea", "Ben")
RESPONSE = re.compile(r"(\d+ \+ \d+ = \d+\. \d+ - \d+ = \d+\.) Basket (\S+)\n#### (-?\d+)")
TOLD = re.compile(rf"(?<== )-?\d+|(?<=#### )-?\d+|(?<=Basket )(?:{'|'.join((*COLOURS, UNKNOWN))})")
"""Results, the answer, the colour."""


class EnglishWorld:
    """Knows facts, has reference responses and shows a response."""

    version = 1
    modality = Modality.TEXT
    domains = ("apples",)
    privileges = ("worked",)
    guesses = COLOURS

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        """The same on every machine."""
        return in_turn(data, split, n, start, lambda _, i: example(split, i))

    def grade(self, example: Example, text: str) -> Grade:
        """The colour is never scored."""
        found, said = RESPONSE.fullmatch(text), re.search(r"#### (-?\d+)\s*$", text)
        right = RESPONSE.fullmatch(example.trace or "")
        assert right is not None
        trace = found is not None and (found[1], found[3]) == (right[1], right[3])
        return Grade(answer=said is not None and said[1] == example.answer, trace=trace, parsed=said is not None)

    def benchmarks(self) -> Sequence[HeldOut]:
        """Two items."""
        data = DataSpec(world="english", domains=self.domains, privilege="worked")
        return [HeldOut(name="english_apples", data=data, split="test", n=2, max_new_tokens=24)]

    def reference(self, example: Example) -> str:
        """Without the colour."""
        return re.sub(r"(?<=Basket )\S+", UNKNOWN, example.trace or "")

    def demonstration(self, response: str) -> str:
        """As a worked example."""
        return f"A worked answer: {response}"

    def reference_facts(self, example: Example) -> tuple[Span, ...]:
        """Of every number that is computed and of the colour."""
        return facts(self.reference(example))

    def privileged_facts(self, example: Example, kind: str) -> tuple[Span, ...]:
        """The same of p."""
        return facts(example.privileged.get(kind, ""))


def facts(text: str) -> tuple[Span, ...]:
    """What decides the characters of a text."""
    kinds = {True: Fact.INFORMATION, False: Fact.CAPABILITY}
    return tuple(Span(m.start(), m.end(), kinds[m[0].isalpha()]) for m in TOLD.finditer(text))


def example(split: str, index: int) -> Example:
    """Problem number ``index``."""
    rng = Random(f"{split}/{index}")
    name, colour = rng.choice(NAMES), rng.choice(COLOURS)
    a, b = rng.randrange(10, 50), rng.randrange(2, 30)
    c = rng.randrange(1, a)
    worked = f"{a} + {b} = {a + b}. {a + b} - {c} = {a + b - c}. Basket {colour}"
    return Example(
        id=f"apples/{split}/{index}",
        domain="apples",
        split=split,
        messages=(
            {
                "role": "user",
                "content": f"{name} has {a} apples in a basket, picks {b} more and eats {c}. How many are left?",
            },
        ),
        answer=str(a + b - c),
        trace=f"{worked}\n#### {a + b - c}",
        facts=facts(f"{worked}\n#### {a + b - c}"),
        privileged={"worked": f"The worked steps: {worked}"},
    )
