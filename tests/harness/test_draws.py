"""A world in draws: which draw a seed runs, with which models, and that nothing of another draw reaches it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from support import drawn_world, language, tiny_world
from support.drawn_world import DEVELOPMENT, PROFILE, DrawnWorld
from support.tiny_world import TinyWorld

from harness.analysis import results
from harness.config import DataSpec, ModelSpec, RunSpec, from_json, to_json
from harness.evaluation import benchmarks, evaluate
from harness.evaluation.audits import AUDIT
from harness.evaluation.benchmarks import OwnBenchmark
from harness.profile import Draws
from harness.runs import plan
from harness.runs.plan import check_worlds
from harness.runs.run import run
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options, reference_run, training_run
from harness.types import HarnessError, Row
from harness.worlds import WORLDS, world_of
from suites.in_distribution import InDistribution
from suites.profiles import PROFILES

OPTIONS = Options(suite="in_distribution", profile="drawn", methods=("vanilla_opd", "dopd"), seeds=(0, 1, 2, 3))
ADD, _ = PROFILE.benchmarks


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "tiny", "support.tiny_world:TinyWorld")
    monkeypatch.setitem(WORLDS, "drawn", "support.drawn_world:DrawnWorld")
    monkeypatch.setitem(PROFILES, "drawn", "support.drawn_world:PROFILE")


def spec(seed: int, **changes: Any) -> RunSpec:
    return training_run(PROFILE, OPTIONS, method="vanilla_opd", domains=TinyWorld.domains, seed=seed, **changes)


# Which draw.


@pytest.mark.parametrize(("seed", "draw"), [(0, 0), (1, 1), (2, 0), (999, 1), (1000, DEVELOPMENT), (1001, DEVELOPMENT)])
def test_a_seed_runs_its_draw(seed: int, draw: int) -> None:
    made = spec(seed)
    assert made.data is not None and made.teacher is not None
    assert (made.data.draw, made.student.name, made.teacher.name) == (draw, f"student_{draw}", f"teacher_{draw}")
    assert from_json(json.loads(json.dumps(to_json(made)))) == made


def test_a_draw_is_part_of_the_identity_and_none_is_not() -> None:
    data = language.data("coding", draw=None)
    assert "draw" not in to_json(data)
    assert data.canonical != dataclasses.replace(data, draw=0).canonical


def test_a_profile_without_draws_stays_itself() -> None:
    assert tiny_world.PROFILE.at(3) is tiny_world.PROFILE
    assert tiny_world.PROFILE.of_seeds((0, 1)) == [tiny_world.PROFILE]


def test_a_profile_in_a_draw_is_made_once() -> None:
    assert PROFILE.at(0) is PROFILE.at(2) and PROFILE.at(0).at(2) is PROFILE.at(0)
    with pytest.raises(HarnessError, match="profile drawn is in draw 0, asked for is draw 1: ask the profile itself"):
        PROFILE.at(0).at(1)
    with pytest.raises(HarnessError, match=r"profile drawn has no draw 5 \(it has: 0, 1, 9\)"):
        PROFILE.in_draw(5)


@pytest.mark.parametrize(
    ("draws", "message"),
    [({"n": 0}, "draws n=0, development=9"), ({"development": 1}, "draws n=2, development=1")],
)
def test_draws_that_are_none_are_refused(draws: dict[str, int], message: str) -> None:
    assert PROFILE.draws is not None
    with pytest.raises(HarnessError, match=message):
        dataclasses.replace(PROFILE, draws=dataclasses.replace(PROFILE.draws, **draws)).check()
    PROFILE.check()


def test_data_of_a_profile_with_draws_name_none() -> None:
    with pytest.raises(HarnessError, match="its data name draw 1, leave that to its draws"):
        dataclasses.replace(PROFILE, data=dataclasses.replace(PROFILE.data, draw=1)).check()


def test_a_model_of_no_draw_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"teacher teacher stands for one model in each draw.*profile.at\(seed\)"):
        spec(0, teacher=PROFILE.teacher)
    assert spec(0, teacher=PROFILE.at(0).student).teacher == ModelSpec(name="student_0")
    with pytest.raises(HarnessError, match="model student is evaluated in a draw of profile drawn"):
        reference_run(PROFILE, PROFILE.student)


# What the package does not hold.


@pytest.mark.parametrize(
    ("world", "draw", "message"),
    [
        ("drawn", 7, "world 'drawn' has the draws 0, 1, 9, the data ask for draw 7: give one of these"),
        ("drawn", None, "world 'drawn' has the draws 0, 1, 9, the data name none"),
        ("tiny", 0, "world 'tiny' has no draws, the data ask for draw 0: leave draw out"),
    ],
)
def test_a_draw_that_the_world_does_not_hold(world: str, draw: int | None, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        world_of(DataSpec(world=world, domains=("add",), privilege="tint", draw=draw))


def test_it_is_refused_before_compute(tmp_path: Path) -> None:
    assert PROFILE.draws is not None
    more = dataclasses.replace(PROFILE, draws=Draws(n=3, development=9, model=drawn_world.in_draw))
    planned = plan.planned(InDistribution(), more, OPTIONS, tmp_path)
    with pytest.raises(HarnessError, match="world 'drawn' has the draws 0, 1, 9, the data ask for draw 2"):
        check_worlds(planned)
    check_worlds(plan.planned(InDistribution(), PROFILE, OPTIONS, tmp_path))


# A plan.


def test_references_are_planned_by_draw() -> None:
    made = InDistribution().runs(PROFILE, OPTIONS)
    references = [(each.student.name, each.data and each.data.draw) for each in made if each.is_reference]
    assert references == [("student_0", 0), ("teacher_0", 0), ("student_1", 1), ("teacher_1", 1)]
    assert all(each.train_domains == () for each in made if each.is_reference)


def test_development_seeds_stand_beside_no_results() -> None:
    with pytest.raises(HarnessError, match="seeds 0, 1000: from 1000 on they run draw 9 of profile drawn"):
        InDistribution().runs(PROFILE, dataclasses.replace(OPTIONS, seeds=(0, 1000)))
    pilots = InDistribution().runs(PROFILE, dataclasses.replace(OPTIONS, seeds=(1000, 1001)))
    assert {each.data.draw for each in pilots if each.data} == {DEVELOPMENT}


# What is asked.


def test_a_run_is_asked_the_items_of_its_draw() -> None:
    found = benchmarks.benchmark(ADD)
    assert isinstance(found, OwnBenchmark) and found.data.draw is None and found.draws == DrawnWorld.draws
    assert [e.id for e in benchmarks.examples(found.in_draw(1))][:2] == ["add/test/1000", "add/test/1001"]
    with pytest.raises(HarnessError, match="the data name none"):
        benchmarks.examples(found)
    plain = benchmarks.benchmark("tiny_add")
    assert plain.in_draw(1) is plain


def test_items_are_exported_draw_by_draw(tmp_path: Path) -> None:
    written = {path.name for path in evaluate.export(tmp_path, [ADD, "tiny_add"])}
    assert {"drawn_add_draw0.jsonl", "drawn_add_draw9.yaml", "tiny_add.jsonl"} <= written
    assert files.read_jsonl(tmp_path / "drawn_add_draw1.jsonl")[0]["id"] == "add/test/1000"


@pytest.mark.slow
def test_a_run_and_its_references_say_their_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    drawn_world.save_pairs(tmp_path)
    asked = (Evaluation("last", ADD, "greedy"),)
    for made in (spec(1), reference_run(PROFILE.at(1), PROFILE.at(1).student)):
        folder = RunFolder(tmp_path, made)
        run(folder, asked, lambda *_: None)
        rows = folder.rows()
        assert {(row.draw, row.world, row.n) for row in rows} == {(1, "drawn 1", 6)}
        assert {row.train_domains for row in rows} == {made.train_domains}
        (samples,) = (folder.path / "samples").glob("*.jsonl")
        assert [record["id"] for record in files.read_jsonl(samples)] == [f"add/test/{1000 + i}" for i in range(6)]
        results.check(rows, PROFILE)


@pytest.mark.slow
def test_an_extra_checkpoint_is_kept_and_evaluated_and_not_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn_world.save_pairs(tmp_path)
    made = spec(0, checkpoints=1, extra_checkpoints=(1,))
    asked = (*(Evaluation(step, ADD, "greedy") for step in (1, 3)), Evaluation(3, "training", AUDIT, 1))
    folder = RunFolder(tmp_path, made)
    run(folder, asked, lambda *_: None)
    assert {row.step for row in folder.rows() if row.benchmark == ADD} == {1, 3}
    lines = files.read_jsonl(folder.metrics)
    assert [line["step"] for line in lines if "probe/accuracy" in line] == [0, 3]
    # what is read of the log at a probed step is since the one before, whatever was kept between
    (logged,) = (row.value for row in folder.rows() if row.metric == "entropy")
    assert logged == pytest.approx(sum(line["entropy"] for line in lines[1:]) / 3)


# Rows that do not mix.

ROW = Row(
    run="dopd-teacher.1-student.1-add-seed1-0123456789",
    method="dopd",
    profile="drawn",
    seed=1,
    train_domains=("add",),
    step=3,
    steps=3,
    benchmark=ADD,
    version=1,
    decoding="greedy",
    metric="exact_answer",
    value=0.5,
    n=6,
    errors=0,
    truncations=0,
    world="drawn 1",
    draw=1,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draw": 0}, "of seed 1 is of draw 0, profile drawn runs draw 1 there"),
        ({"draw": None}, "of seed 1 is of no draw, profile drawn runs draw 1 there"),
        ({"train_domains": (), "draw": 4}, "is of draw 4, profile drawn runs draw 0 or 1 or 9 there"),
    ],
)
def test_rows_of_another_draw_are_refused(changes: dict[str, Any], message: str) -> None:
    results.check([ROW, dataclasses.replace(ROW, run="student", train_domains=(), draw=0)], PROFILE)
    with pytest.raises(HarnessError, match=message):
        results.check([dataclasses.replace(ROW, **changes)], PROFILE)


def test_rows_of_a_draw_are_refused_where_there_are_none() -> None:
    row = dataclasses.replace(ROW, profile="tiny", world="")
    with pytest.raises(HarnessError, match="is of draw 1, profile tiny has no draws"):
        results.check([row], tiny_world.PROFILE)


def test_rows_of_two_worlds_are_refused_by_name() -> None:
    other = dataclasses.replace(ROW, run="of-another-world", world="", step=2)
    message = rf"{ROW.run} is of world drawn 1 and of-another-world is of world embedded 1: their numbers do not stand"
    with pytest.raises(HarnessError, match=message):
        results.check([ROW, other], PROFILE)


def test_rows_of_the_first_world_are_written_as_before(tmp_path: Path) -> None:
    first = to_json(dataclasses.replace(ROW, world="", draw=None))
    assert not {"world", "draw"} & first.keys()
    assert to_json(ROW) == {**first, "world": "drawn 1", "draw": 1}
