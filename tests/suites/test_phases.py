"""The diagram of when routing pays: arms, what is shared, numbers by hand, the models that are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import synthetic

from harness import registry
from harness.cli import verbs
from harness.config import RunSpec, makings
from harness.models.zoo.permutations.recipe import TEACHER, UNCALIBRATED
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options
from harness.types import Corruption, HarnessError
from suites.kit.chosen import MAIN
from suites.phases import CONTRASTS, contrast_at, key_of

PROFILE = registry.profile("embedded")
SUITE = registry.suite("phases")
GAIN = {"vanilla_opd": 0.0, "privileged_teacher": 0.1, "dopd": 0.04, "dopd_reverse_kl": 0.12}


def options(root: Path, **changes: Any) -> Options:
    return Options(suite="phases", results=root, **{"profile": "embedded", **changes})


def score(spec: RunSpec, evaluation: Evaluation, _: str) -> float:
    """0.6 and the method's gain, late; half of it at a wrong p; each draw a thousandth more."""
    assert spec.data is not None and spec.data.draw is not None
    if spec.method is None:
        return 0.5 if "student" in spec.student.name else 0.65 + (0.03 if "s0_" in spec.student.name else 0.0)
    half = 0.5 if spec.data.corrupted else 1.0
    return 0.6 + half * GAIN[spec.method.name] + 0.001 * spec.data.draw * GAIN[spec.method.name]


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Any:
    chosen = options(tmp_path_factory.mktemp("phases"))
    return SUITE.scores(*synthetic.frames(chosen, score, suite=SUITE, profile=PROFILE), chosen)


def cells(table: Table, block: str, label: str) -> dict[str, Cell]:
    (line,) = (line for line in table.lines if (line.block, line.label) == (block, label))
    return dict(zip((column.key for column in table.columns), line.cells, strict=True))


def test_ninety_runs_and_what_reads_no_p_is_trained_once_for_all_hints(tmp_path: Path) -> None:
    specs = SUITE.runs(PROFILE, options(tmp_path))
    trained = [spec for spec in specs if spec.method]
    assert len(trained) == len({spec.id for spec in trained}) == 90
    wrong = [spec for spec in trained if spec.data and spec.data.corrupted]
    assert len(wrong) == 2 * 3 * 3 and all(s.method and s.method.name != "vanilla_opd" for s in wrong)
    assert {s.data.corruption for s in wrong if s.data} == {Corruption.WRONG_STEPS}


def test_a_knob_makes_one_model_a_draw_from_its_trunk(tmp_path: Path) -> None:
    made = {each.id: each for spec in SUITE.runs(PROFILE, options(tmp_path)) for each in makings(spec)}
    assert len(made) == 2 * 3
    for spec in made.values():
        assert spec.recipe and spec.data
        assert spec.student.name == f"permutations_trunk_draw{spec.data.draw}" and spec.steps == 250
        low, high = spec.recipe.settings["result_from"], spec.recipe.settings["result_to"]
        assert (low, high) in {(0.07, 0.12), (0.095, 0.145)}
        assert spec.recipe.settings["depth"] == TEACHER.depth


def test_one_knob_changes_only_what_depends_on_it() -> None:
    pairs = {phase.key: phase.pair(2) for phase in PROFILE.phases}
    assert pairs["s0-calibrated-100"][0] == pairs["s0-uncalibrated-100"][0] != pairs["s0.025-calibrated-100"][0]
    assert pairs["s0-calibrated-100"][1] == pairs["s0.05-calibrated-50"][1]
    assert pairs["s0.05-calibrated-100"] == (PROFILE.in_draw(2).teacher, PROFILE.in_draw(2).student)
    assert UNCALIBRATED.right == UNCALIBRATED.wrong


def test_shares_of_cells_are_set() -> None:
    """By hand, of 200 results: the teacher is wrong about 10, the student about 24; of s the student alone is right."""
    shares = {phase.key: phase.shares for phase in PROFILE.phases}
    for s, student_only in ((0, 0.0), (0.025, 0.025), (0.05, 0.05)):
        found = shares[f"s{s:g}-calibrated-100"]
        assert found["student only"] == pytest.approx(student_only)
        assert sum(found.values()) == pytest.approx(1)
        assert found["student only"] + found["neither"] == pytest.approx(0.05)
    assert shares["s0.05-calibrated-50"] == shares["s0.05-calibrated-100"]


