"""Which words each method learns, keeps and loses, by who of the untrained pair was right: not in the paper.

Routing between two sources can pay only where one of them is right and the other is not. Here every word that x decides
is told apart by which of the two, both shown p, had it right before training; and tokens of rollouts by where the rule
routes them, beside what it would do if all followed from the student's own mass on the teacher's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from harness.config import ModelSpec, RunSpec
from harness.evaluation.audits import CLASSES, SOURCE_OF
from harness.show.lines import LinePanel
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Profile
from suites.kit.arms import ArmScores
from suites.kit.audited import Audited, AuditSuite, Place, asked, steps
from suites.kit.chosen import BASELINE, MAIN
from suites.kit.columns import ColumnOf, cost_columns, table
from suites.kit.curves import step_figure
from suites.kit.findings import Finding, compared, in_points
from suites.kit.lines import WHOLE
from suites.kit.looks import label_look
from suites.kit.sentences import SECONDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS, ROUTES = "cells", "routes"
WORDS = {
    "right": "right, %",
    "probability": "its probability, %",
    "learnt": "learnt, %",
    "lost": "lost, %",
}
"""Metrics of ``cells``, over the words of a class."""
READ = (
    "Words: the student reads, without p, reference responses of {items} test problems; those that x decides, by which "
    "of the untrained pair, shown p, has the word right"
)
MEANING = (
    "Learnt: right now, of the words that were wrong before training; lost: wrong now, of those then right. Routed: "
    "tokens of rollouts without p that are judged, by DOPD's rule, whatever the run was trained by. Expected in HT: "
    "the student's own mass, without p, on the teacher's word; before training, where the teacher alone is right, HT "
    "is to hold it. Mean A: distance of the two policies that see p, over all tokens, the same in all lines of a step."
)
COSTS = "Costs are of the whole run, the same in all of its lines."


class CellAudit(AuditSuite):
    """The main arms × seeds on all domains together, read before, early, half-way and at the end."""

    name = "cell_audit"
    audit = CELLS
    title = "which words each method learns, keeps and loses, by who was right before (not in the paper)"
    of_paper = False
    methods = MAIN

    def models(self, profile: Profile) -> dict[str, ModelSpec]:
        """None: step 0 of a run is the untrained student."""
        return {}

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """Both audits along the run."""
        return tuple(asked(audit, step) for step in steps(spec) for audit in (CELLS, ROUTES))

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``cell_audit``: a block per method and step, a line per class."""
        return [cells_table(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``cell_audit``: what is right along the run, a panel per class."""
        audited = Audited(scores=scores, audit=CELLS)
        drawn = step_figure(
            scores,
            [right_panel(audited, name) for name in CLASSES],
            topic="Words that the student alone had right",
            finding=kept(audited),
            drawn="Classes are of the untrained student and teacher, both shown p; what is drawn is read without p.",
            words="most probable word right",
            items=f"{audited.items} test problems",
        )
        return {"cell_audit": drawn}


def kept(audited: Audited) -> Finding:
    """Who keeps more of what the student alone had right than vanilla OPD does."""
    arms, metric = audited.scores.arms, "student_only/right"
    if BASELINE not in arms:
        return Finding(short="no baseline asked for", sentence=f"{BASELINE} is not among the methods asked for.")
    measures = audited.measures(metric)
    return compared(
        [
            in_points(arm.label, audited.scores.difference(key, BASELINE, measures))
            for key, arm in arms.items()
            if key != BASELINE
        ],
        arms[BASELINE].label,
        audited.scores.units,
    )


def right_panel(audited: Audited, name: str) -> LinePanel:
    """One class: a line per arm."""
    return LinePanel(
        title=f"right before: {name.replace('_', ' ')}",
        y_axis="right, %",
        series=tuple(
            audited.curve(key, f"{name}/right", label=arm.label, look=label_look(arm.label))
            for key, arm in audited.scores.arms.items()
        ),
        y_limits=WHOLE,
    )


def cells_table(scores: ArmScores) -> Table:
    """Words and what became of them; tokens of rollouts and where they go."""
    words, routed = (Audited(scores=scores, audit=audit) for audit in (CELLS, ROUTES))

    routes = [
        ColumnOf(key=f"routed_{regime}", header=f"routed to {regime}, %", cell=partial(_routed, routed, regime))
        for regime in SOURCE_OF
    ]
    return table(
        words.lines(CLASSES),
        [
            words.part_column("share", "of words, %"),
            *(words.part_column(metric, header) for metric, header in WORDS.items()),
            ColumnOf(key="routed_share", header="of judged tokens, %", cell=partial(_routed, routed, "share")),
            *routes,
            ColumnOf(key="expected", header="expected in HT, %", cell=partial(_routed, routed, "expected")),
            ColumnOf(key="gap", header="mean A, 1/100 nats", cell=lambda at: routed.cell(at.key, "gap", at.step)),
            *cost_columns(words.runs_at),
        ],
        name="cell_audit",
        title=f"What is learnt, kept and lost, profile {scores.profile.name}",
        caption=words.caption(READ, MEANING, COSTS, SECONDS),
        headers=("run", "right before"),
        partial=scores.partial,
    )


def _routed(audited: Audited, metric: str, at: Place) -> Cell:
    return audited.cell(at.key, f"{at.part}/{metric}", at.step)
