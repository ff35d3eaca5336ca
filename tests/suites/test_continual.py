"""Figure 7a: the planned stages, transfer by hand, curves and matrices, from synthetic rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from scipy.stats import t
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.runs import plan
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from harness.types import HarnessError
from suites import continual
from suites.kit.arms import Arm, ArmSuite
from suites.kit.stages import StageScores, points

SUITE: Suite = registry.suite("continual")
STAGES = ("general", "reasoning", "coding")
START = {"general": 0.5, "reasoning": 0.4, "coding": 0.25}
AFTER = {
    "vanilla_opd": ((0.6, 0.4, 0.25), (0.55, 0.5, 0.25), (0.5, 0.45, 0.4)),
    "dopd": ((0.7, 0.44, 0.25), (0.7, 0.6, 0.3), (0.69, 0.59, 0.5)),
}
"""By method: a row per stage, a column per domain."""
HALF_OF_THEM = (10, 20, 40, 80, 120, 160, 200)
"""Every second checkpoint from the last one back, without step 0."""
MOVED = {0: -0.01, 1: 0.0, 2: 0.01}
"""Added to DOPD's last stage, by seed, one a draw."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    factor = 0.5 if metric == "exact_trace" else 1.0
    domain = evaluation.benchmark.removeprefix("permutations_")
    if spec.method is None or spec.data is None:
        return factor * (START[domain] if is_student(spec) else 0.8)
    matrix, stage, column = AFTER[spec.method.name], STAGES.index(spec.data.domains[0]), STAGES.index(domain)
    before = matrix[stage - 1][column] if stage else START[domain]
    share = evaluation.at(spec) / spec.steps
    own = MOVED[spec.seed] if spec.method.name == "dopd" and stage == 2 else 0.0
    return factor * (before + share * (matrix[stage][column] + own - before))


def options(root: Path, **changes: Any) -> Options:
    given = {"methods": tuple(AFTER), "seeds": (0, 1, 2), "results": root, "published": root / "published", **changes}
    return Options(suite=SUITE.name, **given)


def arms(chosen: Options, profile: str = "embedded") -> dict[str, Arm]:
    assert isinstance(SUITE, ArmSuite)
    return {arm.key: arm for arm in SUITE.arms(registry.profile(profile), chosen)}


def scores_of(chosen: Options, **how: Any) -> StageScores:
    assert isinstance(SUITE, continual.Continual)
    return SUITE.scores(*frames(chosen, score, suite=SUITE, **how), chosen)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    chosen = options(tmp_path_factory.mktemp("results"))
    return {made.name: made for made in SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Figure]:
    chosen = options(tmp_path_factory.mktemp("results"))
    return SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)


def line(made: Table, label: str, block: str = "") -> dict[str, Cell]:
    (found,) = (each for each in made.lines if each.label == label and block in ("", each.block))
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


# --- what is planned


def test_each_stage_continues_the_one_before_and_differs_in_nothing_else(tmp_path: Path) -> None:
    planned = arms(options(tmp_path, methods=None))
    assert list(planned) == [f"{d}/{m}" for d in STAGES for m in ("vanilla_opd", "dopd", "sft", "grpo")]
    for method in ("vanilla_opd", "dopd", "sft", "grpo"):
        for seed in (0, 1, 2):
            first, second, third = (planned[f"{domain}/{method}"].specs[seed] for domain in STAGES)
            assert first.data is not None and first.start == ""
            assert [s.seed for s in (first, second, third)] == [seed] * 3
            assert second == replace(first, start=first.id, data=replace(first.data, domains=("reasoning",)))
            assert third == replace(first, start=second.id, data=replace(first.data, domains=("coding",)))


@pytest.mark.parametrize("profile", ["embedded", "paper"])
def test_the_first_stage_is_a_run_of_ood(tmp_path: Path, profile: str) -> None:
    """Trained once for both."""
    chosen = options(tmp_path, profile=profile)
    ood = replace(chosen, suite="ood", train_domains=("general",))
    theirs = {s.id for s in registry.suite("ood").runs(registry.profile(profile), ood)}
    planned = arms(chosen, profile)
    assert {s.id for m in AFTER for s in planned[f"general/{m}"].specs.values()} <= theirs
    assert not {s.id for m in AFTER for s in planned[f"reasoning/{m}"].specs.values()} & theirs


