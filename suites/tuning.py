"""The learning rate of every method: the same grid and the same budget for all, on validation problems only.

The paper trains all methods at one rate. Loss scales differ, so a method may be better than its row at that rate:
``dopd tune`` runs this sweep, ``dopd publish --suite tuning`` keeps it, ``--learning-rate tuned`` uses what it found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from statistics import fmean
from typing import TYPE_CHECKING

from harness import registry
from harness.config import ModelSpec, RunSpec
from harness.evaluation.benchmarks import sentence, words
from harness.method import Entry
from harness.profile import DEVELOPMENT_SEEDS
from harness.show.tables import Cell, Kind, Table
from harness.suite import LEARNING_RATES, Evaluation, Options, Profile, training_run
from harness.types import HarnessError
from suites import TUNING
from suites.kit import under
from suites.kit.arms import Arm, ArmScores, ArmSuite, method_arm
from suites.kit.chosen import MAIN, by_paradigm, joint_domains, listed_methods, references
from suites.kit.columns import ColumnOf, Subject, table
from suites.kit.findings import Finding
from suites.kit.lines import cell_series
from suites.kit.measures import At, Measure, primary_at, slashed
from suites.kit.sentences import COLLAPSES, fixed_weights_sentence, override_sentences, stale_sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

FIRST_SEED = DEVELOPMENT_SEEDS
"""No other suite comes near: ``--seeds 3`` means 1000, 1001, 1002."""
DECIMALS = 9
"""Of a share; means that are equal up to rounding are a tie."""


class Tuning(ArmSuite):
    """Methods × learning rates × seeds, trained on all domains together."""

    name = TUNING
    needs = ("learning_rates",)
    title = "learning rate of every method, chosen on the validation split"
    of_paper = False
    seeds = (0,)

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """None, since rates are compared with one another; student and teacher where an early step is to be found."""
        return references(profile) if profile.extra_checkpoints else {}

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<method>/<rate>``, method by method, so that whatever is done holds whole sweeps.

        Raises:
            HarnessError: tuned rates are asked for, which this suite is to find.
        """
        if options.learning_rate != "shared":
            raise HarnessError(f"suite {TUNING} tries every rate of the grid: leave out --learning-rate")
        domains = joint_domains(profile, options)
        return [
            method_arm(
                method,
                {
                    seed: training_run(
                        profile,
                        options,
                        method=method,
                        domains=domains,
                        seed=seed,
                        optim=replace(profile.optim, lr=rate),
                    )
                    for seed in self.chosen_seeds(options)
                },
                key=arm_key(method, rate),
            )
            for method in tuned_methods(profile, options)
            for rate in profile.given("learning_rates", TUNING)
        ]

    def chosen_seeds(self, options: Options) -> tuple[int, ...]:
        """Those asked for, counted from ``FIRST_SEED``; one by default."""
        return tuple(FIRST_SEED + seed for seed in super().chosen_seeds(options))

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Validation problems of every domain, greedy, at the last step; and where an early step may lie."""
        names, steps = registry.profile(spec.profile).validation.values(), spec.extra_checkpoints
        return tuple(primary_at(step, name) for step in (*steps, "last") for name in names)

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> Sweep:
        """Rows and costs, found by method, rate and seed."""
        return Sweep(suite=self, rows=rows, costs=costs, options=options)

    def tables_of(self, scores: Sweep) -> list[Table]:
        """The sweep, late and where the profile has it early; and the rates it gave, in the form ``--learning-rate
        tuned`` reads."""
        swept = [sweep_table(scores)] if scores.early is None else [sweep_table(scores), early_table(scores)]
        return [*swept, rates_table(scores)]

    def figures_of(self, scores: Sweep) -> Mapping[str, Figure]:
        """``tuning``: score against rate; nothing of a grid of one rate."""
        return {TUNING: against_rates(scores)} if len(scores.grid) > 1 else {}


def tuned_methods(profile: Profile, options: Options) -> tuple[str, ...]:
    """Those asked for; without a choice the profile's, or every listed one."""
    own = profile.part(TUNING).arms if options.methods is None else ()
    return own or listed_methods(options)


def arm_key(method: str, rate: float) -> str:
    """``dopd/0.0002``."""
    return f"{method}/{rate:g}"


