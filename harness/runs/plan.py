"""From a suite to its runs: which exist, which are missing, and how long they will take. No torch."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from harness import registry
from harness.config import TORCH, DataSpec, RunSpec, makings
from harness.evaluation import audits, benchmarks, evaluator
from harness.evaluation.audits import AUDIT
from harness.profile import DEVELOPMENT_SEEDS
from harness.runs import references, reuse
from harness.storage import published_folder, run_folder
from harness.storage.code import TOLD, MadeBy, code_of, of_rows, worst
from harness.storage.run_folder import FoundFolder, Question, RunFolder, RunState
from harness.suite import Evaluation, Options, Profile, Suite
from harness.types import Cost, HarnessError, Row
from harness.worlds import needs


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a suite and what is left to do of it."""

    spec: RunSpec
    state: RunState
    wanted: tuple[Evaluation, ...]
    """Every evaluation the suite asks for, done or not."""
    estimate_seconds: float
    """Of what is left, evaluation included, on one core; 0 if done."""
    made: MadeBy = MadeBy.THIS
    """What made what is there of it."""
    again: str = ""
    """Why it is made although its rows are published and were to be used; empty where it is not so."""

    @property
    def standing(self) -> str:
        """``done``, ``done, other code``, ``absent, made again: a suite shows its responses``."""
        code = f", {self.made}" if self.made in TOLD else ""
        return f"{self.state.value}{code}{f', made again: {self.again}' if self.again else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Seconds per optimiser step by method or recipe, and per evaluation."""

    step: dict[str, float]
    evaluation: float


Track = Callable[[Iterable[Any], str], Iterable[Any]]
"""Gives the items one by one, so that somebody who waits can be shown how many there were, and what is done."""


def untracked(items: Iterable[Any], words: str) -> Iterable[Any]:
    """Shows nothing."""
    return items


def planned(suite: Suite, profile: Profile, options: Options, root: Path, track: Track = untracked) -> list[PlannedRun]:
    """Every run of the suite once, in its order, before it those that make its models. ``root`` is the results folder.

    Raises:
        HarnessError: an unknown name, a damaged run folder, a run that continues one neither planned nor trained, or
            one whose steps move nothing.
    """
    asked = {spec.id: spec for spec in suite.runs(profile, options)}
    specs = {each.id: each for spec in asked.values() for each in (*makings(spec), spec)}
    there = track(run_folder.found(root, specs), "reading the runs that are there")
    found = {folder.spec.id: folder for folder in there}
    rates = _rates(profile, options, found.values())
    reused = reuse.published(suite, profile, options) if options.reuse else {}
    shown = references.shown(suite)
    check_starts(specs, root, made=reused.keys())
    check_steps(specs.values())
    plan = [
        _planned_run(spec, found.get(run), suite.evaluations(spec) if run in asked else (), rates, profile)
        for run, spec in track(specs.items(), "planning")
    ]
    plan = [_if_published(run, found.get(run.spec.id), root, options, shown) for run in plan]
    return _reused(plan, reused, shown) if options.reuse else plan


def _reused(plan: Sequence[PlannedRun], found: Mapping[str, Sequence[Row]], shown: Set[str]) -> list[PlannedRun]:
    """The plan with published runs as made, and models that only these need; ``shown`` as in ``_if_published``."""
    specs = {run.spec.id: run.spec for run in plan}
    made = {run.spec.id for run in plan if run.spec.recipe and not run.wanted}
    seen = {run.spec.id for run in plan if any(e.benchmark in shown for e in run.wanted)}
    again = reuse.made_again(specs, [run.spec.id for run in missing(plan)], found.keys() | made, seen)
    return [_as_published(run, found.get(run.spec.id), again, made) for run in plan]


def _as_published(run: PlannedRun, rows: Sequence[Row] | None, again: Mapping[str, str], made: Set[str]) -> PlannedRun:
    name = run.spec.id
    if run.state is RunState.DONE or (rows is None and name not in made):
        return run
    if name in again:
        return run if rows is None else dataclasses.replace(run, again=again[name])
    by = of_rows(rows or (), code_of(run.spec))
    return dataclasses.replace(run, state=RunState.PUBLISHED, estimate_seconds=0.0, made=by)


