"""Which items a run answered right: the published file by hand, from runs and back, and everything that is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from support.synthetic import PROFILE, SUITE, make_answered, make_done, options, specs

from harness.analysis import answers, results
from harness.analysis.answers import ANSWERS_FILE, Answers
from harness.config import RunSpec
from harness.report import publish
from harness.storage import files
from harness.storage.run_folder import RunFolder
from harness.suite import Evaluation, Options
from harness.types import HarnessError, NoRowsError, Row

TEN = Answers(
    run="dopd-teacher-student-coding-seed0-0123456789",
    benchmark="permutations_coding",
    version=1,
    items="8be4f78d083f",
    right=tuple(c == "1" for c in "1011000001"),
)
LINE = (
    '{"run": "dopd-teacher-student-coding-seed0-0123456789", "benchmark": "permutations_coding", "version": 1, '
    '"n": 10, "items": "8be4f78d083f", "right": "b040"}\n'
)
SMALL = {"methods": ("vanilla_opd", "dopd"), "seeds": (0, 1), "train_domains": ("coding",)}


def right(spec: RunSpec, evaluation: Evaluation) -> list[int]:
    """Ten items, other ones in every run and benchmark and with every decoding."""
    asked = f"{spec.id} {evaluation.benchmark} {evaluation.decoding}"
    return [int(answers.digest([asked, str(i)])[0] < "8") for i in range(10)]


def answered(root: Path, **changes: Any) -> Options:
    chosen = options(root, **{**SMALL, **changes})
    for spec in specs(chosen):
        make_answered(root, spec, right)
    return chosen


def load(chosen: Options, *names: str) -> dict[tuple[str, str], tuple[bool, ...]]:
    rows, _ = results.load(chosen.source, SUITE, PROFILE, chosen)
    return answers.load(SUITE, PROFILE, chosen, rows, names or PROFILE.benchmarks)


def published(chosen: Options) -> Path:
    return chosen.published / "embedded" / "ood" / ANSWERS_FILE


def frame(*found: Answers, **changes: Any) -> DataFrame:
    """The rows of these answers."""
    return results.row_frame(
        Row(
            **{
                "run": each.run,
                "method": "dopd",
                "profile": "embedded",
                "seed": 0,
                "train_domains": ("coding",),
                "step": 10,
                "steps": 10,
                "benchmark": each.benchmark,
                "version": each.version,
                "decoding": "greedy",
                "metric": "exact_answer",
                "value": sum(each.right) / len(each.right),
                "n": len(each.right),
                "errors": 0,
                "truncations": 0,
                **changes,
            }
        )
        for each in found
    )


# --- the file


def test_a_line_by_hand() -> None:
    """1011 0000 | 01 and six zeros: b0 40. The hash is that of `printf 'q0\\nq1\\n...\\nq9' | sha256sum`."""
    assert answers.to_jsonl([TEN]) == LINE
    assert answers.digest(f"q{i}" for i in range(10)) == TEN.items


def test_a_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / ANSWERS_FILE).write_text(LINE, encoding="utf-8")
    assert answers.read(tmp_path / ANSWERS_FILE) == [TEN]
    for n in range(1, 18):
        some = dataclasses.replace(TEN, right=tuple(i % 3 != 1 for i in range(n)))
        (tmp_path / ANSWERS_FILE).write_text(answers.to_jsonl([some]), encoding="utf-8")
        assert answers.read(tmp_path / ANSWERS_FILE) == [some]


def test_the_order_of_items_is_part_of_what_they_are() -> None:
    assert answers.digest(["a", "b"]) != answers.digest(["b", "a"])
    assert answers.digest(["a", "b"]) == answers.digest(iter(["a", "b"]))


def test_bytes_do_not_depend_on_the_order_given() -> None:
    some = [dataclasses.replace(TEN, run=run, benchmark=name) for run in "ba" for name in "dc"]
    text = answers.to_jsonl(some)
    assert text == answers.to_jsonl(reversed(some))
    assert [(r["run"], r["benchmark"]) for r in map(json.loads, text.splitlines())] == [
        ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (LINE[:-1], "is cut off in its last line"),
        ("[]\n", "line 1 is damaged"),
        (LINE + LINE.replace('"n": 10, ', ""), "line 2 is damaged or of another version .*'n'"),
        (LINE.replace("}", ', "seed": 0}'), "line 1 is damaged .*'seed'"),
        (LINE.replace('"version": 1', '"version": true'), "version is True, allowed is int"),
        (LINE.replace('"n": 10', '"n": 17'), "right is not a bit for each of 17 items"),
        (LINE.replace('"n": 10', '"n": 8'), "right is not a bit for each of 8 items"),
        (LINE.replace('"n": 10', '"n": 0').replace("b040", ""), "right is not a bit for each of 0 items"),
        (LINE.replace("b040", "b041"), "right is not a bit for each of 10 items"),  # a sixteenth item
        (LINE.replace("b040", "b04"), "line 1 is damaged"),
        (LINE.replace("b040", "b0x0"), "line 1 is damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / ANSWERS_FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HarnessError, match=message) as error:
        answers.read(path)
    assert "\n" not in str(error.value)


# --- against the rows


def test_answers_of_their_rows_are_taken() -> None:
    other = dataclasses.replace(TEN, run="other", right=TEN.right[::-1])
    answers.check([TEN, other], frame(TEN, other))
    answers.check([TEN], frame(TEN, other))  # rows without answers are no fault
    answers.check([], frame())


@pytest.mark.parametrize(
    ("found", "changes", "message"),
    [
        ([TEN], {"run": "another"}, "belong to no row"),
        ([TEN], {"step": 5}, "belong to no row"),  # not the last
        ([TEN], {"decoding": "sample4"}, "belong to no row"),
        ([TEN], {"metric": "exact_trace"}, "belong to no row"),
        ([TEN, TEN], {}, "stand twice"),
        ([TEN], {"version": 2}, "are to version 1, its row is of version 2"),
        ([TEN], {"n": 400}, "are to 10 items, its row is of 400"),
        ([TEN], {"value": 0.5}, "are right in 0.4 of the items, its row says 0.5"),
        ([TEN, dataclasses.replace(TEN, run="b", items="0" * 12)], {}, "other items, or in another order, in b than"),
    ],
)
def test_answers_that_are_not_those_of_the_rows_are_refused(
    found: list[Answers], changes: dict[str, Any], message: str
) -> None:
    rows = frame(*dict.fromkeys(found), **changes)
    with pytest.raises(HarnessError, match=message) as error:
        answers.check(found, rows)
    assert "\n" not in str(error.value)


# --- from runs and from what is published


def test_of_each_run_the_last_step_greedy_and_no_audit(tmp_path: Path) -> None:
    spec = next(spec for spec in specs(options(tmp_path, steps=20)) if spec.method)
    asked = [
        Evaluation("last", "permutations_coding", "greedy"),
        Evaluation(10, "permutations_coding", "greedy"),
        Evaluation("last", "permutations_coding", "sample4"),
        Evaluation("last", "permutations_reasoning", "greedy"),
        Evaluation("last", "training", "audit"),
    ]
    folder = RunFolder(tmp_path, spec)
    for i, evaluation in enumerate(asked):
        folder.write_samples(evaluation, [{"id": str(k), "sample": 0, "answer": k == i} for k in range(5)])
    (coding, reasoning) = answers.of_run(folder, asked)
    assert (coding.run, coding.benchmark, coding.version) == (spec.id, "permutations_coding", 1)
    assert coding.right == (True, False, False, False, False) and coding.items == answers.digest("01234")
    assert reasoning.benchmark == "permutations_reasoning" and reasoning.right.index(True) == 3
    folder.samples(asked[0]).unlink()
    assert [found.benchmark for found in answers.of_run(folder, asked)] == ["permutations_reasoning"]


def test_a_benchmark_that_grades_has_no_answers(tmp_path: Path) -> None:
    """Its primary metric is no 0 or 1: there is nothing to count, and nothing is damaged."""
    spec = next(spec for spec in specs(options(tmp_path)) if spec.method)
    asked, folder = Evaluation("last", "permutations_coding", "greedy"), RunFolder(tmp_path, spec)
    folder.write_samples(asked, [{"id": str(k), "answer": None} for k in range(3)])
    assert answers.of_run(folder, [asked]) == []


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "is damaged"),
        ([{"sample": 0, "answer": True}], "a sample without its id"),
        ([{"id": "a", "answer": 1}], "neither right nor wrong"),
        ([{"id": "a", "answer": None}, {"id": "b", "answer": True}], "neither right nor wrong"),
        ([{"id": "a", "answer": True}, {"id": "a", "answer": True}], "an item stands twice"),
    ],
)
def test_damaged_samples_are_refused(tmp_path: Path, records: list[dict[str, Any]], message: str) -> None:
    spec = next(spec for spec in specs(options(tmp_path)) if spec.method)
    asked, folder = Evaluation("last", "permutations_coding", "greedy"), RunFolder(tmp_path, spec)
    folder.write_samples(asked, records)
    with pytest.raises(HarnessError, match=f"{message}.*delete rows.jsonl and done") as error:
        answers.of_run(folder, [asked])
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_published_answers_are_those_of_the_runs(tmp_path: Path) -> None:
    chosen = answered(tmp_path)
    publish.publish(SUITE, PROFILE, chosen)
    here, there = load(chosen), load(dataclasses.replace(chosen, source="published"))
    assert here == there and len(here) == 8 * 3  # runs × benchmarks asked for
    spec = specs(chosen)[-1]
    greedy = Evaluation("last", "permutations_reasoning", "greedy")
    assert here[spec.id, "permutations_reasoning"] == tuple(map(bool, right(spec, greedy)))


@pytest.mark.slow
def test_publishing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    chosen = answered(tmp_path)
    publish.publish(SUITE, PROFILE, chosen)
    first = published(chosen).read_bytes()
    assert len(first.splitlines()) == 8 * 6  # every benchmark
    publish.publish(SUITE, PROFILE, chosen)
    assert published(chosen).read_bytes() == first


@pytest.mark.slow
def test_the_readme_says_of_how_many_runs(tmp_path: Path) -> None:
    chosen = answered(tmp_path)
    lost = RunFolder(tmp_path, specs(chosen)[-1])
    for path in (lost.path / "samples").iterdir():
        path.unlink()
    publish.publish(SUITE, PROFILE, chosen)
    text = (published(chosen).parent / "README.md").read_text(encoding="utf-8")
    assert "`answers.jsonl` which items each run answered right (7 of 8 runs)" in text
    assert lost.spec.id not in {run for run, _ in load(dataclasses.replace(chosen, source="published"))}


@pytest.mark.slow
def test_no_answers_no_file_and_an_older_one_goes(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    for spec in specs(chosen):
        make_done(tmp_path, spec)
    files.write_text_atomic(published(chosen), LINE)
    assert published(chosen) not in publish.publish(SUITE, PROFILE, chosen) and not published(chosen).exists()
    assert ANSWERS_FILE not in (published(chosen).parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_publication_without_answers_says_so(tmp_path: Path) -> None:
    chosen = answered(tmp_path, source="published")
    publish.publish(SUITE, PROFILE, dataclasses.replace(chosen, source="runs"))
    published(chosen).unlink()
    with pytest.raises(NoRowsError, match=r"no published answers at .*answers\.jsonl: run the suite and publish it"):
        load(chosen)


def test_samples_of_a_run_that_is_not_done_are_not_read(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    folder = RunFolder(tmp_path, specs(chosen)[-1])
    folder.prepare()
    spoil(folder, Evaluation("last", "permutations_coding", "greedy"))
    assert load(chosen) == {}


def swap(folder: RunFolder, asked: Evaluation) -> None:
    records = files.read_jsonl(folder.samples(asked))
    folder.write_samples(asked, records[::-1])


def lie(folder: RunFolder, asked: Evaluation) -> None:
    records = files.read_jsonl(folder.samples(asked))
    records[0]["answer"] = not records[0]["answer"]
    folder.write_samples(asked, records)


def spoil(folder: RunFolder, asked: Evaluation) -> None:
    folder.write_samples(asked, [{"sample": 0}])


@pytest.mark.parametrize(
    ("damage", "message"), [(swap, "in another order"), (lie, "its row says"), (spoil, "without its id")]
)
def test_samples_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, damage: Callable[[RunFolder, Evaluation], None], message: str
) -> None:
    chosen = answered(tmp_path)
    folder = RunFolder(tmp_path, specs(chosen)[-1])
    damage(folder, Evaluation("last", "permutations_reasoning", "greedy"))
    with pytest.raises(HarnessError, match=message):
        load(chosen)
    load(chosen, "permutations_coding")  # what is not asked for is not read
    with pytest.raises(HarnessError, match=message):
        publish.publish(SUITE, PROFILE, chosen)
    assert not published(chosen).parent.exists()


@pytest.mark.slow
def test_a_published_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    chosen = answered(tmp_path)
    publish.publish(SUITE, PROFILE, chosen)
    chosen = dataclasses.replace(chosen, source="published")
    lines = published(chosen).read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if '"permutations_coding"' in line)
    record = json.loads(lines[at])
    flipped = f"{int(record['right'], 16) ^ 0x8000:04x}"
    for text, message in (
        ("".join([*lines[:at], lines[at].replace(record["right"], flipped), *lines[at + 1 :]]), "its row says"),
        ("".join(lines).replace('"version": 1', '"version": 2'), "are to version 2, its row is of version 1"),
        ("".join([*lines, lines[at]]), "stand twice"),
    ):
        published(chosen).write_text(text, encoding="utf-8")
        with pytest.raises(HarnessError, match=message):
            load(chosen)
