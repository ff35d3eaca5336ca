"""The report page without a browser: well formed, self-contained, escaped, honest about what is missing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import fakes, rollouts
from support.parsed import Parsed
from support.synthetic import PROFILE, SUITE, make_done, options, rows, specs

from harness import registry
from harness.analysis.claims import Decision, Verdict
from harness.analysis.results import row_frame
from harness.cli import verbs
from harness.profile import Part
from harness.report import publish, selection, web
from harness.report.web import content, leaderboard, learning, page, provenance, svg, trajectory
from harness.report.web.content import Content, Section, Shelf
from harness.report.web.decisions import Decisions
from harness.report.web.provenance import Provenance
from harness.report.web.trajectory import Regime, Trajectories
from harness.show.bars import Bar, Group
from harness.show.hbars import Panel, lying_bars
from harness.show.looks import COLOURS, HATCHES, SUBJECT, Look
from harness.show.tables import Cell, Column, Kind, Line, Shade, Table
from harness.storage import files
from harness.storage.code import MadeBy
from harness.suite import PUBLISHED, Options
from harness.types import HarnessError
from suites import SUITES

OURS = {"ood": "suites.ood:OutOfDomain", "tuning": "suites.tuning:Tuning", "trajectory": "support.rollouts:Shows"}
LARGEST = 5_000_000
"""Bytes; what the repository takes (tests/checks/test_architecture.py)."""
RUNS, UNTRAINED = 50, 10
"""Of ``ood``: four methods of two domains and the untrained pair, in five draws; the pairs come first."""
DECISIONS = [
    Decision(
        id=f"claim_{verdict.name.lower()}", statement=f"{verdict} <claim>", source="Table 1", predicted="+7.5 points",
        rule="direction: above 0", suite="ood", verdict=verdict, effect=-1.26, low=-2.0, high=-0.5, n=5, note="a note",
    )
    for verdict in Verdict
]  # fmt: skip


@contextmanager
def few() -> Iterator[None]:
    """Three suites, four claims."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "suites", lambda: OURS)
        patch.setattr(registry, "claims", lambda profile, options: DECISIONS)
        yield


@pytest.fixture
def small() -> Iterator[None]:
    with few():
        yield


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """The default runs of ``ood`` done, all but the last; one of them shared by a suite that shows rollouts."""
    root = tmp_path_factory.mktemp("here")
    given = dataclasses.replace(options(root), suite="")
    *most, _ = specs(dataclasses.replace(given, suite="ood"))
    for spec in most:
        make_done(root, spec)
    suite, shared = rollouts.Shows(), most[UNTRAINED]
    assert shared.method
    for spec in suite.runs(PROFILE, given):
        folder = make_done(root, spec, suite=suite)
        folder.write_samples(rollouts.EVALUATION, rollouts.records(60 if spec == shared else 0))
    return given


@pytest.fixture(scope="module")
def gathered(chosen: Options) -> Content:
    with few():
        return content.gather(PROFILE, chosen)


@pytest.fixture(scope="module")
def html(gathered: Content) -> str:
    return page.render(gathered)


@pytest.fixture(scope="module")
def parsed(html: str) -> Parsed:
    return Parsed(html)


def table(*lines: Line, columns: int = 1, **changes: Any) -> Table:
    given = {
        "name": "main",
        "title": "A title",
        "caption": "First. More of it.",
        "block_header": "trained on",
        "label_header": "method",
        "columns": tuple(Column(key=f"c{i}", header=f"column {i}, %") for i in range(columns)),
        "lines": lines,
    }
    return Table(**{**given, **changes})


def line(label: str, *cells: Cell, block: str = "coding", ranked: bool = True) -> Line:
    return Line(block=block, label=label, cells=cells, ranked=ranked)


