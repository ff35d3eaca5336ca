"""How a profile's early step is found, from vanilla OPD's rows on the development draw. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from harness import registry
from harness.analysis import results
from harness.evaluation import benchmarks
from harness.profile import Profile
from harness.suite import Options
from harness.types import HarnessError
from suites import TUNING
from suites.kit.chosen import BASELINE

if TYPE_CHECKING:
    from pandas import DataFrame

HALF = 0.5
"""Share of the plain gap that vanilla OPD has closed at the early step."""
FEWEST = 3
"""Seeds that find it."""


def measured(profile: Profile, options: Options) -> int:
    """``early_step`` of what ``dopd tune --methods vanilla_opd --seeds 3`` has made, at the profile's own rate.

    Args:
        options: where runs or published rows are.

    Raises:
        HarnessError: as ``early_step``; or there are no rows.
    """
    suite = registry.suite(TUNING)
    seeds = options.seeds or tuple(range(FEWEST))
    chosen = replace(options, suite=TUNING, profile=profile.name, methods=(BASELINE,), seeds=seeds)
    rows, _ = results.load(options.source, suite, profile, chosen)
    wanted = [spec.id for spec in suite.runs(profile, chosen) if spec.optim in (None, profile.optim)]
    return early_step(profile, rows.loc[rows["run"].isin(wanted)])


def early_step(profile: Profile, rows: DataFrame) -> int:
    """The first of the profile's extra checkpoints at which vanilla OPD has closed half of the plain gap.

    The gap is that between the teacher and the student of the default pair, both without p: primary metric, mean of
    the validation benchmarks, of at least three seeds of the development draw.

    Args:
        rows: as of ``harness.analysis.results``: vanilla OPD's at every extra checkpoint, and both models' own.

    Raises:
        HarnessError: the profile has no draws, validation benchmarks or extra checkpoints; rows are missing, or of
            runs that differ in more than their seed; there is no gap, or half of it is never closed.
    """
    if profile.draws is None:
        raise HarnessError(f"profile {profile.name} has no draws, so none for development: give it draws")
    names = tuple(profile.given("validation", "early step").values())
    steps = profile.given("extra_checkpoints", "early step")
    draw, at = profile.draws.development, profile.in_draw(profile.draws.development)
    there = results.select(rows, draw=draw)
    student, teacher = (_mean(there, names, f"reference/{each.name}", 0, 1) for each in (at.student, at.teacher))
    return first_half({step: _mean(there, names, BASELINE, step, FEWEST) for step in steps}, student, teacher)


def first_half(curve: Mapping[int, float], student: float, teacher: float) -> int:
    """The first step of a curve that is half of the way from student to teacher, or further; all are shares.

    Raises:
        HarnessError: the teacher is not above the student, or no step is there.
    """
    if teacher <= student:
        raise HarnessError(
            f"without p the teacher has {100 * teacher:.1f} % and the student {100 * student:.1f} %: there is no gap "
            "to close, choose another pair"
        )
    level = student + HALF * (teacher - student)
    found = [step for step in sorted(curve) if curve[step] >= level]
    if not found:
        raise HarnessError(
            f"half of the gap is at {100 * level:.1f} %, the best of the steps {', '.join(map(str, sorted(curve)))} "
            f"has {100 * max(curve.values()):.1f} %: give the profile later extra_checkpoints"
        )
    return found[0]


def _mean(rows: DataFrame, names: Sequence[str], method: str, step: int, needed: int) -> float:
    """Mean over benchmarks, of each over seeds."""
    means: list[float] = []
    for name in names:
        decoding, metric = benchmarks.told(name).primary
        where = {"benchmark": name, "decoding": decoding, "metric": metric, "method": method, "step": step}
        by_seed = results.by_seed(results.records(results.select(rows, **where)), "value")
        if len(by_seed) < needed:
            raise HarnessError(
                f"the early step needs {method} at step {step} on {name} of {needed} development seed"
                f"{'s' * (needed > 1)}, there are {len(by_seed)}: run and evaluate them first"
            )
        means.append(fmean(by_seed.values()))
    return fmean(means)
