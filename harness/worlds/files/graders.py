"""Graders of problems that stand in a file: what of a response is read, and when it is right. No torch."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from harness import registry
from harness.types import HarnessError

BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
NUMBER = re.compile(
    r"(?:(?<![\w.])[-+−])?[$€£]?"
    r"(?:\d+/\d+(?![\d.])|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+)"
)
"""Whole, decimal, with an exponent or a fraction; commas only between thousands."""
LETTER = r"([A-Z])"
CHOICES = (
    re.compile(rf"(?i:\banswer(?:\s+is)?)\s*:?\s*[(*]*{LETTER}\b"),
    re.compile(rf"\(\s*{LETTER}\s*\)"),
    re.compile(rf"^\W*{LETTER}\W*$", re.MULTILINE),
    re.compile(rf"\b{LETTER}[.):](?:\s|$)"),
)
"""Where a letter is an answer and no word, the surest first; of each the last one counts."""
MATH = "math_verify"
"""The package, and the grader that needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grader:
    """How the responses to a problem are graded.

    Raises:
        HarnessError: no such kind; a setting that the kind does not take, or lacks.
    """

    kind: str
    """One of ``KINDS``."""
    after: str = ""
    """Read is what follows the last of these words, ``####``; a response without them has no answer."""
    pattern: str = ""
    """Of the kind regex: read is the last match, its first group where it has one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", registry.lookup("grader", self.kind, KINDS))
        if (self.kind == "regex") != bool(self.pattern):
            raise HarnessError(f"grader {self.kind!r} with pattern {self.pattern!r}: give one to regex, to no other")
        if self.pattern:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise HarnessError(f"grader regex: {self.pattern!r} is no regular expression ({error})") from error

    def answer(self, text: str) -> Any:
        """What is read of a response, in the form in which it is compared; None where there is no answer."""
        if self.after:
            _, marker, text = text.rpartition(self.after)
            if not marker:
                return None
        return KINDS[self.kind](self, text)

    def right(self, text: str, answer: str) -> tuple[bool, bool]:
        """Whether a response has the right answer, and whether it has any."""
        found = self.answer(text)
        if found is None:
            return False, False
        return (_verified(answer, found) if self.kind == MATH else found == self.of(answer)), True

    def of(self, answer: str) -> Any:
        """The reference answer in the form in which it is compared.

        Raises:
            HarnessError: it has none: no response could be right.
        """
        read = {"choice": f"({answer})"}.get(self.kind, answer)
        found = answer if self.kind in ("regex", MATH) else KINDS[self.kind](self, read)
        if found is None:
            needs = {"number": "a number", "choice": "one capital letter"}.get(self.kind, "an answer")
            raise HarnessError(
                f"answer {answer!r} is none to the grader {self.kind!r}, which reads {needs}: correct it"
            )
        return found

    def check_trace(self, trace: str, answer: str) -> None:
        """Raises HarnessError if a reference response is graded wrong; a grader that is not installed finds nothing."""
        if (self.kind == MATH and importlib.util.find_spec(MATH) is None) or self.right(trace, answer)[0]:
            return
        found = self.answer(trace)
        read = "no answer" if found is None else repr(str(found))
        raise HarnessError(
            f"the grader {self.kind!r} reads {read} in trace {trace!r:.80}, and the answer is {answer!r}: correct one "
            f"of the two{LAST if self.kind == 'number' else ''}"
        )

    def check(self) -> None:
        """Raises HarnessError if the package is not here that the grader needs."""
        if self.kind == MATH and importlib.util.find_spec(MATH) is None:
            raise HarnessError(
                "grader 'math_verify' needs the package math-verify, which is not installed: pip install "
                "'math-verify[antlr4_13_2]', or give the data another grader (number, exact, choice, regex)"
            )


def _boxed(text: str) -> str:
    r"""What the last ``\boxed{}`` holds, else all."""
    found = BOXED.findall(text)
    return found[-1] if found else text


def _exact(grader: Grader, text: str) -> str | None:
    return " ".join(_boxed(text).split()) or None


def _number(grader: Grader, text: str) -> Fraction | None:
    found = [match.group() for match in NUMBER.finditer(_boxed(text))]
    if not found:
        return None
    plain = re.sub(r"[,$€£]", "", found[-1]).replace("−", "-")
    try:
        return Fraction(plain)
    except (ValueError, ZeroDivisionError):
        return None


def _choice(grader: Grader, text: str) -> str | None:
    text = _boxed(text)
    for pattern in CHOICES:
        if found := pattern.findall(text):
            return found[-1]
    return None


def _regex(grader: Grader, text: str) -> str | None:
    found = [match.group(1) if match.re.groups else match.group() for match in re.finditer(grader.pattern, text)]
    return found[-1] if found else None


def _math(grader: Grader, text: str) -> Any:
    return importlib.import_module(MATH).parse(text) or None


def _verified(answer: str, found: Any) -> bool:
    package = importlib.import_module(MATH)
    return bool(package.verify(package.parse(answer) or package.parse(f"${answer}$"), found))


LAST = " (it reads the last number of the text, or of what follows `after`)"
KINDS: Mapping[str, Callable[[Grader, str], Any]] = {
    "exact": _exact,
    "number": _number,
    "choice": _choice,
    "regex": _regex,
    MATH: _math,
}
"""How each kind reads a text."""
