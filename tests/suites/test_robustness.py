"""Table 3, Figures 6a and 6b, corrupted privileged input and the erring teacher, from synthetic rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from support import language
from support.synthetic import PROFILE, frames

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.models import zoo
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from harness.types import Corruption
from suites import robustness
from suites.kit import corruption
from suites.kit.arms import Arm, ArmScores, ArmSuite
from suites.kit.lines import cell_series

SUITE: Suite = registry.suite("robustness")
BASE = {"small": 0.3, "base": 0.45, "mid": 0.65, "strong": 0.95}
"""By the names that the ladder gives to the models of every draw."""
GAIN = {"vanilla_opd": 0.06, "privileged_teacher": 0.07, "dopd": 0.09}
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02}
MOVED = {0: 0.0, 1: 0.003, 2: 0.0}
"""Added to DOPD, so that its difference to the baseline has a spread."""
HARM = {Corruption.WRONG_STEPS: 0.2, Corruption.SHUFFLED_STEPS: 0.04, Corruption.OTHER_EXAMPLE: 0.1}
"""Of p wrong in all of the examples."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    spec = PROFILE.of_all_draws(spec)
    start = BASE[spec.student.name]
    if spec.method is None or spec.data is None or spec.teacher is None:
        return factor * start
    harm = HARM[spec.data.corruption] * spec.data.corrupted if spec.data.corrupted else 0.0
    own = MOVED[spec.seed] if spec.method.name == "dopd" else 0.0
    bonus = 0.05 if spec.teacher.name == "strong" else 0.0
    return factor * (start + GAIN[spec.method.name] + bonus + SPREAD[spec.seed] + own - harm)


def options(root: Path, **changes: Any) -> Options:
    given: dict[str, Any] = {"seeds": (0, 1, 2), "results": root, "published": root / "published", **changes}
    return Options(suite=SUITE.name, **given)


def arms(chosen: Options, profile: str = "embedded") -> dict[str, Arm]:
    assert isinstance(SUITE, ArmSuite)
    return {arm.key: arm for arm in SUITE.arms(registry.profile(profile), chosen)}


def scores_of(chosen: Options, **how: Any) -> ArmScores:
    assert isinstance(SUITE, ArmSuite)
    return SUITE.scores(*frames(chosen, score, suite=SUITE, **how), chosen)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    chosen = options(tmp_path_factory.mktemp("results"))
    return {made.name: made for made in SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Figure]:
    chosen = options(tmp_path_factory.mktemp("results"))
    return SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)


def line(made: Table, block: str, label: str) -> dict[str, Cell]:
    (found,) = (each for each in made.lines if (each.block, each.label) == (block, label))
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


# --- what is planned


def test_the_arms_are_pairs_then_corruptions_then_the_erring_teacher(tmp_path: Path) -> None:
    pairs = ("strong-small", "mid-small", "base-small", "strong-base", "mid-base")
    kinds = ("wrong_steps", "shuffled_steps", "other_example")
    three = ("vanilla_opd", "privileged_teacher", "dopd")
    assert list(arms(options(tmp_path))) == [
        *(f"{pair}/{method}" for pair in pairs for method in ("vanilla_opd", "dopd")),
        *(f"none-0/{method}" for method in three),
        *(f"{kind}-{share}/{method}" for kind in kinds for share in (25, 50, 100) for method in three[1:]),
        *(f"small-base/{method}" for method in three),
    ]


def test_pairs_differ_in_the_models_alone(tmp_path: Path) -> None:
    planned = arms(options(tmp_path))
    main = planned["mid-base/dopd"].specs[1]
    drawn = PROFILE.at(1).ladder
    assert PROFILE.ladder and drawn
    ladder = drawn.models
    assert ladder["strong"].name == "permutations_truth_draw1"
    for teacher, student in (*PROFILE.ladder.pairs, PROFILE.ladder.erring):
        spec = planned[f"{teacher}-{student}/dopd"].specs[1]
        assert spec == replace(main, teacher=ladder[teacher], student=ladder[student])


