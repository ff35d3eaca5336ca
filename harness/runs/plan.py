"""From a suite to its runs: which exist, which are missing, and how long they will take. No torch."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from harness import registry
from harness.config import DataSpec, RunSpec, canonical_json, makings
from harness.evaluation import audits, benchmarks, evaluator
from harness.evaluation.audits import AUDIT
from harness.runs import references
from harness.storage import published_folder, run_folder
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, Options, Profile, Suite
from harness.types import Cost, HarnessError
from harness.worlds import needs

OWN_COLUMNS = ("profile", "student", "teacher", "data", "method", "recipe", "optim", "steps", "seed")
"""Fields of a run that its id or a column of its own shows, and those that are looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a suite and what is left to do of it."""

    spec: RunSpec
    state: RunState
    wanted: tuple[Evaluation, ...]
    """Every evaluation the suite asks for, done or not."""
    estimate_seconds: float
    """Of what is left, evaluation included, on one core; 0 if done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Seconds per optimiser step by method or recipe, and per evaluation."""

    step: dict[str, float]
    evaluation: float


def planned(suite: Suite, profile: Profile, options: Options, root: Path) -> list[PlannedRun]:
    """Every run of the suite once, in its order, before it those that make its models. ``root`` is the results folder.

    Raises:
        HarnessError: an unknown name, a damaged run folder, a run that continues one neither planned nor trained, or
            one whose steps move nothing.
    """
    rates = _rates(profile, options, root)
    asked = {spec.id: spec for spec in suite.runs(profile, options)}
    folders = {each.id: RunFolder(root, each) for spec in asked.values() for each in (*makings(spec), spec)}
    check_starts(folders, root)
    check_steps(folder.spec for folder in folders.values())
    wanted = {run: suite.evaluations(spec) for run, spec in asked.items()}
    plan = [_planned_run(folder, wanted.get(run, ()), rates, profile) for run, folder in folders.items()]
    shown = references.shown(suite)
    return [_if_published(run, folders[run.spec.id], options, shown) for run in plan]


def check_starts(folders: Mapping[str, RunFolder], root: Path) -> None:
    """Every run that is still to be trained and continues another must find that one: in the plan or on disk.

    Raises:
        HarnessError: one does not.
    """
    for folder in folders.values():
        spec = folder.spec
        if spec.start and spec.start not in folders and folder.last_step() != spec.steps:
            run_folder.continued(root, spec)


def check_steps(specs: Iterable[RunSpec]) -> None:
    """Every training run must take an optimiser step at a rate above 0.

    Raises:
        HarnessError: one does not.
    """
    for spec in specs:
        if spec.optim is None:
            continue
        taken = spec.steps * (registry.method_class(spec.method.name).updates if spec.method else 1)
        if taken and not spec.optim.trains(taken):
            raise HarnessError(
                f"steps={spec.steps} of {spec.label}: the warm-up begins at learning rate 0 "
                f"(first_step={spec.optim.first_step}), so that its only optimiser step would move nothing; give "
                "--steps 2 or more, or set first_step=full"
            )


def check_worlds(plan: Iterable[PlannedRun]) -> None:
    """Every run must find what it needs of its world; to be called before compute, and told once, not once a run.

    Raises:
        HarnessError: an unknown world, domain or kind of privileged input; a world that fails, or lacks what a method
            needs.
    """
    asked = {canonical_json((s.data, s.method, s.rollouts_per_prompt)): s for s in (run.spec for run in plan)}
    for spec in asked.values():
        needs.check(spec)


def check_evaluations(plan: Iterable[PlannedRun]) -> None:
    """Every evaluation that is wanted must be one of this package; to be called before compute.

    Raises:
        HarnessError: an unknown benchmark, engine, audit or decoding, another version of one, what a benchmark's own
            check refuses, or a world that lacks what an audit needs.
    """
    asked = [(wanted, run.spec) for run in plan for wanted in run.wanted]
    for wanted in dict.fromkeys(wanted for wanted, _ in asked if wanted.decoding != AUDIT):
        found = benchmarks.benchmark(wanted.benchmark, wanted.version)
        benchmarks.decoding(found, wanted.decoding)
        evaluator.check(found)
    read = [(wanted, _audited(spec)) for wanted, spec in asked if wanted.decoding == AUDIT]
    for wanted, data in dict.fromkeys(read):
        audits.check(audits.known(wanted.benchmark, wanted.version), data)


def _audited(spec: RunSpec) -> DataSpec:
    """The run's data; of a model that is only evaluated, its profile's."""
    return spec.data or registry.profile(spec.profile).data


def check_profile(profile: Profile) -> None:
    """To be called before compute: a profile may be planned where it cannot run.

    Raises:
        HarnessError: the profile says that it cannot.
    """
    if profile.obstacle:
        raise HarnessError(
            f"profile {profile.name} cannot run here: {profile.obstacle}; use --profile {registry.default_profile()}, "
            "or `dopd plan` to see what it would run"
        )


def missing(plan: Iterable[PlannedRun]) -> list[PlannedRun]:
    """The runs with something left to do."""
    return [run for run in plan if run.state not in (RunState.DONE, RunState.PUBLISHED)]


def makespan(plan: Sequence[PlannedRun], jobs: int) -> float:
    """Seconds on ``jobs`` workers: not under the mean load, nor under the longest run."""
    seconds = [run.estimate_seconds for run in plan]
    return max([sum(seconds) / max(jobs, 1), *seconds])


def plan_table(plan: Sequence[PlannedRun], *, title: str) -> Table:
    """One line a run."""
    table = Table(title=title, title_justify="left")
    table.add_column("run: method, teacher, student, domains, seed, hash", overflow="fold")
    told = differences([run.spec for run in plan])
    if any(told):
        table.add_column("settings in which the runs differ", overflow="fold")
    for name in ("steps", "rate", "state", "estimate"):
        table.add_column(name, no_wrap=True, justify="left" if name == "state" else "right")
    for run, differs in zip(plan, told, strict=True):
        table.add_row(
            run.spec.id,
            *([differs] if any(told) else []),
            "" if run.spec.is_reference else str(run.spec.steps),
            f"{run.spec.optim.lr:g}" if run.spec.optim else "",
            run.state.value,
            duration(run.estimate_seconds),
        )
    return table


def differences(specs: Sequence[RunSpec]) -> list[str]:
    """Of each run, ``privilege = none, k = 8``: what is not the same in all runs of its method and is not in its id.

    References have none.
    """
    settings = [{} if spec.is_reference else _settings(spec) for spec in specs]
    names = [spec.label for spec in specs]
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, own in zip(names, settings, strict=True):
        for key, value in own.items():
            seen[name, key].add(value)
    return [
        ", ".join(f"{key} = {value}" for key, value in own.items() if len(seen[name, key]) > 1)
        for name, own in zip(names, settings, strict=True)
    ]


def _settings(spec: RunSpec) -> dict[str, str]:
    """What the id and the other columns do not say, as text, by the name of the field."""
    data = {f.name: getattr(spec.data, f.name, None) for f in dataclasses.fields(DataSpec) if f.name != "domains"}
    run = {f.name: getattr(spec, f.name) for f in dataclasses.fields(RunSpec) if f.name not in OWN_COLUMNS}
    how = spec.method or spec.recipe
    return {key: _written(value) for key, value in (data | run | dict(how.settings if how else {})).items()}


def _written(value: Any) -> str:
    """A sequence without its brackets."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def overrides_table(profile: Profile, names: Iterable[str]) -> Table | None:
    """The profile's departures from the methods' published settings; None if the methods named have none."""
    rows = {name: found for name in dict.fromkeys(names) if (found := profile.override(name))}
    if not rows:
        return None
    title = f"settings of profile {profile.name}"
    table = Table("method", "settings", "reason", title=title, title_justify="left")
    for name, override in rows.items():
        table.add_row(name, override.text, override.reason)
    return table


