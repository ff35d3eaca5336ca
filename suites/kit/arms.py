"""A suite as a list of arms: each a setting that is run once per seed, compared on the same benchmarks.

An arm is a line of a table. Its runs are found by their ids, so an arm may differ from another in anything a
``RunSpec`` holds: method, settings, pair of models, privileged input, what it continues.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from harness import registry
from harness.analysis import results, statistics
from harness.analysis.statistics import Difference
from harness.analysis.units import Units, units_of
from harness.config import ModelSpec, RunSpec
from harness.evaluation import benchmarks
from harness.evaluation.audits import AUDIT
from harness.evaluation.benchmarks import sentence, told
from harness.method import Entry
from harness.show.tables import Cell, Table, seed_cell, shade
from harness.storage.run_folder import RunState
from harness.suite import Evaluation, Options, Profile, Suite, reference_run, training_run
from harness.types import HarnessError
from suites.kit.cells import gain_cell, recovery, recovery_cell, reference_cell
from suites.kit.chosen import BASELINE, joint_domains, references, selected_methods
from suites.kit.measures import At, Measure, asked, items_of, slashed, words_of
from suites.kit.seeds import common_seeds, minus
from suites.kit.sentences import learning_rate_sentence, standing_sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One setting, run once per seed.

    Example::

        Arm(key="strong-small/dopd", label="DOPD", block="strong → small", specs={0: spec, 1: ...}, baseline="...")
    """

    key: str
    """Unique in its suite and stable: claims name it."""
    label: str
    specs: Mapping[int, RunSpec]
    """By seed; in a profile without draws the same seeds in every arm of a suite."""
    block: str = ""
    """Arms of one block stand together and are ranked together."""
    baseline: str = ""
    """Key of the arm this one is compared with; empty: none."""
    ranked: bool = True
    """False for what sees more than others may."""

    @property
    def spec(self) -> RunSpec:
        """Of the first seed: what is the same in all of them."""
        return next(iter(self.specs.values()))

    @property
    def updates(self) -> int:
        """Optimiser steps its method takes of a batch."""
        return registry.method_class(self.method).updates

    @property
    def method(self) -> str:
        """Registry name."""
        assert self.spec.method is not None
        return self.spec.method.name


def method_arm(method: str, specs: Mapping[int, RunSpec], *, key: str = "", block: str = "", baseline: str = "") -> Arm:
    """An arm that is labelled and ranked as its method is; without more its key is the name, its block the paradigm."""
    entry = registry.methods()[method]
    return Arm(
        key=key or method,
        label=entry.label,
        specs=specs,
        block=block or entry.paradigm,
        baseline=baseline,
        ranked=entry.ranked,
    )