def test_corruptions_differ_from_the_plain_run_in_their_data_alone(tmp_path: Path) -> None:
    planned = arms(options(tmp_path))
    for kind in corruption.KINDS:
        for share in (0.25, 0.5, 1.0):
            for method in ("privileged_teacher", "dopd"):
                plain = planned[f"none-0/{method}"].specs[2]
                assert plain.data is not None
                data = replace(plain.data, corruption=kind, corrupted=share)
                assert planned[f"{kind}-{100 * share:.0f}/{method}"].specs[2] == replace(plain, data=data)


def test_runs_of_other_suites_are_trained_once(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=None)
    planned = arms(chosen)
    theirs = {s.id for s in registry.suite("in_distribution").runs(PROFILE, replace(chosen, suite="in_distribution"))}
    everything = {s.id for s in registry.suite("methods").runs(PROFILE, replace(chosen, suite="methods"))}
    for method in ("vanilla_opd", "dopd"):
        assert planned[f"mid-base/{method}"].specs == planned[f"none-0/{method}"].specs
        assert {spec.id for spec in planned[f"mid-base/{method}"].specs.values()} <= theirs
    assert {spec.id for spec in planned["none-0/privileged_teacher"].specs.values()} <= everything
    ids = {spec.id for spec in SUITE.runs(PROFILE, chosen)}
    assert len(ids) == 3 * (4 + 5 * 2 + 1 + 9 * 2 + 3), "three draws, each with models of its own"


def test_the_papers_profile_has_the_papers_pairs(tmp_path: Path) -> None:
    planned = arms(options(tmp_path), "paper")
    assert list(planned)[:10:2] == [
        f"{pair}/vanilla_opd" for pair in ("8B-0.6B", "4B-0.6B", "1.7B-0.6B", "8B-1.7B", "4B-1.7B")
    ]
    erring = planned["0.6B-1.7B/dopd"].spec
    assert erring.teacher is not None
    assert (erring.teacher.name, erring.student.name) == ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B")
    assert planned["8B-1.7B/dopd"].specs == planned["none-0/dopd"].specs


def test_methods_replace_those_of_every_part_and_only_readers_of_p_are_corrupted(tmp_path: Path) -> None:
    keys = list(arms(options(tmp_path, methods=("sft", "opsd"))))
    assert "strong-small/opsd" in keys and "small-base/sft" in keys and "none-0/sft" in keys
    assert "wrong_steps-25/opsd" in keys and "wrong_steps-25/sft" not in keys
    assert not any("dopd" in key for key in keys)
    blind = options(tmp_path, methods=("vanilla_opd", "grpo"), seeds=(0, 1))
    assert not [key for key in arms(blind) if key.startswith(("none", "wrong"))]
    rows, costs = frames(blind, score_blind, suite=SUITE)
    assert "corruption" not in {t.name for t in SUITE.tables(rows, costs, blind)}
    assert "corruption" not in SUITE.figures(rows, costs, blind)


