"""Vision-OPD: self-distillation from a moving average that sees the evidence alone, cut out of the picture.

Yuan et al., arXiv:2605.18740, and its code (a fork of SDPO's): the teacher's prompt holds a crop of what decides the
answer in the place of the whole picture, no hint and no answer; JS at 1/2 on the student's top 100 entries with a tail
bucket, times the importance ratio capped at 2, mean over tokens; every rollout is distilled, none is verified.
Unverified: whether the teacher's prompt keeps a sentence of the student's that points at the evidence (the published
code reuses the prompt as it is); here the text is the same. DOPD does not say who its teacher is; as published it is
the student itself. Left out: a frozen, a current and a hard-copied teacher (options).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, check
from harness.method import Method
from harness.types import Assignment, Example, Pictures, Policy, Reduction, ScorePool, Shown, Term, View, Want
from methods.sdft import check_rate
from methods.sdpo import capped_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView

EVIDENCE = "evidence"
MOVED = 1e-4
"""Nats of a sampled token from which the crop has done anything."""


@dataclass(frozen=True, kw_only=True)
class VisionDistillation(Method):
    """y ~ student(. | whole picture), taught by its average that sees the evidence."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN
    pictures: ClassVar[tuple[str, ...]] = (EVIDENCE,)

    k: int = 100
    beta: float = 0.5
    rate: float = 0.05
    ratio_cap: float = 2.0

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check(Divergence.JS, beta=self.beta)

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        own = View(Policy.EMA, EVIDENCE, frozenset({Want.LOGP, Want.DISTRIBUTION}), rate=self.rate)
        return (Term(View(Policy.STUDENT, wants=wants), (own,)),)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        return {EVIDENCE: [Pictures(EVIDENCE)] * len(examples)}

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        shown_B = pool.present_B.get(EVIDENCE)
        return Assignment(
            mask_BT=pool.mask_BT if shown_B is None else pool.mask_BT & shown_B[:, None],
            fields={"sampler_logp": pool.sampler_logp_BT},
        )

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        pair = (views[term.trained], views[term.sources[0]])
        return capped_divergence(*pair, fields["sampler_logp"], k=self.k, beta=self.beta, cap=self.ratio_cap)

    def diagnostics(
        self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """acted: whether the teacher gives the token another probability. At the first step the teacher is the student,
        so that it is the crop alone; later it is also the average's lag."""
        student, own = (views[view].logp_N for view in (term.trained, term.sources[0]))
        return {"acted": ((student - own).abs() > MOVED).double()}
