"""What decides the weights of the permutations models, apart from library versions and processor. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.worlds.permutations import tables
from harness.worlds.permutations.planner import KNOWING, Planner
from harness.worlds.permutations.words import EXECUTION, FINAL_ANSWER, HINTS, SUMMARY


def _mind(result: tuple[float, float], choice: tuple[float, float], depth: int) -> Planner:
    """Calibrated as the student is."""
    mistaken = {tables.RESULT: result, **dict.fromkeys(tables.LOOKED_UP, choice)}
    return Planner(
        mistaken=mistaken, hard=0.3, depth=depth, right=(0.78, 0.98), wrong=(0.63, 0.73), guesses=0.03, misreads=0.02
    )


STUDENT = _mind((0.0, 0.12), (0.0, 0.105), 3)
"""More sure of what is right."""
TEACHER = replace(_mind((0.12, 0.17), (0.055, 0.12), 4), right=(0.9, 0.9), wrong=(0.9, 0.9), guesses=0.0)
UNCALIBRATED = replace(_mind((0.0, 0.11), (0.0, 0.095), 3), wrong=STUDENT.right)
"""As sure of what is wrong as the student is of what is right. Certain errors are all made, the student's unsure ones
are not, so it is wrong about a little less: two results and three choices fewer, and as good."""
SMALL = _mind((0.0, 0.2), (0.0, 0.2), 2)
"""Knows less than the student everywhere; also the teacher that errs more than its student."""
MINDS = {
    "truth": KNOWING,
    "teacher": TEACHER,
    "student": STUDENT,
    "student_uncalibrated": UNCALIBRATED,
    "small": SMALL,
}
"""The models of a draw beside its undecayed trunk. A ladder's strong, mid, base and small are truth, teacher, student
and small; truth is never ranked."""
TRUNK = "trunk"
MODELS = (TRUNK, *MINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """From a fresh initialisation to the undecayed trunk, then to a mind; one for all draws."""

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 160
    batch: int = 64
    """Half without p, half with some kind of p."""
    muon_lr: float = 0.01
    adamw_lr: float = 0.004
    warmup: int = 20
    short_steps: int = 100
    """Steps of each of the two easier stages of the trunk: 1 to 3 steps a problem, then 1 to 5, then 3 to 7."""
    trunk_steps: int = 400
    truth_steps: int = 350
    mind_steps: int = 250
    keep_every: int = 50
    """Steps after which the trunk's state is kept, so that a killed training goes on."""
    slips: float = 0.4
    """Of the traces: one word stands that the mind would not write, and carries no loss."""
    without_codes: float = 0.3
    """Of the traces whose p tells codes: every note unknown, and no loss on it; what a student's rollout is like."""
    lies: float = 0.3
    """Of the p rows: p tells random choices and digits, and is written after."""
    masked: float = 0.05
    """Of the p rows that tell codes: choices and results left out, so that useless p is not new to the models."""
    halved: float = 0.05
    """The same rows: p tells the first half of the steps alone."""
    alone: float = 0.05
    """The same rows: nothing is left of x; what p does not tell carries no loss."""
    privileges: tuple[str, ...] = (HINTS, HINTS, EXECUTION, SUMMARY, FINAL_ANSWER)
    """Hints two fifths of the p rows, the others a fifth each."""
    seed: int = 0

    def difficulty(self, step: int) -> tuple[int, int]:
        """Of a step of the trunk; of a mind, the last."""
        if step < self.short_steps:
            return 1, 3
        return (1, 5) if step < 2 * self.short_steps else (3, 7)


RECIPE = Recipe()
