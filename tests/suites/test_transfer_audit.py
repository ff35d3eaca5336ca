"""The suite of the audit ``transfer`` from synthetic rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS
from harness.show.tables import Cell, Kind, Table
from harness.suite import Evaluation, Options, Suite

SUITE: Suite = registry.suite("transfer_audit")
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02}
MOVED = {0: 0.0, 1: 0.003, 2: 0.0}
CAPABILITY = {"vanilla_opd": 0.92, "privileged_teacher": 0.95, "dopd": 0.94}
INFORMATION = {"vanilla_opd": 0.03, "privileged_teacher": 0.90, "dopd": 0.50}
METHODS = tuple(CAPABILITY)


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    student = is_student(spec)
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
    asked = {name: replace(chosen, suite=name, seeds=tuple(range(5))) for name in others}
    theirs = {s.id for name in others for s in registry.suite(name).runs(registry.profile(profile), asked[name])}
    assert {s.id for s in planned} <= theirs
    trained = [s.method.name for s in planned if s.method and s.seed == 0]
    wanted = {"vanilla_opd", "privileged_teacher", "privileged_student", "privileged_both", "student_privileged"}
    assert wanted | {"dopd", "sft", "exopd", "sdft"} <= set(trained) and len(trained) == len(set(trained)) == 15
    first = registry.profile(profile).at(0)
    assert [s.student for s in planned[:2]] == [first.student, first.teacher]
    for spec in planned:
        assert SUITE.evaluations(spec) == (Evaluation("last", "transfer", AUDIT, AUDITS["transfer"].version),)


def test_numbers_of_a_line() -> None:
    found = made(options())
    dopd = line(found, "DOPD")
    assert dopd["capability_top1"].value == pytest.approx(94.1) and dopd["capability_top1"].n == 3
    assert dopd["moved"].value == pytest.approx(4.1) and dopd["moved"].half == pytest.approx(
        dopd["capability_top1"].half
    )
    assert dopd["capability_difference"].value == pytest.approx(2.1)
    assert dopd["information_asserted"].value == pytest.approx(50.1)
    assert dopd["imitated"].value == pytest.approx(48.1)
    assert dopd["information_difference"].value == pytest.approx(47.1)
    assert dopd["information_abstained"].value == pytest.approx(25)
    # t = 2.1 / 0.1 with two degrees of freedom, doubled at most by Holm over two methods.
    capability = dopd["capability_p"].value
    assert capability is not None and 0.002 < capability < 0.0046
    # 300,000 tokens; 30, 31, 32 seconds.
    assert (dopd["tokens"].value, dopd["forwards"].value, dopd["seconds"].value) == (300, 3, 31)
    assert line(found, "Student")["tokens"] == line(found, "Student")["asserting"] == Cell()
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


BY_SEED = {"dopd": (0.0, 0.93, 1.0, 1.0, 1.0), "privileged_teacher": (0.9, 0.9, 0.8, 1.0, 0.6)}
"""All or nothing, as measured at tuned rates; vanilla OPD never asserts."""


def bimodal(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    if metric == "information_asserted" and spec.method is not None:
        return BY_SEED.get(spec.method.name, (0.0,) * 5)[spec.seed]
    return score(replace(spec, seed=1), evaluation, metric)


def counted(**by_seed: tuple[float, ...]) -> Table:
    """The table of five draws."""
    chosen = options(seeds=tuple(range(5)))

    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        own = by_seed.get(spec.method.name) if spec.method else None
        return own[spec.seed] if own and metric == "information_asserted" else bimodal(spec, evaluation, metric)

    (found,) = SUITE.tables(*frames(chosen, scores, suite=SUITE), chosen)
    return found


def test_draws_that_mostly_assert_are_counted_and_their_counts_compared() -> None:
    found = counted()
    dopd, other, vanilla = (line(found, label) for label in ("DOPD", "Priv. T→S", "Vanilla OPD"))
    assert [cells["asserting"] for cells in (dopd, other, vanilla)] == [
        Cell(words="4 of 5"),
        Cell(words="5 of 5"),
        Cell(words="0 of 5"),
    ]
    # Fisher, two-sided: 2 C(5,4) / C(10,4) = 10 / 210 and 2 / C(10,5) = 2 / 252; Holm doubles the smaller.
    assert dopd["asserting_p"].value == pytest.approx(10 / 210)
    assert other["asserting_p"].value == pytest.approx(2 * 2 / 252)
    assert vanilla["asserting_p"] == Cell() and vanilla["information_difference"].missing == "baseline"
    (column,) = (column for column in found.columns if column.key == "asserting")
    assert column.kind is Kind.TEXT and column.header == "draws that mostly assert"
    assert "with 5 draws each it is at least 0.0079." in found.caption
    assert "a t interval does not describe such shares" in found.caption


def test_counts_too_small_to_differ_are_not_tested_and_cost_nothing() -> None:
    """Three of ten draws: 2 C(5,3) / C(10,3) = 20 / 120 at best, whoever they are."""
    found = counted(privileged_teacher=(1.0, 1.0, 1.0, 0.0, 0.0))
    assert line(found, "Priv. T→S")["asserting"] == Cell(words="3 of 5")
    assert line(found, "Priv. T→S")["asserting_p"] == Cell(missing="not tested")
    assert line(found, "Priv. T→S")["information_difference"].value == pytest.approx(60)
    assert line(found, "DOPD")["asserting_p"].value == pytest.approx(10 / 210), "alone in its column"


def test_what_is_missing_says_why() -> None:
    chosen = options()
    planned = SUITE.runs(PROFILE, chosen)
    lost = [s for s in planned if s.method and s.method.name == "dopd"]
    found = made(chosen, skip=lost, state="partial")
    assert line(found, "DOPD")["capability_top1"] == Cell(missing="partial")
    assert line(found, "DOPD")["imitated"] == Cell(missing="partial")
    assert line(found, "DOPD")["information_difference"] == Cell(missing="partial")
    assert line(found, "DOPD")["asserting"] == Cell(words="partial") and line(found, "DOPD")["asserting_p"] == Cell()
    assert found.partial == "12 of 15 runs done"
    without = made(chosen, skip=[s for s in planned if s.is_reference])
    assert line(without, "DOPD")["moved"].missing == "no reference row"
    assert line(without, "Student")["capability_top1"].missing == "not run"


def test_problems_without_what_only_p_knows_were_read_all_the_same() -> None:
    chosen = options()
    rows, costs = frames(chosen, score, suite=SUITE)
    rows = rows.loc[~rows["metric"].str.startswith("information")]
    (found,) = SUITE.tables(rows, costs, chosen)
    for label in ("Student", "Teacher", "DOPD"):
        assert line(found, label)["information_asserted"].missing == "none there", label
        assert line(found, label)["capability_top1"].value is not None
    figure = SUITE.figures(rows, costs, chosen)["transfer_audit"]
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "there is nothing that only p knows" in words and "of 0" not in words


def test_without_vanilla_there_is_no_baseline() -> None:
    found = made(options(methods=("dopd", "privileged_teacher")))
    assert line(found, "DOPD")["capability_difference"] == Cell() and "Baseline: none." in found.caption
    assert "Fisher" not in found.caption and line(found, "DOPD")["asserting"] == Cell(words="2 of 3")


def test_collapsed_runs_are_named() -> None:
    chosen = options()
    rows, costs = frames(chosen, score, suite=SUITE)
    fallen = next(s.id for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "dopd")
    rows.loc[rows["run"] == fallen, "status"] = "collapsed"
    (found,) = SUITE.tables(rows, costs, chosen)
    assert line(found, "DOPD")["information_asserted"].notes == ("collapsed 1/3",)
    _, capability = SUITE.figures(rows, costs, chosen)["transfer_audit"].axes
    said = [text.get_text() for text in capability.texts]
    assert said.count("×") == 1 and "94.1 ±5.0  collapsed 1/3" in said


def test_figure_shows_answers_by_method_and_capability_on_its_own_axis() -> None:
    chosen = options(seeds=tuple(range(5)))
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "privileged_teacher"]

    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        share = bimodal(spec, evaluation, "information_asserted")
        rest = {"information_abstained": 0.25 * (1 - share), "information_other": 0.75 * (1 - share)}
        return rest[metric] if metric in rest else bimodal(spec, evaluation, metric)

    figure = SUITE.figures(*frames(chosen, scores, suite=SUITE, skip=lost), chosen)["transfer_audit"]
    answers, capability = figure.axes
    rows = {tick.get_text(): y for y, tick in zip(answers.get_yticks(), answers.get_yticklabels(), strict=True)}
    assert answers.get_xlim() == (0, 100)
    stacked = {
        label: [patch.get_width() for patch in answers.patches if patch.get_y() < rows[label] < patch.get_y() + 0.72]
        for label in ("Student", "Vanilla OPD", "DOPD", "Priv. T→S")
    }
    assert stacked["DOPD"] == pytest.approx([78.6, 16.05, 5.35])  # asserts, neither, abstains
    assert stacked["Vanilla OPD"] == pytest.approx([0, 75, 25]) and stacked["Student"] == pytest.approx([2, 73.5, 24.5])
    assert stacked["Priv. T→S"] == []
    dots = [dot for each in answers.collections for dot in each.get_offsets().tolist()]
    assert sorted(x for x, y in dots if abs(y - rows["DOPD"]) < 0.4) == pytest.approx([0, 93, 100, 100, 100])
    said = {text.get_text() for text in answers.texts}
    assert {"78.6  4 of 5 assert", "0.0  0 of 5 assert", "not run"} <= said
    levels = {text.get_text() for text in capability.texts}
    assert {"Student 90.0", "Teacher 97.0", "94.3 ±0.0"} <= levels
    assert 88 < capability.get_xlim()[0] < 90 and 97 < capability.get_xlim()[1] < 99
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["asserts a code", "neither", "abstains", "dots: draws"]
