"""Every method side by side on synthetic rows: both learning rates, inactive rows, intervals worked by hand."""

from __future__ import annotations

import dataclasses
import inspect
import math
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from support.synthetic import PROFILE, frames, is_student, make_done

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.report import publish
from harness.show import tables
from harness.show.tables import Cell, Kind, Shade, Table
from harness.storage import files
from harness.suite import Evaluation, Options, Suite
from harness.types import HarnessError
from suites import methods

SUITE: Suite = registry.suite("methods")
METHODS = ("sft", "vanilla_opd", "eopd", "dopd")
MEANS = {"sft": 0.48, "vanilla_opd": 0.50, "eopd": 0.59, "dopd": 0.56, "sft_oracle": 0.90, "tip": 0.50}
SPREAD = (-0.02, -0.01, 0.0, 0.01, 0.02)
"""Added by seed, one a draw: deviation 0.01 sqrt(2.5)."""
DOMAIN = {"general": -0.1, "reasoning": 0.0, "coding": 0.1}
"""Added by domain, so that the mean of the domains is the method's."""
HALF = 2.7764451051977987 * math.sqrt(2.5) / math.sqrt(5)
"""Points: t(4) * deviation / sqrt(5) = 1.963."""
STUDENT, TEACHER = 0.4, 0.6
SHARED, TUNED = "shared", "tuned"


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Half on harder problems and for traces, 0.9 if sampled; 0.02 more at 0.001 than at the shared rate."""
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    factor *= 0.9 if evaluation.decoding == "sample4" else 1
    move = DOMAIN[evaluation.benchmark.removeprefix("permutations_").removesuffix("_hard")]
    if spec.method is None or spec.optim is None:
        return factor * ((STUDENT if is_student(spec) else TEACHER) + move)
    tuned = 0.02 if spec.optim.lr == 1e-3 else 0.0
    return factor * (MEANS[spec.method.name] + SPREAD[spec.seed] + move + tuned)


def options(root: Path, tuned: str = "", **changes: Any) -> Options:
    """``tuned``: lines of the published rates, ``dopd,0.001``."""
    published = root / "published"
    if tuned:
        path = published / "embedded" / "tuning" / "learning_rates.csv"
        files.write_text_atomic(path, f"method,rate\n{tuned}\n")
    given = {"methods": METHODS, "seeds": tuple(range(5)), "results": root, "published": published, **changes}
    return Options(suite="methods", **given)


def loaded(chosen: Options, skip: Any = (), **acted: float) -> tuple[DataFrame, DataFrame]:
    rows, costs = frames(chosen, score, skip, suite=SUITE)
    costs["acted"] = [acted.get(method) for method in costs["method"]]
    return rows, costs


def made(chosen: Options, skip: Any = (), **acted: float) -> dict[str, Table]:
    return {table.name: table for table in SUITE.tables(*loaded(chosen, skip, **acted), chosen)}


def line(table: Table, block: str, label: str) -> dict[str, Cell]:
    (found,) = (each for each in table.lines if (each.block, each.label) == (block, label))
    return {column.key: cell for column, cell in zip(table.columns, found.cells, strict=True)}


# --- what is run


def test_every_listed_method_three_draws_all_domains(tmp_path: Path) -> None:
    planned = SUITE.runs(PROFILE, options(tmp_path, methods=None, seeds=None))
    known = registry.methods().items()
    listed = [name for name, entry in known if entry.listed and not registry.method_class(name).pictures]
    drawn = [PROFILE.in_draw(draw) for draw in range(3)]
    assert [spec.student for spec in planned[:6]] == [model for at in drawn for model in (at.student, at.teacher)]
    assert [(s.seed, s.method.name) for s in planned[6:] if s.method] == [(i, m) for i in range(3) for m in listed]
    assert {s.data.domains for s in planned if s.data} == {("general", "reasoning", "coding")}
    assert {s.optim.lr for s in planned if s.optim} == {PROFILE.optim.lr}


def test_published_rates_add_runs_unless_they_are_the_shared_one(tmp_path: Path) -> None:
    shared = {spec.id for spec in SUITE.runs(PROFILE, options(tmp_path))}
    both = SUITE.runs(PROFILE, options(tmp_path, "dopd,0.001\nvanilla_opd,0.0002\nother,1"))
    added = [spec for spec in both if spec.id not in shared]
    assert {spec.id for spec in both} > shared
    assert [(s.method.name, s.optim.lr, s.seed) for s in added if s.method and s.optim] == [
        ("dopd", 1e-3, seed) for seed in range(5)
    ]


def test_tuned_rates_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="shows tuned rates beside the shared one by itself"):
        SUITE.runs(PROFILE, options(tmp_path, "dopd,0.001", learning_rate="tuned"))


def test_the_trained_and_the_harder_range_are_asked(tmp_path: Path) -> None:
    wanted = SUITE.evaluations(SUITE.runs(PROFILE, options(tmp_path))[0])
    assert len(set(wanted)) == 12 and {e.decoding for e in wanted} == {"greedy", "sample4"}
    assert {e.benchmark for e in wanted} == {f"permutations_{d}{hard}" for d in DOMAIN for hard in ("", "_hard")}


# --- what is shown


def test_main_table_by_hand(tmp_path: Path) -> None:
    """Student 40, teacher 60 on the mean of the domains; methods at their mean plus -2 to 2 by draw."""
    table = made(options(tmp_path))["methods"]
    vanilla = line(table, SHARED, "Vanilla OPD")
    assert vanilla["rate"].value == 2e-4
    assert (vanilla["score"].value, vanilla["score"].n) == (pytest.approx(50), 5)
    assert vanilla["score"].half == pytest.approx(HALF)
    assert vanilla["gain"].value == pytest.approx(10) and vanilla["gain"].half == pytest.approx(HALF)
    assert vanilla["recovery"].value == pytest.approx(50)
    assert vanilla["recovery"].half == pytest.approx(100 * HALF / 20)
    assert vanilla["difference"].missing == "baseline" and vanilla["p_holm"] == Cell()
    assert vanilla["harder"].value == pytest.approx(25) and vanilla["sample4"].value == pytest.approx(45)
    # 300,000 tokens; 30 to 34 seconds.
    assert [vanilla[key].value for key in ("tokens", "forwards", "seconds")] == [300, 3, 32]
    dopd = line(table, SHARED, "DOPD")
    assert dopd["difference"].value == pytest.approx(6) and dopd["p_holm"].missing == "no spread"
    assert dopd["score"].shade is Shade.OVER_HALF  # 80 % of the gap
    assert dopd["acted"] == Cell()
    student, teacher = (line(table, "not trained", name) for name in ("Student", "Teacher"))
    assert tables.text(student["score"], Kind.SCORE) == "40.0 ± 0.0 (n=5)" and student["gain"] == Cell()
    assert tables.text(teacher["gain"], Kind.DIFFERENCE) == "+20.0 ± 0.0 (n=5)", "each draw has models of its own"
    assert student["harder"].value == pytest.approx(20) and teacher["sample4"].value == pytest.approx(54)


def test_differences_are_paired_within_a_setting_and_adjusted_over_the_table(tmp_path: Path) -> None:
    # Gains of 0 to 4 points by draw: mean 2, deviation sqrt(2.5); t = 2 / sqrt(0.5) = 2.828, p(4) = 0.047421.
    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        gain = 0.01 * spec.seed if spec.method and spec.method.name in ("dopd", "eopd") else 0.0
        return (0.5 if spec.method is None else 0.4 + 0.1 * spec.seed) + gain

    chosen = options(tmp_path, "dopd,0.001\nvanilla_opd,0.001")
    table = SUITE.tables(*frames(chosen, scores, suite=SUITE), chosen)[0]
    for block in (SHARED, TUNED):
        dopd = line(table, block, "DOPD")
        assert dopd["difference"].value == pytest.approx(2)
        assert dopd["difference"].half == pytest.approx(HALF)
        assert dopd["p_holm"].value == pytest.approx(3 * 0.047421, abs=1e-5)  # EOPD's and DOPD's, DOPD's tuned
    assert "Holm over the 3 tests of this table" in table.caption


def test_tuned_rows_stand_apart_and_say_who_was_not_tuned(tmp_path: Path) -> None:
    table = made(options(tmp_path, "dopd,0.001\nvanilla_opd,0.0002"))["methods"]
    assert list(dict.fromkeys(each.block for each in table.lines)) == ["not trained", SHARED, TUNED]
    tuned, shared = line(table, TUNED, "DOPD"), line(table, SHARED, "DOPD")
    assert (shared["score"].value, tuned["score"].value) == (pytest.approx(56), pytest.approx(58))
    assert tuned["rate"].value == 1e-3 and tuned["difference"].value == pytest.approx(8)
    assert line(table, TUNED, "Vanilla OPD") == line(table, SHARED, "Vanilla OPD") | {
        "score": dataclasses.replace(line(table, SHARED, "Vanilla OPD")["score"], rank=2)
    }
    sft = line(table, TUNED, "SFT")
    assert {sft[key].missing for key in ("rate", "score", "gain", "recovery", "difference")} == {"not tuned"}
    assert sft["seconds"] == Cell()


def with_settings(chosen: Options) -> list[Table]:
    """All tables but the one that refers to the main table for its settings."""
    return [table for name, table in made(chosen).items() if name != "methods_items"]


@pytest.mark.slow
def test_captions_say_which_rates(tmp_path: Path) -> None:
    for table in with_settings(options(tmp_path / "a")):
        assert "Learning rate 0.0002, shared by all methods (the paper's protocol); no tuned rates" in table.caption
    for table in with_settings(options(tmp_path / "b", "dopd,0.001")):
        for needed in (
            "at the shared learning rate (the paper's protocol) and at its own",
            "draws 0, 1, 2, 3, 4 (seeds 0, 1, 2, 3, 4; those of a draw are averaged first)",
            "trained on general, reasoning, coding together",
            "intervals speak of other draws of this world and of no other world",
            f"Profile embedded sets threshold = {PROFILE.method('eopd').settings['threshold']} for EOPD: ",
        ):
            assert needed in table.caption, (table.name, needed)


@pytest.mark.parametrize(("share", "inactive"), [(0.0, True), (0.0099, True), (0.01, False), (0.5, False)])
def test_what_hardly_acts_is_inactive_and_not_ranked(tmp_path: Path, share: float, inactive: bool) -> None:
    table = made(options(tmp_path), eopd=share)["methods"]
    eopd = line(table, SHARED, "EOPD (inactive)" if inactive else "EOPD")
    assert eopd["acted"].value == pytest.approx(100 * share)
    assert eopd["score"].value == pytest.approx(59)  # the best
    assert eopd["score"].rank == (0 if inactive else 1)
    assert eopd["score"].shade is (Shade.NONE if inactive else Shade.OVER_HALF)
    assert line(table, SHARED, "DOPD")["score"].rank == (1 if inactive else 2)
    assert "EOPD: tokens with an open gate" in table.caption and "below 1 % the row is marked inactive" in table.caption


def test_references_among_the_methods_are_not_ranked(tmp_path: Path) -> None:
    table = made(options(tmp_path, methods=("sft_oracle", "vanilla_opd", "dopd")))["methods"]
    assert line(table, SHARED, "SFT (oracle traces)")["score"].rank == 0
    assert line(table, SHARED, "DOPD")["score"].rank == 1


def test_full_tables_hold_every_benchmark(tmp_path: Path) -> None:
    shown = made(options(tmp_path))
    assert list(shown) == ["methods", "methods_items", "methods_full", "methods_sample4", "methods_trace"]
    dopd = line(shown["methods_full"], SHARED, "DOPD")
    assert dopd["permutations_coding"].value == pytest.approx(66) and dopd["permutations_coding"].rank == 2
    assert dopd["permutations_general_hard"].value == pytest.approx(23)
    assert line(shown["methods_trace"], "not trained", "Teacher")["permutations_reasoning"].value == pytest.approx(30)
    assert "200 items" in shown["methods_sample4"].caption


def test_missing_runs_are_explained(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    planned = SUITE.runs(PROFILE, chosen)
    lost = [s for s in planned if s.method and (s.method.name == "eopd" or (s.method.name == "dopd" and s.seed == 4))]
    table = made(chosen, lost)["methods"]
    assert table.partial == "24 of 30 runs done"
    assert line(table, SHARED, "EOPD")["score"].missing == "not run"
    dopd = line(table, SHARED, "DOPD")["score"]
    assert tables.text(dopd, Kind.SCORE) == "55.5 ± 2.1 (n=4, 1 of 5 not run)"
    assert (
        line(made(chosen, [s for s in planned if s.is_reference])["methods"], SHARED, "DOPD")["gain"].missing
        == "no reference row"
    )


@pytest.mark.slow
def test_figure_groups_by_paradigm(tmp_path: Path) -> None:
    chosen = options(tmp_path, "dopd,0.001")
    figure = SUITE.figures(*loaded(chosen, eopd=0.001), chosen)["methods"]
    first, second = figure.axes
    assert [ax.get_title() for ax in figure.axes] == [
        "shared learning rate 0.0002",
        "learning rate tuned on validation",
    ]
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["classical", "SFT", "adaptive", "EOPD", "dual", "DOPD"]
    marks = [
        [
            round(float(each.get_xdata()[0]), 2)
            for each in ax.lines
            if len(each.get_xdata()) == 1 and each.get_marker() != "|"
        ]
        for ax in (first, second)
    ]
    edge = marks[0].pop(1)
    assert marks == [[-2, 6], []] and 6 < edge <= first.get_xlim()[1], "EOPD is inactive: an arrow beyond the others"
    said = [text.get_text() for text in first.texts]
    assert "Student 40.0, Vanilla OPD 50.0, Teacher 60.0" in said
    assert [text.get_text() for text in second.texts].count("not tuned") == 2


@pytest.mark.slow
def test_published_markdown_stands_where_the_index_says(tmp_path: Path) -> None:
    chosen = options(tmp_path, "dopd,0.001", methods=("vanilla_opd", "dopd"), seeds=(0, 1))
    for spec in SUITE.runs(PROFILE, chosen):
        make_done(tmp_path, spec, score, SUITE)
    publish.publish(SUITE, PROFILE, chosen)
    folder = chosen.published / "embedded"
    assert (folder / "methods.md").read_bytes() == (folder / "methods" / "methods.md").read_bytes()
    assert (folder / "methods" / "methods.pdf").stat().st_size > 0
    here, there = (results.load(source, SUITE, PROFILE, chosen) for source in ("runs", "published"))
    assert SUITE.tables(*here, chosen) == SUITE.tables(*there, chosen)


def test_every_method_that_reports_acting_says_what_is_counted() -> None:
    """The metric's key stands in the file of the method, or of the method that it is a kind of."""
    for name in registry.methods():
        kinds = [kind for kind in registry.method_class(name).__mro__ if kind.__module__.startswith("methods.")]
        said = any('"acted"' in inspect.getsource(inspect.getmodule(kind)) for kind in kinds)  # type: ignore[arg-type]
        assert (said and name != "opsd_v1") == (name in methods.ACTS), name  # opsd_v1 has no cap
