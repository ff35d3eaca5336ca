"""The closed sets from which token objectives are chosen, and which choices go together. No torch.

Methods use the members as field defaults; ``harness.losses.divergences`` computes them.
"""

from __future__ import annotations

from enum import StrEnum

from harness.types import HarnessError

BETA_RANGE = (0.05, 0.95)
"""Allowed beta of JS, inclusive: the divergence itself vanishes at 0 and 1 and is no KL there."""


class Divergence(StrEnum):
    """How far the student q is from the source t (DOPD, Table 7; beta as in GKD, arXiv:2306.13649)."""

    FORWARD_KL = "forward_kl"
    """KL(t || q): the student must put mass wherever the source does."""
    REVERSE_KL = "reverse_kl"
    """KL(q || t): the student must put no mass where the source has little."""
    JS = "js"
    """beta KL(t || m) + (1 - beta) KL(q || m), m = beta t + (1 - beta) q: bounded; symmetric at beta 1/2."""


class Granularity(StrEnum):
    """How much of the vocabulary one token's loss looks at."""

    SAMPLED = "sampled"
    """The sampled token alone: an unbiased single-sample estimate."""
    TOP_K = "top_k"
    """The most probable tokens of one side; see ``Support`` and ``Tail``."""
    FULL = "full"
    """Every token of the vocabulary."""


class Support(StrEnum):
    """Whose k most probable tokens form the top-k support. The ids carry no gradient."""

    STUDENT = "student"
    """The student's, as in SDPO and Vision-OPD: reverse KL is a mean under the student. DOPD does not say."""
    TEACHER = "teacher"
    """The source's, whichever policy that is."""
    UNION = "union"
    """Both: k to 2k distinct tokens, each counted once."""


class Tail(StrEnum):
    """What becomes of the probability mass outside the top-k support."""

    TAIL = "tail"
    """One more category holds the rest, exactly: a divergence that never exceeds the full one."""
    RENORM = "renorm"
    """Both sides are rescaled to sum to 1 on the support: blind to how much mass lies there."""
    RAW = "raw"
    """The rest is dropped: may be negative, and under reverse KL mass leaks out of the support."""
    SCORE_FUNCTION = "score_function"
    """Reverse KL only: raw with the log-ratio held fixed, which removes the leak; its value equals raw's."""


def check(divergence: Divergence, *, tail: Tail = Tail.TAIL, beta: float = 0.5) -> None:
    """Refuse choices that do not go together; methods call it at construction.

    Raises:
        HarnessError: beta of JS outside ``BETA_RANGE``; score_function with anything but reverse KL.
    """
    low, high = BETA_RANGE
    if divergence == Divergence.JS and not low <= beta <= high:
        raise HarnessError(
            f"beta={beta}: js allows {low} <= beta <= {high}; "
            f"for the ends choose {Divergence.FORWARD_KL} (0) or {Divergence.REVERSE_KL} (1)"
        )
    if tail == Tail.SCORE_FUNCTION and divergence != Divergence.REVERSE_KL:
        raise HarnessError(
            f"tail={tail} with divergence={divergence}: it is defined for {Divergence.REVERSE_KL} only; "
            "choose tail, renorm or raw"
        )
