"""What ``plan`` prints: a line a run, a line a setting beyond ``LISTED``, and every id on demand."""

from __future__ import annotations

import dataclasses
import functools
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from harness import registry
from harness.cli import plan_table, select, verbs
from harness.config import RunSpec
from harness.profile import Profile
from harness.runs.plan import PlannedRun, planned
from harness.storage.run_folder import RunState
from harness.suite import Options

PAPER = registry.profile("paper")
"""Without draws: all seeds of a setting have the same models."""
PAIR = "Qwen.Qwen3-8B-Qwen.Qwen3-1.7B"


def plan_of(root: Path, suite: str, profile: Profile = PAPER, **changes: object) -> list[PlannedRun]:
    given = {"suite": suite, "profile": profile.name, "results": root, "published": root / "published"}
    options = Options(**given, **changes)  # type: ignore[arg-type]
    return planned(registry.suite(suite), profile, options, root)


def cells(plan: list[PlannedRun]) -> list[list[str]]:
    """Of each line, without the frame."""
    file = io.StringIO()
    Console(file=file, width=1000).print(plan_table.plan_table(plan, title="title"))
    return [[c.strip() for c in line.strip("│ \n").split("│")] for line in file.getvalue().splitlines() if "│" in line]


@pytest.mark.parametrize(
    ("seeds", "text"), [((0,), "0"), ((0, 1, 2), "0-2"), ((7, 0, 1, 3, 3), "0-1, 3, 7"), ((), ""), ((5, 4), "4-5")]
)
def test_seeds_are_written_as_spans(seeds: tuple[int, ...], text: str) -> None:
    assert plan_table.spans(seeds) == text


def test_up_to_the_limit_every_run_has_a_line_and_beyond_every_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, "in_distribution", methods=("dopd", "sft"), seeds=(0, 1, 2))
    monkeypatch.setattr(plan_table, "LISTED", len(plan))
    assert [line[0] for line in cells(plan)] == [run.spec.id for run in plan]
    monkeypatch.setattr(plan_table, "LISTED", len(plan) - 1)
    plan[-1] = dataclasses.replace(plan[-1], state=RunState.DONE, estimate_seconds=0.0)
    student, teacher, dopd, sft = cells(plan)
    assert (student[0], teacher[0]) == (plan[0].spec.id, plan[1].spec.id), "what has no seed keeps its whole id"
    assert student[1:5] == ["", "", "", "1 absent"]
    steps, rate = str(PAPER.steps), f"{PAPER.optim.lr:g}"
    assert dopd[:5] == [f"dopd-{PAIR}-general+reasoning+coding", "0-2", steps, rate, "3 absent"]
    assert sft[:5] == [f"sft-{PAIR}-general+reasoning+coding", "0-2", steps, rate, "2 absent, 1 done"]


def test_settings_and_continued_runs_have_lines_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that continues another holds that one's id, and so a seed: all seeds are one line even so."""
    monkeypatch.setattr(plan_table, "LISTED", 0)
    staged = cells(plan_of(tmp_path, "continual", methods=("sft",), seeds=(0, 1, 2)))
    names = [line[0] for line in staged if not line[0].startswith("reference")]
    assert names == [f"sft-{PAIR}-{domain}" for domain in PAPER.data.domains]
    told = [line[1] for line in staged if not line[0].startswith("reference")]
    assert told[0] == "start = none" and told[1] == f"start = sft-{PAIR}-{PAPER.data.domains[0]}"
    varied = [line for line in cells(plan_of(tmp_path, "sensitivity", seeds=(0, 1))) if line[0].startswith("dopd-")]
    assert len({line[1] for line in varied}) == len(varied) > 2
    assert {line[2] for line in varied} == {"0-1"}


def test_no_run_is_lost_in_settings(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "all", seeds=(0, 1))
    assert len(plan) > plan_table.LISTED
    counted = [sum(map(int, re.findall(r"(\d+) absent", " ".join(line)))) for line in cells(plan)]
    assert sum(counted) == len(plan)
    assert len(counted) < 0.6 * len(plan)


def test_a_list_has_every_id_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "Options", functools.partial(Options, published=tmp_path / "published"))
    flags = ["plan", "--suite", "sensitivity", "--seeds", "2", "--list", "--results", str(tmp_path)]
    assert verbs.main(flags) == 0
    head, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    plan = plan_of(tmp_path, "sensitivity", registry.profile("embedded"), seeds=(0, 1))
    assert head == ["run", "state", "steps", "learning_rate", "seconds", "settings"]
    assert [line[:2] for line in lines] == [[run.spec.id, "absent"] for run in plan]
    assert [line[5] for line in lines] == plan_table.differences([run.spec for run in plan])
    assert [float(line[4]) for line in lines] == [round(run.estimate_seconds) for run in plan]


def test_a_setting_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[RunSpec] = []
    settings = plan_table._settings
    monkeypatch.setattr(plan_table, "_settings", lambda spec: looked.append(spec) or settings(spec))
    plan = plan_of(tmp_path, "in_distribution", methods=("dopd", "sft"), seeds=tuple(range(9)))
    plan_table.differences([run.spec for run in plan])
    assert len(looked) == 4, "two references, two methods"