def test_one_seed_is_four_methods_in_three_stages(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=None, seeds=(0,))
    planned = plan.planned(SUITE, PROFILE, chosen, tmp_path)
    assert sum(not run.spec.is_reference for run in planned) == 12
    assert len(SUITE.runs(PROFILE, replace(chosen, seeds=None))) == 2 * 3 + 3 * 12, (
        "three draws, each with untrained models of its own"
    )


def test_another_seed_adds_its_own_runs_only(tmp_path: Path) -> None:
    few, many = ({s.id for s in SUITE.runs(PROFILE, options(tmp_path, seeds=n))} for n in ((0,), (0, 1)))
    assert few < many and len(many - few) == 2 * 3 + 2, "two methods in three stages, and the draw's untrained models"


def test_what_is_evaluated(tmp_path: Path) -> None:
    specs = SUITE.runs(PROFILE, options(tmp_path, seeds=(0,)))
    reference, trained = SUITE.evaluations(specs[0]), SUITE.evaluations(specs[-1])
    benchmarks = tuple(f"permutations_{domain}" for domain in STAGES)
    assert [(e.step, e.benchmark) for e in reference] == [("last", name) for name in benchmarks]
    assert [(e.step, e.benchmark) for e in trained] == [(k, b) for k in HALF_OF_THEM for b in benchmarks]
    tenths = replace(specs[-1], extra_checkpoints=())
    assert points(tenths) == (40, 80, 120, 160, 200)
    assert points(replace(tenths, steps=3)) == (1, 3)
    assert points(replace(tenths, steps=1)) == (1,)


def test_paper_profile_asks_the_papers_benchmarks(tmp_path: Path) -> None:
    spec = SUITE.runs(registry.profile("paper"), options(tmp_path, profile="paper"))[-1]
    assert {e.benchmark for e in SUITE.evaluations(spec)} == {"livebench", "math500", "bfcl_v3"}


def test_train_domains_are_the_stages_in_their_order(tmp_path: Path) -> None:
    assert list(arms(options(tmp_path, methods=("dopd",), train_domains=("coding", "general")))) == [
        "coding/dopd",
        "general/dopd",
    ]
    for wrong in (("coding",), ("coding", "coding")):
        with pytest.raises(HarnessError, match="two or more domains, each once, of general, reasoning, coding"):
            arms(options(tmp_path, train_domains=wrong))
    with pytest.raises(HarnessError, match="unknown training domain 'codin'"):
        arms(options(tmp_path, train_domains=("codin", "general")))


# --- tables


def test_transfer_by_hand(tables: dict[str, Table]) -> None:
    vanilla, dopd = line(tables["continual"], "Vanilla OPD"), line(tables["continual"], "DOPD")
    assert vanilla["average"].value == pytest.approx(100 * (0.5 + 0.45 + 0.4) / 3)
    assert vanilla["backward"].value == pytest.approx(100 * ((0.5 - 0.6) + (0.45 - 0.5)) / 2)
    assert vanilla["forward"].value == pytest.approx(0)
    assert dopd["average"].value == pytest.approx(100 * (0.69 + 0.59 + 0.5) / 3)
    assert dopd["backward"].value == pytest.approx(-1)
    assert dopd["forward"].value == pytest.approx(100 * ((0.44 - 0.4) + (0.3 - 0.25)) / 2)
    assert dopd["average"].n == 3 and dopd["average"].half == pytest.approx(4.303 / 3**0.5, abs=0.001)
    assert dopd["average_difference"].value == pytest.approx(100 * (1.78 - 1.35) / 3)
    assert dopd["backward_difference"].value == pytest.approx(6.5)
    assert dopd["forward_p_holm"].missing == "no spread"  # before the last stage DOPD is the same in every draw
    # Deviation 1 point, two degrees of freedom; Holm doubles the smaller p only.
    assert dopd["average_p_holm"].value == pytest.approx(2 * 2 * t.sf(3**0.5 * 43 / 3, 2))
    assert dopd["backward_p_holm"].value == pytest.approx(2 * t.sf(3**0.5 * 6.5, 2))
    assert "adjusted by Holm over the 2 tests" in tables["continual"].caption
    assert vanilla["average_difference"].missing == "baseline"
    assert [vanilla[k].rank for k in ("average", "backward", "forward")] == [2, 2, 2]
    assert line(tables["continual"], "Student")["average"].value == pytest.approx(100 * 1.15 / 3)


