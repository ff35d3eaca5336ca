"""Figure 4 and Table 6: which tokens matter.

Figure 4 drops a fifth of the tokens from vanilla OPD, at random, where A is lowest, where A is highest, and asks what
is left of its gain. Table 6 trains the tokens of some regimes only, under one loss for all of them or adaptively. In
the paper, high-gap tokens carry about half of the gain, HT alone beats all tokens under one loss, and routing beats
both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis import statistics
from harness.config import RunSpec
from harness.show.lines import LinePanel
from harness.show.tables import Cell, Table
from harness.suite import Evaluation
from harness.types import PLAIN
from suites.kit.arms import ArmScores, caption
from suites.kit.columns import table
from suites.kit.comparison import ArmColumn, arm_lines
from suites.kit.curves import curve, ends, series, step_at, step_figure
from suites.kit.dots import finding_of
from suites.kit.seeds import minus, scaled
from suites.kit.variants import SHARES_SENTENCE, AnalysisSuite, Variant, along_the_run, settings_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REGIMES = ("LH", "LL", "HT", "HS")
"""In the order of the method's own field: another order would be another run."""
SHOWN = ("HT", "LH", "LL", "HS")
"""In the paper's order."""
BASELINE, UNIFORM, DOPD = "vanilla_opd", "uniform/all", "dopd"
KEPT_AT = (0.5, 1.0)
"""Shares of a run: the paper states what is left at step 100 of 200."""
DROPPED = {"random": "20 % dropped at random", "low": "20 % dropped, lowest A", "high": "20 % dropped, highest A"}
GAP = (
    "A = |log q_T − log q_S| of the sampled token, teacher and student both with p, scored on the rollouts and never "
    "trained on; the fifth is of the whole rollout batch, and dropped tokens stay in |y|."
)
KEPT = (
    "Gain kept: gain over the untrained student as a share of vanilla OPD's, ratio of means over the {seeds} both "
    "have; its ± comes from the {seeds}' residuals (arm minus ratio times vanilla OPD). No number where vanilla OPD's "
    "own gain is not above 0 at 95 %."
)
READINGS = (
    "Uniform: every token that is on learns by JS on top-k at weight 1 from the teacher with p; adaptive: as DOPD "
    "does. Tokens of a regime that is off have loss 0 and stay in |y|."
)


def _regimes(on: str, *, adaptive: bool) -> Variant:
    """Two regimes, or HT alone."""
    names = on.split("+")
    return Variant(
        key=f"{'adaptive' if adaptive else 'uniform'}/{on}",
        label=" + ".join(names),
        method="dopd_ablation",
        settings={"regimes": [r for r in REGIMES if r in names]} | ({} if adaptive else {"adaptive": False}),
        block="adaptive routing" if adaptive else "uniform loss",
        baseline=UNIFORM,
    )


FIGURE4 = (
    Variant(
        key=BASELINE,
        label="Vanilla OPD",
        method="vanilla_opd",
        block="vanilla OPD",
        baseline=BASELINE,
    ),
    *(
        Variant(
            key=f"drop_{drop}",
            label=label,
            method="opd_dropped",
            settings={"drop": drop},
            block="vanilla OPD",
            baseline=BASELINE,
        )
        for drop, label in DROPPED.items()
    ),
)
ALL = " + ".join(SHOWN)
TABLE6 = (
    *(_regimes(on, adaptive=False) for on in ("HT", "HT+LH", "HT+LL", "HT+HS")),
    Variant(
        key=UNIFORM,
        label=ALL,
        method="dopd_ablation",
        settings={"adaptive": False},
        block="uniform loss",
        baseline=UNIFORM,
    ),
    *(_regimes(on, adaptive=True) for on in ("HT+LH", "HT+LL", "HT+HS")),
    Variant(key=DOPD, label=f"{ALL} (DOPD)", method="dopd", block="adaptive routing", baseline=UNIFORM),
    Variant(
        key="uniform_plain/all",
        label=ALL,
        method="dopd_ablation",
        settings={"adaptive": False, "uniform_context": PLAIN},
        block="uniform loss, teacher without p",
        baseline=UNIFORM,
    ),
)
FIGURE4_KEYS, TABLE6_KEYS = ([variant.key for variant in part] for part in (FIGURE4, TABLE6))
CURVED = {variant.method for variant in FIGURE4}
"""Methods that are asked at every checkpoint."""


