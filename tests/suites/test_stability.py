"""Figure 8 from synthetic rows; and what learning curves have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from support.synthetic import PROFILE, frames, is_student, make_done

from harness import registry
from harness.analysis import results
from harness.analysis.units import SEEDS
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT
from harness.evaluation.benchmarks import told
from harness.report import output
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from suites.kit.curves import Curve, When, best_when, first_at, joined, reach, step_at, when_cell

SUITE: Suite = registry.suite("stability")
METHODS = ("vanilla_opd", "exopd", "sdpo", "eopd", "dopd")
LAST = {"vanilla_opd": 0.50, "exopd": 0.46, "sdpo": 0.45, "eopd": 0.60, "dopd": 0.56}
PROBED = tuple(range(0, 201, 20))
STEPS = (0, 5, 10, 15, 20, 30, 40, *PROBED[3:])
"""Checkpoints, and those at which all is read."""
MOVED = {0: -0.01, 1: 0.0, 2: 0.01, 3: 0.004, 4: -0.004}
OWN = {0: 0.0, 1: 0.003, 2: 0.0, 3: 0.0, 4: 0.0}
"""Added to DOPD, so that its differences have a spread."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Straight from 40 % to the last score, SDPO up to 52 % half-way and down again."""
    if spec.method is None:
        return 0.4 if is_student(spec) else 0.6
    method, seed, step = spec.method.name, spec.seed, evaluation.at(spec)
    share = step / spec.steps
    if evaluation.decoding == AUDIT:
        return 0.1 - 0.05 * share + MOVED[seed]
    if metric != "exact_answer" or evaluation.benchmark.endswith("_hard"):
        return 0.0
    if method == "sdpo":
        mean = 0.4 + 0.24 * share if share <= 0.5 else 0.52 - 0.14 * (share - 0.5)
    else:
        mean = 0.4 + (LAST[method] - 0.4) * share
    return mean + (MOVED[seed] + (OWN[seed] if method == "dopd" else 0)) * (step > 0)


def options(root: Path, **changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"results": root, "published": root / "published", **changes})


def made(chosen: Options, **how: Any) -> dict[str, Table]:
    return {table.name: table for table in SUITE.tables(*frames(chosen, score, suite=SUITE, **how), chosen)}


def line(made: Table, label: str) -> dict[str, Cell]:
    (found,) = (each for each in made.lines if each.label == label)
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


def test_its_runs_are_those_of_other_suites(tmp_path: Path) -> None:
    """Trained once."""
    mine = [s.id for s in SUITE.runs(PROFILE, options(tmp_path))]
    assert len(set(mine)) == 5 * (2 + 5), "five draws"
    for other in ("in_distribution", "methods"):
        chosen = Options(suite=other, seeds=tuple(range(5)), published=tmp_path / "published")
        assert set(mine) < {s.id for s in registry.suite(other).runs(PROFILE, chosen)}


@pytest.mark.parametrize("profile", ["embedded", "paper"])
def test_what_is_asked_of_a_run(tmp_path: Path, profile: str) -> None:
    chosen = options(tmp_path, profile=profile)
    planned = SUITE.runs(registry.profile(profile), chosen)
    student, spec = planned[0], next(each for each in planned if each.method)
    asked = SUITE.evaluations(spec)
    assert len(set(asked)) == len(asked)
    steps, benchmarks = spec.probed_steps(), registry.profile(profile).benchmarks
    assert len(steps) == 11
    for benchmark in benchmarks:
        decoding, _ = told(benchmark).primary
        assert [e.at(spec) for e in asked if (e.benchmark, e.decoding) == (benchmark, decoding)] == [
            *(STEPS if profile == "embedded" else steps)
        ]
    assert [e.at(spec) for e in asked if e.benchmark == "training"] == [*steps[1:]]
    assert {e.decoding for e in asked if e.benchmark == "training"} == {AUDIT}
    assert {e.at(spec) for e in asked if e.benchmark.endswith("_hard")} == (
        {spec.steps} if profile == "embedded" else set()
    )
    assert {e.step for e in SUITE.evaluations(student)} == {"last"}
    assert not any(e.decoding == AUDIT for e in SUITE.evaluations(student))


def test_flags_select_methods_seeds_and_steps(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("dopd", "sdpo"), seeds=(0, 7), steps=5)
    planned = [s for s in SUITE.runs(PROFILE, chosen) if s.method]
    assert [(s.method and s.method.name, s.seed, s.steps) for s in planned] == [
        ("dopd", 0, 5),
        ("sdpo", 0, 5),
        ("dopd", 7, 5),
        ("sdpo", 7, 5),
    ]
    assert [e.at(planned[0]) for e in SUITE.evaluations(planned[0]) if e.benchmark == "training"] == [1, 2, 3, 4, 5]
    assert [step_at(planned[0], share) for share in (0.2, 0.3, 0.35, 1.0)] == [1, 1, 2, 5]  # of a tie, the earlier