def check_starts(specs: Mapping[str, RunSpec], root: Path, made: Set[str] = frozenset()) -> None:
    """Every run that is still to be trained and continues another must find that one: in the plan or on disk.

    Args:
        made: runs that are not trained here, whatever is on disk.

    Raises:
        HarnessError: one does not.
    """
    for spec in specs.values():
        begins = spec.start and spec.start not in specs and spec.id not in made
        if begins and RunFolder(root, spec).last_step() != spec.steps:
            run_folder.continued(root, spec)


def check_steps(specs: Iterable[RunSpec]) -> None:
    """Every training run must take an optimiser step at a rate above 0.

    Raises:
        HarnessError: one does not.
    """
    updates = cache(lambda name: registry.method_class(name).updates)
    for spec in specs:
        if spec.optim is None:
            continue
        taken = spec.steps * (updates(spec.method.name) if spec.method else 1)
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
    asked = {
        (s.data and s.data.canonical, s.method and s.method.canonical, s.rollouts_per_prompt, s.temperature, s.top_p): s
        for s in (run.spec for run in plan)
    }
    for spec in asked.values():
        needs.check(spec)


def check_evaluations(plan: Iterable[PlannedRun]) -> None:
    """Every evaluation that is wanted must be one of this package; to be called before compute.

    Raises:
        HarnessError: an unknown benchmark, engine, audit or decoding, another version of one, what a benchmark's own
            check refuses, or a world that lacks what an audit needs.
    """
    # Runs without number ask for the same, and mostly by the same tuple.
    different = {(id(run.wanted), id(run.spec.data)): run for run in plan}.values()
    asked = [(wanted, run.spec) for run in different for wanted in run.wanted]
    for wanted in dict.fromkeys(wanted for wanted, _ in asked if wanted.decoding != AUDIT):
        found = benchmarks.benchmark(wanted.benchmark, wanted.version)
        benchmarks.decoding(found, wanted.decoding)
        evaluator.check(found)
    read = [(wanted, _audited(spec)) for wanted, spec in asked if wanted.decoding == AUDIT]
    for wanted, data in dict.fromkeys(read):
        audits.check(audits.known(wanted.benchmark, wanted.version), data)


def check_further(profile: Profile) -> None:
    """Benchmarks that a profile names must be some, though no run may ask them today.

    Raises:
        HarnessError: an unknown one; of those beside the ones it asks an unknown engine, or what a benchmark's own
            check refuses.
    """
    for name in profile.further:
        evaluator.check(benchmarks.benchmark(name))
    for field in ("targets", "harder", "validation"):
        for domain, name in getattr(profile, field).items():
            try:
                benchmarks.benchmark(name)
            except HarnessError as error:
                raise HarnessError(f"profile {profile.name}, {field}[{domain!r}]: {error}") from error


def check_code(plan: Iterable[PlannedRun], root: Path) -> None:
    """No run may be trained further by other code than began it; to be called before compute.

    Raises:
        HarnessError: one would be; says how many and the first.
    """
    begun = [run.spec for run in plan if run.state in (RunState.PARTIAL, RunState.FAILED)]
    found = {spec.id: reason for spec in begun if (reason := RunFolder(root, spec).other_code())}
    for run, reason in found.items():
        raise HarnessError(f"{len(found)} of the runs cannot go on, first {run}: {reason}; {run_folder.CURE}")


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


def check_draws(profile: Profile, plan: Iterable[PlannedRun]) -> None:
    """To be called before compute: a draw may be planned whose models are not there.

    Raises:
        HarnessError: something is left to do of such a draw.
    """
    if (draws := profile.draws) is None or draws.held is None:
        return
    wanted = {run.spec.data.draw for run in missing(plan) if run.spec.data and run.spec.data.draw is not None}
    if lacking := sorted(wanted - set(draws.held)):
        of_results = ",".join(str(draw) for draw in draws.held if draw != draws.development)
        seeds = [of_results, str(DEVELOPMENT_SEEDS) if draws.development in draws.held else ""]
        cure = " or ".join(f"--seeds {each}," for each in seeds if each) or "no seed, but other models,"
        raise HarnessError(
            f"profile {profile.name}: this package does not hold the models of draw{'s' * (len(lacking) > 1)} "
            f"{', '.join(map(str, lacking))} (it holds those of: {', '.join(map(str, draws.held)) or 'none'}); "
            f"give {cure} to run"
        )


