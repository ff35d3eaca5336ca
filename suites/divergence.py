"""Table 7: divergence × granularity, the same for every token.

The uniform row has one number in the paper's Tables 6, 7 and 8 (41.3), so the teacher is read as seeing p here as
there; the paper also calls that row equivalent to vanilla OPD, so all nine cells stand beside it without p.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.config import RunSpec
from harness.losses.objectives import Divergence, Granularity
from harness.show.tables import Table
from harness.suite import Evaluation
from harness.types import PLAIN, PRIVILEGED
from suites.kit import under
from suites.kit.arms import ArmScores, caption
from suites.kit.comparison import ArmColumn, to_baseline
from suites.kit.curves import ENTROPY, MILLI, training_read
from suites.kit.findings import Finding, compared, in_points
from suites.kit.support import FEW, outside_columns, support_read
from suites.kit.support import WHAT as OUTSIDE_WHAT
from suites.kit.variants import SHARES_SENTENCE, AnalysisSuite, Variant, along_the_run, best_marked, settings_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.show.heatmap import Matrix

DIVERGENCES = {Divergence.FORWARD_KL: "forward KL", Divergence.REVERSE_KL: "reverse KL", Divergence.JS: "JS"}
GRANULARITIES = {
    Granularity.SAMPLED: "sampled token",
    Granularity.TOP_K: "top-k",
    Granularity.FULL: "full vocabulary",
}
METHODS = {PRIVILEGED: "privileged_teacher", PLAIN: "vanilla_opd"}
"""On-policy distillation from a teacher that sees p, or does not."""
SHARED: Mapping[tuple[str, Divergence, Granularity], tuple[str, Mapping[str, Any]]] = {
    (PRIVILEGED, Divergence.JS, Granularity.TOP_K): ("dopd_ablation", {"adaptive": False}),
    (PLAIN, Divergence.JS, Granularity.TOP_K): ("dopd_ablation", {"adaptive": False, "uniform_context": PLAIN}),
    (PLAIN, Divergence.REVERSE_KL, Granularity.SAMPLED): ("vanilla_opd_sampled", {}),
}
"""Cells that are another name's run: the uniform rows of Tables 6 and 8, and vanilla OPD (sampled)."""
ON = {Granularity.SAMPLED: "the sampled token", Granularity.TOP_K: "top-k", Granularity.FULL: "the full vocabulary"}
FRAMED = "Each is compared within its matrix; framed: the best of one."
PREFIX = {PRIVILEGED: "", PLAIN: "plain/"}
SAME_RUNS = (
    "JS on top-k is the uniform row of Tables 6 and 8, whose runs score one view more; reverse KL on top-k is {}: the "
    "same runs. A loss of the sampled token is an estimate from a single sample."
)


FEW_LABEL = f"top-k, k = {FEW}"


def cell_key(context: str, divergence: Divergence, granularity: Granularity) -> str:
    """``js/full``; ``plain/js/full`` for the teacher without p."""
    return f"{PREFIX[context]}{divergence}/{granularity}"


def cell_variant(context: str, divergence: Divergence, granularity: Granularity) -> Variant:
    """One cell, compared with the one that is the paper's best."""
    own = (METHODS[context], {"divergence": divergence.value, "granularity": granularity.value})
    method, settings = SHARED.get((context, divergence, granularity), own)
    return Variant(
        key=cell_key(context, divergence, granularity),
        label=GRANULARITIES[granularity],
        method=method,
        settings=settings,
        block=DIVERGENCES[divergence],
        baseline=cell_key(context, Divergence.JS, Granularity.FULL),
        by_support=granularity is Granularity.TOP_K,
    )


def few_key(context: str, divergence: Divergence) -> str:
    """``js/top_k_few``."""
    return f"{cell_key(context, divergence, Granularity.TOP_K)}_few"


def few_variant(context: str, divergence: Divergence) -> Variant:
    """The same on fewer tokens."""
    settings = {"divergence": divergence.value, "granularity": Granularity.TOP_K.value, "k": FEW}
    return Variant(
        key=few_key(context, divergence),
        label=FEW_LABEL,
        method=METHODS[context],
        settings=settings,
        block=DIVERGENCES[divergence],
        baseline=cell_key(context, Divergence.JS, Granularity.FULL),
        by_support=True,
        optional=True,
    )