def test_the_diagram_of_pictures(tmp_path: Path) -> None:
    """Two calibrations, codes guessed or not: 4 places × 4 methods × 3 draws; students without guesses are made, one a
    draw and calibration, from the shipped trunk. By hand: of 81 readings the student alone has five right."""
    pictures = registry.profile("embedded_vlm")
    specs = SUITE.runs(pictures, options(tmp_path, profile="embedded_vlm"))
    assert len([spec for spec in specs if spec.method]) == 4 * 4 * 3
    made = {each.id: each for spec in specs for each in makings(spec)}
    assert len(made) == 2 * 3
    for spec in made.values():
        assert spec.recipe and spec.recipe.name == "scenes_mind" and spec.recipe.settings["guesses"] == 0
        assert spec.data and spec.student.name == f"scenes_trunk_draw{spec.data.draw}"
    pairs = {phase.key: phase.pair(1) for phase in pictures.phases}
    assert pairs["calibrated-3"] == (pictures.in_draw(1).teacher, pictures.in_draw(1).student)
    assert pairs["uncalibrated-3"][1].name == "scenes_student_uncalibrated_draw1"
    assert all(sum(phase.shares.values()) == pytest.approx(1) for phase in pictures.phases)
    assert pictures.phases[0].shares["student only"] == pytest.approx(5 / 81)
    assert verbs.main(["plan", "--suite", "phases", "--profile", "embedded_vlm", "--results", str(tmp_path)]) == 0


def test_contrasts_by_hand(scores: Any) -> None:
    """Means over three draws: a gain counts 1.001 times."""
    table = next(each for each in SUITE.tables_of(scores) if each.name == "phases")
    right = cells(table, "s = 0.05", "calibrated, hints right")
    assert right["privilege"].value == pytest.approx(10.01) and right["privilege"].n == 3
    assert right["routing"].value == pytest.approx(-6.006) and right["whole"].value == pytest.approx(4.004)
    assert right["everywhere"].value == pytest.approx(2.002)
    wrong = cells(table, "s = 0.05", "calibrated, 50 % of hints right")
    assert wrong["privilege"].value == pytest.approx(5.01) and wrong["routing"].value == pytest.approx(-3.006)
    assert wrong["baseline"].value == right["baseline"].value
    assert right["share_student_only"].value == pytest.approx(5)
    tests = len(PROFILE.phases) * len(CONTRASTS)
    assert f"adjusted by Holm over the {tests} tests" in table.caption


def test_levels_say_which_model_is_of_another(scores: Any) -> None:
    table = next(each for each in SUITE.tables_of(scores) if each.name == "phases_levels")
    assert len(table.lines) == 6
    first, default = (cells(table, f"s = {s}", "calibrated, hints right") for s in ("0", "0.05"))
    assert first["teacher"].value == pytest.approx(68) and first["teacher_apart"].value == pytest.approx(0)
    assert default["teacher"].value == pytest.approx(65) and default["teacher_apart"].value == pytest.approx(3)
    assert default["student"].value == pytest.approx(50)


def test_what_has_no_runs_of_its_own_is_found_at_its_pair(scores: Any) -> None:
    assert key_of(scores, "s0.05-calibrated-50", "vanilla_opd") == "s0.05-calibrated-100/vanilla_opd"
    assert key_of(scores, "s0.05-calibrated-50", "dopd") == "s0.05-calibrated-50/dopd"


def test_the_diagram_frames_what_is_told_apart(scores: Any) -> None:
    (name, figure), *_ = SUITE.figures_of(scores).items()
    assert name == "phases" and "Where routing pays, late" in " ".join(text.get_text() for text in figure.texts)
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert any(text.startswith("+10.0") for text in texts) and any(text.startswith("-6.0") for text in texts)
    ticks = [tick.get_text() for ax in figure.axes for tick in ax.get_xticklabels()]
    assert "calibrated,\nhints right" in ticks and max(len(row) for tick in ticks for row in tick.split("\n")) <= 14
    routing = contrast_at(scores, CONTRASTS[1], "s0-calibrated-100").cell
    assert routing.value is not None and routing.half is not None and abs(routing.value) > routing.half


def test_a_profile_without_a_diagram_is_told(tmp_path: Path) -> None:
    paper = registry.profile("paper")
    with pytest.raises(HarnessError, match="suite phases needs the field phases of profile paper"):
        SUITE.runs(paper, Options(suite="phases", profile="paper", results=tmp_path))
    assert MAIN[0] == "vanilla_opd"