class ArmSuite(Suite):
    """Arms × seeds, with the untrained models they are measured against."""

    seeds: tuple[int, ...] = SEEDS
    """Without ``--seeds``."""

    @abstractmethod
    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """In the order of the table."""

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """Models that are only evaluated, by the name they have in tables."""
        return references(profile)

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        """References first, of each draw that is run; then seed by seed, so that whatever is done compares all arms.

        Raises:
            HarnessError: two arms have one key, a baseline is no arm, a run is of another seed, ``--methods`` where the
                suite has its own, or seeds of results beside those of the development draw.
        """
        if self.own_arms and options.methods is not None:
            raise HarnessError(f"suite {self.name} has its own arms: leave out --methods")
        arms = self.arms(profile, options)
        self._check(arms)
        seeds = dict.fromkeys(seed for arm in arms for seed in arm.specs)
        profile.check_seeds(seeds)
        return [
            reference_run(at, model)
            for at in profile.of_seeds(seeds)
            for model in {each.canonical: each for each in self.models(at).values()}.values()
        ] + [arm.specs[seed] for seed in seeds for arm in arms if seed in arm.specs]

    def _check(self, arms: Sequence[Arm]) -> None:
        keys = [arm.key for arm in arms]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise HarnessError(f"suite {self.name}: two arms have the key {twice[0]!r}: give each a key of its own")
        if lost := [arm for arm in arms if arm.baseline and arm.baseline not in keys]:
            raise HarnessError(
                f"suite {self.name}: arm {lost[0].key!r} is compared with {lost[0].baseline!r}, which is no arm; there "
                f"are {', '.join(keys)}"
            )
        for arm in arms:
            if wrong := [seed for seed, spec in arm.specs.items() if spec.seed != seed]:
                raise HarnessError(
                    f"suite {self.name}: arm {arm.key!r} has for seed {wrong[0]} a run of seed "
                    f"{arm.specs[wrong[0]].seed}: one run would count as several; give training_run(..., seed=seed)"
                )

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain in the trained range and in the harder one, at the last step; and ``early_benchmarks``."""
        return (*early_benchmarks(spec), *benchmarks_at(spec, ("last",)))

    def chosen_seeds(self, options: Options) -> tuple[int, ...]:
        """Those asked for, or the profile's, or the suite's."""
        return options.seeds or registry.profile(options.profile).part(self.name).seeds or self.seeds

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> Any:
        """Rows and costs, found by arm and seed: ``ArmScores``, or what a suite makes of them."""
        return ArmScores(suite=self, rows=rows, costs=costs, options=options)

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """``tables_of`` the scores."""
        return self.tables_of(self.scores(rows, costs, options))

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """``figures_of`` the scores."""
        return self.figures_of(self.scores(rows, costs, options))

    @abstractmethod
    def tables_of(self, scores: Any) -> list[Table]:
        """Tables of our runs."""

    def figures_of(self, scores: Any) -> Mapping[str, Figure]:
        """Figures of our runs, by file stem."""
        return {}


class MethodSuite(ArmSuite):
    """Methods × seeds on all domains together."""

    methods: ClassVar[tuple[str, ...]]
    """Registry names, in the order of the table; keys of the arms. A profile may have others (``Profile.parts``)."""
    repeats_draws: ClassVar[bool] = False
    """Whether the methods that a profile's draws run twice (``Draws.twice``) have a second seed of each draw here."""

    def methods_of(self, profile: Profile, options: Options) -> tuple[str, ...]:
        """Those asked for, or the profile's, or the suite's; and a plugin's."""
        return selected_methods(options, profile.part(self.name).arms or self.methods)

    def seeds_of(self, method: str, profile: Profile, options: Options) -> tuple[int, ...]:
        """Those asked for, or the suite's; of a method that runs each draw twice also the next ones of these draws."""
        seeds, draws = self.chosen_seeds(options), profile.draws
        if options.seeds is not None or draws is None or not self.repeats_draws or method not in draws.twice:
            return seeds
        return tuple(dict.fromkeys((*seeds, *(seed + draws.n for seed in seeds))))

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """One per method; a plugin's methods join the default ones."""
        domains, names = joint_domains(profile, options), self.methods_of(profile, options)
        return [
            method_arm(
                name,
                {
                    seed: training_run(profile, options, method=name, domains=domains, seed=seed)
                    for seed in self.seeds_of(name, profile, options)
                },
                baseline=BASELINE if BASELINE in names else "",
            )
            for name in names
        ]


def benchmarks_at(spec: RunSpec, steps: Sequence[At], *, harder: bool = True) -> tuple[Evaluation, ...]:
    """Every benchmark of the run's profile at some checkpoints, under its primary metric; a reference has one."""
    profile = registry.profile(spec.profile)
    names = asked(profile) if harder else profile.benchmarks
    known = map(told, names)
    at: Sequence[At] = ("last",) if spec.is_reference else steps
    return _evaluations(tuple(at), tuple((each.name, each.primary[:1], each.version) for each in known))


def early_step(spec: RunSpec) -> int | None:
    """The early budget of a run, its profile's; None where that has none, of a reference, and of a run that ends before
    it or keeps no checkpoint there."""
    step = registry.profile(spec.profile).early_step
    return step if step in spec.extra_checkpoints else None


def early_benchmarks(spec: RunSpec) -> tuple[Evaluation, ...]:
    """The trained range at the early step; nothing without one."""
    step = early_step(spec)
    return () if step is None else benchmarks_at(spec, (step,), harder=False)


def every_decoding(spec: RunSpec) -> tuple[Evaluation, ...]:
    """Every benchmark of the run's profile in each of its decodings, at the last step; and ``early_benchmarks``."""
    known = map(told, asked(registry.profile(spec.profile)))
    return early_benchmarks(spec) + _evaluations(
        ("last",), tuple((each.name, each.decodings, each.version) for each in known)
    )


