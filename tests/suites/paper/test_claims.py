"""Rules of claims on values with known answers; the list of claims on synthetic rows, some of which contradict it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.synthetic import PROFILE, UNDRAWN, frames, is_student, make_done, options

from harness import registry
from harness.analysis.claims import Claim, Decision, Direction, Equivalence, Order, Rule, Verdict, decide
from harness.cli import verbs
from harness.config import RunSpec
from harness.report import publish
from harness.show.tables import to_csv
from harness.show.verdicts import claims_table, effect_text, summary
from harness.suite import Evaluation, Options
from harness.types import Corruption, HarnessError
from suites.paper.claims import ELSEWHERE, place_of, places_of
from suites.paper.claims_of_language import CLAIMS
from suites.paper.orders import first_best
from suites.profiles import PROFILES

SPREAD = (-0.6, -0.2, 0.0, 0.3, 0.5)


def around(mean: float, spread: float = 1.0, seeds: int = 5) -> dict[int, float]:
    """Values by seed with exactly this mean."""
    moves = [spread * move for move in SPREAD[:seeds]]
    return {seed: mean + move - sum(moves) / seeds for seed, move in enumerate(moves)}


def claim(rule: Rule) -> Claim:
    return Claim(id="x", statement="a is so", source="Table 0", suite="ood", rule=rule, values=lambda scores: {})


def pair(names: Sequence[str]) -> list[tuple[str, str]]:
    return [("a", "b")]


def above(names: Mapping[str, float]) -> bool:
    return names["a"] > names["b"]


@pytest.mark.parametrize(
    ("mean", "verdict"), [(1.0, "reproduced"), (-1.0, "contradicted"), (0.1, "undecided"), (-0.1, "undecided")]
)
def test_direction_is_decided_by_the_interval(mean: float, verdict: str) -> None:
    found = decide(claim(Direction()), {"d": around(mean)})
    assert found.verdict == verdict and found.effect == pytest.approx(mean) and found.n == 5
    # Deviation 0.4301, t(4) = 2.776: half-width 0.534.
    assert found.low == pytest.approx(mean - 0.534, abs=1e-3) and found.high == pytest.approx(mean + 0.534, abs=1e-3)
    assert (found.note == "") == (verdict != "undecided")
    if verdict == "undecided":
        assert found.note.startswith("detectable with 80 % power: 0.7")


@pytest.mark.parametrize(
    ("mean", "margin", "verdict"),
    [(0.1, 1.0, "reproduced"), (-0.1, 1.0, "reproduced"), (2.0, 1.0, "contradicted"), (-2.0, 1.0, "contradicted")],
)
def test_equivalence_by_two_one_sided_tests(mean: float, margin: float, verdict: str) -> None:
    assert decide(claim(Equivalence(margin=margin)), {"d": around(mean)}).verdict == verdict


def test_a_noisy_difference_is_not_negligible() -> None:
    """No evidence of a difference is no evidence of none."""
    found = decide(claim(Equivalence(margin=1.0)), {"d": around(0.1, spread=4.0)})
    assert found.verdict is Verdict.UNDECIDED and found.low is not None and found.low < 0
    # The 90 % interval decides, not the 95 % one: half-widths 0.410 and 0.534.
    assert decide(claim(Equivalence(margin=0.6)), {"d": around(0.15)}).verdict is Verdict.REPRODUCED


@pytest.mark.parametrize(("gap", "verdict"), [(1.2, "reproduced"), (-2.0, "contradicted"), (0.05, "undecided")])
def test_order_by_bootstrap_draws(gap: float, verdict: str) -> None:
    values = {"a": {s: v + gap for s, v in around(0.0).items()}, "b": {s: -v for s, v in around(0.0).items()}}
    found = decide(claim(Order(statement="a above b", holds=above, pairs=pair)), values)
    assert found.verdict == verdict and found.unit == "points"
    # a - b moves by twice the spread: half-width 2 × 0.534.
    assert found.effect == pytest.approx(gap) and found.low == pytest.approx(gap - 1.068, abs=1e-3)
    assert found.note.startswith("effect: a - b; holds in ") and f"means: a {gap:.1f}" in found.note
    assert ("detectable with 80 % power" in found.note) == (verdict == "undecided")


def test_an_order_needs_every_comparison_and_not_only_the_draws() -> None:
    """Five seeds that agree in sign hold in nearly every draw; a t test of the weakest comparison says how little."""
    rival = dict(enumerate((0.1, 0.9, 0.2, 1.5, 0.2)))
    values = {"a": dict.fromkeys(range(5), 0.0), "b": {s: -v for s, v in rival.items()}, "c": around(-9.0)}
    rule = Order(
        statement="a is best", holds=lambda m: m["a"] > max(m["b"], m["c"]), pairs=lambda n: [("a", "b"), ("a", "c")]
    )
    found = decide(claim(rule), values)
    assert "effect: a - b; holds in 100 % of draws" in found.note
    assert found.low is not None and found.low < 0 < (found.effect or 0) and found.verdict is Verdict.UNDECIDED
    firm = values | {"b": around(-2.0)}
    assert decide(claim(rule), firm).verdict is Verdict.REPRODUCED


def test_small_effects_keep_their_sign() -> None:
    found = decide(claim(Direction()), {"d": around(0.53)})
    assert effect_text(found) == "+0.53 [-0.00, +1.06]"
    assert effect_text(decide(claim(Direction()), {"d": around(1.0)})) == "+1.0 [+0.5, +1.5]"


@pytest.mark.slow
def test_rows_of_other_settings_decide_nothing(tmp_path: Path) -> None:
    chosen = options(tmp_path, seeds=(0, 1, 2))
    suite = registry.suite("ood")
    for spec in suite.runs(PROFILE, chosen):
        make_done(tmp_path, spec)
    publish.publish(suite, PROFILE, chosen)
    other = replace(chosen, suite="all", source="published", steps=50)
    found = {d.id: d for d in registry.claims(PROFILE, other)}["ood_coding_reasoning"]
    assert found.verdict is Verdict.NOT_RUN and "published under other settings only" in found.note


def test_damaged_rows_are_an_error_and_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "embedded" / "ood" / "rows.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(HarnessError, match="line 1 is of another schema"):
        registry.claims(PROFILE, Options(suite="all", source="published", published=tmp_path))


def test_a_claimed_optimum_among_equals_is_not_contradicted() -> None:
    """Of nine equal arms a named one is seldom the best in a draw: that alone says nothing."""
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(9, 5))
    arms = {f"arm {i}": dict(enumerate(noise[i].tolist())) for i in range(9)}
    worst_first = dict(sorted(arms.items(), key=lambda item: sum(item[1].values())))
    rule = first_best("best")
    found = decide(claim(rule), worst_first)
    assert "holds in 0 % of draws" in found.note and found.verdict is Verdict.UNDECIDED
    beaten = worst_first | {"arm 9": {seed: value + 9 for seed, value in worst_first["arm 0"].items()}}
    assert decide(claim(rule), beaten).verdict is Verdict.CONTRADICTED


def test_too_few_seeds_or_a_reason_is_not_run() -> None:
    rule = claim(Direction())
    assert decide(rule, "no rows").note == "no rows" and decide(rule, "no rows").verdict is Verdict.NOT_RUN
    few = decide(rule, {"d": around(9.0, seeds=2)})
    assert few.verdict is Verdict.NOT_RUN and few.note == "2 common seeds, 3 are needed; too few of d"
    assert decide(rule, {}).verdict is Verdict.NOT_RUN
    apart = {"a": around(1.0), "b": {seed + 3: value for seed, value in around(0.0).items()}}
    order = decide(claim(Order(statement="a above b", holds=above, pairs=pair)), apart)
    assert order.verdict is Verdict.NOT_RUN and "2 common seeds" in order.note and "all together" in order.note


def test_ids_are_unique_and_suites_known_or_named() -> None:
    ids = [each.id for each in CLAIMS]
    assert len(set(ids)) == len(ids) > 40
    assert {each.suite for each in CLAIMS} <= set(registry.suites())


@pytest.mark.slow
def test_every_claim_finds_its_arms_in_the_default_plan(tmp_path: Path) -> None:
    """With synthetic rows of everything each claim is decided: none names an arm that its suite does not run."""
    decisions = decided(tmp_path, lambda name: 0.5 + 0.01 * len(name))
    assert [d.id for d in decisions if d.verdict is Verdict.NOT_RUN] == []


def decided(root: Path, mean: object) -> list[Decision]:
    """Claims over rows in which a method's share is ``mean`` of its name."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(each.suite for each in CLAIMS):
        suite: Any = registry.suite(name)
        chosen = suite.wholly(Options(suite=name, results=root, published=root / "published"))
        rows, costs = frames(chosen, lambda spec, e, metric: share(spec, e, metric, mean), suite=suite)
        found[name] = suite.scores(rows, costs, chosen)
    return [decide(each, each.values(found[each.suite])) for each in CLAIMS]