def test_costs_are_of_all_stages(tables: dict[str, Table]) -> None:
    dopd = line(tables["continual"], "DOPD")
    assert dopd["tokens"].value == 900 and dopd["forwards"].value == 3 and dopd["seconds"].value == 93


def test_normalised_is_the_share_of_the_same_students_start(tables: dict[str, Table]) -> None:
    made = tables["figure7a"]
    dopd = line(made, "DOPD", "after 2. reasoning")
    assert dopd["general"].value == pytest.approx(140) and dopd["reasoning"].value == pytest.approx(150)
    assert dopd["coding"].value == pytest.approx(120) and dopd["mean"].value == pytest.approx(410 / 3)
    last = line(made, "DOPD", "after 3. coding")
    assert last["coding"].value == pytest.approx(200)
    assert last["coding"].half == pytest.approx(4.303 * 4 / 3**0.5, abs=0.01)  # 0.01 / 0.25
    vanilla = line(made, "Vanilla OPD", "after 3. coding")
    assert vanilla["general"].value == pytest.approx(100) and vanilla["mean_difference"].missing == "baseline"
    assert "which is 100 %" in made.caption


def test_accuracy_matrix(tables: dict[str, Table]) -> None:
    made = [each for each in tables["accuracy_matrix"].lines if each.block == "DOPD"]
    assert [each.label for each in made] == ["before", "1. general", "2. reasoning", "3. coding"]
    expected = [tuple(100 * x for x in row) for row in (tuple(START.values()), *AFTER["dopd"])]
    for each, row in zip(made, expected, strict=True):
        assert [cell.value for cell in each.cells] == pytest.approx(row)


def test_without_the_baseline_nothing_is_compared(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("dopd",), seeds=(0,))
    made = continual.transfer_table(scores_of(chosen))
    dopd = line(made, "DOPD")
    assert dopd["average_difference"] == Cell() == dopd["average_p_holm"] and "Baseline" not in made.caption
    assert dopd["average"].half is None and dopd["average"].n == 1


# --- what is missing


