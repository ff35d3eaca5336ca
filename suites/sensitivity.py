"""Figure 10: sensitivity to the weights β_w and β_l.

The paper's optimum is (0.3, 0.6). Its figure exists as a picture only and was not read, so the grid is the optimum,
half and twice of each weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness.analysis import statistics
from harness.show.tables import Cell, Table
from suites.kit import under
from suites.kit.arms import ArmScores, caption
from suites.kit.columns import ColumnOf, Subject, table
from suites.kit.comparison import comparison_table, to_baseline
from suites.kit.findings import Finding, compared, in_points
from suites.kit.variants import AnalysisSuite, Variant, best_marked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BETA_W = (0.15, 0.3, 0.6)
"""Of LL: half, once, twice the paper's."""
BETA_L = (0.3, 0.6, 1.2)
"""Of LH and HS; HT has weight 1."""
CENTRE = (0.3, 0.6)
"""The paper's."""
FRAMED = "Framed: the highest mean."
BEST = (
    "Best in: share of the bootstrap resamples of {seeds}, paired, in which no other point has a higher mean; equally "
    "good points each count. Few {seeds} make few different resamples (three {seeds}: ten)."
)


def point_key(beta_w: float, beta_l: float) -> str:
    """``0.3-0.6``."""
    return f"{beta_w:g}-{beta_l:g}"


POINTS = {point_key(bw, bl): (bw, bl) for bw in BETA_W for bl in BETA_L}


class Sensitivity(AnalysisSuite):
    """A grid of both weights."""

    name = "sensitivity"
    title = "sensitivity to the weights β_w and β_l (Figure 10)"
    paper = ("figure10",)
    seeds = (0, 1, 2)
    variants = tuple(
        Variant(
            key=key,
            label=f"β_w = {bw:g}, β_l = {bl:g}",
            method="dopd",
            settings={"beta_w": bw, "beta_l": bl},
            block="DOPD",
            baseline=point_key(*CENTRE),
        )
        for key, (bw, bl) in POINTS.items()
    )

    def tables_of(self, scores: ArmScores) -> list[Table]:
        """``figure10``: the grid, and how often each point is best; ``figure10_points``: each against the paper's."""
        return [grid_table(scores), points_table(scores)]

    def figures_of(self, scores: ArmScores) -> Mapping[str, Figure]:
        """``figure10``: the grid as a heat map."""
        from harness.show.heatmap import Matrix, heatmap

        cells, found = grid(scores), finding(scores)
        shown = Matrix(
            title="",
            row_axis=r"$\beta_w$",
            column_axis=r"$\beta_l$",
            rows=tuple(f"{bw:g}" for bw in BETA_W),
            columns=tuple(f"{bl:g}" for bl in BETA_L),
            cells=tuple(tuple(annotated(point_key(bw, bl), cells) for bl in BETA_L) for bw in BETA_W),
        )
        drawn = heatmap(
            [shown],
            title=under.title(scores, r"Weights $\beta_w$ and $\beta_l$", found),
            axis=f"{scores.label}, mean of domains, %",
            caption=under.caption(scores, found, FRAMED),
        )
        return {"figure10": drawn}


def finding(scores: ArmScores) -> Finding:
    """Each point against the paper's."""
    found = [
        in_points(scores.arms[key].label, to_baseline(scores, key).difference)
        for key, point in POINTS.items()
        if point != CENTRE
    ]
    return compared(found, "the paper's point", scores.units, things="points")


def grid(scores: ArmScores) -> dict[str, Cell]:
    """Score by point, best and second of the whole grid marked."""
    return best_marked({key: scores.cell(key, scores.inside) for key in POINTS})


def best_shares(scores: ArmScores) -> dict[str, Cell]:
    """By point, in what share of the resamples of units it is the best, percent."""
    values = {key: scores.values(key, scores.inside) for key in POINTS}
    lacking = [scores.cell(key, scores.inside).missing for key in POINTS if not values[key]]
    if lacking:
        return dict.fromkeys(POINTS, Cell(missing=f"a point of the grid: {lacking[0]}"))
    shares = {key: statistics.order_share(values, partial(is_best, key)) for key in POINTS}
    return {
        key: Cell(missing=f"needs two {scores.units.many}") if share is None else Cell(value=100 * share)
        for key, share in shares.items()
    }


def is_best(key: str, means: Mapping[str, float]) -> bool:
    """Whether no other point has a higher mean."""
    return means[key] >= max(means.values())


def annotated(key: str, cells: Mapping[str, Cell]) -> Cell:
    """A cell of the heat map: which is the paper's."""
    cell = cells[key]
    return replace(cell, notes=(*cell.notes, "paper's point")) if POINTS[key] == CENTRE else cell


def grid_table(scores: ArmScores) -> Table:
    """β_w by β_l: scores, then shares of resamples."""
    blocks = {f"{scores.label}, %": grid(scores), "best in, % of resamples": best_shares(scores)}

    def column(beta_l: float) -> ColumnOf[tuple[str, float], None]:
        return ColumnOf(
            key=f"beta_l_{beta_l:g}",
            header=f"β_l = {beta_l:g}",
            cell=lambda row: blocks[row[0]][point_key(row[1], beta_l)],
        )

    return table(
        [Subject(of=(block, bw), block=block, label=f"β_w = {bw:g}") for block in blocks for bw in BETA_W],
        [column(bl) for bl in BETA_L],
        name="figure10",
        title=f"Sensitivity to β_w and β_l, profile {scores.profile.name}",
        caption=caption(scores, scores.units.said(BEST)),
        headers=("quantity", ""),
        partial=scores.partial,
    )


def points_table(scores: ArmScores) -> Table:
    """Each point of the grid as a line."""
    return comparison_table(
        scores,
        name="figure10_points",
        title="Sensitivity to β_w and β_l, each point against the paper's",
        caption=caption(scores),
        label_header="weights",
    )
