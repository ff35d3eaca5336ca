"""OPSD: on-policy self-distillation from the initial policy that sees the solution.

Zhao et al., "Self-Distilled Reasoner", arXiv:2601.18734. Version 3 (March 2026, the default here): forward KL over the
vocabulary in which every entry's summand is capped from above at 0.05; the capped sum can be negative and is no
divergence. Version 1 (the code of early March): JS at beta 1/2, no cap; registered as ``opsd_v1``. Mean over tokens.
Both logit sets are divided by the rollout temperature, 1 here (1.1 there). Left out: LoRA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.losses.objectives import Divergence, Granularity
from harness.method import Method
from harness.types import PRIVILEGED, HarnessError, Policy, Reduction, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class OnPolicySelfDistillation(Method):
    """y ~ student(. | x); teacher: the student at step 0 with p."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN

    divergence: Divergence = Divergence.FORWARD_KL
    entry_clip: float | None = 0.05
    """Upper bound of each vocabulary entry's summand, nats; forward KL only. None: no bound."""
    temperature: float = 1.0
    """Of both distributions in the loss: the rollouts' own."""

    def __post_init__(self) -> None:
        if self.entry_clip is not None and self.divergence is not Divergence.FORWARD_KL:
            raise HarnessError(
                f"entry_clip={self.entry_clip} with {self.divergence}: it caps forward KL; set entry_clip to None"
            )
        check_clip(self.entry_clip, self.temperature)

    @property
    def terms(self) -> tuple[Term, ...]:
        wants = frozenset({Want.DISTRIBUTION})
        own = View(Policy.INITIAL, PRIVILEGED, wants, self.temperature)
        return (Term(View(Policy.STUDENT, wants=wants, temperature=self.temperature), (own,)),)

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        from harness.losses.tokens import token_divergence

        student, own = views[term.trained], views[term.sources[0]]
        if self.entry_clip is not None:
            return entries(student, own).clamp(max=self.entry_clip).sum(-1)
        return token_divergence(student, own, divergence=self.divergence, granularity=Granularity.FULL)

    def diagnostics(
        self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """acted: whether the cap held back any entry of the token."""
        if self.entry_clip is None:
            return {}
        summands_NV = entries(views[term.trained], views[term.sources[0]])
        return {"acted": (summands_NV > self.entry_clip).any(-1).double()}


def entries(student: TokenView, source: TokenView) -> Tensor:
    """t (log t - log q) of every vocabulary entry, [N, V]; the source carries no gradient."""
    from harness.losses.divergences import forward_kl_entries

    return forward_kl_entries(student.logp_NV, source.logp_NV)


def check_clip(entry_clip: float | None, temperature: float) -> None:
    """Refuse a cap or a temperature that is not positive. Raises HarnessError."""
    if temperature <= 0 or (entry_clip is not None and entry_clip <= 0):
        raise HarnessError(f"entry_clip={entry_clip}, temperature={temperature}: both must be above 0")
