"""Table 3, Figures 6a and 6b: five pairs of models; and what the paper names as a limit and never measures.

The paper's pairs are sizes of Qwen3, here they are rungs of the profile's ladder. Its limitation is the privileged
input's quality: ``suites.kit.corruption`` makes p wrong in part of the training examples, and one more pair has a
teacher that is worse than its student as long as it does not see p.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from harness import registry
from harness.config import ModelSpec
from harness.profile import Ladder
from harness.show.tables import Cell, Kind, Table
from harness.suite import Options, Profile, training_run
from suites.kit import under
from suites.kit.arms import Arm, ArmScores, caption, method_arm
from suites.kit.chosen import BASELINE, joint_domains, selected_methods
from suites.kit.columns import table
from suites.kit.comparison import (
    ArmColumn,
    arm_lines,
    comparison_table,
    gain_column,
    gain_of,
    recovery_column,
    recovery_of,
    to_baseline,
)
from suites.kit.corruption import corruption_arms, corruption_figure, corruption_table
from suites.kit.dots import base_label
from suites.kit.findings import Finding, compared, in_points
from suites.kit.items import arm_items
from suites.kit.lines import cell_series
from suites.kit.looks import method_look
from suites.paper.numbers import PaperNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.lines import Series

METHODS = ("vanilla_opd", "dopd")
"""Of the pairs, Table 3's."""
ERRING_METHODS = ("vanilla_opd", "privileged_teacher", "dopd")
ERRING_BLOCK = "a teacher that errs"
STYLES: tuple[Literal["solid", "dashed"], ...] = ("solid", "dashed")
"""Of the lines of the first and the second student, as in the paper."""
WEIGHTS = "Every model of the ladder is fixed weights."
Pair = tuple[str, str]
"""Teacher and student, names of the profile's ladder."""


class Robustness(PaperNumbers):
    """Pairs × methods, corruptions × methods, an erring teacher × methods; × seeds."""

    name = "robustness"
    needs = ("ladder",)
    title = "five pairs of models (Table 3, Figure 6); wrong privileged input, a teacher that errs"
    paper = ("table3", "figure6")

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """The whole ladder, strongest first."""
        return dict(reversed(list(ladder(profile).models.items())))

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """``<teacher>-<student>/<method>``, then ``<corruption>-<percent>/<method>``, then the erring teacher's."""
        seeds = self.chosen_seeds(options)
        erring = pair_arms(
            profile, options, seeds, ladder(profile).erring, selected_methods(options, ERRING_METHODS), ERRING_BLOCK
        )
        pairs = [
            arm
            for pair in ladder(profile).pairs
            for arm in pair_arms(
                profile, options, seeds, pair, selected_methods(options, METHODS), f"{pair[0]} → {pair[1]}"
            )
        ]
        return [*pairs, *corruption_arms(profile, options, seeds), *erring]

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table3``, ``table3_items``, ``figure6`` (its points), ``corruption`` if a method sees p,
        ``erring_teacher``."""
        corrupted = corrupted_keys(scores)
        main = table3(scores)
        return [
            main,
            *arm_items(scores, main, paired_keys(scores)),
            figure6_table(scores),
            *([corruption_table(scores, corrupted)] if corrupted else []),
            erring_table(scores),
        ]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure6a``: gain, ``figure6b``: gap closed, against the pair's ratio; ``corruption``."""
        drawn = {
            "figure6a": figure6(scores, gain_of, "Gain by pair", "gain over the student, points"),
            "figure6b": figure6(scores, recovery_of, "Gap closed by pair", "share of the gap to the teacher closed, %"),
        }
        if corrupted := corrupted_keys(scores):
            drawn["corruption"] = corruption_figure(scores, corrupted)
        return drawn


def ladder(profile: Profile) -> Ladder:
    """The profile's. Raises HarnessError: it has none."""
    return profile.given("ladder", Robustness.name)


def pair_arms(
    profile: Profile, options: Options, seeds: Sequence[int], pair: Pair, names: Sequence[str], block: str
) -> list[Arm]:
    """One per method, on all domains together."""
    domains = joint_domains(profile, options)

    def models(seed: int) -> dict[str, ModelSpec]:
        rungs = ladder(profile.at(seed)).models
        return dict(zip(("teacher", "student"), (rungs[name] for name in pair), strict=True))

    return [
        method_arm(
            name,
            {
                seed: training_run(profile, options, method=name, domains=domains, seed=seed, **models(seed))
                for seed in seeds
            },
            key=pair_key(pair, name),
            block=block,
            baseline=pair_key(pair, BASELINE) if BASELINE in names else "",
        )
        for name in names
    ]


def pair_key(pair: Pair, method: str) -> str:
    """``strong-small/dopd``."""
    return f"{'-'.join(pair)}/{method}"


def pair_keys(scores: ArmScores, pair: Pair) -> list[str]:
    """Arms of one pair, with the right p."""
    return [key for key in scores.arms if key.startswith(pair_key(pair, ""))]


def paired_keys(scores: ArmScores) -> list[str]:
    """Arms of Table 3."""
    return [key for pair in ladder(scores.profile).pairs for key in pair_keys(scores, pair)]