def test_numbers_of_a_curve(tmp_path: Path) -> None:
    table = made(options(tmp_path))["figure8"]
    sdpo = line(table, "SDPO")
    assert [sdpo[f"at_{share}"].value for share in (20, 40, 60, 80, 100)] == pytest.approx(
        [44.8, 49.6, 50.6, 47.8, 45.0]
    )
    assert sdpo["at_100"].half == pytest.approx(2.776 * 100 * np.std(list(MOVED.values()), ddof=1) / 5**0.5, abs=0.01)
    assert sdpo["best_step"] == Cell(value=100, n=5, unit="draw", notes=("100.0 to 100.0",))
    # Draws only shift it, so every draw falls by the same 7 points.
    assert sdpo["best"].value == pytest.approx(52) and sdpo["fall"].value == pytest.approx(7)
    assert sdpo["p_holm"].missing == "no spread"
    assert sdpo["entropy"].value == pytest.approx(50) and sdpo["entropy"].n == 5
    dopd = line(table, "DOPD")
    assert dopd["best_step"].value == 200 and dopd["fall"].value == pytest.approx(0)
    assert dopd["at_100"].shade and dopd["at_100"].rank == 2 and line(table, "EOPD")["at_100"].rank == 1
    assert line(table, "Student")["at_100"].value == pytest.approx(40) and line(table, "Student")["at_20"] == Cell()
    assert table.partial == ""


def test_when_dopd_is_where_the_others_end(tmp_path: Path) -> None:
    rows, costs = frames(chosen := options(tmp_path), score, suite=SUITE)
    costs.loc[costs["method"] == "dopd", "train_seconds"] = 50.0
    table = SUITE.tables(rows, costs, chosen)[1]
    # DOPD is at 0.4 + 0.0008 step + 0.0006 from step 5 on, in the mean over draws.
    assert fmean(MOVED.values()) == pytest.approx(0) and fmean(OWN.values()) == pytest.approx(0.0006)
    vanilla = line(table, "Vanilla OPD")
    assert vanilla["target"].value == pytest.approx(50)
    assert vanilla["dopd_step"].value == pytest.approx((0.1 - 0.0006) / 0.0008)
    assert vanilla["own_step"].value == pytest.approx(200)
    assert vanilla["run_seconds"].value == pytest.approx(32)  # 30 + seed
    assert vanilla["dopd_seconds"].value == pytest.approx(50 * 0.0994 / 0.16)
    assert vanilla["own_seconds"].value == pytest.approx(32)
    # 40 % of the way: 46.4 against 50, the own movement left over.
    assert vanilla["lead"].value == pytest.approx(100 * (0.064 + 0.0006 - 0.1))
    assert vanilla["lead"].n == 5 and vanilla["p_holm"].value is not None
    exopd = line(table, "ExOPD")
    assert exopd["dopd_step"].value == pytest.approx((0.06 - 0.0006) / 0.0008)
    assert exopd["lead"].value == pytest.approx(0.46)
    sdpo = line(table, "SDPO")  # it was at its last score long before
    assert sdpo["own_step"].value == pytest.approx(40 + 20 * (45.0 - 44.8) / 2.4)
    assert line(table, "EOPD")["dopd_step"] == Cell(missing="never (n=5, never to never)")
    assert line(table, "EOPD")["dopd_seconds"].missing == "never (n=5, never to never)"
    dopd = line(table, "DOPD")
    assert dopd["dopd_step"].missing == dopd["lead"].missing == "itself" and dopd["own_step"].value == pytest.approx(
        200
    )
    assert all(cell.n or cell.missing for each in table.lines for cell in each.cells[:6])


def test_without_dopd_there_is_nothing_to_reach(tmp_path: Path) -> None:
    assert list(made(options(tmp_path, methods=("vanilla_opd", "sdpo")))) == ["figure8"]


def test_what_is_missing_says_why(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0, 1, 2))
    specs = {name: [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == name] for name in METHODS}
    found = made(chosen, skip=[*specs["sdpo"], *specs["eopd"][:1]], state="unevaluated")
    sdpo = line(found["figure8"], "SDPO")
    assert {sdpo[key].missing for key in ("at_20", "best", "best_step", "fall", "entropy")} == {"partial"}
    assert {cell.missing for key, cell in line(found["step_to_reach"], "SDPO").items() if key != "p_holm"} == {
        "partial"
    }
    eopd = line(found["figure8"], "EOPD")
    assert eopd["at_100"].n == 2 and "1 of 3 partial" in eopd["at_100"].notes and eopd["best"].n == 2
    assert line(found["step_to_reach"], "EOPD")["lead"].n == 2
    assert found["figure8"].partial == "17 of 21 runs done" == found["step_to_reach"].partial
    lost = made(chosen, skip=specs["dopd"])["step_to_reach"]
    assert line(lost, "Vanilla OPD")["dopd_step"].missing == "not run" == line(lost, "Vanilla OPD")["lead"].missing
    assert line(lost, "Vanilla OPD")["own_step"].value == pytest.approx(200)


