"""Supervised fine-tuning on text the student did not write.

Maximum likelihood, -log q(y_n), averaged over the labels: the tokens of the responses that are kept. The paper's
training sets carry no full solutions, so the default text is sampled from the teacher and kept where the data
verifies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.method import Method
from harness.types import Assignment, HarnessError, Policy, Reduction, ScorePool, Source, Term, View, Want

if TYPE_CHECKING:
    from torch import Tensor

    from harness.losses.tokens import TokenView


@dataclass(frozen=True, kw_only=True)
class SupervisedFineTuning(Method):
    """y ~ teacher(. | x), verified; or the data's own traces."""

    reduction: ClassVar[Reduction] = Reduction.SELECTED_MEAN
    needs_reward: ClassVar[bool] = True

    completions: Source = Source.VERIFIED_TEACHER
    """verified_teacher, teacher or dataset."""

    def __post_init__(self) -> None:
        allowed = (Source.VERIFIED_TEACHER, Source.TEACHER, Source.DATASET)
        if self.completions not in allowed:
            raise HarnessError(f"completions={self.completions}: give one of {', '.join(allowed)}")

    @property
    def sampling(self) -> Mapping[Source, float]:
        return {self.completions: 1.0}

    @property
    def terms(self) -> tuple[Term, ...]:
        return (Term(View(Policy.STUDENT, wants=frozenset({Want.DISTRIBUTION}))),)

    def assign(self, pool: ScorePool, *, progress: float) -> Assignment:
        """Keep verified responses; a teacher that never got a prompt right teaches nothing on it."""
        if pool.reward_B is None or self.completions is not Source.VERIFIED_TEACHER:
            return Assignment(mask_BT=pool.mask_BT)
        right_B = pool.reward_B > 0
        return Assignment(mask_BT=pool.mask_BT & right_B[:, None], metrics={"verified": float(right_B.float().mean())})

    def token_loss(self, term: Term, views: Mapping[View, TokenView], fields: Mapping[str, Tensor]) -> Tensor:
        return -views[term.trained].logp_N
