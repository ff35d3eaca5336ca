"""The registry of worlds, what a run's data are checked against, and the powers of a world."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from support import language

from harness import registry, worlds
from harness.config import DataSpec
from harness.evaluation.audits import AUDIT
from harness.runs.plan import PlannedRun, check_evaluations, check_worlds
from harness.storage.run_folder import RunState
from harness.suite import Evaluation, Options, training_run
from harness.types import (
    Alone,
    Corruption,
    Demonstration,
    Example,
    Fact,
    FirstHalf,
    HarnessError,
    Message,
    Modality,
    Privilege,
    Span,
    TextPart,
    text_of,
)
from harness.worlds import WORLDS, known, needs, privilege, world, world_of
from harness.worlds.corruption import corrupt
from harness.worlds.permutations.world import PermutationsWorld
from harness.worlds.world import (
    Corruptible,
    Demonstrates,
    Grade,
    HasReferences,
    OnDemand,
    require,
    training_set,
    word_spans,
)
from methods.sft import SupervisedFineTuning

ROOT = Path(__file__).resolve().parents[3]
THEIRS = """
from harness.config import DataSpec
from harness.types import Modality
from harness.worlds.world import HeldOut

class Theirs:
    version, modality, domains, privileges = 1, Modality.TEXT, ("sums",), ("lamp",)
    examples = grade = None

    def benchmarks(self):
        data = DataSpec(world="theirs", domains=("sums",))
        return [HeldOut(name="theirs_sums", data=data, split="test", max_new_tokens=8)]

class Part:
    domains = ("sums",)

class Args(Theirs):
    def __init__(self, path):
        self.path = path
"""
"""A module of somebody else's package."""


class Bare:
    """A world with no power beside its problems."""

    version = 3
    modality = Modality.TEXT
    domains = ("sums",)
    privileges = ("lamp",)

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        turns: tuple[Message, ...] = ({"role": "user", "content": "1 + 1"},)
        return [
            Example(
                id=f"sums/{split}/{start + i}",
                domain="sums",
                split=split,
                messages=turns,
                answer="2",
                trace=None,
                facts=(),
                privileged={"lamp": f"it is {i}"},
            )
            for i in range(n)
        ]

    def grade(self, example: Example, text: str) -> None:
        return None

    def benchmarks(self) -> tuple[()]:
        return ()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> DataSpec:
    monkeypatch.setitem(WORLDS, "bare", f"{__name__}:Bare")
    return DataSpec(world="bare", version=3, domains=("sums",), privilege="lamp", size=5)


def one_line(error: pytest.ExceptionInfo[HarnessError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_permutations_world_has_every_power_of_text() -> None:
    found = world("permutations")
    assert isinstance(found, PermutationsWorld) and world("permutations") is found
    assert isinstance(found, HasReferences) and isinstance(found, Demonstrates) and isinstance(found, Corruptible)
    example = language.example("coding", "test", 0)
    assert found.reference(example) == language.plain_trace(example)
    assert found.privileges == tuple(example.privileged)


def test_a_world_is_one_line_and_may_have_kinds_of_its_own(bare: DataSpec) -> None:
    found = world_of(bare)
    (example,) = found.examples(bare, "train", 1)
    assert example.difficulty is None
    assert [text_of(turn) for turn in privilege.messages(example, bare.privilege)] == ["it is 0", "1 + 1"]
    assert [text_of(turn) for turn in privilege.messages(example, Privilege.NONE)] == ["1 + 1"]


def test_an_installed_world_is_found_and_one_of_a_taken_name_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def install(name: str) -> None:
        point = EntryPoint(name=name, value=f"{__name__}:Bare", group=worlds.ENTRY_POINTS)
        monkeypatch.setattr(worlds.metadata, "entry_points", lambda group: [point] if group == "dopd.worlds" else [])
        worlds._installed.cache_clear()

    try:
        install("theirs")
        assert isinstance(world("theirs"), Bare) and list(known()) == [*WORLDS, "theirs"]
        install("permutations")
        with pytest.raises(
            HarnessError, match=r"'permutations' \(.*Bare\) has the name of harness.*PermutationsWorld.*rename"
        ) as e:
            world("permutations")
        one_line(e)
    finally:
        worlds._installed.cache_clear()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": "permutation"}, "unknown world 'permutation': did you mean permutations?"),
        ({"version": 9}, "is version 1 here, the data ask for version 9: set version=1"),
        ({"domains": ()}, "domains is empty; name at least one of general, reasoning, coding"),
        ({"domains": ("codding",)}, "domain of world 'permutations': 'codding': did you mean coding?"),
        ({"privilege": "hint"}, "privileged input of world 'permutations': 'hint': did you mean hints?"),
    ],
)
def test_data_that_no_world_holds_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessError) as error:
        world_of(dataclasses.replace(language.data("coding"), **changes))
    assert message in one_line(error)


