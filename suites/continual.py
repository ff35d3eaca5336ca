"""Figure 7a: one domain after another, general → reasoning → coding; what is learnt, and what is forgotten.

Each stage's run begins with the weights the stage before ended with (same method, same seed) and has an optimiser, a
schedule and as many steps of its own; no problem of an earlier stage is shown again. SFT and GRPO stand beside the
paper's two methods: its text names them, its figure does not show them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness import registry
from harness.analysis import statistics
from harness.config import RunSpec
from harness.show.tables import Cell, Column, Kind, Line, Table, ranked
from harness.suite import Evaluation, Options, Profile, training_run
from suites.kit.arms import COST_COLUMNS, Arm, ArmSuite, At, caption, method_arm
from suites.kit.cells import (
    BASELINE,
    SECONDS,
    cost_cells,
    difference_cells,
    primary_at,
    reference_cell,
    selected_methods,
    tests_sentence,
    untrained_line,
)
from suites.kit.lines import cell_series
from suites.kit.seeds import mean
from suites.kit.stages import NO_START, Scores, Values, points, stage_name, stages, whole_costs
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
Place = tuple[int | str, str]
"""What is compared (a stage's number, a column's name) and the method."""


class Continual(PaperNumbers, ArmSuite):
    """Stages × methods × seeds; ``--train-domains`` names other stages, in their order."""

    name = "continual"
    title = "one domain after another (Figure 7a): gain, forgetting, transfer"
    paper = ("figure7a",)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<domain>/<method>``, stage by stage."""
        names = selected_methods(options, METHODS)
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
    }, (f"Baseline: {scores.methods[BASELINE].label}; {tests_sentence(adjusted.values())}")


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
        caption=f"{said(scores, TRANSFER)} Costs are of all stages together. {SECONDS} {sentence}".strip(),
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
    return untrained_line(label, (reference_cell(value), *blank))


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
    from harness.show.heatmap import Matrix, heatmap

    return heatmap(
        [
            Matrix(
                title=entry.label,
                row_axis="after",
                column_axis=f"{scores.words}, %",
                rows=tuple(rows := matrix_cells(scores, method)),
                columns=scores.domains,
                cells=tuple(_framed(scores, stage, cells) for stage, cells in enumerate(rows.values())),
            )
            for method, entry in scores.methods.items()
        ],
        title=f"Every domain after every stage{scores.mark}",
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
    from harness.show.bars import Reference
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
        title=f"Continual learning: {' → '.join(scores.stages)}{scores.mark}",
        x_axis="step, over all stages",
        caption=(
            f"{NORMALISED} Solid: {general}; dashed: the specific domains; vertical: the named stage begins; bands are "
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
