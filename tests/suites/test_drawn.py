"""Tables and captions of a profile with draws: the draw is the unit, its student is its own, and words say so."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from support import synthetic
from support.drawn_world import FIVE, PROFILE

from harness import registry
from harness.analysis import answers, results, statistics
from harness.analysis.claims import Direction, Verdict
from harness.config import RunSpec
from harness.report.web import learning
from harness.show.tables import Table, to_markdown
from harness.suite import Evaluation, Options
from harness.types import HarnessError
from harness.worlds import WORLDS
from suites.continual import Continual
from suites.in_distribution import InDistribution
from suites.kit.arms import ArmScores
from suites.methods import EveryMethod
from suites.ood import OutOfDomain
from suites.profiles import PROFILES
from suites.stability import Stability
from suites.tuning import Tuning

OPTIONS = Options(suite="in_distribution", profile="drawn", methods=("vanilla_opd", "dopd"), seeds=(0, 1, 2, 3))
STUDENTS, TEACHERS = {0: 0.40, 1: 0.20, 9: 0.3}, {0: 0.60, 1: 0.60, 9: 0.6}
"""By draw."""
GAINS = {"vanilla_opd": {0: 0.1, 1: 0.2, 2: 0.2, 3: 0.2}, "dopd": {0: 0.2, 1: 0.4, 2: 0.2, 3: 0.2}}
"""By method and seed; seeds 0 and 2 are of draw 0."""


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "drawn", "support.drawn_world:DrawnWorld")
    monkeypatch.setitem(PROFILES, "drawn", "support.drawn_world:PROFILE")
    monkeypatch.setitem(PROFILES, "drawn_five", "support.drawn_world:FIVE")


def score(spec: RunSpec, _: Evaluation, __: str) -> float:
    assert spec.data is not None and spec.data.draw is not None
    student = STUDENTS[spec.data.draw]
    if spec.method is None:
        return student if spec.student.name.startswith("student") else TEACHERS[spec.data.draw]
    return student + GAINS[spec.method.name].get(spec.seed, 0.1)


def scores(suite: Any = None, **changes: Any) -> ArmScores:
    suite = suite or InDistribution()
    options = dataclasses.replace(OPTIONS, suite=suite.name, **changes)
    return suite.scores(*synthetic.frames(options, score, suite=suite, profile=PROFILE), options)


def cells(table: Table, label: str) -> dict[str, Any]:
    (line,) = (line for line in table.lines if line.label == label)
    return dict(zip((column.key for column in table.columns), line.cells, strict=True))


def test_a_table_by_hand() -> None:
    """DOPD: draw 0 (0.60 + 0.60) / 2, draw 1 (0.60 + 0.40) / 2; mean 55. Gains within a draw: 20 and 30; of the way
    100 % and 75 %. Vanilla: 55 and 40, so DOPD is 5 and 10 above."""
    table = InDistribution().tables_of(scores())[0]
    dopd, vanilla = cells(table, "DOPD"), cells(table, "Vanilla OPD")
    assert (dopd["score"].value, dopd["score"].n, dopd["score"].unit) == (pytest.approx(55), 2, "draw")
    assert dopd["gain"].value == pytest.approx(25) and dopd["gain"].n == 2
    assert dopd["gain"].half == pytest.approx(12.7062 * 5, abs=1e-2)
    assert dopd["recovery"].value == pytest.approx(87.5)
    assert dopd["difference"].value == pytest.approx(7.5) and dopd["difference"].n == 2
    assert vanilla["score"].value == pytest.approx(47.5)
    student = cells(table, "Student")["score"]
    assert (student.value, student.n, student.unit, student.notes) == (pytest.approx(30), 2, "draw", ())


def test_captions_say_draws() -> None:
    table = InDistribution().tables_of(scores())[0]
    text = to_markdown(table)
    assert "draws 0, 1 (seeds 0, 1, 2, 3; those of a draw are averaged first)" in text
    assert "t interval over draws" in text and "differences are paired by draw" in text
    assert "n = 2 draws unless said." in text and "over seeds" not in text and "fixed weights" not in text


def test_a_single_draw_is_named() -> None:
    text = to_markdown(InDistribution().tables_of(scores(seeds=(0, 2)))[0])
    assert "Single draws unless said." in text and "single run" not in text


def test_what_is_missing_of_a_draw_is_counted() -> None:
    options = dataclasses.replace(OPTIONS)
    runs = InDistribution().runs(PROFILE, options)
    lost = [spec for spec in runs if spec.method and spec.method.name == "dopd" and spec.seed == 2]
    frames = synthetic.frames(options, score, skip=lost, suite=InDistribution(), profile=PROFILE)
    cell = InDistribution().scores(*frames, options).cell("dopd", [*scores().inside])
    assert (cell.n, cell.notes) == (2, ("1 of 4 not run",))
    assert cell.value == pytest.approx(55)  # draw 0 has its other seed


@pytest.mark.parametrize("suite", [InDistribution, OutOfDomain, Continual, Stability, EveryMethod])
def test_no_caption_speaks_of_seeds(suite: Any) -> None:
    """Seeds are named where they are run, and nowhere as what is repeated."""
    found = scores(suite())
    tables = suite().tables_of(found)
    assert len(tables) > 0
    for table in (each for each in tables if each.name != "variance"):  # which is about seeds
        assert "over seeds" not in table.caption and "by seed" not in table.caption, table.name
        assert all(cell.unit == "draw" for line in table.lines for cell in line.cells if cell.n), table.name


def test_untrained_models_of_every_draw_are_averaged() -> None:
    found = scores()
    student, teacher = found.suite.models(PROFILE).values()
    assert found.reference_values(student, found.inside) == {0: pytest.approx(0.4), 1: pytest.approx(0.2)}
    assert found.reference(student, found.inside) == pytest.approx(30)
    assert found.ends("dopd", found.inside) == (pytest.approx(30), pytest.approx(60))
    assert found.reference(teacher, found.inside) == pytest.approx(60)


def test_rates_are_tuned_on_the_development_draw() -> None:
    profile = dataclasses.replace(PROFILE, learning_rates=(1e-4, 1e-3))
    runs = Tuning().runs(profile, dataclasses.replace(OPTIONS, suite="tuning", seeds=(0, 1)))
    assert {spec.data.draw for spec in runs if spec.data} == {9} and {spec.seed for spec in runs} == {1000, 1001}


def test_a_claim_counts_draws() -> None:
    claim = registry.resolve("suites.paper.claims_of_language:CLAIMS", "claims")[0]
    from harness.analysis.claims import decide

    made = decide(dataclasses.replace(claim, rule=Direction()), {"x": {0: 1.0, 1: 1.1, 2: 0.9}}, "draws")
    assert (made.verdict, made.n, made.over) == (Verdict.REPRODUCED, 3, "draws")
    assert made.rule == "direction: the 95 % t interval over draws lies above 0"


def test_rows_of_a_drawn_profile_are_read(tmp_path: Any) -> None:
    chosen = dataclasses.replace(OPTIONS, results=tmp_path)
    for spec in InDistribution().runs(PROFILE, chosen):
        synthetic.make_done(tmp_path, spec, score, InDistribution())
    rows, costs = results.load("runs", InDistribution(), PROFILE, chosen)
    assert sorted(set(rows["draw"])) == [0, 1] and set(costs["state"]) == {"done"}


def right(spec: RunSpec, evaluation: Evaluation) -> list[int]:
    """Six items: one is right in vanilla OPD; DOPD has as many more as its seed's place in its draw and its draw say:
    seeds 0 to 4 the draw's number, but at most 4, seeds 5 to 9 none."""
    assert spec.data is not None and spec.data.draw is not None
    more = spec.data.draw if spec.method and spec.method.name == "dopd" and spec.seed < 5 else 0
    return [1] + [int(i < more) for i in range(5)]


