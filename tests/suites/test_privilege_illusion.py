"""Figure 3 from synthetic rows with known signs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite

SUITE: Suite = registry.suite("privilege_illusion")
ARMS = ("vanilla_opd", "privileged_teacher", "privileged_student", "student_privileged", "privileged_both")
MOVED = {0: -0.01, 1: 0.0, 2: 0.01, 3: 0.004, 4: -0.004}
NOISE = {"vanilla_opd": 0.0, "privileged_teacher": 0.3, "privileged_student": -0.2}
"""Of ``MOVED``, added to an arm, so that its differences to the baseline have a spread."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Vanilla OPD rises; Priv. T→S is ahead at 20 % of the run and falls from 50 % on; the others stay behind."""
    if spec.method is None:
        return 0.4 if is_student(spec) else 0.6
    arm, step = spec.method.name, 100 * evaluation.at(spec) / spec.steps
    moved = MOVED[spec.seed] * (1 + NOISE.get(arm, 0.1)) * (step > 0)
    if metric == "entropy":
        return 0.1 - (0.0008 if arm == "privileged_teacher" else 0.0002) * step + moved
    if metric == "accuracy_with_p":
        return 0.9 + (0.0005 * step if arm == "privileged_teacher" else 0.0)
    if evaluation.decoding == AUDIT or metric != "exact_answer":
        return 0.0
    if arm == "privileged_teacher":
        return 0.4 + (0.002 * step if step <= 50 else 0.1 - 0.0012 * (step - 50)) + moved
    return 0.4 + (0.001 if arm == "vanilla_opd" else 0.0005) * step + moved


def data(chosen: Options, **how: Any) -> tuple[DataFrame, DataFrame]:
    rows, costs = frames(chosen, score, suite=SUITE, **how)
    return rows.assign(status="ok"), costs


def options(root: Path, **changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"results": root, "published": root / "published", **changes})


def made(chosen: Options, **how: Any) -> dict[str, Table]:
    return {table.name: table for table in SUITE.tables(*data(chosen, **how), chosen)}


def line(made: Table, label: str) -> dict[str, Cell]:
    (found,) = (each for each in made.lines if each.label == label)
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


def test_arms_differ_in_who_sees_p_and_are_runs_of_the_suite_methods(tmp_path: Path) -> None:
    planned = SUITE.runs(PROFILE, options(tmp_path))
    trained = {s.method.name: s.method.settings for s in planned if s.method}
    assert tuple(trained) == ARMS and len(planned) == 2 * 5 + 5 * 5, "five draws"
    views = {
        name: tuple(settings[key] for key in ("source_policy", "source_context", "trained_context"))
        for name, settings in trained.items()
    }
    assert views == {
        "vanilla_opd": ("teacher", "plain", "plain"),
        "privileged_teacher": ("teacher", "privileged", "plain"),
        "privileged_student": ("student", "privileged", "plain"),
        "student_privileged": ("teacher", "plain", "privileged"),
        "privileged_both": ("teacher", "privileged", "privileged"),
    }
    keys = ("source_policy", "source_context", "trained_context")
    rest = [{k: v for k, v in settings.items() if k not in keys} for settings in trained.values()]
    assert all(settings == rest[0] for settings in rest)
    theirs = Options(suite="methods", seeds=tuple(range(5)), published=tmp_path / "published")
    assert {s.id for s in planned} < {s.id for s in registry.suite("methods").runs(PROFILE, theirs)}


@pytest.mark.parametrize("profile", ["embedded", "paper"])
def test_the_probe_with_p_is_read_from_the_start(tmp_path: Path, profile: str) -> None:
    *_, spec = SUITE.runs(registry.profile(profile), options(tmp_path, profile=profile))
    asked = SUITE.evaluations(spec)
    assert len(set(asked)) == len(asked)
    tenths = dataclasses.replace(spec, extra_checkpoints=()).checkpoint_steps()
    assert {e.at(spec) for e in asked if e.decoding == AUDIT} == set(tenths) and len(tenths) == 11
    known = registry.suite("stability").evaluations(spec)
    assert [e for e in asked if e not in known] == [Evaluation(0, "training", AUDIT)]


@pytest.mark.slow
def test_numbers_of_the_end(tmp_path: Path) -> None:
    table = made(options(tmp_path))["figure3"]
    fell = line(table, "Priv. T→S")
    assert [fell[f"at_{share}"].value for share in (20, 40, 60, 80, 100)] == pytest.approx([44, 48, 48.8, 46.4, 44])
    assert fell["best_step"].value == 100 and fell["best"].value == pytest.approx(50)
    assert fell["fall"].value == pytest.approx(6)
    assert fell["entropy"].value == pytest.approx(20) and fell["entropy"].notes == ()
    assert fell["with_p"].value == pytest.approx(95) and fell["gap"].value == pytest.approx(51)
    assert fell["gap"].n == fell["entropy"].n == 5
    assert fell["gap"].half == pytest.approx(fell["at_100"].half)  # with p nothing varies here
    vanilla = line(table, "Vanilla OPD")
    assert vanilla["fall"].value == pytest.approx(0) and vanilla["gap"].value == pytest.approx(40)
    both = line(table, "Priv. T→Priv. S")
    assert both["entropy"].notes == ("of the view with p",)
    assert "In T→Priv. S and Priv. T→Priv. S the trained policy reads p" in table.caption


