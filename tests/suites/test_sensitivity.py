"""Figure 10 from synthetic rows: the grid, its best point, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite

SUITE: Suite = registry.suite("sensitivity")
KEYS = ["0.15-0.3", "0.15-0.6", "0.15-1.2", "0.3-0.3", "0.3-0.6", "0.3-1.2", "0.6-0.3", "0.6-0.6", "0.6-1.2"]
VALUES = {(0.3, 0.6): (0.54, 0.54, 0.54), (0.6, 0.3): (0.53, 0.53, 0.59)}
"""By seed: the second has the higher mean, by its last seed alone; all others 0.50."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    if spec.method is None:
        return factor * (0.4 if is_student(spec) else 0.6)
    s = spec.method.settings
    return factor * VALUES.get((s["beta_w"], s["beta_l"]), (0.5, 0.5, 0.5))[spec.seed]


def options(root: Path, **changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"results": root, "published": root / "published", **changes})


def arms(root: Path) -> dict[str, Any]:
    return {arm.key: arm for arm in SUITE.arms(PROFILE, options(root))}  # type: ignore[attr-defined]


def grids(made: Table) -> dict[tuple[str, str], list[Cell]]:
    return {(each.block, each.label): list(each.cells) for each in made.lines}


def test_points_differ_in_the_two_weights(tmp_path: Path) -> None:
    made = arms(tmp_path)
    assert list(made) == KEYS
    usual = made["0.3-0.6"].spec.method.settings
    for key, arm in made.items():
        w, l = map(float, key.split("-"))  # noqa: E741
        assert arm.spec.method.settings == {**usual, "beta_w": w, "beta_l": l}


def test_the_papers_point_is_dopds_run(tmp_path: Path) -> None:
    theirs = Options(suite="in_distribution", seeds=(0, 1, 2), published=tmp_path / "published")
    ids = {spec.id for spec in registry.suite("in_distribution").runs(PROFILE, theirs)}
    shared = [key for key, arm in arms(tmp_path).items() if {spec.id for spec in arm.specs.values()} <= ids]
    assert shared == ["0.3-0.6"]


def test_the_grid_and_how_often_each_point_is_the_best(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    made = {each.name: each for each in SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)}
    cells = grids(made["figure10"])
    scores = [cells["exact answer, %", f"β_w = {w}"] for w in ("0.15", "0.3", "0.6")]
    assert [[c.value for c in row] for row in scores] == [
        pytest.approx(row) for row in ([50, 50, 50], [50, 54, 50], [55, 50, 50])
    ]
    assert scores[2][0].rank == 1 and scores[1][1].rank == 2 and scores[0][0].rank == 0
    # Seed 2 k times of three: means .53 + .02 k against .54. k = 0 in (2/3)^3 = 8/27, else the other is ahead.
    often = [cells["best in, % of resamples", f"β_w = {w}"] for w in ("0.15", "0.3", "0.6")]
    assert often[1][1].value == pytest.approx(100 * 8 / 27) and often[2][0].value == pytest.approx(100 * 19 / 27)
    assert often[0][0].value == 0


def test_each_point_against_the_papers(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    _, points = SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)
    lines = {each.label: dict(zip((c.key for c in points.columns), each.cells, strict=True)) for each in points.lines}
    assert lines["β_w = 0.3, β_l = 0.6"]["difference"].missing == "baseline"
    other = lines["β_w = 0.6, β_l = 0.3"]["difference"]
    # -1, -1, +5 points.
    assert other.value == pytest.approx(1.0) and other.half == pytest.approx(4.303 * 3.4641 / 3**0.5, abs=0.01)
    assert "Baseline: β_w = 0.3, β_l = 0.6" in points.caption


def test_without_a_point_there_is_no_best(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE, skip=list(arms(tmp_path)["0.15-1.2"].specs.values()))
    fallen = arms(tmp_path)["0.6-0.6"].specs[1].id
    rows.loc[rows["run"] == fallen, "status"] = "collapsed"
    made, _ = SUITE.tables(rows, costs, chosen)
    cells = grids(made)
    assert cells["exact answer, %", "β_w = 0.15"][2] == Cell(missing="not run")
    assert cells["best in, % of resamples", "β_w = 0.3"][1] == Cell(missing="a point of the grid: not run")
    assert "collapsed 1/3" in cells["exact answer, %", "β_w = 0.6"][1].notes
    assert made.partial == "30 of 33 runs done"
    single = options(tmp_path, seeds=(1,))
    alone, _ = SUITE.tables(*frames(single, score, suite=SUITE), single)
    assert grids(alone)["best in, % of resamples", "β_w = 0.3"][1] == Cell(missing="needs two draws")


def test_figure_is_a_heat_map_with_the_best_framed(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    axes, scale = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)["figure10"].axes
    words = [text.get_text() for text in axes.texts]
    assert len(words) == 9 and words[6] == "55.0\n±8.6" and words[4].endswith("paper's point")
    assert [text.get_text() for text in scale.texts] == ["exact answer, mean of domains, %"]
    frames_drawn = [patch for patch in axes.patches if not patch.get_fill()]
    assert [(patch.get_x() // 1, patch.get_y() // 1) for patch in frames_drawn] == [(0, 2)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.3", "0.6", "1.2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.15", "0.3", "0.6"]


def test_the_scale_of_the_heat_map_is_drawn_and_no_picture_in_one(tmp_path: Path) -> None:
    """The report's page allows no picture from elsewhere, not even one within a drawing."""
    chosen = options(tmp_path)
    figure = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)["figure10"]
    figure.savefig(tmp_path / "figure10.svg")
    assert "<image" not in (tmp_path / "figure10.svg").read_text(encoding="utf-8")