def duration(seconds: float) -> str:
    """``48 s``, ``12 min``, ``3.5 h``; a dash for nothing."""
    if seconds <= 0:
        return "-"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _planned_run(folder: RunFolder, wanted: tuple[Evaluation, ...], rates: Rates, profile: Profile) -> PlannedRun:
    spec = folder.spec
    state = folder.state(wanted)
    if state is RunState.DONE:
        return PlannedRun(spec=spec, state=state, wanted=wanted, estimate_seconds=0.0)
    steps_left = spec.steps - (folder.last_step() or 0)
    seconds = steps_left * rates.step.get(spec.label, profile.seconds_per_step)
    seconds += len(folder.missing(wanted)) * rates.evaluation
    return PlannedRun(spec=spec, state=state, wanted=wanted, estimate_seconds=seconds)


def _if_published(run: PlannedRun, folder: RunFolder, options: Options, shown: Set[str]) -> PlannedRun:
    """As made, if it is a reference whose rows are published; ``shown``: evaluations whose rows alone would not do."""
    if run.state is RunState.DONE or any(e.benchmark in shown for e in run.wanted):
        return run
    if not references.published(folder, run.wanted, options):
        return run
    return dataclasses.replace(run, state=RunState.PUBLISHED, estimate_seconds=0.0)


def _rates(profile: Profile, options: Options, root: Path) -> Rates:
    """Measured here if a run of the method is done here, else as any suite published, else the profile's guess."""
    known = [f for f in run_folder.folders(root) if f.spec.profile in (profile.name, "") and not f.published()]
    here = [(f.cost(), f.rows()) for f in known]
    costs = [cost for cost, _ in here if cost]
    files = sorted((options.published / profile.name).glob(f"*/{published_folder.COSTS_FILE}"))
    published = [cost for path in files for cost in published_folder.read_costs(path)]
    evaluations = [
        cost.evaluation_seconds / len({(row.step, row.benchmark, row.version, row.decoding) for row in rows})
        for cost, rows in here
        if cost and rows
    ]
    return Rates(
        step=_per_step(published) | _per_step(costs),
        evaluation=fmean(evaluations) if evaluations else profile.seconds_per_evaluation,
    )


def _per_step(costs: Iterable[Cost]) -> dict[str, float]:
    """Mean training seconds of one optimiser step, by method."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for cost in costs:
        if cost.steps:
            seconds[cost.method].append(cost.train_seconds / cost.steps)
    return {method: fmean(values) for method, values in seconds.items()}