def test_signs_of_an_illusion(tmp_path: Path) -> None:
    table = made(options(tmp_path))["illusion_signs"]
    fell = line(table, "Priv. T→S")
    assert fell["early"].value == pytest.approx(2) and fell["late"].value == pytest.approx(-6)
    assert fell["entropy"].value == pytest.approx(-60) and fell["entropy_change"].value == pytest.approx(-72)
    assert fell["gap_change"].value == pytest.approx(1)
    assert all(fell[key].n == 5 for key in ("early", "late", "entropy", "gap_change"))
    # Spread: 0.3 of MOVED; Holm over the column's four arms, of which the other three are further from 0.
    assert 0 < (fell["p_late"].value or 1) < 0.001
    vanilla = line(table, "Vanilla OPD")
    assert vanilla["early"].missing == vanilla["late"].missing == vanilla["entropy"].missing == "baseline"
    assert vanilla["entropy_change"].value == pytest.approx(-18)
    assert vanilla["entropy_change"].n == 5 and line(table, "Vanilla OPD")["p_entropy_change"].missing == "no spread"
    both = line(table, "Priv. T→Priv. S")
    assert both["entropy"].missing == "of the view with p" and both["late"].value == pytest.approx(-5)
    assert "at step 40" in next(c.header for c in table.columns if c.key == "early")


@pytest.mark.slow
def test_holm_is_within_a_column(tmp_path: Path) -> None:
    """With one arm beside the baseline there is one test a column and nothing to adjust."""
    alone = made(options(tmp_path, methods=("vanilla_opd", "privileged_teacher")))["illusion_signs"]
    among = made(options(tmp_path))["illusion_signs"]
    p = [line(table, "Priv. T→S")["p_early"].value or 0 for table in (alone, among)]
    assert 0 < p[0] < p[1] <= 4.001 * p[0]
    changes = [line(table, "Priv. T→S")["p_gap_change"].value or 0 for table in (alone, among)]
    assert changes[0] <= changes[1]


def test_an_arm_without_its_baseline_says_so(tmp_path: Path) -> None:
    found = made(options(tmp_path, methods=("privileged_teacher", "dopd"), seeds=(0, 1)))["illusion_signs"]
    fell = line(found, "Priv. T→S")
    assert fell["late"].missing == "no baseline of these seeds" and fell["gap_change"].value == pytest.approx(1, abs=1)
    assert "Baseline: none" in found.caption


@pytest.mark.slow
def test_what_is_missing_says_why(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "privileged_teacher"]
    found = made(chosen, skip=lost)
    for table in found.values():
        cells = line(table, "Priv. T→S")
        assert {cell.missing for key, cell in cells.items() if not key.startswith("p_")} == {"not run"}
        assert table.partial == "30 of 35 runs done"
    some = made(chosen, skip=lost[:3])
    assert line(some["illusion_signs"], "Priv. T→S")["early"].n == 2


def test_one_seed_is_not_tested(tmp_path: Path) -> None:
    signs = line(made(options(tmp_path, seeds=(0,)))["illusion_signs"], "Priv. T→S")
    assert signs["late"].n == 1 and signs["late"].half is None and signs["p_late"].missing == "single draw"


@pytest.mark.slow
def test_collapsed_runs_are_named(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = data(chosen)
    fallen = [s.id for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "privileged_student"]
    rows.loc[rows["run"].isin(fallen) & (rows["step"] == 200), "status"] = "collapsed"
    self_taught = line(SUITE.tables(rows, costs, chosen)[0], "Priv. S→S")
    assert "collapsed 5/5" in self_taught["at_100"].notes and self_taught["at_80"].notes == ()
    said = [text.get_text() for text in SUITE.figures(rows, costs, chosen)["figure3"].axes[0].texts]
    assert "Priv. S→S, collapsed 5/5" in said


def test_figure_has_four_panels(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    drawn = SUITE.figures(*data(chosen), chosen)["figure3"]
    assert [ax.get_ylabel() for ax in drawn.axes] == [
        "exact answer, greedy, %",
        "entropy, millinats",
        "exact answer with p, %",
        "gap, points",
    ]
    accuracy, entropy, with_p, gap = (
        dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in (ax.get_lines()[1] for ax in drawn.axes)
    )
    assert list(accuracy) == [0, 5, 10, 15, 20, 30, 40, *range(60, 201, 20)]
    assert list(entropy) == [*range(20, 201, 20)] and list(with_p) == [0, *entropy]
    assert gap == pytest.approx({step: with_p[step] - accuracy[step] for step in with_p})
    assert entropy[200] == pytest.approx(20) and gap[0] == pytest.approx(50)
    said = [text.get_text() for text in drawn.axes[1].texts]
    assert "T→Priv. S, reads p" in said and "Priv. T→S" in said