def test_a_single_seed_has_no_interval_and_no_fall(tmp_path: Path) -> None:
    found = made(options(tmp_path, seeds=(1,)))
    sdpo = line(found["figure8"], "SDPO")
    assert sdpo["best"].missing == sdpo["fall"].missing == "needs two draws"
    assert sdpo["best_step"] == Cell(value=100, n=1, unit="draw")
    assert line(found["step_to_reach"], "EOPD")["dopd_step"].missing == "never (single draw)"


@pytest.mark.slow
def test_a_collapse_is_named_from_the_step_it_was_seen_at(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    fallen = next(s.id for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "sdpo")
    rows.loc[(rows["run"] == fallen) & (rows["step"] >= 160), "status"] = "collapsed"
    sdpo = line(SUITE.tables(rows, costs, chosen)[0], "SDPO")
    named = {key for key, cell in sdpo.items() if "collapsed 1/5" in cell.notes}
    assert named == {"at_80", "at_100", "best", "entropy"}
    rows.loc[(rows["run"] == fallen) & (rows["step"] > 160), "status"] = "ok"
    assert "collapsed 1/5" not in line(SUITE.tables(rows, costs, chosen)[0], "SDPO")["at_100"].notes


@pytest.mark.slow
def test_tables_are_written_in_every_form(tmp_path: Path) -> None:
    for table in made(options(tmp_path)).values():
        for write in output.WRITERS.values():
            assert table.lines[-1].label in (written := write(table)) and "nan" not in written.split("xact answer")[0]


@pytest.mark.slow
def test_figure_has_the_two_panels_against_steps(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    drawn = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)
    assert list(drawn) == ["figure8", "accuracy_seconds"]
    accuracy, entropy = drawn["figure8"].axes
    assert (accuracy.get_ylabel(), entropy.get_ylabel()) == ("exact answer, greedy, %", "entropy, millinats")
    assert accuracy.get_xlabel() == entropy.get_xlabel() == "step"
    sdpo = xy(accuracy, 2)
    assert sdpo[0] == list(STEPS) and sdpo[1][STEPS.index(100)] == pytest.approx(52)
    assert xy(entropy, 2)[0] == list(PROBED[1:]) and xy(entropy, 2)[1][-1] == pytest.approx(50)
    assert len(accuracy.collections) == 5  # a band each
    words = [text.get_text() for text in accuracy.texts]
    assert {"Vanilla OPD", "SDPO", "DOPD", "Student 40.0", "Teacher 60.0"} <= set(words)
    assert not any("Student" in text.get_text() for text in entropy.texts)


@pytest.mark.slow
def test_accuracy_against_seconds_says_how_they_were_found(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    costs.loc[costs["method"] == "dopd", "train_seconds"] = 50.0
    figure = SUITE.figures(rows, costs, chosen)["accuracy_seconds"]
    (ax,) = figure.axes
    assert ax.get_xlabel() == "training, s"
    assert xy(ax, 0)[0] == pytest.approx([32 * step / 200 for step in STEPS])
    assert xy(ax, 4)[0] == pytest.approx([50 * step / 200 for step in STEPS])
    said = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "times the share of its steps" in said and "DOPD takes 1.6 times the seconds of" in said


@pytest.mark.slow
def test_seconds_that_vary_more_than_they_differ_are_not_told_apart(tmp_path: Path) -> None:
    """One run that waited for the machine makes its method's mean the largest, and no finding."""
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    dopd = costs.index[costs["method"] == "dopd"]
    costs.loc[dopd[0], "train_seconds"] = 500.0
    figure = SUITE.figures(rows, costs, chosen)["accuracy_seconds"]
    said = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "slowest and quickest not told apart" in said and "times the seconds" not in said


def xy(ax: Any, i: int) -> tuple[list[float], list[float]]:
    """Points of the i-th method's line; markers at names and reference lines come after."""
    drawn = ax.get_lines()[i]
    return list(drawn.get_xdata()), list(drawn.get_ydata())


def test_a_partial_figure_draws_what_is_there(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0,))
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "dopd"]
    for figure in SUITE.figures(*frames(chosen, score, suite=SUITE, skip=lost), chosen).values():
        said = [text.get_text() for ax in figure.axes for text in ax.texts]
        assert "DOPD, not run" in said and "SDPO, single draw" in said
        assert "partial: 6 of 7 runs done" in " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_rows_on_disk_give_the_same(tmp_path: Path) -> None:
    """An audit's rows and intermediate checkpoints are read as they were written, and wanted again by nobody."""
    chosen = options(tmp_path, seeds=(0,), methods=("vanilla_opd", "dopd"))
    for spec in SUITE.runs(PROFILE, chosen):
        make_done(tmp_path, spec, score, SUITE)
    rows, costs = results.load("runs", SUITE, PROFILE, chosen)
    assert set(costs["state"]) == {"done"}
    assert SUITE.tables(rows, costs, chosen) == list(made(chosen).values())


