"""A new user's path, by the words of README alone: own models of two architectures, own problems, own exam."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.own_folders import save_all

from harness.config import Source
from harness.storage import files
from harness.worlds.files.reading import read
from harness.worlds.files.schema import problem

ROOT = Path(__file__).resolve().parents[2]
SMOKE = "--steps 3 --prompts 4 --max-response-tokens 24 --rate 1e-3"
"""What README says makes a smoke run."""


def section() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^## Your own models and data\n(.*?)^## ", text, flags=re.M | re.S)
    return found


def block(text: str, language: str) -> str:
    """The one block of a language; commands have none."""
    (found,) = (
        body for named, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S) if named == language
    )
    return found


def commands() -> list[list[str]]:
    return [shlex.split(line) for line in block(section(), "").splitlines()]


def dopd(folder: Path, *words: str) -> str:
    """What the command prints; it must end well and quickly enough for somebody who waits."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_problem_that_readme_shows_is_one(tmp_path: Path) -> None:
    found = problem(json.loads(block(section(), "json")), tmp_path, {})
    assert found.grader and found.grader.right("so it is 5", found.example.answer) == (True, True)
    assert list(found.example.privileged) == ["hints"]


def test_every_line_that_the_page_of_data_shows_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    path = tmp_path / "p.jsonl"
    path.write_text(block(text, "json"))
    found = read(Source(path=str(path), values=(("split", "train"),)))
    assert [each.example.answer for each in found.problems] == ["5", "7"]
    assert found.domains == ("sums",) and len(found.graders) == 2


@pytest.mark.slow
def test_own_models_are_planned_run_and_shown_by_readme_alone(tmp_path: Path) -> None:
    save_all(tmp_path)
    new, plan, run = commands()
    assert SMOKE in " ".join(section().split())
    dopd(tmp_path, *new[1:], *SMOKE.split())
    planned = dopd(tmp_path, *plan[1:])
    assert not (tmp_path / "results").exists()
    for setting in ("rate", "rollouts", "max-response-tokens", "micro-batch", "device"):
        assert re.search(rf"│ {setting} +│ \S+ +│ profile file mine.py", planned), setting
    said = dopd(tmp_path, *run[1:])
    assert "of the answers of the first batch were cut at the length limit" in said
    shown = {"run": said} | {verb: dopd(tmp_path, verb, *run[2:]) for verb in ("table", "figure")}
    for label in ("Student", "Teacher", "DOPD", "Vanilla OPD"):
        assert label in shown["run"] and label in shown["table"], label
    reports = tmp_path / "results" / "reports" / "mine" / "in_distribution"
    assert (reports / "figure1.png").stat().st_size > 10_000
    again = dopd(tmp_path, *run[1:])
    assert "nothing to do" in again
    dopd(tmp_path, "report", "--profile", "mine.py", "--output", "page")
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "mine" in page and "Vanilla OPD" in page
    rows = [row for path in tmp_path.glob("results/runs/*/rows.jsonl") for row in files.read_jsonl(path)]
    assert {row["benchmark"] for row in rows} == {"exam_plus", "exam_minus"} and {row["n"] for row in rows} == {4}
    runs = [path.name for path in tmp_path.glob("results/runs/*")]
    assert sum(name.startswith("reference-") for name in runs) == 2 and len(runs) == 4
