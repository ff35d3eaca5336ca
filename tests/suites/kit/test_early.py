"""The early step by hand, and what a profile that has one shows of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support import synthetic
from support.drawn_world import PROFILE, TWO_BUDGETS

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.evaluation.benchmarks import told
from harness.profile import Profile
from harness.show.tables import Shade, to_markdown
from harness.suite import Evaluation, Options, reference_run, training_run
from harness.types import HarnessError, Row
from harness.worlds import WORLDS
from suites.in_distribution import InDistribution
from suites.kit.arms import early_benchmarks, early_step
from suites.kit.curves import step_at
from suites.kit.dots import at_budget, budgets
from suites.kit.early import early_step as found_step
from suites.kit.early import first_half, measured
from suites.kit.variants import along_the_run
from suites.methods import EveryMethod
from suites.ood import OutOfDomain
from suites.profiles import PROFILES
from suites.stability import Stability

OPTIONS = Options(suite="in_distribution", profile="drawn_budgets", methods=("vanilla_opd", "dopd"), seeds=(0, 1))
AT = {("vanilla_opd", 5): 0.5, ("vanilla_opd", 20): 0.6, ("dopd", 5): 0.4, ("dopd", 20): 0.7}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "drawn", "support.drawn_world:DrawnWorld")
    monkeypatch.setitem(PROFILES, "drawn", "support.drawn_world:PROFILE")
    monkeypatch.setitem(PROFILES, "drawn_budgets", "support.drawn_world:TWO_BUDGETS")


def run_of(profile: Profile = TWO_BUDGETS, seed: int = 0, method: str = "vanilla_opd", **changes: Any) -> RunSpec:
    options = dataclasses.replace(OPTIONS, **changes)
    return training_run(profile, options, method=method, domains=profile.data.domains, seed=seed)


def score(spec: RunSpec, evaluation: Evaluation, _: str) -> float:
    """By method and step, a point more in draw 1."""
    assert spec.data is not None
    if spec.method is None:
        return 0.3 if spec.student.name.startswith("student") else 0.7
    return AT.get((spec.method.name, evaluation.at(spec)), 0.5) + 0.01 * (spec.data.draw or 0)


def scores(suite: Any, **changes: Any) -> Any:
    options = dataclasses.replace(OPTIONS, suite=suite.name, **changes)
    return suite.scores(*synthetic.frames(options, score, suite=suite, profile=TWO_BUDGETS), options)


# Which step.


def test_the_first_step_that_closes_half() -> None:
    """Student 40, teacher 60: half is at 50."""
    curve = {5: 0.45, 10: 0.4999, 15: 0.50, 20: 0.49, 30: 0.58}
    assert first_half(curve, 0.4, 0.6) == 15
    assert first_half({30: 0.6, 20: 0.55}, 0.4, 0.6) == 20


def test_what_tune_made_is_read_at_the_shared_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Student 30, teacher 70: half is at 50. Step 5 has 51 at the shared rate, step 3 has it at the other one."""
    profile = dataclasses.replace(TWO_BUDGETS, learning_rates=(TWO_BUDGETS.optim.lr, 1.0))
    monkeypatch.setattr("support.drawn_world.TWO_BUDGETS", profile)
    suite = registry.suite("tuning")
    chosen = dataclasses.replace(
        OPTIONS,
        suite="tuning",
        methods=("vanilla_opd",),
        seeds=(0, 1, 2),
        results=tmp_path,
        published=tmp_path / "none",
    )

    def along(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        if spec.optim is None:
            return score(spec, evaluation, metric)
        return 0.51 if evaluation.at(spec) >= (5 if spec.optim == profile.optim else 3) else 0.4

    for spec in suite.runs(profile, chosen):
        synthetic.make_done(tmp_path, spec, along, suite)
    assert measured(profile, chosen) == 5
    with pytest.raises(HarnessError, match=r"vanilla_opd at step 3 .* of 3 development seeds, there are 2"):
        measured(profile, dataclasses.replace(chosen, seeds=(0, 1)))


def test_half_that_is_never_closed_and_no_gap() -> None:
    with pytest.raises(HarnessError, match=r"half of the gap is at 50.0 %, the best of the steps 5, 10 has 49.0 %"):
        first_half({5: 0.49, 10: 0.45}, 0.4, 0.6)
    with pytest.raises(HarnessError, match=r"teacher has 40.0 % and the student 40.0 %: there is no gap to close"):
        first_half({5: 0.49}, 0.4, 0.4)


def row(spec: RunSpec, benchmark: str, step: int, value: float) -> Row:
    decoding, metric = told(benchmark).primary
    return Row(
        run=f"{spec.id}-{step}",
        method=spec.label,
        profile=spec.profile,
        seed=spec.seed,
        train_domains=spec.train_domains,
        step=step,
        steps=spec.steps,
        benchmark=benchmark,
        version=1,
        decoding=decoding,
        metric=metric,
        value=value,
        n=6,
        errors=0,
        truncations=0,
        world="drawn 1",
        draw=spec.data.draw if spec.data else None,
    )


def vanilla_rows(seeds: tuple[int, ...] = (1000, 1001, 1002)) -> list[Row]:
    """Two validation benchmarks 10 points apart; seeds a point apart; draw 0's rows and another method's are not read.

    Development: student 35, teacher 65 (means of the two), so half is at 50. Vanilla: 40, 51, 60.
    """
    add, double = TWO_BUDGETS.validation.values()
    found: list[Row] = []
    for seed in (*seeds, 0):
        for step, mean in {3: 0.40, 5: 0.51, 10: 0.60}.items():
            for benchmark, shift in ((add, 0.05), (double, -0.05)):
                value = 0.9 if seed == 0 else mean + shift + 0.01 * (seed - 1001)
                found.append(row(run_of(seed=seed), benchmark, step, value))
                found.append(row(run_of(seed=seed, method="dopd"), benchmark, step, 0.9))
    at = TWO_BUDGETS.at(1000)
    for model, mean in ((at.student, 0.35), (at.teacher, 0.65)):
        for benchmark, shift in ((add, 0.05), (double, -0.05)):
            found.append(row(reference_run(at, model), benchmark, 0, mean + shift))
    return found


def test_it_is_read_off_vanillas_development_rows() -> None:
    assert found_step(TWO_BUDGETS, results.row_frame(vanilla_rows())) == 5


def test_what_it_needs_is_asked_for() -> None:
    frame = results.row_frame(vanilla_rows((1000, 1001)))
    with pytest.raises(
        HarnessError, match=r"needs vanilla_opd at step 3 on drawn_add_validation of 3 development seeds"
    ):
        found_step(TWO_BUDGETS, frame)
    with pytest.raises(
        HarnessError, match=r"needs reference/student_9 at step 0 .* of 1 development seed, there are 0"
    ):
        found_step(TWO_BUDGETS, results.row_frame([r for r in vanilla_rows() if r.train_domains]))
    with pytest.raises(HarnessError, match="early step needs the field extra_checkpoints of profile drawn"):
        found_step(PROFILE, frame)
    with pytest.raises(HarnessError, match="profile paper has no draws, so none for development"):
        found_step(registry.profile("paper"), frame)


def test_runs_that_differ_are_not_averaged() -> None:
    twice = [*vanilla_rows(), *(dataclasses.replace(r, run="other") for r in vanilla_rows() if r.seed == 1000)]
    with pytest.raises(HarnessError, match="two values for one seed"):
        found_step(TWO_BUDGETS, results.row_frame(twice))


def test_an_early_step_that_is_no_extra_checkpoint() -> None:
    with pytest.raises(HarnessError, match=r"early_step 7 is none of its extra_checkpoints \(3, 5, 10\): name one"):
        dataclasses.replace(TWO_BUDGETS, early_step=7).check()
    TWO_BUDGETS.check()


# Which runs have it.


def test_a_run_keeps_the_profiles_checkpoints_before_its_end() -> None:
    assert run_of().extra_checkpoints == (3, 5, 10) and early_step(run_of()) == 5
    short = run_of(steps=4)
    assert short.extra_checkpoints == (3,) and early_step(short) is None and early_benchmarks(short) == ()
    assert run_of(PROFILE).extra_checkpoints == () and early_step(run_of(PROFILE)) is None
    assert early_step(reference_run(TWO_BUDGETS.at(0), TWO_BUDGETS.at(0).student)) is None


def test_it_is_evaluated_like_the_last() -> None:
    asked = [(e.step, e.benchmark) for e in InDistribution().evaluations(run_of())]
    assert asked == [(5, name) for name in TWO_BUDGETS.benchmarks] + [("last", name) for name in TWO_BUDGETS.benchmarks]
    assert {e.decoding for e in OutOfDomain().evaluations(run_of()) if e.step == 5} == {"greedy"}
    assert {e.step for e in along_the_run(run_of())} == {4, 5, 8, 16, 20}
    twice = dataclasses.replace(run_of(), steps=25, checkpoints=5)  # 5 of 25 is a share that is shown
    assert {e.step for e in along_the_run(twice)} == {5, 10, 20, 25}
    assert len({(e.step, e.benchmark) for e in along_the_run(twice)}) == len(along_the_run(twice))


def test_shares_of_a_run_and_probes_stay_at_the_tenths() -> None:
    assert step_at(run_of(), 0.25) == 4 and step_at(run_of(), 0.15) == 2
    asked = Stability().evaluations(run_of())
    assert 5 in {e.step for e in asked if e.benchmark == "drawn_add"}
    assert 5 not in {e.step for e in asked if e.benchmark == "training"}


# What is shown.


@pytest.mark.parametrize("suite", [InDistribution(), OutOfDomain(), EveryMethod(), Stability()])
def test_both_budgets_stand_in_the_main_table(suite: Any) -> None:
    table = suite.tables_of(scores(suite))[0]
    keys = [column.key for column in table.columns]
    early, difference = keys.index("early"), keys.index("early_difference")
    lines = {line.label: line.cells for line in table.lines if line.label in ("DOPD", "Vanilla OPD")}
    assert lines["DOPD"][early].value == pytest.approx(40.5) and lines["DOPD"][early].half is not None
    assert lines["DOPD"][early].shade is Shade.NONE and lines["DOPD"][early].rank == 0
    assert lines["DOPD"][difference].value == pytest.approx(-10)
    assert "Early: step 5 of the same runs" in table.caption
    assert len(keys) == len(set(keys))


def test_tests_belong_to_the_last_step() -> None:
    """One comparison at the end, one early: Holm is over one."""
    text = to_markdown(InDistribution().tables_of(scores(InDistribution()))[0])
    assert "1 test of this table" in text or "nothing is tested" in text
    table = InDistribution().tables_of(scores(InDistribution()))[0]
    assert sum(column.key.startswith("p_") for column in table.columns) == 1


def test_figures_have_a_panel_for_each() -> None:
    found = scores(InDistribution())
    assert budgets(found) == (5, "last") and at_budget("coding", 5) == "coding, early: step 5"
    assert at_budget("coding", "last") == "coding"
    drawn = InDistribution().figures_of(found)["figure1"]
    assert [ax.get_title() for ax in drawn.axes if ax.get_title()][:2] == [
        "mean of domains, early: step 5",
        "mean of domains",
    ]


def test_a_shorter_run_has_one_budget() -> None:
    found = scores(InDistribution(), steps=4)
    assert found.early is None and budgets(found) == ("last",)
    assert "early" not in [column.key for column in InDistribution().tables_of(found)[0].columns]
