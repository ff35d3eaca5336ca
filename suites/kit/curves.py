"""Learning curves: suites that ask along the run, and what their tables and figures read from the answers. No torch.

A curve is a value per seed at the same checkpoints. Where it is best is chosen from the same noisy numbers that are
then compared, so the fall from there is cross-fitted: the best step of a seed is chosen by the other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from harness.analysis import statistics
from harness.analysis.statistics import CONFIDENCE, Difference
from harness.analysis.units import SEED, SEEDS, Units
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS
from harness.show.bars import Reference
from harness.show.lines import LinePanel, Moment, Series, curves
from harness.show.tables import Cell, Table, single
from harness.suite import Evaluation
from suites.kit import under
from suites.kit.arms import ArmScores, MethodSuite, benchmarks_at
from suites.kit.columns import Compared, difference_columns, paired, table
from suites.kit.comparison import ArmColumn, arm_costs, arm_lines, early_columns, untrained_lines
from suites.kit.findings import Finding
from suites.kit.lines import reference_lines
from suites.kit.looks import label_look
from suites.kit.measures import At, Measure
from suites.kit.seeds import common_seeds
from suites.kit.sentences import SECONDS

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TRAINING = "training"
"""The audit that reads what a run logged."""
ENTROPY = Measure(TRAINING, AUDIT, "entropy")
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of a run, shown in tables: the paper's steps 40, 80, 120, 160 and 200."""
DRAWS = 10_000
"""Of the bootstrap over seeds."""
MILLI = 1000.0
"""Entropies are small numbers of nats: tables and figures show thousandths."""
BEST = (
    "Best: at the checkpoint where the other {seeds}' mean is highest, so that noise alone makes no fall; best step: "
    f"of the mean over all {{seeds}}, in brackets the {100 * CONFIDENCE:g} % percentile interval of a bootstrap over "
    "{seeds}, which with so few {seeds} is too short; fall: best minus last, paired by {seed}."
)
READ = (
    "Entropy: mean over the steps since the checkpoint before, of the policy in training, over the tokens in its loss."
)
BAND = "Lines are means, bands their intervals."


class CurveSuite(MethodSuite):
    """Methods × seeds on all domains together, asked at every checkpoint."""

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """The trained range and the training's log along the run, the harder range at its end."""
        if spec.is_reference:
            return benchmarks_at(spec, ("last",))
        *before, last = spec.checkpoint_steps()
        read = map(training_read, spec.probed_steps()[1:])
        return (*benchmarks_at(spec, before, harder=False), *benchmarks_at(spec, (last,)), *read)