def score_blind(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    return 0.5 if spec.method else BASE[PROFILE.of_all_draws(spec).student.name]


@pytest.mark.parametrize(
    ("method", "sees"),
    [
        ("vanilla_opd", False),
        ("sft", False),
        ("grpo", False),
        ("dopd", True),
        ("opcd", True),
        ("sdft", True),
        ("sdpo", True),
    ],
)
def test_who_sees_p(method: str, sees: bool) -> None:
    assert corruption.sees_p(PROFILE, method) is sees


# --- tables


@pytest.mark.slow
def test_table3_has_every_model_and_each_pair_against_its_own_ends(tables: dict[str, Table]) -> None:
    made = tables["table3"]
    assert [each.label for each in made.lines[:4]] == ["strong", "mid", "base", "small"]
    assert [each.cells[0].value for each in made.lines[:4]] == pytest.approx([95, 65, 45, 30])
    assert list(dict.fromkeys(each.block for each in made.lines))[1:] == [
        "strong → small",
        "mid → small",
        "base → small",
        "strong → base",
        "mid → base",
    ]
    dopd = line(made, "strong → small", "DOPD")
    assert dopd["score"].value == pytest.approx(30 + 9 + 5 + 0.1) and dopd["score"].n == 3
    assert dopd["gain"].value == pytest.approx(14.1) and dopd["recovery"].value == pytest.approx(100 * 14.1 / 65)
    assert dopd["difference"].value == pytest.approx(3.1)
    assert line(made, "base → small", "DOPD")["recovery"].value == pytest.approx(100 * 9.1 / 15)
    # ranked within a pair
    assert [line(made, block, "DOPD")["score"].rank for block in ("base → small", "mid → base")] == [1, 1]
    assert "adjusted by Holm over the 5 tests" in made.caption


def test_holm_covers_the_pairs(tables: dict[str, Table]) -> None:
    """Five tests with the same differences: five times the single p."""
    made = tables["table3"]
    single = tables["erring_teacher"]
    assert "the 1 test of" in single.caption  # the privileged teacher's difference has no spread
    p = line(single, "a teacher that errs", "DOPD")["p_holm"].value
    assert p is not None
    assert line(made, "mid → base", "DOPD")["p_holm"].value == pytest.approx(5 * p)


def test_an_erring_teacher_leaves_no_gap(tables: dict[str, Table]) -> None:
    made = tables["erring_teacher"]
    assert [each.label for each in made.lines[:2]] == ["small (teacher)", "base (student)"]
    dopd = line(made, "a teacher that errs", "DOPD")
    assert dopd["gain"].value == pytest.approx(9.1) and dopd["recovery"].missing == "no gap in a draw"
    assert dopd["difference"].value == pytest.approx(3.1)


def test_corruption_is_compared_with_the_right_p_and_with_what_sees_none(tables: dict[str, Table]) -> None:
    made = tables["corruption"]
    wrong = line(made, "wrong steps, 50 %", "DOPD")
    assert wrong["score"].value == pytest.approx(45 + 9.1 - 10)
    assert wrong["lost"].value == pytest.approx(-10) and wrong["lost_p_holm"].missing == "no spread"
    assert wrong["difference"].value == pytest.approx(-6.9) and wrong["difference"].n == 3
    assert wrong["p_holm"].value is not None
    assert wrong["recovery"].value == pytest.approx(100 * -0.9 / 20)
    assert line(made, "another example's p, 100 %", "DOPD")["lost"].value == pytest.approx(-10)
    right = line(made, "the right p", "DOPD")
    assert right["lost"] == Cell() and right["difference"].value == pytest.approx(3.1)
    vanilla = line(made, "the right p", "Vanilla OPD")
    assert vanilla["lost"] == Cell() and vanilla["difference"].missing == "baseline"
    # Only differences with a spread are tests: DOPD's ten to vanilla OPD.
    assert "adjusted by Holm over the 10 tests" in made.caption
    assert right["score"].rank == 1 and wrong["score"].rank == 1


def test_missing_and_collapsed_are_said(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    lost = list(arms(chosen)["shuffled_steps-25/dopd"].specs.values())
    scores = scores_of(chosen, skip=lost, state="failed")
    made = corruption.corruption_table(scores, robustness.corrupted_keys(scores))
    cells = line(made, "shuffled steps, 25 %", "DOPD")
    assert cells["score"] == Cell(missing="failed") and cells["lost"].missing == "failed"
    assert "(partial: " in made.heading
    rows, costs = frames(chosen, score, suite=SUITE)
    rows.loc[rows["run"] == lost[0].id, "status"] = "collapsed"
    fallen = replace(scores, rows=rows, costs=costs)
    assert "collapsed 1/3" in fallen.cell("shuffled_steps-25/dopd", fallen.inside).notes
    assert fallen.cell("shuffled_steps-50/dopd", fallen.inside).notes == ()


# --- the ratio of Figure 6


def test_embedded_parameters_cannot_be_the_axis() -> None:
    """What the caption says. If this fails, the ladder has sizes: reconsider ``Ladder.parameters``."""
    ladder = (language.SMALL, language.STUDENT, language.TEACHER, language.TRUTH)
    assert len({zoo.MANIFEST[name]["parameters"] for name in ladder}) == 1


def test_the_ratio_is_of_measured_accuracies(tables: dict[str, Table]) -> None:
    ratios = {each.block: each.cells[0].value for each in tables["figure6"].lines}
    expected = {
        "strong → small": 3.17,
        "mid → small": 2.17,
        "base → small": 1.5,
        "strong → base": 2.11,
        "mid → base": 1.44,
    }
    assert ratios == pytest.approx(expected, abs=0.001)
    assert "equally many" in tables["figure6"].caption


def test_in_the_papers_profile_it_is_of_parameters(tmp_path: Path) -> None:
    chosen = options(tmp_path, profile="paper")
    scores = scores_of(options(tmp_path, methods=("vanilla_opd",), seeds=(0,)))
    assert robustness.ratio(replace(scores, options=chosen), ("8B", "0.6B")) == pytest.approx(8 / 0.6)


# --- figures


def test_figure6_has_a_line_per_student_and_method(drawn: Mapping[str, Figure]) -> None:
    (ax,) = drawn["figure6a"].axes
    lines = [
        each
        for each in ax.get_lines()
        if len(each.get_xdata()) > 1 and each.get_transform() == ax.transData and each.get_linestyle() != "None"
    ]
    assert ax.get_xscale() == "log", "a ratio"
    found = [(list(each.get_xdata()), list(each.get_ydata()), each.get_linestyle()) for each in lines]
    assert len(found) == 4
    x, y, style = found[0]  # vanilla OPD, small
    assert x == pytest.approx([1.5, 65 / 30, 95 / 30]) and y == pytest.approx([6, 6, 11]) and style == "-"
    x, y, style = found[3]  # DOPD, base
    assert x == pytest.approx([65 / 45, 95 / 45]) and y == pytest.approx([9.1, 14.1]) and style == "--"
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    (closed,) = drawn["figure6b"].axes
    assert list(closed.get_lines()[0].get_ydata()) == pytest.approx([40, 100 * 6 / 35, 100 * 11 / 65])


def test_figure6_without_reference_rows_says_so(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0,), methods=("dopd",))
    references = [spec for spec in SUITE.runs(PROFILE, chosen) if spec.is_reference]
    scores = scores_of(chosen, skip=references)
    (ax,) = robustness.figure6(scores, robustness.gain_of, "Gain", "points").axes
    assert {"DOPD, base, no reference rows", "DOPD, small, no reference rows"} <= {t.get_text() for t in ax.texts}


def test_corruption_has_a_panel_per_kind_and_a_flat_line_for_what_sees_no_p(drawn: Mapping[str, Figure]) -> None:
    axes = drawn["corruption"].axes
    assert [ax.get_title() for ax in axes] == ["wrong steps", "shuffled steps", "another example's p"]
    vanilla, _, dopd = (each for each in axes[0].get_lines() if len(each.get_xdata()) == 4)
    assert list(dopd.get_xdata()) == [0, 25, 50, 100]
    assert list(dopd.get_ydata()) == pytest.approx([54.1, 49.1, 44.1, 34.1])
    assert list(vanilla.get_ydata()) == pytest.approx([51] * 4)


def test_a_hole_breaks_a_line_and_is_named() -> None:
    cells = [Cell(value=1.0, half=0.1, n=5), Cell(missing="failed"), Cell(value=3.0, n=1, notes=("collapsed 1/1",))]
    series = cell_series("x", list(zip((0.0, 1.0, 2.0), cells, strict=True)))
    assert str(series.y) == "(1.0, nan, 3.0)" and str(series.half) == "(0.1, nan, nan)"
    assert series.note == "failed, single run, collapsed 1/1"
    assert cell_series("x", [(0.0, Cell(missing="not run"))]).x == ()


def test_the_papers_own_numbers_stand_alone() -> None:
    chosen = Options(suite=SUITE.name, source="paper")
    rows, costs = results.load("paper", SUITE, PROFILE, chosen)
    assert [made.name for made in SUITE.tables(rows, costs, chosen)] == ["table3_paper", "figure6_paper"]
    assert list(SUITE.figures(rows, costs, chosen)) == ["figure6a_paper", "figure6b_paper"]
