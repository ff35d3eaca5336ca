"""One look for one thing: roles of references, identity of methods and regimes, in whatever figure they stand."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from support.synthetic import PROFILE, frames

from harness import registry
from harness.analysis import results
from harness.show.bars import Bar, Group, Reference
from harness.show.hbars import Panel, lying_bars
from harness.show.lines import LinePanel, Series, curves
from harness.show.looks import BASELINE, COLOURS, REFERENCES, SUBJECT, YELLOW, Look, Role, assigned, luminance, other
from harness.suite import Options
from methods import METHODS
from suites.kit.looks import OF_METHODS, OF_REGIMES, OTHERS, label_look, method_look

ROOT = Path(__file__).resolve().parents[3]


def as_bar(look: Look) -> tuple[str, str]:
    return look.colour, look.hatch


def as_line(look: Look) -> tuple[str, str, Any]:
    return look.colour, look.marker, look.dashes


# --- looks


def test_the_first_180_differ_as_bars_and_as_lines_and_are_neither_subject_nor_baseline() -> None:
    looks = [other(place) for place in range(180)]
    assert len(set(map(as_bar, looks))) == len(set(map(as_line, looks))) == 180
    assert not {look.colour for look in looks} & {SUBJECT.colour, BASELINE.colour, YELLOW}
    for look, following in pairwise(looks[:25]):
        assert look.colour != following.colour and look.hatch != following.hatch and look.marker != following.marker


def test_names_keep_their_own_look_and_others_get_what_is_free() -> None:
    found = assigned([("a", None), ("b", other(0)), ("c", None), ("a", None)])
    assert found == {"a": other(1), "b": other(0), "c": other(2)}
    assert assigned([("a", None), ("a", SUBJECT)]) == {"a": SUBJECT}, "known in one panel, known in all"


def test_words_are_read_on_every_ground_and_pale_lines_are_known() -> None:
    for colour in (*COLOURS, SUBJECT.colour, BASELINE.colour, YELLOW):
        light, dark = sorted((luminance(colour), {"white": 1.0, "black": 0.0}[Look(colour=colour).ink]), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour
    assert [colour for colour in (*COLOURS, YELLOW) if Look(colour=colour).is_pale] == [YELLOW]


# --- references


def levels(ax: Axes) -> dict[float, list[float]]:
    """Dashes of the level lines of a panel, in widths of the line, by their value."""
    ends = {0.0, 1.0}
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2]
    upright = {
        float(x[0]): line
        for line in lines
        if (x := list(line.get_xdata()))[0] == x[1] and set(line.get_ydata()) == ends
    }
    across = {float(y[0]): line for line in lines if (y := list(line.get_ydata()))[0] == y[1]}
    dashed = {value: line._unscaled_dash_pattern[1] for value, line in (upright | across).items()}
    return {value: list(dashes) for value, dashes in dashed.items() if dashes}


@pytest.mark.parametrize("turned", [False, True])
def test_student_and_teacher_keep_their_lines_in_every_kind_of_figure_and_order(turned: bool) -> None:
    ends = (
        Reference(label="Student", value=40.0, role=Role.STUDENT),
        Reference(label="Teacher", value=90.0, role=Role.TEACHER),
        Reference(label="before", value=70.0),
    )
    ends = ends[::-1] if turned else ends
    group = Group(title="g", bars=(Bar(label="a", mean=50.0),), references=ends)
    words = {"title": "t", "caption": "c"}
    series = Series(label="a", x=(0.0, 1.0), y=(50.0, 60.0))
    drawn = {
        "zoomed": lying_bars([Panel(title="", groups=(group,), references=ends, zoomed=True)], axis="%", **words),
        "lying": lying_bars([Panel(title="", groups=(group,), references=ends)], axis="%", **words),
        "curves": curves([LinePanel(title="", y_axis="%", series=(series,), references=ends)], x_axis="step", **words),
    }
    wanted = {40.0: Role.STUDENT, 90.0: Role.TEACHER, 70.0: Role.MARK}
    for kind, figure in drawn.items():
        found = levels(figure.axes[0])
        assert {value: found[value] for value in wanted} == {
            value: list(REFERENCES[role].dashes[1]) for value, role in wanted.items()
        }, kind


# --- methods


def test_no_two_methods_look_alike_and_two_have_colours_of_their_own() -> None:
    looks = {name: method_look(name) for name in METHODS}
    assert len(set(map(as_bar, looks.values()))) == len(set(map(as_line, looks.values()))) == len(METHODS)
    for name in ("dopd", "vanilla_opd"):
        assert [each for each, look in looks.items() if look.colour == looks[name].colour] == [name]


def test_a_method_that_comes_later_moves_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever its line stands: first of all, or from a plugin."""
    published = [name for name in METHODS if name in (*OF_METHODS, *OTHERS)]  # one may have come since
    before = {name: method_look(name) for name in published}
    entry = METHODS["dopd"]
    monkeypatch.setattr("methods.METHODS", {"first": entry, **METHODS})
    monkeypatch.setitem(registry._plugin, "mine", entry)
    assert {name: method_look(name) for name in published} == before
    assert len({as_bar(look) for look in (method_look("first"), method_look("mine"), *before.values())}) == 2 + len(
        before
    )


