"""Figure 7a: one domain after another, general → reasoning → coding; what is learnt, and what is forgotten.

Each stage's run begins with the weights the stage before ended with (same method, same seed) and has an optimiser, a
schedule and as many steps of its own; no problem of an earlier stage is shown again. SFT and GRPO stand beside the
paper's two methods: its text names them, its figure does not show them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness import registry
from harness.config import ModelSpec, RunSpec
from harness.show.tables import Cell, Kind, Table
from harness.suite import Evaluation, Options, Profile, training_run
from suites.kit import under
from suites.kit.arms import Arm, caption, method_arm
from suites.kit.chosen import BASELINE, selected_methods
from suites.kit.columns import NO_BASELINE, ColumnOf, Compared, Subject, cost_columns, difference_columns, paired, table
from suites.kit.comparison import untrained_lines
from suites.kit.dots import highest
from suites.kit.findings import Finding, compared, in_points
from suites.kit.lines import cell_series
from suites.kit.measures import At, primary_at
from suites.kit.seeds import mean
from suites.kit.sentences import SECONDS, tests_sentence
from suites.kit.stages import StageScores, Values, points, stage_name, stages, whole_costs
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from harness.show.lines import Series

METHODS = ("vanilla_opd", "dopd", "sft", "grpo")
MARGIN = 0.1
"""Of a stage, before the first and after the last step."""
WORDS = 0.35
"""Height kept free above the lines for the names of the stages, of that of the lines."""
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
Place = tuple[int, str]
"""A stage's number and a method."""
MethodColumn = ColumnOf[str, ModelSpec]
"""Its lines are about a method, or an untrained model."""


class Continual(PaperNumbers):
    """Stages × methods × seeds; ``--train-domains`` names other stages, in their order."""

    name = "continual"
    needs = ("targets", "directions")
    title = "one domain after another (Figure 7a): gain, forgetting, transfer"
    paper = ("figure7a",)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<domain>/<method>``, stage by stage."""
        names = selected_methods(options, profile.part(self.name).arms or METHODS)
        arms: dict[tuple[str, str], Arm] = {}
        before = ""
        for number, domain in enumerate(stages(profile, options), start=1):
            for name in names:
                first = arms.get((before, name))
                specs = {
                    seed: training_run(
                        profile,
                        options,
                        method=name,
                        domains=(domain,),
                        seed=seed,
                        start=first.specs[seed].id if first else "",
                    )
                    for seed in self.chosen_seeds(options)
                }
                arms[domain, name] = method_arm(
                    name,
                    specs,
                    key=f"{domain}/{name}",
                    block=stage_name(number, domain),
                    baseline=f"{domain}/{BASELINE}" if BASELINE in names else "",
                )
            before = domain
        return list(arms.values())

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Every domain after the stage and at every second checkpoint on the way.

        Step 0 is the end of the stage before, or the reference row.
        """
        steps: Sequence[At] = ("last",) if spec.is_reference else points(spec)
        return tuple(
            primary_at(step, name) for step in steps for name in registry.profile(spec.profile).targets.values()
        )

    def scores(self, rows: DataFrame, costs: DataFrame, options: Options) -> StageScores:
        """Rows and costs, found by stage, method and seed."""
        return StageScores(suite=self, rows=rows, costs=costs, options=options)

    def tables_of(self, scores: StageScores) -> list[Table]:
        """``figure7a``: normalised, after each stage; ``continual``: average and transfer; ``accuracy_matrix``."""
        return [normalised_table(scores), transfer_table(scores), matrix_table(scores)]

    def figures_of(self, scores: StageScores) -> Mapping[str, Figure]:
        """``figure7a``: every domain after every stage; ``along_stages``: the same against steps."""
        return {"figure7a": matrix_figure(scores), "along_stages": curve_figure(scores)}


def compared_to_baseline(scores: StageScores, method: str, cell: Cell, values: Callable[[str], Values]) -> Compared:
    """A method minus the baseline in something; nothing without the baseline.

    Args:
        cell: of the same, for what is missing.
        values: of a method.
    """
    if BASELINE not in scores.methods:
        return Compared()
    if method == BASELINE:
        return Compared(missing="baseline")
    difference = scores.units.paired_difference(values(method), values(BASELINE))
    return paired(difference, cell.missing or NO_BASELINE)


def baseline_sentence(scores: StageScores, tests: int) -> str:
    """What is compared with what; empty without the baseline."""
    if BASELINE not in scores.methods:
        return ""
    return f"Baseline: {scores.methods[BASELINE].label}; {tests_sentence(tests, scores.units)}"


def said(scores: StageScores, *more: str) -> str:
    """The caption, with how the stages are set."""
    return caption(scores, f"Stages: {' → '.join(scores.stages)}.", SETTING.format(steps=scores.steps), *more)


