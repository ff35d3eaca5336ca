"""The suite of the audits ``cells`` and ``routes`` from synthetic rows."""

from __future__ import annotations

from typing import Any

import pytest
from support.synthetic import PROFILE, frames

from harness import registry
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS, CELL_METRICS, CLASSES, ROUTE_METRICS, SOURCE_OF
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from suites.cell_audit import WORDS

SUITE: Suite = registry.suite("cell_audit")
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02}
KEPT = {"vanilla_opd": 0.1, "privileged_teacher": 0.3, "dopd": 0.8, "dopd_reverse_kl": 0.1}
"""Of what the student alone had right, at the end; half of the way there before."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    assert spec.method is not None
    if metric == "gap":
        return 0.25
    name, _, kind = metric.partition("/")
    if (name, kind) == ("student_only", "right"):
        end = KEPT[spec.method.name] + SPREAD[spec.seed] * (1 if spec.method.name == "dopd" else 0.5)
        return 1.0 if evaluation.step == 0 else end
    if kind in SOURCE_OF:
        return {"LH": 0.7, "LL": 0.05, "HT": 0.15, "HS": 0.1}[kind]
    return {"share": 0.25, "expected": 0.2}.get(kind, 0.5)


def options(**changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"seeds": (0, 1, 2), **changes})


def made(chosen: Options | None = None, **how: Any) -> Table:
    chosen = chosen or options()
    (found,) = SUITE.tables(*frames(chosen, score, suite=SUITE, **how), chosen)
    return found


def line(of: Table, block: str, name: str) -> dict[str, Cell]:
    (found,) = (each for each in of.lines if (each.block, each.label) == (block, name))
    return {column.key: cell for column, cell in zip(of.columns, found.cells, strict=True)}


def test_its_runs_are_those_of_other_suites() -> None:
    """Trained once; the untrained student is step 0 of each."""
    profile = registry.profile("embedded")
    planned = SUITE.runs(profile, Options(suite=SUITE.name, profile="embedded", seeds=(0, 1)))
    theirs = registry.suite("in_distribution").runs(
        profile,
        Options(suite="in_distribution", profile="embedded", seeds=(0, 1), methods=SUITE.methods),  # pyright: ignore[reportAttributeAccessIssue]
    )
    assert {s.id for s in planned} == {s.id for s in theirs if s.method} and len(planned) == 8


@pytest.mark.parametrize(("steps", "read"), [(100, (0, 20, 50, 100)), (None, (0, 20, 100, 200))])
def test_it_reads_before_early_half_way_and_at_the_end(steps: int | None, read: tuple[int, ...]) -> None:
    (spec, *_) = SUITE.runs(PROFILE, Options(suite=SUITE.name, seeds=(0,), steps=steps))
    assert SUITE.evaluations(spec) == tuple(
        Evaluation(step, name, AUDIT, AUDITS[name].version) for step in read for name in ("cells", "routes")
    )


def test_a_block_per_step_and_every_metric() -> None:
    found = made()
    assert [each.label for each in found.lines] == ["both", "teacher only", "student only", "neither"] * 13
    assert list(dict.fromkeys(each.block for each in found.lines))[:2] == ["before training", "Vanilla OPD, step 20"]
    read = [column.key.removeprefix("routed_") for column in found.columns]
    assert read == [
        *("share", *WORDS, "share", *SOURCE_OF, "expected", "gap"),
        *("tokens", "forwards", "seconds"),
    ]
    assert {"share", *WORDS} == set(CELL_METRICS) and {"share", *SOURCE_OF, "expected"} == set(ROUTE_METRICS)
    assert len(CLASSES) == 4


def test_numbers_of_a_line() -> None:
    found = made()
    kept = line(found, "DOPD, step 200", "student only")
    assert kept["right"].value == pytest.approx(80) and kept["right"].n == 3
    assert kept["right"].half == pytest.approx(4.303 * 2 / 3**0.5, abs=0.01)
    assert line(found, "before training", "student only")["right"].value == pytest.approx(100)
    assert (kept["routed_HT"].value, kept["expected"].value) == (pytest.approx(15), pytest.approx(20))
    assert kept["gap"].value == pytest.approx(25) and "1/100 nats" in found.columns[-4].header
    assert kept["seconds"].value == 31 and line(found, "before training", "both")["seconds"] == Cell()


def test_the_finding_compares_what_is_kept() -> None:
    """DOPD keeps 80 where vanilla keeps 10, spread over draws by 1 point more."""
    chosen = options()
    figure = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)["cell_audit"]
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert {ax.get_ylim() for ax in figure.axes if ax.get_title()} == {(-3.0, 103.0)}, "no share leaves 0 to 100"
    assert titles == [f"right before: {name.replace('_', ' ')}" for name in CLASSES]
    said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "2 of 3 above Vanilla OPD, none below" in said and "DOPD leads Vanilla OPD by 70.0" in said


def test_what_is_missing_says_why() -> None:
    chosen = options()
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "vanilla_opd"]
    found = made(chosen, skip=lost, state="failed")
    assert line(found, "Vanilla OPD, step 100", "both")["right"] == Cell(missing="failed")
    assert line(found, "Vanilla OPD, step 100", "both")["routed_HT"] == Cell(missing="failed")
    assert found.partial == "9 of 12 runs done"
