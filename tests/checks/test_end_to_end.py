"""The main job in real processes: from nothing to table and figure, again, one more seed, a foreign method."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
METHOD = '''
"""Forward KL from the privileged teacher (a test, 2026)."""

from dataclasses import dataclass

from harness.method import Method
from harness.types import PRIVILEGED, Policy, Term, View, Want


@dataclass(frozen=True, kw_only=True)
class {name}(Method):
    """weight * KL(teacher(. | x, p) || student(. | x))."""

    weight: float = 1.0

    @property
    def terms(self):
        wants = frozenset({{Want.DISTRIBUTION}})
        return (Term(View(Policy.STUDENT, wants=wants), (View(Policy.TEACHER, PRIVILEGED, wants),)),)

    def token_loss(self, term, views, fields):
        student_NV, teacher_NV = views[term.trained].logp_NV, views[term.sources[0]].logp_NV
        return self.weight * (teacher_NV.exp() * (teacher_NV - student_NV)).sum(-1)
'''


def dopd(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``dopd arguments`` in a process of its own, ``path`` importable."""
    roots = os.pathsep.join(str(p) for p in (ROOT, path) if p)
    environment = os.environ | {"PYTHONPATH": roots, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def installed(folder: Path) -> Path:
    """A second distribution whose entry point names a method, as pip would leave it."""
    (folder / "foreign.py").write_text(METHOD.format(name="Foreign"))
    info = folder / "foreign-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dopd.methods]\nforeign = foreign:Foreign\n")
    return folder


def stamps(results: Path) -> dict[str, int]:
    """When each run was last trained."""
    return {p.parent.name: p.stat().st_mtime_ns for p in results.glob("runs/*/metrics.jsonl")}


@pytest.mark.slow
def test_the_main_job(tmp_path: Path) -> None:
    results, package, plugin = tmp_path / "results", tmp_path / "package", tmp_path / "my_method.py"
    package.mkdir()
    installed(package)
    plugin.write_text(METHOD.format(name="MyMethod"))
    methods = "vanilla_opd,foreign,my_method"
    flags = ["--suite", "ood", "--methods", methods, "--train-domains", "coding", "--steps", "2", "--jobs", "2"]
    flags += ["--results", str(results), "--plugin", str(plugin)]

    first = dopd("run", *flags, "--seeds", "1", path=package)
    assert first.returncode == 0, first.stderr
    report = results / "reports" / "embedded" / "ood"
    table = (report / "ood.md").read_text()
    for label in ("Student", "Teacher", "Vanilla OPD", "foreign", "my_method"):
        assert label in table, label
    assert (report / "figure7b.png").stat().st_size > 10_000
    assert (report / "figure7b.pdf").read_bytes().startswith(b"%PDF")
    trained = stamps(results)
    assert len(trained) == 3

    again = dopd("run", *flags, "--seeds", "1", path=package)
    assert again.returncode == 0 and "nothing to do" in again.stdout
    assert stamps(results) == trained

    more = dopd("run", *flags, "--seeds", "2", path=package)
    assert more.returncode == 0, more.stderr
    after = stamps(results)
    assert len(after) == 6 and {run: after[run] for run in trained} == trained
    seeds = pd.read_json(next(results.glob("runs/my-method-*-seed1-*/rows.jsonl")), lines=True)
    assert set(seeds.seed) == {1} and set(seeds.status) <= {"ok", "collapsed"}
