"""Claims name roles: under a profile whose models, domains and benchmarks have other names, all are decided."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.synthetic import PROFILE, frames

from harness import registry
from harness.analysis import results
from harness.analysis.claims import Claim, Decision, Direction, Order, Verdict
from harness.config import DataSpec, ModelSpec, OptimSpec, RunSpec
from harness.profile import Ladder, Profile
from harness.suite import Evaluation, Options
from harness.types import Privilege
from suites import profiles
from suites.paper import claims
from suites.paper.orders import rising
from suites.paper.roles import cast, played, roles

DOMAINS = ("law", "chess", "verse")
RUNGS = ("ant", "bee", "cat", "dog", "elk")
OTHER = Profile(
    name="other",
    student=ModelSpec(name="bee"),
    teacher=ModelSpec(name="dog"),
    ladder=Ladder(
        models={name: ModelSpec(name=name) for name in RUNGS},
        pairs=(("elk", "ant"), ("dog", "ant"), ("bee", "ant"), ("elk", "bee"), ("dog", "bee")),
        erring=("ant", "bee"),
        ratio="Ratio: of legs.",
    ),
    data=DataSpec(world="other", domains=DOMAINS),
    optim=OptimSpec(lr=1e-4),
    steps=50,
    prompts_per_step=4,
    max_response_tokens=16,
    benchmarks=tuple(f"exam_{domain}" for domain in DOMAINS),
    targets={domain: f"exam_{domain}" for domain in DOMAINS},
    directions=("chess", "law"),
    privileges={each.value: each.value for each in Privilege},
    seconds_per_step=1.0,
    seconds_per_evaluation=1.0,
)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(profiles.PROFILES, "other", f"{__name__}:OTHER")


def share(spec: RunSpec, evaluation: Evaluation, metric: str) -> float:
    """Longer names of methods do better, and seeds differ."""
    base = 0.5 + 0.01 * len(spec.method.name) if spec.method else 0.4 if spec.student == OTHER.student else 0.8
    return base + 0.001 * ((3 * spec.seed + len(evaluation.benchmark)) % 7 - 3)


def decided(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> dict[str, Decision]:
    """Every claim over synthetic rows of the profile, by id."""

    def load(source: str, suite: Any, asked: Profile, options: Options) -> Any:
        return frames(options, share, suite=suite, profile=asked)

    monkeypatch.setattr(results, "load", load)
    options = Options(suite="all", profile=profile.name, seeds=(0, 1, 2))
    return {decision.id: decision for decision in claims.decisions(profile, options)}


@pytest.mark.slow
def test_every_claim_is_decided_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decided(OTHER, monkeypatch)
    assert {name: d.note for name, d in found.items() if d.verdict is Verdict.NOT_RUN} == {}
    said = {name: d.statement for name, d in found.items()}
    assert said["pair_strong_small"] == "DOPD beats vanilla OPD, elk → ant (paper: 8B → 0.6B)"
    assert said["pair_mid_base"] == "DOPD beats vanilla OPD, dog → bee (paper: 4B → 1.7B)"
    assert said["continual_gain_coding"] == "DOPD gains on verse when its turn comes"
    assert said["ood_coding_reasoning"] == "DOPD is ahead of every rival, chess → law"
    assert "order: gain from bee below dog below elk, in" in found["pairs_trend_dopd"].rule
    assert found["pairs_trend_dopd"].note.split("means: ")[1].split(" ")[0::2][:3] == [
        "bee-ant/dopd",
        "dog-ant/dopd",
        "elk-ant/dopd",
    ]
    words = {word for d in found.values() for word in (d.statement + d.rule + d.note).replace("/", " ").split()}
    assert not words & {"strong", "mid", "base", "small", *PROFILE.data.domains}


def test_a_role_that_nothing_plays_is_said_in_words() -> None:
    alone = dataclasses.replace(OTHER, ladder=None, data=dataclasses.replace(OTHER.data, domains=("law", "chess")))
    assert roles(alone) == {
        "first_stage": "law",
        "second_stage": "chess",
        "first_domain": "chess",
        "second_domain": "law",
    }
    assert played("{largest_teacher} → {third_stage}", alone) == "largest teacher → third stage"


def test_roles_of_the_shipped_profiles() -> None:
    assert roles(PROFILE) == {
        "largest_teacher": "strong",
        "middle_teacher": "mid",
        "smallest_teacher": "base",
        "smaller_student": "small",
        "larger_student": "base",
        "first_stage": "general",
        "second_stage": "reasoning",
        "third_stage": "coding",
        "first_domain": "coding",
        "second_domain": "reasoning",
    }
    paper = roles(registry.profile("paper"))
    assert [paper[role] for role in ("largest_teacher", "middle_teacher", "smallest_teacher")] == ["8B", "4B", "1.7B"]
    assert [paper[role] for role in ("smaller_student", "larger_student")] == ["0.6B", "1.7B"]


def test_a_claim_speaks_the_profiles_words() -> None:
    claim = Claim(
        id="x",
        statement="{larger_student} learns",
        source="Table 0",
        suite="ood",
        rule=rising("{first_stage} below {second_stage}"),
        values=lambda scores: {},
    )
    made = cast(claim, OTHER)
    assert made.statement == "bee learns"
    assert isinstance(made.rule, Order) and made.rule.statement == "law below chess"
    plain = dataclasses.replace(claim, rule=Direction())
    assert cast(plain, OTHER).rule == Direction()


@pytest.mark.slow
def test_a_claim_about_what_the_profile_lacks_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    two = dataclasses.replace(OTHER, name="two", data=dataclasses.replace(OTHER.data, domains=("law", "chess")))
    monkeypatch.setitem(profiles.PROFILES, "two", f"{__name__}:TWO")
    monkeypatch.setitem(globals(), "TWO", two)
    found = decided(two, monkeypatch)
    lost = {name: d.note for name, d in found.items() if d.verdict is Verdict.NOT_RUN}
    assert lost == {"continual_gain_coding": "the suite has no arm 'third stage' in profile two"}
    assert found["continual_gain_coding"].statement == "DOPD gains on third stage when its turn comes"


STATED = {"embedded": 52, "embedded_vlm": 31}
"""Claims by profile."""
PUBLISHED = [name for name in STATED if (Options(suite="all").published / name / "claims.md").is_file()]


@pytest.mark.parametrize("name", STATED)
def test_every_claim_of_a_profile_is_stated(tmp_path: Path, name: str) -> None:
    found = stated(name, tmp_path)
    assert len(set(found)) == len(found) == STATED[name] and not [each for each in found if "{" in each]


def stated(name: str, root: Path) -> list[str]:
    """In the profile's words, whatever is published."""
    options = Options(suite="all", profile=name, source="published", published=root)
    return [decision.statement for decision in claims.decisions(registry.profile(name), options)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_statements_are_those_of_before(tmp_path: Path, name: str) -> None:
    """The table of results/ has every claim in the words that it has here."""
    text = (Options(suite="all").published / name / "claims.md").read_text(encoding="utf-8")
    assert [statement for statement in stated(name, tmp_path) if f"| {statement} |" not in text] == []


def test_claims_of_pictures_are_published() -> None:
    assert "embedded_vlm" in PUBLISHED
