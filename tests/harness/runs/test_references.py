"""References whose rows are published: taken where everything is equal, evaluated anew where anything is not."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from support.synthetic import PROFILE, SUITE, make_done, options, specs

from harness.analysis import results
from harness.cli import select, verbs
from harness.evaluation.benchmarks import BENCHMARKS, benchmark
from harness.models import zoo
from harness.report import publish
from harness.runs import local, plan, references
from harness.runs.plan import PlannedRun
from harness.storage import files, published_folder
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Options, Suite, Together
from harness.types import HarnessError
from suites.ood import OutOfDomain

SMALL = {"methods": ("vanilla_opd", "dopd"), "seeds": (0,), "train_domains": ("coding",)}
STUDENT, TEACHER = PROFILE.at(0).student, PROFILE.at(0).teacher
TOKENS = PROFILE.max_response_tokens


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Two references and two trained runs, published."""
    root = tmp_path_factory.mktemp("publication")
    made = options(root, **SMALL)
    for spec in specs(made):
        make_done(root, spec)
    publish.publish(SUITE, PROFILE, made)
    return made


@pytest.fixture
def chosen(publication: Options, tmp_path: Path) -> Options:
    """The same selection with a copy of what is published, and an empty folder of runs."""
    copied = shutil.copytree(publication.published, tmp_path / "published")
    return dataclasses.replace(publication, results=tmp_path / "mine", published=copied)


def planned(chosen: Options, suite: Suite = SUITE) -> list[PlannedRun]:
    return plan.planned(suite, PROFILE, chosen, chosen.results)


def states(chosen: Options, suite: Suite = SUITE) -> list[RunState]:
    return [run.state for run in planned(chosen, suite)]


def shelf(chosen: Options) -> Path:
    return chosen.published / "embedded" / "ood"


TAKEN = [RunState.PUBLISHED] * 2 + [RunState.ABSENT] * 2
ANEW = [RunState.ABSENT] * 4


@pytest.mark.slow
def test_published_references_count_as_made_and_trained_runs_do_not(chosen: Options) -> None:
    found = planned(chosen)
    assert [run.state for run in found] == TAKEN
    assert [run.estimate_seconds > 0 for run in found] == [False, False, True, True]
    assert plan.missing(found) == found[2:]
    assert not chosen.results.exists(), "a plan writes nothing"


def test_rows_are_copied_with_where_they_are_from(chosen: Options) -> None:
    for run in planned(chosen)[:2]:
        references.take(RunFolder(chosen.results, run.spec), run.wanted, chosen)
    assert states(chosen) == [RunState.DONE] * 2 + [RunState.ABSENT] * 2
    student = RunFolder(chosen.results, planned(chosen)[0].spec)
    (note,) = student.published()
    assert note["from"] == "embedded/ood" and len(note["evaluations"]) == 12
    assert [0, "permutations_coding", 1, "greedy"] in note["evaluations"]
    assert student.cost() is None and not (student.path / "samples").exists(), "nothing was computed here"
    there = json.loads((shelf(chosen) / "environments.json").read_text())
    assert student.environments() == [{key: value for key, value in each.items() if key != "runs"} for each in there]
    # They are the rows of the tables, number by number.
    frame, costs = results.load("runs", SUITE, PROFILE, chosen)
    same = [row for row in published_folder.read_rows(shelf(chosen) / "rows.jsonl") if row.run in set(frame["run"])]
    assert results.row_frame(same).equals(frame) and len(frame) == 2 * 24
    assert costs["state"].tolist() == ["done", "done", "absent", "absent"]
    main = SUITE.tables(frame, costs, chosen)[0]
    assert [line.cells[0].value for line in main.lines if line.label in ("Student", "Teacher")] == [40, 60]


def test_other_weights_are_evaluated_anew(chosen: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for model in (STUDENT, TEACHER):
        shutil.copytree(zoo.path(model.name), tmp_path / "weights" / zoo.MANIFEST[model.name]["folder"])
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    assert states(chosen) == TAKEN
    weights = zoo.path(STUDENT.name) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert states(chosen) == [RunState.ABSENT, RunState.PUBLISHED, RunState.ABSENT, RunState.ABSENT]
    weights.unlink()
    assert states(chosen)[0] is RunState.ABSENT


def test_another_version_of_a_benchmark_is_evaluated_anew(chosen: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = dataclasses.replace(benchmark("permutations_coding"), version=2)
    monkeypatch.setitem(BENCHMARKS, "permutations_coding", newer)
    assert states(chosen) == ANEW


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("specs.jsonl", f'"max_response_tokens": {TOKENS}', f'"max_response_tokens": {TOKENS + 1}'),
        ("specs.jsonl", STUDENT.sha256, "0" * 64),
        ("rows.jsonl", '"step": 0, "steps": 0', '"step": 1, "steps": 0'),
        ("rows.jsonl", '"schema": 1', '"schema": 2'),
    ],
)
def test_what_was_published_of_another_run_is_not_taken(chosen: Options, file: str, old: str, new: str) -> None:
    """First of all another setting under the same id."""
    path = shelf(chosen) / file
    text = path.read_text(encoding="utf-8")
    assert old and old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert states(chosen)[0] is RunState.ABSENT


