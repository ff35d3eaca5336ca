"""Figure 4 and Table 6 from synthetic rows: what differs from what, what is kept of a gain, what is missing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, frames, is_student

from harness import registry
from harness.config import RunSpec
from harness.show.tables import Cell, Kind, Table
from harness.suite import Evaluation, Options, Suite
from suites.kit.curves import curve
from suites.token_ablation import FIGURE4_KEYS, TABLE6_KEYS, gain_kept, kept_cell

SUITE: Suite = registry.suite("token_ablation")
TENTHS = tuple(range(0, 201, 20))
GAINS = {"vanilla_opd": (0.10, 0.12, 0.14), "high": (0.05, 0.06, 0.10), "low": (0.09, 0.12, 0.13), "random": (0.1,) * 3}
"""Over the student at the end, by seed."""


def score(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """The gain grows linearly along the run."""
    factor = (0.5 if metric == "exact_trace" else 1) * (0.5 if evaluation.benchmark.endswith("_hard") else 1)
    if spec.method is None:
        return factor * (0.4 if is_student(spec) else 0.6)
    gains = GAINS.get(spec.method.settings.get("drop", spec.method.name), (0.08, 0.09, 0.12))
    if spec.method.name == "dopd":
        gains = (0.15, 0.15, 0.18)
    return factor * (0.4 + gains[spec.seed] * evaluation.at(spec) / spec.steps)


def options(root: Path, **changes: Any) -> Options:
    given = {"seeds": (0, 1, 2), "results": root, "published": root / "published", **changes}
    return Options(suite=SUITE.name, **given)


def tables(chosen: Options, **how: Any) -> dict[str, Table]:
    return {made.name: made for made in SUITE.tables(*frames(chosen, score, suite=SUITE, **how), chosen)}


def line(made: Table, label: str, block: str = "") -> dict[str, Cell]:
    (found,) = (each for each in made.lines if each.label == label and block in ("", each.block))
    return {column.key: cell for column, cell in zip(made.columns, found.cells, strict=True)}


def arms(root: Path) -> dict[str, Any]:
    return {arm.key: arm for arm in SUITE.arms(PROFILE, options(root))}  # type: ignore[attr-defined]


def moved(spec: RunSpec) -> dict[str, Any]:
    """Settings that differ from the method's own in this profile."""
    assert spec.method is not None
    name = spec.method.name
    usual = PROFILE.method(name).settings
    return {key: value for key, value in spec.method.settings.items() if value != usual[key]}


@pytest.mark.parametrize("name", ["embedded", "embedded_vlm", "paper"])
def test_curves_are_of_the_steps_that_are_asked(name: str) -> None:
    """A profile may keep checkpoints that this suite does not read; a line is drawn all the same."""
    profile = registry.profile(name)
    chosen = Options(suite=SUITE.name, profile=name, seeds=(0, 1, 2), methods=None)
    found = SUITE.scores(*frames(chosen, score, suite=SUITE, profile=profile), chosen)  # type: ignore[attr-defined]
    arm = next(iter(found.arms.values()))
    drawn = curve(found, arm.key, found.inside)
    assert drawn.steps == arm.spec.probed_steps() and len(drawn.by_unit) == 3
    assert (name == "paper") == (drawn.steps == arm.spec.checkpoint_steps())


def test_arms_differ_in_what_they_name(tmp_path: Path) -> None:
    made = {key: (arm.method, moved(arm.spec)) for key, arm in arms(tmp_path).items()}
    off = {"adaptive": False}
    assert made == {
        "vanilla_opd": ("vanilla_opd", {}),
        "drop_random": ("opd_dropped", {"drop": "random"}),
        "drop_low": ("opd_dropped", {"drop": "low"}),
        "drop_high": ("opd_dropped", {}),  # its default
        "uniform/HT": ("dopd_ablation", {"regimes": ["HT"], **off}),
        "uniform/HT+LH": ("dopd_ablation", {"regimes": ["LH", "HT"], **off}),
        "uniform/HT+LL": ("dopd_ablation", {"regimes": ["LL", "HT"], **off}),
        "uniform/HT+HS": ("dopd_ablation", {"regimes": ["HT", "HS"], **off}),
        "uniform/all": ("dopd_ablation", off),
        "adaptive/HT+LH": ("dopd_ablation", {"regimes": ["LH", "HT"]}),
        "adaptive/HT+LL": ("dopd_ablation", {"regimes": ["LL", "HT"]}),
        "adaptive/HT+HS": ("dopd_ablation", {"regimes": ["HT", "HS"]}),
        "dopd": ("dopd", {}),
        "uniform_plain/all": ("dopd_ablation", {**off, "uniform_context": "plain"}),
    }
    assert [*FIGURE4_KEYS, *TABLE6_KEYS] == list(made)
    assert {arm.spec.method.settings["k"] for arm in arms(tmp_path).values()} == {32}
    high = arms(tmp_path)["drop_high"].spec.method.settings
    assert (high["drop"], high["share"], high["off"]) == ("high", 0.2, "zero")


