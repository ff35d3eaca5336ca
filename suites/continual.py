"""Figure 7a: one domain after another, general → reasoning → coding; what is learnt, and what is forgotten.

Each stage's run begins with the weights the stage before ended with (same method, same seed) and has an optimiser, a
schedule and as many steps of its own; no problem of an earlier stage is shown again. SFT and GRPO stand beside the
paper's two methods: its text names them, its figure does not show them.

With R[k, j] the score in domain j after stage k, and R[0, j] the untrained student's (Lopez-Paz & Ranzato, Gradient
Episodic Memory, NIPS 2017, with their random initialisation replaced by the student before stage 1), T stages:
average accuracy (1/T) Σ_j R[T, j]; backward transfer 1/(T-1) Σ_{j<T} R[T, j] - R[j, j], negative for forgetting;
forward transfer 1/(T-1) Σ_{j>1} R[j-1, j] - R[0, j].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness import registry, statistics
from harness.config import RunSpec
from harness.method import Entry
from harness.runs import RunState
from harness.suite import Evaluation, Options, Profile, training_run
from harness.tables import Cell, Column, Kind, Line, Table, ranked, reason, seed_cell
from harness.types import HarnessError
from suites.arms import COST_COLUMNS, DECODINGS, Arm, ArmScores, ArmSuite, At, caption
from suites.cells import Measure, cost_cells, difference_cells, reference_cell, selected_methods
from suites.curves import collapsed
from suites.lines import cell_series
from suites.papers import PaperNumbers
from suites.profiles import TARGETS, benchmark_version

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.curves import Series

METHODS = ("vanilla_opd", "dopd", "sft", "grpo")
BASELINE = "vanilla_opd"
EVERY = 2
"""Checkpoints between two points of a curve."""
MARGIN = 0.1
"""Of a stage, before the first and after the last step."""
WORDS = 0.35
"""Height kept free above the lines for the names of the stages, of that of the lines."""
GENERAL = "general"
"""The domain the paper draws solid; the others are the specific ones."""
SETTING = (
    "Each stage begins with the weights the one before ended with, same method and seed, and has an optimiser, a "
    "schedule and {steps} steps of its own; earlier problems do not come back."
)
TRANSFER = (
    "Average: mean of the domains after the last stage. Backward transfer: mean over the earlier domains of the final "
    "score minus that right after their own stage, negative for forgetting (what learns nothing forgets nothing). "
    "Forward transfer: mean over the later domains of the score just before their stage minus the untrained student's "
    "(definitions: Lopez-Paz & Ranzato, NIPS 2017)."
)
NORMALISED = "Normalised: score divided by the same student's before stage 1, which is 100 %."
NO_START = "no score before stage 1"
Values = dict[int, float]
"""A share by seed."""
Place = tuple[int | str, str]
"""What is compared (a stage's number, a column's name) and the method."""


class Continual(PaperNumbers, ArmSuite):
    """Stages × methods × seeds; ``--train-domains`` names other stages, in their order."""

    name = "continual"
    title = "one domain after another (Figure 7a): gain, forgetting, transfer"
    paper = ("figure7a",)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<domain>/<method>``, stage by stage."""
        known, names = registry.methods(), selected_methods(options, METHODS)
        arms: dict[tuple[str, str], Arm] = {}
        before = ""
        for number, domain in enumerate(stages(profile, options), start=1):
            for name in names:
                first = arms.get((before, name))
                arms[domain, name] = Arm(
                    key=f"{domain}/{name}",
                    label=known[name].label,
                    block=stage_name(number, domain),
                    baseline=f"{domain}/{BASELINE}" if BASELINE in names else "",
                    ranked=known[name].ranked,
                    specs={
                        seed: training_run(
                            profile,
                            options,
                            method=name,
                            domains=(domain,),
                            seed=seed,
                            start=first.specs[seed].id if first else "",
                        )
                        for seed in self.chosen_seeds(options)
                    },
                )
            before = domain
        return list(arms.values())

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain after the stage and at every second checkpoint on the way.

        Step 0 is the end of the stage before, or the reference row.
        """
        steps: Sequence[At] = ("last",) if spec.is_reference else points(spec)
        return tuple(
            Evaluation(step, name, decoding, benchmark_version(name))
            for step in steps
            for name in TARGETS[spec.profile].values()
            for decoding in DECODINGS
        )

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> Scores:
        """Rows and costs, found by stage, method and seed."""
        return Scores(suite=self, rows=rows, costs=costs, options=options)

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """``figure7a``: normalised, after each stage; ``continual``: average and transfer; ``accuracy_matrix``."""
        if options.source == "paper":
            return self.paper_tables(options)
        scores = self.scores(rows, costs, options)
        return [normalised_table(scores), transfer_table(scores), matrix_table(scores)]

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """``figure7a``: normalised against steps, a panel per method; ``accuracy_matrix``: heat maps."""
        if options.source == "paper":
            return self.paper_figures(options)
        scores = self.scores(rows, costs, options)
        return {"figure7a": curve_figure(scores), "accuracy_matrix": matrix_figure(scores)}


def stages(profile: Profile, options: Options) -> tuple[str, ...]:
    """Domains in the order they are trained on; the profile's unless some are named.

    Raises:
        HarnessError: an unknown domain, one named twice, or fewer than two.
    """
    known = profile.data.domains
    if options.train_domains in (None, "all"):
        return known
    named = tuple(registry.lookup("training domain", name, known) for name in options.train_domains)
    if len(named) < 2 or len(set(named)) < len(named):
        raise HarnessError(
            f"--train-domains {','.join(named)}: the stages of suite {Continual.name} are two or more domains, each "
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
class Scores(ArmScores):
    """Scores by stage, of which 1 is the first and 0 the untrained student."""

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Domains in the order they are trained on."""
        return stages(self.profile, self.options)

    @cached_property
    def methods(self) -> dict[str, Entry]:
        """Entries by registry name, in the order of the arms."""
        return {arm.method: self.entries[arm.method] for arm in self.arms.values()}

    @property
    def domains(self) -> tuple[str, ...]:
        """Those that are asked, trained on or not."""
        return tuple(TARGETS[self.profile.name])

    @property
    def steps(self) -> int:
        """Of each stage."""
        return next(iter(self.arms.values())).spec.steps

    def measures(self, domain: str) -> list[Measure]:
        """The benchmark that stands for a domain."""
        return [Measure(TARGETS[self.profile.name][domain])]

    def before(self, domain: str) -> float | None:
        """Share of the untrained student; None without its row."""
        percent = self.reference(self.profile.student, self.measures(domain))
        return None if percent is None else percent / 100

    def after(self, method: str, stage: int, domain: str, step: At = "last") -> Values:
        """R[stage, domain] by seed, or the score at a step of that stage."""
        if stage:
            return self.values(f"{self.stages[stage - 1]}/{method}", self.measures(domain), step)
        start = self.before(domain)
        return {} if start is None else dict.fromkeys(self.suite.chosen_seeds(self.options), start)

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
        return {seed: v / start for seed, v in self.after(method, stage, domain, step).items()} if start else {}

    def stage_cell(self, method: str, stage: int, values: Values, step: At = "last") -> Cell:
        """Percent over seeds of anything that needs the runs of the first ``stage`` stages, the last up to a step."""
        keys = [f"{domain}/{method}" for domain in self.stages[:stage]]
        runs = [self.run_of(key) for key in keys]
        states = {seed: joint_state(run[seed]["state"] for run in runs) for seed in self.arms[keys[0]].specs}
        fallen = set[int]().union(*(collapsed(self, key) for key in keys[:-1]), collapsed(self, keys[-1], step))
        cell = seed_cell(values, states, fallen)
        unscaled = cell.value is None and set(states.values()) == {RunState.DONE.value}
        return Cell(missing=NO_START) if unscaled else cell