class UniformObjectives(AnalysisSuite):
    """Nine cells, with p at the teacher and without."""

    name = "divergence"
    title = "divergence and granularity, the same for every token (Table 7)"
    paper = ("table7",)
    seeds = (0, 1, 2)
    variants = (
        *(cell_variant(c, d, g) for c in METHODS for d in DIVERGENCES for g in GRANULARITIES),
        *(few_variant(c, d) for c in METHODS for d in DIVERGENCES),
    )

    def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
        """At the shares of a run that the table shows; the entropy of training at its end; what lies outside the
        top-k, where arms of another k are compared."""
        if spec.is_reference:
            return along_the_run(spec)
        compared = self.compares_k(registry.profile(spec.profile))
        return (*along_the_run(spec), training_read("last"), *(support_read(spec) if compared else ()))

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``table7``: the teacher with p; ``table7_plain``: without."""
        return [table7(scores, context) for context in METHODS]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``table7``: both readings as matrices, at the last step."""
        from harness.show.heatmap import heatmap

        found = finding(scores)
        drawn = heatmap(
            [matrix(scores, context) for context in METHODS],
            title=under.title(scores, "One objective for all tokens", found),
            axis=f"{scores.label}, mean of domains, %",
            caption=under.caption(scores, found, FRAMED),
        )
        return {"table7": drawn}


def finding(scores: ArmScores) -> Finding:
    """Each cell against the paper's best of its matrix."""
    found = [
        in_points(cell_words(context, d, g), to_baseline(scores, key).difference)
        for context in METHODS
        for d in DIVERGENCES
        for g in GRANULARITIES
        if scores.arms[key := cell_key(context, d, g)].baseline != key and scores.arms[key].ranked
    ]
    base = f"{DIVERGENCES[Divergence.JS]} on {ON[Granularity.FULL]}"
    return compared(found, base, scores.units, things="objectives")


def cell_words(context: str, divergence: Divergence, granularity: Granularity) -> str:
    """``reverse KL on top-k, without p``."""
    where = f"{DIVERGENCES[divergence]} on {ON[granularity]}"
    return where if context == PRIVILEGED else f"{where}, without p"


def granularities(scores: ArmScores) -> dict[str, Callable[[str, Divergence], str]]:
    """Key of a cell by the words of its column; fewer tokens where these arms are there."""
    found = {words: partial(_at, granularity) for granularity, words in GRANULARITIES.items()}
    few = few_key(PRIVILEGED, Divergence.JS) in scores.arms
    return found | ({FEW_LABEL: few_key} if few else {})


def _at(granularity: Granularity, context: str, divergence: Divergence) -> str:
    return cell_key(context, divergence, granularity)


def keys_of(scores: ArmScores, context: str) -> list[str]:
    """Arms of one reading."""
    return [key(context, d) for d in DIVERGENCES for key in granularities(scores).values()]


def table7(scores: ArmScores, context: str) -> Table:
    """Nine cells along the run, in one ranking."""
    without = "" if context == PRIVILEGED else ", teacher without p"
    other = "Priv. T→S" if context == PRIVILEGED else "vanilla OPD"
    return settings_table(
        scores,
        name="table7" if context == PRIVILEGED else "table7_plain",
        title=f"Divergence and granularity, the same for all tokens{without}",
        caption=caption(
            scores, SAME_RUNS.format(other), SHARES_SENTENCE, *([OUTSIDE_WHAT] if outside_columns(scores) else [])
        ),
        keys=keys_of(scores, context),
        headers=("divergence", "granularity"),
        extras=[
            ArmColumn(
                key="entropy",
                header="entropy at the end, millinats",
                cell=lambda key: scores.cell_of(key, scores.values(key, [ENTROPY]), MILLI),
            ),
            *outside_columns(scores),
        ],
    )


def matrix(scores: ArmScores, context: str) -> Matrix:
    """Score at the end by divergence and granularity."""
    from harness.show.heatmap import Matrix

    found = {key: scores.cell(key, scores.inside) for key in keys_of(scores, context)}
    cells = found | best_marked({key: cell for key, cell in found.items() if scores.arms[key].ranked})
    columns = granularities(scores)
    return Matrix(
        title=f"teacher {'with' if context == PRIVILEGED else 'without'} p",
        row_axis="divergence",
        column_axis="granularity",
        rows=tuple(DIVERGENCES.values()),
        columns=tuple(columns),
        cells=tuple(tuple(cells[key(context, d)] for key in columns.values()) for d in DIVERGENCES),
    )