def test_items_are_drawn_within_a_draw(tmp_path: Any) -> None:
    """DOPD minus vanilla, of 2 benchmarks with 6 items: draw d has d more in one of its two seeds, so d / 12."""
    suite = InDistribution()
    chosen = dataclasses.replace(OPTIONS, profile="drawn_five", results=tmp_path, seeds=tuple(range(10)))
    for spec in suite.runs(FIVE, chosen):
        synthetic.make_answered(tmp_path, spec, right, suite)
    _, table, _ = suite.tables(*results.load("runs", suite, FIVE, chosen), chosen)
    found = cells(table, "DOPD")
    shares = {d: [0.0] + [0.5 * (i < d) for i in range(5)] for d in range(5)}
    wanted = statistics.bootstrap_t({d: share * 2 for d, share in shares.items()}, nested=True)
    assert found["difference"].value == pytest.approx(100 * 2 / 12) and found["difference"].n == 5
    assert (found["items"].value, found["differing"].value) == (60, 2 * (1 + 2 + 3 + 4))
    assert wanted.low is not None and found["any_low"].value == pytest.approx(100 * wanted.low)
    assert (found["any_low"].n, found["any_low"].unit) == (5, "draw")
    assert "items drawn again within each" in table.caption and "any items" not in table.heading


