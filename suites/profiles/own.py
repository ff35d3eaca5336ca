"""What a profile of your own has where you say nothing: the paper's sizes where it states them, none embedded."""

from __future__ import annotations

from harness.config import TORCH, FirstStep
from harness.profile import Default
from suites.profiles.paper import PROFILE as PAPER

STATED = "paper"
OURS = "default"

DEFAULTS = {
    "rate": Default(value=PAPER.optim.lr, source=STATED),
    "first_step": Default(value=FirstStep.FULL, source=OURS, why="the paper is silent; every step moves the student"),
    "steps": Default(value=PAPER.steps, source=STATED),
    "prompts": Default(value=PAPER.prompts_per_step, source=STATED),
    "rollouts": Default(value=PAPER.rollouts_per_prompt, source=STATED),
    "max_prompt_tokens": Default(value=None, source=OURS, why="as many as the models have positions for"),
    "max_response_tokens": Default(value=1024, source=OURS, why="the paper is silent"),
    "micro_batch": Default(value=64, source=OURS, why="changes memory, never the numbers"),
    "dtype": Default(value="float32", source=OURS, why="the paper is silent"),
    "device": Default(value="auto", source=OURS, why="a GPU where there is one"),
    "kernels": Default(value=TORCH, source=OURS, why="liger is an extra, for a GPU"),
    "privilege": Default(value="", source=OURS, why="hints, else the only kind of the data, else none"),
    "learning_rates": Default(
        value=tuple(rate / PAPER.optim.lr for rate in PAPER.learning_rates),
        source=OURS,
        why="multiples of the rate, as in the shipped profiles",
    ),
}
"""By name of the flag, - as _."""