def test_half_of_what_is_wanted_is_not_enough_and_two_suites_may_complete_each_other(chosen: Options) -> None:
    path = shelf(chosen) / "rows.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "permutations_coding" not in line), encoding="utf-8")
    assert states(chosen) == ANEW
    second = shelf(chosen).with_name("another")
    shutil.copytree(shelf(chosen), second)
    (second / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    run = planned(chosen)[0]
    folder = RunFolder(chosen.results, run.spec)
    references.take(folder, run.wanted, chosen)
    assert [(note["from"], len(note["evaluations"])) for note in folder.published()] == [
        ("embedded/ood", 8),
        ("embedded/another", 4),
    ]
    assert len(folder.rows()) == 24 and folder.state(run.wanted) is RunState.DONE


def test_where_single_responses_are_shown_they_are_made_here(chosen: Options) -> None:
    class Shows(OutOfDomain):
        published_samples: ClassVar[tuple[str, ...]] = ("permutations_coding",)

    assert states(chosen, Shows()) == ANEW
    assert references.shown(Together([SUITE, Shows()])) == {"permutations_coding"}


def test_a_damaged_publication_is_told(chosen: Options) -> None:
    path = shelf(chosen) / "rows.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"run": "reference', '"run" "reference'), encoding="utf-8")
    with pytest.raises(HarnessError, match=r"rows.jsonl is damaged .*restore it") as told:
        planned(chosen)
    assert "\n" not in str(told.value)


def test_published_rows_measure_no_time_of_this_machine(chosen: Options) -> None:
    guess = planned(chosen)[2].estimate_seconds
    run = planned(chosen)[0]
    folder = RunFolder(chosen.results, run.spec)
    references.take(folder, run.wanted, chosen)
    make_cost = dataclasses.replace(published_folder.read_costs(shelf(chosen) / "costs.csv")[0], evaluation_seconds=9e9)
    folder.write_cost(make_cost)
    assert planned(chosen)[2].estimate_seconds == guess


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["run", "evaluate"])
def test_the_command_takes_them_before_it_launches(
    chosen: Options, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launched: list[RunState] = []

    def launch(plan: list[PlannedRun], options: Options, **_: object) -> local.LaunchReport:
        launched.extend(run.state for run in plan)
        return local.LaunchReport()

    monkeypatch.setattr(local, "launch", launch)
    monkeypatch.setattr(select, "Options", functools.partial(Options, published=chosen.published))
    flags = ["--suite", "ood", "--methods", "vanilla_opd,dopd", "--seeds", "1", "--train-domains", "coding"]
    flags += ["--results", str(chosen.results)]
    assert verbs.main(["plan", *flags]) == 0
    assert "4 runs: 2 absent, 2 references from published rows; about" in capsys.readouterr().out
    assert verbs.main([verb, *flags]) == 0
    said = capsys.readouterr().out
    assert "this machine beside the published rows" not in said, "a copy is equal to what it was copied from"
    assert launched == (TAKEN if verb == "run" else TAKEN[:2])
    assert states(chosen) == [RunState.DONE] * 2 + [RunState.ABSENT] * 2
    assert verbs.main(["plan", *flags]) == 0
    assert "4 runs: 2 absent, 2 done; about" in capsys.readouterr().out


def test_force_evaluates_them_here(chosen: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "launch", lambda *_, **__: local.LaunchReport())
    monkeypatch.setattr(select, "Options", functools.partial(Options, published=chosen.published))
    flags = ["--methods", "vanilla_opd", "--seeds", "1", "--results", str(chosen.results), "--force"]
    assert verbs.main(["run", "--suite", "ood", *flags]) == 0
    assert not list(chosen.results.glob("runs/*"))


def test_an_evaluated_reference_is_no_longer_from_elsewhere_after_force(chosen: Options) -> None:
    run = planned(chosen)[0]
    folder = RunFolder(chosen.results, run.spec)
    references.take(folder, run.wanted, chosen)
    assert (folder.path / "published.json").exists()
    folder.clear()
    assert folder.published() == [] and files.read_jsonl(folder.path / "rows.jsonl") == []
