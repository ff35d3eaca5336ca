"""The suite of the audit ``regimes`` from synthetic rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex
from support.synthetic import PROFILE, frames

from harness import registry
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS, REGIME_METRICS, SOURCE_OF
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, Suite
from suites.kit.looks import OF_REGIMES
from suites.regime_audit import PARTS, RIGHTS

SUITE: Suite = registry.suite("regime_audit")
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02}
SHARE = {"LH": 0.7, "LL": 0.05, "HT": 0.1, "HS": 0.15}
RIGHT = {"teacher": {"LH": 0.9, "LL": 0.5, "HT": 0.7, "HS": 0.8}, "self": {"LH": 0.9, "LL": 0.6, "HT": 0.5, "HS": 0.6}}


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """HT is supervised by the better policy, HS by the worse; LH's sources are equal in every draw."""
    assert spec.method is not None
    regime, _, kind = metric.partition("/")
    moved = 0.0 if evaluation.step == 0 else (0.01 if spec.method.name == "dopd" else 0.005)
    if kind in PARTS:
        return SHARE[regime] + (moved if regime == "HT" else 0.0)
    if kind in ("teacher_right", "self_right"):
        policy = kind.removesuffix("_right")
        spread = 0.0 if regime == "LH" else (SPREAD[spec.seed] if policy == "teacher" else 0.0)
        return RIGHT[policy][regime] + spread
    return 0.4 + SPREAD[spec.seed]


def options(**changes: Any) -> Options:
    return Options(suite=SUITE.name, **{"seeds": (0, 1, 2), **changes})


def made(chosen: Options | None = None, **how: Any) -> Table:
    chosen = chosen or options()
    (found,) = SUITE.tables(*frames(chosen, score, suite=SUITE, **how), chosen)
    return found


def line(of: Table, block: str, regime: str) -> dict[str, Cell]:
    (found,) = (each for each in of.lines if (each.block, each.label) == (block, regime))
    return {column.key: cell for column, cell in zip(of.columns, found.cells, strict=True)}


