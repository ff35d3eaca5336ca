"""What the suites of settings have in common: how they plan, what they refuse, where the paper's numbers come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, UNDRAWN

from harness import registry
from harness.evaluation.audits import AUDIT
from harness.show.tables import Cell
from harness.suite import Options, Profile
from harness.types import HarnessError
from suites.kit.variants import SHARES, AnalysisSuite, along_the_run, best_marked
from suites.profiles import PROFILES

NAMES = ("token_ablation", "privileged_input", "divergence", "ablation", "sensitivity")
ALONG = ("token_ablation", "divergence")
SEEDS = {"divergence": 3, "sensitivity": 3}
"""Of the suite's own; the others have five."""


def suite(name: str) -> AnalysisSuite:
    found = registry.suite(name)
    assert isinstance(found, AnalysisSuite)
    return found


def options(name: str, root: Path, **changes: Any) -> Options:
    return Options(suite=name, **{"published": root / "published", **changes})


@pytest.mark.parametrize("profile", ["embedded", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_plans_with_both_profiles_seed_by_seed(name: str, profile: str, tmp_path: Path) -> None:
    chosen, profiled = options(name, tmp_path, profile=profile), registry.profile(profile)
    planned = suite(name).runs(profiled, chosen)
    arms, seeds = suite(name).arms(profiled, chosen), len(profiled.part(name).seeds) or SEEDS.get(name, 5)
    models = 2 * (seeds if profiled.draws else 1)  # each of these seeds has a draw of its own
    assert [spec.is_reference for spec in planned] == [True] * models + [False] * (seeds * len(arms))
    assert [spec.seed for spec in planned[models:]] == [seed for seed in range(seeds) for _ in arms]
    assert len({arm.key for arm in arms}) == len(arms)
    for arm in arms:
        assert {spec.data.domains for spec in arm.specs.values() if spec.data} == {profiled.data.domains}
        assert arm.baseline in {other.key for other in arms}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_arms_are_one_setting_by_mistake(name: str, tmp_path: Path) -> None:
    specs = [arm.spec.id for arm in suite(name).arms(PROFILE, options(name, tmp_path))]
    assert len(set(specs)) == len(specs)


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_of_methods_is_refused(name: str, tmp_path: Path) -> None:
    for methods in ("all", ("dopd",)):
        with pytest.raises(HarnessError, match=f"suite {name} has its own arms: leave out --methods"):
            suite(name).runs(PROFILE, options(name, tmp_path, methods=methods))


@pytest.mark.parametrize("name", NAMES)
def test_other_steps_seeds_and_domains(name: str, tmp_path: Path) -> None:
    chosen = options(name, tmp_path, steps=7, seeds=(4, 9), train_domains=("coding",))
    trained = [spec for spec in suite(name).runs(PROFILE, chosen) if spec.method]
    assert {(s.steps, s.data.domains) for s in trained if s.data} == {(7, ("coding",))}
    assert {s.seed for s in trained} == {4, 9}
    for spec in trained:
        asked = suite(name).evaluations(spec)
        assert len(set(asked)) == len(asked) and {e.at(spec) for e in asked} <= set(spec.checkpoint_steps())


@pytest.mark.parametrize("name", NAMES)
def test_the_harder_range_is_asked_at_the_end_only(name: str, tmp_path: Path) -> None:
    for spec in suite(name).runs(PROFILE, options(name, tmp_path)):
        asked = suite(name).evaluations(spec)
        assert {e.at(spec) for e in asked if e.benchmark.endswith("_hard")} == {spec.steps}
        if name not in ALONG:
            early = [] if spec.is_reference else [PROFILE.early_step]
            assert {e.at(spec) for e in asked if e.decoding != AUDIT} == {*early, spec.steps}


def test_shares_of_a_run_are_its_nearest_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROFILES, UNDRAWN.name, "support.synthetic:UNDRAWN")

    def steps(n: int, profile: Profile = UNDRAWN) -> list[int]:
        chosen = options("divergence", tmp_path, steps=n, profile=profile.name)
        spec = suite("divergence").runs(profile, chosen)[-1]
        return sorted({e.at(spec) for e in along_the_run(spec)})

    assert SHARES == (0.2, 0.4, 0.8, 1.0)
    assert steps(100) == [20, 40, 80, 100] and steps(200) == [40, 80, 160, 200]  # the paper's
    assert steps(7) == [1, 3, 6, 7] and steps(1) == [0, 1]  # 1.4, 2.8, 5.6
    assert steps(200, PROFILE) == [20, 40, 80, 160, 200], "and at the early step"


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_own_numbers_stand_alone(name: str) -> None:
    chosen = Options(suite=name, source="paper")
    shown = suite(name)
    rows = shown.paper_rows(chosen)
    tables = shown.tables(rows, rows, chosen)
    assert tables and all(table.name.endswith("_paper") for table in tables)
    assert all(stem.endswith("_paper") for stem in shown.figures(rows, rows, chosen))


def test_best_of_a_matrix_is_across_rows_and_columns() -> None:
    values = {"a": 50.0, "b": 51.04, "c": 50.98, "d": 49.0}
    marked = best_marked({key: Cell(value=value) for key, value in values.items()} | {"e": Cell(missing="not run")})
    # 51.04 and 50.98 are both 51.0 as printed.
    assert {key: cell.rank for key, cell in marked.items()} == {"a": 2, "b": 1, "c": 1, "d": 0, "e": 0}
