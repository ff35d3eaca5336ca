"""Privileged input that is wrong in part of the training examples: the paper names the risk and measures nothing.

A part of the suite ``robustness``. Every method that sees p is trained with p wrong in a quarter, a half and all of
the examples, in three ways; what sees no p stands beside it as a flat line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness import registry
from harness.analysis import statistics
from harness.analysis.statistics import Difference
from harness.config import ModelSpec, RunSpec
from harness.method import untrained_views
from harness.show.tables import Cell, Column, Kind, Line, Table, ranked
from harness.suite import Options, Profile, training_run
from harness.types import PLAIN, Corruption, Source
from suites.kit.arms import COST_COLUMNS, Arm, ArmScores, caption, method_arm
from suites.kit.cells import (
    BASELINE,
    SECONDS,
    cost_cells,
    difference_cells,
    joint_domains,
    recovery_cell,
    reference_cell,
    references,
    selected_methods,
    tests_sentence,
    untrained_line,
)
from suites.kit.lines import cell_series, reference_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.lines import LinePanel

METHODS = ("vanilla_opd", "privileged_teacher", "dopd")
"""Without ``--methods``. Vanilla OPD sees no p."""
KINDS = (Corruption.WRONG_STEPS, Corruption.SHUFFLED_STEPS, Corruption.OTHER_EXAMPLE)
SHARES = (0.25, 0.5, 1.0)
"""Of the training examples; 0 is the run with the right p."""
NONE = "none-0"
"""First part of the keys of the arms with the right p."""
SCORE = Column(key="score", header="mean of domains, %")
HARDER = Column(key="harder", header="harder range, %")
COLUMNS = (
    SCORE,
    Column(key="recovery", header="gap recovered, %"),
    Column(key="lost", header="minus the right p, points", kind=Kind.DIFFERENCE),
    Column(key="lost_p_holm", header="p (Holm)", kind=Kind.P),
    Column(key="difference", header="minus baseline, points", kind=Kind.DIFFERENCE),
    Column(key="p_holm", header="p (Holm)", kind=Kind.P),
    HARDER,
    *COST_COLUMNS,
)
WHAT = (
    "Which examples are corrupted is the same for every kind, method and seed, and those of a smaller share are among "
    "those of a larger one. Wrong steps: every step is wrong and the whole is consistent; shuffled steps: the right "
    "ones in another order; another example: the p of another problem of the same domain and number of steps. "
    "Benchmarks show no p; rewards and reference traces stay right."
)


def corruption_arms(profile: Profile, options: Options, seeds: Sequence[int]) -> list[Arm]:
    """Keys ``<corruption>-<percent>/<method>``, the right p first; none if no method asked for sees p."""
    names = selected_methods(options, METHODS)
    seeing = [name for name in names if sees_p(profile, name)]
    settings = [(Corruption.NONE, 0.0, names)] + [(kind, share, seeing) for kind in KINDS for share in SHARES]
    return [
        _arm(profile, options, seeds, name, kind, share)
        for kind, share, trained in settings
        for name in trained
        if seeing
    ]


def sees_p(profile: Profile, method: str) -> bool:
    """Whether some policy of the method reads, or writes after, more than x."""
    built = registry.build_method(profile.method(method))
    views = (*untrained_views(built), *(term.trained for term in built.terms))
    return Source.PRIVILEGED_STUDENT in built.sampling or any(view.context != PLAIN for view in views)


def _arm(
    profile: Profile,
    options: Options,
    seeds: Sequence[int],
    name: str,
    kind: Corruption,
    share: float,
) -> Arm:
    return method_arm(
        name,
        {seed: _run(profile, options, name, kind, share, seed) for seed in seeds},
        key=f"{setting_key(kind, share)}/{name}",
        block="the right p" if kind is Corruption.NONE else f"{words(kind)}, {100 * share:.0f} %",
        baseline=f"{NONE}/{BASELINE}" if BASELINE in selected_methods(options, METHODS) else "",
    )


def _run(profile: Profile, options: Options, method: str, kind: Corruption, share: float, seed: int) -> RunSpec:
    spec = training_run(profile, options, method=method, domains=joint_domains(profile, options), seed=seed)
    assert spec.data is not None
    return replace(spec, data=replace(spec.data, corruption=kind, corrupted=share))


def setting_key(kind: Corruption, share: float) -> str:
    """``wrong_steps-25``."""
    return f"{kind}-{100 * share:.0f}"


def words(kind: Corruption) -> str:
    """Of a table: ``wrong steps``."""
    return {Corruption.OTHER_EXAMPLE: "another example's p"}.get(kind, str(kind).replace("_", " "))


def corruption_table(scores: ArmScores, keys: Sequence[str]) -> Table:
    """``corruption``: each setting against the same method with the right p, and against what sees none."""
    pairs = [(key, base) for key in keys for base in _bases(scores, key) if base not in ("", key)]
    tests = {pair: scores.difference(*pair, scores.inside) for pair in pairs}
    adjusted = statistics.holm([test.p if test else None for test in tests.values()])
    p_values = dict(zip(tests, adjusted, strict=True))
    lines: Sequence[Line] = [
        *(_reference_line(scores, label, model) for label, model in references(scores.profile).items()),
        *(_line(scores, key, tests, p_values) for key in keys),
    ]
    for column in (COLUMNS.index(SCORE), COLUMNS.index(HARDER)):
        lines = ranked(lines, column)
    baseline = scores.arms[keys[0]].baseline
    return Table(
        name="corruption",
        title=f"Corrupted privileged input, profile {scores.profile.name}",
        caption=" ".join(
            (
                caption(scores, WHAT),
                *((f"Baseline: {scores.arms[baseline].label}, which sees no p.",) if baseline else ()),
                f"D{tests_sentence(adjusted)[1:]}",
                SECONDS,
            )
        ),
        block_header="privileged input",
        label_header="method",
        columns=COLUMNS,
        lines=tuple(lines),
        partial=scores.partial,
    )


def _bases(scores: ArmScores, key: str) -> tuple[str, str]:
    """What an arm is compared with: its method with the right p, and the baseline; empty where there is none."""
    return f"{NONE}/{scores.arms[key].method}", scores.arms[key].baseline


def _line(
    scores: ArmScores,
    key: str,
    tests: Mapping[tuple[str, str], Difference | None],
    p_values: Mapping[tuple[str, str], float | None],
) -> Line:
    arm, score = scores.arms[key], scores.cell(key, scores.inside)
    right, baseline = (
        difference_cells(score, tests.get((key, base)), p_values.get((key, base)), is_baseline=base == key)
        if base
        else (Cell(), Cell())
        for base in _bases(scores, key)
    )
    cells = (
        score,
        recovery_cell(score, *scores.ends(key, scores.inside)),
        *((Cell(), Cell()) if key.startswith(NONE) else right),
        *baseline,
        scores.cell(key, scores.harder) if scores.harder else Cell(),
        *cost_cells(list(scores.run_of(key).values())),
    )
    return Line(block=arm.block, label=arm.label, cells=cells, ranked=arm.ranked)


def _reference_line(scores: ArmScores, label: str, model: ModelSpec) -> Line:
    cells = {
        SCORE: reference_cell(scores.reference(model, scores.inside)),
        HARDER: reference_cell(scores.reference(model, scores.harder)) if scores.harder else Cell(),
    }
    return untrained_line(label, (cells.get(column, Cell()) for column in COLUMNS))


def corruption_figure(scores: ArmScores, keys: Sequence[str]) -> Figure:
    """``corruption``: score against the share of wrong p, a panel per kind, a line per method."""
    from harness.show.lines import curves

    return curves(
        [_panel(scores, keys, kind) for kind in KINDS],
        title=f"Corrupted privileged input{scores.mark}",
        x_axis="training examples with a wrong p, %",
        caption=f"{caption(scores, WHAT)} Bands are the intervals; a method that sees no p is flat.",
    )


def _panel(scores: ArmScores, keys: Sequence[str], kind: Corruption) -> LinePanel:
    from harness.show.lines import LinePanel

    lines = []
    for right in (key for key in keys if key.startswith(NONE)):
        name = scores.arms[right].method
        wrong = {100 * share: f"{setting_key(kind, share)}/{name}" for share in SHARES}
        known = wrong if set(wrong.values()) <= set(keys) else dict.fromkeys(wrong, right)
        at = [(share, scores.cell(key, scores.inside)) for share, key in {0.0: right, **known}.items()]
        lines.append(cell_series(scores.arms[right].label, at))
    values = {label: scores.reference(model, scores.inside) for label, model in references(scores.profile).items()}
    return LinePanel(
        title=words(kind),
        y_axis=f"{scores.words}, mean of domains, %",
        series=tuple(lines),
        references=reference_lines(values),
    )
