"""What of a score is the draw's and what the seed's: a table for suites whose arms have several seeds a draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from harness.analysis.units import Variance, variance
from harness.show.tables import Cell, Kind, Table
from suites.kit.arms import ArmScores, baseline_words, caption
from suites.kit.columns import ColumnOf, Subject, table
from suites.kit.seeds import minus

WHAT = (
    "Variance components of one random effect, the draw; of a score, and of the difference to the baseline seed by "
    "seed. Between seeds: of one draw, the root of its variance; between draws: the same, the seeds' part taken off "
    "(0 where that is all there is). A draw's items, models and tables are its own, so their noise is between draws."
)
SCORE, DIFFERENCE = "score", "minus baseline"


def variance_tables(scores: ArmScores) -> list[Table]:
    """``variance``: arms that have several seeds in some draw, mean of the trained range; none without such arms."""
    found = {SCORE: _parts(scores, scores.arms, lambda key: scores.seed_values(key, scores.inside))}
    compared = [key for key, arm in scores.arms.items() if arm.baseline not in ("", key)]
    found[DIFFERENCE] = _parts(scores, compared, lambda key: _difference(scores, key))
    lines = [
        Subject(of=part, block=block, label=scores.arms[key].label, ranked=False)
        for block, parts in found.items()
        for key, part in parts.items()
    ]
    if not lines:
        return []
    words = baseline_words(scores, found[DIFFERENCE])
    columns: list[ColumnOf[Variance, None]] = [
        ColumnOf(key="between_draws", header="between draws, points", cell=lambda part: _deviation(part.draws)),
        ColumnOf(key="between_seeds", header="between seeds, points", cell=lambda part: _deviation(part.seeds)),
        ColumnOf(key="share", header="of the variance between draws, %", cell=_share),
        ColumnOf(key="draws", header="draws", kind=Kind.COUNT, cell=lambda part: Cell(value=part.n)),
        ColumnOf(key="runs", header="runs", kind=Kind.COUNT, cell=lambda part: Cell(value=part.runs)),
    ]
    made = table(
        lines,
        columns,
        name="variance",
        title=f"What is the draw's and what the seed's, profile {scores.profile.name}",
        caption=caption(scores, WHAT, f"Baseline: {words}." if words else ""),
        headers=("of", "method"),
        partial=scores.partial,
    )
    return [made]


def _parts(
    scores: ArmScores, keys: Mapping[str, object] | list[str], of: Callable[[str], Mapping[int, float]]
) -> dict[str, Variance]:
    found = {key: variance(scores.units, of(key)) for key in keys}
    return {key: part for key, part in found.items() if part is not None}


def _difference(scores: ArmScores, key: str) -> dict[int, float]:
    base = scores.arms[key].baseline
    return minus(scores.seed_values(key, scores.inside), scores.seed_values(base, scores.inside))


def _deviation(variance_: float) -> Cell:
    """In points, of a variance of shares."""
    return Cell(value=100 * math.sqrt(variance_))


def _share(part: Variance) -> Cell:
    return Cell(missing="no spread") if part.share is None else Cell(value=100 * part.share)