# Curves themselves.


def test_first_at_between_checkpoints() -> None:
    curves = np.array([[0.0, 1.0, 3.0], [2.0, 1.0, 3.0], [0.0, 1.0, 0.5], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    levels = np.array([2.0, 2.0, 2.0, 1.0, 1.0])
    found = first_at((0, 10, 20), curves, levels)
    assert found.tolist() == [15.0, 0.0, math.inf, 10.0, 5.0]


def curve(values: Mapping[int, tuple[float, ...]]) -> Curve:
    return Curve(steps=(0, 10, 20), by_unit=values)


def test_a_seed_does_not_choose_its_own_best_step() -> None:
    """Each seed has its maximum elsewhere: nobody falls by choosing it."""
    noise = curve({0: (1.0, 0.0, 0.0), 1: (0.0, 1.0, 0.0), 2: (0.0, 0.0, 1.0)})
    # The others of seed 0 have the means (0, 1/2, 1/2) and choose step 10; those of 1 and 2 choose step 0.
    assert noise.best() == {0: 0.0, 1: 0.0, 2: 0.0}
    fall = noise.fall()
    assert fall is not None and fall.mean == pytest.approx(-1 / 3)
    assert Curve(steps=(0, 10), by_unit={0: (1.0, 0.0)}).fall() is None
    assert curve({}).best() == {} and curve({}).fall() is None


def test_noise_alone_makes_no_fall() -> None:
    """Taking each seed's own maximum would show one of about 1.6 standard deviations."""
    generator = np.random.default_rng(1)
    falls = []
    for _ in range(400):
        values = generator.normal(size=(5, 11))
        found = Curve(steps=PROBED, by_unit={seed: tuple(row) for seed, row in enumerate(values.tolist())}).fall()
        assert found is not None
        falls.append(found.mean)
    assert abs(fmean(falls)) < 4 * np.std(falls) / 20


def test_a_planted_fall_is_found() -> None:
    values = {seed: (0.4, 0.6 + MOVED[seed], 0.5 + OWN[seed]) for seed in range(5)}
    fall = curve(values).fall()
    assert fall is not None and fall.p is not None
    assert fall.mean == pytest.approx(0.1 - 0.0006) and fall.p < 0.001


def test_intervals_of_moments() -> None:
    split = curve({0: (0.0, 1.0, 0.0), 1: (0.0, 1.0, 0.0), 2: (0.0, 0.0, 1.6)})
    when = best_when(split)
    assert when == When(at=10.0, low=10.0, high=20.0, n=3)
    assert best_when(curve({})) is None
    # Seed 1 never reaches 1, seed 0 does half-way: of both together the mean just does at the end.
    slow = curve({0: (0.0, 2.0, 2.0), 1: (0.0, 0.0, 0.0)})
    level = curve({0: (1.0, 1.0, 1.0), 1: (1.0, 1.0, 1.0), 5: (9.0, 9.0, 9.0)})
    assert reach(slow, level) == When(at=10.0, low=5.0, high=math.inf, n=2)
    assert reach(slow, level, {0: 40.0, 1: 20.0}) == When(at=15.0, low=10.0, high=math.inf, n=2)
    assert reach(slow, curve({7: (0.0, 0.0, 0.0)})) is None
    assert when_cell(reach(slow, level)) == Cell(value=10.0, n=2, notes=("5.0 to never",))
    assert when_cell(reach(slow, level, {0: math.nan, 1: 20.0})).missing == "not measured"


def test_only_seeds_with_a_whole_curve_count() -> None:
    assert joined((0, 10), [{0: 1.0, 1: 2.0}, {1: 3.0}], SEEDS).by_unit == {1: (2.0, 3.0)}


def test_steps_are_asked_as_numbers_so_that_plans_agree() -> None:
    """The last step by number and by word is one evaluation to a run's folder."""
    spec = next(each for each in SUITE.runs(PROFILE, Options(suite="stability")) if each.method)
    assert Evaluation("last", "x", "greedy").at(spec) == max(e.at(spec) for e in SUITE.evaluations(spec))