def corrupted_keys(scores: ArmScores) -> list[str]:
    """Arms of ``suites.kit.corruption``: all that are of no pair."""
    rungs = ladder(scores.profile)
    paired = {key for pair in (*rungs.pairs, rungs.erring) for key in pair_keys(scores, pair)}
    return [key for key in scores.arms if key not in paired]


def table3(scores: ArmScores) -> Table:
    """Every model of the ladder, then the pairs, each ranked by itself."""
    return comparison_table(
        scores,
        name="table3",
        title="Pairs of teacher and student",
        caption=caption(scores, WEIGHTS, "Gain and gap are of the pair's own student and teacher, both without p."),
        block_header="teacher → student",
        arms=paired_keys(scores),
    )


def erring_table(scores: ArmScores) -> Table:
    """A teacher below its student: nothing to recover, so the gain says whether it does harm."""
    teacher, student = pair = ladder(scores.profile).erring
    return comparison_table(
        scores,
        name="erring_teacher",
        title="A teacher that errs",
        caption=caption(
            scores,
            WEIGHTS,
            f"Without p, {teacher} is worse than its student {student}; with p it may be right all the same.",
        ),
        block_header="pair",
        arms=pair_keys(scores, pair),
        references={
            f"{name} ({role})": ladder(scores.profile).models[name]
            for name, role in ((teacher, "teacher"), (student, "student"))
        },
    )


def ratio(scores: ArmScores, pair: Pair) -> float | None:
    """Of the profile's parameters, or of accuracies without p where those say nothing; None without reference rows."""
    if sizes := ladder(scores.profile).parameters:
        return sizes[pair[0]] / sizes[pair[1]]
    teacher, student = (scores.reference(ladder(scores.profile).models[name], scores.inside) for name in pair)
    return teacher / student if teacher is not None and student else None


def ratio_cell(scores: ArmScores, pair: Pair) -> Cell:
    """To two decimals."""
    found = ratio(scores, pair)
    return Cell(missing="no reference row") if found is None else Cell(value=round(found, 2))


def figure6_table(scores: ArmScores) -> Table:
    """The points of Figure 6."""
    pair_of = {key: pair for pair in ladder(scores.profile).pairs for key in pair_keys(scores, pair)}
    lines = [replace(line, ranked=False) for line in arm_lines(scores, pair_of)]
    return table(
        lines,
        [
            ArmColumn(key="ratio", header="ratio", kind=Kind.RATE, cell=lambda key: ratio_cell(scores, pair_of[key])),
            replace(gain_column(scores), header="gain, points"),
            replace(recovery_column(scores), header="gap closed, %"),
        ],
        name="figure6",
        title=f"Gain and gap closed against the ratio of teacher and student, profile {scores.profile.name}",
        caption=caption(scores, ladder(scores.profile).ratio, WEIGHTS),
        headers=("teacher → student", "method"),
        partial=scores.partial,
    )


def figure6(scores: ArmScores, of: Callable[[ArmScores, str], Cell], title: str, axis: str) -> Figure:
    """A line per method and student; the first student solid, the second dashed."""
    from harness.show.lines import LinePanel, curves

    students = list(dict.fromkeys(student for _, student in ladder(scores.profile).pairs))
    methods = dict.fromkeys(
        scores.arms[key].method for pair in ladder(scores.profile).pairs for key in pair_keys(scores, pair)
    )
    series = [
        ratio_line(scores, method, student, style, of)
        for method in methods
        for student, style in zip(students, STYLES, strict=True)
    ]
    solid, dashed = students
    what = "parameters" if ladder(scores.profile).parameters else "accuracy without p"
    found = pairs_finding(scores)
    drawn = (
        f"Solid: student {solid}; dashed: student {dashed}. Whiskers are intervals; nothing is known between points."
    )
    return curves(
        [LinePanel(title="", y_axis=axis, series=tuple(series))],
        title=under.title(scores, title, found),
        x_axis=f"{what}: teacher ÷ student",
        caption=under.caption(scores, found, drawn),
        log_x=True,
    )


def pairs_finding(scores: ArmScores) -> Finding:
    """Of every method in every pair, against the baseline of that pair; in points of the score."""
    compares = [key for key in paired_keys(scores) if scores.arms[key].baseline not in ("", key)]
    found = [
        in_points(f"{scores.arms[key].label} ({scores.arms[key].block})", to_baseline(scores, key).difference)
        for key in compares
    ]
    return compared(found, base_label(scores, compares) or "a baseline", scores.units, things="comparisons")


def ratio_line(
    scores: ArmScores,
    method: str,
    student: str,
    style: Literal["solid", "dashed"],
    of: Callable[[ArmScores, str], Cell],
) -> Series:
    """One method on one student, by rising ratio; a pair without a ratio has no place on the axis."""
    pairs = [pair for pair in ladder(scores.profile).pairs if pair[1] == student]
    placed = {x: of(scores, pair_key(pair, method)) for pair in pairs if (x := ratio(scores, pair)) is not None}
    label = registry.methods()[method].label
    at = sorted(placed.items()) or [(0.0, Cell(missing="no reference rows"))]
    return cell_series(f"{label}, {student}", at, line=style, look=method_look(method))
