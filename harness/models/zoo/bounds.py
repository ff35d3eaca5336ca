"""Gates: bounds, fixed before any arm, on what shipped models must be like for a comparison on them to mean something.

Measured on a draw's own models and questions of their own. A draw that misses one is a number in the log and is not
replaced. P gates ask whether a world's truth can be learnt and whether p is read at all; G gates ask the paper's
premise of a pair of minds: teacher and student, with and without p. No torch.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.types import HarnessError, Privilege

OUTLIERS = 0.95
"""Quantile of A above which tokens are left out of its mean, as a router that trims its outliers does."""
QUESTIONS = 3000
"""Of all kinds together, at the least: below it the bounds are within what chance moves (9 points on 900)."""
Shares = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One bound."""

    key: str
    """``G1``."""
    words: str
    """What is measured, in per cent or points."""
    low: float | None = None
    high: float | None = None

    def passes(self, value: float) -> bool:
        """Whether a value lies within, ends included."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    @property
    def bound(self) -> str:
        """``>= 15``."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return f">= {self.low:g}" if self.low is not None else f"<= {self.high:g}"


CODES_READ = Gate(
    key="P7", words="told a code by the default p, its probability, teacher or student, the lower", low=90
)
"""Of every world whose p tells codes: else what only p knows is nothing that a teacher knows. Added after draws of
pictures had been trained on (docs/log.md)."""
PREMISE = (
    Gate(key="G1", words="teacher - student, both with the default p", low=15),
    Gate(key="G2", words="student with the default p", high=80),
    Gate(key="G3", words="teacher with the default p", low=80, high=95),
    Gate(key="G4", words="the default p raises the teacher", low=12),
    Gate(key="G5", words="teacher - student, both without p", low=15),
    Gate(key="G6", words="exactly one of the two views with p right, of judged tokens with A >= mean", low=25),
    Gate(key="G7", words="teacher alone right, of the same", low=5),
    Gate(key="G8", words="student alone right, of the same", low=5),
    Gate(key="G9", words="smallest step of the student between kinds of p, richest to none", low=4),
    Gate(key="G10", words="vanilla distillation costs student-only results, probability, last step", low=20),
)
"""Of every world of minds. G10 needs an arm: it is read when vanilla has run."""
PICTURES = (
    Gate(key="P1", words="truth without p, worst place of the worst kind", low=95),
    Gate(key="P2", words="truth, readings where all before is right", low=95),
    Gate(key="P3", words="truth with another picture, best kind", high=15),
    Gate(key="P4 box_label", words="truth told a false box writes its place", low=90),
    Gate(key="P4 caption", words="truth told a false caption writes its place", low=90),
    Gate(key="P4 box_caption", words="truth told a false reading writes it", low=90),
    Gate(key="P4 final_answer", words="truth told a false answer answers it", low=90),
    Gate(key="P5", words="truth, whole picture - picture greyed to its evidence", high=2),
    Gate(key="P6", words="truth with a pixelated picture, best kind", high=15),
    CODES_READ,
)
"""Of a world of pictures."""


LANGUAGE = (
    Gate(key="P1", words="truth without p, worst domain", low=95),
    Gate(key="P2", words="truth, results where all before is right, worst domain", low=95),
    Gate(key="P4 hints", words="truth told false hints writes their choices", low=90),
    Gate(key="P4 summary", words="truth told a false summary writes its choices", low=90),
    Gate(key="P4 hints_with_execution", words="truth told false results writes them", low=90),
    Gate(key="P4 final_answer", words="truth told a false answer answers it", low=90),
    CODES_READ,
    Gate(key="L1", words="student - small, both without p", low=15),
    Gate(key="L2", words="vanilla distillation on one domain raises another, smallest of the domains", low=3),
    Gate(key="L3", words="student and uncalibrated student apart, both without p", high=2),
)
"""Of a world of text: bounds of P are those of pictures. L1 is a step of a ladder of teachers; L2, read late, asks that
domains share what can be carried over, and needs an arm: of every domain trained alone, the best rise of another; L3
that two students of one axis of a diagram are equally good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A gate and what was measured."""

    key: str
    words: str
    bound: str
    value: float | None
    """None where it was not measured."""
    passed: bool | None