@dataclass(frozen=True, kw_only=True)
class Sweep(ArmScores):
    """Validation scores by method and rate."""

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries of the methods asked for, by name."""
        return by_paradigm(tuned_methods(self.profile, self.options))

    @property
    def grid(self) -> tuple[float, ...]:
        """Learning rates, rising."""
        return self.profile.learning_rates

    @property
    def validation(self) -> list[Measure]:
        """One measure a domain."""
        return [Measure(benchmark) for benchmark in self.profile.validation.values()]

    @cached_property
    def seeds(self) -> int:
        """Runs a rate is to have."""
        return len(self.suite.chosen_seeds(self.options))

    def shares(self, method: str, rate: float) -> list[float]:
        """Mean over the domains, of each unit that has some."""
        return list(self.values(arm_key(method, rate), self.validation).values())

    def done(self, method: str) -> int:
        """Runs of the method's sweep that have rows."""
        return sum(len(self.seed_values(arm_key(method, rate), self.validation)) for rate in self.grid)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Methods of the figure: those asked for or the profile's; of all that are listed, what DOPD is made of."""
        return tuple(self.methods) if self.options.methods or self.profile.part(TUNING).arms else MAIN

    def chosen(self, method: str) -> float | None:
        """The rate of the best mean, the smaller one of a tie; None before the whole sweep is done."""
        if self.done(method) < len(self.grid) * self.seeds:
            return None
        means = {rate: round(fmean(self.shares(method, rate)), DECIMALS) for rate in self.grid}
        return max(self.grid, key=lambda rate: (means[rate], -rate))

    def at(self, method: str, rate: float, step: At = "last") -> Cell:
        """Mean over the domains at a step."""
        return self.cell(arm_key(method, rate), self.validation, step=step)

    def point(self, method: str, rate: float, step: At) -> Cell:
        """The same for a line, without the remark that it is of a single run where the caption says so of all."""
        found = self.at(method, rate, step)
        return replace(found, n=0) if self.seeds == 1 else found

    def edge(self, rate: float) -> str:
        """``lower`` or ``upper`` where a better rate may lie beyond the grid; else empty."""
        return {self.grid[0]: "lower", self.grid[-1]: "upper"}.get(rate, "")

    def chosen_cell(self, method: str) -> Cell:
        """The rate, said to lie on the edge of the grid if it does."""
        rate = self.chosen(method)
        if rate is None:
            return Cell(missing=f"{self.done(method)} of {len(self.grid) * self.seeds} runs done")
        edge = self.edge(rate)
        return Cell(value=rate, notes=(f"{edge} edge",) if edge else ())


def sweep_table(sweep: Sweep) -> Table:
    """Method × learning rate, and the rate chosen."""
    chosen = _chosen_column(sweep, "chosen", "chosen rate")
    return table(
        _lines(sweep),
        [*_rate_columns(sweep, "last"), chosen],
        name=TUNING,
        title=f"Learning rates on validation, profile {sweep.profile.name}",
        caption=caption(sweep),
        headers=("paradigm", "method"),
        partial=sweep.partial,
    )


def early_table(sweep: Sweep) -> Table:
    """Method × learning rate at the early step of the same runs; no rate is chosen by it."""
    return table(
        _lines(sweep),
        _rate_columns(sweep, sweep.early or 0),
        name=f"{TUNING}_early",
        title=f"The same rates at step {sweep.early}, profile {sweep.profile.name}",
        caption=f"Step {sweep.early} of the runs of table {TUNING}, whose caption names the settings; no rate is "
        "chosen by it.",
        headers=("paradigm", "method"),
        partial=sweep.partial,
    )


def _lines(sweep: Sweep) -> list[Subject[str]]:
    return [
        Subject(of=method, block=entry.paradigm, label=entry.label, ranked=False)
        for method, entry in sweep.methods.items()
    ]


def _rate_columns(sweep: Sweep, step: At) -> list[ColumnOf[str, None]]:
    return [
        ColumnOf(key=f"lr_{rate:g}", header=f"{rate:g}", cell=partial(sweep.at, rate=rate, step=step))
        for rate in sweep.grid
    ]


