"""Names in a suite that are nobody's are told, where they would read as a run that is missing or as another arm."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, frames, options

from harness import registry
from harness.runs.plan import check_further
from harness.suite import Options
from harness.types import HarnessError
from suites.ablation import Ablation
from suites.kit.measures import Measure


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "dopd"}, "suite ablation: two variants have the key 'dopd': give each a key of its own"),
        ({"baseline": "dopdd"}, "unknown baseline of variant .* of suite ablation: 'dopdd': did you mean dopd"),
    ],
)
def test_variants_that_would_be_left_out_in_silence_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, chosen = Ablation(), Options(suite="ablation", profile="embedded", results=tmp_path)
    assert suite.runs(PROFILE, chosen)
    first, second, *rest = suite.variants_of(PROFILE)
    assert (first.key, second.baseline) == ("dopd", "dopd")
    changed = (first, dataclasses.replace(second, **changes), *rest)
    monkeypatch.setattr(Ablation, "variants_of", lambda *_: changed)
    with pytest.raises(HarnessError, match=message):
        suite.runs(PROFILE, chosen)


def test_a_benchmark_that_nobody_has_is_no_run_that_is_missing(tmp_path: Path) -> None:
    suite, chosen = registry.suite("ood"), options(tmp_path)
    scores: Any = suite.scores(*frames(chosen), chosen)  # type: ignore[attr-defined]
    key = next(iter(scores.arms))
    assert scores.cell(key, [Measure("permutations_coding")]).value is not None
    assert scores.cell(key, [Measure("permutations_coding_validation")]).value is None, "it is there, and was not asked"
    with pytest.raises(HarnessError, match="no benchmark 'coding'"):
        scores.cell(key, [Measure("coding")])


@pytest.mark.parametrize("field", ["targets", "harder", "validation"])
def test_a_profile_names_benchmarks_that_are_there(field: str) -> None:
    check_further(PROFILE)
    named = {**getattr(PROFILE, field), "coding": "embedded_codin"}
    with pytest.raises(
        HarnessError, match=rf"{field}\['coding'\]: no benchmark 'embedded_codin'; .*permutations_coding"
    ):
        check_further(dataclasses.replace(PROFILE, **{field: named}))