def training_read(step: At) -> Evaluation:
    """The audit of what training logged since the checkpoint before."""
    return Evaluation(step, TRAINING, AUDIT, AUDITS[TRAINING].version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One arm at the same checkpoints in every seed, or other unit.

    Example::

        Curve(steps=(0, 50, 100), by_unit={0: (0.40, 0.52, 0.50), 1: (0.40, 0.50, 0.51)})
    """

    steps: tuple[int, ...]
    by_unit: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Units that have a value at every step; empty if none has."""
    units: Units = SEEDS

    def at(self, step: int) -> dict[int, float]:
        """By unit."""
        return {unit: values[self.steps.index(step)] for unit, values in self.by_unit.items()}

    def best_step(self, seeds: Sequence[int]) -> int:
        """Where the mean over some units is highest, the earliest of equals."""
        means = [fmean(values) for values in zip(*(self.by_unit[seed] for seed in seeds), strict=True)]
        return self.steps[means.index(max(means))]

    def best(self) -> dict[int, float]:
        """By unit, the value at the step that is best for the other units; empty with a single one."""
        others = {seed: [s for s in self.by_unit if s != seed] for seed in self.by_unit}
        return {seed: self.at(self.best_step(rest))[seed] for seed, rest in others.items() if rest}

    def fall(self) -> Difference | None:
        """Best minus last, paired by unit; None with a single one, which cannot choose for itself."""
        return self.units.paired_difference(self.best(), self.at(self.steps[-1]))

    def table(self, seeds: Sequence[int]) -> Floats:
        """[units, steps]."""
        import numpy as np

        return np.array([self.by_unit[seed] for seed in seeds])


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When something happens: of the mean over units, with a percentile interval over bootstrap draws of them."""

    at: float
    """Infinite: never. NaN: not known."""
    low: float
    high: float
    n: int
    """Units."""
    unit: str = SEED


def curve(scores: ArmScores, key: str, measures: Sequence[Measure], *, start: int = 0, probed: bool = False) -> Curve:
    """Mean over the measures from ``start`` on, wherever the suite asks for all of them, for the seeds that have them.

    Args:
        probed: only where training probes, as for what is read of its log.
    """
    spec = scores.arms[key].spec
    kept, asked = spec.probed_steps() if probed else spec.checkpoint_steps(), asked_at(scores, spec, measures)
    steps = tuple(step for step in kept if step >= start and (step in asked or not asked))
    found, units = [scores.seed_values(key, measures, step) for step in steps], scores.units
    seeds = common_seeds(found)  # before they are averaged: a draw's curve is of the same seeds at every step
    return joined(steps, [units.averaged({seed: each[seed] for seed in seeds}) for each in found], units)


def asked_at(scores: ArmScores, spec: RunSpec, measures: Sequence[Measure]) -> set[int]:
    """The steps at which the suite asks a run for all of the measures."""
    asked = [
        {
            spec.steps if each.step == "last" else each.step
            for each in scores.suite.evaluations(spec)
            if (each.benchmark, each.decoding) == (measure.benchmark, measure.decoding)
        }
        for measure in measures
    ]
    return set.intersection(*asked) if asked else set()


def joined(steps: tuple[int, ...], values: Sequence[Mapping[int, float]], units: Units) -> Curve:
    """Values by unit at each step as a curve."""
    by_unit = {unit: tuple(each[unit] for each in values) for unit in common_seeds(values)}
    return Curve(steps=steps, by_unit=by_unit, units=units)


def step_at(spec: RunSpec, share: float) -> int:
    """The evenly spaced checkpoint nearest to a share of the run, the earlier of two."""
    return min(spec.probed_steps(), key=lambda step: abs(step - share * spec.steps))


def first_at(steps: Sequence[int], curves_DC: Floats, levels_D: Floats) -> Floats:
    """First step at which each of D curves over C checkpoints is at its level or above; infinite if it never is.

    Straight between checkpoints; the first step if it begins there.
    """
    import numpy as np

    above_DC = curves_DC >= levels_D[:, None]
    first_D = above_DC.argmax(1)
    rows_D, before_D = np.arange(len(first_D)), np.maximum(first_D - 1, 0)
    x = np.asarray(steps, float)
    low_D, high_D = curves_DC[rows_D, before_D], curves_DC[rows_D, first_D]
    rise_D = np.where(high_D > low_D, high_D - low_D, 1.0)
    crossed_D = x[before_D] + (x[first_D] - x[before_D]) * np.where(first_D > 0, (levels_D - low_D) / rise_D, 0.0)
    return np.where(above_DC.any(1), crossed_D, np.inf)


def over_units(n: int, what: Callable[[NDArray[np.int64]], Floats], unit: str) -> When:
    """``what`` of all ``n`` units, and of bootstrap draws of them; ``what`` takes places [draws, units] to [draws]."""
    import numpy as np

    at = float(what(np.arange(n)[None])[0])
    draws = what(np.random.default_rng(0).integers(n, size=(DRAWS, n)))
    tail = (1 - CONFIDENCE) / 2
    # The draws may be infinite, so no quantile is a mean of two.
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    return When(at=at, low=float(low), high=float(high), n=n, unit=unit)


def best_when(of: Curve) -> When | None:
    """The step where the mean is highest."""
    import numpy as np

    seeds, steps = list(of.by_unit), np.asarray(of.steps, float)
    if not seeds:
        return None
    values = of.table(seeds)
    return over_units(len(seeds), lambda places_DS: steps[values[places_DS].mean(1).argmax(1)], of.units.one)


def reach(challenger: Curve, rival: Curve, seconds: Mapping[int, float] | None = None) -> When | None:
    """The first step at which one curve is at the other's last value; None without a common unit.

    Args:
        seconds: of the challenger's whole run, by unit; the moment is then its share of these, not a step.
    """
    import numpy as np

    seeds = [seed for seed in challenger.by_unit if seed in rival.by_unit]
    if not seeds:
        return None
    mine, theirs = challenger.table(seeds), rival.table(seeds)
    spent = None if seconds is None else np.array([seconds[seed] for seed in seeds]) / challenger.steps[-1]

    def moment(places_DS: NDArray[np.int64]) -> Floats:
        steps_D = first_at(challenger.steps, mine[places_DS].mean(1), theirs[places_DS].mean(1)[:, -1])
        return steps_D if spent is None else steps_D * spent[places_DS].mean(1)

    return over_units(len(seeds), moment, challenger.units.one)


def when_cell(when: When | None, missing: str = "") -> Cell:
    """The moment with its interval as a note; ``never`` is said in words."""
    if when is None:
        return Cell(missing=missing)
    if math.isnan(when.at):
        return Cell(missing="not measured")
    between = () if when.n == 1 else (f"{_said(when.low)} to {_said(when.high)}",)
    if math.isinf(when.at):
        return Cell(missing=f"never ({', '.join((single(when.unit),) if when.n == 1 else (f'n={when.n}', *between))})")
    return Cell(value=when.at, n=when.n, unit=when.unit, notes=between)


def _said(at: float) -> str:
    return "never" if math.isinf(at) else f"{at:.1f}"


def seconds_of(scores: ArmScores, key: str) -> dict[int, float]:
    """Training seconds of whole runs, by unit; NaN where none are known."""
    return scores.units.averaged({seed: run["train_seconds"] for seed, run in scores.run_of(key).items()})


def curve_table(scores: ArmScores, *, name: str, title: str, caption: str, extras: Sequence[ArmColumn] = ()) -> Table:
    """Score at shares of the run, its best, where that is, the fall from there, and costs; Holm over the falls.

    Args:
        extras: further columns, before the costs.
    """
    paths = {key: curve(scores, key, scores.inside) for key in scores.arms}

    def why(key: str) -> str:
        return f"needs two {scores.units.many}" if paths[key].by_unit else scores.cell_of(key, {}).missing

    def best(key: str) -> Cell:
        values = paths[key].best()
        return scores.cell_of(key, values) if values else Cell(missing=why(key))

    def fall(key: str) -> Compared:
        return paired(paths[key].fall(), why(key))

    return table(
        [*untrained_lines(scores.suite.models(scores.profile)), *arm_lines(scores)],
        [
            *along_columns(scores, SHARES, "at {} %, %"),
            ArmColumn(key="best", header="best, %", cell=best),
            ArmColumn(key="best_step", header="best step", cell=lambda key: when_cell(best_when(paths[key]), why(key))),
            *difference_columns(fall, key="fall", header="fall, points"),
            *early_columns(scores),
            *extras,
            *arm_costs(scores),
        ],
        name=name,
        title=f"{title}, profile {scores.profile.name}",
        caption=f"{caption} {SECONDS}",
        headers=("paradigm", "method"),
        across=True,
        partial=scores.partial,
    )


def along_columns(scores: ArmScores, shares: Sequence[float], header: str) -> list[ArmColumn]:
    """Score at some shares of a run, the last of them 1; untrained models stand in the last column.

    Args:
        header: ``{}`` stands for the percent.
    """

    def column(share: float) -> ArmColumn:
        return ArmColumn(
            key=f"at_{100 * share:g}",
            header=header.format(f"{100 * share:g}"),
            cell=lambda key: scores.cell(key, scores.inside, step_at(scores.arms[key].spec, share)),
            reference=(lambda model: scores.reference_cell(model, scores.inside)) if share == 1 else None,
            ranked=True,
        )

    return [column(share) for share in shares]


def series(
    scores: ArmScores,
    key: str,
    path: Curve,
    *,
    scale: float = 100.0,
    x: Callable[[int], float] = float,
    note: str = "",
) -> Series:
    """Mean and t interval of an arm's curve; without a value, why.

    Args:
        x: of a step to the place on the axis.
        note: written beside the name.
    """
    columns = zip(*path.by_unit.values(), strict=True)
    means = [statistics.estimate([scale * value for value in values]) for values in columns]
    cell = scores.cell_of(key, path.at(path.steps[-1]), scale)
    return Series(
        label=scores.arms[key].label,
        look=label_look(scores.arms[key].label),
        x=tuple(map(x, path.steps)) if means else (),
        y=tuple(mean.mean for mean in means),
        half=tuple(mean.half for mean in means if mean.half is not None),
        note=cell.missing or ", ".join(filter(None, (note, *cell.remarks))),
    )


def ends(scores: ArmScores) -> tuple[Reference, ...]:
    """Student and teacher as horizontal lines, mean of the domains."""
    models = scores.suite.models(scores.profile)
    return reference_lines({label: scores.reference(model, scores.inside) for label, model in models.items()})


def _steps(key: str, step: int) -> float:
    """A step's own place on an axis of steps, whatever the arm."""
    return step


def early_moments(scores: ArmScores) -> tuple[Moment, ...]:
    """The early step as a vertical line on an axis of steps."""
    return () if scores.early is None else (Moment(label="early", x=scores.early),)


def accuracy_panel(scores: ArmScores, x: Callable[[str, int], float] = _steps) -> LinePanel:
    """Mean of the domains along the run; ``x`` of an arm's key and a step to the place on the axis."""
    return LinePanel(
        title="performance: mean of domains",
        y_axis=f"{scores.words}, %",
        series=tuple(series(scores, key, curve(scores, key, scores.inside), x=partial(x, key)) for key in scores.arms),
        references=ends(scores),
        moments=early_moments(scores) if x is _steps else (),
    )


def entropy_panel(scores: ArmScores, notes: Mapping[str, str] | None = None) -> LinePanel:
    """Entropy from the second checkpoint on; ``notes`` by arm."""
    return LinePanel(
        title="entropy",
        y_axis="entropy, millinats",
        series=tuple(
            series(scores, key, entropy(scores, key), scale=MILLI, note=(notes or {}).get(key, ""))
            for key in scores.arms
        ),
    )


def entropy(scores: ArmScores, key: str) -> Curve:
    """Of the policy in training, nats."""
    return curve(scores, key, [ENTROPY], start=1, probed=True)


def step_figure(
    scores: ArmScores,
    panels: Sequence[LinePanel],
    *,
    topic: str,
    finding: Finding,
    drawn: str = "",
    words: str = "",
    items: str = "",
    x: str = "step",
) -> Figure:
    """Panels against the step, what came out in the title and first in the caption; see ``suites.kit.under``."""
    said = under.caption(scores, finding, f"{drawn} {BAND}".strip(), words=words, items=items)
    return curves(panels, title=under.title(scores, topic, finding), x_axis=x, caption=said)
