"""``--suite all``: one plan, each run once, evaluated for every suite that asks; tables suite by suite."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support.synthetic import PROFILE, make_done

from harness import registry
from harness.analysis.results import HasPaperRows
from harness.cli import select, verbs
from harness.config import RunSpec
from harness.storage.run_folder import RunFolder, RunState
from harness.suite import Evaluation, Options, Suite, Together
from suites.paper.claims_of_language import CLAIMS


def chosen(suite: str, root: Path) -> Options:
    return Options(suite=suite, results=root, published=root / "published")


def half(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    return 0.5


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The reports of ``run --suite all --from paper``, and what it said."""
    root, said = tmp_path_factory.mktemp("papers"), io.StringIO()
    with redirect_stdout(said):
        assert verbs.main(["run", "--suite", "all", "--from", "paper", "--results", str(root)]) == 0
    return root / "reports" / "embedded", said.getvalue()


def test_all_is_every_suite_of_the_paper() -> None:
    suite = registry.suite("all")
    assert isinstance(suite, Together)
    names = [each.name for each in suite.suites]
    assert names == [name for name in registry.suites() if registry.suite(name).of_paper]
    assert {"in_distribution", "ood", "regime_audit"} < set(names) and not {"tuning", "methods"} & set(names)


def test_a_shared_run_stands_once_and_is_asked_for_all(tmp_path: Path) -> None:
    members = [registry.suite(name) for name in ("in_distribution", "ablation", "stability")]
    together = Together(members)
    plans = {each.name: each.runs(PROFILE, chosen(each.name, tmp_path)) for each in members}
    planned = together.runs(PROFILE, chosen("all", tmp_path))
    ids = [spec.id for spec in planned]
    assert len(set(ids)) == len(ids) < sum(map(len, plans.values()))
    assert set(ids) == {spec.id for specs in plans.values() for spec in specs}
    shared = set.intersection(*({s.id for s in specs if s.method} for specs in plans.values()))
    spec = next(spec for spec in planned if spec.id in shared)
    asked = together.evaluations(spec)

    def keys(suite: Suite) -> set[tuple[int, str, str]]:
        return {(e.at(spec), e.benchmark, e.decoding) for e in suite.evaluations(spec)}

    assert {(e.at(spec), e.benchmark, e.decoding) for e in asked} == set.union(*map(keys, members))
    assert len(asked) == len({(e.at(spec), e.benchmark, e.decoding, e.version) for e in asked})


def test_a_run_only_one_suite_plans_is_asked_for_that_one(tmp_path: Path) -> None:
    members = [registry.suite(name) for name in ("in_distribution", "stability")]
    together = Together(members)
    together.runs(PROFILE, chosen("all", tmp_path))
    alone = next(s for s in members[0].runs(PROFILE, chosen("in_distribution", tmp_path)) if s.id.startswith("tip"))
    assert together.evaluations(alone) == members[0].evaluations(alone)


def test_done_for_one_suite_is_not_done_for_all(tmp_path: Path) -> None:
    members = [registry.suite(name) for name in ("in_distribution", "stability")]
    together = Together(members)
    planned = together.runs(PROFILE, chosen("all", tmp_path))
    spec = next(s for s in planned if s.id.startswith("dopd-permutations-teacher-"))
    make_done(tmp_path, spec, lambda spec, evaluation, metric: 0.5, members[0])
    folder = RunFolder(tmp_path, spec)
    assert folder.state(members[0].evaluations(spec)) is RunState.DONE
    assert folder.state(together.evaluations(spec)) is RunState.UNEVALUATED


@pytest.mark.slow
def test_suites_without_rows_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are references published, whose rows would be taken."""
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "paper").symlink_to(Options(suite="all").published / "paper")
    monkeypatch.setattr(select, "Options", partial(Options, published=tmp_path / "published"))
    make_done(tmp_path, replace(registry.suite("ood").runs(PROFILE, chosen("ood", tmp_path))[-1], seed=99), half)
    assert verbs.main(["table", "--suite", "all", "--results", str(tmp_path)]) == 2, "nothing at all to show"
    assert verbs.main(["run", "--suite", "all", "--minutes", "0", "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "continual: no run is done, there is nothing to show yet" in shown
    assert (tmp_path / "reports" / "embedded" / "claims" / "claims.csv").is_file()


@pytest.mark.slow
def test_publishing_all_publishes_what_is_done_and_the_claims(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = registry.suite("in_distribution")
    for spec in done.runs(PROFILE, chosen(done.name, tmp_path)):
        make_done(tmp_path, spec, lambda spec, evaluation, metric: 0.5, done)
    monkeypatch.setattr(select, "Options", partial(Options, published=tmp_path / "published"))
    assert verbs.main(["publish", "--suite", "all", "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "continual stays as it was published" in shown and "stability stays as it was published" in shown
    published = tmp_path / "published" / "embedded"
    assert {path.name for path in published.iterdir()} == {
        "in_distribution",
        "in_distribution.md",
        "claims",
        "claims.md",
    }
    claims = (published / "claims.md").read_text(encoding="utf-8")
    assert "no published rows at embedded/continual" in claims and str(tmp_path) not in claims


@pytest.mark.slow
def test_the_papers_numbers_decide_no_claim(papers: tuple[Path, str]) -> None:
    reports, said = papers
    assert "transfer_audit: suite transfer_audit: the paper states no numbers for it" in said
    assert (reports / "in_distribution-paper" / "table1_paper.csv").is_file()
    assert not list(reports.glob("claims*"))


@pytest.mark.slow
def test_all_plans_whatever_the_claims_need(tmp_path: Path) -> None:
    planned = {spec.id for spec in registry.suite("all").runs(PROFILE, chosen("all", tmp_path))}
    for claim in CLAIMS:
        suite = registry.suite(claim.suite)
        needed = suite.runs(PROFILE, suite.wholly(chosen(suite.name, tmp_path)))
        assert {spec.id for spec in needed} <= planned, claim.id


def test_what_the_user_chose_stays(tmp_path: Path) -> None:
    suite = registry.suite("ood")
    open_ = suite.wholly(chosen("all", tmp_path))
    assert (open_.suite, open_.seeds) == ("ood", None) and PROFILE.part("ood").seeds == (0, 1, 2, 3, 4)
    assert suite.wholly(replace(chosen("all", tmp_path), profile="paper")).seeds == (0, 1, 2, 3, 4)
    assert open_.methods is not None and {"exopd", "uni_opd", "eopd", "vanilla_opd", "dopd"} <= set(open_.methods)
    given = suite.wholly(replace(chosen("all", tmp_path), seeds=(7,), methods=("dopd",)))
    assert (given.seeds, given.methods) == ((7,), ("dopd",))


@pytest.mark.slow
def test_the_papers_numbers_of_every_suite_are_shown_by_one_command(papers: tuple[Path, str]) -> None:
    reports, said = papers
    assert "there is nothing to show" not in said
    made = {path.name.removesuffix("-paper") for path in reports.iterdir()}
    assert made == {suite.name for suite in registry.suite("all").suites if isinstance(suite, HasPaperRows)}  # type: ignore[attr-defined]
    assert all(list(path.iterdir()) for path in reports.iterdir())
