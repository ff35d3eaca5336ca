"""Figure 8: performance and entropy along the run, and when DOPD is where the others end.

The paper shows LiveBench against the step and says that DOPD at step 80 of 200 is past the others' last step. Here the
curve is the mean of the domains at every tenth of the run, and the same is asked in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

from harness.analysis import statistics
from harness.show.tables import Cell, Column, Kind, Line, Table
from harness.suite import Options
from suites.kit.arms import ArmScores, caption
from suites.kit.cells import SECONDS
from suites.kit.curves import (
    BAND,
    BEST,
    MILLI,
    READ,
    Curve,
    CurveSuite,
    Extra,
    accuracy_panel,
    cell_of,
    curve,
    curve_table,
    entropy,
    entropy_panel,
    reach,
    score_cell,
    seconds_of,
    step_at,
    step_figure,
    tested,
    when_cell,
)
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

CHALLENGER = "dopd"
CLAIMED = 0.4
"""Share of the run at which the paper's DOPD is past where the others end: step 80 of 200."""
SHARED_SECONDS = (
    "Seconds are estimated: the training seconds of a whole run, evaluation left out, times the share of its steps."
)


class Stability(PaperNumbers, CurveSuite):
    """DOPD, vanilla OPD and the three methods of Figure 8."""

    name = "stability"
    title = "performance and entropy along the run, step and seconds to reach the others' end (Figure 8)"
    paper = ("figure8",)
    methods = ("vanilla_opd", "exopd", "sdpo", "eopd", "dopd")

    def tables(self, rows: DataFrame, costs: DataFrame, options: Options) -> list[Table]:
        """``figure8``, and ``step_to_reach`` where DOPD is among the methods."""
        if options.source == "paper":
            return self.paper_tables(options)
        scores = self.scores(rows, costs, options)
        return [figure8(scores), *([step_to_reach(scores)] if CHALLENGER in scores.arms else [])]

    def figures(self, rows: DataFrame, costs: DataFrame, options: Options) -> Mapping[str, Figure]:
        """``figure8``: accuracy and entropy against the step; ``accuracy_seconds``: accuracy against seconds."""
        if options.source == "paper":
            return self.paper_figures(options)
        scores = self.scores(rows, costs, options)
        return {
            "figure8": step_figure(
                scores,
                [accuracy_panel(scores), entropy_panel(scores)],
                title="Stability",
                caption=caption(scores, READ, BAND),
            ),
            "accuracy_seconds": against_seconds(scores),
        }


def figure8(scores: ArmScores) -> Table:
    """Score along the run, and the entropy at its end."""
    column = Column(key="entropy", header="entropy at the end, millinats")

    def last_entropy(key: str) -> tuple[Cell, ...]:
        path = entropy(scores, key)
        return (cell_of(scores, key, path.at(path.steps[-1]), MILLI),)

    return curve_table(
        scores,
        name="figure8",
        title="Stability",
        caption=caption(scores, BEST, READ),
        extra=Extra(columns=(column,), cells=last_entropy),
    )


REACH_COLUMNS = (
    Column(key="target", header="its last score, %"),
    Column(key="dopd_step", header="DOPD is there at step"),
    Column(key="own_step", header="itself at step"),
    Column(key="dopd_seconds", header="DOPD is there after, s"),
    Column(key="own_seconds", header="itself after, s"),
    Column(key="run_seconds", header="its whole run, s"),
    Column(key="lead", header=f"DOPD at {100 * CLAIMED:g} % minus its last, points", kind=Kind.DIFFERENCE),
    Column(key="p_holm", header="p (Holm)", kind=Kind.P),
)


def step_to_reach(scores: ArmScores) -> Table:
    """A line per method: when DOPD's mean curve is first at that method's last mean score, and when its own is."""
    paths = {key: curve(scores, key, scores.inside) for key in scores.arms}
    dopd, step = paths[CHALLENGER], step_at(scores.arms[CHALLENGER].spec, CLAIMED)
    rivals = [key for key in scores.arms if key != CHALLENGER]
    at_claimed = scores.values(CHALLENGER, scores.inside, step)
    leads = tested(
        [statistics.paired_difference(at_claimed, scores.values(key, scores.inside)) for key in rivals],
        [_missing(scores, key) for key in rivals],
    )
    compared = dict(zip(rivals, leads, strict=True))
    lines = (
        Line(
            block=arm.block,
            label=arm.label,
            ranked=False,
            cells=(*_reach_cells(scores, key, dopd, paths[key]), *compared.get(key, (Cell(missing="itself"), Cell()))),
        )
        for key, arm in scores.arms.items()
    )
    return Table(
        name="step_to_reach",
        title=f"When DOPD is where the others end, profile {scores.profile.name}",
        caption=caption(scores, reach_sentence(step), SHARED_SECONDS, SECONDS),
        block_header="paradigm",
        label_header="method",
        columns=REACH_COLUMNS,
        lines=tuple(lines),
        partial=scores.partial,
    )


def _reach_cells(scores: ArmScores, key: str, dopd: Curve, path: Curve) -> tuple[Cell, ...]:
    """Target, DOPD's step, own step, DOPD's seconds, own seconds, seconds of the whole run."""
    missing, own = _missing(scores, key), seconds_of(scores, key)
    there = (Cell(missing="itself"),) * 2
    if key != CHALLENGER:
        spent = seconds_of(scores, CHALLENGER)
        there = (when_cell(reach(dopd, path), missing), when_cell(reach(dopd, path, spent), missing))
    return (
        score_cell(scores, key),
        there[0],
        when_cell(reach(path, path), missing),
        there[1],
        when_cell(reach(path, path, own), missing),
        cell_of(scores, key, {seed: s for seed, s in own.items() if not math.isnan(s)}, scale=1.0),
    )


def _missing(scores: ArmScores, key: str) -> str:
    """Why a method or DOPD has no score; no common seed if both have some."""
    return score_cell(scores, key).missing or score_cell(scores, CHALLENGER).missing or "no common seed"


def reach_sentence(step: int) -> str:
    """How the moments and the last two columns were found."""
    return (
        "Moments are of means over the seeds both have, straight between checkpoints, the first time only; 0: the "
        "untrained student is there. In brackets the 95 % percentile interval of a bootstrap over seeds, paired, which "
        f"with so few seeds is too short. The last columns need no moment: DOPD at step {step} minus the method's "
        "last, paired by seed, p of the two-sided paired t test, adjusted by Holm over this table; the paper claims a "
        "lead at this share of the run."
    )


def against_seconds(scores: ArmScores) -> Figure:
    """Accuracy against training seconds so far."""
    seconds = {key: _mean_seconds(scores, key) for key in scores.arms}
    steps = {key: arm.spec.steps for key, arm in scores.arms.items()}
    return step_figure(
        scores,
        [accuracy_panel(scores, lambda key, step: seconds[key] * step / steps[key])],
        title="Accuracy against training time",
        caption=caption(scores, SHARED_SECONDS, SECONDS, BAND),
        x="training, s",
    )


def _mean_seconds(scores: ArmScores, key: str) -> float:
    """Of a whole run; NaN if no cost is known."""
    known = [seconds for seconds in seconds_of(scores, key).values() if not math.isnan(seconds)]
    return fmean(known) if known else math.nan