@cache
def _evaluations(steps: tuple[At, ...], read: tuple[tuple[str, tuple[str, ...], float], ...]) -> tuple[Evaluation, ...]:
    """Step by step, of each benchmark (name, decodings, version); the same tuple for every run that asks the same."""
    asked = [(name, decoding, version) for name, decodings, version in read for decoding in decodings]
    return tuple(Evaluation(step, *each) for step in steps for each in asked)


@dataclass(frozen=True, kw_only=True)
class ArmScores:
    """What the rows say of each arm. Values are shares by seed; cells are percent."""

    suite: ArmSuite
    rows: DataFrame
    costs: DataFrame
    options: Options

    @cached_property
    def profile(self) -> Profile:
        """Whose models, benchmarks and overrides these are."""
        return registry.profile(self.options.profile)

    @property
    def label(self) -> str:
        """Of the primary metric, for axes: ``exact answer``."""
        return benchmarks.label(self.profile.benchmarks)

    @property
    def words(self) -> str:
        """The same with its decoding, ``exact answer, greedy``."""
        return benchmarks.words(self.profile.benchmarks)

    @property
    def partial(self) -> str:
        """How many of the planned runs have rows; empty if all."""
        states = self.costs["state"].tolist()
        done = states.count(RunState.DONE.value)
        return "" if done == len(states) else f"{done} of {len(states)} runs done"

    @property
    def mark(self) -> str:
        """What the title of a figure ends with if runs are missing."""
        return f" (partial: {self.partial})" if self.partial else ""

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """By key."""
        return {arm.key: self.shown(arm) for arm in self.suite.arms(self.profile, self.options)}

    def shown(self, arm: Arm) -> Arm:
        """The arm as tables show it: a suite may mark what its runs turned out to be."""
        return arm

    @cached_property
    def early(self) -> int | None:
        """The early budget of the suite's runs; None where one of them has none."""
        steps = {early_step(arm.spec) for arm in self.arms.values()}
        return steps.pop() if len(steps) == 1 else None

    @property
    def inside(self) -> list[Measure]:
        """The trained range under the primary metric, one measure a domain."""
        return [Measure(benchmark) for benchmark in self.profile.benchmarks]

    @property
    def harder(self) -> list[Measure]:
        """The harder range under the primary metric; none in a profile without."""
        return [Measure(benchmark) for benchmark in self.profile.harder.values()]

    @property
    def entries(self) -> dict[str, Entry]:
        """Registry entries of the arms' methods."""
        known = registry.methods()
        return {arm.method: known[arm.method] for arm in self.arms.values()}

    @cached_property
    def units(self) -> Units:
        """What values are by: seeds, or draws whose seeds are averaged."""
        return units_of(self.profile)

    def values(self, key: str, measures: Sequence[Measure], step: At = "last") -> dict[int, float]:
        """Mean share over the measures, by unit, of the seeds that have all of them."""
        return self.units.averaged(self.seed_values(key, measures, step))

    def seed_values(self, key: str, measures: Sequence[Measure], step: At = "last") -> dict[int, float]:
        """Mean share over the measures, by seed, for the seeds that have all of them."""
        steps = self.arms[key].spec.steps if step == "last" else step
        found = {seed: self._values_of(line, measures, steps) for seed, line in self.run_of(key).items()}
        return {seed: fmean(values) for seed, values in found.items() if values}

    def curve(self, key: str, measures: Sequence[Measure]) -> dict[int, dict[int, float]]:
        """``values`` at every checkpoint that has some, by step."""
        steps = self.arms[key].spec.checkpoint_steps()
        found = {step: self.values(key, measures, step) for step in steps}
        return {step: values for step, values in found.items() if values}

    def cell(self, key: str, measures: Sequence[Measure], step: At = "last") -> Cell:
        """Percent over units, coloured by the share of the gap if the arm is ranked; collapsed runs are named."""
        cell = self.cell_of(key, self.values(key, measures, step), step=step)
        if cell.value is None or not self.arms[key].ranked:
            return cell
        return replace(cell, shade=shade(recovery(cell.value, *self.ends(key, measures))))

    def cell_of(self, key: str, values: Mapping[int, float], scale: float = 100.0, step: At = "last") -> Cell:
        """Mean over units of anything an arm has by unit; runs that had collapsed by a step are named."""
        states = {seed: run["state"] for seed, run in self.run_of(key).items()}
        return seed_cell(values, states, self.collapsed(key, step), scale, self.units)

    def collapsed(self, key: str, step: At = "last") -> set[int]:
        """Seeds whose run of this arm had collapsed by a step: a row's status knows no later one."""
        at = self.arms[key].spec.steps if step == "last" else step
        return {seed for seed, run in self.run_of(key).items() if (run["run"], at) in self._collapsed}

    def difference(self, a: str, b: str, measures: Sequence[Measure], step: At = "last") -> Difference | None:
        """Paired by unit, shares; None without a common one."""
        return self.units.paired_difference(self.values(a, measures, step), self.values(b, measures, step))

    def reference(self, model: ModelSpec, measures: Sequence[Measure]) -> float | None:
        """Percent of a model that was only evaluated, mean over the measures and the draws; None if it was not.

        Args:
            model: one of the suite's ``models`` of the profile; in a profile with draws it stands for that of each.
        """
        values = self.reference_values(model, measures)
        return 100 * fmean(values.values()) if values else None

    def reference_values(self, model: ModelSpec, measures: Sequence[Measure]) -> dict[int, float]:
        """Shares of such a model by draw; where there are no draws one, under 0."""
        if self.profile.draws is None:
            return self._evaluated({0: (self.profile, model)}, measures)
        names = [name for name, each in self.suite.models(self.profile).items() if each == model]
        drawn = {at.data.draw: at for at in self.profile.of_seeds(self.suite.chosen_seeds(self.options))}
        found = {draw: (at, self.suite.models(at)[names[0]]) for draw, at in drawn.items() if draw is not None}
        return self._evaluated(found if names else {}, measures)

    def reference_cell(self, model: ModelSpec, measures: Sequence[Measure]) -> Cell:
        """Percent of such a model; over draws with its interval, each draw having another one."""
        values = self.reference_values(model, measures)
        if self.profile.draws is None or not values:
            return reference_cell(self.reference(model, measures))
        return seed_cell(values, {}, units=self.units)

    def ends(self, key: str, measures: Sequence[Measure]) -> tuple[float | None, float | None]:
        """Percent of the arm's own student before training and of its teacher, both without p; means over draws."""
        spec = self.arms[key].spec
        assert spec.teacher is not None
        if self.profile.draws is None:
            return self.reference(spec.student, measures), self.reference(spec.teacher, measures)
        student, teacher = (100 * fmean(each.values()) if each else None for each in self.end_values(key, measures))
        return student, teacher

    def end_values(self, key: str, measures: Sequence[Measure]) -> tuple[dict[int, float], dict[int, float]]:
        """Shares of the same by unit; where there are no draws it is the same model for every seed."""
        specs = {self.units.of(seed): (self.profile.at(seed), spec) for seed, spec in self.arms[key].specs.items()}
        students = {unit: (at, spec.student) for unit, (at, spec) in specs.items()}
        teachers = {unit: (at, spec.teacher) for unit, (at, spec) in specs.items() if spec.teacher}
        return self._evaluated(students, measures), self._evaluated(teachers, measures)

    def _evaluated(
        self, models: Mapping[int, tuple[Profile, ModelSpec]], measures: Sequence[Measure]
    ) -> dict[int, float]:
        """Mean share over the measures of models that were only evaluated, by unit; those that have all of them."""
        lines = {unit: self._runs.get(self._reference_id(*each)) for unit, each in models.items()}
        found = {unit: self._values_of(line, measures, 0) for unit, line in lines.items() if line}
        return {unit: fmean(values) for unit, values in found.items() if values}

    def _reference_id(self, at: Profile, model: ModelSpec) -> str:
        key = (at.data.draw, model.canonical)
        if key not in self._reference_ids:
            self._reference_ids[key] = reference_run(at, model).id
        return self._reference_ids[key]

    @cached_property
    def _reference_ids(self) -> dict[tuple[int | None, str], str]:
        """An id is a hash of the whole spec, so it is made once."""
        return {}

    def gain(self, key: str, measures: Sequence[Measure], score: Cell | None = None) -> Cell:
        """Points over the arm's own untrained student; where that differs from draw to draw, within a draw.

        Args:
            score: of the arm in these measures; its ``cell`` by default.
        """
        score = self.cell(key, measures) if score is None else score
        if self.profile.draws is None or score.value is None:
            return gain_cell(score, self.ends(key, measures)[0])
        student, _ = self.end_values(key, measures)
        values = minus(self.values(key, measures), student)
        return self.cell_of(key, values) if values else gain_cell(score, None)

    def recovered(self, key: str, measures: Sequence[Measure]) -> Cell:
        """Percent of the way from the arm's own student to its teacher; where these differ, mean over the draws."""
        score = self.cell(key, measures)
        if self.profile.draws is None or score.value is None:
            return recovery_cell(score, *self.ends(key, measures))
        student, teacher = self.end_values(key, measures)
        values = self.values(key, measures)
        shares = {
            unit: statistics.gap_recovery(values[unit], student[unit], teacher[unit])
            for unit in common_seeds([values, student, teacher])
        }
        closed = {unit: share for unit, share in shares.items() if share is not None}
        if len(closed) < len(shares) or not shares:
            return Cell(missing="no gap in a draw" if shares else "no reference row")
        return self.cell_of(key, closed)

    def run_of(self, key: str) -> dict[int, dict[str, Any]]:
        """Lines of ``costs`` by seed."""
        return self._runs_of[key]

    def runs_of(self, arm: Arm) -> dict[int, dict[str, Any]]:
        """Lines of ``costs`` by seed."""
        return {seed: self._runs[spec.id] for seed, spec in arm.specs.items()}

    def _values_of(self, line: Mapping[str, Any], measures: Sequence[Measure], step: int) -> list[float]:
        """A share per measure of a line of ``costs``; empty if one is missing."""
        keys = [(line["run"], step, m.benchmark, m.decoding, m.metric) for m in measures]
        values = [self._rows[key] for key in keys if key in self._rows]
        if len(values) < len(measures):
            self._check_known(measures)
            return []
        return values

    def _check_known(self, measures: Sequence[Measure]) -> None:
        """A name that nothing has would read as not run.

        Raises:
            HarnessError: a benchmark is neither here nor in the rows, near names offered.
        """
        for measure in measures:
            if measure.decoding != AUDIT and measure.benchmark not in self._benchmarks:
                benchmarks.benchmark(measure.benchmark)

    @cached_property
    def _benchmarks(self) -> set[str]:
        return {*self.rows["benchmark"].tolist(), *benchmarks.every()}

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], float]:
        names = ("run", "step", "benchmark", "decoding", "metric", "value")
        columns = [self.rows[name].tolist() for name in names]
        return {tuple(key): value for *key, value in zip(*columns, strict=True)}

    @cached_property
    def _collapsed(self) -> set[tuple[str, int]]:
        """Runs and steps at which they had collapsed."""
        fallen = results.select(self.rows, status="collapsed")
        return set(zip(fallen["run"].tolist(), fallen["step"].tolist(), strict=True))

    @cached_property
    def _runs_of(self) -> dict[str, dict[int, dict[str, Any]]]:
        """By key and seed; an id is a hash of the whole spec, so it is made once."""
        return {key: self.runs_of(arm) for key, arm in self.arms.items()}

    @cached_property
    def _runs(self) -> dict[str, dict[str, Any]]:
        """Lines of ``costs`` by planned id; a published run of other settings stands for the planned one."""
        planned = dict.fromkeys(spec.id for spec in self.suite.runs(self.profile, self.options))
        return dict(zip(planned, results.records(self.costs), strict=True))