def read(gates: Sequence[Gate], values: Mapping[str, float]) -> list[dict[str, Any]]:
    """Each gate with its value, as plain JSON values; a gate without a value is told as not measured.

    Raises:
        HarnessError: a value of no gate.
    """
    if lost := sorted(set(values) - {gate.key for gate in gates}):
        raise HarnessError(f"no gate {lost[0]!r}; there are: {', '.join(gate.key for gate in gates)}")
    out = list[dict[str, Any]]()
    for gate in gates:
        value = values.get(gate.key)
        passed = None if value is None else gate.passes(value)
        value = None if value is None else round(value, 1)
        out.append(asdict(Reading(key=gate.key, words=gate.words, bound=gate.bound, value=value, passed=passed)))
    return out


def read_late(found: Sequence[Mapping[str, Any]], gates: Sequence[Gate], values: Mapping[str, float]) -> list[Any]:
    """Readings of before, with those of ``values`` in their places."""
    late = {reading["key"]: reading for reading in read(gates, values) if reading["key"] in values}
    return [late.get(reading["key"], reading) for reading in found]


def accuracies(student: Mapping[str, float], teacher: Mapping[str, float], ladder: Sequence[str]) -> dict[str, float]:
    """G1 to G5 and G9, of greedy accuracies in per cent by kind of p.

    ``ladder`` holds the kinds of p from the richest to none; its second is the default p.
    """
    p, none = ladder[1], Privilege.NONE
    steps = [student[above] - student[below] for above, below in pairwise(ladder)]
    return {
        "G1": teacher[p] - student[p],
        "G2": student[p],
        "G3": teacher[p],
        "G4": teacher[p] - teacher[none],
        "G5": teacher[none] - student[none],
        "G9": min(steps),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Tokens of the student's own samples at step 0; one entry a token in each."""

    advantage: Shares
    """A = |log-probability under the teacher with p - under the student with p| of the sampled token."""
    judged: Flags
    """Where there is a right word."""
    teacher: Flags
    """The teacher's most probable word with p is right; read where judged."""
    student: Flags
    """The same of the student with p."""

    def high(self) -> Flags:
        """Judged tokens with A at or above its mean, outliers left out of the mean."""
        a = self.advantage
        return self.judged & (a >= a[a <= np.quantile(a, OUTLIERS)].mean())

    def shares(self, of: Flags | None = None) -> dict[str, float]:
        """G6 to G8, per cent of the high tokens among ``of``; all of them by default.

        Raises:
            HarnessError: there are none.
        """
        chosen = self.high() if of is None else self.high() & of
        if not chosen.any():
            raise HarnessError("no judged token has A >= mean: sample more, or judge more tokens")
        teacher, student = self.teacher[chosen], self.student[chosen]
        found = {"G6": teacher != student, "G7": teacher & ~student, "G8": student & ~teacher}
        return {key: 100 * float(each.mean()) for key, each in found.items()}


Seen = tuple[float, bool, Hashable]
"""A word along a right trace: probability of the right one, whether it is the most probable, and its cell."""


def by_class(seen: Mapping[str, Sequence[Seen]]) -> dict[str, dict[str, float]]:
    """By class: words and cells seen, mean probability of the right word and share of argmax, per cent."""
    return {
        key: {
            "n": len(values),
            "cells": len({cell for _, _, cell in values}),
            "probability": round(100 * sum(p for p, _, _ in values) / len(values), 1),
            "argmax": round(100 * sum(hit for _, hit, _ in values) / len(values), 1),
        }
        for key, values in sorted(seen.items())
    }
