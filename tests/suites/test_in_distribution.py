"""Table 1 and Figure 1 from synthetic rows; and what every suite of arms has in common."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, frames, is_student, make_done

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.report import publish
from harness.show.tables import Cell, Shade, Table
from harness.suite import Evaluation, Options, Profile, Suite, training_run
from harness.types import HarnessError
from suites.kit.arms import Arm, ArmSuite
from suites.kit.chosen import MAIN

SUITE: Suite = registry.suite("in_distribution")
MEANS = {"vanilla_opd": 0.52, "sdpo": 0.45, "dopd": 0.58}
SPREAD = {0: -0.02, 1: 0.0, 2: 0.02}
MOVED = {0: 0.0, 1: 0.003, 2: 0.0}
"""Added to DOPD, so that its difference to the baseline has a spread."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    if spec.method is None:
        return factor * (0.4 if is_student(spec) else 0.6)
    own = MOVED[spec.seed] if spec.method.name == "dopd" else 0.0
    return factor * (MEANS[spec.method.name] + SPREAD[spec.seed] + own)


def options(root: Path, **changes: Any) -> Options:
    given = {"methods": tuple(MEANS), "seeds": (0, 1, 2), "results": root, "published": root / "published", **changes}
    return Options(suite=SUITE.name, **given)


def table(chosen: Options, **how: Any) -> Table:
    return tables(chosen, **how)[0]


def tables(chosen: Options, **how: Any) -> list[Table]:
    return SUITE.tables(*frames(chosen, score, suite=SUITE, **how), chosen)


def line(made: Table, label: str) -> dict[str, Cell]:
    (found,) = (each for each in made.lines if each.label == label)
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


def test_default_runs_are_the_papers_methods_on_all_domains_together(tmp_path: Path) -> None:
    planned = SUITE.runs(PROFILE, options(tmp_path, methods=None, seeds=None))
    trained = [s for s in planned if s.method]
    assert [s.is_reference for s in planned[:10]] == [True] * 10, "two in each draw"
    twice = {s.method.name for s in trained if s.method and s.seed >= 5}
    assert twice == {"vanilla_opd", "dopd"} < {*MAIN}, "a second seed in each draw"
    assert len(trained) == (8 + 2 * 2) * 5 and len(planned) == 10 + len(trained)
    assert {s.data.domains for s in trained if s.data} == {("general", "reasoning", "coding")}
    assert [s.seed for s in trained[:10]] == [0] * 10  # seed by seed
    assert all(s.data and s.data.draw == s.seed % 5 for s in trained)


def test_its_runs_are_those_of_the_suite_methods(tmp_path: Path) -> None:
    """Trained once."""
    mine = {s.id for s in SUITE.runs(PROFILE, options(tmp_path, methods=None, seeds=None))}
    theirs = Options(suite="methods", seeds=tuple(range(10)), published=tmp_path / "published")
    assert mine < {s.id for s in registry.suite("methods").runs(PROFILE, theirs)}


def test_numbers_of_a_line(tmp_path: Path) -> None:
    made = table(options(tmp_path))
    dopd = line(made, "DOPD")
    assert dopd["score"].value == pytest.approx(58.1) and dopd["score"].n == 3
    assert dopd["score"].half == pytest.approx(4.303 * 2.007 / 3**0.5, abs=0.01)
    assert dopd["gain"].value == pytest.approx(18.1) and dopd["recovery"].value == pytest.approx(90.5)
    assert dopd["difference"].value == pytest.approx(6.1) and dopd["difference"].n == 3
    assert dopd["harder"].value == pytest.approx(29.05)
    assert dopd["permutations_coding"].value == pytest.approx(58.1)
    assert dopd["tokens"].value == 300 and dopd["forwards"].value == 3 and dopd["seconds"].value == 31
    assert dopd["score"].shade is Shade.OVER_HALF and dopd["score"].rank == 1
    vanilla = line(made, "Vanilla OPD")
    assert vanilla["difference"].missing == "baseline" and vanilla["score"].rank == 2  # across the blocks
    assert line(made, "Student")["score"].value == pytest.approx(40)
    # SDPO moves with the draws as vanilla OPD does: no spread, no test.
    assert line(made, "SDPO")["p_holm"].missing == "no spread"
    assert "adjusted by Holm over the 1 test of" in made.caption


