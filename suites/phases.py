"""Where privileged input pays, where routing pays, and where each costs: a diagram over pairs of models and over how
often p is right. Not in the paper, whose pairs are found and not set.

*Privilege* is Priv. T→S minus vanilla OPD, *routing* DOPD minus Priv. T→S, the *whole* DOPD minus vanilla OPD; all from
the same runs, early and late. What teacher and student know is set cell by cell by the world whose profile names the
diagram; models that do not ship are made, once each, and resumed as any run.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from harness import registry
from harness.config import ModelSpec, RunSpec
from harness.profile import Phase
from harness.show.tables import Cell, Kind, Table, seed_cell
from harness.suite import Options, Profile, training_run
from harness.types import Corruption
from suites.kit import under
from suites.kit.arms import Arm, ArmScores, ArmSuite, caption, method_arm
from suites.kit.chosen import BASELINE, MAIN, joint_domains
from suites.kit.columns import ColumnOf, Compared, Subject, difference_columns, table
from suites.kit.comparison import minus_arm
from suites.kit.corruption import sees_p
from suites.kit.findings import Finding, compared, in_points
from suites.kit.measures import At
from suites.kit.seeds import common_seeds
from suites.kit.sentences import tests_sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.heatmap import Matrix

_, PRIVILEGED, ROUTED, EVERYWHERE = MAIN
WIDTH = 14
"""Characters of a line below a column of the diagram."""
LEVEL = 2.0
"""Points within which students, or teachers, of one axis count as equally good in a draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One method minus another, at every place of the diagram."""

    key: str
    title: str
    method: str
    base: str


CONTRASTS = (
    Contrast(key="privilege", title="privilege: Priv. T→S − vanilla", method=PRIVILEGED, base=BASELINE),
    Contrast(key="routing", title="routing: DOPD − Priv. T→S", method=ROUTED, base=PRIVILEGED),
    Contrast(key="whole", title="whole: DOPD − vanilla", method=ROUTED, base=BASELINE),
    Contrast(key="everywhere", title="DOPD, reverse KL everywhere − Priv. T→S", method=EVERYWHERE, base=PRIVILEGED),
)
WHAT = "Privilege: Priv. T→S minus vanilla OPD; routing: DOPD minus Priv. T→S; the whole: DOPD minus vanilla OPD."
ONCE = "What reads no p is trained once for all shares of right hints."


class Phases(ArmSuite):
    """Places of the profile's diagram × four methods × seeds; ``<place>/<method>``."""

    name = "phases"
    title = "where privilege and routing pay, over pairs of models and over how often p is right (not in the paper)"
    of_paper = False
    own_arms = True
    needs = ("phases",)
    seeds = (0, 1, 2)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        """At a place with wrong p only what reads p: the rest are the runs of the same pair with right p."""
        return [
            method_arm(
                method,
                {seed: phase_run(profile, options, phase, method, seed) for seed in self.chosen_seeds(options)},
                key=arm_key(phase, method),
                block=phase.label,
            )
            for phase in profile.given("phases", self.name)
            for method in MAIN
            if not phase.wrong or sees_p(profile, method)
        ]

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """Of every place, in the profile of a draw; in that of none they have no name yet."""
        if profile.data.draw is None:
            return {}
        pairs = {phase.key: phase.pair(profile.data.draw) for phase in profile.given("phases", self.name)}
        return {
            f"{key}, {role}": pair[i] for key, pair in pairs.items() for i, role in ((1, "student"), (0, "teacher"))
        }

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``phases``: a line per place, late with tests and early with intervals; ``phases_levels``: the models."""
        return [phases_table(scores), levels_table(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``phases``: late; ``phases_early`` where the profile has an early step."""
        drawn = {"phases": diagram(scores, "last")}
        return drawn if scores.early is None else drawn | {"phases_early": diagram(scores, scores.early)}


def models_of(profile: Profile, phase: Phase, seed: int) -> tuple[ModelSpec, ModelSpec]:
    """Teacher and student of a seed."""
    assert profile.draws is not None
    return phase.pair(profile.draws.of(seed))


def phase_run(profile: Profile, options: Options, phase: Phase, method: str, seed: int) -> RunSpec:
    """The profile's run of a method on the pair of a place, with its share of wrong p."""
    teacher, student = models_of(profile, phase, seed)
    domains = joint_domains(profile, options)
    spec = training_run(profile, options, method=method, domains=domains, seed=seed)
    assert spec.data is not None
    wrong = {"corruption": Corruption.WRONG_STEPS, "corrupted": phase.wrong} if phase.wrong else {}
    return replace(spec, teacher=teacher, student=student, data=replace(spec.data, **wrong))


def arm_key(phase: Phase, method: str) -> str:
    """``s0.05-calibrated/dopd``."""
    return f"{phase.key}/{method}"


def phases_of(scores: ArmScores) -> dict[str, Phase]:
    """By key."""
    return {phase.key: phase for phase in scores.profile.phases}


def key_of(scores: ArmScores, place: str, method: str) -> str:
    """The arm of a method at a place: of what reads no p, that of the same pair with right p."""
    if (own := f"{place}/{method}") in scores.arms:
        return own
    phases = phases_of(scores)
    draw = scores.profile.draws.development if scores.profile.draws else 0
    pair = phases[place].pair(draw)
    same = next(key for key, other in phases.items() if not other.wrong and other.pair(draw) == pair)
    return f"{same}/{method}"


def contrast_at(scores: ArmScores, contrast: Contrast, place: str, step: At = "last") -> Compared:
    """The difference at a place."""
    return minus_arm(
        scores,
        key_of(scores, place, contrast.method),
        key_of(scores, place, contrast.base),
        step=step,
    )


