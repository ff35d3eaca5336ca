"""A world of one domain: a suite is planned, shown and drawn, or refuses it when it is planned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from support.synthetic import PROFILE, frames

from harness import registry
from harness.config import RunSpec
from harness.suite import Evaluation, Options
from harness.types import HarnessError
from suites.profiles import embedded

DOMAIN = "coding"


def one(by_domain: Mapping[str, str]) -> dict[str, str]:
    return {DOMAIN: by_domain[DOMAIN]}


ALONE = dataclasses.replace(
    PROFILE,
    data=dataclasses.replace(PROFILE.data, domains=(DOMAIN,)),
    benchmarks=(PROFILE.targets[DOMAIN],),
    targets=one(PROFILE.targets),
    directions=(DOMAIN,),
    harder=one(PROFILE.harder),
    validation=one(PROFILE.validation),
)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default profile has one domain."""
    monkeypatch.setattr(embedded, "PROFILE", ALONE)


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    return 0.4 + 0.01 * spec.seed if spec.method else 0.3


def test_nothing_can_be_out_of_domain() -> None:
    with pytest.raises(HarnessError) as error:
        registry.suite("ood").runs(ALONE, Options(suite="ood"))
    assert str(error.value) == (
        "suite ood trains on one domain and asks in another, profile embedded has coding alone: give it a second one "
        "(data, targets, directions), or choose suite in_distribution"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.suites())
def test_a_suite_is_drawn_or_refuses_when_it_is_planned(name: str) -> None:
    suite, options = registry.suite(name), Options(suite=name, seeds=(0, 1))
    try:
        suite.runs(ALONE, options)
    except HarnessError:
        return
    rows, costs = frames(options, score, suite=suite, profile=ALONE)
    assert suite.tables(rows, costs, options)
    assert all(figure.axes for figure in suite.figures(rows, costs, options).values())
