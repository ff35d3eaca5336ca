"""The shipped profiles: what each names exists, and settings that cannot act at a size are replaced with a reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.synthetic import SUITE, options, specs

from harness import registry
from harness.method import Entry, Method
from harness.models.zoo.permutations.vocabulary import WORDS
from harness.profile import Override, Profile, TopK
from harness.runs.plan import check_profile
from harness.types import HarnessError

EMBEDDED, PAPER = registry.profile("embedded"), registry.profile("paper")
EVERY = pytest.mark.parametrize(
    "profile", [*map(registry.profile, registry.profiles())], ids=lambda profile: profile.name
)
PUBLISHED_K = {
    "vanilla_opd": 128,
    "opcd": 256,
    "sdpo": 100,
    "vision_opd": 100,
    "privileged_teacher": 128,
    "privileged_student": 128,
    "privileged_both": 128,
    "student_privileged": 128,
    "dopd": 128,
    "dopd_initial_self": 128,
    "dopd_ema_self": 128,
    "dopd_ablation": 128,
    "dopd_reverse_kl": 128,
    "opd_dropped": 128,
}
"""Every method of the registry whose k acts and is above 32."""


def too_large(k: int) -> str:
    return (
        f"{k} is too large a part of 85 words to leave anything out; 32 is above the number of codes that p alone "
        "holds (8), so that those a student guesses are within it"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wide(Method):
    """A third party's, which says nothing of vocabularies."""

    k: int = 500


# --- the rule of k


def test_every_k_above_32_is_replaced_and_no_other() -> None:
    assert EMBEDDED.top_k
    assert (EMBEDDED.top_k.vocabulary, EMBEDDED.top_k.above) == (len(WORDS), 32)
    found = {name: EMBEDDED.override(name) for name in registry.methods()}
    assert {name for name, override in found.items() if override} == {*PUBLISHED_K, "eopd", "eopd_one_update"}
    for name, published in PUBLISHED_K.items():
        assert registry.method_spec(name).settings["k"] == published
        assert found[name] == Override(settings={"k": 32}, reason=too_large(published))
    assert EMBEDDED.method("eopd").settings["k"] == 16, "a smaller one stays"
    assert EMBEDDED.method("vanilla_opd_sampled").settings["k"] == 128, "it does not act there"


def test_every_method_fits_the_vocabulary_of_the_profile() -> None:
    for name in registry.methods():
        registry.build_method(EMBEDDED.method(name)).check_vocabulary(len(WORDS))