def check_adapters(plan: Iterable[PlannedRun]) -> None:
    """To be called before compute: runs with adapters may be planned where the package for them is not.

    Raises:
        HarnessError: something is left to do of such a run.
    """
    if any(run.spec.lora for run in missing(plan)):
        from harness.models import lora  # imports torch, which a plan without adapters does not need

        lora.check_installed()


def check_kernels(plan: Iterable[PlannedRun]) -> None:
    """The same of runs whose layers have other kernels than torch's.

    Raises:
        HarnessError: something is left to do of such a run, and they cannot run here.
    """
    wanted = {(run.spec.kernels, run.spec.device) for run in missing(plan) if run.spec.kernels != TORCH}
    if wanted:
        from harness.runs import kernels  # imports torch
        from harness.training.process import device

        for name, asked in wanted:
            kernels.check(name, device(asked))


def missing(plan: Iterable[PlannedRun]) -> list[PlannedRun]:
    """The runs with something left to do."""
    return [run for run in plan if run.state not in (RunState.DONE, RunState.PUBLISHED)]


def makespan(plan: Sequence[PlannedRun], jobs: int) -> float:
    """Seconds on ``jobs`` workers: not under the mean load, nor under the longest run."""
    seconds = [run.estimate_seconds for run in plan]
    return max([sum(seconds) / max(jobs, 1), *seconds])


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


def _planned_run(
    spec: RunSpec, folder: FoundFolder | None, wanted: tuple[Evaluation, ...], rates: Rates, profile: Profile
) -> PlannedRun:
    state = folder.state(wanted) if folder else RunState.ABSENT
    made = folder.made_by(wanted) if folder else MadeBy.THIS
    if state is RunState.DONE:
        return PlannedRun(spec=spec, state=state, wanted=wanted, estimate_seconds=0.0, made=made)
    steps_left = spec.steps - ((folder.last_step() or 0) if folder else 0)
    seconds = steps_left * rates.step.get(spec.label, profile.seconds_per_step)
    seconds += len(folder.missing(wanted) if folder else wanted) * rates.evaluation
    return PlannedRun(spec=spec, state=state, wanted=wanted, estimate_seconds=seconds, made=made)


def _if_published(
    run: PlannedRun, folder: FoundFolder | None, root: Path, options: Options, shown: Set[str]
) -> PlannedRun:
    """As made, if it is a reference whose rows are published; ``shown``: evaluations whose rows alone would not do."""
    if not run.spec.is_reference or run.state is RunState.DONE or any(e.benchmark in shown for e in run.wanted):
        return run
    if not (sources := references.published(folder or RunFolder(root, run.spec), run.wanted, options)):
        return run
    made = worst(of_rows(source.rows, code_of(run.spec)) for source in sources)
    return dataclasses.replace(run, state=RunState.PUBLISHED, estimate_seconds=0.0, made=made)


def _rates(profile: Profile, options: Options, found: Iterable[FoundFolder]) -> Rates:
    """Measured here if a run of the method is done here, else as any suite published, else the profile's guess."""
    known = [f for f in found if f.spec.profile in (profile.name, "")]
    here = [paid for f in known if (paid := _paid(f))]
    files = sorted((options.published / profile.name).glob(f"*/{published_folder.COSTS_FILE}"))
    published = [cost for path in files for cost in published_folder.read_costs(path)]
    evaluations = [cost.evaluation_seconds / len(evaluated) for cost, evaluated in here if evaluated]
    return Rates(
        step=_per_step(published) | _per_step(cost for cost, _ in here),
        evaluation=fmean(evaluations) if evaluations else profile.seconds_per_evaluation,
    )


def _paid(folder: FoundFolder) -> tuple[Cost, Set[Question]] | None:
    """What a run cost and what it evaluated; None of one that is copied, or damaged: an estimate can do without it."""
    try:
        cost = None if folder.published() else folder.cost()
        return (cost, folder.evaluated()) if cost else None
    except HarnessError:
        return None


def _per_step(costs: Iterable[Cost]) -> dict[str, float]:
    """Mean training seconds of one optimiser step, by method."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for cost in costs:
        if cost.steps:
            seconds[cost.method].append(cost.train_seconds / cost.steps)
    return {method: fmean(values) for method, values in seconds.items()}
