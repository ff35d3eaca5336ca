"""Rows from the three sources, and every way a row file can be wrong."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import synthetic
from support.synthetic import PROFILE, SUITE, make_done, options, specs

from harness.analysis import results
from harness.report import publish
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Options
from harness.types import HarnessError, NoRowsError, Row

ROW = Row(
    run="dopd-teacher-student-coding-seed0-0123456789",
    method="dopd",
    profile="embedded",
    seed=0,
    train_domains=("coding",),
    step=10,
    steps=10,
    benchmark="permutations_coding",
    version=1,
    decoding="greedy",
    metric="exact_answer",
    value=0.5,
    n=400,
    errors=0,
    truncations=0,
    world="permutations 1",
    draw=0,
)
SMALL = {"methods": ("vanilla_opd", "dopd"), "seeds": (0, 1), "train_domains": ("coding",)}


def all_done(root: Path, **changes: Any) -> Options:
    chosen = options(root, **{**SMALL, **changes})
    for spec in specs(chosen):
        make_done(root, spec)
    return chosen


def load(chosen: Options, source: Any = "runs") -> Any:
    return results.load(source, SUITE, PROFILE, chosen)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs and what was published of them; copied, never changed."""
    root = tmp_path_factory.mktemp("tree")
    publish.publish(SUITE, PROFILE, all_done(root))
    return root


@pytest.fixture
def published(tree: Path, tmp_path: Path) -> tuple[Options, Path]:
    """Options that read a copy of the published rows, and their file."""
    shutil.copytree(tree, tmp_path, dirs_exist_ok=True)
    chosen = options(tmp_path, **SMALL)
    return chosen, chosen.published / "embedded" / "ood" / "rows.jsonl"


def test_rows_of_done_runs_only(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    planned = specs(chosen)
    for spec in planned[:-2]:
        make_done(tmp_path, spec)
    RunFolder(tmp_path, planned[-2]).prepare()  # begun
    rows, costs = load(chosen)
    assert list(rows.columns) == list(results.ROW_COLUMNS)
    assert list(costs["run"]) == [spec.id for spec in planned]
    assert list(costs["state"]) == ["done"] * (len(planned) - 2) + ["partial", "absent"]
    assert set(rows["run"]) == {spec.id for spec in planned[:-2]}
    assert costs["train_seconds"].isna().tolist() == [False] * (len(planned) - 2) + [True, True]
    # The student and the teacher of two draws, two runs: × benchmarks × decodings × metrics, and a run's at step 20.
    assert len(planned) == 4 + 4 and len(rows) == (4 + 2) * 6 * 2 * 2 + 2 * 3 * 2


def test_runs_the_suite_does_not_plan_are_left_out(tmp_path: Path) -> None:
    chosen = all_done(tmp_path)
    make_done(tmp_path, specs(options(tmp_path, **{**SMALL, "seeds": (2,)}))[-1])
    assert set(load(chosen)[0]["seed"]) == {0, 1}


def test_a_run_that_ended_in_an_error_is_failed(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    for spec, last in zip(
        specs(chosen)[4:7],
        ("harness.types.HarnessError: disk full", "ValueError: bad", "step 3 of 10, no error"),
        strict=True,
    ):
        folder = RunFolder(tmp_path, spec)
        folder.prepare()
        folder.log.write_text(f"Traceback (most recent call last):\n  File\n{last}\n", encoding="utf-8")
    assert load(chosen)[1]["state"].tolist() == ["absent"] * 4 + ["failed", "failed", "partial", "absent"]


def test_nothing_done_is_an_empty_frame(tmp_path: Path) -> None:
    rows, costs = load(options(tmp_path, **SMALL))
    assert rows.empty and set(costs["state"]) == {"absent"}


def test_a_changed_row_file_is_refused(tmp_path: Path) -> None:
    chosen = all_done(tmp_path)
    path = RunFolder(tmp_path, specs(chosen)[-1]).path / "rows.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.9", 1), encoding="utf-8")
    with pytest.raises(HarnessError, match="is not what was written"):
        load(chosen)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 0}, "schema 0, this version reads 1"),
        ({"profile": "paper"}, "profile paper, asked for is embedded"),
        ({"value": float("nan")}, "is nan over 400 items"),
        ({"value": 1.2}, "is 1.2 over 400 items"),
        ({"value": None}, "is None over"),
        ({"value": True}, "is True over"),
        ({"n": 0}, "over 0 items"),
        ({"status": "colapsed"}, "its status is 'colapsed', allowed is ok or collapsed"),
    ],
)
def test_a_row_that_would_make_a_table_lie_is_refused(changes: dict[str, Any], message: str) -> None:
    results.check([ROW], PROFILE)
    with pytest.raises(HarnessError, match=message) as caught:
        results.check([dataclasses.replace(ROW, **changes)], PROFILE)
    assert "\n" not in str(caught.value) and ROW.run in str(caught.value)


