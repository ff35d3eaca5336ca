"""The learning rate of every method: the same grid and the same budget for all, on validation problems only.

The paper trains all methods at one rate. Loss scales differ, so a method may be better than its row at that rate:
``dopd tune`` runs this sweep, ``dopd publish --suite tuning`` keeps it, ``--learning-rate tuned`` uses what it found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.evaluation.benchmarks import sentence, words
from harness.method import Entry
from harness.show.tables import Cell, Column, Kind, Line, Table, seed_cell
from harness.suite import LEARNING_RATES, TUNING, Evaluation, Options, Profile, Suite, training_run
from harness.types import HarnessError
from suites.kit.cells import (
    COLLAPSES,
    Shown,
    by_paradigm,
    collapsed_seeds,
    fixed_weights_sentence,
    joint_domains,
    listed_methods,
    mean_by_seed,
    override_sentences,
    primary_at,
    slashed,
    stale_sentences,
    with_rates,
)

if TYPE_CHECKING:
    from pandas import DataFrame

FIRST_SEED = 1000
"""No other suite comes near: ``--seeds 3`` means 1000, 1001, 1002."""
DECIMALS = 9
"""Of a share; means that are equal up to rounding are a tie."""


class Tuning(Suite):
    """Methods × learning rates × seeds, trained on all domains together."""

    name = TUNING
    title = "learning rate of every method, chosen on the validation split"
    of_paper = False

    def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
        """Method by method, so that whatever is done holds whole sweeps.

        Raises:
            HarnessError: tuned rates are asked for, which this suite is to find.
        """
        if options.learning_rate != "shared":
            raise HarnessError(f"suite {TUNING} tries every rate of the grid: leave out --learning-rate")
        domains = joint_domains(profile, options)
        return [
            training_run(
                profile,
                options,
                method=method,
                domains=domains,
                seed=seed,
                optim=replace(profile.optim, lr=rate),
            )
            for seed in seeds(options)
            for method in listed_methods(options)
            for rate in profile.learning_rates
        ]

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Validation problems of every domain, greedy, at the last step."""
        names = registry.profile(spec.profile).validation.values()
        return tuple(primary_at("last", name) for name in names)

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """The sweep, and the rates it gave, in the form ``--learning-rate tuned`` reads."""
        sweep = Sweep(rows=results.last_step(rows), costs=costs, options=options)
        return [sweep_table(sweep), rates_table(sweep)]


def seeds(options: Options) -> tuple[int, ...]:
    """Those asked for, counted from ``FIRST_SEED``; one by default."""
    return tuple(FIRST_SEED + seed for seed in options.seeds or (0,))


@dataclass(frozen=True, kw_only=True)
class Sweep(Shown):
    """Rows at the last step, with what was asked for."""

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries of the methods asked for, by name."""
        return by_paradigm(listed_methods(self.options))

    @property
    def grid(self) -> tuple[float, ...]:
        """Learning rates, rising."""
        return self.profile.learning_rates

    def values(self, method: str, rate: float) -> dict[int, float]:
        """Mean share over the domains, by seed."""
        return mean_by_seed(self._lines(method, rate))

    def cell(self, method: str, rate: float) -> Cell:
        """Percent over seeds; collapsed runs are named."""
        states = results.by_seed(self._costs.get((method, rate), []), "state")
        return seed_cell(self.values(method, rate), states, collapsed_seeds(self._lines(method, rate)))

    def done(self, method: str) -> int:
        """Runs of the method's sweep that have rows."""
        return sum(len(self.values(method, rate)) for rate in self.grid)

    def chosen(self, method: str) -> float | None:
        """The rate of the best mean, the smaller one of a tie; None before the whole sweep is done."""
        if self.done(method) < len(self.grid) * len(seeds(self.options)):
            return None
        means = {rate: round(fmean(self.values(method, rate).values()), DECIMALS) for rate in self.grid}
        return max(self.grid, key=lambda rate: (means[rate], -rate))

    def edge(self, rate: float) -> str:
        """``lower`` or ``upper`` where a better rate may lie beyond the grid; else empty."""
        return {self.grid[0]: "lower", self.grid[-1]: "upper"}.get(rate, "")

    def chosen_cell(self, method: str) -> Cell:
        """The rate, said to lie on the edge of the grid if it does."""
        rate = self.chosen(method)
        if rate is None:
            return Cell(missing=f"{self.done(method)} of {len(self.grid) * len(seeds(self.options))} runs done")
        edge = self.edge(rate)
        return Cell(value=rate, notes=(f"{edge} edge",) if edge else ())

    def _lines(self, method: str, rate: float) -> list[list[dict[str, Any]]]:
        """Lines of each benchmark."""
        return [self._rows.get((method, rate, benchmark), []) for benchmark in self.profile.validation.values()]

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        return results.grouped(with_rates(results.primary(self.rows), self.costs), "method", "lr", "benchmark")

    @cached_property
    def _costs(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        return results.grouped(self.costs, "method", "lr")


def sweep_table(sweep: Sweep) -> Table:
    """Method × learning rate, and the rate chosen."""
    rates = (Column(key=f"lr_{rate:g}", header=f"{rate:g}") for rate in sweep.grid)
    return Table(
        name=TUNING,
        title=f"Learning rates on validation, profile {sweep.profile.name}",
        caption=caption(sweep),
        block_header="paradigm",
        label_header="method",
        columns=(*rates, Column(key="chosen", header="chosen rate", kind=Kind.RATE)),
        lines=tuple(
            Line(
                block=entry.paradigm,
                label=entry.label,
                cells=(*(sweep.cell(method, rate) for rate in sweep.grid), sweep.chosen_cell(method)),
                ranked=False,
            )
            for method, entry in sweep.methods.items()
        ),
        partial=sweep.partial,
    )


def rates_table(sweep: Sweep) -> Table:
    """Registry name and rate; its CSV is read by ``harness.suite.tuned_rates``."""
    lines: Sequence[Line] = [
        Line(block=entry.paradigm, label=method, cells=(sweep.chosen_cell(method),), ranked=False)
        for method, entry in sweep.methods.items()
    ]
    return Table(
        name=LEARNING_RATES,
        title=f"Chosen learning rates, profile {sweep.profile.name}",
        caption=caption(sweep),
        block_header="paradigm",
        label_header="method",
        columns=(Column(key="rate", header="learning rate", kind=Kind.RATE),),
        lines=tuple(lines),
        partial=sweep.partial,
    )


def caption(sweep: Sweep) -> str:
    """What was measured, how a rate is chosen, and which choices ended at the edge of the grid."""
    profile, numbers = sweep.profile, seeds(sweep.options)
    items = slashed(sweep.rows["n"].tolist()) or "no"
    steps = slashed(map(int, sweep.costs["steps"].tolist()))
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
