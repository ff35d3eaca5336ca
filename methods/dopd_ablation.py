"""DOPD with parts switched off or made uniform: the rows of the paper's Tables 6 and 8.

Yu et al., arXiv:2606.30626, Tables 6 (regimes alone and combined, adaptive or not) and 8 (components removed). Every
switch at its default gives DOPD itself. "Without privileged input" is no switch: it is the run's data with p = none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from harness.losses.objectives import Divergence, Granularity
from harness.types import PLAIN, Assignment, HarnessError, ScorePool, Term
from methods.dopd import REGIMES, DualOnPolicyDistillation, Regime, Side, Supervision


class Off(StrEnum):
    """What becomes of tokens whose regime is off."""

    ZERO = "zero"
    """Loss 0; they stay in |y|."""
    LEFT_OUT = "left_out"
    """They leave |y| too: a sequence's mean is over its remaining tokens."""


class Removed(StrEnum):
    """A source taken away."""

    NOTHING = "nothing"
    STUDENT = "student"
    """LL and HS go to the teacher."""
    TEACHER = "teacher"
    """LH and HT go to the privileged student."""


@dataclass(frozen=True, kw_only=True)
class AblatedDistillation(DualOnPolicyDistillation):
    """Table 6: ``regimes``, ``adaptive``. Table 8: those and ``removed``, ``one_divergence``, ``one_granularity``."""

    regimes: tuple[Regime, ...] = REGIMES
    """Regimes that are on."""
    off: Off = Off.ZERO
    """Silent in the paper."""
    adaptive: bool = True
    """False: every token that is on learns from the teacher by JS on top-k at weight 1, whatever its regime; with all
    regimes on this is the uniform row, which the paper calls equivalent to vanilla OPD."""
    uniform_context: str = "privileged"
    """Of the teacher where not adaptive. Silent in the paper: privileged, or plain."""
    removed: Removed = Removed.NOTHING
    """A removed source's tokens keep their own weight and objective."""
    drop_removed: bool = False
    """Silent in the paper: True turns the regimes of a removed source off instead."""
    one_divergence: bool = False
    """Uniform objectives: reverse KL everywhere."""
    one_granularity: bool = False
    """Uniform strategies: top-k everywhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.regimes:
            raise HarnessError(f"regimes is empty, nothing would be trained: name at least one of {', '.join(REGIMES)}")
        if self.uniform_context not in (PLAIN, "privileged"):
            raise HarnessError(f"uniform_context={self.uniform_context!r}: give plain or privileged")
        if not self.adaptive and self.uniform_context == PLAIN and not all(self.on()):
            off = ", ".join(regime for regime, on in zip(REGIMES, self.on(), strict=True) if not on)
            raise HarnessError(
                f"uniform_context=plain with {off} off: without p at the teacher the gap that routes is not A; turn "
                "all regimes on, or give uniform_context=privileged"
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        (term,) = super().terms
        if self.adaptive or self.uniform_context != PLAIN:
            return (term,)
        teacher, own = term.sources
        return (replace(term, sources=(replace(teacher, context=PLAIN), own)),)

    def supervision(self) -> tuple[Supervision, ...]:
        """The paper's, with the switches applied; one per regime."""
        if not self.adaptive:
            uniform = Supervision(
                source=Side.TEACHER, divergence=Divergence.JS, granularity=Granularity.TOP_K, weight=1.0
            )
            return (uniform,) * len(REGIMES)
        return tuple(self._changed(s) for s in super().supervision())

    def _changed(self, s: Supervision) -> Supervision:
        if s.source == self.removed.value:
            s = replace(s, source=Side.TEACHER if s.source is Side.STUDENT else Side.STUDENT)
        if self.one_divergence:
            s = replace(s, divergence=Divergence.REVERSE_KL)
        return replace(s, granularity=Granularity.TOP_K) if self.one_granularity else s

    def on(self) -> tuple[bool, ...]:
        """Whether each regime is on, in the order of ``REGIMES``."""
        sides = [s.source for s in DualOnPolicyDistillation.supervision(self)]
        return tuple(
            regime in self.regimes and not (self.drop_removed and side.value == self.removed.value)
            for regime, side in zip(Regime, sides, strict=True)
        )

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        import torch

        whole = super().assign(pool, progress=progress)
        assert whole.labels_BT is not None and whole.weight_BT is not None
        on_BT = torch.tensor(self.on())[whole.labels_BT.clamp(min=0)] & pool.mask_BT
        weight_BT = whole.weight_BT
        if self.off is Off.LEFT_OUT:
            length_B1, left_B1 = (m.sum(-1, keepdim=True).double() for m in (pool.mask_BT, on_BT))
            weight_BT = weight_BT * length_B1 / left_B1.clamp(min=1)
        return replace(whole, mask_BT=on_BT, weight_BT=weight_BT)