def test_one_seed_tests_nothing_and_says_so(tmp_path: Path) -> None:
    made = table(options(tmp_path, seeds=(0,)))
    assert "Baseline: Vanilla OPD; differences are paired by draw; with fewer than two draws" in made.caption
    assert "Holm over" not in made.caption
    assert line(made, "DOPD")["p_holm"].missing == "single draw"


def test_what_is_missing_says_why(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    lost = [s for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "sdpo"]
    made = table(chosen, skip=lost)
    assert line(made, "SDPO")["score"] == Cell(missing="not run") == line(made, "SDPO")["recovery"]
    assert made.partial == "12 of 15 runs done" and "(partial: 12 of 15 runs done)" in made.heading
    some = line(table(chosen, skip=lost[:1]), "SDPO")["score"]
    assert some.n == 2 and "1 of 3 not run" in some.notes


def test_collapsed_runs_are_named(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    fallen = next(s.id for s in SUITE.runs(PROFILE, chosen) if s.method and s.method.name == "sdpo")
    rows.loc[rows["run"] == fallen, "status"] = "collapsed"
    made = SUITE.tables(rows, costs, chosen)[0]
    assert "collapsed 1/3" in line(made, "SDPO")["score"].notes
    assert "collapsed 1/3" not in line(made, "DOPD")["score"].notes


@pytest.mark.slow
def test_rows_of_other_suites_stay_out(tmp_path: Path) -> None:
    """A run that another suite asked more of holds rows that this one did not ask for."""
    chosen = options(tmp_path)
    for spec in SUITE.runs(PROFILE, chosen):
        folder = make_done(tmp_path, spec, score, SUITE)
        extra = [row for row in folder.rows() if row.metric == "exact_answer"]
        folder.write_rows([dataclasses.replace(row, decoding="sample4", n=200) for row in extra])
        folder.mark_done()
    for source in ("runs", "published"):
        if source == "published":
            publish.publish(SUITE, PROFILE, chosen)
        rows, costs = results.load(source, SUITE, PROFILE, chosen)
        assert set(rows["decoding"]) == {"greedy"}
        assert SUITE.tables(rows, costs, chosen) == tables(chosen)


class Odd(ArmSuite):
    name = "odd"
    title = "arms with a fault"
    seed = 2

    def __init__(self, *arms: tuple[str, str]) -> None:
        self._arms = arms

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        spec = SUITE.runs(profile, options)[-1]
        return [Arm(key=key, label=key, baseline=base, specs={self.seed: spec}) for key, base in self._arms]

    def tables_of(self, scores: Any) -> list[Table]:
        return []


def test_faulty_arms_are_refused_before_any_run(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    assert Odd(("a", ""), ("b", "a")).runs(PROFILE, chosen)
    with pytest.raises(HarnessError, match="suite odd: two arms have the key 'a'"):
        Odd(("a", ""), ("a", "")).runs(PROFILE, chosen)
    with pytest.raises(HarnessError, match="arm 'b' is compared with '4', which is no arm; there are a, b"):
        Odd(("a", ""), ("b", "4")).runs(PROFILE, chosen)
    twice = Odd(("a", ""))
    twice.seed = 0
    with pytest.raises(HarnessError, match="arm 'a' has for seed 0 a run of seed 2: one run would count as several"):
        twice.runs(PROFILE, chosen)
    with pytest.raises(HarnessError, match="unknown field of a run: 'prompts_per_stp': did you mean prompts_per_step"):
        training_run(PROFILE, chosen, method="dopd", domains=("coding",), seed=0, prompts_per_stp=8)


@pytest.mark.parametrize("name", registry.suites())
def test_a_suite_has_the_name_it_is_registered_under(name: str) -> None:
    assert registry.suite(name).name == name


def test_figure_has_a_panel_for_the_mean_and_each_domain(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    drawn = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)
    titles = [ax.get_title() for ax in drawn["figure1"].axes]
    assert titles == [
        f"{words}{budget}"
        for words in ("mean of domains", "general", "reasoning", "coding")
        for budget in (", early: step 20", "")
    ], "the domains' words, not the benchmarks' names"