def normalised_cell(scores: StageScores, method: str, stage: int, domain: str) -> Cell:
    """Percent of the untrained student's score."""
    return scores.stage_cell(method, stage, scores.normalised(method, stage, domain))


def normalised_table(scores: StageScores) -> Table:
    """``figure7a``: after each stage every domain, divided by the untrained student's; ranked within a stage."""

    def mean_of(stage: int, method: str) -> Values:
        return mean([scores.normalised(method, stage, domain) for domain in scores.domains])

    def mean_cell(at: Place) -> Cell:
        return scores.stage_cell(at[1], at[0], mean_of(*at))

    def minus_baseline(at: Place) -> Compared:
        return compared_to_baseline(scores, at[1], mean_cell(at), lambda method: mean_of(at[0], method))

    def column(domain: str) -> ColumnOf[Place, None]:
        return ColumnOf(
            key=domain,
            header=f"{domain}, % of before",
            cell=lambda at: normalised_cell(scores, at[1], at[0], domain),
            ranked=True,
        )

    return table(
        [
            Subject(
                of=(stage, method),
                block=f"after {stage_name(stage, domain)}",
                label=entry.label,
                ranked=entry.ranked,
                updates=scores.updates(method),
            )
            for stage, domain in enumerate(scores.stages, start=1)
            for method, entry in scores.methods.items()
        ],
        [
            *(column(domain) for domain in scores.domains),
            ColumnOf(key="mean", header="mean, % of before", cell=mean_cell, ranked=True),
            *difference_columns(minus_baseline, key="mean_difference", p_key="mean_p_holm"),
        ],
        name="figure7a",
        title=f"Continual learning, normalised scores, profile {scores.profile.name}",
        caption=lambda tests: f"{said(scores, NORMALISED)} {baseline_sentence(scores, tests)}".strip(),
        headers=("stage", "method"),
        partial=scores.partial,
    )


def transfer_table(scores: StageScores) -> Table:
    """``continual``: average accuracy, backward and forward transfer, each with its difference to the baseline."""

    def words(tests: int) -> str:
        costs = f"Costs are of all stages together. {SECONDS}"
        return f"{said(scores, TRANSFER)} {costs} {baseline_sentence(scores, tests)}".strip()

    return table(
        [
            *untrained_lines(scores.suite.models(scores.profile)),
            *(
                Subject(
                    of=method,
                    block=entry.paradigm,
                    label=entry.label,
                    ranked=entry.ranked,
                    updates=scores.updates(method),
                )
                for method, entry in scores.methods.items()
            ),
        ],
        [
            *_measured(scores, "average", "average, %", Kind.SCORE, scores.average),
            *_measured(scores, "backward", "backward transfer, points", Kind.DIFFERENCE, scores.backward_transfer),
            *_measured(scores, "forward", "forward transfer, points", Kind.DIFFERENCE, scores.forward_transfer),
            *cost_columns(lambda method: whole_costs(scores, method)),
        ],
        name="continual",
        title=f"Continual learning, profile {scores.profile.name}",
        caption=words,
        headers=("paradigm", "method"),
        across=True,
        partial=scores.partial,
    )


def _measured(
    scores: StageScores, key: str, header: str, kind: Kind, values: Callable[[str], Values]
) -> Iterator[MethodColumn]:
    """A quantity of each method after the last stage, its difference to the baseline and the p."""

    def cell(method: str) -> Cell:
        return scores.stage_cell(method, len(scores.stages), values(method))

    def reference(model: ModelSpec) -> Cell:
        """The mean of the stages' domains of a model that was only evaluated."""
        asked = [measure for domain in scores.stages for measure in scores.measures(domain)]
        return scores.reference_cell(model, asked)

    def minus_baseline(method: str) -> Compared:
        return compared_to_baseline(scores, method, cell(method), values)

    yield MethodColumn(
        key=key, header=header, kind=kind, cell=cell, reference=reference if key == "average" else None, ranked=True
    )
    yield from difference_columns(
        minus_baseline,
        key=f"{key}_difference",
        p_key=f"{key}_p_holm",
    )


def matrix_cells(scores: StageScores, method: str) -> Mapping[str, Mapping[str, Cell]]:
    """Percent by row (before, then after each stage) and domain."""
    student = scores.profile.student
    before = {d: scores.reference_cell(student, scores.measures(d)) for d in scores.domains}
    return {"before": before} | {
        stage_name(stage, trained): {
            domain: scores.stage_cell(method, stage, scores.after(method, stage, domain)) for domain in scores.domains
        }
        for stage, trained in enumerate(scores.stages, start=1)
    }


