"""The permutations world: tables, problems, p, what each word depends on, splits, grades, facts, minds that plan."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product
from random import Random

import pytest

from harness.config import DataSpec
from harness.types import Corruption, Example, Fact, HarnessError, Privilege, text_of
from harness.worlds import minds, privilege, world, world_of
from harness.worlds.minds import Class
from harness.worlds.permutations import planner, problems, scribe, tables, words
from harness.worlds.permutations.planner import KNOWING, Planner
from harness.worlds.permutations.problems import Problem, Sort
from harness.worlds.permutations.words import CHOICES, DIGITS, DOMAINS, HEADERS, STRIDE
from harness.worlds.permutations.world import PermutationsWorld, example, problem_of
from harness.worlds.privilege import told
from harness.worlds.world import (
    Corruptible,
    Demonstrates,
    Drawn,
    Grade,
    Halves,
    HasReferences,
    KnowsFacts,
    TellsAlone,
    World,
)

DRAW = 5
WORLD = PermutationsWorld()
KNOW = tables.truth(DRAW)
SOME = [example(DRAW, domain, "test", i) for domain in DOMAINS for i in range(60)]
UNSURE = Planner(mistaken={"result": (0.0, 0.1), "letter": (0.0, 0.1), "threshold": (0.0, 0.1)}, hard=0.3, depth=3)


def data(**changes: object) -> DataSpec:
    given: dict[str, object] = {"domains": DOMAINS, "draw": DRAW}
    return DataSpec(world="permutations", **(given | changes))  # pyright: ignore[reportArgumentType]


def slots_of(text: str) -> list[list[str]]:
    _, *given = text.split()
    assert len(given) == 28
    return [given[i : i + 4] for i in range(0, 28, 4)]


def test_it_is_a_world_with_every_power_of_text() -> None:
    assert isinstance(world("permutations"), PermutationsWorld)
    for power in (Drawn, HasReferences, Demonstrates, Corruptible, KnowsFacts, TellsAlone, Halves):
        assert isinstance(WORLD, power), power
    assert all(hasattr(WORLD, name) for name in vars(World) if not name.startswith("_"))


# The rules, written anew from the words of the docstrings.
def steps_of(asked: list[str]) -> list[tuple[str, str, str]]:
    domain, digit, *rest = asked
    cells = {name: found.right for name, found in tables.tables(DRAW).items()}
    slots = [rest[i : i + 4] for i in range(0, 28, 4) if rest[i] != "."]
    out = []
    for i, (selector, _, op_a, op_b) in enumerate(slots):
        odd = sum(slot[0] == "odd" for slot in slots[i:])
        if domain == "reasoning":
            choice = "A" if odd % 2 == 0 else "B"
        elif domain == "coding":
            choice = "B" if int(digit) < int(selector[1:]) else "A"
        else:
            choice = str(cells["letter"][selector, digit])
        op = op_a if choice == "A" else op_b
        digit = str(cells["result"][op, digit])
        out.append((choice, op, digit))
    return out


def test_every_trace_follows_from_x_but_for_the_codes() -> None:
    lengths = Counter[int]()
    for each in SOME:
        x, trace = text_of(each.messages[0]).split(), (each.trace or "").split()
        steps = steps_of(x)
        lengths[len(steps)] += 1
        assert len(x) == words.X_WORDS and each.difficulty == len(steps) and len(trace) == 4 * len(steps) + 2
        for i, (choice, op, result) in enumerate(steps):
            assert (trace[4 * i], trace[4 * i + 1], trace[4 * i + 3]) == (choice, op, result)
            assert trace[4 * i + 2] in (words.CODES if x[2 + 4 * i + 1] == "?" else ".")
        assert trace[-2:] == ["!", steps[-1][2]] and each.answer == steps[-1][2]
    assert set(lengths) == {3, 4, 5}
    hard = example(DRAW, "coding", "test", 0, words.HARD_DIFFICULTY)
    assert hard.difficulty in (6, 7) and hard.id == "draw5/coding/test/6-7/0"
    assert [step[2] for step in steps_of(text_of(hard.messages[0]).split())][-1] == hard.answer


def test_tables_are_secret_and_of_their_draw() -> None:
    found = tables.tables(0)
    assert {name: len(cells.right) for name, cells in found.items()} == {"result": 200, "letter": 160, "threshold": 90}
    for op in words.OPS:
        assert sorted(str(found["result"].right[op, digit]) for digit in DIGITS) == list(DIGITS)
    assert len({tuple(found["result"].right[op, digit] for digit in DIGITS) for op in words.OPS}) == len(words.OPS)
    assert Counter(found["letter"].right.values()) == {"A": 80, "B": 80}
    for name in found:
        assert len({str(tables.tables(i)[name].rank) for i in range(tables.DRAWS)}) == tables.DRAWS
    for name in ("result", "letter"):
        assert len({str(tables.tables(i)[name].right) for i in range(tables.DRAWS)}) == tables.DRAWS
    assert len({str(tables.tables(i)["threshold"].right) for i in range(tables.DRAWS)}) == 1


def test_operations_are_shared_by_all_domains() -> None:
    used = {domain: set[tuple[str, str]]() for domain in DOMAINS}
    for each in SOME:
        digit = text_of(each.messages[0]).split()[1]
        for _, op, result in steps_of(text_of(each.messages[0]).split()):
            used[each.domain].add((op, digit))
            digit = result
    assert all(len(used[a] & used[b]) > 40 for a, b in product(DOMAINS, DOMAINS))  # of 200 cells, 240 visits


def test_splits_are_disjoint_by_construction() -> None:
    seen: dict[str, str] = {}
    for split, domain, which in product(words.SPLITS, DOMAINS, (0, DRAW)):
        for i in range(60):
            text = text_of(example(which, domain, split, i).messages[0])
            assert problems.split_of(text) == split and seen.setdefault(text, split) == split
    assert len(seen) == 3 * 3 * 2 * 60
    rng = Random(3)
    shares = Counter(problems.split_of(problems.problem("coding", (3, 5), rng).text) for _ in range(2000))
    assert abs(shares["train"] / 2000 - 0.5) < 0.05 and abs(shares["test"] / 2000 - 0.25) < 0.05


def test_examples_are_the_same_in_another_process() -> None:
    code = (
        "from harness.worlds.permutations.world import example as e, DOMAINS\n"
        f"print([(x.messages, x.trace, x.privileged) for x in [e({DRAW}, d, 'train', 7) for d in DOMAINS]])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = [example(DRAW, domain, "train", 7) for domain in DOMAINS]
    assert other.strip() == str([(each.messages, each.trace, each.privileged) for each in here])


def test_a_known_problem_has_not_changed() -> None:
    first = example(0, "general", "test", 1)
    assert (text_of(first.messages[0]), first.trace) == KNOWN


KNOWN = (
    "general 4 d ? G C l ? E U c ? H E . . . . . . . . . . . . . . . .",
    "B C k0 9 A E k7 7 B E k7 2 ! 2",
)


def test_ids_name_draw_domain_split_range_and_place() -> None:
    found = WORLD.examples(data(), "validation", 7, start=2)
    assert [each.id for each in found[:3]] == [
        "draw5/coding/validation/0",
        "draw5/general/validation/1",
        "draw5/reasoning/validation/1",
    ]
    assert found == WORLD.examples(data(), "validation", 9)[2:]
    (hard,) = WORLD.examples(data(difficulty=(6, 7)), "test", 1)
    assert problem_of(hard).text == text_of(hard.messages[0])


def test_five_kinds_of_p_each_tell_something_of_their_own() -> None:
    assert WORLD.privileges == ("final_answer", "hints_with_execution", "hints", "summary", "masked_hints")
    minds.check_kinds(problems.tells_of())
    for each in SOME:
        steps, codes = steps_of(text_of(each.messages[0]).split()), [slot.code for slot in problem_of(each).slots]
        given = {kind: slots_of(told(text)) for kind, text in each.privileged.items()}
        assert {told(text).split()[0] for text in each.privileged.values()} == {
            "answer",
            "execution",
            "hints",
            "summary",
        }
        for i, (choice, op, result) in enumerate(steps):
            last = i == len(steps) - 1
            assert given["hints"][i] == [choice, ".", codes[i], "."]
            assert given["hints_with_execution"][i] == [choice, op, codes[i], "." if last else result]
            assert given["summary"][i] == [choice if i % 2 == 0 else ".", ".", ".", "."]
            assert given["masked_hints"][i] == [".", ".", codes[i], "."]
        assert given["final_answer"] == [[".", ".", ".", each.answer]] * 7
        for kind in ("hints", "hints_with_execution", "summary", "masked_hints"):
            assert given[kind][len(steps) :] == [["."] * 4] * (7 - len(steps))


def test_no_answer_follows_from_p_alone() -> None:
    """But for the final answer: with other digits after the operations the same p goes with other answers."""
    for each in SOME[::6]:
        asked = problem_of(each)
        for kind in ("hints_with_execution", "hints", "summary", "masked_hints"):
            tells, answers = problems.honest(asked, kind, KNOW), set[str]()
            last = scribe.write(asked, KNOW, tells)[STRIDE * (len(asked.slots) - 1) + 1]
            for shift in range(10):

                def shifted(name: str, cell: minds.Cell, shift: int = shift, last: str = last) -> minds.Value:
                    right = KNOW(name, cell)
                    moved = name == "result" and isinstance(cell, tuple) and cell[0] == last
                    return str((int(str(right)) + shift) % 10) if moved else right

                answers.add(scribe.write(asked, shifted, tells)[-1])
            assert len(answers) > 1, kind


def problem_in(domain: str, seed: int, steps: int = 4) -> Problem:
    return problems.problem(domain, (steps, steps), Random(f"{domain} {seed}"))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_scribe_goes_on_from_what_stands(domain: str) -> None:
    for seed in range(20):
        asked = problem_in(domain, seed)
        right = scribe.write(asked, KNOW)
        other = next(digit for digit in DIGITS if digit != right[3])
        written = scribe.write(asked, KNOW, forced={3: other})
        assert written[:3] == right[:3] and written[3] == other
        assert written[4] == KNOW(*asked.choice(1, other)) and written[5] == asked.slots[1].op(written[4])
        assert written[7] == KNOW("result", (written[5], other))
        flipped = scribe.write(asked, KNOW, forced={0: CHOICES[right[0] == "A"]})
        assert flipped[1] == asked.slots[0].op(flipped[0]) != right[1]
        assert scribe.write(asked, KNOW, forced={len(right) - 3: "x"})[-1] == "x"


@pytest.mark.parametrize("kind", HEADERS)
def test_the_scribe_writes_what_p_tells_even_if_it_lies(kind: str) -> None:
    rng = Random(1)
    differ = 0
    for seed in range(60):
        asked = problem_in(DOMAINS[seed % 3], seed)
        tells = problems.false(asked, kind, rng)
        written = scribe.write(asked, KNOW, tells)
        differ += written != scribe.write(asked, KNOW, problems.honest(asked, kind, KNOW))
        for i, slot in enumerate(asked.slots):
            choice, op, note, result = written[4 * i : 4 * i + 4]
            assert choice == tells.choices[i] or tells.choices[i] is None
            assert op == slot.op(choice)
            assert result == tells.results[i] or tells.results[i] is None
            code = slot.code if kind in ("hints", "hints_with_execution", "masked_hints") else "_"
            assert note == ("." if slot.code == "." else code)
        assert written[-1] == (tells.answer or written[-3])
    assert differ > 40 or kind == "masked_hints"


def test_a_slip_is_one_word_of_the_same_sort() -> None:
    rng, offsets = Random(2), Counter[int]()
    asked = problem_in("general", 0)
    for _ in range(90):
        ((at, word),) = scribe.slip(asked, rng).items()
        slot = asked.slots[at // 4]
        offsets[at % 4] += 1
        assert word in {0: CHOICES, 1: (slot.op_a, slot.op_b), 3: DIGITS}[at % 4]
    assert set(offsets) == {0, 1, 3}


def test_notes_are_guessed_or_misread_where_they_are_asked_to_be() -> None:
    drawn = (problem_in("coding", i) for i in range(99))
    asked = next(each for each in drawn if all(slot.code != "." for slot in each.slots))
    written = scribe.write(asked, KNOW)
    assert scribe.with_notes(written, asked, [True] * 4, 0.0, Random(0)) == written
    every = scribe.with_notes(written, asked, [True, False, True, False], 1.0, Random(0))
    assert [word in words.CODES for word in every[2:-2:4]] == [True, False, True, False]
    hints = scribe.write(asked, KNOW, problems.honest(asked, "hints", KNOW))
    misread = scribe.with_notes(hints, asked, [True] * 4, 1.0, Random(0))
    assert all(a != b and a in words.CODES for a, b in zip(misread[2:-2:4], hints[2:-2:4], strict=True))


def test_facts_are_character_spans_of_what_decides_each_word() -> None:
    for each in SOME:
        asked, trace = problem_of(each), each.trace or ""
        plain = WORLD.reference(each)
        for text, facts in ((trace, each.facts), (plain, WORLD.reference_facts(each))):
            assert [text[span.start : span.end] for span in facts] == text.split()
        for i, (word, span) in enumerate(zip(trace.split(), each.facts, strict=True)):
            code = i < 4 * len(asked.slots) and i % 4 == 2 and asked.slots[i // 4].code != "."
            fixed = word in (".", "!")
            assert span.kind is (Fact.INFORMATION if code else Fact.FORMAT if fixed else Fact.CAPABILITY)
            assert plain.split()[i] == ("_" if code else word)
        assert WORLD.privileged_facts(each, Privilege.NONE) == ()
        for kind in HEADERS:
            text = told(each.privileged[kind])
            for span in WORLD.privileged_facts(each, kind):
                word = text[span.start : span.end]
                said = Fact.INFORMATION if word in WORLD.guesses else Fact.CAPABILITY
                assert span.kind is (Fact.FORMAT if word in (".", HEADERS[kind]) else said)


def test_grades() -> None:
    each = SOME[0]
    right, plain = each.trace or "", WORLD.reference(each)
    assert WORLD.grade(each, right) == WORLD.grade(each, plain) == Grade(answer=True, trace=True, parsed=True)
    first, *rest = plain.split()
    flipped = CHOICES[first == "A"]
    assert WORLD.grade(each, " ".join([flipped, *rest])) == Grade(answer=True, trace=False, parsed=True)
    other = next(digit for digit in DIGITS if digit != each.answer)
    wrong = " ".join([first, *rest[:-1], other])
    assert WORLD.grade(each, wrong) == Grade(answer=False, trace=False, parsed=True)
    for garbled in ("", plain.replace("!", "."), " ".join(plain.split()[:-1]), f"{plain} 3 x", f"{plain}3"):
        assert WORLD.grade(each, garbled) == Grade(answer=False, trace=False, parsed=False)


def test_no_word_of_p_reaches_a_plain_prompt() -> None:
    for each in SOME:
        assert not set(text_of(each.messages[0]).split()) & {*words.CODES, *CHOICES, *HEADERS.values()}


def test_wrong_p_has_the_other_choice_everywhere_and_is_consistent() -> None:
    for each in SOME[::5]:
        asked = problem_of(each)
        for kind in HEADERS:
            text = WORLD.corrupted(each, kind, Corruption.WRONG_STEPS, Random(0))
            digit = asked.start
            assert text.split()[0] == told(each.privileged[kind]).split()[0]
            for i, (a, b) in enumerate(zip(slots_of(text), slots_of(told(each.privileged[kind])), strict=True)):
                assert [word == "." for word in a] == [word == "." for word in b]
                assert a[0] == "." or a[0] != b[0]
                assert a[2] == "." or (a[2] != b[2] and a[2] in words.CODES)
                if kind == "hints_with_execution" and i < len(asked.slots):
                    assert a[1] == asked.slots[i].op(a[0])
                    digit = str(KNOW("result", (a[1], digit)))
                    assert a[3] in (digit, ".")
                if kind == "final_answer":
                    assert a[3] != b[3] and a == slots_of(text)[0]
    with pytest.raises(HarnessError, match="give wrong_steps or shuffled_steps"):
        WORLD.corrupted(SOME[0], "hints", Corruption.OTHER_EXAMPLE, Random(0))


def test_shuffled_p_has_the_same_steps_in_another_order() -> None:
    moved = 0
    for each in SOME[::5]:
        for kind in ("hints", "hints_with_execution"):
            true = slots_of(told(each.privileged[kind]))
            found = slots_of(WORLD.corrupted(each, kind, Corruption.SHUFFLED_STEPS, Random(0)))
            assert sorted(found) == sorted(true)
            assert [set(slot) == {"."} for slot in found] == [set(slot) == {"."} for slot in true]
            moved += found != true
    assert moved > 60  # of 72: the hints of some problems are all the same


def test_a_demonstration_has_the_form_of_execution() -> None:
    for each in SOME[::9]:
        steps = WORLD.reference(each).split()[:-2]
        shown = slots_of(WORLD.demonstration(WORLD.reference(each)))
        form = slots_of(told(each.privileged["hints_with_execution"]))
        assert [word for slot in shown for word in slot][: len(steps)] == [*steps[:-1], "."]
        assert [[w == "." for w in a[:2] + a[3:]] for a in shown] == [[w == "." for w in b[:2] + b[3:]] for b in form]
    for garbled in ("", "A", " ".join(["B"] * 60)):
        assert len(WORLD.demonstration(garbled).split()) == 29


def test_p_alone_leaves_nothing_of_x() -> None:
    for each in SOME[::9]:
        for kind in HEADERS:
            turns = WORLD.alone(each, kind)
            whole = privilege.messages(each, kind)
            assert turns[0] == whole[0] and [turn["role"] for turn in turns] == [turn["role"] for turn in whole]
            blank = text_of(turns[1]).split()
            assert set(blank) == {"."} and len(blank) == len(text_of(each.messages[0]).split())
    with pytest.raises(HarnessError, match="has no privileged input 'none' to take apart; it has: final_answer, "):
        WORLD.alone(SOME[0], Privilege.NONE)


def test_the_first_half_of_p_is_of_the_first_steps() -> None:
    for each in SOME[::9]:
        for kind in ("hints", "hints_with_execution", "summary", "masked_hints"):
            whole, half = slots_of(told(each.privileged[kind])), slots_of(WORLD.first_half(each, kind))
            assert each.difficulty is not None
            kept = (each.difficulty + 1) // 2
            assert half[:kept] == whole[:kept] and half[kept:] == [["."] * 4] * (7 - kept)
    with pytest.raises(HarnessError, match="'final_answer' tells no steps, so it has no first half"):
        WORLD.first_half(SOME[0], "final_answer")
    with pytest.raises(HarnessError, match="has no privileged input 'caption'"):
        WORLD.first_half(SOME[0], "caption")


def test_benchmarks_are_three_a_domain() -> None:
    found = {each.name: each for each in WORLD.benchmarks()}
    assert set(found) == {f"permutations_{d}{s}" for d in DOMAINS for s in ("", "_hard", "_validation")}
    assert found["permutations_coding_hard"].data.difficulty == (6, 7)
    assert {each.split for name, each in found.items() if "validation" in name} == {"validation"}
    assert all(each.data.draw is None and each.max_new_tokens == 32 for each in found.values())
    longest = example(DRAW, "general", "test", 0, (7, 7)).trace or ""
    assert len(longest.split()) + 2 == 32  # and its end, and one more


@pytest.mark.parametrize("draw", [None, -1, 6])
def test_a_draw_that_is_not_there_is_refused(draw: int | None) -> None:
    with pytest.raises(HarnessError, match=f"draw={draw}: world 'permutations' has draws 0 to 4"):
        WORLD.examples(data(draw=draw), "test", 1)
    with pytest.raises(HarnessError, match="has the draws 0, 1, 2, 3, 4, 5"):
        world_of(data(draw=draw))


def test_an_unknown_split_domain_or_range_is_refused() -> None:
    with pytest.raises(HarnessError, match="split one of"):
        WORLD.examples(data(), "exam", 1)
    with pytest.raises(HarnessError, match="understanding"):
        world_of(data(domains=("understanding",)))
    with pytest.raises(HarnessError, match="difficulty a range within 1 to 7"):
        WORLD.examples(data(difficulty=(3, 8)), "test", 1)


# Minds
def test_a_mind_says_what_it_believes() -> None:
    held, rng = planner.beliefs(DRAW, UNSURE), Random(0)
    know = planner.knowing(DRAW, UNSURE, rng)
    for name, cells in tables.tables(DRAW).items():
        by_rank = sorted(cells.rank, key=cells.rank.__getitem__)
        wrong = [cell for cell in by_rank if held.of(name, cell).believed != cells.right[cell]]
        assert wrong == by_rank[: len(by_rank) // 10]
        for cell in by_rank[:4]:
            drawn = [know(name, cell) for _ in range(400)]
            assert set(drawn) == {cells.right[cell], cells.distractor[cell]}
            assert abs(drawn.count(cells.distractor[cell]) / 400 - 0.9) < 0.06
        assert {know(name, by_rank[-1]) for _ in range(50)} == {cells.right[by_rank[-1]]}


def test_parities_are_known_so_many_last_steps_and_tossed_before() -> None:
    know = planner.knowing(DRAW, UNSURE, Random(0))
    for ahead in range(1, 8):
        for right in CHOICES:
            share = [know("plan", (ahead, right)) for _ in range(400)].count(right) / 400
            assert share == 1.0 if ahead <= 3 else abs(share - 0.5) < 0.1
    traces = [scribe.write(problem_in("reasoning", 0, 5), know) for _ in range(40)]
    right = scribe.write(problem_in("reasoning", 0, 5), KNOW)
    assert len({(trace[0], trace[4]) for trace in traces}) == 4
    assert {tuple(trace[8:18:4]) for trace in traces} == {tuple(right[8:18:4])}


def test_the_joint_error_table_is_the_overlap_of_the_minds() -> None:
    teacher = replace(UNSURE, mistaken={"result": (0.05, 0.15), "letter": (0.2, 0.3)}, depth=4)
    sizes = planner.class_sizes(UNSURE, teacher)
    assert sizes["result"] == {Class.BOTH: 170, Class.TEACHER_ONLY: 10, Class.STUDENT_ONLY: 10, Class.NEITHER: 10}
    assert sizes["letter"] == {Class.BOTH: 128, Class.TEACHER_ONLY: 16, Class.STUDENT_ONLY: 16, Class.NEITHER: 0}
    assert sizes["threshold"] == {Class.BOTH: 81, Class.TEACHER_ONLY: 9, Class.STUDENT_ONLY: 0, Class.NEITHER: 0}
    assert sizes["plan"] == {Class.BOTH: 3, Class.TEACHER_ONLY: 1, Class.STUDENT_ONLY: 0, Class.NEITHER: 3}
    assert planner.class_of(teacher, UNSURE, DRAW, "plan", (4, "A")) is Class.STUDENT_ONLY


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": -1}, "depth=-1: give a number of steps from 0 to 7"),
        ({"depth": 8}, "depth=8"),
        ({"right": (0.5, 1.0)}, "a confidence lies between 0 and 1"),
        ({"wrong": (0.0, 0.5)}, "a confidence lies between 0 and 1"),
        ({"mistaken": {"result": (0.2, 0.4)}}, "contradict"),
    ],
)
def test_a_mind_that_contradicts_itself_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(HarnessError, match=says):
        replace(UNSURE, **change)


def test_a_mind_that_does_not_fit_the_world_is_refused() -> None:
    with pytest.raises(HarnessError, match="holds none of the 90 cells"):
        planner.beliefs(DRAW, replace(UNSURE, mistaken={"threshold": (0.112, 0.121)}))
    with pytest.raises(HarnessError, match="no such cell set, choose from result, letter, threshold"):
        planner.beliefs(DRAW, replace(UNSURE, mistaken={"plan": (0.0, 0.1)}))


def test_a_mind_that_makes_a_kind_of_p_idle_is_refused() -> None:
    """One that gets no choice wrong has no use for hints; the truth has none for any p, and is no student's mind."""
    planner.beliefs(DRAW, KNOWING)
    planner.beliefs(DRAW, replace(KNOWING, depth=6))
    planner.beliefs(DRAW, Planner(mistaken={"letter": (0.0, 0.1)}, hard=0.1))
    with pytest.raises(HarnessError, match=r"'hints' is idle, this mind gets nothing wrong that it tells: .* letter"):
        planner.beliefs(DRAW, Planner(mistaken={"result": (0.0, 0.1)}, hard=0.3))
    with pytest.raises(HarnessError, match="'final_answer' is idle"):
        planner.beliefs(DRAW, replace(KNOWING, guesses=0.1))
    assert planner.mistaken_about(UNSURE) == {*Sort} - {Sort.CODE}
    assert planner.mistaken_about(replace(KNOWING, depth=2)) == {Sort.CHOICE, Sort.ANSWER}


def test_marks_stand_where_codes_do_and_half_of_the_slots_have_one() -> None:
    marked = [slot.code != "." for each in SOME for slot in problem_of(each).slots]
    assert 0.42 < sum(marked) / len(marked) < 0.58  # of 720

    def marks(each: Example) -> list[bool]:
        return [word == "?" for word in text_of(each.messages[0]).split()[3::4]]

    for each in SOME:
        assert marks(each)[: len(problem_of(each).slots)] == [slot.code != "." for slot in problem_of(each).slots]