def baseline_words(scores: ArmScores, keys: Iterable[str]) -> str:
    """What some arms are compared with: ``Vanilla OPD of the same block``; empty if nothing."""
    compared = [(arm, scores.arms[arm.baseline]) for key in keys if (arm := scores.arms[key]).baseline]
    bases = {base.key: base for _, base in compared}
    beside = len(bases) > 1 and all(arm.block == base.block for arm, base in compared)
    labels = dict.fromkeys(base.label if beside else full_label(scores, base) for base in bases.values())
    return f"{' / '.join(labels)}{' of the same block' if beside else ''}"


def full_label(scores: ArmScores, arm: Arm) -> str:
    """The label, with its block where another arm has the same one."""
    alone = sum(other.label == arm.label for other in scores.arms.values()) == 1
    return arm.label if alone else f"{arm.block}, {arm.label}"


def together(domains: Sequence[str]) -> str:
    """``general, coding together``, or the one there is."""
    return ", ".join(domains) + (" together" if len(domains) > 1 else "")


def rates_sentence(scores: ArmScores) -> str:
    """Which learning rates the runs had: the profile's, each method's own, or those that the arms vary."""
    rates = {arm.spec.optim.lr for arm in scores.arms.values() if arm.spec.optim}
    if scores.options.learning_rate == "shared" and rates - {scores.profile.optim.lr}:
        return f"Learning rates {', '.join(f'{rate:g}' for rate in sorted(rates))}, by arm."
    return learning_rate_sentence(scores.profile, scores.options, scores.entries)


