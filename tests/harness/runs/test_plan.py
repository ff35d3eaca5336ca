"""From a suite to its runs: states and estimates, without torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from support.fakes import LAST, PROFILE, FakeSuite, checkpoint, cost, row

from harness import registry
from harness.cli import plan_table
from harness.config import FirstStep, RunSpec
from harness.runs import plan
from harness.runs.plan import PlannedRun
from harness.storage import files, published_folder, run_folder
from harness.storage.code import Code, MadeBy, told
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, Options, Profile, Suite, reference_run, training_run
from harness.types import Cost, HarnessError, Privilege

ROOT = Path(__file__).resolve().parents[3]
UNPLANNED = ("torch", "transformers", "datasets", "lm_eval", "numpy", "pandas", "matplotlib", "filelock")
"""What planning does not import."""
OPTIONS = Options(suite="fake", profile="fake", published=Path("nowhere"))
PROFILE_RUN = training_run(PROFILE, OPTIONS, method="dopd", domains=("coding",), seed=0)


def planned(root: Path, suite: Suite | None = None, options: Options = OPTIONS) -> list[PlannedRun]:
    return plan.planned(suite or FakeSuite(), PROFILE, options, root)


def make_done(root: Path, spec: RunSpec, *, train_seconds: float, evaluation_seconds: float) -> None:
    folder = RunFolder(root, spec)
    folder.prepare()
    checkpoint(folder, spec.steps)
    folder.write_rows([row(spec, metric=metric) for metric in ("exact_answer", "exact_trace")])
    folder.write_cost(cost(spec, train_seconds=train_seconds, evaluation_seconds=evaluation_seconds))
    folder.mark_done((LAST,))


@pytest.mark.slow
def test_every_suite_plans_and_every_method_is_listed_without_torch(tmp_path: Path) -> None:
    """In a fresh process; whatever else planning does not need stays out too: pandas alone would take the second."""
    script = f"""
import sys

blocked = set({UNPLANNED})

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
from harness import registry
from harness.cli import plan_table
from harness.cli import flags, select, verbs

assert verbs.main(["methods"]) == verbs.main(["suites"]) == 0
for name in registry.methods():
    registry.build_method(registry.method_spec(name)).terms
of_text_first = sorted(registry.profiles(), key=lambda name: registry.profile(name).modality)
for profile in of_text_first:
    if registry.profile(profile).modality == "vision":
        blocked -= {{"numpy", "PIL"}}  # a problem is looked at, and its picture drawn
    for suite in registry.suites():
        if not registry.profile(profile).holds(suite) or registry.suite(suite).lacks(registry.profile(profile)):
            continue
        arguments = ["plan", "--suite", suite, "--profile", profile, "--results", {str(tmp_path)!r}]
        assert verbs.main(arguments) == 0, (suite, profile)
        methods = [] if registry.suite(suite).own_arms else ["--methods", "all"]
        wide = [*arguments, *methods, "--seeds", "5", "--train-domains", "all"]  # its table is the same, only longer
        assert select.select(flags.parser().parse_args(wide)).plan(), (suite, profile)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert list(tmp_path.iterdir()) == [], "planning writes nothing"
    for name in registry.suites():
        assert f"{name}: " in ended.stdout


def test_absent_runs_are_estimated_by_the_profile(tmp_path: Path) -> None:
    reference, *training = planned(tmp_path)
    assert reference.estimate_seconds == 5.0
    assert [run.estimate_seconds for run in training] == [10 * 2.0 + 5.0] * 2
    assert {run.state for run in (reference, *training)} == {RunState.ABSENT}
    assert plan.missing([reference, *training]) == [reference, *training]


def test_done_runs_cost_nothing_and_measure_their_method(tmp_path: Path) -> None:
    before = planned(tmp_path, options=dataclasses.replace(OPTIONS, seeds=(0, 1)))
    make_done(tmp_path, before[1].spec, train_seconds=40.0, evaluation_seconds=3.0)
    reference, vanilla, dopd, vanilla1, _ = planned(tmp_path, options=dataclasses.replace(OPTIONS, seeds=(0, 1)))
    assert (vanilla.state, vanilla.estimate_seconds) == (RunState.DONE, 0.0)
    assert vanilla1.estimate_seconds == 40.0 + 3.0, "four seconds a step; one evaluation of three seconds"
    assert dopd.estimate_seconds == 20.0 + 3.0, "another method is not measured yet"
    assert reference.estimate_seconds == 3.0
    assert vanilla not in plan.missing([vanilla, dopd])


