"""SeqKD: sequence-level knowledge distillation.

Kim and Rush, "Sequence-Level Knowledge Distillation", EMNLP 2016: maximum likelihood on the teacher's outputs. The
original takes the mode of a beam search; sampling is usual for language models. Nothing is verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.types import Source
from methods.sft import SupervisedFineTuning


@dataclass(frozen=True, kw_only=True)
class SequenceLevelDistillation(SupervisedFineTuning):
    """y ~ teacher(. | x), every response kept."""

    needs_reward: ClassVar[bool] = False

    completions: Source = Source.TEACHER
