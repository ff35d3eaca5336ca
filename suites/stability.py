"""Figure 8: performance and entropy along the run, and when DOPD is where the others end.

The paper shows LiveBench against the step and says that DOPD at step 80 of 200 is past the others' last step. Here the
curve is the mean of the domains at every tenth of the run, and the same is asked in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from harness.analysis.units import Units
from harness.show.tables import Cell, Table
from suites.kit.arms import ArmScores, caption
from suites.kit.columns import Compared, difference_columns, paired, table
from suites.kit.comparison import ArmColumn, arm_lines
from suites.kit.curves import (
    BEST,
    MILLI,
    READ,
    CurveSuite,
    accuracy_panel,
    curve,
    curve_table,
    entropy,
    entropy_panel,
    reach,
    seconds_of,
    step_at,
    step_figure,
    when_cell,
)
from suites.kit.dots import finding_of
from suites.kit.findings import Contrast, Finding
from suites.kit.sentences import SECONDS
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``figure8``, and ``step_to_reach`` where DOPD is among the methods."""
        return [figure8(scores), *([step_to_reach(scores)] if CHALLENGER in scores.arms else [])]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure8``: accuracy and entropy against the step; ``accuracy_seconds``: accuracy against seconds."""
        return {
            "figure8": step_figure(
                scores,
                [accuracy_panel(scores), entropy_panel(scores)],
                topic="At the end of the run",
                finding=finding_of(scores, scores.arms, scores.inside, things="methods"),
                drawn=READ,
            ),
            "accuracy_seconds": against_seconds(scores),
        }


def figure8(scores: ArmScores) -> Table:
    """Score along the run, and the entropy at its end."""

    def last_entropy(key: str) -> Cell:
        path = entropy(scores, key)
        return scores.cell_of(key, path.at(path.steps[-1]), MILLI)

    return curve_table(
        scores,
        name="figure8",
        title="Stability",
        caption=caption(scores, scores.units.said(BEST), READ),
        extras=[ArmColumn(key="entropy", header="entropy at the end, millinats", cell=last_entropy)],
    )


def step_to_reach(scores: ArmScores) -> Table:
    """A line per method: when DOPD's mean curve is first at that method's last mean score, and when its own is."""
    step = step_at(scores.arms[CHALLENGER].spec, CLAIMED)
    return table(
        [replace(line, ranked=False) for line in arm_lines(scores)],
        _reach_columns(scores, step),
        name="step_to_reach",
        title=f"When DOPD is where the others end, profile {scores.profile.name}",
        caption=caption(scores, reach_sentence(step, scores.units), SHARED_SECONDS, SECONDS),
        headers=("paradigm", "method"),
        partial=scores.partial,
    )


def _reach_columns(scores: ArmScores, step: int) -> list[ArmColumn]:
    paths = {key: curve(scores, key, scores.inside) for key in scores.arms}

    def reached(challenger: str, key: str, seconds: Mapping[int, float] | None = None) -> Cell:
        return when_cell(reach(paths[challenger], paths[key], seconds), _missing(scores, key))

    def there(key: str, seconds: Mapping[int, float] | None = None) -> Cell:
        return Cell(missing="itself") if key == CHALLENGER else reached(CHALLENGER, key, seconds)

    def run_seconds(key: str) -> Cell:
        known = {unit: s for unit, s in seconds_of(scores, key).items() if not math.isnan(s)}
        return scores.cell_of(key, known, scale=1.0)

    return [
        ArmColumn(key="target", header="its last score, %", cell=lambda key: scores.cell(key, scores.inside)),
        ArmColumn(key="dopd_step", header="DOPD is there at step", cell=there),
        ArmColumn(key="own_step", header="itself at step", cell=lambda key: reached(key, key)),
        ArmColumn(
            key="dopd_seconds",
            header="DOPD is there after, s",
            cell=lambda key: there(key, seconds_of(scores, CHALLENGER)),
        ),
        ArmColumn(
            key="own_seconds",
            header="itself after, s",
            cell=lambda key: reached(key, key, seconds_of(scores, key)),
        ),
        ArmColumn(key="run_seconds", header="its whole run, s", cell=run_seconds),
        *difference_columns(
            partial(claimed_lead, scores, step=step),
            key="lead",
            header=f"DOPD at {100 * CLAIMED:g} % minus its last, points",
        ),
    ]


def claimed_lead(scores: ArmScores, key: str, step: int) -> Compared:
    """DOPD at a step minus a method at its end."""
    if key == CHALLENGER:
        return Compared(missing="itself")
    early, last = scores.values(CHALLENGER, scores.inside, step), scores.values(key, scores.inside)
    return paired(scores.units.paired_difference(early, last), _missing(scores, key))


def _missing(scores: ArmScores, key: str) -> str:
    """Why a method or DOPD has no score; no common seed or draw if both have some."""
    missing = (scores.cell(each, scores.inside).missing for each in (key, CHALLENGER))
    return next(filter(None, missing), "") or f"no common {scores.units.one}"


def reach_sentence(step: int, units: Units) -> str:
    """How the moments and the last two columns were found."""
    return units.said(
        "Moments are of means over the {seeds} both have, straight between checkpoints, the first time only; 0: the "
        "untrained student is there. In brackets the 95 % percentile interval of a bootstrap over {seeds}, paired, "
        f"which with so few {{seeds}} is too short. The last columns need no moment: DOPD at step {step} minus the "
        "method's last, paired by {seed}, p of the two-sided paired t test, adjusted by Holm over this table; the "
        "paper claims a lead at this share of the run."
    )


def against_seconds(scores: ArmScores) -> Figure:
    """Accuracy against training seconds so far."""
    seconds = {key: _mean_seconds(scores, key) for key in scores.arms}
    steps = {key: arm.spec.steps for key, arm in scores.arms.items()}
    return step_figure(
        scores,
        [accuracy_panel(scores, lambda key, step: seconds[key] * step / steps[key])],
        topic="Training time",
        finding=slowest(scores, seconds),
        drawn=f"{SHARED_SECONDS} {SECONDS}",
        x="training, s",
    )


def slowest(scores: ArmScores, seconds: Mapping[str, float]) -> Finding:
    """What a whole run takes, of the quickest and the slowest method; whether the two are told apart."""
    known = {key: value for key, value in seconds.items() if value > 0}
    if len(known) < 2:
        return Finding(short="nothing to compare yet", sentence="There are no two methods whose seconds are known.")
    quick, slow = min(known, key=lambda key: known[key]), max(known, key=lambda key: known[key])
    names = {key: scores.arms[key].label for key in (quick, slow)}
    said = f"A run takes {known[quick]:.0f} s ({names[quick]}) to {known[slow]:.0f} s ({names[slow]})"
    by_unit = (
        {unit: value for unit, value in seconds_of(scores, key).items() if not math.isnan(value)}
        for key in (slow, quick)
    )
    difference = scores.units.paired_difference(*by_unit)
    if difference is None or difference.half is None:
        return Finding(short=f"one {scores.units.one}, no intervals", sentence=f"{said}; without intervals.")
    if Contrast(label=names[slow], difference=difference).side <= 0:
        return Finding(
            short="slowest and quickest not told apart", sentence=f"{said}, which are not told apart at 95 %."
        )
    times = f"{known[slow] / known[quick]:.1f} times"
    return Finding(
        short=f"{names[slow]} takes {times} the seconds of {names[quick]}", sentence=f"{said}, {times} as long."
    )


def _mean_seconds(scores: ArmScores, key: str) -> float:
    """Of a whole run; NaN if no cost is known."""
    known = [seconds for seconds in seconds_of(scores, key).values() if not math.isnan(seconds)]
    return fmean(known) if known else math.nan