def repeated(scores: ArmScores) -> str:
    """Which seeds were run, and over what the intervals are; the end of a sentence."""
    chosen, units = scores.suite.chosen_seeds(scores.options), scores.units
    seeds = f"{'seeds' if len(chosen) > 1 or units.are_seeds else 'seed'} {', '.join(map(str, chosen))}"
    if not units.are_seeds:
        draws = ", ".join(map(str, dict.fromkeys(map(units.of, chosen))))
        seeds = f"draws {draws} ({seeds}{_further_seeds(scores, chosen)}; those of a draw are averaged first)"
    if len(dict.fromkeys(map(units.of, chosen))) == 1:
        return f"{seeds}; one {units.one} has no interval."
    return units.said(seeds + "; ± is half of the 95 % t interval over {seeds}.")


def _further_seeds(scores: ArmScores, chosen: Sequence[int]) -> str:
    """Seeds that only some arms have."""
    labels: dict[tuple[int, ...], list[str]] = {}
    for arm in scores.arms.values():
        if further := tuple(seed for seed in arm.specs if seed not in chosen):
            labels.setdefault(further, []).append(full_label(scores, arm))
    return "".join(f", {' and '.join(who)} also {', '.join(map(str, seeds))}" for seeds, who in labels.items())


def budgets_sentence(scores: ArmScores) -> str:
    """What the early numbers are; empty without an early step."""
    if scores.early is None:
        return ""
    return (
        f"Early: step {scores.early} of the same runs, for every one of this profile, where vanilla OPD of the default "
        "pair has closed half of the gap to its teacher on the development draw; with intervals, without tests."
    )


