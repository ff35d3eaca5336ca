"""Publishing and comparing: what is written, what is refused, and that nothing is lost."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.synthetic import PROFILE, SUITE, make_answered, make_done, options, rows, score, specs

from harness.analysis import results
from harness.cli import verbs
from harness.config import from_json
from harness.report import output, publish
from harness.storage import files
from harness.suite import Options
from harness.types import HarnessError

SMALL = {"methods": ("vanilla_opd", "dopd"), "seeds": (0, 1), "train_domains": ("coding",)}


def done(root: Path, **changes: Any) -> Options:
    chosen = options(root, **{**SMALL, **changes})
    for spec in specs(chosen):
        make_done(root, spec)
    return chosen


def folder(chosen: Options) -> Path:
    return chosen.published / "embedded" / "ood"


@pytest.mark.slow
def test_everything_is_written_once_and_listed(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    for spec in specs(chosen):
        make_answered(tmp_path, spec, lambda *_: (1, 0, 1))
    written = publish.publish(SUITE, PROFILE, chosen)
    front = folder(chosen).with_name("ood.md")
    assert sorted(written) == sorted([front, *folder(chosen).iterdir()])
    assert front.read_bytes() == (folder(chosen) / "ood.md").read_bytes()
    assert {path.name for path in written} >= {
        "README.md", "rows.jsonl", "answers.jsonl", "costs.csv", "specs.jsonl", "environments.json",
        "ood.csv", "ood.md", "ood.tex", "ood_items.csv", "ood_items.md", "ood_items.tex",
        "figure7b.pdf", "figure7b.png",
    }  # fmt: skip
    assert all(path.stat().st_size for path in written)


@pytest.mark.slow
def test_publishing_twice_changes_no_byte(tmp_path: Path) -> None:
    chosen = done(tmp_path)
    first = {path: path.read_bytes() for path in publish.publish(SUITE, PROFILE, chosen)}
    assert {path: path.read_bytes() for path in publish.publish(SUITE, PROFILE, chosen)} == first


@pytest.mark.slow
def test_another_root_can_be_given(tmp_path: Path) -> None:
    chosen = done(tmp_path)
    root = options(tmp_path / "elsewhere").published
    written = publish.publish(SUITE, PROFILE, chosen, root)
    assert all(path.is_relative_to(root) for path in written) and not folder(chosen).exists()


@pytest.mark.slow
def test_specs_and_costs_are_those_of_the_runs(tmp_path: Path) -> None:
    chosen = done(tmp_path)
    publish.publish(SUITE, PROFILE, chosen)
    records = files.read_jsonl(folder(chosen) / "specs.jsonl")
    names = [record.pop("run") for record in records]
    assert [from_json(record).id for record in records] == names == [spec.id for spec in specs(chosen)]
    costs = list(csv.DictReader(io.StringIO((folder(chosen) / "costs.csv").read_text(encoding="utf-8"))))
    assert sorted(c["run"] for c in costs) == sorted(names)
    assert {c["train_domains"] for c in costs} == {"", "coding"}


def test_unfinished_runs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    for spec in specs(chosen)[:-1]:
        make_done(tmp_path, spec)
    with pytest.raises(HarnessError, match=f"1 of 8 runs are not done, first {specs(chosen)[-1].id}"):
        publish.publish(SUITE, PROFILE, chosen)
    assert not folder(chosen).exists()


@pytest.mark.slow
def test_readme_says_how_to_make_it_again(tmp_path: Path) -> None:
    chosen = done(tmp_path, steps=20, seeds=(1,))  # one seed by number: "--seeds 1" would be seed 0
    publish.publish(SUITE, PROFILE, chosen)
    text = (folder(chosen) / "README.md").read_text(encoding="utf-8")
    assert "2 runs, 2 references" in text and "steps: 20" in text
    assert str(tmp_path) not in text
    commands = [shlex.split(part)[1:] for part in text.split("`")[1::2] if part.startswith("dopd ") and "--" in part]
    assert [arguments[0] for arguments in commands] == ["table", "run"]
    for arguments in commands:
        given = verbs.select(verbs.parser().parse_args(arguments)).options
        assert [s.id for s in SUITE.runs(PROFILE, given)] == [s.id for s in specs(chosen)]


@pytest.mark.slow
def test_environments_say_versions_and_no_place(tmp_path: Path) -> None:
    chosen = done(tmp_path)
    publish.publish(SUITE, PROFILE, chosen)
    text = (folder(chosen) / "environments.json").read_text(encoding="utf-8")
    (environment,) = json.loads(text)
    assert sorted(environment["runs"]) == sorted(spec.id for spec in specs(chosen))
    assert environment["versions"]["torch"]
    assert str(tmp_path) not in text


def printed(compared: Any) -> str:
    table, lines = compared
    console = Console(width=160, record=True, file=io.StringIO())
    for part in (*([table] if table else []), *lines):
        console.print(part)
    return " ".join(console.export_text().split())


def frame(chosen: Options, move: float = 0.0) -> Any:
    return results.row_frame(
        row
        for spec in specs(chosen)
        for row in rows(spec, lambda s, e, m: min(1.0, score(s, e, m) + (move if s.method else 0)))
    )


def test_compare_counts_what_is_equal(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    text = printed(output.compare(frame(chosen), frame(chosen)))
    assert "192 of 192 numbers of every decoding and metric are equal" in text  # 8 runs × 6 × 2 × 2
    assert "the furthest differ by 0.0 points" in text and "other settings" not in text


def test_compare_shows_the_difference_over_common_seeds(tmp_path: Path) -> None:
    # Here seeds 0 and 1 of DOPD on reasoning: 54 and 56, plus 1.5; published seed 1 alone: 56.
    # Common is seed 1: 57.5 - 56.
    here = frame(options(tmp_path, **SMALL), move=0.015)
    there = frame(options(tmp_path, **{**SMALL, "seeds": (1,)}))
    text = printed(output.compare(here, there))
    assert "│ dopd │ coding │ permutations_reasoning │ 1 │ 57.5 │ 56.0 │ +1.5 │" in text
    assert "48 of 96 numbers" in text  # the references are equal


def test_runs_of_other_settings_are_counted_not_compared(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    table, lines = output.compare(frame(dataclasses.replace(chosen, steps=4)), frame(chosen))
    assert lines == ["not compared: 4 runs of 4 steps here, published of 200"]
    text = printed((table, []))
    assert "96 of 96 numbers" in text and "dopd" not in text, "the untrained models are the same runs"
    slower = [
        dataclasses.replace(s, optim=dataclasses.replace(s.optim, lr=1.0)) if s.optim else s for s in specs(chosen)
    ]
    here = results.row_frame(row for spec in slower for row in rows(spec))
    assert output.compare(here, frame(chosen))[1] == [
        "not compared: 4 runs of 200 steps here, published of 200 under other settings (rates, versions)"
    ]


def test_digits_are_compared_between_equal_code_only(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    here, there = frame(chosen), frame(chosen)
    there.loc[there["method"] == "dopd", "training_code"] = "other"
    there.loc[there["method"] == "vanilla_opd", "evaluation_code"] = ""
    text = printed(output.compare(here, there))
    assert "of 192 numbers 96 are of equal code, 96 of these equal; the furthest differ by 0.0 points" in text
    there["training_code"] = ""
    assert "of 192 numbers 0 are of equal code; the furthest differ" in printed(output.compare(here, there))


def test_a_caption_says_what_other_code_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = done(tmp_path)
    loaded = results.load("runs", SUITE, PROFILE, chosen)
    plain = output.tables_of(SUITE, *loaded, chosen)
    assert plain == SUITE.tables(*loaded, chosen)
    rows, costs = loaded
    rows.loc[rows["run"] == rows["run"].iloc[-1], "training_code"] = "other"
    rows.loc[rows.index[0], "evaluation_code"] = "other"
    told = output.tables_of(SUITE, rows, costs, chosen)
    assert [table.caption for table in told] == [f"{t.caption} Of 8 runs: 2 made by other code." for t in plain]
    rows.loc[rows.index[0], "evaluation_code"] = ""
    told = output.tables_of(SUITE, rows, costs, chosen)[0].caption
    assert told.endswith(" Of 8 runs: 1 made by other code, 1 made by earlier code.")
    paper = dataclasses.replace(chosen, source="paper")
    assert "other code" not in output.tables_of(SUITE, *results.load("paper", SUITE, PROFILE, paper), paper)[0].caption


def test_compare_says_when_nothing_is_published(tmp_path: Path) -> None:
    chosen = options(tmp_path, **SMALL)
    nothing = frame(chosen).iloc[:0]
    assert "no run of this selection has been published" in printed(output.compare(frame(chosen), nothing))


@pytest.mark.slow
def test_emit_prints_the_main_table_and_names_every_file(tmp_path: Path) -> None:
    chosen = done(tmp_path)
    console = Console(width=200, record=True, file=io.StringIO())
    loaded = results.load("runs", SUITE, PROFILE, chosen)
    written = output.emit(SUITE, *loaded, chosen, tmp_path / "out", console=console)
    assert sorted(written) == sorted((tmp_path / "out").iterdir())
    assert "Out of domain, profile embedded" in console.export_text()