def test_runs_of_another_profile_measure_nothing(tmp_path: Path) -> None:
    spec = planned(tmp_path)[1].spec
    make_done(tmp_path, dataclasses.replace(spec, profile="other"), train_seconds=900.0, evaluation_seconds=9.0)
    assert planned(tmp_path)[1].estimate_seconds == 25.0


def costs_csv(costs: list[Cost]) -> str:
    names = [field.name for field in dataclasses.fields(Cost)]
    records = [dataclasses.asdict(c) | {"train_domains": "+".join(c.train_domains)} for c in costs]
    lines = [",".join("" if r[name] is None else str(r[name]) for name in names) for r in records]
    return "\n".join([",".join(names), *lines]) + "\n"


def test_published_costs_stand_in_until_a_run_is_measured(tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, published=tmp_path / "published")
    specs = [run.spec for run in planned(tmp_path)]
    costs = [cost(spec, train_seconds=100.0 * spec.steps) for spec in specs]
    path = tmp_path / "published" / "fake" / "another_suite" / "costs.csv"
    files.write_text_atomic(path, costs_csv(costs))
    assert published_folder.read_costs(path) == costs
    assert [run.estimate_seconds for run in planned(tmp_path, options=options)] == [5.0, 1005.0, 1005.0]
    make_done(tmp_path, specs[1], train_seconds=40.0, evaluation_seconds=1.0)
    again = planned(tmp_path, options=dataclasses.replace(options, seeds=(0, 1)))
    assert [run.estimate_seconds for run in again] == [1.0, 0.0, 1001.0, 41.0, 1001.0]


def test_partial_run_is_estimated_by_what_is_left(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, planned(tmp_path)[1].spec)
    folder.prepare()
    checkpoint(folder, 7)
    run = planned(tmp_path)[1]
    assert (run.state, run.estimate_seconds) == (RunState.PARTIAL, 3 * 2.0 + 5.0)
    folder.mark_failed("why")
    assert planned(tmp_path)[1].state is RunState.FAILED
    checkpoint(folder, 10)
    folder.prepare()
    run = planned(tmp_path)[1]
    assert (run.state, run.estimate_seconds) == (RunState.UNEVALUATED, 5.0)


def test_same_spec_is_one_run_in_every_suite(tmp_path: Path) -> None:
    class Other(FakeSuite):
        name = "other"

        def runs(self, profile: Profile, options: Options) -> list[RunSpec]:
            return super().runs(profile, options) * 2

        def evaluations(self, spec: RunSpec) -> tuple[Evaluation, ...]:
            return (LAST, Evaluation("last", "exam", "greedy"))

    for run in planned(tmp_path):
        make_done(tmp_path, run.spec, train_seconds=1.0, evaluation_seconds=1.0)
    assert plan.missing(planned(tmp_path)) == []
    twice = planned(tmp_path, Other())
    assert len(twice) == len({run.spec.id for run in twice}) == 3
    assert {run.state for run in twice} == {RunState.UNEVALUATED}, "trained once, asked once more"
    assert [run.estimate_seconds for run in twice] == [1.0] * 3


def test_training_run_takes_overrides_and_steps_from_profile_and_user() -> None:
    options = dataclasses.replace(OPTIONS, steps=4)
    spec = training_run(PROFILE, options, method="dopd", domains=("coding",), seed=3, temperature=0.5)
    assert spec.method is not None
    assert (spec.steps, spec.seed, spec.temperature, spec.method.settings["k"]) == (4, 3, 0.5, 8)
    assert training_run(PROFILE, OPTIONS, method="dopd", domains=("coding",), seed=3).steps == 10


def test_reference_run_is_the_model_alone() -> None:
    spec = reference_run(PROFILE, PROFILE.teacher)
    assert spec.is_reference
    assert spec.id.startswith("reference-big-")


def test_damaged_run_folder_is_one_line_before_anything_runs(tmp_path: Path) -> None:
    spec = planned(tmp_path)[1].spec
    make_done(tmp_path, spec, train_seconds=1.0, evaluation_seconds=1.0)
    (RunFolder(tmp_path, spec).path / "rows.jsonl").write_text("")
    with pytest.raises(HarnessError, match="not what was written"):
        planned(tmp_path)