def rates_table(sweep: Sweep) -> Table:
    """Registry name and rate; its CSV is read by ``harness.suite.tuned_rates``."""
    return table(
        [replace(line, label=line.of) for line in _lines(sweep)],
        [_chosen_column(sweep, "rate", "learning rate")],
        name=LEARNING_RATES,
        title=f"Chosen learning rates, profile {sweep.profile.name}",
        caption=caption(sweep),
        headers=("paradigm", "method"),
        partial=sweep.partial,
    )


def against_rates(sweep: Sweep) -> Figure:
    """Score against learning rate, late and where the profile has it early."""
    from harness.show.lines import LinePanel, curves

    steps: dict[str, At] = {"at the end": "last"}
    if sweep.early is not None:
        steps = {f"early: step {sweep.early}": sweep.early, **steps}
    drawn = [method for method in sweep.methods if method in sweep.drawn]
    panels = [
        LinePanel(
            title=title,
            y_axis=f"{sweep.label}, validation, %",
            series=tuple(
                cell_series(
                    sweep.methods[method].label, [(rate, sweep.point(method, rate, step)) for rate in sweep.grid]
                )
                for method in drawn
            ),
        )
        for title, step in steps.items()
    ]
    found = best_of(sweep, drawn)
    return curves(
        panels,
        title=under.title(sweep, "Learning rates", found),
        x_axis="learning rate",
        caption=under.caption(sweep, found, "Each point is the mean over the domains.", measures=sweep.validation),
        log_x=True,
    )


def best_of(sweep: Sweep, methods: Sequence[str]) -> Finding:
    """The best method at the rate that suits each best, and at the shared rate."""
    shared = {method: sweep.at(method, sweep.profile.optim.lr).value for method in methods}
    own = {method: sweep.at(method, rate).value for method in methods if (rate := sweep.chosen(method)) is not None}
    known = {method: value for method, value in own.items() if value is not None}
    there = {method: value for method, value in shared.items() if value is not None}
    if len(known) < 2 or not there:
        return Finding(short="no two whole sweeps yet", sentence="No two methods have every rate of the grid.")
    first, at_shared = max(known, key=lambda m: known[m]), max(there, key=lambda m: there[m])
    best, label = sweep.chosen(first), sweep.methods[first].label
    return Finding(
        short=f"{label} is best at its own rate, {sweep.methods[at_shared].label} at the shared one"
        if first != at_shared
        else f"{label} is best at its own rate and at the shared one",
        sentence=f"Each at the best of {len(sweep.grid)} rates, {label} leads with {known[first]:.1f} % (at {best:g}); "
        f"at the shared rate {sweep.profile.optim.lr:g} {sweep.methods[at_shared].label} does with "
        f"{there[at_shared]:.1f} %.",
    )


def _chosen_column(sweep: Sweep, key: str, header: str) -> ColumnOf[str, None]:
    return ColumnOf(key=key, header=header, kind=Kind.RATE, cell=sweep.chosen_cell)


def caption(sweep: Sweep) -> str:
    """What was measured, how a rate is chosen, and which choices ended at the edge of the grid."""
    profile, numbers = sweep.profile, sweep.suite.chosen_seeds(sweep.options)
    items = slashed(sweep.rows["n"].tolist()) or "no"
    steps = slashed(arm.spec.steps for arm in sweep.arms.values())
    edges = [
        f"{entry.label} ({sweep.edge(rate)})"
        for method, entry in sweep.methods.items()
        if (rate := sweep.chosen(method)) is not None and sweep.edge(rate)
    ]
    parts = [
        f"{sentence(words(profile.validation.values()))}, percent, mean over the domains of {items} "
        f"validation problems each, at the last step ({steps}); {'seeds' if len(numbers) > 1 else 'seed'} "
        f"{', '.join(map(str, numbers))}, used by no other suite.",
        f"Every method has the same grid of {len(sweep.grid)} rates and the same steps at each. Chosen is the best "
        "mean, the smaller rate of a tie; where each rate is one run, neighbouring rates are not told apart for sure.",
        f"On the edge of the grid, so a better rate may lie beyond: {', '.join(edges)}." if edges else "",
        COLLAPSES,
        fixed_weights_sentence(profile),
        *override_sentences(profile, sweep.methods),
        *stale_sentences(sweep.costs),
    ]
    return " ".join(filter(None, parts))
