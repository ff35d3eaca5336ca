"""The slot world: splits, determinism, traces recomputed, facts, p, the grader, the data room."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from itertools import pairwise
from random import Random

import pytest

from harness.types import Example, Fact, HarnessError, Privilege
from harness.worlds import privilege
from harness.worlds import slots as world
from harness.worlds.world import Grade

RANGES = (world.TRAIN_DIFFICULTY, world.HARD_DIFFICULTY)
MANY = [world.example(d, "test", i, r) for r in RANGES for d in world.DOMAINS for i in range(200)]


def content(example: Example) -> str:
    return example.messages[-1]["content"]


def solve(text: str) -> list[tuple[str, str, str, str]]:
    """(mark, choice, op, result) per step, written anew from the rules in words."""
    domain, start, *rest = text.split()
    slots = [rest[i : i + 4] for i in range(0, 28, 4) if rest[i] != "."]
    digit, steps = int(start), []
    for i, (selector, mark, op_a, op_b) in enumerate(slots):
        if domain == "coding":
            take_b = digit < int(selector.strip("<"))
        elif domain == "reasoning":
            take_b = sum(slot[0] == "odd" for slot in slots[i:]) % 2 == 1
        else:
            take_b = world.secret_table()[selector, digit] == "B"
        op = op_b if take_b else op_a
        number = int(op[1:])
        digit = (digit + number if op.startswith("+") else digit * number) % 10
        steps.append((mark, "B" if take_b else "A", op, str(digit)))
    return steps


def test_every_trace_follows_from_x_but_for_the_codes() -> None:
    for example in MANY:
        steps, words = solve(content(example)), (example.trace or "").split()
        assert len(words) == 4 * len(steps) + 2 and example.difficulty == len(steps)
        for i, (mark, choice, op, result) in enumerate(steps):
            assert (words[4 * i], words[4 * i + 1], words[4 * i + 3]) == (choice, op, result)
            assert words[4 * i + 2] in (world.CODES if mark == "?" else (".",))
        assert words[-2:] == ["!", steps[-1][3]] and example.answer == words[-1]


@pytest.mark.slow
def test_splits_are_disjoint_over_thousands() -> None:
    seen: dict[str, str] = {}
    for split in world.SPLITS:
        for domain in world.DOMAINS:
            for difficulty in RANGES:
                for i in range(700):
                    text = content(world.example(domain, split, i, difficulty))
                    assert seen.setdefault(text, split) == split
                    assert world.split_of(text) == split
    assert len(seen) > 12_500  # nearly all of 12,600 are distinct problems


def test_examples_are_the_same_in_another_process() -> None:
    code = "from harness.worlds import slots as w; print([w.example(d, 'train', 7) for d in w.DOMAINS])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == str([world.example(d, "train", 7) for d in world.DOMAINS])


def test_a_known_problem_has_not_changed() -> None:
    example = world.example("reasoning", "test", 3)
    assert content(example) == "reasoning 1 even . +3 +5 odd . +1 +7 even ? *7 +5 even . *3 +9" + " ." * 12
    assert example.trace == "B +5 . 6 B +7 . 3 A *7 k0 1 A *3 . 3 ! 3"
    assert example.id == "reasoning/test/3"


def test_difficulty_and_ids() -> None:
    for (low, high), chunk in zip(RANGES, (MANY[:600], MANY[600:]), strict=True):
        assert {example.difficulty for example in chunk} == set(range(low, high + 1))
    assert len({example.id for example in MANY}) == len(MANY)


def test_facts_are_aligned_with_the_trace() -> None:
    for example in MANY:
        marks, words = [mark for mark, *_ in solve(content(example))], (example.trace or "").split()
        facts = [span.kind for span in example.facts]
        assert [example.trace[span.start : span.end] for span in example.facts if example.trace] == words
        for i, (word, fact) in enumerate(zip(words, facts, strict=True)):
            if i >= 4 * len(marks):
                assert fact is (Fact.FORMAT if word == "!" else Fact.CAPABILITY)
            elif i % 4 == 2:
                assert fact is (Fact.INFORMATION if marks[i // 4] == "?" else Fact.FORMAT)
            else:
                assert fact is Fact.CAPABILITY


def test_half_of_the_steps_are_marked_and_codes_are_uniform() -> None:
    pairs = [pair for e in MANY for pair in zip((e.trace or "").split(), (span.kind for span in e.facts), strict=True)]
    notes = [word for word, fact in pairs if fact is Fact.INFORMATION]
    steps = sum(example.difficulty for example in MANY)
    assert 0.46 < len(notes) / steps < 0.54
    assert all(0.09 < notes.count(code) / len(notes) < 0.16 for code in world.CODES)


def test_choices_are_balanced_in_every_domain() -> None:
    for domain in world.DOMAINS:
        choices = [step[1] for e in MANY if e.domain == domain for step in solve(content(e))]
        assert 0.4 < choices.count("A") / len(choices) < 0.6
    assert sorted(world.secret_table().values()).count("A") == 80


def test_hints_hold_choices_and_codes_and_nothing_else() -> None:
    for example in MANY:
        header, *words = example.privileged[Privilege.HINTS].split()
        trace = (example.trace or "").split()
        assert header == "hints" and len(words) == 28
        assert not set(words) & {*world.OPS, *"0123456789"}
        for i in range(example.difficulty):
            assert words[4 * i : 4 * i + 4] == [trace[4 * i], ".", trace[4 * i + 2], "."]


def test_the_other_kinds_of_p() -> None:
    for example in MANY:
        trace, n = (example.trace or "").split(), example.difficulty
        execution = example.privileged[Privilege.HINTS_WITH_EXECUTION].split()
        assert execution[1 : 4 * n + 1] == trace[:-2]
        assert set(example.privileged[Privilege.FINAL_ANSWER].split()) == {"answer", ".", example.answer}
        summary = example.privileged[Privilege.SUMMARY].split()[1:]
        assert summary[::4][:n] == [trace[4 * i] if i % 2 == 0 else "." for i in range(n)]
        assert set(summary) <= {"A", "B", "."}
        assert len({len(p.split()) for p in example.privileged.values()}) == 1  # one distance to the response
        assert Privilege.NONE not in example.privileged


def test_privileged_facts_are_aligned_and_true() -> None:
    for example in MANY[:100]:
        for kind, text in example.privileged.items():
            spans = world.privileged_facts(example, kind)
            assert [text[span.start : span.end] for span in spans] == text.split()
            facts = [span.kind for span in spans]
            assert len(facts) == len(text.split()) and facts[0] is Fact.FORMAT
            for word, fact in zip(text.split(), facts, strict=True):
                assert (fact is Fact.INFORMATION) == bool(re.fullmatch(r"k\d", word))
                assert (fact is Fact.CAPABILITY) == bool(re.fullmatch(r"[AB]|[+*]\d|\d", word))
    assert world.privileged_facts(MANY[0], Privilege.NONE) == ()


def test_p_is_a_system_turn_before_x() -> None:
    for kind in Privilege:
        turns = privilege.messages(MANY[0], kind)
        assert turns[-1] == MANY[0].messages[0]
        expected = [] if kind is Privilege.NONE else [("system", MANY[0].privileged[kind])]
        assert [(turn["role"], turn["content"]) for turn in turns[:-1]] == expected


def test_a_kind_the_example_lacks_is_a_user_error() -> None:
    bare = dataclasses.replace(MANY[0], privileged={})
    with pytest.raises(HarnessError, match="has no privileged input 'hints'"):
        privilege.messages(bare, Privilege.HINTS)


def test_grader_accepts_the_reference_and_the_plain_trace() -> None:
    right = Grade(answer=True, trace=True, parsed=True)
    for example in MANY:
        plain = world.plain_trace(example)
        assert world.grade(example, example.trace or "") == world.grade(example, plain) == right
        assert not set(plain.split()) & set(world.CODES)
        assert plain.split().count("_") == sum(span.kind is Fact.INFORMATION for span in example.facts)
        assert [span.kind for span in world.plain_facts(example)] == [span.kind for span in example.facts]


def test_grader_refuses_wrong_answers_and_wrong_traces() -> None:
    example = world.example("coding", "test", 0)
    words = (example.trace or "").split()
    wrong = str((int(example.answer) + 1) % 10)
    refused = Grade(answer=False, trace=False, parsed=True)
    assert world.grade(example, " ".join([*words[:-1], wrong])) == refused
    for i in range(len(words)):
        if i % 4 == 2 and i < len(words) - 2:
            continue
        changed = " ".join([*words[:i], "A" if words[i] == "B" else "B", *words[i + 1 :]])
        assert not world.grade(example, changed).trace
    short = world.grade(example, f"! {example.answer}")
    assert (short.answer, short.trace, short.parsed) == (True, False, True)


@pytest.mark.parametrize("text", ["", "!", "7", "A +3 . 6", "! A", "! 77", "! 7 A", "! ٣", "! ²"])
def test_grader_does_not_parse_what_has_no_answer(text: str) -> None:
    grade = world.grade(MANY[0], text)
    assert (grade.answer, grade.trace, grade.parsed) == (False, False, False)


def test_slips_are_wrong_where_they_say_and_recover() -> None:
    rng = Random(0)
    for example in MANY:
        words = world.plain_trace(example).split()
        step = rng.randrange(example.difficulty)
        for kind in world.Slip:
            out, wrong = world.slip(example, words, step, kind, rng)
            assert len(out) == len(wrong) == len(words) and out[-1] == example.answer
            assert [o for o, bad in zip(out, wrong, strict=True) if not bad] == [
                w for w, bad in zip(words, wrong, strict=True) if not bad
            ]
            assert wrong[4 * step] and out[4 * step] != words[4 * step] and not any(wrong[: 4 * step])
            last = {world.Slip.CHOICE: 4 * step, world.Slip.STEP: 4 * step + 3}.get(kind, 4 * example.difficulty - 1)
            assert max(i for i, bad in enumerate(wrong) if bad) == last
            if kind is not world.Slip.CHOICE:
                check_consistent(example, out, step, last)


def check_consistent(example: Example, out: list[str], step: int, last: int) -> None:
    """A wrong step is internally right: its operation is the chosen one and its result follows."""
    slots = content(example).split()[2:]
    digits = [content(example).split()[1], *out[3 : 4 * example.difficulty : 4]]
    for i, (before, after) in enumerate(pairwise(digits)):
        if step <= i <= last // 4:
            assert out[4 * i + 1] == slots[4 * i + (2 if out[4 * i] == "A" else 3)]
            assert world.apply_op(out[4 * i + 1], int(before)) == int(after)


def test_wrong_prefix_ends_at_the_slip() -> None:
    example = world.example("general", "test", 1)
    words = world.plain_trace(example).split()
    choice = world.wrong_prefix(example, 1, world.Slip.CHOICE).split()
    step = world.wrong_prefix(example, 1, world.Slip.STEP).split()
    assert choice[:4] == step[:4] == words[:4]
    assert len(choice) == 5 and choice[4] != words[4] and len(step) == 8 and step[4] == choice[4]
    coded = world.wrong_prefix(example, 2, world.Slip.STEP, codes=True).split()
    assert coded[:8] == (example.trace or "").split()[:8]


@pytest.mark.parametrize(
    "arguments",
    [("law", "test", 0), ("coding", "dev", 0), ("coding", "test", -1), ("coding", "test", 0, (3, 8))],
)
def test_impossible_problems_are_user_errors(arguments: tuple) -> None:
    with pytest.raises(HarnessError, match="must be one of"):
        world.example(*arguments)


def test_the_world_imports_no_torch() -> None:
    code = (
        "import sys; from harness.worlds import corruption, privilege, slots_world; from harness.models import zoo; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