def matrix_table(scores: StageScores) -> Table:
    """``accuracy_matrix``: what each method scores in each domain before and after each stage."""

    def column(domain: str) -> ColumnOf[Mapping[str, Cell], None]:
        return ColumnOf(key=domain, header=f"{domain}, %", cell=lambda cells: cells[domain])

    return table(
        [
            Subject(of=cells, block=entry.label, label=label, ranked=False)
            for method, entry in scores.methods.items()
            for label, cells in matrix_cells(scores, method).items()
        ],
        [column(domain) for domain in scores.domains],
        name="accuracy_matrix",
        title=f"Every domain after every stage, profile {scores.profile.name}",
        caption=said(scores),
        headers=("method", "after"),
        partial=scores.partial,
    )


def finding(scores: StageScores) -> Finding:
    """The average after the last stage, against the baseline's."""
    if BASELINE not in scores.methods:
        cells = {
            e.label: scores.stage_cell(m, len(scores.stages), scores.average(m)) for m, e in scores.methods.items()
        }
        return highest(cells)
    found = [
        in_points(entry.label, compared_to_baseline(scores, method, Cell(), scores.average).difference)
        for method, entry in scores.methods.items()
        if method != BASELINE
    ]
    return compared(found, scores.methods[BASELINE].label, scores.units, things="methods")


def matrix_figure(scores: StageScores) -> Figure:
    """``figure7a``: a heat map per method, the domain of each stage framed."""
    from harness.show.heatmap import Matrix, heatmap

    found = finding(scores)
    drawn = f"That is the average after the last stage ({' → '.join(scores.stages)}). Framed: the domain of the stage."
    return heatmap(
        [
            Matrix(
                title=entry.label,
                row_axis="after",
                column_axis="asked in",
                rows=tuple(rows := matrix_cells(scores, method)),
                columns=scores.domains,
                cells=tuple(_framed(scores, stage, cells) for stage, cells in enumerate(rows.values())),
            )
            for method, entry in scores.methods.items()
        ],
        title=under.title(scores, "After all stages", found),
        axis=f"{scores.words}, %",
        caption=under.caption(scores, found, drawn),
    )


def _framed(scores: StageScores, stage: int, cells: Mapping[str, Cell]) -> tuple[Cell, ...]:
    trained = scores.stages[stage - 1] if stage else ""
    return tuple(
        replace(cell, rank=int(domain == trained), notes=cell.notes if stage else ()) for domain, cell in cells.items()
    )


def curve_figure(scores: StageScores) -> Figure:
    """``along_stages``: score against steps over all stages, a panel per method."""
    from harness.show.lines import LinePanel, Moment, curves

    general = scores.profile.data.domains[0]  # the paper's word for its first; the others are the specific ones
    lines = {
        method: tuple(
            cell_series(domain, path(scores, method, domain), line="solid" if domain == general else "dashed")
            for domain in scores.domains
        )
        for method in scores.methods
    }
    borders = tuple(Moment(label=domain, x=stage * scores.steps) for stage, domain in enumerate(scores.stages) if stage)
    panels = [
        LinePanel(
            title=scores.methods[method].label,
            y_axis=f"{scores.label}, %",
            series=series,
            moments=borders,
            x_limits=(-MARGIN * scores.steps, (len(scores.stages) + MARGIN) * scores.steps),
            y_limits=limits([each for own in lines.values() for each in own]),
        )
        for method, series in lines.items()
    ]
    found = finding(scores)
    drawn = (
        f"That is the average after the last stage. Solid: {general}; dashed: the specific domains; vertical: the "
        "named stage begins; bands are intervals."
    )
    return curves(
        panels,
        title=under.title(scores, f"Along {' → '.join(scores.stages)}", found),
        x_axis="step, over all stages",
        caption=under.caption(scores, found, drawn),
    )


def limits(series: Sequence[Series]) -> tuple[float, float]:
    """Everything drawn, and above it room for the words at the stages' borders."""
    ends: list[float] = []
    for each in series:
        halves = each.half or (0.0,) * len(each.y)
        ends += [end for y, half in zip(each.y, halves, strict=True) for end in (y - half, y + half)]
    known = [end for end in ends if math.isfinite(end)] or [0.0, 100.0]
    room = max(known) - min(known) or 10.0
    return min(known) - 0.08 * room, max(known) + WORDS * room


def path(scores: StageScores, method: str, domain: str) -> list[tuple[float, Cell]]:
    """Percent by step over all stages; a stage's step 0 is the end of the one before.

    Without a single score on the way there is no start either: the untrained student is no result of a method.
    """
    specs = [scores.arms[f"{stage}/{method}"].spec for stage in scores.stages]
    way = [
        (
            float(before * scores.steps + step),
            scores.stage_cell(method, before + 1, scores.after(method, before + 1, domain, step), step),
        )
        for before, spec in enumerate(specs)
        for step in points(spec)
    ]
    some = any(cell.value is not None for _, cell in way)
    start = scores.reference_cell(scores.profile.student, scores.measures(domain))
    return [(0.0, replace(start, notes=())), *way] if some else way
