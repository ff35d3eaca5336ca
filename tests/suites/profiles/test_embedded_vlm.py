"""The profile of pictures: which arms its suites have, which draws can run, the paper's numbers beside."""

from __future__ import annotations

import csv
import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import synthetic

from harness import registry
from harness.cli import verbs
from harness.config import FirstStep, ModelSpec, RunSpec
from harness.models import sources, zoo
from harness.models.zoo.scenes.vocabulary import WORDS
from harness.profile import Draws, Part
from harness.runs.plan import check_draws, planned
from harness.show.tables import Cell, Table
from harness.suite import PUBLISHED, Evaluation, Options, Together
from harness.types import HarnessError
from harness.worlds import world_of
from harness.worlds.scenes import words
from suites.trajectory import is_of

PROFILE = registry.profile("embedded_vlm")
MAIN = {"vanilla_opd", "privileged_teacher", "dopd", "dopd_reverse_kl"}
KINDS = ("final_answer", "box_caption", "box_label", "caption", "none")


def options(suite: str, root: Path, **changes: Any) -> Options:
    return Options(suite=suite, profile="embedded_vlm", results=root, **changes)


def trained(suite: str, root: Path) -> list[RunSpec]:
    found = registry.suite(suite)
    return [spec for spec in found.runs(PROFILE, found.wholly(options(suite, root))) if spec.method]


