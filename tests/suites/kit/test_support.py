"""Rows that differ in their support alone are inactive where hardly any probability lies outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support import synthetic

from harness import registry
from harness.config import RunSpec
from harness.evaluation.audits import AUDIT, AUDITS
from harness.show.tables import Cell, Table
from harness.suite import Evaluation, Options, training_run
from suites.divergence import matrix
from suites.kit.support import LEAST, support_read
from suites.paper import claims
from suites.paper.claims_of_language import CLAIMS

PROFILE = registry.profile("embedded")
OUTSIDE = {32: (0.0004, 0.0001), 8: (0.0002, 0.0005)}
"""Of the student's mass, by k: before and after."""
SOURCES = {32: (0.0005, 0.0003), 8: (0.02, 0.0001)}
"""Of the source's."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    if evaluation.benchmark == "support":
        assert spec.method is not None
        return (OUTSIDE if metric == "student_outside" else SOURCES)[spec.method.settings["k"]][evaluation.step != 0]
    few = spec.method is not None and spec.method.settings.get("k") == 8
    if spec.method is not None and spec.method.settings.get("one_granularity"):
        return 0.55 if few else 0.45
    return 0.5 if not few else 0.52


def frames(name: str) -> Any:
    suite, chosen = registry.suite(name), Options(suite=name, profile=PROFILE.name)
    return suite, synthetic.frames(chosen, score, suite=suite, profile=PROFILE), chosen


def made(name: str) -> dict[str, Table]:
    suite, found, chosen = frames(name)
    return {table.name: table for table in suite.tables(*found, chosen)}


def cells(table: Table, block: str, label: str) -> dict[str, Cell]:
    (line,) = (each for each in table.lines if (each.block, each.label) == (block, label))
    return dict(zip((column.key for column in table.columns), line.cells, strict=True))


def test_granularity_is_inactive_at_a_large_k_alone() -> None:
    """By hand, the larger of student and source: .5 in a thousand at most at k = 32, 20 before training at k = 8."""
    tables = made("ablation")
    few = cells(tables["table8_few"], "components, k = 8", "w/o adaptive granularities")
    many = cells(tables["table8"], "components", "w/o adaptive granularities (inactive)")
    assert (many["outside_before"].value, many["outside_end"].value) == (pytest.approx(0.5), pytest.approx(0.3))
    assert (few["outside_before"].value, few["outside_end"].value) == (pytest.approx(20), pytest.approx(0.5))
    assert few["difference"].value == pytest.approx(3), "minus DOPD of the same k"
    assert many["difference"].value == pytest.approx(-5)
    ranked = {(each.block, each.label): each.ranked for name in tables for each in tables[name].lines}
    assert not ranked["components", "w/o adaptive granularities (inactive)"]
    assert ranked["components", "DOPD"] and ranked["components, k = 8", "w/o adaptive granularities"]
    assert not any(each.block.endswith("k = 8") for each in tables["table8"].lines), "ranked apart"
    assert f"below {LEAST:g} in a thousand" in tables["table8"].caption


@pytest.mark.parametrize("step", [0, PROFILE.steps])
def test_a_row_is_not_inactive_by_one_end(step: int) -> None:
    suite, (rows, costs), chosen = frames("ablation")
    there = rows[~((rows["benchmark"] == "support") & (rows["step"] == step))]
    table = next(each for each in suite.tables(there, costs, chosen) if each.name == "table8")
    assert not any("inactive" in each.label for each in table.lines)


def test_every_top_k_of_a_large_k_is_inactive() -> None:
    for name in ("table7", "table7_plain"):
        table = made("divergence")[name]
        assert [each.label for each in table.lines if each.block == "JS"] == [
            "sampled token", "top-k (inactive)", "full vocabulary", "top-k, k = 8",
        ]  # fmt: skip
        assert sum("inactive" in each.label for each in table.lines) == 3
        assert cells(table, "JS", "full vocabulary")["outside_end"] == Cell(), "not asked"


def test_the_matrix_marks_no_inactive_cell() -> None:
    """All objectives on the vocabulary or the profile's k have 50, those on the top 8 have 52 and share the first rank;
    inactive ones have none."""
    suite, found, chosen = frames("divergence")
    drawn = matrix(suite.scores(*found, chosen), "privileged")
    ranks = {name: [row[i].rank for row in drawn.cells] for i, name in enumerate(drawn.columns)}
    assert ranks["top-k, k = 8"] == [1, 1, 1] and ranks["top-k"] == [0, 0, 0] and ranks["full vocabulary"] == [2, 2, 2]


@pytest.mark.parametrize("name", ["ablation", "divergence"])
def test_it_is_asked_only_where_another_k_is_compared(name: str) -> None:
    suite = registry.suite(name)

    def asked(profile: str) -> list[Any]:
        specs = suite.runs(registry.profile(profile), Options(suite=name, profile=profile))
        return [
            each for spec in specs if spec.method for each in suite.evaluations(spec) if each.benchmark == "support"
        ]

    assert not asked("paper")
    found = asked("embedded")
    assert {each.step for each in found} == {0, "last"}
    assert {(each.decoding, each.version) for each in found} == {(AUDIT, AUDITS["support"].version)}


@pytest.mark.parametrize(
    ("method", "settings", "asked"),
    [
        ("sft", {}, 0),
        ("dopd", {}, 2),
        ("vanilla_opd", {}, 2),
        ("vanilla_opd", {"granularity": "full"}, 0),
        ("vanilla_opd", {"granularity": "sampled"}, 0),
    ],
)
def test_only_what_looks_at_a_top_k_is_asked(method: str, settings: dict[str, Any], asked: int) -> None:
    spec = training_run(PROFILE, Options(suite="none"), method=method, domains=PROFILE.data.domains, seed=0)
    assert len(support_read(replace(spec, method=PROFILE.method(method, settings)))) == asked


@pytest.mark.parametrize(("least", "verdict"), [(0.0004, "undecided"), (0.002, "reproduced")])
def test_a_claim_on_an_inactive_row_is_undecided(least: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its numbers, which here are 5 points below DOPD's in every draw."""
    monkeypatch.setitem(OUTSIDE, 32, (least, 0.0001))
    suite, (rows, costs), chosen = frames("ablation")
    scores: Any = suite.scores(rows, costs, chosen)
    (claim,) = (each for each in CLAIMS if each.id == "component_one_granularity")
    decision = claims._decided(claim, PROFILE, scores, "draws")
    assert decision.verdict == verdict and decision.effect == pytest.approx(5)
    assert ("inactive" in decision.note) == (verdict == "undecided")
    assert claims._decided(claim, PROFILE, "no run of the suite is done", "draws").verdict == "not run"
