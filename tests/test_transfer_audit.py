"""The suite of the audit ``transfer`` from synthetic rows."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic import PROFILE, frames

from harness import registry
from harness.audits import AUDIT, AUDITS
from harness.config import RunSpec
from harness.suite import Evaluation, Options, Suite
from harness.tables import Cell, Table

SUITE: Suite = registry.suite("transfer_audit")
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02}
MOVED = {0: 0.0, 1: 0.003, 2: 0.0}
CAPABILITY = {"vanilla_opd": 0.92, "privileged_teacher": 0.95, "dopd": 0.94}
INFORMATION = {"vanilla_opd": 0.03, "privileged_teacher": 0.90, "dopd": 0.50}
METHODS = tuple(CAPABILITY)


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    student = spec.student == PROFILE.student
    if spec.method is None:
        return {"capability_top1": 0.9 if student else 0.97, "information_asserted": 0.02 if student else 0.01}.get(
            metric, 0.5
        )
    own = MOVED[spec.seed] if spec.method.name != "vanilla_opd" else 0.0
    known = {"capability_top1": CAPABILITY, "information_asserted": INFORMATION}
    return known[metric][spec.method.name] + SPREAD[spec.seed] + own if metric in known else 0.25


def options(**changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"methods": METHODS, "seeds": (0, 1, 2), **changes})


def made(chosen: Options, **how: Any) -> Table:
    (found,) = SUITE.tables(*frames(chosen, score, suite=SUITE, **how), chosen)
    return found


def line(of: Table, label: str) -> dict[str, Cell]:
    (found,) = (each for each in of.lines if each.label == label)
    return {column.key: cell for column, cell in zip(of.columns, found.cells, strict=True)}


@pytest.mark.parametrize("profile", ["embedded", "paper"])
def test_every_run_is_one_of_another_suite(profile: str) -> None:
    chosen = Options(suite=SUITE.name, profile=profile)
    planned = SUITE.runs(registry.profile(profile), chosen)
    others = ("in_distribution", "privilege_illusion", "methods")
    theirs = {s.id for name in others for s in registry.suite(name).runs(registry.profile(profile), chosen)}
    assert {s.id for s in planned} <= theirs
    trained = [s.method.name for s in planned if s.method and s.seed == 0]
    wanted = {"vanilla_opd", "privileged_teacher", "privileged_student", "privileged_both", "student_privileged"}
    assert wanted | {"dopd", "sft", "exopd", "sdft"} <= set(trained) and len(trained) == len(set(trained)) == 15
    assert [s.student for s in planned[:2]] == [registry.profile(profile).student, registry.profile(profile).teacher]
    for spec in planned:
        assert SUITE.evaluations(spec) == (Evaluation("last", "transfer", AUDIT, AUDITS["transfer"].version),)


def test_numbers_of_a_line() -> None:
    found = made(options())
    dopd = line(found, "DOPD")
    assert dopd["capability_top1"].value == pytest.approx(94.1) and dopd["capability_top1"].n == 3
    assert dopd["moved"].value == pytest.approx(4.1) and dopd["moved"].half == dopd["capability_top1"].half
    assert dopd["capability_difference"].value == pytest.approx(2.1)
    assert dopd["information_asserted"].value == pytest.approx(50.1)
    assert dopd["imitated"].value == pytest.approx(48.1)
    assert dopd["information_difference"].value == pytest.approx(47.1)
    assert dopd["information_abstained"].value == pytest.approx(25)
    # t = 2.1 / 0.1 and 47.1 / 0.1 with two degrees of freedom, both doubled at most by Holm over two methods.
    capability, information = dopd["capability_p"].value, dopd["information_p"].value
    assert capability is not None and information is not None
    assert 0.002 < capability < 0.0046 and information < 0.0001
    vanilla = line(found, "Vanilla OPD")
    assert vanilla["capability_difference"].missing == "baseline" == vanilla["information_difference"].missing
    assert line(found, "Student")["capability_top1"].value == pytest.approx(90)
    assert line(found, "Teacher")["information_asserted"].value == pytest.approx(1)
    assert "Baseline: Vanilla OPD." in found.caption and "200 test problems" in found.caption


def test_holm_is_within_a_column() -> None:
    """Two tests each: the larger p stays, the smaller is doubled."""
    found = made(options())
    ps = sorted(line(found, label)["capability_p"].value or 0.0 for label in ("DOPD", "Priv. T→S"))
    from scipy.stats import t

    raw = sorted(2 * float(t.sf(x / 0.1, 2)) for x in (2.1, 3.1))
    assert ps == pytest.approx([2 * raw[0], max(raw[1], 2 * raw[0])], rel=1e-3)


def test_what_is_missing_says_why() -> None:
    chosen = options()
    planned = SUITE.runs(PROFILE, chosen)
    lost = [s for s in planned if s.method and s.method.name == "dopd"]
    found = made(chosen, skip=lost, state="partial")
    assert line(found, "DOPD")["capability_top1"] == Cell(missing="partial")
    assert line(found, "DOPD")["imitated"] == Cell(missing="partial")
    assert line(found, "DOPD")["information_difference"] == Cell(missing="partial")
    assert found.partial == "8 of 11 runs done"
    without = made(chosen, skip=[s for s in planned if s.is_reference])
    assert line(without, "DOPD")["moved"].missing == "no reference row"
    assert line(without, "Student")["capability_top1"].missing == "not run"


def test_without_vanilla_there_is_no_baseline() -> None:
    found = made(options(methods=("dopd", "privileged_teacher")))
    assert line(found, "DOPD")["capability_difference"] == Cell() and "Baseline: none." in found.caption


def test_collapsed_runs_are_named() -> None:
    chosen = options()
    rows, costs = frames(chosen, score, suite=SUITE)
    fallen = next(s.id for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "dopd")
    rows.loc[rows["run"] == fallen, "status"] = "collapsed"
    (found,) = SUITE.tables(rows, costs, chosen)
    assert line(found, "DOPD")["information_asserted"].notes == ("collapsed 1/3",)
    names = [text.get_text() for text in SUITE.figures(rows, costs, chosen)["transfer_audit"].axes[0].texts]
    assert "DOPD, collapsed 1/3" in names


def test_figure_places_a_point_per_method_and_the_teacher() -> None:
    chosen = options()
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "privileged_teacher"]
    (ax,) = SUITE.figures(*frames(chosen, score, suite=SUITE, skip=lost), chosen)["transfer_audit"].axes
    points = {
        (round(float(x), 3), round(float(y), 3))
        for each in ax.get_lines()
        if each.get_transform() == ax.transData and each.get_marker() not in ("None", "|", "_")
        for x, y in zip(each.get_xdata(), each.get_ydata(), strict=True)
    }
    assert {(1.0, 2.0), (48.1, 4.1), (-1.0, 7.0)} == points  # vanilla, DOPD, teacher
    assert {"Vanilla OPD", "DOPD", "Teacher, without p", "Priv. T→S, not run"} <= {t.get_text() for t in ax.texts}
    low, high = ax.get_xlim()
    assert low < -1 and high > 48.1
