"""Corrupted privileged input: whose, how, that training alone sees it, and that no older run's identity changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import language

from harness import registry
from harness.config import DataSpec, MethodSpec, ModelSpec, OptimSpec, RunSpec, from_json, to_json
from harness.evaluation import benchmarks
from harness.profile import DEVELOPMENT_SEEDS
from harness.suite import Options, training_run
from harness.types import Corruption, Example, HarnessError, Privilege
from harness.worlds.corruption import corrupt, is_corrupted
from harness.worlds.permutations import tables
from harness.worlds.permutations import words as world

ROOT = Path(__file__).resolve().parents[3]
WRONG, SHUFFLED, OTHER = Corruption.WRONG_STEPS, Corruption.SHUFFLED_STEPS, Corruption.OTHER_EXAMPLE
STEPWISE = (Privilege.HINTS, Privilege.HINTS_WITH_EXECUTION, Privilege.SUMMARY)
POSSIBLE = [(c, k) for k in STEPWISE for c in (WRONG, SHUFFLED, OTHER)] + [(OTHER, Privilege.FINAL_ANSWER)]
SIZE = 150


def spec_of(corruption: Corruption = WRONG, kind: Privilege = Privilege.HINTS, share: float = 1.0) -> DataSpec:
    return language.data(*world.DOMAINS, size=SIZE, privilege=kind, corruption=corruption, corrupted=share)


WORLD = language.WORLD
RIGHT = WORLD.examples(language.data(*world.DOMAINS, size=SIZE), "train", 3 * SIZE)


def pairs(corruption: Corruption, kind: Privilege) -> list[tuple[Example, Example]]:
    """Every training example before and after."""
    return list(zip(RIGHT, corrupt(RIGHT, spec_of(corruption, kind), WORLD), strict=True))


def slots(example: Example, kind: Privilege) -> list[list[str]]:
    words = example.privileged[kind].split()[1:]
    return [words[i : i + world.STRIDE] for i in range(0, len(words), world.STRIDE)]


# Whose


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    ids = [f"draw5/coding/train/{i}" for i in range(4000)]
    quarter, half, whole = ({i for i in ids if is_corrupted(i, share)} for share in (0.25, 0.5, 1.0))
    assert quarter < half < whole == set(ids)
    assert (len(quarter), len(half)) == (pytest.approx(1000, abs=100), pytest.approx(2000, abs=100))
    assert not any(is_corrupted(i, 0.0) for i in ids)


@pytest.mark.parametrize("corruption", [WRONG, SHUFFLED, OTHER])
def test_only_the_chosen_examples_change_and_every_corruption_chooses_the_same(corruption: Corruption) -> None:
    out = corrupt(RIGHT, spec_of(corruption, share=0.5), WORLD)
    touched = {b.id for a, b in zip(RIGHT, out, strict=True) if b is not a}
    assert touched == {e.id for e in RIGHT if is_corrupted(e.id, 0.5)}
    assert [replace(b, privileged=a.privileged) for a, b in zip(RIGHT, out, strict=True)] == RIGHT, "p alone changes"


def test_what_a_larger_share_adds_leaves_the_others_as_they_were() -> None:
    some, all_ = (corrupt(RIGHT, spec_of(OTHER, share=share), WORLD) for share in (0.25, 1.0))
    assert [a for a, b in zip(some, all_, strict=True) if is_corrupted(a.id, 0.25) and a != b] == []


def test_without_corruption_nothing_changes() -> None:
    assert corrupt(RIGHT, language.data(*world.DOMAINS, size=SIZE), WORLD) == RIGHT


def test_the_same_on_every_machine() -> None:
    """Literals: a hash or a random stream that depends on the process would change them."""
    found = {
        corruption: corrupt(RIGHT, spec_of(corruption), WORLD)[0].privileged[Privilege.HINTS]
        for corruption in (WRONG, OTHER)
    }
    blank = " ." * 12
    assert RIGHT[0].privileged[Privilege.HINTS] == "hints B . k3 . A . k4 . B . k2 . A . k7 ." + blank
    assert found[WRONG] == "hints A . k7 . B . k6 . A . k6 . B . k5 ." + blank
    assert found[OTHER] == "hints A . k6 . B . . . A . . . B . . ." + blank


# How


@pytest.mark.parametrize(("corruption", "kind"), POSSIBLE)
def test_a_wrong_p_has_the_form_of_a_right_one(corruption: Corruption, kind: Privilege) -> None:
    """Header, number of words, and at each place a word that a right p may have there."""
    allowed = ({"A", "B"}, set(world.OPS), set(world.CODES), set("0123456789"))
    for before, after in pairs(corruption, kind):
        assert set(after.privileged) == {kind}, "no right p of another kind is left to be read"
        assert after.privileged[kind].split()[0] == world.HEADERS[kind]
        assert len(slots(after, kind)) == len(slots(before, kind)) == world.SLOTS
        for was, now in zip(slots(before, kind), slots(after, kind), strict=True):
            for old, new, words in zip(was, now, allowed, strict=True):
                assert new in words | {world.BLANK}
                if corruption is WRONG:
                    assert (old == world.BLANK) == (new == world.BLANK)


@pytest.mark.parametrize("kind", STEPWISE)
def test_every_wrong_step_is_wrong_in_all_it_names(kind: Privilege) -> None:
    for before, after in pairs(WRONG, kind):
        _, start, *x = before.messages[-1]["content"].split()
        digit = int(start)
        for i, (was, now) in enumerate(zip(slots(before, kind), slots(after, kind), strict=True)):
            assert all(old != new for old, new in zip(was[:3], now[:3], strict=True) if old != world.BLANK)
            if now[1] != world.BLANK:  # a plan that is consistent, and wrong: results follow from its operations
                op_a, op_b = x[world.STRIDE * i + 2 : world.STRIDE * i + 4]
                digit = int(tables.truth(language.DRAW)(tables.RESULT, (now[1], str(digit))))
                told = world.BLANK if was[3] == world.BLANK else str(digit)  # the last result is the answer
                assert (now[1], now[3]) == (op_a if now[0] == "A" else op_b, told)


@pytest.mark.parametrize("kind", STEPWISE)
def test_shuffled_steps_are_the_right_ones_in_another_order(kind: Privilege) -> None:
    same = 0
    for before, after in pairs(SHUFFLED, kind):
        was, now = slots(before, kind), slots(after, kind)
        stated = {tuple(slot) for slot in was if set(slot) != {world.BLANK}}
        assert sorted(was) == sorted(now)
        assert [set(s) == {world.BLANK} for s in was] == [set(s) == {world.BLANK} for s in now]
        assert (was != now) == (len(stated) > 1)
        same += was == now
    assert same < (0.6 if kind is Privilege.SUMMARY else 0.05) * len(RIGHT)


@pytest.mark.parametrize("kind", [*STEPWISE, Privilege.FINAL_ANSWER])
def test_another_example_has_the_same_domain_and_length_and_another_p(kind: Privilege) -> None:
    owners: dict[tuple[str, int], set[str]] = {}
    for e in RIGHT:
        owners.setdefault((e.domain, e.difficulty), set()).add(e.privileged[kind])
    for before, after in pairs(OTHER, kind):
        assert after.privileged[kind] != before.privileged[kind]
        assert after.privileged[kind] in owners[before.domain, before.difficulty]
    drawn = [b.privileged[kind] for _, b in pairs(OTHER, kind)]
    assert len(set(drawn)) > 8, "not one donor for all"


# Who sees it


@pytest.fixture(scope="module")
def trainer() -> Any:
    from harness.training.trainer import prepare

    profile = registry.profile("embedded")
    profile = replace(profile, data=replace(profile.data, size=SIZE, corruption=WRONG, corrupted=0.5))
    options = Options(suite="ood", steps=10)
    spec = training_run(
        profile, options, method="dopd", domains=("coding",), seed=DEVELOPMENT_SEEDS, prompts_per_step=8
    )
    return prepare(spec)


def test_training_reads_the_corrupted_p_and_the_probe_the_right_one(trainer: Any) -> None:
    from harness.models.prompts import render
    from harness.training.loop import written_batch
    from harness.types import PRIVILEGED

    batch = written_batch(trainer)
    rows = batch.contexts[PRIVILEGED]
    seen = [trainer.reader.tokenizer.decode(ids[mask]) for ids, mask in zip(rows.ids_QL, rows.mask_QL, strict=True)]
    right = {e.id: e.privileged[Privilege.HINTS] for e in WORLD.examples(trainer.data, "train", SIZE)}
    wrong = {e.id: e.privileged[Privilege.HINTS] for e in trainer.examples}
    chosen = [is_corrupted(e.id, 0.5) for e in batch.rollouts.examples]
    assert 0 < sum(chosen) < len(chosen)
    for example, text, is_wrong in zip(batch.rollouts.examples, seen, chosen, strict=True):
        assert wrong[example.id] in text
        assert (right[example.id] in text) == (not is_wrong)
    assert trainer.validation == WORLD.examples(trainer.data, "validation", len(trainer.validation))
    probed = trainer.validation[0]
    (ids,) = render(trainer.reader, [probed], Privilege.HINTS).ids_QL
    assert probed.privileged[Privilege.HINTS] in trainer.reader.tokenizer.decode(ids)


def test_benchmarks_keep_the_right_p() -> None:
    for example in benchmarks.examples(benchmarks.every()["permutations_coding"].in_draw(language.DRAW))[:5]:
        assert set(example.privileged) == set(world.HEADERS)


# Bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"corrupted": 0.5},
            r"corruption='none', corrupted=0.5: give a share above 0 with a corruption \(wrong_steps, ",
        ),
        ({"corruption": WRONG}, r"corruption='wrong_steps', corrupted=0.0: give a share above 0"),
        ({"corruption": WRONG, "corrupted": 1.5}, "give a number from 0 to 1"),
        ({"corruption": WRONG, "corrupted": -0.5}, "give a number from 0 to 1"),
        ({"corruption": WRONG, "corrupted": float("nan")}, "give a number from 0 to 1"),
        ({"corruption": OTHER, "corrupted": 1.0, "privilege": Privilege.NONE}, "'none' has nothing of this to corrupt"),
        (
            {"corruption": WRONG, "corrupted": 1.0, "privilege": Privilege.FINAL_ANSWER},
            "'final_answer' has nothing of this to corrupt, choose one of hints_with_execution, hints, summary",
        ),
        ({"corruption": SHUFFLED, "corrupted": 1.0, "privilege": Privilege.FINAL_ANSWER}, "'final_answer' has nothing"),
    ],
)
def test_a_corruption_that_means_nothing_is_refused_when_planned(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        language.data("coding", **changes)


def test_an_example_without_another_like_it_is_refused_before_compute() -> None:
    lonely = language.data("coding", size=1, corruption=OTHER, corrupted=1.0)
    with pytest.raises(HarnessError, match=r"every coding example of \d steps has .* give the data a larger size"):
        corrupt(WORLD.examples(lonely, "train", 1), lonely, WORLD)


# Identity

TRAINED = RunSpec(
    profile="embedded",
    student=ModelSpec(name=language.STUDENT),
    teacher=ModelSpec(name=language.TEACHER),
    data=language.data("coding"),
    method=MethodSpec(name="vanilla_opd", settings={"k": 8}),
    optim=OptimSpec(lr=2e-4),
    steps=100,
    max_response_tokens=34,
)


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/*/specs.jsonl")), ids=lambda path: path.parent.name)
def test_every_published_spec_still_has_its_id(path: Path) -> None:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert records
    assert [(r["run"], from_json({k: v for k, v in r.items() if k != "run"}).id) for r in records] == [
        (r["run"], r["run"]) for r in records
    ]


def test_a_corruption_is_part_of_the_identity_and_survives_the_disk() -> None:
    assert TRAINED.data is not None
    specs = [
        replace(TRAINED, data=replace(TRAINED.data, corruption=corruption, corrupted=share))
        for corruption, share in ((WRONG, 0.5), (WRONG, 1.0), (SHUFFLED, 0.5))
    ]
    assert len({spec.id for spec in (TRAINED, *specs)}) == 4
    assert [from_json(json.loads(json.dumps(to_json(spec)))) for spec in specs] == specs
    assert "corruption" not in to_json(TRAINED)["data"], "an older version can read what it could before"