def test_items_of_two_draws_may_differ_and_of_one_may_not(tmp_path: Any) -> None:
    ids = {0: "a", 1: "b"}
    suite = InDistribution()
    frame, _ = synthetic.frames(OPTIONS, score, suite=suite, profile=PROFILE)
    shown = results.records(results.primary(frame))
    rows = [row for row in shown if row["method"] == "dopd" and row["benchmark"] == PROFILE.benchmarks[0]]
    assert len(rows) == 4

    def made(row: Any, items: str) -> answers.Answers:
        right = tuple(i < round(row["value"] * row["n"]) for i in range(row["n"]))
        return answers.Answers(run=row["run"], benchmark=row["benchmark"], version=1, items=items, right=right)

    answers.check([made(row, ids[row["draw"]]) for row in rows], frame)
    with pytest.raises(HarnessError, match="was asked with other items"):
        answers.check([made(row, str(row["seed"])) for row in rows], frame)


def test_what_is_the_draws_is_shown_where_seeds_repeat_it() -> None:
    """DOPD: draw 0 60, 60, draw 1 60, 40: within 200 / 2 = 100, between 2 (25 + 25) = 100: none is the draws'."""
    _, _, table = InDistribution().tables_of(scores())
    assert table.name == "variance" and [line.block for line in table.lines] == ["score", "score", "minus baseline"]
    dopd = {line.block: line.cells for line in table.lines if line.label == "DOPD"}["score"]
    assert [cell.value for cell in dopd] == [
        pytest.approx(0, abs=1e-4),
        pytest.approx(10),
        pytest.approx(0, abs=1e-4),
        2,
        4,
    ]
    assert "seed by seed" in table.caption
    assert len(InDistribution().tables_of(scores(seeds=(0, 1)))) == 2


def test_some_methods_run_each_draw_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROFILE.draws is not None
    profile = dataclasses.replace(PROFILE, draws=dataclasses.replace(PROFILE.draws, twice=("dopd",)))
    monkeypatch.setattr("support.drawn_world.PROFILE", profile)
    suite, options = InDistribution(), dataclasses.replace(OPTIONS, seeds=None)
    monkeypatch.setattr(suite, "seeds", (0, 1))
    specs = {arm.key: list(arm.specs) for arm in suite.arms(profile, options)}
    assert specs == {"vanilla_opd": [0, 1], "dopd": [0, 1, 2, 3]}
    assert {key: len(arm.specs) for key, arm in zip(specs, suite.arms(profile, OPTIONS), strict=True)} == {
        "vanilla_opd": 4,
        "dopd": 4,
    }, "what is asked for is run"
    found = suite.scores(*synthetic.frames(options, score, suite=suite, profile=profile), options)
    main, _, parts = suite.tables_of(found)
    assert "(seeds 0, 1, DOPD also 2, 3; those of a draw are averaged first)" in main.caption
    assert cells(main, "DOPD")["difference"].n == 2 and [line.label for line in parts.lines] == ["DOPD"]


def test_learning_curves_are_one_line_over_draws() -> None:
    """DOPD at the end: draw 0 60 and 60, draw 1 60 and 40; as four seeds the mean would be the same, the n not."""
    specs = [spec for spec in Stability().runs(PROFILE, OPTIONS) if spec.method and spec.method.name == "dopd"]
    assert len({learning.setting(spec) for spec in specs}) == 1
    rows = [row for spec in specs for row in synthetic.rows(spec, score, Stability())]
    figure = learning.learning_curves(results.row_frame(rows), {spec.id: spec for spec in specs}, "Curves")
    assert figure is not None
    words = " ".join(text.get_text() for text in figure.texts)
    assert "t interval over draws; a single draw has none" in " ".join(words.split())


def test_a_run_as_it_is_in_every_draw() -> None:
    runs = [run for run in InDistribution().runs(PROFILE, OPTIONS) if run.method and run.method.name == "dopd"]
    first, second, *_ = runs
    general = PROFILE.of_all_draws(first)
    assert (general.student, general.teacher, general.data and general.data.draw) == (
        PROFILE.student,
        PROFILE.teacher,
        None,
    )
    assert dataclasses.replace(PROFILE.of_all_draws(second), seed=0) == general
