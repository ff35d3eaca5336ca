"""DAPD: six forward KLs between the student and frozen copies of itself, on rollouts and on reference solutions.

Wu et al., arXiv:2608.01735 (later than DOPD), and the authors' code: each term pulls one view of the student towards a
frozen anchor; views differ in whether they see nothing, the reference solution r or the rollout y. Every vocabulary
entry's summand is capped at 0.05. Mean over tokens of each term's responses. Left out: LoRA, and stopping at step 200
of a schedule of 500.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import PLAIN, Completion, Demonstration, Example, Policy, Reduction, Shown, Term, View, Want
from methods.opsd import check_clip, entries

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView

SOLUTION = "solution"
"""x with the reference solution r."""
ROLLOUT = "rollout"
"""x with the rollout y."""
WANTS = frozenset({Want.DISTRIBUTION})


@dataclass(frozen=True, kw_only=True)
class DualAnchorDistillation(Method):
    """y ~ student(. | x); r from the data."""

    reduction: ClassVar[Reduction] = Reduction.TOKEN_MEAN
    shows_responses: ClassVar[bool] = True

    entry_clip: float = 0.05
    temperature: float = 1.1
    every: int = 100
    """Steps between two snapshots."""

    def __post_init__(self) -> None:
        check_clip(self.entry_clip, self.temperature)

    @property
    def terms(self) -> tuple[Term, ...]:
        y, r = Completion.ROLLOUT, Completion.REFERENCE
        return (
            self._term(PLAIN, Policy.SNAPSHOT, SOLUTION, y, 2 / 15),
            self._term(ROLLOUT, Policy.INITIAL, SOLUTION, y, 2 / 15),
            self._term(ROLLOUT, Policy.INITIAL, PLAIN, y, 2 / 5),
            self._term(SOLUTION, Policy.INITIAL, PLAIN, r, 2 / 15),
            self._term(PLAIN, Policy.SNAPSHOT, ROLLOUT, r, 2 / 5),
            self._term(SOLUTION, Policy.INITIAL, ROLLOUT, r, 4 / 5),
        )

    def _term(self, trained: str, anchor: Policy, context: str, on: Completion, weight: float) -> Term:
        every = self.every if anchor is Policy.SNAPSHOT else None
        source = View(anchor, context, WANTS, self.temperature, every=every)
        return Term(View(Policy.STUDENT, trained, WANTS, self.temperature), (source,), on, weight)

    def contexts(
        self, examples: Sequence[Example], responses: Sequence[str], rewards: Sequence[float] | None
    ) -> Mapping[str, Sequence[Shown | None]]:
        """Rollouts stand first, then the reference of each, in the same order."""
        half = len(responses) // 2
        return {
            name: [Demonstration(responses[offset + i % half]) for i in range(len(examples))]
            for name, offset in ((ROLLOUT, 0), (SOLUTION, half))
        }

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        summands_NV = entries(views[term.trained], views[term.sources[0]])
        return summands_NV.clamp(max=self.entry_clip).sum(-1)