def test_a_number_twice_is_refused() -> None:
    with pytest.raises(HarnessError, match=f"1 rows stand twice, first permutations_coding .* of {ROW.run}"):
        results.check([ROW, dataclasses.replace(ROW, value=0.6)], PROFILE)
    results.check([ROW, dataclasses.replace(ROW, step=5)], PROFILE)


def test_scores_over_different_items_are_refused() -> None:
    other = dataclasses.replace(ROW, run="dopd-teacher-student-coding-seed1-0123456789", seed=1, draw=1)
    results.check([ROW, other], PROFILE)
    with pytest.raises(HarnessError, match=r"scored on 400 items of version 1 in .* on 100 of version 1 in"):
        results.check([ROW, dataclasses.replace(other, n=100)], PROFILE)
    with pytest.raises(HarnessError, match=r"on 400 items of version 1 in .* and on 400 of version 2 in"):
        results.check([ROW, dataclasses.replace(other, version=2)], PROFILE)


@pytest.mark.slow
def test_published_rows_of_another_version_than_the_suite_asks_for_are_refused(published: tuple[Options, Path]) -> None:
    chosen, path = published
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 2'), encoding="utf-8")
    with pytest.raises(HarnessError, match="is of version 2, this suite asks for version 1"):
        load(chosen, "published")


def test_published_rows_come_back(published: tuple[Options, Path]) -> None:
    chosen, _ = published
    key = ["run", "step", "benchmark", "version", "decoding", "metric"]
    here, there = (load(chosen, source)[0].sort_values(key).reset_index(drop=True) for source in ("runs", "published"))
    assert here.equals(there)
    costs, again = (load(chosen, source)[1] for source in ("runs", "published"))
    assert costs.equals(again)


def test_published_rows_are_narrowed_to_the_selection(published: tuple[Options, Path]) -> None:
    chosen, _ = published
    rows, costs = load(dataclasses.replace(chosen, methods=("dopd", "sft"), seeds=(1, 2)), "published")
    here = PROFILE.in_draw(1)
    references = {f"reference/{model.name}" for model in (here.student, here.teacher)}
    assert set(rows["seed"]) == {0, 1} and set(rows["method"]) == {"dopd", *references}
    assert set(rows["draw"]) == {1}
    assert costs["state"].tolist() == [*["done"] * 2, *["absent"] * 2, "done", "absent", "absent", "absent"]


def test_published_under_other_settings_is_called_stale_and_not_shown(published: tuple[Options, Path]) -> None:
    chosen, path = published
    rows, costs = load(dataclasses.replace(chosen, steps=4), "published")
    assert costs["state"].tolist() == [*["done"] * 4, *["stale"] * 4]
    assert set(rows["run"]) == {run for run, state in zip(costs["run"], costs["state"], strict=True) if state == "done"}
    assert costs["steps"].tolist() == [0] * 4 + [4] * 4 and costs["tokens"].isna().tolist() == [False] * 4 + [True] * 4
    everything = results.published_rows(PROFILE, chosen)
    assert len(everything) == len(path.read_text(encoding="utf-8").splitlines()) > len(rows)