def caption(scores: ArmScores, *more: str, what: str = "") -> str:
    """What was measured, on what, over which seeds, what intervals do not say; ``more`` are the suite's sentences.

    Args:
        what: of the metric; the primary one by default.
    """
    profile = scores.profile
    items = items_of(scores.rows)
    steps = slashed(arm.spec.steps for arm in scores.arms.values())
    trained = {arm.spec.data.domains for arm in scores.arms.values() if arm.spec.data}
    domains = f", trained on {together(next(iter(trained)))}" if len(trained) == 1 else ""
    parts = [
        f"{what or sentence(scores.words)}, {items} items a benchmark{domains}; runs of {steps} steps, at the last one "
        f"unless said; {repeated(scores)}",
        budgets_sentence(scores),
        *more,
        rates_sentence(scores),
        *standing_sentences(profile, scores.entries, scores.costs),
    ]
    return " ".join(filter(None, parts))


def last_step_caption(
    scores: ArmScores, measures: Sequence[Measure], entries: Mapping[str, Entry], rates: str, trained: str = ""
) -> str:
    """``caption`` of what shows some measures at the last step alone.

    Args:
        entries: of the methods shown.
        rates: the sentence on their learning rates.
        trained: on what, if it is the same for all: ``, trained on ... together``.
    """
    steps = slashed(arm.spec.steps for arm in scores.arms.values())
    parts = [
        f"{sentence(words_of(measures))}, {items_of(scores.rows, measures)} items a benchmark{trained}, at the last "
        f"step ({steps}); {repeated(scores)}",
        budgets_sentence(scores),
        rates,
        *standing_sentences(scores.profile, entries, scores.costs),
    ]
    return " ".join(filter(None, parts))
