"""Table 4 from synthetic rows: runs that differ in p alone, and the one that needs none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from support.small import fixed_batch, loss_and_gradient, policies, small_method
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from harness.types import PLAIN, PRIVILEGED, Policy, Privilege
from suites.kit.comparison import to_baseline

SUITE: Suite = registry.suite("privileged_input")
KINDS = ("final_answer", "hints_with_execution", "hints", "summary", "none")
MEANS = {"final_answer": 0.42, "hints_with_execution": 0.48, "hints": 0.55, "summary": 0.5, "none": 0.46}
NOISE = {0: -0.01, 1: 0.0, 2: 0.02}


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    if spec.method is None or spec.data is None:
        return factor * (0.4 if is_student(spec) else 0.6)
    moved = NOISE[spec.seed] if spec.data.privilege == Privilege.HINTS else 0.0
    return factor * (MEANS[spec.data.privilege] + moved - (0.0 if spec.method.name == "dopd" else 0.04))


def options(root: Path, **changes: Any) -> Options:
    given = {"seeds": (0, 1, 2), "results": root, "published": root / "published", **changes}
    return Options(suite=SUITE.name, **given)


def arms(root: Path) -> dict[str, Any]:
    return {arm.key: arm for arm in SUITE.arms(PROFILE, options(root))}  # type: ignore[attr-defined]


def line(made: Table, label: str, block: str) -> dict[str, Cell]:
    (found,) = (each for each in made.lines if (each.block, each.label) == (block, label))
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


def test_arms_differ_in_p_alone(tmp_path: Path) -> None:
    made = arms(tmp_path)
    assert list(made) == [*KINDS, *(f"privileged_teacher/{kind}" for kind in KINDS)]
    hints = made["hints"].spec
    for kind in KINDS:
        assert dataclasses.replace(hints, data=dataclasses.replace(hints.data, privilege=Privilege(kind))) == (
            made[kind].spec
        )
    uniform = made["privileged_teacher/hints"].spec
    for kind in KINDS[:-1]:
        spec = made[f"privileged_teacher/{kind}"].spec
        assert spec == dataclasses.replace(uniform, data=dataclasses.replace(uniform.data, privilege=Privilege(kind)))
        assert spec.method.name == "privileged_teacher"


def test_shared_arms_are_runs_of_other_suites(tmp_path: Path) -> None:
    def ids(name: str) -> set[str]:
        chosen = Options(suite=name, seeds=(0, 1, 2), published=tmp_path / "published")
        return {spec.id for spec in registry.suite(name).runs(PROFILE, chosen)}

    mine = {key: {spec.id for spec in arm.specs.values()} for key, arm in arms(tmp_path).items()}
    assert mine["hints"] | mine["privileged_teacher/none"] <= ids("in_distribution")
    assert mine["privileged_teacher/hints"] <= ids("privilege_illusion") & ids("divergence")
    assert mine["none"] <= ids("ablation")


def test_without_p_one_loss_for_all_is_vanilla_opd() -> None:
    """What lets the last line share its runs: the privileged context is then the plain one."""
    batch = fixed_batch(policies()[Policy.STUDENT])
    same = dataclasses.replace(batch, contexts={**batch.contexts, PRIVILEGED: batch.contexts[PLAIN]})
    (loss, gradient), (vanilla, its_gradient) = (
        loss_and_gradient(small_method(name), same) for name in ("privileged_teacher", "vanilla_opd")
    )
    assert loss == vanilla and all(torch.equal(a, b) for a, b in zip(gradient, its_gradient, strict=True))
    assert loss_and_gradient(small_method("privileged_teacher"), batch)[0] != vanilla


def test_numbers_of_a_line(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    (made,) = SUITE.tables(*frames(chosen, score, suite=SUITE), chosen)
    answer = line(made, "final answer", "DOPD")
    # .42 against .54, .55, .57: -12, -13, -15 points; deviation 1.528.
    assert answer["score"].value == pytest.approx(42) and answer["difference"].value == pytest.approx(-40 / 3)
    assert answer["difference"].half == pytest.approx(4.303 * 1.5275 / 3**0.5, abs=0.01)
    # Vanilla OPD moves with the seeds as the hints of its block do: no spread, no test.
    assert answer["p_holm"].value is not None and "Holm over the 7 tests" in made.caption
    assert line(made, "hints", "DOPD")["difference"].missing == "baseline"
    assert line(made, "hints", "DOPD")["score"].rank == line(made, "hints", "Priv. T→S")["score"].rank == 1
    # Vanilla OPD's data have hints, which it does not read: .55 - .04 with the noise of hints.
    assert line(made, "no privileged input", "Priv. T→S")["score"].value == pytest.approx(51 + 1 / 3)
    assert "the same runs" in made.caption


def test_missing_and_collapsed(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    lost = [arms(tmp_path)["summary"].specs[seed] for seed in (0, 1, 2)]
    rows, costs = frames(chosen, score, suite=SUITE, skip=lost, state="partial")
    fallen = arms(tmp_path)["final_answer"].specs[1].id
    rows.loc[rows["run"] == fallen, "status"] = "collapsed"
    (made,) = SUITE.tables(rows, costs, chosen)
    assert line(made, "summary of hints", "DOPD")["score"] == Cell(missing="partial")
    assert "collapsed 1/3" in line(made, "final answer", "DOPD")["score"].notes
    assert made.partial == "33 of 36 runs done"


def test_figure_has_each_form_minus_the_default_one_under_its_method(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    scores = SUITE.scores(*frames(chosen, score, suite=SUITE), chosen)
    early, ax = SUITE.figures_of(scores)["table4"].axes
    assert (early.get_title(), ax.get_title()) == ("mean of domains, early: step 20", "mean of domains")
    rows = [label.get_text() for label in early.get_yticklabels()]
    assert len(rows) == 10 and rows[0] == "DOPD, minus hints" and rows[5] == "Priv. T→S, minus hints"
    assert rows[1] == rows[6] == "final answer" and "hints" not in rows
    marks = [float(each.get_xdata()[0]) for each in ax.lines if len(each.get_xdata()) == 1 and each.get_marker() != "|"]
    wanted = [found.mean for key in scores.arms if (found := to_baseline(scores, key).difference)]
    assert marks == pytest.approx([100 * mean for mean in wanted]) and len(marks) == 8
    assert ax.get_xlabel() == "minus hints, points"