class Faulty(Bare):
    """A world whose problems have a fault."""

    changes: ClassVar[dict[str, Any]] = {}
    again: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[int] = 0

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
        type(self).asked += 1
        changes = self.changes if self.asked == 1 else self.changes | self.again
        return [dataclasses.replace(e, **changes) for e in super().examples(data, split, n, start)]

    def grade(self, example: Example, text: str) -> Grade:
        return Grade(answer=text.endswith("2"), trace=False, parsed=True)


@pytest.mark.parametrize(
    ("changes", "again", "message"),
    [
        ({"messages": "1 + 1"}, {}, r"has messages '1 \+ 1': give a tuple of chat turns"),
        ({"messages": ({"role": "user"},)}, {}, r"has messages .*: give a tuple of chat turns"),
        ({"answer": 2}, {}, "has the answer 2: give it as text"),
        ({"privileged": {"lamp": "+  1"}}, {}, r"holds its privileged input 'lamp', '\+  1', in its messages"),
        ({"trace": "it is 3"}, {}, "its world grades its own trace, 'it is 3', as wrong; the reference answer is '2'"),
        ({}, {"answer": "3"}, "world 'faulty' gives another problem 'sums/train/0' at a second call"),
    ],
)
def test_a_problem_that_would_be_wrong_in_silence_is_refused(
    changes: dict[str, Any], again: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORLDS, "faulty", f"{__name__}:Faulty")
    data = DataSpec(world="faulty", version=3, domains=("sums",), privilege="lamp", size=5)
    for name, value in (("changes", {}), ("again", {}), ("asked", 0)):
        monkeypatch.setattr(Faulty, name, value)
    needs.first_examples(world("faulty"), data)
    for name, value in (("changes", changes), ("again", again), ("asked", 0)):
        monkeypatch.setattr(Faulty, name, value)
    with pytest.raises(HarnessError, match=message) as error:
        needs.first_examples(world("faulty"), data)
    one_line(error)


def test_a_temperature_that_the_method_does_not_know_is_refused_when_it_is_planned() -> None:
    from suites.profiles.embedded import PROFILE

    spec = training_run(PROFILE, Options(suite="ood"), method="vanilla_opd", domains=("coding",), seed=0)
    needs.check(spec)
    with pytest.raises(HarnessError, match=r"^method vanilla_opd: temperature=0.7, top_p=1 for rollouts"):
        needs.check(dataclasses.replace(spec, temperature=0.7))
    both = [
        PlannedRun(spec=each, state=RunState.ABSENT, wanted=(), estimate_seconds=0.0)
        for each in (spec, dataclasses.replace(spec, temperature=0.7))
    ]
    with pytest.raises(HarnessError, match=r"temperature=0\.7"):
        check_worlds(both)


@pytest.mark.parametrize("size", [0, "1000"])
def test_a_set_of_no_problems_is_refused(size: Any) -> None:
    with pytest.raises(HarnessError, match=f"size={size!r}: give the number of training problems of a domain, 1 or"):
        language.data("coding", size=size)


def test_a_world_that_does_not_import_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, "gone", "nowhere.at:All")
    with pytest.raises(HarnessError, match=r"world 'gone' \(nowhere.at:All\) does not import.*mend"):
        world("gone")