def share(spec: RunSpec, evaluation: Evaluation, metric: str, mean: object) -> float:
    assert callable(mean)
    base = mean(spec.method.name) if spec.method else 0.4 if is_student(spec) else 0.8
    return min(1.0, base + 0.001 * ((3 * spec.seed + len(evaluation.benchmark)) % 7 - 3))


@pytest.mark.slow
@pytest.mark.parametrize(("dopd", "verdict"), [(0.7, Verdict.REPRODUCED), (0.4, Verdict.CONTRADICTED)])
def test_rows_that_contradict_are_said_to_contradict(tmp_path: Path, dopd: float, verdict: Verdict) -> None:
    by_id = {d.id: d for d in decided(tmp_path, lambda name: dopd if name == "dopd" else 0.55)}
    for name in ("main_gain", "beats_standard", "beats_self", "beats_adaptive", "ood_coding_reasoning"):
        assert by_id[name].verdict is verdict, name
    assert by_id["main_gain"].effect == pytest.approx(100 * (dopd - 0.55), abs=0.5)


@pytest.mark.slow
def test_nothing_that_a_claim_reads_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_done(tmp_path, replace(registry.suite("ood").runs(PROFILE, options(tmp_path))[-1], seed=99), lambda *_: 0.5)
    assert verbs.main(["claims", "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"0 reproduced, 0 contradicted, 0 undecided, {len(CLAIMS)} not run" in shown
    written = (tmp_path / "reports" / "embedded" / "claims" / "claims.md").read_text(encoding="utf-8")
    assert "DOPD beats vanilla OPD" in written and "no run of the suite is done" in written


def test_the_table_says_what_was_claimed_and_found() -> None:
    made = decide(CLAIMS[0], {"d": around(1.0)})
    table = claims_table([made], "embedded")
    assert table.title.endswith("1 reproduced, 0 contradicted, 0 undecided, 0 not run")
    cells = dict(zip([c.key for c in table.columns], table.lines[0].cells, strict=True))
    assert cells["verdict"].words == "reproduced" and cells["effect"].value == pytest.approx(1.0)
    assert cells["predicted"].words == "+7.5 points" and cells["n"].value == 5
    assert cells["written"].words == "before its rows"
    late = claims_table([decide(replace(CLAIMS[0], late=True), {"d": around(1.0)})], "embedded", "--seeds 3")
    assert "after its rows" in [cell.words for cell in late.lines[0].cells]
    assert late.caption.startswith("Selection: --seeds 3. ")
    (record,) = csv.DictReader(io.StringIO(to_csv(table)))
    assert (record["verdict"], record["unit"], record["predicted"]) == ("reproduced", "points", "+7.5 points")
    assert "verdict_note" not in record
    assert summary([made], "embedded").row_count == 1


def test_a_claim_says_where_in_the_diagram_it_is_decided(tmp_path: Path) -> None:
    """By hand: Table 1 stands at the default pair; robustness trains other pairs too; other p is in no diagram."""
    profile = registry.profile("embedded")
    places = {
        name: places_of(name, profile, Options(suite=name, profile=profile.name, results=tmp_path))
        for name in ("in_distribution", "robustness", "privileged_input")
    }
    default = "s = 0.05, calibrated, hints right"
    assert places["in_distribution"] == default
    assert set(places["robustness"].split("; ")) == {
        default, ELSEWHERE, "s = 0.05, calibrated, 75 % of hints right", "s = 0.05, calibrated, 50 % of hints right",
    }  # fmt: skip
    assert set(places["privileged_input"].split("; ")) == {default, ELSEWHERE}
    (spec, *_) = [
        each
        for each in registry.suite("phases").runs(profile, Options(suite="phases", profile=profile.name))
        if each.data and each.data.corrupted == 0.5
    ]
    assert place_of(profile, spec) == "s = 0.05, calibrated, 50 % of hints right"
    assert spec.data
    shuffled = replace(spec, data=replace(spec.data, corruption=Corruption.SHUFFLED_STEPS))
    assert place_of(profile, shuffled) == ELSEWHERE


def test_without_a_diagram_no_claim_has_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROFILES, UNDRAWN.name, "support.synthetic:UNDRAWN")
    decided = registry.claims(UNDRAWN, options(tmp_path, profile=UNDRAWN.name))
    assert len(decided) == len(CLAIMS) and {each.place for each in decided} == {""}
    assert "place" not in [column.key for column in claims_table(decided, "embedded").columns]
    placed = claims_table([replace(decided[0], place="here"), *decided[1:]], "embedded")
    assert [
        cell.words for cell, column in zip(placed.lines[0].cells, placed.columns, strict=True) if column.key == "place"
    ] == ["here"]
    assert all(len(line.cells) == len(placed.columns) for line in placed.lines)
