"""Privileged input that is wrong in part of the training examples: the paper names the risk and measures nothing.

A part of the suite ``robustness``. Every method that sees p is trained with p wrong in a quarter, a half and all of
the examples, in three ways; what sees no p stands beside it as a flat line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness import registry
from harness.config import RunSpec
from harness.method import untrained_views
from harness.show.tables import Table
from harness.suite import Options, Profile, training_run
from harness.types import PLAIN, Corruption, Source
from suites.kit import under
from suites.kit.arms import Arm, ArmScores, caption, method_arm
from suites.kit.chosen import BASELINE, joint_domains, references, selected_methods
from suites.kit.columns import Compared, difference_columns, table
from suites.kit.comparison import (
    arm_costs,
    arm_lines,
    baseline_columns,
    harder_column,
    mean_column,
    minus_arm,
    recovery_column,
    untrained_lines,
)
from suites.kit.findings import Finding, compared, in_points
from suites.kit.lines import cell_series, reference_lines
from suites.kit.sentences import SECONDS, tests_sentence

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

    def said(tests: int) -> str:
        baseline = scores.arms[keys[0]].baseline
        named = f"Baseline: {scores.arms[baseline].label}, which sees no p." if baseline else ""
        tested = f"D{tests_sentence(tests, scores.units)[1:]}"
        return " ".join(filter(None, (caption(scores, WHAT), named, tested, SECONDS)))

    return table(
        [*untrained_lines(references(scores.profile)), *arm_lines(scores, keys)],
        [
            mean_column(scores),
            recovery_column(scores),
            *difference_columns(
                partial(minus_right, scores),
                key="lost",
                p_key="lost_p_holm",
                header="minus the right p, points",
            ),
            *baseline_columns(scores),
            harder_column(scores),
            *arm_costs(scores),
        ],
        name="corruption",
        title=f"Corrupted privileged input, profile {scores.profile.name}",
        caption=said,
        headers=("privileged input", "method"),
        partial=scores.partial,
    )


def minus_right(scores: ArmScores, key: str) -> Compared:
    """An arm minus the same method with the right p; nothing for that one itself."""
    base = f"{NONE}/{scores.arms[key].method}"
    return Compared() if base == key else minus_arm(scores, key, base)


def corruption_figure(scores: ArmScores, keys: Sequence[str]) -> Figure:
    """``corruption``: score against the share of wrong p, a panel per kind, a line per method."""
    from harness.show.lines import curves

    found = finding(scores, keys)
    drawn = "Lines are means, bands their intervals; a method that sees no p is flat."
    return curves(
        [_panel(scores, keys, kind) for kind in KINDS],
        title=under.title(scores, "Wrong privileged input", found),
        x_axis="training examples with a wrong p, %",
        caption=under.caption(scores, found, drawn),
    )


def finding(scores: ArmScores, keys: Sequence[str]) -> Finding:
    """Of every method and kind of wrong p, against the same method with the right one."""
    wrong = [key for key in keys if not key.startswith(NONE)]
    differences = [
        in_points(f"{scores.arms[key].label} ({scores.arms[key].block})", minus_right(scores, key).difference)
        for key in wrong
    ]
    return compared(differences, "the right p", scores.units, things="settings")


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