def paper(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / "paper" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cells(table: Table, label: str) -> dict[str, Cell]:
    (line,) = (line for line in table.lines if line.label == label)
    return dict(zip((column.key for column in table.columns), line.cells, strict=True))


# --- arms and draws


def test_runs_by_suite(tmp_path: Path) -> None:
    """By hand: 8 arms × 5 draws and 4 more seeds of each draw of four; 5 forms of p; vanilla and three droppings; 6 and
    5 arms along the run; 3 groups × 4 methods, of 5 draws and of 3; 9 rows × 3; 1; 2 × 5; 4 × 5; 10 × 5; 4 × 4 × 3."""
    counts = {name: len(trained(name, tmp_path)) for name in PROFILE.parts or {} if name != "tuning"}
    assert counts == {
        "in_distribution": 8 * 5 + 4 * 5,
        "continual": 3 * 4 * 3,
        "ood": 3 * 4 * 5,
        "stability": 6 * 5,
        "privilege_illusion": 5 * 5,
        "token_ablation": 4 * 5,
        "privileged_input": 5 * 5,
        "ablation": 9 * 3,
        "trajectory": 1,
        "regime_audit": 2 * 5,
        "cell_audit": 4 * 5,
        "phases": 4 * 4 * 3,
        "transfer_audit": 10 * 5,
    }


def test_titles_name_the_papers_tables_of_pictures() -> None:
    titles = {name: registry.suite(name).title_in(PROFILE) for name in ("in_distribution", "privileged_input", "ood")}
    assert titles["in_distribution"].endswith("(Table 2, Figure 1)") and titles["privileged_input"].endswith(
        "(Table 5)"
    )
    assert titles["ood"] == registry.suite("ood").title
    text = registry.profile("embedded")
    assert registry.suite("in_distribution").title_in(text).endswith("(Table 1, Figure 1)")


def test_all_is_what_the_profile_names_and_shares_runs(tmp_path: Path) -> None:
    suite = registry.suite("all")
    assert isinstance(suite, Together)
    assert {each.name for each in suite.of(PROFILE)} == (PROFILE.parts or {}).keys() - {
        "tuning",
        "cell_audit",
        "phases",
    }
    assert suite.of(registry.profile("embedded")) == suite.suites
    runs = suite.runs(PROFILE, options("all", tmp_path))
    assert len(runs) == 226 and sum(spec.is_reference for spec in runs) == 10
    assert {spec.data.draw for spec in runs if spec.data} == set(range(5))


def test_the_main_arms_run_each_draw_twice(tmp_path: Path) -> None:
    arms = registry.suite("in_distribution").arms(PROFILE, options("in_distribution", tmp_path))  # type: ignore[attr-defined]
    assert {arm.key for arm in arms if tuple(arm.specs) == tuple(range(10))} == MAIN
    assert {arm.key: tuple(arm.specs) for arm in arms if arm.key not in MAIN} == dict.fromkeys(
        ("uni_opd", "vision_opd", "va_opd", "privileged_student"), (0, 1, 2, 3, 4)
    )


def test_a_run_has_the_models_of_its_draw_and_the_whole_rate_at_once(tmp_path: Path) -> None:
    spec = next(each for each in trained("in_distribution", tmp_path) if each.seed == 7)
    assert spec.data and spec.teacher and spec.optim
    assert (spec.student.name, spec.teacher.name) == ("scenes_student_draw2", "scenes_teacher_draw2")
    assert (spec.data.draw, spec.data.privilege) == (2, "box_label")
    assert (spec.optim.first_step, spec.optim.lr) == (FirstStep.FULL, 1e-4)
    assert spec.extra_checkpoints == (5, 10, 15, 20, 30, 40, 60)


def test_every_k_is_32_and_below_the_vocabulary() -> None:
    assert PROFILE.top_k and PROFILE.top_k.vocabulary == len(WORDS)
    assert len(words.CODES) < 32
    for name in ("vanilla_opd", "dopd", "vision_opd", "dopd_ablation", "opd_dropped"):
        assert PROFILE.method(name).settings["k"] == 32
        override = PROFILE.override(name)
        assert override and "too large a part of 235 words" in override.reason
    assert PROFILE.method("va_opd").settings["k"] == 128, "it does not act there"
    assert PROFILE.method("eopd").settings["k"] == 16, "a smaller one stays"


def test_an_arm_that_no_suite_has_is_named(tmp_path: Path) -> None:
    wrong = dataclasses.replace(PROFILE, parts={"privileged_input": Part(arms=("box_lable",))})
    with pytest.raises(HarnessError, match=r"arm of suite privileged_input.*'box_lable'.*box_label"):
        registry.suite("privileged_input").runs(wrong, options("privileged_input", tmp_path))


def test_the_main_arms_are_tuned_on_the_development_draw(tmp_path: Path) -> None:
    runs = registry.suite("tuning").runs(PROFILE, options("tuning", tmp_path))
    made = [spec for spec in runs if spec.method and spec.optim]
    assert {(spec.method.name, spec.optim.lr) for spec in made if spec.method and spec.optim} == {
        (name, rate) for name in MAIN for rate in (5e-5, 1e-4, 2e-4, 4e-4, 8e-4)
    }
    assert {spec.data.draw for spec in runs if spec.data} == {5} and len(runs) == 20 + 2
    asked = {evaluation.step for evaluation in registry.suite("tuning").evaluations(made[0])}
    assert asked == {5, 10, 15, 20, 30, 40, 60, "last"}


# --- what can run


def test_a_draw_that_is_not_held_is_refused_before_compute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROFILE.draws
    lacking = dataclasses.replace(PROFILE, draws=dataclasses.replace(PROFILE.draws, held=(1, 5)))
    monkeypatch.setattr("suites.profiles.embedded_vlm.PROFILE", lacking)
    flags = ["--suite", "in_distribution", "--profile", "embedded_vlm", "--results", str(tmp_path)]
    assert verbs.main(["run", *flags, "--seeds", "3"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "does not hold the models of draws 0, 2 (it holds those of: 1, 5)" in said
    assert "give --seeds 1, or --seeds 1000, to run" in said
    assert not list(tmp_path.iterdir())
    assert verbs.main(["plan", *flags, "--seeds", "3"]) == 0
    assert "it can be planned, not run: profile embedded_vlm" in " ".join(capsys.readouterr().out.split())


def test_draws_that_are_held_are_those_of_the_package(tmp_path: Path) -> None:
    assert PROFILE.draws and PROFILE.draws.held is not None and 5 in PROFILE.draws.held
    for draw in PROFILE.draws.held:
        at = PROFILE.in_draw(draw)
        for model in (at.student, at.teacher):
            assert model.sha256 == zoo.MANIFEST[model.name]["sha256"]
    suite = registry.suite("in_distribution")
    check_draws(PROFILE, planned(suite, PROFILE, options("in_distribution", tmp_path, seeds=(1000,)), tmp_path))
    assert Draws(n=1, development=2, model=lambda model, _: model).held is None


def test_a_rate_of_the_users_own_changes_the_runs_and_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the hub was asked for the names that stand for a draw's models."""
    monkeypatch.setattr(registry, "_own_profile", {})
    monkeypatch.setattr(sources, "latest", lambda name: pytest.fail(f"asked the hub for {name}"))
    flags = ["--suite", "in_distribution", "--profile", "embedded_vlm", "--results", str(tmp_path), "--seeds", "1000,"]
    ids: dict[str, set[str]] = {}
    for rate in ("1e-4", "2e-4"):
        assert verbs.main(["plan", *flags, "--rate", rate]) == 0
        ids[rate] = set(re.findall(r"reference-scenes-\w+-draw5-\w+|\d\.?\d*e-05|0\.000\d", capsys.readouterr().out))
    assert ids["1e-4"] ^ ids["2e-4"] == {"0.0001", "0.0002"}


def test_models_of_every_draw_are_changed(tmp_path: Path) -> None:
    seen: list[str] = []

    def change(model: ModelSpec) -> ModelSpec:
        seen.append(model.name)
        return dataclasses.replace(model, content="c")

    made = PROFILE.with_models(change)
    assert (made.student, made.teacher, seen) == (PROFILE.student, PROFILE.teacher, [])
    at = made.in_draw(3)
    assert at.student == dataclasses.replace(PROFILE.in_draw(3).student, content="c")
    assert sorted(seen) == ["scenes_student_draw3", "scenes_teacher_draw3"]


@pytest.mark.slow
def test_every_suite_is_planned_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from harness.cli import verbs\n"
        "for suite in ('all', 'tuning'):\n"
        f"    flags = ['--suite', suite, '--profile', 'embedded_vlm', '--results', {str(tmp_path)!r}]\n"
        "    assert verbs.main(['plan', *flags]) == 0\n"
        "    assert verbs.main(['plan', *flags, '--list']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # The untrained models of the five draws of results are published, and planned as such; no run is.
    assert "226 runs: 216 absent, 10 references from published rows" in done.stdout


# --- the paper's numbers beside


def score(spec: RunSpec, evaluation: Evaluation, _: str) -> float:
    assert spec.data is not None and spec.data.draw is not None
    if spec.method is None:
        return 0.4 if "student" in spec.student.name else 0.6
    kind = KINDS.index(spec.data.privilege) if spec.method.name == "dopd" else 0
    return 0.5 + 0.01 * kind + 0.001 * spec.data.draw


def made(suite: str, root: Path, **changes: Any) -> dict[str, Table]:
    found, chosen = registry.suite(suite), options(suite, root, **changes)
    frames = synthetic.frames(chosen, score, suite=found, profile=PROFILE)
    return {table.name: table for table in found.tables(*frames, chosen)}


def test_table_2_is_ours_beside_the_papers(tmp_path: Path) -> None:
    tables = made("in_distribution", tmp_path, seeds=(0, 1))
    assert list(tables) == ["table2", "table2_beside", "table2_items"]
    beside = tables["table2_beside"]
    keys = [column.key for column in beside.columns]
    assert keys[:4] == ["score", *(f"scenes_{domain}" for domain in ("general", "reasoning", "understanding"))]
    printed = paper("table2_vlm_main")
    for record in printed:
        shown = cells(beside, record["method"])
        assert {name: shown[f"paper_{name}"].value for name in record if name != "method"} == {
            name: float(value) for name, value in record.items() if name != "method"
        }
    assert cells(beside, "DOPD")["score"].value == pytest.approx(52.05) and cells(beside, "DOPD")["score"].n == 2
    assert cells(beside, "DOPD (reverse KL)")["paper_average"] == Cell(missing="not in the paper")
    assert "other models and other benchmarks" in beside.caption


def test_table_5_is_ours_beside_the_papers(tmp_path: Path) -> None:
    tables = made("privileged_input", tmp_path, seeds=(0, 1))
    assert list(tables) == ["table5", "table5_beside"]
    beside = tables["table5_beside"]
    printed = paper("table5_privileged_input_vlm")
    assert [line.label for line in beside.lines if line.block == "DOPD"] == [
        each["privileged_input"] for each in printed
    ]
    for number, record in enumerate(printed):
        shown = cells(beside, record["privileged_input"])
        assert shown["paper_mmstar"].value == float(record["mmstar"])
        assert shown["score"].value == pytest.approx(50.05 + number)
    assert cells(tables["table5"], "caption")["difference"].value == pytest.approx(1)
    assert "Priv. T→S" not in beside.caption
    suite, chosen = registry.suite("privileged_input"), options("privileged_input", tmp_path, seeds=(0, 1))
    assert list(suite.figures(*synthetic.frames(chosen, score, suite=suite, profile=PROFILE), chosen)) == ["table5"]


def test_a_profile_that_names_no_table_shows_none_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suites.profiles.embedded_vlm.PROFILE", dataclasses.replace(PROFILE, parts=None))
    assert "table1" in made("in_distribution", tmp_path, seeds=(0, 1), methods=("vanilla_opd", "dopd"))
    monkeypatch.setattr(
        "suites.profiles.embedded_vlm.PROFILE",
        dataclasses.replace(PROFILE, parts={"in_distribution": Part(table="table9")}),
    )
    with pytest.raises(HarnessError, match=r"table of the paper.*'table9'"):
        made("in_distribution", tmp_path, seeds=(0, 1), methods=("vanilla_opd", "dopd"))


@pytest.mark.parametrize("suite", [name for name in PROFILE.parts or {} if name not in ("tuning", "trajectory")])
def test_every_suite_has_tables_that_speak_of_draws(suite: str, tmp_path: Path) -> None:
    tables = made(suite, tmp_path, seeds=(0, 1))
    assert tables
    for table in tables.values():
        assert "over seeds" not in table.caption and "by seed" not in table.caption, table.name
        assert "{" not in table.caption, table.name
        assert "harder" not in {column.key for column in table.columns}, table.name


def test_a_trajectory_finds_the_problems_of_a_draw() -> None:
    """By the ids that the world gives."""
    example = world_of(PROFILE.in_draw(5).data).examples(PROFILE.in_draw(5).data, "test", 1)[0]
    assert [domain for domain in words.DOMAINS if is_of({"id": example.id}, domain)] == [example.domain]


# --- a run


@pytest.mark.slow
def test_two_steps_from_training_to_table_and_figure(tmp_path: Path) -> None:
    flags = ["--suite", "in_distribution", "--profile", "embedded_vlm", "--results", str(tmp_path)]
    chosen = ["--methods", "vanilla_opd,dopd", "--seeds", "1000,", "--steps", "2", "--jobs", "1"]
    assert verbs.main(["run", *flags, *chosen]) == 0
    folder = tmp_path / "reports" / "embedded_vlm" / "in_distribution"
    assert {"table2.md", "table2_beside.md", "figure1.png"} <= {file.name for file in folder.iterdir()}
    assert "draws 5 (seed 1000;" in (folder / "table2.md").read_text(encoding="utf-8")