def test_table_6_has_the_papers_rows() -> None:
    printed = Options(suite="token_ablation").published / "paper" / "table6_token_regimes.csv"
    _, *rows = (row.split(",") for row in printed.read_text(encoding="utf-8").splitlines())
    names = ("HT", "LH", "LL", "HS")
    regimes = ["+".join(n for n, on in zip(names, row[:4], strict=True) if on == "1") for row in rows]
    papers = [
        f"{'adaptive' if row[4] == '1' else 'uniform'}/{on}".replace("+".join(names), "all")
        for row, on in zip(rows, regimes, strict=True)
    ]
    assert [key.replace("dopd", "adaptive/all") for key in TABLE6_KEYS[:9]] == papers


def test_shared_arms_are_runs_of_other_suites(tmp_path: Path) -> None:
    chosen = {"seeds": (0, 1, 2), "published": tmp_path / "published"}
    others = {
        name: {s.id for s in registry.suite(name).runs(PROFILE, Options(suite=name, **chosen))}  # type: ignore[arg-type]
        for name in ("in_distribution", "ablation", "divergence")
    }
    ids = {key: {spec.id for spec in arm.specs.values()} for key, arm in arms(tmp_path).items()}
    assert ids["vanilla_opd"] | ids["dopd"] <= others["in_distribution"]
    assert ids["uniform/all"] | ids["uniform_plain/all"] <= others["ablation"] & others["divergence"]


def test_figure_4_is_asked_everywhere_and_table_6_where_it_shows(tmp_path: Path) -> None:
    for key, arm in arms(tmp_path).items():
        asked = {e.at(arm.spec) for e in SUITE.evaluations(arm.spec)}
        assert asked == ({*TENTHS, PROFILE.early_step} if key in FIGURE4_KEYS else {20, 40, 80, 160, 200}), key


def test_gain_kept_is_a_ratio_of_means_with_its_residuals() -> None:
    full, arm = dict(enumerate(GAINS["vanilla_opd"])), dict(enumerate(GAINS["high"]))
    kept = gain_kept(arm, full)
    # Means .07 and .12: ratio 7/12. Residuals a - 7/12 b: -1/120, -1/100, 11/600; over .12.
    assert list(kept.values()) == pytest.approx([7 / 12 + r / 0.12 for r in (-1 / 120, -1 / 100, 11 / 600)])
    assert sum(kept.values()) / 3 == pytest.approx(7 / 12)
    assert gain_kept(full, full) == pytest.approx({0: 1.0, 1: 1.0, 2: 1.0})
    # -1, 1, 2 points: the interval of the full gain holds 0.
    assert gain_kept(arm, {0: -0.01, 1: 0.01, 2: 0.02}) == {}
    assert gain_kept({0: 0.1}, {0: 0.2, 1: 0.3}) == {0: 0.5}, "a single common seed"


def test_numbers_of_figure_4(tmp_path: Path) -> None:
    made = tables(options(tmp_path))
    high = line(made["figure4"], "20 % dropped, highest A")
    assert high["at_100"].value == pytest.approx(47.0) and high["recovery"].value == pytest.approx(35.0)
    assert high["difference"].value == pytest.approx(-5.0) and high["harder"].value == pytest.approx(23.5)
    # The deviation of the residuals over .12 is .1325; t of 2 degrees of freedom is 4.303.
    assert high["kept_100"].value == pytest.approx(100 * 7 / 12)
    assert high["kept_100"].half == pytest.approx(100 * 4.303 * 0.13248 / math.sqrt(3), rel=1e-3)
    assert high["kept_100"].n == 3 and high["kept_50"].value == pytest.approx(100 * 7 / 12)
    assert high["tokens"].value == 300 and high["forwards"].value == 3
    vanilla = line(made["figure4"], "Vanilla OPD")
    assert vanilla["difference"].missing == vanilla["kept_100"].missing == "baseline"
    kept = line(made["figure4_kept"], "20 % dropped, lowest A")
    assert list(kept) == [f"step_{step}" for step in TENTHS[1:]]
    assert kept["step_60"].value == pytest.approx(100 * 34 / 36)
    assert line(made["figure4"], "Teacher")["at_100"].value == pytest.approx(60)