@pytest.mark.parametrize("profile", ["embedded", "paper"])
def test_its_runs_are_those_of_table_1(profile: str) -> None:
    """Trained once; the untrained student is step 0 of each."""
    chosen = Options(suite=SUITE.name, profile=profile)
    planned = SUITE.runs(registry.profile(profile), chosen)
    theirs = registry.suite("in_distribution").runs(registry.profile(profile), chosen)
    first = [s for s in theirs if s.seed < 5]  # that suite runs some methods twice in a draw
    assert {s.id for s in planned} == {s.id for s in first if s.method and s.method.name in ("dopd", "vanilla_opd")}
    assert len(planned) == 10
    steps = planned[0].steps
    early = registry.profile(profile).early_step or steps // 5
    version = AUDITS["regimes"].version
    assert SUITE.evaluations(planned[0]) == tuple(
        Evaluation(step, "regimes", AUDIT, version) for step in (0, early, steps // 2, steps)
    )


def test_other_methods_can_be_read() -> None:
    planned = SUITE.runs(PROFILE, options(methods=("tip",)))
    assert {s.method.name for s in planned if s.method} == {"tip"}


def test_a_block_per_step_and_the_untrained_student_once() -> None:
    found = made()
    assert list(dict.fromkeys(each.block for each in found.lines)) == [
        "before training",
        *(f"DOPD, step {step}" for step in (20, 100, 200)),
        *(f"Vanilla OPD, step {step}" for step in (20, 100, 200)),
    ]
    assert [each.label for each in found.lines] == list(SOURCE_OF) * 7
    assert [column.key for column in found.columns] == [
        *(*PARTS, *RIGHTS, "lead", "p_holm"),
        *("tokens", "forwards", "seconds"),
    ]
    assert {*PARTS, *RIGHTS, "source_right"} == set(REGIME_METRICS)


def test_numbers_of_a_line() -> None:
    found = made()
    ht = line(found, "DOPD, step 100", "HT")
    assert ht["share"].value == pytest.approx(11) and ht["share"].n == 3
    assert line(found, "Vanilla OPD, step 100", "HT")["share"].value == pytest.approx(10.5)
    assert line(found, "before training", "HT")["share"].value == pytest.approx(10)
    assert ht["teacher_right"].value == pytest.approx(70)
    assert ht["teacher_right"].half == pytest.approx(4.303 * 2 / 3**0.5, abs=0.01)
    # The teacher supervises HT and is better; the student supervises HS and LL, worse in the one, better in the other.
    assert ht["lead"].value == pytest.approx(20) and ht["lead"].n == 3
    assert line(found, "DOPD, step 100", "HS")["lead"].value == pytest.approx(-20)
    assert line(found, "DOPD, step 100", "LL")["lead"].value == pytest.approx(10)
    p = ht["p_holm"].value
    assert p is not None and 0.003 < p < 0.1  # t = 17, unadjusted p = 0.0033
    lh = line(found, "DOPD, step 100", "LH")
    assert lh["lead"].value == pytest.approx(0) and lh["p_holm"].missing == "no spread"
    # 300,000 tokens; 30, 31, 32 seconds: of the whole run, at every step of it.
    assert (lh["tokens"].value, lh["forwards"].value, lh["seconds"].value) == (300, 3, 31)
    assert line(found, "before training", "LH")["tokens"] == Cell() and "Costs are of the whole run" in found.caption


def test_a_regime_without_tokens_is_not_a_missing_run() -> None:
    chosen = options()
    rows, costs = frames(chosen, score, suite=SUITE)
    dopd = [s.id for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "dopd"]
    judged = rows["metric"].isin([f"LL/{metric}" for metric in (*RIGHTS, "source_right")]) & (rows["step"] == 200)
    (found,) = SUITE.tables(rows[~(judged & (rows["run"] == dopd[0]))], costs, chosen)
    right = line(found, "DOPD, step 200", "LL")["right"]
    assert right.n == 2 and right.notes == ("none there in 1 of 3",)
    (found,) = SUITE.tables(rows[~(judged & rows["run"].isin(dopd))], costs, chosen)
    empty = line(found, "DOPD, step 200", "LL")
    assert empty["right"] == Cell(missing="none there") == empty["lead"]
    assert empty["share"].value == pytest.approx(5) and found.partial == ""


def test_what_is_missing_says_why() -> None:
    chosen = options()
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "vanilla_opd"]
    found = made(chosen, skip=lost, state="failed")
    assert line(found, "Vanilla OPD, step 100", "HT")["share"] == Cell(missing="failed")
    assert line(found, "Vanilla OPD, step 100", "HT")["lead"] == Cell(missing="failed")
    assert found.partial == "3 of 6 runs done"
    some = line(made(chosen, skip=lost[:1]), "Vanilla OPD, step 100", "HT")["share"]
    assert some.n == 2 and some.notes == ("1 of 3 not run",)


def test_a_short_run_is_read_where_it_has_checkpoints() -> None:
    found = made(options(steps=7, seeds=(0, 1)))
    assert list(dict.fromkeys(each.block for each in found.lines))[1:4] == [f"DOPD, step {s}" for s in (1, 3, 7)]


@pytest.mark.slow
def test_figures(tmp_path: Path) -> None:
    chosen = options()
    drawn = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)
    shares, sources = drawn["regime_audit"], drawn["regime_sources"]
    assert [ax.get_title() for ax in shares.axes] == [f"share of {words}" for words in PARTS.values()]
    assert {ax.get_ylim() for ax in shares.axes} == {(-3.0, 103.0)}
    first = [text.get_text() for text in shares.axes[0].texts]
    assert {"HT, DOPD", "HS, Vanilla OPD"} <= set(first)
    lines = [(each.get_color(), each.get_linestyle()) for each in shares.axes[0].lines[:8]]
    assert [colour for colour, _ in lines] == [OF_REGIMES[regime].colour for regime in SOURCE_OF] * 2
    assert [style for _, style in lines] == ["-"] * 4 + ["--"] * 4
    bars = [to_hex(patch.get_facecolor()).upper() for patch in sources.axes[1].patches]
    assert bars == [OF_REGIMES[regime].colour for regime in SOURCE_OF for _ in RIGHTS]
    assert [ax.get_title() for ax in sources.axes] == ["before training", "step 200"]
    labels = [tick.get_text() for tick in sources.axes[0].get_yticklabels()]
    assert labels[:1] == ["LH"] and labels.count("teacher, x and p (source)") == 2
    assert labels[4:6] == ["teacher, x and p (source)", "student, x and p"]