def test_a_world_whose_module_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torn_world.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(WORLDS, "torn", "torn_world:World")
    with pytest.raises(HarnessError) as error:
        world("torn")
    wanted = "world 'torn' (torn_world:World) does not import (ZeroDivisionError: division by zero): mend the module"
    assert one_line(error) == wanted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("gone = nowhere.at:All", r"world 'gone' \(nowhere.at:All\) does not import \(No module named 'nowhere'\)"),
        ("half = theirs:Nothing", r"world 'half' \(theirs:Nothing\) does not import \(.*no attribute 'Nothing'\)"),
        (
            "scenes = theirs:Theirs",
            r"world 'scenes' \(theirs:Theirs\) has the name of harness.*: rename the entry",
        ),
        (
            "one = theirs:Theirs\ntwo = theirs:Theirs",
            r"world 'two': another world .* benchmark 'theirs_sums': rename it",
        ),
        ("part = theirs:Part", r"world 'part' \(theirs:Part\) has no version, .*benchmarks: a world has all"),
        ("args = theirs:Args", r"world 'args' \(theirs:Args\) is not made without arguments"),
    ],
)
def test_a_wrong_registration_is_one_line_of_any_command(lines: str, message: str, tmp_path: Path) -> None:
    """As a package that is installed beside ours does it."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dopd.worlds]\n{lines}\n")
    (tmp_path / "theirs.py").write_text(THEIRS)
    ended = subprocess.run(
        [sys.executable, "-m", "harness", "plan", "--suite", "ood", "--seeds", "1"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (2, "1 seed: 0; for seed 1 alone write --seeds 1,\n"), ended.stderr
    assert ended.stderr.startswith("dopd: ") and ended.stderr.count("\n") == 1
    assert re.search(message, ended.stderr), ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("target", ["nowhere.at:All", "harness.worlds.permutations.world:Nothing"])
def test_a_wrong_line_of_worlds_does_not_stop_the_import(target: str) -> None:
    code = (
        f"from harness.worlds import WORLDS; WORLDS['gone'] = {target!r}\n"
        "import sys; from harness.cli.verbs import main; sys.exit(main(['plan', '--suite', 'ood']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.startswith(f"dopd: world 'gone' ({target}) does not import") and ended.stderr.count("\n") == 1


def test_examples_take_the_domains_in_turn_and_wrap_in_training() -> None:
    spec, found = language.data("coding", "general", size=3), language.WORLD
    ids = [example.id for example in found.examples(spec, "train", 7)]
    assert ids == [f"draw5/{d}/train/{i}" for i in (0, 1, 2) for d in spec.domains] + ["draw5/coding/train/0"]
    assert found.examples(spec, "train", 2, start=5) == found.examples(spec, "train", 7)[5:]
    assert found.examples(spec, "test", 8)[-1].id == "draw5/general/test/3"


def test_held_out_sets_are_of_one_domain_and_their_names_unique() -> None:
    sets = language.WORLD.benchmarks()
    assert len({each.name for each in sets}) == len(sets) > 0
    for each in sets:
        assert each.data.domains == (each.domain,) and each.domain in each.name and each.split != "train"
        drawn = dataclasses.replace(each.data, draw=language.DRAW)
        (first,) = language.WORLD.examples(drawn, each.split, 1)
        low, high = each.data.difficulty
        assert first.difficulty is not None and low <= first.difficulty <= high


# A power that is missing is named before any compute.


def prepared(method: str, **changes: Any) -> Callable[[], object]:
    from harness.training.trainer import prepare

    profile = registry.profile("embedded")
    data = DataSpec(world="bare", version=3, domains=("sums",), privilege="lamp", size=5, **changes)
    spec = training_run(profile, Options(suite="ood"), method=method, domains=("sums",), seed=0, data=data)
    return lambda: prepare(spec)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("sft_oracle", "method sft_oracle needs a world of the kind HasReferences"),
        ("dapd", "method dapd needs a world of the kind HasReferences"),
        ("sdpo", "method sdpo needs a world of the kind Demonstrates"),
        ("ar_opd", "method ar_opd needs a world of the kind Halves (It can tell the first half of a p), Bare is none"),
        ("purified_opsd", "method purified_opsd needs a world of the kind TellsAlone (It can tell a p without its"),
        ("grpo", "needs a verified reward and 'bare' cannot verify"),
        ("sft", "needs a verified reward and 'bare' cannot verify"),
    ],
)
def test_a_method_that_needs_more_than_the_world_has(
    method: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was loaded before the refusal")

    monkeypatch.setattr("harness.models.load.load", loaded)
    with pytest.raises(HarnessError) as error:
        prepared(method)()
    assert message in one_line(error)


class Unrewarded(SupervisedFineTuning):
    """Asks for verified responses without a word on rewards."""

    needs_reward: ClassVar[bool] = False


def test_a_verified_teacher_needs_a_grader_whatever_its_method_says(bare: DataSpec) -> None:
    from harness.worlds.needs import check_data

    profile = registry.profile("embedded")
    spec = training_run(profile, Options(suite="ood"), method="sft", domains=("sums",), seed=0, data=bare)
    with pytest.raises(HarnessError, match="'bare' cannot verify answers"):
        check_data(spec, Unrewarded(), Bare(), Bare().examples(bare, "train", 1))


def test_a_method_that_needs_more_is_refused_at_plan(bare: DataSpec) -> None:
    spec = training_run(registry.profile("embedded"), Options(suite="none"), method="sdpo", domains=("sums",), seed=0)
    run = PlannedRun(spec=dataclasses.replace(spec, data=bare), state=RunState.ABSENT, wanted=(), estimate_seconds=0.0)
    with pytest.raises(HarnessError, match="method sdpo needs a world of the kind Demonstrates"):
        check_worlds([run])


@pytest.mark.parametrize("audit", ["regimes", "trajectory", "transfer"])
def test_an_audit_that_needs_more_than_the_world_has(bare: DataSpec, audit: str) -> None:
    profile = registry.profile("embedded")
    spec = training_run(profile, Options(suite="ood"), method="dopd", domains=("sums",), seed=0, data=bare)
    asked = (Evaluation("last", audit, AUDIT), Evaluation("last", "training", AUDIT))
    planned = PlannedRun(spec=spec, state=RunState.ABSENT, wanted=asked, estimate_seconds=0)
    with pytest.raises(HarnessError, match=f"audit {audit} needs a world of the kind KnowsFacts") as error:
        check_evaluations([planned])
    one_line(error)
    here = dataclasses.replace(spec, data=profile.in_draw(0).data)
    check_evaluations([dataclasses.replace(planned, spec=here)])
    check_evaluations([dataclasses.replace(planned, wanted=asked[1:])])


def test_steps_are_corrupted_only_where_the_world_has_steps(bare: DataSpec) -> None:
    wrong = dataclasses.replace(bare, corruption=Corruption.WRONG_STEPS, corrupted=1.0)
    examples = Bare().examples(wrong, "train", 5)
    with pytest.raises(HarnessError, match="corruption 'wrong_steps' needs a world of the kind Corruptible"):
        corrupt(examples, wrong, Bare())
    other = dataclasses.replace(wrong, corruption=Corruption.OTHER_EXAMPLE)
    for before, after in zip(examples, corrupt(examples, other, Bare()), strict=True):
        assert after.privileged["lamp"] != before.privileged["lamp"]


def test_a_power_is_returned_as_what_it_is(bare: DataSpec) -> None:
    assert require(language.WORLD, HasReferences, "this test").reference(language.example("coding", "test", 0))
    with pytest.raises(HarnessError, match="a context that shows a response needs a world of the kind Demonstrates"):
        privilege.shown(Bare().examples(bare, "test", 1)[0], Demonstration("2"), Bare(), "lamp")


def test_what_a_method_shows_stands_before_x() -> None:
    example, found = language.example("coding", "test", 0), language.WORLD
    assert privilege.shown(example, Privilege.HINTS, found, Privilege.NONE) == privilege.messages(
        example, Privilege.HINTS
    )
    turns = privilege.shown(example, Demonstration("A C k2 7 ! 7"), found, Privilege.NONE)
    assert [turn["role"] for turn in turns] == ["system", "user"] and turns[1:] == example.messages
    assert text_of(turns[0]) == language.demonstration("A C k2 7 ! 7")


def test_the_run_s_p_is_shown_by_half_or_alone() -> None:
    example, found = language.example("coding", "test", 0), language.WORLD
    half = privilege.shown(example, FirstHalf(), found, Privilege.HINTS)
    assert half[1:] == example.messages and half[0].get("privileged")
    assert text_of(half[0]) == found.first_half(example, Privilege.HINTS)
    told = dataclasses.replace(example, privileged={Privilege.HINTS: language.demonstration("A . k3 .")})
    alone = privilege.shown(told, Alone(), found, Privilege.HINTS)
    assert text_of(alone[0]) == language.demonstration("A . k3 ."), "the example's own p, which may be corrupted"
    assert set(text_of(alone[1]).split()) == {"."}, "nothing of x"
    assert len(text_of(alone[1]).split()) == len(text_of(example.messages[0]).split()), "at the same distance"
    for what in (FirstHalf(), Alone()):
        with pytest.raises(HarnessError, match=r"shows p in part.*no privileged input 'none' \(it has: .*hints"):
            privilege.shown(example, what, found, Privilege.NONE)


@pytest.mark.parametrize(("steps", "kept"), [(3, 2), (4, 2), (5, 3)])
def test_half_of_the_steps_is_rounded_up_in_place(steps: int, kept: int) -> None:
    example = language.example("coding", "test", 0, (steps, steps))
    header, *whole = str(example.privileged[Privilege.HINTS]).split()
    first, *half = language.WORLD.first_half(example, Privilege.HINTS).split()
    assert first == header and len(half) == len(whole)
    assert half[: 4 * kept] == whole[: 4 * kept] and set(half[4 * kept :]) == {"."}


@pytest.mark.parametrize(
    ("kind", "message"),
    [("final_answer", "tells no steps, so it has no first half: give another kind"), ("none", "in part")],
)
def test_p_that_cannot_be_halved_is_refused_when_a_run_is_planned(kind: str, message: str) -> None:
    profile = registry.profile("embedded")
    data = dataclasses.replace(profile.in_draw(0).data, privilege=Privilege(kind))
    spec = training_run(profile, Options(suite="ood"), method="ar_opd", domains=("coding",), seed=0, data=data)
    with pytest.raises(HarnessError, match=message) as error:
        needs.check(spec)
    one_line(error)


def test_only_steps_are_changed() -> None:
    example = language.example("coding", "test", 0)
    with pytest.raises(HarnessError, match="'other_example' changes no step"):
        language.WORLD.corrupted(example, Privilege.HINTS, Corruption.OTHER_EXAMPLE, Random(0))


def test_the_text_of_a_turn_of_parts() -> None:
    assert text_of({"role": "user", "content": (TextPart("a "), TextPart("b"))}) == "a b"


# Facts.


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(4, 9)], "example e: the span 4:9 (capability) is not within its text of 8 characters"),
        ([(-1, 2)], "the span -1:2 (capability) is not within"),
        ([(3, 3)], "the span 3:3 (capability) is not within its text of 8 characters: give start < end"),
        ([(5, 2)], "the span 5:2 (capability) is not within"),
        ([(0, 3), (2, 4)], "the span 2:4 (capability) begins before the one before it ends, at 3"),
        ([(4, 6), (0, 2)], "the span 0:2 (capability) begins before the one before it ends, at 6"),
    ],
)
def test_spans_that_do_not_fit_their_text(spans: list[tuple[int, int]], message: str) -> None:
    problem = language.example("coding", "test", 0)
    facts = tuple(Span(start, end, Fact.CAPABILITY) for start, end in spans)
    with pytest.raises(HarnessError) as error:
        dataclasses.replace(problem, id="e", trace="A CD k2 ", facts=facts)
    assert message in one_line(error)


def test_spans_side_by_side_and_gaps_are_right() -> None:
    facts = tuple(Span(start, end, Fact.FORMAT) for start, end in ((0, 2), (2, 3), (5, 8)))
    assert dataclasses.replace(language.example("coding", "test", 0), trace="A CD k2 ", facts=facts).facts == facts
    assert word_spans(" a  bc", [Fact.FORMAT, Fact.CAPABILITY]) == (
        Span(1, 2, Fact.FORMAT),
        Span(4, 6, Fact.CAPABILITY),
    )


def test_training_examples_are_made_when_read_and_once() -> None:
    asked = []

    class Counted(PermutationsWorld):
        def examples(self, data: DataSpec, split: str, n: int, start: int = 0) -> list[Example]:
            asked.append((start, n))
            return super().examples(data, split, n, start)

    data = language.data("general", "coding", size=50)
    made = training_set(Counted(), data)
    assert asked == [(0, 1), (1, 1)]
    assert len(made) == 100
    assert made[7] is made[7]
    assert made[-1] is made[99]
    assert asked == [(0, 1), (1, 1), (7, 1), (99, 1)]
    assert list(made) == language.WORLD.examples(data, "train", 100)
    assert made[3:8] == list(made)[3:8]
    with pytest.raises(IndexError):
        made[100]


def test_a_wrong_domain_is_said_before_an_example_is_read() -> None:
    with pytest.raises(HarnessError, match="nowhere"):
        training_set(language.WORLD, language.data("general", "nowhere", size=50))


def test_corrupted_examples_are_made_when_read() -> None:
    read = []
    data = language.data("general", size=40, corruption=Corruption.WRONG_STEPS, corrupted=0.5)
    right = training_set(language.WORLD, data)
    watched = OnDemand(lambda i: read.append(i) or right[i], 40)
    wrong = corrupt(watched, data, language.WORLD)
    assert read == []
    assert wrong[3].id == right[3].id
    assert read == [3]