def rendered(**changes: Any) -> str:
    """A page of one suite; changes are fields of the section."""
    section = Section(**{"anchor": "x", "name": "x", "title": "what it tests", "command": "dopd run", **changes})
    return page.render(
        Content(
            profile=PROFILE,
            source="runs",
            sections=(section,),
            leaderboard=None,
            claims=Decisions(reason="not available: none"),
            trajectories=Trajectories(reason="not available: none"),
            provenance=Provenance(),
        )
    )


@pytest.mark.slow
def test_html_is_nested_and_its_ids_are_unique(parsed: Parsed) -> None:
    ids = Counter(attributes["id"] for _, attributes in parsed.tags if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    assert len(ids) > 20


def test_every_reference_leads_to_an_id(parsed: Parsed) -> None:
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    named = [
        word
        for _, attributes in parsed.tags
        for name in ("aria-labelledby", "aria-describedby", "for")
        for word in attributes.get(name, "").split()
    ]
    linked = [a["href"].removeprefix("#") for a in parsed.all("a")]
    painted = re.findall(r"url\(#([^)]+)\)", " ".join(str(attributes) for _, attributes in parsed.tags))
    used = [use["xlink:href"].removeprefix("#") for use in parsed.all("use")]
    assert named and linked and painted and used
    assert {*named, *linked, *painted, *used} - ids == set()


def test_nothing_comes_from_outside(html: str, parsed: Parsed) -> None:
    assert not re.search(r"(?:https?:)?//\w", html.replace("// ", "")), "an address stands in the page"
    for _, attributes in parsed.tags:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#") and attributes.get("xlink:href", "#").startswith("#")
    assert not parsed.all("link") and not re.search(r"@import|url\((?!#)", html)


def test_policy_allows_this_script_and_these_styles_only(html: str, parsed: Parsed) -> None:
    (policy,) = [m["content"] for m in parsed.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    for tag, rule in (("script", "script-src"), ("style", "style-src-elem")):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]


def test_tables_have_captions_and_scopes(parsed: Parsed) -> None:
    inside = Counter(tag for (tag, _), path in zip(parsed.tags, parsed.paths, strict=True) if path[-1:] == ("table",))
    assert inside["caption"] == inside["thead"] == len(parsed.all("table")) > 5
    assert {th.get("scope") for th in parsed.all("th")} == {"col", "row", "rowgroup"}
    places = [(tag, path) for (tag, _), path in zip(parsed.tags, parsed.paths, strict=True)]
    lines = sum(tag == "tr" and path[-1:] == ("tbody",) for tag, path in places)
    assert lines == sum(tag == "th" and path[-2:] == ("tbody", "tr") for tag, path in places), "one header a line"


def test_pictures_are_named(parsed: Parsed) -> None:
    pictures = parsed.all("svg")
    assert len(pictures) > 3
    assert [p for p in pictures if p.get("role") != "img" or not p.get("aria-label")] == []
    figure7b = next(p["aria-label"] for p in pictures if p["aria-label"].startswith("Out of domain: "))
    assert "Marks are means, bars intervals, dots draws" in figure7b, "the caption is the alternative text"


def test_a_table_without_names_for_its_lines_has_no_empty_header() -> None:
    html = rendered(ours=Shelf(tables=(table(line("A", Cell(value=1.0), block=""), label_header="", block_header=""),)))
    assert not re.search(r"<th[^>]*></th>", html) and Parsed(html).text.count("A 1.0") == 1


def test_headings_go_down_one_level_at_a_time(parsed: Parsed) -> None:
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_landmarks_skip_link_and_language(parsed: Parsed) -> None:
    assert [len(parsed.all(tag)) for tag in ("main", "nav", "header", "footer")] == [1, 1, 1, 1]
    assert parsed.all("a")[0] == {"class": "skip", "href": "#main"}
    assert parsed.all("html") == [{"lang": "en"}]
    assert {field["id"] for field in parsed.all("input") + parsed.all("select")} <= {
        label["for"] for label in parsed.all("label")
    }


@pytest.mark.slow
def test_equal_rows_give_equal_bytes(small: None, chosen: Options, html: str, tmp_path: Path) -> None:
    paths = [web.write(tmp_path / name, PROFILE, chosen) for name in ("one", "two")]
    assert paths[0].read_bytes() == paths[1].read_bytes() == html.encode()


def test_no_folder_of_this_machine_stands_on_the_page(chosen: Options, html: str) -> None:
    assert str(chosen.results) not in html and str(Path.home()) not in html


def test_sections_say_what_they_show_or_why_not(gathered: Content, parsed: Parsed) -> None:
    ood, tuning, _ = gathered.sections
    assert ood.state == "49 of 50 runs" and ood.reason == ""
    assert tuning.reason == "none of its runs is done" and not tuning.ours.tables
    assert "Not available: none of its runs is done." in parsed.text
    assert "(partial: 49 of 50 runs" in parsed.text
    no_curves = "Not available: no suite of this source has rows of checkpoints before the last."
    assert ood.learning and no_curves not in parsed.text, "it asks at the early step too"
    assert no_curves in Parsed(rendered()).text


def test_suites_that_the_profile_cannot_run_are_not_listed(
    small: None, chosen: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = SUITES
    monkeypatch.setattr(
        registry, "suites", lambda: {name: known[name] for name in ("ablation", "phases", "robustness")}
    )
    profile = dataclasses.replace(PROFILE, parts={"ablation": Part(), "phases": Part()}, phases=())
    monkeypatch.setattr("suites.profiles.embedded.PROFILE", profile)
    assert [section.name for section in content.gather(profile, chosen).sections] == ["ablation"]


def test_the_papers_numbers_stand_apart(gathered: Content, html: str) -> None:
    ours, paper = gathered.sections[0].ours, gathered.sections[0].paper
    assert paper.figures == {} and [t.name for t in paper.without(ours).tables] == ["figure7b_paper"]
    (apart,) = html.split('<div class="theirs">')[1:]
    assert 'id="ood-paper-figure7b-paper"' in apart


def test_a_damaged_file_of_the_paper_is_named(small: None, chosen: Options, tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    bare = dataclasses.replace(chosen, published=tmp_path)
    section = content.gather(PROFILE, bare).sections[0]
    assert section.paper.reason.startswith("the paper's numbers results/paper/figure7b.csv are missing")
    assert section.reason.startswith("the paper's numbers results/"), "the suite's captions quote them"


def test_cells_tell_rank_shade_and_what_is_missing() -> None:
    cells = (
        Cell(value=52.14, half=2.0, n=3, rank=1, shade=Shade.ALL),
        Cell(value=-51.0, n=1, rank=2, shade=Shade.OVER_HALF, notes=("collapsed 1/1",)),
        Cell(missing="not run"),
    )
    html = rendered(ours=Shelf(tables=(table(line("A", *cells), columns=3, partial="2 of 3 runs done"),)))
    text = Parsed(html).text
    assert "52.1 (best) ± 2.0 (n=3) ● (all of the gap closed)" in text
    assert "−51.0 (second) (single run, collapsed 1/1) ◐ (over half of the gap closed)" in text
    assert '<td class="missing">not run</td>' in html and "A title (partial: 2 of 3 runs done)" in text
    assert "<strong>52.1</strong>" in html and "<u>−51.0</u>" in html


def test_labels_are_escaped() -> None:
    odd = "<b>&\"'"
    odd_table = table(line(odd, Cell(value=1.0, notes=(odd,)), block=odd), title=odd, caption=odd)
    html = rendered(title=odd, reason="", ours=Shelf(tables=(odd_table,)))
    assert '<b>&"' not in html and Parsed(html).text.count(odd) >= 5


def test_caption_shows_its_first_sentence_and_folds_the_rest() -> None:
    caption = "Greedy, 400 items at the last step (100); arXiv:2606.30626 by X. Yu. Collapsed runs are named. More."
    assert page.lead(caption) == "Greedy, 400 items at the last step (100); arXiv:2606.30626 by X. Yu."
    assert page.rest(caption) == "Collapsed runs are named. More."
    assert (page.lead("One."), page.rest("One.")) == ("One.", "")


def test_claims_are_shown_with_their_verdicts(parsed: Parsed) -> None:
    assert "1 ✓ reproduced 1 ✗ contradicted 1 ? undecided 1 – not run" in parsed.text
    assert (
        "reproduced <claim> ✓ reproduced −1.3 points −2.0 to −0.5 5 +7.5 points Table 1 direction: above 0; a note"
        in (parsed.text)
    )


def test_without_claims_and_rollouts_the_page_says_so(
    small: None, chosen: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(profile: object, options: object) -> list[Decision]:
        raise ModuleNotFoundError("no claims", name=registry.CLAIMS_MODULE)

    monkeypatch.setattr(registry, "claims", absent)
    text = Parsed(page.render(content.gather(PROFILE, dataclasses.replace(chosen, source="published")))).text
    assert "Not available: this version decides no claims." in text
    assert "Not available: no rollouts of the evaluation trajectory are published." in text
    assert text.count("Not available: it has not been published.") == 3
    assert "Not available: no suite has rows in this source." in text


def test_rollouts_are_chosen_half_wrong_and_escaped(gathered: Content, html: str, parsed: Parsed) -> None:
    shown = gathered.trajectories
    assert (len(shown.rollouts), shown.found) == (48, 60), "20 wrong ones, filled up with right ones"
    assert sum(not r.right for r in shown.rollouts) == 20
    assert "</script>" not in html.split("<main")[1].split("</main>")[0]
    assert "hints A . B k2 </script>" in parsed.text
    tokens = [b for b in parsed.all("button") if "token" in b.get("class", "")]
    assert len(tokens) == 48 * len(rollouts.WORDS)
    assert tokens[0]["data-gap"] == f"{abs(math.log(0.8 / 0.9)):.3f}"
    assert "A LH +3 LL k2 HT 7 HS , wrong <b> LH" in parsed.text


@pytest.mark.parametrize(
    ("wrong", "right", "kept"), [(30, 30, (12, 12)), (2, 30, (2, 22)), (30, 2, (22, 2)), (3, 4, (3, 4))]
)
def test_as_many_wrong_as_right_rollouts(wrong: int, right: int, kept: tuple[int, int]) -> None:
    made = [
        trajectory.Rollout(id=str(i), run="", step=0, prompt="", privileged="", right=i >= wrong, tokens=())
        for i in range(wrong + right)
    ]
    chosen = trajectory.chosen(made, most=24)
    assert (sum(not r.right for r in chosen), sum(r.right for r in chosen)) == kept
    assert chosen == sorted(chosen, key=lambda r: int(r.id))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regime": "XX"}, "record 1 of trajectory is no rollout (ValueError: 'XX' is not a valid Regime)"),
        ({"gap": "much"}, "record 1 of trajectory is no rollout (ValueError"),
        (None, "record 1 of trajectory is no rollout (KeyError: 'text')"),
    ],
)
def test_a_damaged_rollout_is_a_reason(
    small: None, tmp_path: Path, change: dict[str, Any] | None, message: str
) -> None:
    record = rollouts.records(1)[0]
    record["tokens"][0] = {**record["tokens"][0], **change} if change else {}
    path = tmp_path / "embedded" / "trajectory" / "trajectory.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    found = trajectory.load(PROFILE, Options(suite="", source="published", published=tmp_path))
    assert message in found.reason and found.rollouts == ()


def test_numbers_that_are_absent_are_dashes() -> None:
    token = trajectory.Token(text="x", regime=Regime.LL, gap=None, q_teacher=None, q_student=0.5, right=None)
    assert (page.fixed(token.gap), page.fixed(-0.001, 1), page.fixed(-1.26, 1)) == ("–", "0.0", "−1.3")


def test_leaderboard_ranks_within_blocks() -> None:
    lines = (
        line("Student", Cell(value=30.0), ranked=False),
        line("A", Cell(value=50.0, half=2.0, n=3, rank=2)),
        line("B", Cell(value=52.0, half=1.0, n=3, rank=1)),
        line("C", Cell(value=50.0, n=1, rank=2)),
        line("D", Cell(missing="not run")),
        line("E", Cell(value=60.0, rank=1), block="general"),
        line("F", Cell(value=40.0, rank=2), block="general"),
    )
    made = leaderboard.board(table(*lines))
    assert made is not None
    (first, entries), (second, _) = made.groups
    assert (first, second) == ("coding", "general")
    places = [(e.place, e.label) for e in entries]
    assert places[0] == (1, "B") and set(places[1:3]) == {(2, "A"), (2, "C")}
    assert places[3:] == [(None, "Student"), (None, "D")]
    assert (made.low, made.high) == (30.0, 60.0)
    b = entries[0]
    assert b.centre == pytest.approx(4 + 92 * 22 / 30) and b.ends == pytest.approx((4 + 92 * 21 / 30, 4 + 92 * 23 / 30))


def test_leaderboard_ranks_across_blocks_where_the_table_does() -> None:
    lines = (
        line("A", Cell(value=50.0), block="standard"),
        line("B", Cell(value=52.0, rank=2), block="standard"),
        line("C", Cell(value=53.0, rank=1), block="dual"),
    )
    made = leaderboard.board(table(*lines))
    assert made is not None
    ((block, entries),) = made.groups
    assert block == "" and [(e.place, e.label, e.block) for e in entries] == [
        (1, "C", "dual"), (2, "B", "standard"), (3, "A", "standard"),
    ]  # fmt: skip


def test_leaderboard_is_the_first_leading_suite_with_a_number() -> None:
    def section(name: str, value: float | None, *, leads: bool = True) -> Section:
        ours = Shelf(tables=(table(line("A", Cell(value=value))),))
        return Section(anchor=name, name=name, title="", ours=ours, leads=leads)

    sections = [section("analysis", 9.0, leads=False), section("empty", None), section("third", 5.0)]
    made = content.leaderboard_of(sections)
    assert made is not None and made.section.name == "third"
    assert content.leaderboard_of(sections[:2]) is None


def test_leaderboard_takes_the_ranked_column_and_needs_a_number() -> None:
    lines = (line("A", Cell(value=1e-4), Cell(value=5.0, rank=1)), line("B", Cell(value=2e-4), Cell(value=4.0, rank=2)))
    columns = (Column(key="rate", header="rate", kind=Kind.RATE), Column(key="score", header="score"))
    made = leaderboard.board(dataclasses.replace(table(*lines), columns=columns))
    assert made is not None and made.column.key == "score"
    assert leaderboard.board(table(line("A", Cell(missing="not run")))) is None


@pytest.mark.slow
def test_all_that_was_published_is_shown(small: None, tmp_path: Path) -> None:
    """Not only the suite's default selection; a suite is asked for no more than was published."""
    given = options(tmp_path, methods=("dopd", "sft", "vanilla_opd"), seeds=(0, 3), train_domains=("coding", "general"))
    for spec in specs(given):
        make_done(tmp_path, spec, scores=lambda spec, evaluation, metric: 0.5)
    publish.publish(SUITE, PROFILE, given)
    asked = Options(suite="ood", source="published", published=given.published)
    found = selection.as_published(SUITE, PROFILE, asked)
    assert (set(found.methods or ()), found.seeds, found.train_domains) == (
        {"dopd", "sft", "vanilla_opd"}, (0, 3), ("coding", "general"),
    )  # fmt: skip
    section = content.gather(PROFILE, asked).sections[0]
    assert section.state == "16 of 16 runs"
    nothing = dataclasses.replace(asked, published=tmp_path / "elsewhere")
    assert selection.as_published(SUITE, PROFILE, nothing) == nothing


def test_learning_curves_tell_settings_apart() -> None:
    small = Options(suite="ood", methods=("dopd",), seeds=(0, 1), train_domains=("coding",))
    runs = [spec for spec in SUITE.runs(PROFILE, small) if spec.method]
    other = [dataclasses.replace(s, data=dataclasses.replace(s.data, privilege="summary")) for s in runs]  # type: ignore[type-var]
    planned = {spec.id: spec for spec in (*runs, *other)}
    table = [
        dataclasses.replace(row, step=step, value=0.2 + step / 1000)
        for spec in planned.values()
        for row in rows(spec)
        if row.step == row.steps
        for step in ((200,) if row.benchmark.endswith("_hard") else (100, 200))
    ]
    figure = learning.learning_curves(row_frame(table), planned, "Curves")
    assert figure is not None
    words = {t.get_text() for ax in figure.axes for t in ax.texts}
    assert {"DOPD, privilege=hints", "DOPD, privilege=summary"} <= words
    panels = [ax.get_title() for ax in figure.axes]
    assert panels == [f"permutations_{domain}" for domain in ("general", "reasoning", "coding")], (
        "only what is asked along"
    )
    mine = [row for row in table if row.run in {spec.id for spec in runs}]
    alone = learning.learning_curves(row_frame(mine), planned, "Curves")
    assert alone is not None and {ax.lines[0].get_color() for ax in alone.axes} == {SUBJECT.colour}, "as everywhere"
    last = [row for row in table if row.step == 200]
    assert learning.learning_curves(row_frame(last), planned, "Curves") is None
    assert learning.learning_curves(row_frame([]), {}, "Curves") is None


def test_provenance_names_each_run_once(gathered: Content, parsed: Parsed) -> None:
    runs = gathered.provenance.runs
    assert len(runs) == len({run.id for run in runs}) == RUNS
    assert len(gathered.provenance.done) == RUNS - 1 and runs[-1].state == "absent" and runs[-1].environments == ()
    assert runs[0].method == "reference" and runs[0].seed is None
    shared, next_one = runs[UNTRAINED : UNTRAINED + 2]
    assert shared.environments == ("E1",)
    assert shared.suites == ("ood", "trajectory") and next_one.suites == ("ood",)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", gathered.provenance.newest)
    assert f"{shared.id} {shared.method}" in parsed.text


def test_provenance_of_published_suites_names_what_each_run_was_made_in(tmp_path: Path) -> None:
    def environment(commit: str, *runs: str) -> dict[str, Any]:
        machine = {"processor": "p", "cores": 2, "system": "Linux", "architecture": "x"}
        versions = {"python": "3.11"}
        return {"runs": runs, "commit": commit * 40, "dirty": False, "machine": machine, "versions": versions}

    planned = {spec.id: spec for spec in specs(Options(suite="ood"))[2:5]}
    first, second, third = planned
    lines = [
        {"run": run, "state": "done", "tokens": 1.0, "train_seconds": float("nan"), "lr": 1e-4}
        for run in (first, second)
    ] + [{"run": third, "state": "absent", "tokens": None, "train_seconds": None, "lr": 1e-4}]
    written = [environment("a", first, third), environment("b", second, first)]
    files.write_text_atomic(tmp_path / "environments.json", json.dumps(written))
    made = provenance.published_environments(tmp_path)
    one = provenance.Shown(name="one", specs=planned, costs=lines, environments=made)
    two = provenance.Shown(name="two", specs=planned, costs=lines[:1], environments=made)
    found = provenance.provenance([one, two], Options(suite="", source="published"))
    assert [run.environments for run in found.runs] == [("E1", "E2"), ("E2",), ()], "a run that is not shown has none"
    assert found.runs[0].suites == ("one", "two") and found.runs[0].seconds is None
    assert found.newest == ""
    assert [e.commit for e in found.environments] == ["a" * 10, "b" * 10]


def test_the_page_says_what_other_code_made(tmp_path: Path) -> None:
    chosen = dataclasses.replace(options(tmp_path), suite="ood")
    runs = {spec.id: spec for spec in specs(chosen)[:3]}
    lines = [{"run": run, "state": "done", "tokens": 1.0, "train_seconds": 2.0} for run in runs]
    made = dict(zip(runs, (MadeBy.THIS, MadeBy.OTHER, MadeBy.THIS), strict=True))
    one = provenance.Shown(name="one", specs=runs, costs=lines, environments={}, made=made)
    shown = [one, dataclasses.replace(one, name="two", made={})]
    found = provenance.provenance(shown, chosen)
    assert [run.standing for run in found.runs] == ["done", "done, other code", "done"]
    assert [content._state(each) for each in shown] == ["3 of 3 runs, 1 made by other code", "3 of 3 runs"]


def test_environments_that_only_count_their_runs_are_refused(tmp_path: Path) -> None:
    files.write_text_atomic(tmp_path / "environments.json", json.dumps([{"runs": 12}]))
    with pytest.raises(HarnessError, match=r"does not name its runs.*publish the suite again"):
        provenance.published_environments(tmp_path)
    assert provenance.published_environments(tmp_path / "nothing") == {}


@pytest.mark.parametrize("regime", list(Regime))
def test_tokens_can_be_read(regime: Regime) -> None:
    """Contrast of 4.5 at least (WCAG 2.2, 1.4.3); and an underline of its own for who sees no colour."""
    styles = (page.FOLDER / page.STYLES).read_text(encoding="utf-8")
    ground, ink = re.findall(rf"\.{regime} \{{ background: (#\w{{6}}); color: (#\w{{6}}); \}}", styles)[0]
    light, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    lines = re.findall(r"\.(?:LH|LL|HT|HS) span \{ text-decoration: underline (\w+)", styles)
    assert len(set(lines)) == len(Regime)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_figure_becomes_a_small_drawing_and_stays_as_it_was() -> None:
    looks = [Look(colour=COLOURS[0], hatch=hatch) for hatch in HATCHES]
    bars = tuple(Bar(label=f"m{i}", mean=float(i + 1), look=look) for i, look in enumerate(looks))
    panel = Panel(title="g", groups=(Group(title="", bars=bars),))
    figure = lying_bars([panel], title="Its <title>", axis="%", caption="One. Two & three.")
    before = [t.get_visible() for t in figure.texts]
    made = svg.drawing(figure, "anchor")
    assert [t.get_visible() for t in figure.texts] == before
    assert (made.title, made.caption) == ("Its <title>", "One. Two & three.")
    assert len(made.svg) < 60_000, (
        "hatches of circles are hundreds of thousand characters long as matplotlib writes them"
    )
    assert "Its &lt;title&gt;. One. Two &amp; three." in made.svg
    assert made.svg.count("Two &amp; three") == 1, "the caption stands in the page, not in the drawing"
    assert ">m0<" in made.svg, "words are text"
    assert not re.search(r"<metadata|<style|http|\bid=\"(?!anchor-)", made.svg)
    assert svg.drawing(figure, "anchor") == made


def test_command_writes_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "SUITES_MODULE", "support.fakes")
    monkeypatch.setattr(registry, "PROFILES_MODULE", "support.fakes")
    monkeypatch.setattr(registry, "claims", lambda profile, options: DECISIONS)
    make_done(tmp_path, fakes.spec(), suite=fakes.FakeSuite())
    words = ["report", "--output", str(tmp_path / "page"), "--profile", "fake", "--results", str(tmp_path)]
    assert verbs.main(words) == 0
    assert "index.html" in capsys.readouterr().out
    Parsed((tmp_path / "page" / "index.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_published_report_fits_the_repository(tmp_path: Path) -> None:
    path = web.write(tmp_path, registry.profile("embedded"), Options(suite="", source="published"))
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < LARGEST
    assert str(PUBLISHED.parent) not in html
    ids = Counter(attributes["id"] for _, attributes in Parsed(html).tags if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    assert re.search(r"\d+ of \d+ runs", html)
