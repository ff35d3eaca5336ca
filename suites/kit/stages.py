"""Scores stage by stage, for one domain after another, and what is transferred between stages. No torch.

With R[k, j] the score in domain j after stage k, and R[0, j] the untrained student's (Lopez-Paz & Ranzato, Gradient
Episodic Memory, NIPS 2017, with their random initialisation replaced by the student before stage 1), T stages:
average accuracy (1/T) Σ_j R[T, j]; backward transfer 1/(T-1) Σ_{j<T} R[T, j] - R[j, j], negative for forgetting;
forward transfer 1/(T-1) Σ_{j>1} R[j-1, j] - R[0, j].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness import registry
from harness.config import RunSpec
from harness.method import Entry
from harness.show.tables import Cell, reason, seed_cell
from harness.storage.run_folder import RunState
from harness.suite import Options, Profile
from harness.types import HarnessError
from suites.kit.arms import ArmScores
from suites.kit.measures import At, Measure
from suites.kit.seeds import mean, minus

EVERY = 2
"""Checkpoints between two points of a curve."""
NO_START = "no score before stage 1"
Values = dict[int, float]
"""A share by unit."""


def stages(profile: Profile, options: Options) -> tuple[str, ...]:
    """Domains in the order they are trained on; the profile's unless some are named.

    Raises:
        HarnessError: an unknown domain, one named twice, or fewer than two; the profile has no benchmark of each.
    """
    known = profile.data.domains
    for name in ("targets", "directions"):
        profile.given(name, "continual")
    if options.train_domains in (None, "all"):
        return known
    named = tuple(registry.lookup("training domain", name, known) for name in options.train_domains)
    if len(named) < 2 or len(set(named)) < len(named):
        raise HarnessError(
            f"--train-domains {','.join(named)}: the stages of suite continual are two or more domains, each "
            f"once, of {', '.join(known)}"
        )
    return named


def stage_name(number: int, domain: str) -> str:
    """``2. reasoning``."""
    return f"{number}. {domain}"


def points(spec: RunSpec) -> tuple[int, ...]:
    """Steps of a run's curve: every second checkpoint, the last among them, without step 0."""
    return tuple(step for step in spec.checkpoint_steps()[::-EVERY][::-1] if step > 0)


@dataclass(frozen=True, kw_only=True)
class StageScores(ArmScores):
    """Scores by stage, of which 1 is the first and 0 the untrained student."""

    @cached_property
    def early(self) -> int | None:
        """None: no table of stages has an early column, their curves show the way."""
        return None

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Domains in the order they are trained on."""
        return stages(self.profile, self.options)

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries by registry name, in the order of the arms."""
        return {arm.method: self.entries[arm.method] for arm in self.arms.values()}

    def updates(self, method: str) -> int:
        """Optimiser steps a method takes of a batch, the same in every stage."""
        return self.arms[f"{self.stages[0]}/{method}"].updates

    @property
    def domains(self) -> tuple[str, ...]:
        """Those that are asked, trained on or not."""
        return tuple(self.profile.targets)

    @property
    def steps(self) -> int:
        """Of each stage."""
        return next(iter(self.arms.values())).spec.steps

    def measures(self, domain: str) -> list[Measure]:
        """The benchmark that stands for a domain."""
        return [Measure(self.profile.targets[domain])]

    def before(self, domain: str) -> Values:
        """Share of the untrained student by unit; empty without its row."""
        if self.profile.draws:
            return self.reference_values(self.profile.student, self.measures(domain))
        percent = self.reference(self.profile.student, self.measures(domain))
        return {} if percent is None else dict.fromkeys(self.suite.chosen_seeds(self.options), percent / 100)

    def after(self, method: str, stage: int, domain: str, step: At = "last") -> Values:
        """R[stage, domain] by unit, or the score at a step of that stage."""
        if stage:
            return self.values(f"{self.stages[stage - 1]}/{method}", self.measures(domain), step)
        return self.before(domain)

    def average(self, method: str) -> Values:
        """Mean of the stages' domains after the last stage."""
        return mean([self.after(method, len(self.stages), domain) for domain in self.stages])

    def backward_transfer(self, method: str) -> Values:
        """Mean over the earlier domains of the end minus right after their own stage."""
        last = len(self.stages)
        earlier = enumerate(self.stages[:-1], start=1)
        return mean([minus(self.after(method, last, d), self.after(method, own, d)) for own, d in earlier])

    def forward_transfer(self, method: str) -> Values:
        """Mean over the later domains of just before their own stage minus the untrained student's."""
        later = enumerate(self.stages[1:], start=1)
        return mean([minus(self.after(method, stage, d), self.after(method, 0, d)) for stage, d in later])

    def normalised(self, method: str, stage: int, domain: str, step: At = "last") -> Values:
        """Divided by the untrained student's; empty where that is 0 or unknown."""
        start = self.before(domain)
        return {unit: v / start[unit] for unit, v in self.after(method, stage, domain, step).items() if start.get(unit)}

    def stage_cell(self, method: str, stage: int, values: Values, step: At = "last") -> Cell:
        """Percent over units of anything that needs the runs of the first ``stage`` stages, the last up to a step."""
        keys = [f"{domain}/{method}" for domain in self.stages[:stage]]
        runs = [self.run_of(key) for key in keys]
        states = {seed: joint_state(run[seed]["state"] for run in runs) for seed in self.arms[keys[0]].specs}
        fallen = set[int]().union(*(self.collapsed(key) for key in keys[:-1]), self.collapsed(keys[-1], step))
        cell = seed_cell(values, states, fallen, units=self.units)
        unscaled = cell.value is None and set(states.values()) == {RunState.DONE.value}
        return Cell(missing=NO_START) if unscaled else cell


def joint_state(states: Iterable[str]) -> str:
    """Of what needs several runs: done, or the worst there is, so that a stage after a failed one says failed."""
    lacking = [state for state in states if state != RunState.DONE]
    return reason(lacking) if lacking else RunState.DONE.value


def whole_costs(scores: StageScores, method: str) -> list[dict[str, Any]]:
    """By seed, the sum over the stages; forwards per token are the same in each."""
    stages = [scores.run_of(f"{domain}/{method}") for domain in scores.stages]
    return [
        {
            "state": joint_state(run[seed]["state"] for run in stages),
            "tokens": sum(run[seed]["tokens"] for run in stages),
            "forwards_per_token": stages[0][seed]["forwards_per_token"],
            "train_seconds": sum(run[seed]["train_seconds"] for run in stages),
        }
        for seed in stages[0]
    ]