def test_plan_says_in_what_the_runs_of_a_method_differ() -> None:
    def run(method: str = "dopd", *, k: int = 8, steps: int = 10, **changes: Any) -> RunSpec:
        method_spec = dataclasses.replace(PROFILE_RUN.method, name=method, settings={"k": k, "mu": 0.5})
        return dataclasses.replace(PROFILE_RUN, method=method_spec, steps=steps, **changes)

    none = dataclasses.replace(PROFILE.data, privilege=Privilege.NONE)
    assert plan_table.differences(
        [
            reference_run(PROFILE, PROFILE.student),
            run(),
            run(k=4, steps=20),
            run(data=none, seed=3),
            run("vanilla_opd", k=2),
            run("vanilla_opd", k=2, seed=1),
        ]
    ) == ["", "privilege = hints, k = 8", "privilege = hints, k = 4", "privilege = none, k = 8", "", ""]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "-"), (48.4, "48 s"), (99.6, "100 s"), (720, "12 min"), (12_600, "3.5 h")]
)
def test_duration(seconds: float, text: str) -> None:
    assert plan.duration(seconds) == text


def test_makespan_is_bounded_by_load_and_longest_run(tmp_path: Path) -> None:
    runs_ = planned(tmp_path)
    assert plan.makespan(runs_, 1) == 55.0
    assert plan.makespan(runs_, 2) == 27.5
    assert plan.makespan(runs_, 8) == 25.0
    assert plan.makespan([], 2) == 0.0


def test_folders_of_a_plan_are_those_on_disk(tmp_path: Path) -> None:
    for run in planned(tmp_path):
        RunFolder(tmp_path, run.spec).prepare()
    assert {f.spec.id for f in run_folder.folders(tmp_path)} == {run.spec.id for run in planned(tmp_path)}


def test_whatever_is_not_done_is_missing(tmp_path: Path) -> None:
    """One run of each state, as the folder has it."""
    options = dataclasses.replace(OPTIONS, seeds=(0, 1, 2, 3))
    absent, done, partial, failed, unevaluated, *_ = (run.spec for run in planned(tmp_path, options=options))
    make_done(tmp_path, done, train_seconds=1.0, evaluation_seconds=1.0)
    for spec, step in ((partial, 7), (failed, 7), (unevaluated, 10)):
        RunFolder(tmp_path, spec).prepare()
        checkpoint(RunFolder(tmp_path, spec), step)
    RunFolder(tmp_path, failed).mark_failed("why")
    found = planned(tmp_path, options=options)
    assert [run.state for run in found[:5]] == [
        RunState.ABSENT,
        RunState.DONE,
        RunState.PARTIAL,
        RunState.FAILED,
        RunState.UNEVALUATED,
    ]
    left = [run.spec for run in plan.missing(found)]
    assert left == [run.spec for run in found if run.spec.id != done.id]
    assert {each.id for each in (absent, partial, failed, unevaluated)} <= {spec.id for spec in left}


def test_a_run_whose_only_step_has_rate_0_is_refused(tmp_path: Path) -> None:
    one = dataclasses.replace(OPTIONS, steps=1)
    with pytest.raises(
        HarnessError, match=r"steps=1 of vanilla_opd: the warm-up begins at learning rate 0 .*2 or more"
    ):
        planned(tmp_path, options=one)
    assert planned(tmp_path, options=dataclasses.replace(OPTIONS, steps=2))
    full = dataclasses.replace(PROFILE, optim=dataclasses.replace(PROFILE.optim, first_step=FirstStep.FULL))
    assert plan.planned(FakeSuite(), full, one, tmp_path)
    # Four optimiser steps a batch: three of them move the student.
    assert planned(tmp_path, options=dataclasses.replace(one, methods=("eopd",)))


def test_a_run_that_is_there_is_read_once_and_an_absent_one_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in planned(tmp_path):
        make_done(tmp_path, run.spec, train_seconds=1.0, evaluation_seconds=1.0)
    read: list[Path] = []
    looked = files.read_json, files.read_jsonl
    monkeypatch.setattr(files, "read_json", lambda path, *kind: read.append(path) or looked[0](path, *kind))
    monkeypatch.setattr(files, "read_jsonl", lambda path, **how: read.append(path) or looked[1](path, **how))
    found = planned(tmp_path, options=dataclasses.replace(OPTIONS, seeds=(0, 1, 2)))
    done = [run.spec.id for run in found if run.state is RunState.DONE]
    assert (len(done), len(found)) == (3, 7)
    names = ("spec.json", "costs.json", "done", "rows.jsonl")
    assert sorted(read) == sorted(tmp_path / "runs" / run / name for run in done for name in names)