def test_a_look_is_found_by_the_label_a_reader_sees() -> None:
    assert {label_look(entry.label) for entry in METHODS.values()} == {method_look(name) for name in METHODS}
    assert label_look("DOPD") == SUBJECT and label_look("DOPD (initial self)") != SUBJECT
    assert label_look("w/o privileged input") is None and registry.look("Vanilla OPD") == BASELINE


def colours_of(ax: Axes) -> dict[str, str]:
    """Of a panel's marks, by the name of their row."""
    rows = dict(zip(ax.get_yticks(), ax.get_yticklabels(), strict=True))
    marks = [line for line in ax.lines if len(line.get_xdata()) == 1 and line.get_marker() != "|"]
    return {
        min(rows.items(), key=lambda row: abs(row[0] - float(line.get_ydata()[0])))[1].get_text(): to_hex(
            line.get_color()
        ).upper()
        for line in marks
    }


CHOSEN = ("eopd", "dopd", "sft")
"""Not in the order of the registry; without the baseline, of which nothing else is then drawn as a difference."""
WANTED = {"SFT": method_look("sft").colour, "DOPD": SUBJECT.colour, "EOPD": method_look("eopd").colour}


@pytest.mark.parametrize("base", [(), ("vanilla_opd",)])
@pytest.mark.parametrize(
    ("suite", "stem"), [("in_distribution", "figure1"), ("ood", "figure7b"), ("methods", "methods")]
)
def test_one_method_has_one_colour_in_the_marks_of_every_suite(
    suite: str, stem: str, base: tuple[str, ...], tmp_path: Path
) -> None:
    """Whether they are scores, or differences to a baseline."""
    chosen = Options(suite=suite, methods=(*CHOSEN, *base), seeds=(0,), published=tmp_path)
    made = registry.suite(suite)
    axes = made.figures(*frames(chosen, lambda *_: 0.5, suite=made), chosen)[stem].axes
    assert colours_of(axes[0]) == WANTED


def test_lines_have_the_colours_of_bars() -> None:
    chosen = Options(suite="stability", methods=CHOSEN, seeds=(0,))
    made = registry.suite("stability")
    for figure in made.figures(*frames(chosen, lambda *_: 0.5, suite=made), chosen).values():
        for ax in figure.axes:
            colours = [line.get_color() for line in ax.lines[:3]]
            assert colours == [method_look("eopd").colour, SUBJECT.colour, method_look("sft").colour]


@pytest.mark.slow
def test_the_papers_figure_1_has_the_colours_of_ours() -> None:
    made = registry.suite("in_distribution")
    theirs = Options(suite=made.name, source="paper")
    drawn = made.figures(*results.load("paper", made, PROFILE, theirs), theirs)["figure1_paper"]
    shown = colours_of(drawn.axes[0])
    assert {name: shown[name] for name in ("DOPD", "EOPD")} == {name: WANTED[name] for name in ("DOPD", "EOPD")}


def test_regimes_have_the_colours_of_the_reports_trajectories() -> None:
    css = (ROOT / "harness" / "report" / "web" / "page.css").read_text(encoding="utf-8")
    shown = dict(re.findall(r"\.(LH|LL|HT|HS) \{ background: (#\w{6})", css))
    assert {regime: look.colour.lower() for regime, look in OF_REGIMES.items()} == shown
    words = dict(re.findall(r"\.(LH|LL|HT|HS) \{[^}]*; color: (#\w{6})", css))
    names = {"#000000": "black", "#ffffff": "white"}
    assert {regime: look.ink for regime, look in OF_REGIMES.items()} == {r: names[c] for r, c in words.items()}
    assert len({look.hatch for look in OF_REGIMES.values()}) == len({look.marker for look in OF_REGIMES.values()}) == 4
