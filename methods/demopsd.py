"""DemoPSD: self-distillation from a moving average with p, held back where p changes its mind.

Li, Shi, Liu et al., "Disagreement-Modulated Policy Self-Distillation", arXiv:2607.02502. T is the student's moving
average with p, S the same average without. Where the two disagree the target leans towards S:

    d = JS(S, T)    alpha = 2 alpha_max (sigmoid(beta d) - 1/2)    target proportional to T^(1 - alpha) S^alpha,

loss KL(student || target) over the vocabulary, the target detached, times the importance ratio capped at 2. In the
target both sources' log-probabilities are floored at log 1e-8; a word that either calls impossible has no mass. Mean
over the tokens of rollouts that have p.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence
from harness.method import Method
from harness.types import PRIVILEGED, Assignment, HarnessError, Policy, Reduction, ScorePool, Term, View, Want
from methods.sdft import check_rate
from methods.targets import reverse_kl_to, shown_rows

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class DisagreementModulatedDistillation(Method):
    """y ~ student(. | x); teacher: its moving average with p, mixed with the same without."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN

    rate: float = 0.05
    """Share of the student in each update of the average, in (0, 1]."""
    beta: float = 50.0
    """Per nat of disagreement."""
    alpha_max: float = 0.15
    """Share of S in the target where the two disagree most."""
    ratio_cap: float = 2.0
    floor: float = 1e-8
    """Least probability of a possible word in the target: of both sources, before they are mixed. Not of the student,
    whose own small probabilities weigh their terms."""

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not (self.beta >= 0 and 0 <= self.alpha_max <= 1 and self.ratio_cap > 0 and 0 < self.floor < 1):
            raise HarnessError(
                f"beta={self.beta}, alpha_max={self.alpha_max}, ratio_cap={self.ratio_cap}, floor={self.floor}: give "
                "beta of 0 or more, alpha_max in [0, 1], ratio_cap above 0, floor in (0, 1)"
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        told = View(Policy.EMA, PRIVILEGED, wants, rate=self.rate)
        plain = View(Policy.EMA, wants=wants, rate=self.rate)
        return (Term(View(Policy.STUDENT, wants=wants), (told, plain)),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        return Assignment(mask_BT=shown_rows(pool, PRIVILEGED), fields={"sampler_logp": pool.sampler_logp_BT})

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        student, told, plain = (views[view] for view in (term.trained, *term.sources))
        ratio_N = (student.logp_N.detach() - fields["sampler_logp"]).exp().clamp(max=self.ratio_cap)
        return ratio_N * reverse_kl_to(student, self.target(told.logp_NV, plain.logp_NV))

    def target(self, told_NV: Tensor, plain_NV: Tensor) -> Tensor:
        """Log-probabilities of the target up to a constant, [N, V], of those of T and S."""
        alpha_N1 = self.alpha(told_NV, plain_NV)[:, None]
        floored = (logp_NV.clamp(min=math.log(self.floor)) for logp_NV in (told_NV, plain_NV))
        mixed_NV = next(floored) * (1 - alpha_N1) + next(floored) * alpha_N1
        return mixed_NV.masked_fill(told_NV.isneginf() | plain_NV.isneginf(), -math.inf)

    def alpha(self, told_NV: Tensor, plain_NV: Tensor) -> Tensor:
        """Share of S in the target, [N], in [0, alpha_max)."""
        from harness.losses.divergences import full

        disagreement_N = full(plain_NV, told_NV, Divergence.JS)
        return 2 * self.alpha_max * ((self.beta * disagreement_N).sigmoid() - 0.5)

    def diagnostics(
        self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """alpha: how far the target leans towards the average without p."""
        return {"alpha": self.alpha(*(views[view].logp_NV for view in term.sources))}