def test_seeds_of_a_setting_share_what_is_asked_and_what_was_found(tmp_path: Path) -> None:
    """So that ten thousand runs hold little more than their specs."""
    suite, options = registry.suite("stability"), Options(suite="stability", methods=("sft",), seeds=(0, 1, 2))
    runs = plan.planned(suite, registry.profile("embedded"), options, tmp_path)
    trained = [run for run in runs if run.spec.method]
    assert [asked == trained[0].wanted for asked in (run.wanted for run in trained)] == [True] * 3
    evaluations = {id(e) for run in trained for e in run.wanted if e.decoding != "audit"}
    assert len(evaluations) == sum(e.decoding != "audit" for e in trained[0].wanted)
    for run in planned(tmp_path, options=dataclasses.replace(OPTIONS, seeds=(0, 1))):
        make_done(tmp_path, run.spec, train_seconds=1.0, evaluation_seconds=1.0)
    by_steps = {folder.spec.steps: folder.evaluated() for folder in run_folder.found(tmp_path)}
    assert all(folder.evaluated() is by_steps[folder.spec.steps] for folder in run_folder.found(tmp_path))


def test_every_evaluation_is_checked_whatever_tuple_it_stands_in(tmp_path: Path) -> None:
    """Also of a run that stands between others of the same data, which ask for nothing."""
    runs = [
        dataclasses.replace(run, wanted=())
        for run in planned(tmp_path, options=dataclasses.replace(OPTIONS, seeds=(0, 1)))
    ]
    wrong = dataclasses.replace(runs[2], wanted=(Evaluation("last", "nothing", "audit"),))
    plan.check_evaluations(runs)
    with pytest.raises(HarnessError, match="no audit 'nothing'"):
        plan.check_evaluations([*runs[:2], wrong, *runs[3:]])


def test_what_is_done_is_told_to_who_waits(tmp_path: Path) -> None:
    make_done(tmp_path, planned(tmp_path)[1].spec, train_seconds=1.0, evaluation_seconds=1.0)
    told: dict[str, int] = {}

    def track(items: Iterable[Any], words: str) -> Iterable[Any]:
        for told[words], item in enumerate(items, start=1):
            yield item

    plan.planned(FakeSuite(), PROFILE, OPTIONS, tmp_path, track)
    assert told == {"reading the runs that are there": 1, "planning": 3}


def test_what_other_code_made_is_said_and_what_it_began_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, vanilla, dopd = (run.spec for run in planned(tmp_path))
    make_done(tmp_path, vanilla, train_seconds=1.0, evaluation_seconds=1.0)
    begun = RunFolder(tmp_path, dopd)
    begun.prepare()
    checkpoint(begun, 5)
    assert {run.made for run in planned(tmp_path)} == {MadeBy.THIS}
    plan.check_code(planned(tmp_path), tmp_path)
    monkeypatch.setattr(run_folder, "code_of", lambda spec: Code("t", "e"))
    runs = planned(tmp_path)
    assert [run.standing for run in runs] == ["absent", "done, other code", "partial, other code"]
    assert told(run.made for run in runs) == "2 made by other code"
    with pytest.raises(
        HarnessError, match=rf"^1 of the runs cannot go on, first {dopd.id}: it was begun by other code"
    ):
        plan.check_code(runs, tmp_path)
    plan.check_code(runs[:2], tmp_path)


def test_a_damaged_run_stops_no_plan_that_does_not_need_it(tmp_path: Path) -> None:
    """Its costs are an estimate's, its spec only its own; before, one of either stopped every suite."""
    whole = planned(tmp_path)
    run = next(each.spec for each in whole if each.spec.method)
    make_done(tmp_path, run, train_seconds=1.0, evaluation_seconds=1.0)
    folder = RunFolder(tmp_path, run).path
    for text in ("{}", "[]", '{"run":', ""):
        (folder / "costs.json").write_text(text)
        assert [each.spec.id for each in planned(tmp_path) if each.state is RunState.DONE] == [run.id]
    for text in ("{}", "[]", '{"profile":', ""):
        (folder / "spec.json").write_text(text)
        others = planned(tmp_path, options=dataclasses.replace(OPTIONS, seeds=(1,)))
        assert run.id not in {each.spec.id for each in others}
        with pytest.raises(HarnessError, match=rf"{run.id}/spec.json") as refused:
            planned(tmp_path)
        assert "\n" not in str(refused.value)