def test_a_stage_after_a_failed_one_says_failed(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    planned = arms(chosen)
    lost = [planned[f"{domain}/dopd"].specs[seed] for domain in STAGES[1:] for seed in (0, 1, 2)]
    rows, costs = frames(chosen, score, suite=SUITE, skip=lost)
    failed = {planned["reasoning/dopd"].specs[seed].id for seed in (0, 1, 2)}
    costs.loc[costs["run"].isin(failed), "state"] = "failed"  # the launcher does not start what continues them
    made = {table.name: table for table in SUITE.tables(rows, costs, chosen)}
    assert line(made["figure7a"], "DOPD", "after 1. general")["general"].value == pytest.approx(140)
    for stage in ("after 2. reasoning", "after 3. coding"):
        assert line(made["figure7a"], "DOPD", stage)["coding"] == Cell(missing="failed")
    dopd = line(made["continual"], "DOPD")
    assert dopd["average"] == Cell(missing="failed") == dopd["backward"]
    assert dopd["tokens"].missing == "failed" and "(partial: " in made["continual"].heading


def test_one_seed_without_its_last_stage_is_left_out_and_named(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    last = arms(chosen)["coding/dopd"].specs[2]
    dopd = line(continual.transfer_table(scores_of(chosen, skip=[last])), "DOPD")
    assert dopd["average"].n == 2 and dopd["average"].notes == ("1 of 3 not run",)
    assert dopd["average_difference"].n == 2


def test_a_stage_after_a_collapse_is_marked(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    fallen = arms(chosen)["reasoning/dopd"].specs[1]
    rows.loc[(rows["run"] == fallen.id) & (rows["step"] >= 120), "status"] = "collapsed"
    scores = replace(scores_of(chosen), rows=rows, costs=costs)
    cells = [continual.normalised_cell(scores, "dopd", stage, "general") for stage in (1, 2, 3)]
    assert [cell.notes for cell in cells] == [(), ("collapsed 1/3",), ("collapsed 1/3",)]
    along = dict(continual.path(scores, "dopd", "general"))
    assert along[280.0].notes == () and along[280.0].value is not None, "step 80 of the stage was before the collapse"
    assert along[320.0].notes == ("collapsed 1/3",)


def test_without_the_students_row_there_is_nothing_to_divide_by(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0, 1))
    student = [s for s in SUITE.runs(PROFILE, chosen) if s.is_reference and is_student(s)]
    scores = scores_of(chosen, skip=student)
    assert continual.normalised_cell(scores, "dopd", 1, "general") == Cell(missing="no score before stage 1")
    dopd = line(continual.transfer_table(scores), "DOPD")
    assert dopd["forward"].missing and dopd["average"].value is not None


# --- figures


def test_scores_along_the_stages_are_one_panel_per_method(drawn: Mapping[str, Figure]) -> None:
    axes = drawn["along_stages"].axes
    assert [ax.get_title() for ax in axes] == ["Vanilla OPD", "DOPD"]
    lines = [each for each in axes[1].get_lines() if len(each.get_xdata()) > 2]
    assert [each.get_linestyle() for each in lines] == ["-", "--", "--"]
    assert list(lines[0].get_xdata()) == [0, *(200 * stage + step for stage in range(3) for step in HALF_OF_THEM)]
    general, coding = list(lines[0].get_ydata()), list(lines[2].get_ydata())
    assert general[0] == 50 and general[7] == pytest.approx(70) and general[21] == pytest.approx(69)
    assert coding[12] == pytest.approx(28)  # step 120 of stage 2: 0.25 + 0.6 * 0.05
    borders = {float(each.get_xdata()[0]) for each in axes[0].get_lines() if len(set(each.get_xdata())) == 1}
    assert {200.0, 400.0} <= borders
    assert axes[0].get_ylim() == axes[1].get_ylim() and axes[0].get_ylim()[1] > 70
    assert "exact answer, %" in axes[0].get_ylabel(), "of the items, and not of another score"


def test_figure7a_frames_the_trained_domain_of_the_absolute_matrix(drawn: Mapping[str, Figure]) -> None:
    *axes, scale = drawn["figure7a"].axes
    assert [ax.get_title() for ax in axes] == ["Vanilla OPD", "DOPD"] and scale.get_label() == "scale"
    assert [text.get_text() for text in axes[0].get_yticklabels()] == [
        "before",
        "1. general",
        "2. reasoning",
        "3. coding",
    ]
    frames_at = [(p.get_x(), p.get_y()) for p in axes[0].patches if not p.get_fill()]
    assert frames_at == [pytest.approx((k + 0.05, k + 1.05)) for k in range(3)]
    assert [text.get_text() for text in axes[0].texts][:3] == [
        f"{before}\n±0.0" for before in ("50.0", "40.0", "25.0")
    ], "of the three draws' own students"


def test_the_finding_of_continual_learning_is_of_the_average_after_the_last_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = scores_of(options(tmp_path))
    found = continual.finding(scores)
    dopd, vanilla = (scores.average(method) for method in ("dopd", "vanilla_opd"))
    difference = scores.units.paired_difference(dopd, vanilla)
    assert difference is not None and found.short == "DOPD above Vanilla OPD"
    assert f"{100 * difference.mean:.1f} ±" in found.sentence and "n = 3 draws" in found.sentence
    monkeypatch.setitem(AFTER, "sft", AFTER["vanilla_opd"])
    alone = continual.finding(scores_of(options(tmp_path, methods=("dopd", "sft"))))
    assert "highest of 2" in alone.short


def test_a_method_without_rows_has_no_line_and_says_why(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0, 1))
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "dopd"]
    axes = continual.curve_figure(scores_of(chosen, skip=lost)).axes
    assert {"general, not run", "coding, not run"} <= {text.get_text() for text in axes[1].texts}
    points_of = [len(each.get_xdata()) for each in axes[0].get_lines()]
    assert points_of.count(1 + 3 * len(HALF_OF_THEM)) == 3
    assert max(len(each.get_xdata()) for each in axes[1].get_lines()) == 2, "the untrained student alone is no curve"
    assert axes[0].get_xlim() == axes[1].get_xlim()


def test_the_paper_states_no_number_of_figure7a() -> None:
    chosen = Options(suite=SUITE.name, source="paper")
    rows, costs = results.load("paper", SUITE, PROFILE, chosen)
    assert [made.name for made in SUITE.tables(rows, costs, chosen)] == ["figure7a_paper"]
    assert rows.empty and SUITE.figures(rows, costs, chosen) == {}
