"""The words of the permutations world: domains, selectors, operations, codes, what p says. No torch."""

from __future__ import annotations

from harness.types import Privilege

WORLD_VERSION = 1
"""Bumped when any problem changes; part of every run's identity."""
NAME = "permutations"
"""As in ``DataSpec.world``."""
DOMAINS = ("general", "reasoning", "coding")
SPLITS = ("train", "validation", "test")
TRAIN_DIFFICULTY = (3, 5)
"""Steps, inclusive: what distillation trains and the main benchmarks ask."""
HARD_DIFFICULTY = (6, 7)
"""Steps, inclusive: seen in pre-training only."""
SLOTS = 7
STRIDE = 4
"""Words per slot of x, per slot of p and per step of a response, so that distances do not depend on the step."""
CHOICE, OP, NOTE, RESULT = range(STRIDE)
"""Offsets in the words of a step, of a slot of p too."""
MARKED = 0.5
"""Share of the slots with a code."""

CHOICES = ("A", "B")
DIGITS = tuple("0123456789")
OPS = tuple("CDEFGHIJKLMNOPQRSTUV")
"""Each a permutation of the digits, so that an error does not heal by itself."""
LETTERS = tuple("abcdefghijklmnop")
BITS = ("even", "odd")
THRESHOLDS = tuple(f"<{k}" for k in range(1, 10))
SELECTORS = {"general": LETTERS, "reasoning": BITS, "coding": THRESHOLDS}
CODES = tuple(f"k{i}" for i in range(8))
BLANK, MARK, UNKNOWN, END = ".", "?", "_", "!"

FINAL_ANSWER, EXECUTION, HINTS, SUMMARY = (
    Privilege.FINAL_ANSWER.value,
    Privilege.HINTS_WITH_EXECUTION.value,
    Privilege.HINTS.value,
    Privilege.SUMMARY.value,
)
MASKED = "masked_hints"
"""Hints without their choices: nothing in it helps; of the same length and form, codes kept."""
HEADERS = {
    FINAL_ANSWER: "answer",
    EXECUTION: "execution",
    HINTS: "hints",
    SUMMARY: "summary",
    MASKED: "hints",
}
"""Kinds of p, in the order of tables, and the first word of each."""
HELPFUL = (FINAL_ANSWER, EXECUTION, HINTS, SUMMARY)
"""Kinds of p that tell something of what is scored; the other is a control."""

WORDS = (
    *DOMAINS,
    *dict.fromkeys(HEADERS.values()),
    *CHOICES,
    *(BLANK, MARK, UNKNOWN, END),
    *(*DIGITS, *OPS, *LETTERS, *BITS, *THRESHOLDS, *CODES),
)
"""Every word there is in x, p and responses."""
X_WORDS = 2 + SLOTS * STRIDE
"""Of every problem."""
MAX_RESPONSE_TOKENS = SLOTS * STRIDE + 3
"""Longest right response, end of sequence included."""