class TokenAblation(AnalysisSuite):
    """Tokens dropped from vanilla OPD, and regimes of DOPD on and off."""

    name = "token_ablation"
    title = "which tokens matter: a fifth dropped by A (Figure 4), regimes alone and combined (Table 6)"
    paper = ("figure4", "table6")
    variants = (*FIGURE4, *TABLE6)

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """The arms of Figure 4 at every checkpoint, those of Table 6 at the shares it shows."""
        if spec.method is None or spec.method.name not in CURVED:
            return along_the_run(spec)
        return along_the_run(spec, [step / spec.steps for step in spec.probed_steps()])

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``figure4`` and ``figure4_kept``: what is left of vanilla OPD's gain; ``table6``: sets of regimes, where some
        are among the arms."""
        regimes = [table6(scores)] if scores.arms.keys() & set(TABLE6_KEYS) else []
        return [figure4_table(scores), kept_table(scores), *regimes]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure4``: accuracy against the step."""
        panel = LinePanel(
            title="mean of domains",
            y_axis=f"{scores.words}, %",
            series=tuple(series(scores, key, curve(scores, key, scores.inside)) for key in FIGURE4_KEYS),
            references=ends(scores),
        )
        drawn = step_figure(
            scores,
            [panel],
            topic="Tokens dropped",
            finding=finding_of(scores, FIGURE4_KEYS, scores.inside),
            drawn="A: gap of teacher and student on the sampled token, both with p.",
        )
        return {"figure4": drawn}


def figure4_table(scores: ArmScores) -> Table:
    """Score at the end, difference to vanilla OPD, and the share of its gain that is kept half-way and at the end."""
    spec = scores.arms[BASELINE].spec
    return settings_table(
        scores,
        name="figure4",
        title="Vanilla OPD with tokens dropped",
        caption=caption(scores, GAP, scores.units.said(KEPT)),
        keys=FIGURE4_KEYS,
        headers=("method", "tokens"),
        shares=(1.0,),
        extras=[
            kept_column(
                scores,
                step_at(spec, share),
                key=f"kept_{100 * share:g}",
                header=f"gain kept at {100 * share:g} % of the run, %",
            )
            for share in KEPT_AT
        ],
    )


def kept_column(scores: ArmScores, step: int, *, key: str, header: str) -> ArmColumn:
    """Share of vanilla OPD's gain that is kept at a step."""
    return ArmColumn(key=key, header=header, cell=lambda arm: kept_cell(scores, arm, step))


def kept_table(scores: ArmScores) -> Table:
    """Share of vanilla OPD's gain that is kept at each checkpoint."""
    steps = [step for step in scores.arms[BASELINE].spec.probed_steps() if step > 0]
    lines = arm_lines(scores, [key for key in FIGURE4_KEYS if key != BASELINE])
    return table(
        [replace(line, ranked=False) for line in lines],
        [kept_column(scores, step, key=f"step_{step}", header=f"step {step}") for step in steps],
        name="figure4_kept",
        title=f"Share of vanilla OPD's gain that is kept, %, profile {scores.profile.name}",
        caption=caption(scores, GAP, scores.units.said(KEPT)),
        headers=("method", "tokens"),
        partial=scores.partial,
    )


def kept_cell(scores: ArmScores, key: str, step: int) -> Cell:
    """Share of vanilla OPD's gain that an arm has at a step, percent."""
    if key == BASELINE:
        return Cell(missing="baseline")
    percent = scaled(scores.end_values(key, scores.inside)[0], 100)
    student = {unit: value / 100 for unit, value in percent.items()}  # rounded as what is published
    arm, vanilla = (scores.values(each, scores.inside, step) for each in (key, BASELINE))
    if missing := scores.cell(key, scores.inside, step).missing:
        return Cell(missing=missing)
    if not student or not arm.keys() & vanilla.keys():
        return Cell(missing="no baseline of these seeds" if student else "no reference row")
    kept = gain_kept(*(minus(values, student) for values in (arm, vanilla)))
    return scores.cell_of(key, kept, step=step) if kept else Cell(missing="no gain to keep")


def gain_kept(arm: Mapping[int, float], full: Mapping[int, float]) -> dict[int, float]:
    """By unit, values whose mean is the ratio of mean gains and whose spread is that of its residuals.

    The usual linearisation of a ratio of paired means: r + (a - r b) / mean(b). Empty where the full gain, over the
    units both have, is not above 0 by its t interval.
    """
    seeds = sorted(arm.keys() & full.keys())
    whole = statistics.estimate([full[seed] for seed in seeds])
    if whole.mean - (whole.half or 0.0) <= 0:
        return {}
    ratio = statistics.estimate([arm[seed] for seed in seeds]).mean / whole.mean
    return {seed: ratio + (arm[seed] - ratio * full[seed]) / whole.mean for seed in seeds}


def table6(scores: ArmScores) -> Table:
    """Sets of regimes under one loss and under routing, along the run."""
    return settings_table(
        scores,
        name="table6",
        title="Tokens of which regimes are trained",
        caption=caption(scores, READINGS, SHARES_SENTENCE),
        keys=TABLE6_KEYS,
        headers=("loss", "regimes"),
    )