def phases_table(scores: ArmScores) -> Table:
    """Every share of cells, then the contrasts; Holm over all late ones."""
    phases = phases_of(scores)
    lines = [Subject(of=phase.key, block=phase.row, label=phase.column, ranked=False) for phase in phases.values()]
    kinds = list(dict.fromkeys(kind for phase in phases.values() for kind in phase.shares))
    columns: list[ColumnOf[str, None]] = [
        ColumnOf(
            key=f"share_{kind.replace(' ', '_')}",
            header=f"{kind} right, %",
            cell=lambda place, kind=kind: Cell(value=100 * phases[place].shares.get(kind, 0.0)),
        )
        for kind in kinds
    ]
    columns.append(
        ColumnOf(
            key="baseline",
            header="vanilla OPD, %",
            cell=lambda place: scores.cell(key_of(scores, place, BASELINE), scores.inside),
        )
    )
    for contrast in CONTRASTS:
        columns += difference_columns(
            partial(contrast_at, scores, contrast),
            key=contrast.key,
            p_key=f"{contrast.key}_p",
            header=f"{contrast.title}, points",
        )
    if scores.early is not None:
        columns += [
            ColumnOf(
                key=f"{contrast.key}_early",
                header=f"early, step {scores.early}, {contrast.key}, points",
                kind=Kind.DIFFERENCE,
                compared=partial(contrast_at, scores, contrast, step=scores.early),
            )
            for contrast in CONTRASTS
        ]
    return table(
        lines,
        columns,
        name="phases",
        title=f"Where privilege and routing pay, profile {scores.profile.name}",
        caption=partial(said_of, scores),
        headers=("pair", "hints and student"),
        partial=scores.partial,
    )


def said_of(scores: ArmScores, tests: int) -> str:
    """The table's caption; where the diagram has places with wrong p, what is trained once for all of them."""
    once = [ONCE] if any(phase.wrong for phase in scores.profile.phases) else []
    return caption(scores, WHAT, *once, f"D{tests_sentence(tests, scores.units)[1:]}")


def levels_table(scores: ArmScores) -> Table:
    """Accuracy without p of every pair, and the largest distance in a draw to the default pair's model of that role."""
    phases = {phase.key: phase for phase in scores.profile.phases if not phase.wrong}
    first = next(iter(phases))
    lines = [Subject(of=phase.key, block=phase.row, label=phase.column, ranked=False) for phase in phases.values()]

    def values(place: str, role: int) -> dict[int, float]:
        return scores.end_values(f"{place}/{BASELINE}", scores.inside)[role]

    def level(place: str, role: int) -> Cell:
        found = values(place, role)
        return seed_cell(found, {}, units=scores.units) if found else Cell(missing="not run")

    def apart(place: str, role: int) -> Cell:
        found, base = values(place, role), values(first, role)
        both = common_seeds([found, base])
        return (
            Cell(value=100 * max(abs(found[unit] - base[unit]) for unit in both)) if both else Cell(missing="not run")
        )

    columns: list[ColumnOf[str, None]] = []
    for role, name in enumerate(("student", "teacher")):
        columns += [
            ColumnOf(key=name, header=f"{name}, %", cell=partial(level, role=role)),
            ColumnOf(
                key=f"{name}_apart",
                header=f"{name}, furthest from the first line in a draw, points",
                cell=partial(apart, role=role),
            ),
        ]
    return table(
        lines,
        columns,
        name="phases_levels",
        title=f"Models of the diagram without training, profile {scores.profile.name}",
        caption=caption(
            scores,
            f"Along an axis models are to be equally good, within {LEVEL:g} points of each other in every draw; a line "
            "further away differs in level too, and is to be read so.",
        ),
        headers=("pair", "student"),
        partial=scores.partial,
    )


def matrix(scores: ArmScores, contrast: Contrast, step: At) -> Matrix:
    """Of one contrast; a frame where the interval leaves 0 out."""
    from harness.show.heatmap import Matrix

    phases = scores.profile.phases
    rows, columns = (list(dict.fromkeys(getattr(phase, name) for phase in phases)) for name in ("row", "column"))
    placed = {(phase.row, phase.column): phase.key for phase in phases}

    def cell(row: str, column: str) -> Cell:
        if (row, column) not in placed:
            return Cell()
        found = contrast_at(scores, contrast, placed[row, column], step).cell
        apart = found.value is not None and found.half is not None and abs(found.value) > found.half
        return replace(found, rank=1 if apart else 0)

    return Matrix(
        title=contrast.title,
        row_axis="",
        column_axis="",
        rows=tuple(rows),
        columns=tuple("\n".join(textwrap.wrap(column, WIDTH)) for column in columns),
        cells=tuple(tuple(cell(row, column) for column in columns) for row in rows),
        kind=Kind.DIFFERENCE,
    )


def finding(scores: ArmScores, step: At) -> Finding:
    """At how many places routing pays, and at how many it costs."""
    routing = next(each for each in CONTRASTS if each.key == "routing")
    found = [
        in_points(phase.label, contrast_at(scores, routing, phase.key, step).difference)
        for phase in scores.profile.phases
    ]
    return compared(found, registry.methods()[PRIVILEGED].label, scores.units, things="places")


def diagram(scores: ArmScores, step: At) -> Figure:
    """Privilege, routing and the whole, a matrix each."""
    from harness.show.heatmap import heatmap

    found = finding(scores, step)
    when = "late" if step == "last" else f"early, step {step}"
    drawn = "Numbers are points, with half of the interval; a frame: the interval leaves 0 out."
    return heatmap(
        [matrix(scores, contrast, step) for contrast in CONTRASTS[:3]],
        title=under.title(scores, f"Where routing pays, {when}", found),
        axis="points",
        caption=under.caption(scores, found, drawn),
    )