def joint_state(states: Iterable[str]) -> str:
    """Of what needs several runs: done, or the worst there is, so that a stage after a failed one says failed."""
    lacking = [state for state in states if state != RunState.DONE]
    return reason(lacking) if lacking else RunState.DONE.value


def minus(a: Values, b: Values) -> Values:
    """Paired by seed."""
    return {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}


def mean(values: Sequence[Values]) -> Values:
    """Over several quantities, for the seeds that have all of them."""
    seeds = set[int].intersection(*map(set, values))
    return {seed: fmean(each[seed] for each in values) for seed in sorted(seeds)}


MEASURED: Mapping[str, tuple[Column, Callable[[Scores, str], Values]]] = {
    "average": (Column(key="average", header="average, %"), Scores.average),
    "backward": (
        Column(key="backward", header="backward transfer, points", kind=Kind.DIFFERENCE),
        Scores.backward_transfer,
    ),
    "forward": (
        Column(key="forward", header="forward transfer, points", kind=Kind.DIFFERENCE),
        Scores.forward_transfer,
    ),
}
"""Columns of the table ``continual``, each followed by its difference to the baseline."""


def difference_columns(name: str) -> tuple[Column, Column]:
    """Difference to the baseline and its p."""
    return (
        Column(key=f"{name}_difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
        Column(key=f"{name}_p_holm", header="p (Holm)", kind=Kind.P),
    )


def compared(
    scores: Scores, values: Mapping[Place, Values], cells: Mapping[Place, Cell]
) -> tuple[dict[Place, tuple[Cell, Cell]], str]:
    """Differences to the baseline, Holm over all of them, and the sentence that says so.

    The baseline's to itself has no spread, so it is no test.

    Args:
        cells: of the same places, for what is missing.
    """
    if BASELINE not in scores.methods:
        return {place: (Cell(), Cell()) for place in values}, ""
    tests = {
        (what, method): statistics.paired_difference(own, values[what, BASELINE])
        for (what, method), own in values.items()
    }
    adjusted = dict(zip(tests, statistics.holm([test.p if test else None for test in tests.values()]), strict=True))
    return {
        place: difference_cells(cells[place], tests.get(place), adjusted.get(place), is_baseline=place[1] == BASELINE)
        for place in values
    }, (
        f"Baseline: {scores.methods[BASELINE].label}; differences are paired by seed, p is of the two-sided paired t "
        f"test, adjusted by Holm over the {sum(p is not None for p in adjusted.values())} tests of this table."
    )


def said(scores: Scores, *more: str) -> str:
    """The caption, with how the stages are set."""
    return caption(scores, f"Stages: {' → '.join(scores.stages)}.", SETTING.format(steps=scores.steps), *more)


def normalised_cell(scores: Scores, method: str, stage: int, domain: str, step: At = "last") -> Cell:
    """Percent of the untrained student's score; at stage 0 it is 100 by definition."""
    if stage == 0:
        return Cell(value=100.0, half=0.0) if scores.before(domain) else Cell(missing=NO_START)
    return scores.stage_cell(method, stage, scores.normalised(method, stage, domain, step), step)


def normalised_table(scores: Scores) -> Table:
    """``figure7a``: after each stage every domain, divided by the untrained student's; ranked within a stage."""
    values: dict[Place, Values] = {
        (stage, method): mean([scores.normalised(method, stage, domain) for domain in scores.domains])
        for stage in range(1, len(scores.stages) + 1)
        for method in scores.methods
    }
    means = {(stage, method): scores.stage_cell(method, int(stage), own) for (stage, method), own in values.items()}
    differences, sentence = compared(scores, values, means)
    lines: Sequence[Line] = [
        Line(
            block=f"after {stage_name(int(stage), scores.stages[int(stage) - 1])}",
            label=scores.methods[method].label,
            cells=(
                *(normalised_cell(scores, method, int(stage), domain) for domain in scores.domains),
                means[stage, method],
                *differences[stage, method],
            ),
            ranked=scores.methods[method].ranked,
        )
        for stage, method in values
    ]
    for column in range(len(scores.domains) + 1):
        lines = ranked(lines, column)
    return Table(
        name="figure7a",
        title=f"Continual learning, normalised scores, profile {scores.profile.name}",
        caption=f"{said(scores, NORMALISED)} {sentence}".strip(),
        block_header="stage",
        label_header="method",
        columns=(
            *(Column(key=domain, header=f"{domain}, % of before") for domain in scores.domains),
            Column(key="mean", header="mean, % of before"),
            *difference_columns("mean"),
        ),
        lines=tuple(lines),
        partial=scores.partial,
    )


def transfer_table(scores: Scores) -> Table:
    """``continual``: average accuracy, backward and forward transfer, each with its difference to the baseline."""
    last = len(scores.stages)
    values: dict[Place, Values] = {
        (what, method): of(scores, method) for what, (_, of) in MEASURED.items() for method in scores.methods
    }
    cells = {(what, method): scores.stage_cell(method, last, own) for (what, method), own in values.items()}
    differences, sentence = compared(scores, values, cells)
    lines: Sequence[Line] = [_reference_line(scores, label) for label in scores.suite.models(scores.profile)] + [
        Line(
            block=entry.paradigm,
            label=entry.label,
            cells=(
                *(cell for what in MEASURED for cell in (cells[what, method], *differences[what, method])),
                *cost_cells(whole_costs(scores, method)),
            ),
            ranked=entry.ranked,
        )
        for method, entry in scores.methods.items()
    ]
    for column in range(0, 3 * len(MEASURED), 3):
        lines = ranked(lines, column, across=True)
    return Table(
        name="continual",
        title=f"Continual learning, profile {scores.profile.name}",
        caption=f"{said(scores, TRANSFER)} Costs are of all stages together. {sentence}".strip(),
        block_header="paradigm",
        label_header="method",
        columns=(
            *(c for what, (column, _) in MEASURED.items() for c in (column, *difference_columns(what))),
            *COST_COLUMNS,
        ),
        lines=tuple(lines),
        partial=scores.partial,
    )


def _reference_line(scores: Scores, label: str) -> Line:
    """The mean of the stages' domains of a model that was only evaluated."""
    model = scores.suite.models(scores.profile)[label]
    value = scores.reference(model, [measure for domain in scores.stages for measure in scores.measures(domain)])
    blank = (Cell(),) * (3 * len(MEASURED) - 1 + len(COST_COLUMNS))
    return Line(block="not trained", label=label, cells=(reference_cell(value), *blank), ranked=False)


def whole_costs(scores: Scores, method: str) -> list[dict[str, Any]]:
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


def matrix_cells(scores: Scores, method: str) -> dict[str, tuple[Cell, ...]]:
    """Percent by row (before, then after each stage) and domain."""
    before = tuple(reference_cell(scores.reference(scores.profile.student, scores.measures(d))) for d in scores.domains)
    return {"before": before} | {
        stage_name(stage, trained): tuple(
            scores.stage_cell(method, stage, scores.after(method, stage, domain)) for domain in scores.domains
        )
        for stage, trained in enumerate(scores.stages, start=1)
    }


def matrix_table(scores: Scores) -> Table:
    """``accuracy_matrix``: what each method scores in each domain before and after each stage."""
    return Table(
        name="accuracy_matrix",
        title=f"Every domain after every stage, profile {scores.profile.name}",
        caption=said(scores),
        block_header="method",
        label_header="after",
        columns=tuple(Column(key=domain, header=f"{domain}, %") for domain in scores.domains),
        lines=tuple(
            Line(block=entry.label, label=label, cells=cells, ranked=False)
            for method, entry in scores.methods.items()
            for label, cells in matrix_cells(scores, method).items()
        ),
        partial=scores.partial,
    )


def matrix_figure(scores: Scores) -> Figure:
    """``accuracy_matrix``: a heat map per method, the domain of each stage framed."""
    from harness.curves import Matrix, heatmap

    return heatmap(
        [
            Matrix(
                title=entry.label,
                row_axis="after",
                column_axis="exact answer, greedy, %",
                rows=tuple(rows := matrix_cells(scores, method)),
                columns=scores.domains,
                cells=tuple(_framed(scores, stage, cells) for stage, cells in enumerate(rows.values())),
            )
            for method, entry in scores.methods.items()
        ],
        title=f"Every domain after every stage{_marked(scores)}",
        caption=f"Framed: the domain of the stage. {said(scores)}",
    )


def _framed(scores: Scores, stage: int, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    trained = scores.stages[stage - 1] if stage else ""
    return tuple(
        replace(cell, rank=int(domain == trained), notes=cell.notes if stage else ())
        for domain, cell in zip(scores.domains, cells, strict=True)
    )


def curve_figure(scores: Scores) -> Figure:
    """``figure7a``: normalised score against steps over all stages, a panel per method."""
    from harness.curves import LinePanel, Moment, curves
    from harness.figures import Reference

    lines = {
        method: tuple(
            cell_series(domain, path(scores, method, domain), line="solid" if domain == GENERAL else "dashed")
            for domain in scores.domains
        )
        for method in scores.methods
    }
    borders = tuple(Moment(label=domain, x=stage * scores.steps) for stage, domain in enumerate(scores.stages) if stage)
    panels = [
        LinePanel(
            title=scores.methods[method].label,
            y_axis="score, % of that before stage 1",
            series=series,
            references=(Reference(label="before", value=100.0),),
            moments=borders,
            x_limits=(-MARGIN * scores.steps, (len(scores.stages) + MARGIN) * scores.steps),
            y_limits=limits([each for own in lines.values() for each in own]),
        )
        for method, series in lines.items()
    ]
    return curves(
        panels,
        title=f"Continual learning: {' → '.join(scores.stages)}{_marked(scores)}",
        x_axis="step, over all stages",
        caption=(
            f"{NORMALISED} Solid: {GENERAL}; dashed: the specific domains; vertical: the named stage begins; bands are "
            f"the intervals. {said(scores)}"
        ),
    )


def limits(series: Sequence[Series]) -> tuple[float, float]:
    """Everything drawn, 100 among it, and above it room for the words at the stages' borders."""
    ends = [100.0]
    for each in series:
        halves = each.half or (0.0,) * len(each.y)
        ends += [end for y, half in zip(each.y, halves, strict=True) for end in (y - half, y + half)]
    known = [end for end in ends if math.isfinite(end)]
    room = max(known) - min(known) or 10.0
    return min(known) - 0.08 * room, max(known) + WORDS * room


def path(scores: Scores, method: str, domain: str) -> list[tuple[float, Cell]]:
    """Normalised score by step over all stages; a stage's step 0 is the end of the one before.

    Without a single score on the way there is no start either: 100 % is no result.
    """
    specs = [scores.arms[f"{stage}/{method}"].spec for stage in scores.stages]
    way = [
        (float(before * scores.steps + step), normalised_cell(scores, method, before + 1, domain, step))
        for before, spec in enumerate(specs)
        for step in points(spec)
    ]
    some = any(cell.value is not None for _, cell in way)
    return [(0.0, normalised_cell(scores, method, 0, domain)), *way] if some else way


def _marked(scores: Scores) -> str:
    return f" (partial: {scores.partial})" if scores.partial else ""
