"""A suite of arms that somebody else wrote: what it varies is said, and what it cannot take is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas
import pytest
from support.synthetic import PROFILE, frames

from harness import registry
from harness.show.tables import Table
from harness.suite import Options, Profile, training_run
from harness.types import HarnessError
from suites.kit.arms import Arm, ArmScores, ArmSuite, caption, together
from suites.kit.comparison import comparison_table
from suites.kit.dots import arm_dots
from suites.kit.looks import label_look
from suites.kit.measures import benchmark_header

RATES = (2e-4, 1e-3)


class Rates(ArmSuite):
    """Vanilla OPD at two learning rates: two arms of one label, in two blocks."""

    name = "rates"
    title = "two learning rates"
    own_arms = True

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        return [
            Arm(
                key=f"{rate:g}",
                label="Vanilla OPD",
                block=f"rate {rate:g}",
                baseline="0.0002",
                specs={
                    seed: training_run(
                        profile,
                        options,
                        method="vanilla_opd",
                        domains=("coding",),
                        seed=seed,
                        optim=dataclasses.replace(profile.optim, lr=rate),
                    )
                    for seed in (0, 1, 2)
                },
            )
            for rate in RATES
        ]

    def tables_of(self, scores: ArmScores) -> list[Table]:
        return [comparison_table(scores, name="rates", title="Rates", caption=caption(scores))]


SUITE = Rates()


def options(root: Path, **changes: Any) -> Options:
    return Options(suite="rates", results=root, published=root / "published", **changes)


def test_the_caption_says_the_rates_of_the_arms(tmp_path: Path) -> None:
    (made,) = SUITE.tables(*frames(options(tmp_path), suite=SUITE), options(tmp_path))
    assert "Learning rates 0.0002, 0.001, by arm." in made.caption
    assert "shared by all methods" not in made.caption
    assert "trained on coding; runs of" in made.caption and "Baseline: rate 0.0002, Vanilla OPD;" in made.caption


def test_headers_name_a_benchmark_by_its_world_whatever_the_profile_is_called() -> None:
    mine = dataclasses.replace(PROFILE, name="mine")
    for profile in (PROFILE, mine):
        headers = [
            benchmark_header(name, profile) for name in ("permutations_coding", "permutations_coding_hard", "gsm8k")
        ]
        assert headers == ["coding, %", "coding, harder, %", "gsm8k, %"]
    assert benchmark_header("mine_quiz", mine) == "mine_quiz, %", "known by name only"


def test_arms_of_one_label_are_told_apart_in_a_figure_and_look_alike(tmp_path: Path) -> None:
    scores = SUITE.scores(*frames(options(tmp_path), suite=SUITE), options(tmp_path))
    early, ax = arm_dots(scores, {"mean": scores.inside}, topic="Rates").axes
    (row,) = (label.get_text() for label in early.get_yticklabels())
    assert (row, ax.get_xlabel()) == ("rate 0.001, Vanilla OPD", "minus “rate 0.0002, Vanilla OPD”, points")
    look = label_look("Vanilla OPD")
    assert look and [
        line.get_color() for line in ax.lines if len(line.get_xdata()) == 1 and line.get_marker() != "|"
    ] == [look.colour]


def test_methods_are_refused_where_they_are_the_question(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="suite rates has its own arms: leave out --methods"):
        SUITE.runs(PROFILE, options(tmp_path, methods=("gkd",)))


def test_a_method_with_settings_is_told_how_to_be_given(tmp_path: Path) -> None:
    given: Any = registry.method_spec("dopd", {"beta_l": 0.3})
    with pytest.raises(HarnessError, match=r"method is MethodSpec: give a registry name; .*replace\(spec, method="):
        training_run(PROFILE, options(tmp_path), method=given, domains=("coding",), seed=0)


def test_several_domains_are_together() -> None:
    assert together(("coding",)) == "coding" and together(("general", "coding")) == "general, coding together"


def test_a_mean_needs_all_of_its_benchmarks(tmp_path: Path) -> None:
    """A seed without one of three is no seed of the mean, whatever the others say."""
    rows, costs = frames(options(tmp_path), suite=SUITE)
    whole = SUITE.scores(rows, costs, options(tmp_path))
    lost = (rows["benchmark"] == whole.inside[0].benchmark) & (rows["seed"] == 1)
    scores = SUITE.scores(rows[~lost], costs, options(tmp_path))
    assert sorted(whole.values("0.001", whole.inside)) == [0, 1, 2]
    assert sorted(scores.values("0.001", scores.inside)) == [0, 2]
    assert sorted(scores.values("0.001", scores.inside[1:])) == [0, 1, 2]


def test_a_run_that_recovered_is_not_called_collapsed(tmp_path: Path) -> None:
    rows, costs = frames(options(tmp_path), suite=SUITE)
    run = SUITE.arms(PROFILE, options(tmp_path))[0].specs[1].id
    of_it = rows["run"] == run
    half = rows[of_it].assign(step=rows[of_it]["step"] // 2, status="collapsed")
    recovered = SUITE.scores(pandas.concat([half, rows]), costs, options(tmp_path))
    assert recovered.cell("0.0002", recovered.inside).notes == ()
    fallen = SUITE.scores(rows.assign(status=rows["status"].mask(of_it, "collapsed")), costs, options(tmp_path))
    assert any("collapsed" in note for note in fallen.cell("0.0002", fallen.inside).notes)