def test_numbers_of_table_6(tmp_path: Path) -> None:
    made = tables(options(tmp_path))["table6"]
    dopd = line(made, "HT + LH + LL + HS (DOPD)")
    # Gains 15, 15, 18 points at the end: 16 on average, a fifth of it at 20 %.
    assert [dopd[f"at_{share}"].value for share in (20, 40, 80, 100)] == pytest.approx([43.2, 46.4, 52.8, 56.0])
    assert dopd["difference"].value == pytest.approx(16 - 29 / 3) and dopd["difference"].n == 3
    assert dopd["at_100"].rank == 1 and dopd["harder"].rank == 1
    assert line(made, "HT + LH + LL + HS", "uniform loss")["difference"].missing == "baseline"
    assert [each.block for each in made.lines] == [
        *["not trained"] * 2,
        *["uniform loss"] * 5,
        *["adaptive routing"] * 4,
        "uniform loss, teacher without p",
    ]
    # All others move with the draws as the uniform row does.
    assert "adjusted by Holm over the 1 test of" in made.caption
    kinds = {column.key: column.kind for column in made.columns}
    assert kinds["difference"] is Kind.DIFFERENCE and kinds["p_holm"] is Kind.P


@pytest.mark.slow
def test_what_is_missing_says_why(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    planned = SUITE.runs(PROFILE, chosen)
    high = [spec for spec in planned if spec.method and spec.method.settings.get("drop") == "high"]
    vanilla = [spec for spec in planned if spec.method and spec.method.name == "vanilla_opd"]
    student = [spec for spec in planned if spec.is_reference and is_student(spec)]

    def kept(skip: list[RunSpec]) -> Cell:
        return kept_cell(SUITE.scores(*frames(chosen, score, skip, suite=SUITE), chosen), "drop_high", 100)  # type: ignore[attr-defined]

    assert kept(high) == Cell(missing="not run")
    assert kept(vanilla) == Cell(missing="no baseline of these seeds")
    assert kept(student) == Cell(missing="no reference row")
    some = kept(high[:1])
    # Draws 1 and 2 are left: (.06 + .10) / (.12 + .14).
    assert some.value == pytest.approx(100 * 16 / 26) and "1 of 3 not run" in some.notes
    made = tables(chosen, skip=high)
    assert line(made["figure4"], "20 % dropped, highest A")["at_100"] == Cell(missing="not run")
    assert made["table6"].partial == "45 of 48 runs done"


def test_a_collapse_is_named_from_the_step_on_that_saw_it(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    rows, costs = frames(chosen, score, suite=SUITE)
    fallen = arms(tmp_path)["drop_high"].specs[0].id
    rows.loc[(rows["run"] == fallen) & (rows["step"] >= 120), "status"] = "collapsed"
    made = {each.name: each for each in SUITE.tables(rows, costs, chosen)}
    kept = line(made["figure4_kept"], "20 % dropped, highest A")
    assert "collapsed 1/3" in kept["step_120"].notes and kept["step_100"].notes == ()
    assert "collapsed 1/3" in line(made["figure4"], "20 % dropped, highest A")["at_100"].notes


def test_figure_4_has_four_lines_between_student_and_teacher(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    drawn = SUITE.figures(*frames(chosen, score, suite=SUITE), chosen)
    (axes,) = drawn["figure4"].axes
    curves = [each for each in axes.lines if len(each.get_xdata()) == 11]
    assert len(curves) == 4 and list(curves[0].get_xdata()) == list(TENTHS)
    assert curves[3].get_ydata()[-1] == pytest.approx(47.0)
    words = {text.get_text() for text in axes.texts}
    assert {"Vanilla OPD", "20 % dropped, highest A", "Student 40.0", "Teacher 60.0"} <= words