def test_the_rule_holds_for_a_third_partys_method(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = registry._ours()
    entry = Entry(target=f"{__name__}:Wide", label="Wide", paradigm="x", citation="x")
    narrow, next_one = (dataclasses.replace(entry, settings={"k": k}) for k in (32, 33))
    monkeypatch.setattr(registry, "_ours", lambda: {**ours, "wide": entry, "narrow": narrow, "next": next_one})
    assert EMBEDDED.method("wide").settings["k"] == EMBEDDED.method("next").settings["k"] == 32
    assert EMBEDDED.override("narrow") is None and EMBEDDED.override("next") is not None
    assert EMBEDDED.override("wide") == Override(settings={"k": 32}, reason=too_large(500))
    with pytest.raises(HarnessError, match="k=500 with a vocabulary of 85"):
        Wide().check_vocabulary(85)


def test_without_a_largest_k_the_vocabulary_is_it() -> None:
    plain = TopK(vocabulary=128, k=8, reason="{k} exceeds it")
    assert plain.override(registry.method_spec("dopd")) is None
    smaller = dataclasses.replace(plain, vocabulary=127)
    assert smaller.override(registry.method_spec("dopd")) == Override(settings={"k": 8}, reason="128 exceeds it")


def test_rule_and_override_of_one_method_are_both_said() -> None:
    both = dataclasses.replace(EMBEDDED, overrides={"sdpo": Override(settings={"rate": 0.5}, reason="short")})
    made = both.override("sdpo")
    assert made == Override(settings={"k": 32, "rate": 0.5}, reason=f"{too_large(100)}; short")
    assert made.text == "k = 32, rate = 0.5"
    own = dataclasses.replace(EMBEDDED, overrides={"sdpo": Override(settings={"k": 30}, reason="mine")})
    assert own.override("sdpo") == Override(settings={"k": 30}, reason="mine")


def test_settings_of_a_variant_come_last() -> None:
    assert EMBEDDED.method("dopd", {"k": 5}).settings["k"] == 5
    # What a variant sets does not undo the rule of its method.
    assert EMBEDDED.method("vanilla_opd", {"granularity": "full"}).settings["k"] == 32


def test_a_profile_without_the_rule_leaves_k_alone() -> None:
    assert PAPER.top_k is None
    assert PAPER.method("dopd").settings["k"] == 128


# --- what a profile names


@EVERY
def test_every_override_is_a_field_of_a_method(profile: Profile) -> None:
    for name, override in profile.overrides.items():
        spec = registry.method_spec(name, override.settings)
        assert spec.name == name
        assert {key: spec.settings[key] for key in override.settings} == override.settings
        assert override.reason


@EVERY
def test_every_domain_has_a_benchmark_of_its_own(profile: Profile) -> None:
    assert list(profile.targets) == list(profile.data.domains)
    assert set(profile.targets.values()) <= set(profile.benchmarks)
    assert {*profile.harder, *profile.validation, *profile.directions} <= set(profile.data.domains)


@EVERY
def test_pairs_are_of_the_ladder(profile: Profile) -> None:
    if (ladder := profile.ladder) is None:
        return
    rungs = list(ladder.models)
    for teacher, student in ladder.pairs:
        assert rungs.index(teacher) > rungs.index(student)
    assert rungs.index(ladder.erring[0]) < rungs.index(ladder.erring[1])
    assert set(ladder.parameters) in (set(), set(rungs))


def test_embedded_models_are_pinned_by_content() -> None:
    assert EMBEDDED.draws and EMBEDDED.draws.held
    for draw in EMBEDDED.draws.held:
        at = EMBEDDED.in_draw(draw)
        assert at.ladder
        for model in (at.student, at.teacher, *at.ladder.models.values()):
            assert len(model.sha256) == 64


def test_the_first_profile_is_the_default(tmp_path: Path) -> None:
    assert registry.default_profile() == "embedded"
    assert options(tmp_path).profile == "embedded"


# --- profile paper


def test_paper_profile_is_the_papers_and_plans(tmp_path: Path) -> None:
    planned = SUITE.runs(PAPER, options(tmp_path, profile="paper"))
    run = next(spec for spec in planned if spec.method and spec.method.name == "dopd")
    assert run.optim and run.method
    assert (run.teacher and run.teacher.name, run.student.name) == ("Qwen/Qwen3-8B", "Qwen/Qwen3-1.7B")
    assert (run.steps, run.prompts_per_step, run.rollouts_per_prompt, run.optim.lr) == (200, 128, 4, 5e-6)
    assert run.method.settings["k"] == 128  # no override
    assert {e.benchmark for e in SUITE.evaluations(run)} == set(PAPER.benchmarks) and len(PAPER.benchmarks) == 8


def test_paper_profile_refuses_to_run_and_says_what_is_missing() -> None:
    check_profile(EMBEDDED)
    with pytest.raises(HarnessError) as caught:
        check_profile(PAPER)
    assert str(caught.value) == (
        "profile paper cannot run here: no loader for the training sets RaR-Science-20K, DAPO-Math-17K, "
        "Skywork-OR1-Coding-14K with generated hints, none for the benchmarks livebench, zebralogic, autologi, "
        "bfcl_v3, lcb_v5, and it needs Qwen/Qwen3-8B and Qwen/Qwen3-1.7B on several large GPUs; "
        "use --profile embedded, or `dopd plan` to see what it would run"
    )


def test_embedded_runs_take_the_profiles_settings(tmp_path: Path) -> None:
    (run,) = [s for s in specs(options(tmp_path, methods=("dopd",), seeds=(0,), train_domains=("coding",))) if s.method]
    assert run.method == EMBEDDED.method("dopd")


# --- what is kept


def test_a_method_is_made_once_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile, made = dataclasses.replace(EMBEDDED), []
    monkeypatch.setattr(
        registry, "build_method", lambda spec, build=registry.build_method: made.append(1) or build(spec)
    )
    specs = SUITE.runs(profile, options(tmp_path, seeds=(0, 1, 2, 3, 4)))
    methods = {spec.method.name: spec.method for spec in specs if spec.method}
    assert all(spec.method is methods[spec.method.name] for spec in specs if spec.method)
    assert len(made) <= len(methods), "TopK builds a method to ask whether it fits"
    trained = [spec for spec in specs if spec.method]
    data = [spec.data for spec in trained if spec.data]
    assert len(data) == len(trained) and len({id(each) for each in data}) == len({(d.draw, d.domains) for d in data})
    assert {id(spec.optim) for spec in trained} == {id(profile.optim)}


def test_what_is_kept_of_a_method_is_of_its_settings_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    profile, ours = dataclasses.replace(EMBEDDED), registry._ours()
    entry = Entry(target=f"{__name__}:Wide", label="", paradigm="", citation="", settings={"k": 8})
    monkeypatch.setattr(registry, "_ours", lambda: {**ours, "wide": entry})
    assert profile.method("wide").settings["k"] == 8
    assert profile.method("wide", {"k": 1}).settings["k"] == 1
    with pytest.raises(HarnessError, match="k of method wide = True"):
        profile.method("wide", {"k": True})
    entry = dataclasses.replace(entry, settings={"k": 9})
    monkeypatch.setattr(registry, "_ours", lambda: {**ours, "wide": entry})
    assert profile.method("wide").settings["k"] == 9
    monkeypatch.setattr(Wide, "version", 2)
    assert profile.method("wide").version == 2
