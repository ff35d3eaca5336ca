"""Results that grow: what joins what is published, what may not, and that nothing else changes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import synthetic
from support.synthetic import PROFILE, SUITE, make_answered, options, specs

from harness.config import RunSpec
from harness.report import joining, output, publish
from harness.storage import code, files, run_folder
from harness.storage.code import Code, code_of
from harness.suite import Evaluation, Options
from harness.types import HarnessError

SMALL = {"methods": ("vanilla_opd", "dopd"), "train_domains": ("coding",)}
ROWS = "rows.jsonl"


def right(spec: RunSpec, evaluation: Evaluation) -> tuple[int, ...]:
    """Of three items, by seed and benchmark."""
    return (1, spec.seed % 2, len(evaluation.benchmark) % 2)


def answered(root: Path, **changes: Any) -> Options:
    """Runs of this selection are done below ``root``, with samples."""
    chosen = options(root, **{**SMALL, **changes})
    for spec in specs(chosen):
        make_answered(root, spec, right)
    return chosen


def folder(chosen: Options) -> Path:
    return chosen.published / "embedded" / "ood"


def contents(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


def published_runs(chosen: Options) -> set[str]:
    return {json.loads(line)["run"] for line in (folder(chosen) / ROWS).read_text(encoding="utf-8").splitlines()}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without figures."""
    monkeypatch.setattr(output, "write_figures", lambda drawn, out_dir: [])


def grow(tmp_path: Path, *, seeds: tuple[int, ...] = (2,), first: tuple[int, ...] = (0, 1)) -> Options:
    """Seeds are published, their runs deleted, others run and published."""
    begun = answered(tmp_path, seeds=first)
    publish.publish(SUITE, PROFILE, begun)
    shutil.rmtree(tmp_path / run_folder.RUNS)
    more = answered(tmp_path, seeds=seeds)
    publish.publish(SUITE, PROFILE, more)
    return more


