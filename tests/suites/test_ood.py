"""The suite of Figure 7b on synthetic rows, with intervals worked by hand; and the profiles."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from support.synthetic import COLLAPSED, PROFILE, SUITE, UNDRAWN, frames, make_done, options, score, specs

from harness import registry
from harness.analysis import results
from harness.config import RunSpec
from harness.report import output, publish
from harness.show import latex, tables
from harness.show.tables import Cell, Kind, Shade, Table
from harness.suite import Evaluation, Options, Profile
from harness.types import HarnessError
from suites import ood
from suites.kit.chosen import selected_methods
from suites.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("ood.md")
HALF = 2.7764451051977987 * 2 / math.sqrt(5)
"""Of the five draws, at -2, 0, 2, -2 and 2 points: t(4) * deviation 2 / sqrt(5) = 2.483 points."""


def made(chosen: Options, scores: Any = score, skip: Collection[RunSpec] = ()) -> dict[str, Table]:
    return {table.name: table for table in SUITE.tables(*frames(chosen, scores, skip), chosen)}


def line(table: Table, block: str, label: str) -> dict[str, Cell]:
    (found,) = (each for each in table.lines if (each.block, each.label) == (block, label))
    return {column.key: cell for column, cell in zip(table.columns, found.cells, strict=True)}


# --- what is run


def test_default_matrix_is_40_runs_and_two_references_a_draw(tmp_path: Path) -> None:
    planned = specs(options(tmp_path))
    trained = [spec for spec in planned if spec.method]
    assert len(planned) == 50 and len(trained) == 40 and len({spec.id for spec in planned}) == 50
    drawn = [PROFILE.in_draw(draw) for draw in range(5)]
    assert [spec.student for spec in planned[:10]] == [model for at in drawn for model in (at.student, at.teacher)]
    assert all((s.student, s.data and s.data.draw) == (drawn[s.seed].student, s.seed) for s in trained)
    assert {(s.method.name, s.data.domains, s.seed) for s in trained if s.method and s.data} == {
        (method, (domain,), seed) for method in ood.METHODS for domain in ("coding", "reasoning") for seed in range(5)
    }
    assert [spec.seed for spec in trained] == [seed for seed in range(5) for _ in range(8)]  # cut off, it compares all


def test_full_matrix_adds_every_method_and_general(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods="all", seeds=(0, 1, 2, 3, 4), train_domains="all")
    trained = [spec for spec in specs(chosen) if spec.method]
    known = registry.methods().items()
    listed = [name for name, entry in known if entry.listed and not registry.method_class(name).pictures]
    assert len(trained) == len(listed) * 5 * 3
    assert {spec.data.domains for spec in trained if spec.data} == {("coding",), ("reasoning",), ("general",)}


def test_more_seeds_keep_the_runs_there_are(tmp_path: Path) -> None:
    three, four = ({spec.id for spec in specs(options(tmp_path, seeds=tuple(range(n))))} for n in (3, 4))
    assert three < four and len(four - three) == 8 + 2, "a seed's runs, and the untrained models of its draw"


def test_names_are_looked_up(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("vanilla-opd", "DOPD", "dopd"), seeds=(0,), train_domains=("Coding",))
    assert [s.method.name for s in specs(chosen) if s.method] == ["vanilla_opd", "dopd"]
    with pytest.raises(HarnessError, match="unknown training domain 'codin': did you mean coding"):
        specs(options(tmp_path, train_domains=("codin",)))
    with pytest.raises(HarnessError, match="unknown method 'vanila_opd': did you mean vanilla_opd"):
        specs(options(tmp_path, methods=("vanila_opd",)))


def test_every_run_is_asked_everything_at_its_last_step(tmp_path: Path) -> None:
    for spec in specs(options(tmp_path))[1:3]:
        wanted = SUITE.evaluations(spec)
        assert len(wanted) == len(set(wanted)) == 12
        assert {e.step for e in wanted} == {"last"} and {e.decoding for e in wanted} == {"greedy", "sample4"}
        assert {e.benchmark for e in wanted} == {
            f"permutations_{domain}{hard}" for domain in ("general", "reasoning", "coding") for hard in ("", "_hard")
        }


def test_a_plugin_joins_the_default_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_plugin", {})
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from methods.opd import OnPolicyDistillation\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class MyMethod(OnPolicyDistillation):\n"
        '    """Mine."""\n'
        "    k: int = 8\n",
        encoding="utf-8",
    )
    registry.load_plugin(plugin)
    chosen = options(tmp_path, seeds=(0,))
    assert selected_methods(chosen, ood.METHODS) == (*ood.METHODS, "my_method")

    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        return 0.7 if spec.method and spec.method.name == "my_method" else score(spec, evaluation, metric)

    table = made(chosen, scores)["ood"]
    assert line(table, "coding → reasoning", "my_method")["score"].rank == 1


# --- what is shown


def test_main_table_by_hand(tmp_path: Path) -> None:
    """Student 40, teacher 60, methods at 52 or 56 plus -2, 0, 2, -2, 2 by draw."""
    table = made(options(tmp_path))["ood"]
    vanilla = line(table, "coding → reasoning", "Vanilla OPD")
    assert vanilla["score"].value == pytest.approx(52) and vanilla["score"].half == pytest.approx(HALF)
    # (52 - 40) / (60 - 40) = 60 % of the gap, half-width 2.483 / 20.
    assert vanilla["recovery"].value == pytest.approx(60)
    assert vanilla["recovery"].half == pytest.approx(100 * HALF / 20)
    assert vanilla["in_domain"].value == pytest.approx(62) and vanilla["in_domain"].shade is Shade.ALL
    assert vanilla["difference"].missing == "baseline"
    dopd = line(table, "coding → reasoning", "DOPD")
    assert (dopd["score"].rank, vanilla["score"].rank) == (1, 2)
    assert dopd["score"].shade is Shade.OVER_HALF  # 80 % of the gap
    # Every draw moves both alike, so the difference is 4 without spread: an interval of width 0, no test.
    assert dopd["difference"].value == pytest.approx(4) and dopd["difference"].half == pytest.approx(0, abs=1e-9)
    assert dopd["p_holm"].missing == "no spread"
    # 300,000 tokens; 30 to 34 seconds.
    assert (dopd["tokens"].value, dopd["forwards"].value, dopd["seconds"].value) == (300, 3, 32)
    # Models differ from draw to draw, so the untrained ones have an interval too: here all draws are alike.
    student = line(table, "coding → reasoning", "Student")["score"]
    assert (student.value, student.n, student.unit, student.notes) == (pytest.approx(40), 5, "draw", ())


def test_difference_is_paired_and_adjusted_by_holm(tmp_path: Path) -> None:
    # Differences to vanilla of 10, 15, 5 points on reasoning: t = 2 sqrt(3), p = 1 - sqrt(12 / 14) = 0.07418
    # (test_statistics); on coding 1, 2, 3: mean 2, deviation 1, so t and p are the same. Holm: twice the
    # smaller; the other is not below that.
    gains = {"coding": (0.10, 0.15, 0.05), "reasoning": (0.01, 0.02, 0.03)}

    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        if spec.method is None or spec.data is None:
            return score(spec, evaluation, metric)
        base = 0.4 + 0.1 * spec.seed
        return base + (gains[spec.data.domains[0]][spec.seed] if spec.method.name == "dopd" else 0)

    table = made(options(tmp_path, methods=("vanilla_opd", "dopd"), seeds=(0, 1, 2)), scores)["ood"]
    first = line(table, "coding → reasoning", "DOPD")
    assert first["difference"].value == pytest.approx(10)
    assert first["difference"].half == pytest.approx(4.302652729911275 * 5 / math.sqrt(3))
    assert first["p_holm"].value == pytest.approx(2 * (1 - math.sqrt(12 / 14)))
    assert "Holm over the 2 tests of this table" in table.caption


def test_golden_table_with_missing_partial_and_collapsed_cells(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    planned = specs(chosen)

    lost = {
        ("privileged_teacher", "coding"): (0, 1, 2, 3, 4),
        ("privileged_teacher", "reasoning"): (1, 2, 3, 4),
        ("dopd", "reasoning"): (2, 3, 4),
    }
    skip = [
        spec
        for spec in planned
        if spec.method and spec.data and spec.seed in lost.get((spec.method.name, spec.data.domains[0]), ())
    ]
    table = made(chosen, skip=skip)["ood"]
    assert table.partial == "38 of 50 runs done"
    written, _, _ = tables.to_markdown(table).partition(table.caption)
    assert written == GOLDEN.read_text(encoding="utf-8")


def test_captions_say_what_must_be_known(tmp_path: Path) -> None:
    shown = made(
        options(tmp_path, methods=("vanilla_opd", "dopd", "dopd_initial_self")),
        skip=[s for s in specs(options(tmp_path, methods=("dopd_initial_self",))) if s.method],
    )
    for table in (shown["ood"], shown["ood_full"], shown["ood_lead"]):
        for needed in (
            f"at the last step ({PROFILE.steps})",
            "draws 0, 1, 2, 3, 4 (seeds 0, 1, 2, 3, 4; those of a draw are averaged first)",
            "400 items",
            "95 % t interval over draws",
            "intervals speak of other draws of this world and of no other world",
            "Profile embedded sets k = 32 for Vanilla OPD, DOPD, DOPD (initial self): ",
            "DOPD (initial self): the self source is frozen at step 0",
        ):
            assert needed in table.caption, (table.name, needed)
    assert "200 items" in shown["ood_sample4"].caption and "sample4" in shown["ood_sample4"].caption


def test_collapsed_runs_are_named_and_averaged(tmp_path: Path) -> None:
    shown = made(options(tmp_path))
    cell = line(shown["ood"], "reasoning → coding", "Priv. S→S")["score"]
    assert tables.text(cell, Kind.SCORE) == "0.1 ± 0.0 (n=5, collapsed 5/5)"
    assert "collapsed 5/5" in latex.to_latex(shown["ood_full"])


def test_single_runs_say_so_and_are_not_tested(tmp_path: Path) -> None:
    shown = made(options(tmp_path, seeds=(1,)))
    dopd = line(shown["ood"], "coding → reasoning", "DOPD")
    assert tables.text(dopd["score"], Kind.SCORE) == "56.0 (single draw)"
    assert dopd["p_holm"].missing == "single draw" and dopd["difference"].half is None
    assert shown["ood"].partial == ""


def test_without_the_baseline_nothing_is_compared(tmp_path: Path) -> None:
    shown = made(options(tmp_path, methods=("dopd",)))
    dopd = line(shown["ood"], "coding → reasoning", "DOPD")
    assert dopd["difference"] == dopd["p_holm"] == Cell() and "Baseline" not in shown["ood"].caption
    assert "ood_lead" not in shown


def test_without_references_no_gap_is_claimed(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    table = made(chosen, skip=[spec for spec in specs(chosen) if spec.is_reference])["ood"]
    assert line(table, "coding → reasoning", "Student")["score"].missing == "not run"
    assert line(table, "coding → reasoning", "DOPD")["recovery"].missing == "no reference row"
    assert line(table, "coding → reasoning", "DOPD")["score"].shade is Shade.NONE


def test_unranked_methods_are_neither_ranked_nor_coloured(tmp_path: Path) -> None:
    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        return 0.9 if spec.method and spec.method.name == "sft_oracle" else score(spec, evaluation, metric)

    table = made(options(tmp_path, methods=("sft_oracle", "vanilla_opd", "dopd")), scores)["ood"]
    oracle = line(table, "coding → reasoning", "SFT (oracle traces)")["score"]
    assert (oracle.value, oracle.rank, oracle.shade) == (pytest.approx(90), 0, Shade.NONE)
    assert line(table, "coding → reasoning", "DOPD")["score"].rank == 1


def test_full_table_holds_every_domain_and_the_harder_range(tmp_path: Path) -> None:
    shown = made(options(tmp_path))
    full = shown["ood_full"]
    assert [c.header for c in full.columns] == [
        *(f"{d}, %" for d in ("general", "reasoning", "coding")),
        *(f"{d}, harder, %" for d in ("general", "reasoning", "coding")),
    ]
    dopd = line(full, "coding", "DOPD")
    assert dopd["permutations_coding"].value == pytest.approx(66)
    assert dopd["permutations_coding_hard"].value == pytest.approx(33)
    assert line(full, "not trained", "Teacher")["permutations_general"].value == pytest.approx(60)
    # Traces are half as often right, in the gap's ends too: 28 of 20 to 30 is 80 % again.
    trace = line(shown["ood_trace"], "coding", "DOPD")["permutations_reasoning"]
    assert trace.value == pytest.approx(28) and trace.shade is Shade.OVER_HALF


def test_lead_stands_beside_the_papers_never_mixed(tmp_path: Path) -> None:
    table = made(options(tmp_path))["ood_lead"]
    cells = line(table, "coding → reasoning", "DOPD")
    assert cells["ours"].value == pytest.approx(4) and cells["ours"].notes == ("over Vanilla OPD",)
    assert tables.text(cells["paper"], Kind.DIFFERENCE) == "+3.1 (MATH500)"
    assert tables.text(line(table, "reasoning → coding", "DOPD")["paper"], Kind.DIFFERENCE) == "+4.3 (BFCLv3)"


def test_lead_may_be_negative_and_variants_are_no_rivals(tmp_path: Path) -> None:
    def scores(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
        means = {"vanilla_opd": 0.6, "dopd": 0.5, "dopd_ema_self": 0.9}
        return means[spec.method.name] if spec.method else score(spec, evaluation, metric)

    table = made(options(tmp_path, methods=("vanilla_opd", "dopd", "dopd_ema_self")), scores)["ood_lead"]
    lead = line(table, "coding → reasoning", "DOPD")["ours"]
    assert lead.value == pytest.approx(-10) and lead.notes == ("over Vanilla OPD",)


@pytest.mark.slow
def test_general_adds_directions_and_a_figure(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("vanilla_opd", "dopd"), train_domains="all")
    loaded = frames(chosen)
    shown = {table.name: table for table in SUITE.tables(*loaded, chosen)}
    assert {each.block for each in shown["ood"].lines} == {
        f"{a} → {b}" for a in PROFILE.targets for b in PROFILE.targets if a != b
    }
    assert line(shown["ood_lead"], "general → coding", "DOPD")["paper"].missing == "not in the paper"
    drawn = SUITE.figures(*loaded, chosen)
    assert {stem: len(figure.axes) for stem, figure in drawn.items()} == {"figure7b": 4, "ood_all": 12}, (
        "each early and late"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "panels"), [(UNDRAWN, 6), (PROFILE, 12)])
def test_figure_7b_has_the_papers_methods_and_every_other_stands_in_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: Profile, panels: int
) -> None:
    """Of one budget the grid is a page; of two each direction is there early and late."""
    monkeypatch.setitem(PROFILES, UNDRAWN.name, "support.synthetic:UNDRAWN")
    names = (*ood.METHODS, "dopd_initial_self", "dopd_ema_self", "vanilla_opd_sampled", "privileged_both")
    names = (*names, "student_privileged", "sft", "sft_oracle", *ood.RIVALS)
    names = tuple(name for name in names if name != COLLAPSED)  # as published, where none has collapsed
    chosen = options(tmp_path, profile=profile.name, methods=names, train_domains="all", seeds=(0, 1, 2))
    drawn = SUITE.figures(*frames(chosen, lambda *_: 0.5, profile=profile), chosen)
    main, everything = drawn["figure7b"], drawn["ood_all"]
    assert rows_of(main) == ["ExOPD", "Uni-OPD", "EOPD", "DOPD"], "each minus vanilla OPD"
    assert "oracle" not in main.texts[-1].get_text()
    rows = rows_of(everything)
    assert len(rows) == len(names) - 1 == 12 and rows.count("SFT (oracle traces), not ranked") == 1
    named = [bool(ax.get_yticklabels()[0].get_text()) for ax in everything.axes]
    assert named == [True, False, False] * (panels // 3)
    width, height = everything.get_size_inches()
    assert width < 12 and height < 4.75 * panels / 3, "a row of panels is half a page"
    assert height < 9.5 or profile.early_step, "a page"


def rows_of(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_figure_7b_has_every_method_that_was_named_if_they_are_few(tmp_path: Path) -> None:
    def shown(*methods: str) -> tuple[list[str], list[str]]:
        chosen = options(tmp_path, methods=methods or None, seeds=(0,))
        drawn = SUITE.figures(*frames(chosen, lambda *_: 0.5), chosen)
        return rows_of(drawn["figure7b"]), list(drawn)

    assert shown("sft", "dopd", "vanilla_opd") == (["SFT", "DOPD"], ["figure7b"])
    six = ("sft", "gkd", "tip", "sdft", "vanilla_opd", "dopd")
    assert len(shown(*six)[0]) == 5
    assert shown(*six, "opcd") == (["DOPD"], ["figure7b", "ood_all"]), "seven: the paper's alone"
    assert shown() == (["DOPD"], ["figure7b", "ood_all"]), "none was named"


@pytest.mark.slow
def test_a_cross_stands_on_a_collapsed_bar_and_without_the_papers_methods_all_are_shown(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("privileged_student", "privileged_teacher"))
    drawn = SUITE.figures(*frames(chosen), chosen)
    assert list(drawn) == ["figure7b"]
    first, *others = drawn["figure7b"].axes
    assert len(others) == 3, "two directions, early and late"
    assert rows_of(drawn["figure7b"]) == ["Priv. S→S", "Priv. T→S"], "scores: there is no baseline"
    said = [text.get_text() for text in first.texts]
    assert {"0.1 ±0.0  collapsed 5/5", "48.0 ±2.5", "Student 40.0", "Teacher 60.0"} <= set(said)
    assert said.count("×") == 1


def test_one_domain_alone_still_draws(tmp_path: Path) -> None:
    chosen = options(tmp_path, methods=("dopd",), seeds=(0,), train_domains=("general",))
    drawn = SUITE.figures(*frames(chosen), chosen)
    titles = [ax.get_title() for ax in drawn["figure7b"].axes]
    assert titles == [
        f"general → {tested}{budget}" for tested in ("coding", "reasoning") for budget in (", early: step 20", "")
    ] and set(drawn) == {"figure7b"}


def test_figure_shows_differences_with_their_seeds_and_what_is_missing(tmp_path: Path) -> None:
    """DOPD minus vanilla OPD is 4.0 in every draw of reasoning → coding; of coding → reasoning it was not run."""
    chosen = options(tmp_path)
    planned = specs(chosen)
    lost = [
        spec for spec in planned if spec.method and spec.method.name == "dopd" and spec.train_domains == ("coding",)
    ]
    loaded = frames(chosen, skip=lost)
    figure = SUITE.figures(*loaded, chosen)["figure7b"]
    _, first, _, second = figure.axes  # the last step of either direction
    assert rows_of(figure) == ["DOPD"], "the paper's methods alone, minus the baseline"
    assert {"not run", "Student 40.0, Vanilla OPD 52.0, Teacher 60.0"} <= {text.get_text() for text in first.texts}
    assert "+4.0 ±0.0" in {text.get_text() for text in second.texts}
    (dots,) = (each for each in second.collections if isinstance(each, PathCollection))
    assert [x for x, _ in dots.get_offsets().tolist()] == pytest.approx([4] * 5)
    words = " ".join(figure.texts[-1].get_text().split())
    assert words.startswith("DOPD (reasoning → coding) is above Vanilla OPD by 4.0 ±0.0 points"), words
    title = " ".join(figure.get_suptitle().split())
    assert title == "Out of domain: DOPD (reasoning → coding) above Vanilla OPD (partial: 45 of 50 runs done)"


def test_paper_source_shows_the_papers_words_in_a_table(tmp_path: Path) -> None:
    chosen = options(tmp_path, source="paper")
    rows, costs = results.load("paper", SUITE, PROFILE, chosen)
    (table,) = SUITE.tables(rows, costs, chosen)
    assert [each.cells[0].value for each in table.lines] == pytest.approx([3.1, 4.3])
    assert SUITE.figures(rows, costs, chosen) == {}, "two numbers are no picture"
    assert "not read" in table.caption and "lead over the second best" in table.title


@pytest.mark.slow
def test_an_empty_selection_says_not_run_everywhere(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, skip=specs(chosen))
    table = SUITE.tables(rows, costs, chosen)[0]
    assert {cells["score"].missing for cells in (line(table, e.block, e.label) for e in table.lines)} == {"not run"}
    assert table.partial == "0 of 50 runs done"
    assert len(output.emit(SUITE, rows, costs, chosen, tmp_path / "out")) == 6 * 3 + 2 * 2


@pytest.mark.slow
def test_tables_and_figures_are_rebuilt_from_published_files_without_torch(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    for spec in specs(chosen):
        make_done(tmp_path, spec)
    publish.publish(SUITE, PROFILE, chosen)
    script = f"""
import sys
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "datasets", "lm_eval"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
from harness import registry
from harness.analysis import results
from harness.report import output
from harness.suite import Options

suite, profile = registry.suite("ood"), registry.profile("embedded")
options = Options(suite="ood", source="published", published=Path({str(chosen.published)!r}))
rows, costs = results.load("published", suite, profile, options)
output.emit(suite, rows, costs, options, Path({str(tmp_path / "again")!r}))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    folder = chosen.published / "embedded" / "ood"
    again = sorted((tmp_path / "again").iterdir())
    assert len(again) == 6 * 3 + 2 * 2
    assert [path.name for path in again if path.read_bytes() != (folder / path.name).read_bytes()] == []


def test_scores_are_frozen(tmp_path: Path) -> None:
    rows, costs = frames(options(tmp_path, seeds=(0,)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        ood.OutOfDomain().scores(rows, costs, options(tmp_path)).rows = costs  # type: ignore[misc]
