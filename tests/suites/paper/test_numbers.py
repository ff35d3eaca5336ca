"""The paper's tables and figures from its own numbers: as printed, shaded by its rule, and nothing more than stated."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.analysis import results
from harness.show import tables
from harness.show.tables import Line, Shade, Table
from harness.suite import PUBLISHED, Options, Profile
from harness.types import HarnessError
from suites.kit.arms import Arm
from suites.paper import figures as paper_figures
from suites.paper.numbers import PAPER, PaperNumbers

ROOT = Path(__file__).resolve().parents[3]
MADE = {name: item.table(PUBLISHED) for name, item in PAPER.items() if item.table}
DRAWN = ("figure1", "figure1_vlm", "figure6")


class Everything(PaperNumbers):
    name = "everything"
    paper = tuple(PAPER)

    def arms(self, profile: Profile, options: Options) -> list[Arm]:
        return []

    def tables_of(self, scores: Any) -> list[Table]:
        return []


def line(table: Table, label: str, block: str | None = None) -> Line:
    (found,) = (each for each in table.lines if each.label == label and block in (None, each.block))
    return found


def cell(table: Table, label: str, key: str, block: str | None = None) -> tables.Cell:
    keys = [column.key for column in table.columns]
    return line(table, label, block).cells[keys.index(key)]


FILES = {
    "table1": "table1_llm_main",
    "table2": "table2_vlm_main",
    "table3": "table3_model_pairs",
    "table4": "table4_privileged_input_llm",
    "table5": "table5_privileged_input_vlm",
    "table6": "table6_token_regimes",
    "table7": "table7_divergence",
    "table8": "table8_ablation",
}


@pytest.mark.parametrize("name", FILES)
def test_every_number_is_shown_as_printed(name: str) -> None:
    printed = results.paper_numbers(FILES[name], PUBLISHED)
    shown = MADE[name]
    keys = [column.key for column in shown.columns]
    assert len(shown.lines) == len(printed) and shown.name == f"{name}_paper"
    unshown = {"HT", "LH", "LL", "HS", "adaptive"}  # the label and the block say these
    for shown_line, record in zip(shown.lines, printed, strict=True):
        assert [each.value for each in shown_line.cells] == [record[key] for key in keys]
        rest = {key for key, value in record.items() if isinstance(value, float | int) and not math.isnan(value)}
        assert rest - unshown == set(keys)
    assert "arXiv:2606.30626" in shown.caption and "without seeds or intervals" in shown.caption


def test_shades_of_table_1() -> None:
    """DOPD's row by hand: LiveBench (49.8 - 35.4) / (53.5 - 35.4) = 0.796; AIME25 is above the teacher's 20.2."""
    shades = [each.shade for each in line(MADE["table1"], "DOPD").cells]
    half, whole = Shade.OVER_HALF, Shade.ALL
    assert shades == [half, half, half, whole, whole, half, whole, whole, half]
    assert cell(MADE["table1"], "Vanilla OPD", "livebench").shade is Shade.NONE  # 5.5 of 18.1
    assert cell(MADE["table1"], "Vanilla OPD", "aime25").shade is half  # 7.2 of 10.7
    assert all(not each.shade and not each.rank for each in line(MADE["table1"], "Teacher").cells)


def test_best_and_second_over_all_paradigms() -> None:
    ranks = {each.label: each.cells[-1].rank for each in MADE["table1"].lines}
    assert {label for label, rank in ranks.items() if rank == 1} == {"DOPD"}
    assert {label for label, rank in ranks.items() if rank == 2} == {"ExOPD"}
    assert cell(MADE["table2"], "VA-OPD", "mmmu_pro").rank == 1  # the one column DOPD does not lead
    assert [cell(MADE["table2"], label, "logicvista").rank for label in ("Vision-OPD", "VA-OPD")] == [2, 2]


def test_pairs_are_shaded_by_their_own_ends() -> None:
    block = "Qwen3-1.7B → Qwen3-0.6B"  # LiveBench 21.8 to 35.4: 35.6 is past it, 29.5 is 57 %
    assert cell(MADE["table3"], "DOPD", "livebench", block).shade is Shade.ALL
    assert cell(MADE["table3"], "Vanilla OPD", "livebench", block).shade is Shade.OVER_HALF
    assert cell(MADE["table3"], "DOPD", "livebench", "Qwen3-8B → Qwen3-0.6B").shade is Shade.NONE  # 13.7 of 31.7
    assert {each.block for each in MADE["table3"].lines if not each.ranked} == {"not trained"}


def test_regimes_and_routing_are_named() -> None:
    uniform, adaptive = "uniform loss", "adaptive routing"
    everything = "HT + LH + LL + HS"
    assert cell(MADE["table6"], everything, "step160", uniform).value == 41.3
    assert cell(MADE["table6"], everything, "step160", adaptive).value == 49.8
    assert cell(MADE["table6"], everything, "step160", adaptive).rank == 1
    assert cell(MADE["table6"], everything, "step160", adaptive).shade is Shade.OVER_HALF  # (49.8 - 35.4) / 18.1
    assert [each.label for each in MADE["table6"].lines[:2]] == ["HT", "HT + LH"]


def test_slips_are_those_we_name() -> None:
    """Averages that differ from their rows by more than rounding, and nothing is corrected."""
    slips = set()
    for name in ("table1", "table2", "table3"):
        for each in MADE[name].lines:
            *values, average = (each.value for each in each.cells)
            if abs(sum(values) / len(values) - average) > 0.05 + 1e-9:
                slips.add((name, each.label, average, round(sum(values) / len(values), 1)))
    assert slips == {("table1", "OPCD", 44.3, 44.4), ("table3", "Qwen3-4B", 51.6, 51.7)}
    for name, _, average, mean in slips:
        assert f"{average}" in MADE[name].caption and f"{mean}" in MADE[name].caption


def test_stated_recovery_follows_from_the_printed_averages() -> None:
    stated = {record["table"]: record["gap_recovered"] for record in results.paper_numbers("recovery", PUBLISHED)}
    for name, (teacher, student, block) in {
        "table1": ("Teacher", "Student", "dual"),
        "table2": ("Teacher", "Student", "method"),
        "table3": ("Qwen3-8B", "Qwen3-0.6B", "Qwen3-8B → Qwen3-0.6B"),
    }.items():
        low, high, own = (
            cell(MADE[name], label, "average", where).value
            for label, where in ((student, None), (teacher, None), ("DOPD", block))
        )
        assert round(100 * (own - low) / (high - low), 1) == stated[name]
        assert f"{stated[name]} % of the gap" in MADE[name].caption


def test_figure_6_is_table_3() -> None:
    pairs = {(pair.teacher, pair.student, pair.method): pair for pair in paper_figures.size_pairs(PUBLISHED)}
    assert len(pairs) == 10
    largest = pairs["Qwen3-8B", "Qwen3-0.6B", "DOPD"]
    assert largest.ratio == pytest.approx(13.33, abs=0.01)
    assert largest.gain == pytest.approx(40.3 - 26.2) and largest.recovery == pytest.approx(53.0, abs=0.05)
    gains = {method: [p.gain for p in pairs.values() if p.method == method] for method in ("DOPD", "Vanilla OPD")}
    ranges = {method: (round(min(g), 1), round(max(g), 1)) for method, g in gains.items()}
    assert ranges == {"DOPD": (11.1, 14.1), "Vanilla OPD": (3.5, 5.5)}  # the text's


def test_lines_of_figure_6_are_solid_for_the_smaller_student() -> None:
    figure = paper_figures.figure6(PUBLISHED)["figure6a_paper"]
    (ax,) = figure.axes
    lines = [each for each in ax.lines if len(each.get_xdata()) > 1 and each.get_transform() == ax.transData]
    assert [(len(each.get_xdata()), each.get_linestyle()) for each in lines] == [(3, "-"), (2, "--")] * 2
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    assert all(list(each.get_xdata()) == sorted(each.get_xdata()) for each in lines)


@pytest.mark.slow
def test_figure_1_has_every_method_minus_vanilla_opd_on_every_benchmark_and_the_average() -> None:
    figures = paper_figures.figure1(PUBLISHED) | paper_figures.figure1_vlm(PUBLISHED)
    for stem, name, methods in (("figure1_paper", "table1", 9), ("figure1_vlm_paper", "table2", 4)):
        axes, rows = figures[stem].axes, {row.label: row for row in MADE[name].lines}
        base = rows["Vanilla OPD"].cells
        rivals = [row for row in rows.values() if row.ranked and row.label != "Vanilla OPD"]
        wanted = [a.value - b.value for row in rivals for a, b in zip(row.cells, base, strict=True)]
        shown = [
            float(each.get_xdata()[0])
            for ax in axes
            for each in ax.lines
            if len(each.get_xdata()) == 1 and each.get_marker() != "|"
        ]
        assert sorted(shown) == pytest.approx(sorted(wanted)) and len(shown) == 9 * methods
        last = [rows[label].cells[-1].value for label in ("Student", "Vanilla OPD", "Teacher")]
        note = "Student {:.1f}, Vanilla OPD {:.1f}, Teacher {:.1f}".format(*last)
        assert note in {text.get_text() for text in axes[0].texts}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "first"), [("embedded", ("table1", "figure1")), ("embedded_vlm", ("table2", "figure1_vlm"))]
)
def test_what_is_of_the_profiles_modality_comes_first(profile: str, first: tuple[str, str]) -> None:
    suite = registry.suite("in_distribution")
    assert isinstance(suite, PaperNumbers)
    options = Options(suite=suite.name, profile=profile, source="paper", published=PUBLISHED)
    (table, *more), (stem, *others) = suite.paper_tables(options), suite.paper_figures(options)
    assert (table.name, stem) == tuple(f"{name}_paper" for name in first) and len(more) == len(others) == 1


@pytest.mark.slow
def test_figure_1_says_who_leads_by_how_much() -> None:
    """Table 1: DOPD 51.4, next ExOPD 47.0."""
    figure = paper_figures.figure1(PUBLISHED)["figure1_paper"]
    assert "DOPD's average 4.4 above ExOPD's" in " ".join(figure.get_suptitle().split())
    assert "51.4, next is ExOPD with 47.0" in " ".join(figure.texts[-1].get_text().split())


@pytest.mark.parametrize("name", ["figure4", "figure7b", "figure8", "figure10"])
def test_lone_numbers_of_the_text_are_a_table_and_no_figure(name: str) -> None:
    assert PAPER[name].figures is None and "was not read" in MADE[name].caption
    assert any(each.value is not None for row in MADE[name].lines for each in row.cells)


@pytest.mark.parametrize("name", ["figure3", "figure7a"])
def test_without_a_number_there_is_a_reason_and_no_figure(name: str) -> None:
    assert PAPER[name].figures is None
    cells = [each for row in MADE[name].lines for each in row.cells]
    assert cells and {each.missing for each in cells} == {"the text states no number"}


@pytest.mark.slow
def test_everything_is_drawn_under_the_papers_names() -> None:
    drawn = Everything().paper_figures(Options(suite="x"))
    assert all(stem.endswith("_paper") for stem in drawn)
    assert {stem.split("_")[0] for stem in drawn} == {"figure1", "figure6a", "figure6b"}
    assert {name for name, item in PAPER.items() if item.figures} == set(DRAWN)


def test_rows_are_shares_and_ratios_are_none() -> None:
    frame = Everything().paper_rows(Options(suite="x"))
    assert list(frame.columns) == list(results.ROW_COLUMNS)
    assert set(frame["run"]) == {results.PAPER}
    assert frame["value"].between(0, 1).all()
    best = results.select(frame, metric="table1_paper", method="DOPD", benchmark="average")
    assert best["value"].tolist() == [0.514] and best["train_domains"].tolist() == ["dual"]
    assert not {"ratio", "step", "beta_w"} & set(frame["benchmark"])


def test_a_suite_that_shows_nothing_of_the_paper_says_so() -> None:
    suite = type("Ours", (Everything,), {"name": "ours", "paper": ()})()
    with pytest.raises(HarnessError, match="suite ours: the paper states no numbers"):
        suite.paper_rows(Options(suite="ours", source="paper"))


@pytest.mark.slow
def test_without_torch() -> None:
    script = """
import sys
sys.modules["torch"] = None
from suites.paper.numbers import PAPER, PaperNumbers
from harness.suite import Options
own = {"arms": None, "tables_of": None}
suite = type("All", (PaperNumbers,), {"name": "all", "paper": tuple(PAPER), **own})()
print(len(suite.paper_tables(Options(suite="x"))), len(suite.paper_figures(Options(suite="x"))))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["15", "4"], "")