@pytest.mark.slow
def test_a_third_seed_joins_two_as_if_they_had_been_run_in_one_go(tmp_path: Path) -> None:
    grown = grow(tmp_path / "grown")
    whole = answered(tmp_path / "whole", seeds=(0, 1, 2))
    publish.publish(SUITE, PROFILE, whole)
    assert {path.name for path in folder(whole).iterdir()} > {"answers.jsonl", "ood.md", "figure7b.png"}
    assert contents(folder(grown)) == contents(folder(whole))
    assert folder(grown).with_name("ood.md").read_bytes() == folder(whole).with_name("ood.md").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_method_joins_others_and_a_smaller_selection_drops_nothing(tmp_path: Path) -> None:
    publish.publish(SUITE, PROFILE, answered(tmp_path, seeds=(0, 1)))
    before = contents(folder(options(tmp_path)))
    chosen = answered(tmp_path, methods=("dopd",), seeds=(1,))
    publish.publish(SUITE, PROFILE, chosen)
    assert contents(folder(chosen)) == before
    more = answered(tmp_path, methods=("sft",), seeds=(0, 1))
    publish.publish(SUITE, PROFILE, more)
    every = options(tmp_path, methods=("vanilla_opd", "sft", "dopd"), seeds=(0, 1), train_domains=("coding",))
    assert published_runs(more) == {spec.id for spec in specs(every)}
    assert "--methods sft,vanilla_opd,dopd" in (folder(more) / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_run_that_is_published_need_not_be_here(tmp_path: Path) -> None:
    grow(tmp_path)
    chosen = options(tmp_path, **SMALL, seeds=(0, 1, 2))
    before = contents(folder(chosen))
    publish.publish(SUITE, PROFILE, chosen)
    assert contents(folder(chosen)) == before
    wider = dataclasses.replace(chosen, seeds=(0, 1, 2, 5))  # draw 0 again, whose untrained models are published
    with pytest.raises(HarnessError, match=r"^2 of 14 runs are not done, first vanilla-opd-.*-seed5-"):
        publish.publish(SUITE, PROFILE, wider)
    assert contents(folder(chosen)) == before


def refused(chosen: Options, message: str) -> None:
    """Nothing is written."""
    before = contents(folder(chosen))
    with pytest.raises(HarnessError, match=message) as error:
        publish.publish(SUITE, PROFILE, chosen)
    assert "\n" not in str(error.value) and str(error.value).endswith("--replace drops them")
    assert contents(folder(chosen)) == before


def replaced(chosen: Options) -> str:
    said: list[str] = []
    publish.publish(SUITE, PROFILE, chosen, replace=True, say=said.append)
    (line,) = said
    return line


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_other_settings_are_refused_by_name_and_replaced_on_request(tmp_path: Path) -> None:
    first = answered(tmp_path, seeds=(0, 1))
    publish.publish(SUITE, PROFILE, first)
    chosen = answered(tmp_path, seeds=(2,), steps=20)
    dropped = sorted(spec.id for spec in specs(first) if spec.method)
    told = rf"4 of other settings \({', '.join(dropped[:3])} and 1 more\)"
    refused(chosen, f"holds 4 runs that may not stand beside these: {told}")
    assert f"dropped 4 published runs: {told}".replace("\\", "") == replaced(chosen)
    untrained = {spec.id for spec in specs(first) if spec.is_reference}
    assert published_runs(chosen) == {spec.id for spec in specs(chosen)} | untrained
    for name in ("specs.jsonl", "costs.csv", "answers.jsonl", "environments.json"):
        text = (folder(chosen) / name).read_text(encoding="utf-8")
        assert not any(run in text for run in dropped) and specs(chosen)[0].id in text, name


Change = Callable[[dict[str, Any]], object]


def rewrite(chosen: Options, change: Change) -> None:
    """Of every published row of DOPD."""
    rows = files.read_jsonl(folder(chosen) / ROWS)
    for row in rows:
        if row["method"] == "dopd":
            change(row)
    files.write_text_atomic(folder(chosen) / ROWS, files.jsonl(rows))


CHANGES: dict[str, Change] = {
    "made by other code": lambda row: row.update(training_code="0000000000"),
    "made by other code ": lambda row: row.update(evaluation_code="0000000000"),
    "made by earlier code": lambda row: row.pop("training_code"),
    "of version 0.5 of permutations_coding": lambda row: row.update(version=0.5),
}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("reason", CHANGES)
@pytest.mark.parametrize("again", [False, True])
def test_other_code_and_versions_are_refused_and_exactly_they_are_replaced(
    tmp_path: Path, reason: str, again: bool
) -> None:
    """Also where the runs themselves were made again."""
    first = answered(tmp_path, seeds=(0, 1))
    publish.publish(SUITE, PROFILE, first)
    rewrite(first, CHANGES[reason])
    if not again:
        shutil.rmtree(tmp_path / run_folder.RUNS)
    chosen = answered(tmp_path, seeds=(2,))
    chosen = dataclasses.replace(chosen, seeds=(0, 1, 2)) if again else chosen
    refused(chosen, rf"holds 2 runs that may not stand beside these: 2 {reason.strip()} \(dopd-.*-seed0-.*, dopd-")
    assert replaced(chosen).startswith(f"dropped 2 published runs: 2 {reason.strip()} (dopd-")
    whole = {spec.id for spec in specs(options(tmp_path, **SMALL, seeds=(0, 1, 2)))}
    lost = set() if again else {spec.id for spec in specs(first) if spec.label == "dopd"}
    assert published_runs(chosen) == whole - lost
    if again:
        rows = files.read_jsonl(folder(chosen) / ROWS)
        assert {row["training_code"] for row in rows if row["method"] == "dopd"} == {
            code_of(next(spec for spec in specs(chosen) if spec.label == "dopd")).training
        }


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_what_was_shown_equal_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answered(tmp_path, seeds=(0, 1))
    publish.publish(SUITE, PROFILE, first)
    rewrite(first, CHANGES["made by other code"])
    here = code_of(next(spec for spec in specs(first) if spec.label == "dopd")).training
    pairs = [{"training": {"dopd": ["0000000000", here]}, "evaluation": {}}]
    files.write_json_atomic(tmp_path / "equal.json", pairs)
    monkeypatch.setattr(code, "EQUAL", tmp_path / "equal.json")
    chosen = answered(tmp_path, seeds=(2,))
    publish.publish(SUITE, PROFILE, chosen)
    assert published_runs(chosen) == {spec.id for spec in specs(options(tmp_path, **SMALL, seeds=(0, 1, 2)))}
    assert "other code" not in (folder(chosen) / "ood.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("quick")
def test_runs_of_other_code_join_those_of_the_same_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made before the code changed, published after; two seeds of one draw."""
    publish.publish(SUITE, PROFILE, answered(tmp_path, seeds=(0,)))
    chosen = answered(tmp_path, seeds=(5,))
    then = {spec.id: code_of(spec) for spec in specs(chosen)}
    monkeypatch.setattr(joining, "code_of", lambda spec: Code("new", then[spec.id].evaluation))
    publish.publish(SUITE, PROFILE, chosen)
    assert len(published_runs(chosen)) == 6


def test_rows_without_settings_are_named(tmp_path: Path) -> None:
    chosen = answered(tmp_path, seeds=(0,))
    path = folder(chosen)
    path.mkdir(parents=True)
    row = dataclasses.asdict(synthetic.rows(specs(chosen)[0])[0])
    files.write_text_atomic(path / ROWS, files.jsonl([row]))
    with pytest.raises(HarnessError, match=r"ood has rows of 1 runs without their settings, first reference-"):
        publish.publish(SUITE, PROFILE, chosen)
