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
from suites.kit.support import LEAST, support_read

PROFILE = registry.profile("permutations")
OUTSIDE = {32: (0.0004, 0.0001), 8: (0.02, 0.0005)}
"""Of the student's mass, by k: before and after."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    if evaluation.benchmark == "support":
        assert spec.method is not None
        return OUTSIDE[spec.method.settings["k"]][evaluation.step != 0]
    return 0.5


def made(name: str) -> dict[str, Table]:
    suite, chosen = registry.suite(name), Options(suite=name, profile=PROFILE.name)
    return {
        table.name: table
        for table in suite.tables(*synthetic.frames(chosen, score, suite=suite, profile=PROFILE), chosen)
    }


def cells(table: Table, block: str, label: str) -> dict[str, Cell]:
    (line,) = (each for each in table.lines if (each.block, each.label) == (block, label))
    return dict(zip((column.key for column in table.columns), line.cells, strict=True))


def test_granularity_is_inactive_at_a_large_k_alone() -> None:
    """By hand: .4 in a thousand at most at k = 32, 20 before training at k = 8."""
    table = made("ablation")["table8"]
    few = cells(table, "components, k = 8", "w/o adaptive granularities")
    many = cells(table, "components", "w/o adaptive granularities (inactive)")
    assert (many["outside_before"].value, many["outside_end"].value) == (pytest.approx(0.4), pytest.approx(0.1))
    assert (few["outside_before"].value, few["outside_end"].value) == (pytest.approx(20), pytest.approx(0.5))
    assert few["difference"].value == pytest.approx(0) and few["difference"].missing == ""
    ranked = {(each.block, each.label): each.ranked for each in table.lines}
    assert not ranked["components", "w/o adaptive granularities (inactive)"]
    assert ranked["components", "DOPD"] and ranked["components, k = 8", "w/o adaptive granularities"]
    assert sum("inactive" in each.label for each in table.lines) == 1
    assert f"below {LEAST:g} in a thousand" in table.caption


def test_every_top_k_of_a_large_k_is_inactive() -> None:
    for name in ("table7", "table7_plain"):
        table = made("divergence")[name]
        assert [each.label for each in table.lines if each.block == "JS"] == [
            "sampled token", "top-k (inactive)", "full vocabulary", "top-k, k = 8",
        ]  # fmt: skip
        assert sum("inactive" in each.label for each in table.lines) == 3


@pytest.mark.parametrize("name", ["ablation", "divergence"])
def test_it_is_asked_only_where_another_k_is_compared(name: str) -> None:
    suite = registry.suite(name)

    def asked(profile: str) -> list[Any]:
        specs = suite.runs(registry.profile(profile), Options(suite=name, profile=profile))
        return [
            each for spec in specs if spec.method for each in suite.evaluations(spec) if each.benchmark == "support"
        ]

    assert not asked("embedded")
    found = asked("permutations")
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