def test_an_absent_published_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError, match=r"no published rows at .*rows.jsonl: run the suite and publish it"):
        load(options(tmp_path), "published")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20], "cut off in its last line"),
        (lambda text: "", "is empty"),
        (lambda text: text.replace("{", "<", 1), "line 1 is damaged"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"', 1), "seed is '0', allowed is int"),
        (lambda text: text.replace('"value": ', '"value": true, "x": ', 1), "value is True, allowed is float or int"),
        (lambda text: text.replace('["coding"]', '"coding"', 1), "train_domains is 'coding', allowed is list"),
        (lambda text: text.replace('"truncations": 0, ', "", 1), "line 1 is of another schema"),
        (lambda text: text.replace('"n": ', '"extra": 1, "n": ', 1), "line 1 is of another schema"),
        (lambda text: text.replace('"train_domains"', '"train_domain"', 1), "line 1 is of another schema"),
        (lambda text: text.replace('"schema": 1', '"schema": 0', 1), "of schema 0"),
        (lambda text: text + text.split("\n")[0] + "\n", "stand twice"),
        (lambda text: re.sub(r'"value": [0-9.]+', '"value": NaN', text, count=1), "is nan over 400 items"),
    ],
)
def test_a_damaged_published_file_is_refused(published: tuple[Options, Path], damage: Any, message: str) -> None:
    chosen, path = published
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(HarnessError, match=message) as caught:
        load(chosen, "published")
    assert "\n" not in str(caught.value)


def test_damaged_published_costs_are_refused(published: tuple[Options, Path]) -> None:
    chosen, path = published
    costs = path.with_name("costs.csv")
    costs.write_text(costs.read_text(encoding="utf-8").replace(",300000,", ",many,", 1), encoding="utf-8")
    with pytest.raises(HarnessError, match=r"costs.csv is damaged or of another version"):
        load(chosen, "published")


def test_the_three_sources_are_never_merged(tmp_path: Path) -> None:
    chosen = all_done(tmp_path)
    with pytest.raises(HarnessError, match="no published rows"):
        load(chosen, "published")
    rows, costs = load(chosen, "paper")
    assert set(rows["run"]) == {"paper"} and costs.empty
    assert rows["value"].tolist() == [0.031, 0.043]
    assert rows["n"].isna().all() and rows["seed"].isna().all()


def test_a_suite_the_paper_says_nothing_of_is_refused(tmp_path: Path) -> None:
    from support.fakes import FakeSuite

    with pytest.raises(HarnessError, match="the paper states no numbers"):
        results.load("paper", FakeSuite(), PROFILE, options(tmp_path))


def test_paper_tables_are_as_printed() -> None:
    folder = Options(suite="ood").published
    table1 = {line["method"]: line for line in results.paper_numbers("table1_llm_main", folder)}
    assert (table1["DOPD"]["average"], table1["Vanilla OPD"]["average"]) == (51.4, 43.9)
    assert table1["OPCD"]["average"] == 44.3  # a slip of the paper, kept
    with pytest.raises(HarnessError, match=r"nothing.csv are missing"):
        results.paper_numbers("nothing", folder)


def test_by_seed_refuses_mixed_runs() -> None:
    frame = results.row_frame([ROW, dataclasses.replace(ROW, run="dopd-teacher-student-coding-seed0-ffffffffff")])
    with pytest.raises(HarnessError, match="two values for one seed"):
        results.by_seed(results.records(frame), "value")
    assert results.by_seed([dataclasses.asdict(ROW)], "value") == {0: 0.5}


def test_last_step_drops_intermediate_checkpoints() -> None:
    frame = results.row_frame([ROW, dataclasses.replace(ROW, step=5, value=0.1)])
    assert results.last_step(frame)["value"].tolist() == [0.5]


def test_runs_are_matched_by_id_then_by_name() -> None:
    match = results.match_runs
    assert match(["a-1", "b-1"], ["a-1", "a-2", "b-9"]) == {"a-1": "a-1", "b-1": "b-9"}
    assert match(["a-1"], ["a-2", "a-3"]) == {}  # which of the two?
    assert match(["a-1", "a-2"], ["a-3"]) == {}
    assert match(["a-1"], ["b-1"]) == {}


def test_synthetic_rows_are_what_runs_write(tmp_path: Path) -> None:
    """The tables' tests stand on them: same columns as a real run's file."""
    spec = specs(options(tmp_path))[0]
    make_done(tmp_path, spec)
    record = files.read_jsonl(RunFolder(tmp_path, spec).path / "rows.jsonl")[0]
    assert set(record) == set(results.ROW_COLUMNS)
    assert (record["world"], record["draw"]) == ("permutations 1", 0)
    assert json.loads(json.dumps(record)) == record
    assert synthetic.rows(spec)
