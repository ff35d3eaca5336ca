"""Models of the permutations world: vocabulary, what is read in pre-training, recipe, training, measuring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from support.permutations import SMALL
from transformers import Qwen3ForCausalLM

from harness.models.reader import TextReader
from harness.models.zoo import text_models
from harness.models.zoo.permutations import measure, pretrain, rows
from harness.models.zoo.permutations.recipe import MINDS, MODELS, RECIPE, STUDENT, TEACHER
from harness.models.zoo.permutations.recipe import SMALL as SMALL_MIND
from harness.models.zoo.permutations.vocabulary import EOS, IDS, WORDS, prompt, tokenizer
from harness.types import HarnessError, Privilege, text_of
from harness.worlds import privilege
from harness.worlds.minds import Class
from harness.worlds.permutations import planner, problems, scribe, tables, words
from harness.worlds.permutations.planner import KNOWING, Planner
from harness.worlds.permutations.problems import Sort
from harness.worlds.permutations.world import example
from harness.worlds.privilege import told

DRAW = 5
CLEAN = replace(RECIPE, slips=0.0, without_codes=0.0, lies=0.0, masked=0.0, halved=0.0, alone=0.0)
KNOW = tables.truth(DRAW)


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    return pretrain.build(SMALL, 0).eval()


@pytest.fixture(scope="module")
def of() -> measure.Asked:
    return measure.asked(DRAW, n=3, split="validation")


def test_no_word_of_the_world_is_unknown() -> None:
    reader = tokenizer()
    assert len(set(WORDS)) == len(WORDS) == len(reader) == 85
    assert reader.convert_ids_to_tokens(range(len(WORDS))) == list(WORDS) and reader.eos_token == EOS
    for domain in words.DOMAINS:
        for i in range(20):
            each = example(DRAW, domain, "train", i, (1, 7))
            for text in (text_of(each.messages[0]), each.trace or "", *map(told, each.privileged.values())):
                assert [WORDS[j] for j in reader(text, add_special_tokens=False)["input_ids"]] == text.split()


@pytest.mark.parametrize("kind", ["none", *words.HEADERS])
def test_prompts_are_what_the_chat_template_writes(kind: str) -> None:
    each = example(DRAW, "reasoning", "train", 3)
    p = "" if kind == "none" else told(each.privileged[kind])
    ids = prompt(text_of(each.messages[0]), p)
    assert ids == TextReader(tokenizer()).ids(privilege.messages(each, kind))
    assert len(ids) == (35 if kind == "none" else 67)


def test_the_model_has_the_size_of_the_prototypes() -> None:
    assert sum(p.numel() for p in pretrain.build(RECIPE, 0).parameters()) == 116_480


def page(recipe: object = CLEAN, mind: Planner = KNOWING, seed: int = 0, batch: int = 120) -> list[list[list[str]]]:
    """Of the half without p and of that with it, each row's prompt and response, "" where there is no loss."""
    found = rows.page(replace(recipe, batch=batch), DRAW, (3, 7), Random(seed), mind)  # pyright: ignore
    out = []
    for each in found:
        start = each.ids_BL.shape[1] - each.targets_BT.shape[1]
        for ids, targets in zip(each.ids_BL, each.targets_BT, strict=True):
            assert ((targets == text_models.IGNORE) | (targets == ids[start:])).all()
            said = [WORDS[i] for i in ids[:start]]
            kept = ["" if i == text_models.IGNORE else WORDS[i] for i in targets]
            whole = [WORDS[i] for i in ids[start:]]
            end = whole.index(EOS)
            out.append([said, whole[:end], kept[:end]])
            assert kept[end] == EOS and set(kept[end + 1 :]) <= {""}
    return out


def test_the_truth_writes_the_truth_and_domains_come_in_turn() -> None:
    found = page()
    for i, (said, whole, kept) in enumerate(found):
        at = said.index("user") + 1
        assert said[at] == words.DOMAINS[i % 3] and whole == kept
        assert ("system" in said) == (i >= 60)
        digit = said[at + 1]
        for j in range(0, len(whole) - 2, 4):
            choice, op, _, result = whole[j : j + 4]
            slot = said[at + 2 + j : at + 6 + j]
            assert op == slot[2 + (choice == "B")] and result == KNOW("result", (op, digit))
            digit = result
        assert problems.split_of(" ".join(said[at : at + 30])) == "train"
    headers = [said[said.index("system") + 1] for said, _, _ in found[60:]]
    assert 0.25 < headers.count("hints") / 60 < 0.55 and set(headers) == {"hints", "execution", "summary", "answer"}


def test_slips_carry_no_loss() -> None:
    found = page(replace(CLEAN, slips=1.0))
    assert all(kept.count("") == 1 for _, _, kept in found)
    assert all(len(whole) == len(kept) for _, whole, kept in found)
    some = sum("" in kept for _, _, kept in page(replace(CLEAN, slips=0.4), batch=400))
    assert 0.32 < some / 400 < 0.48


def test_guesses_and_misreadings_are_as_often_as_the_mind_says() -> None:
    plain = page(mind=replace(STUDENT, guesses=0.5, misreads=0.0), batch=200)[:100]
    notes = [word for _, whole, _ in plain for word in whole[2:-2:4] if word != "."]
    assert 0.4 < sum(note in words.CODES for note in notes) / len(notes) < 0.6
    assert not any(w in words.CODES for _, whole, _ in page(mind=TEACHER)[:60] for w in whole)

    def wrong(mind: Planner) -> float:
        pairs = []
        for said, whole, _ in page(mind=mind, batch=200)[100:]:
            at = said.index("system") + 1
            if said[at] in ("hints", "execution"):
                pairs += [(a, b) for a, b in zip(whole[2:-2:4], said[at + 3 : at + 29 : 4], strict=False) if b != "."]
        assert len(pairs) > 100
        return sum(a != b for a, b in pairs) / len(pairs)

    assert wrong(KNOWING) == 0.0 and 0.4 < wrong(replace(STUDENT, misreads=0.5)) < 0.6


def test_codes_that_are_left_unknown_carry_no_loss() -> None:
    told_codes = 0
    for said, whole, kept in page(replace(CLEAN, without_codes=1.0))[60:]:
        notes = [(a, b) for a, b in zip(whole[2:-2:4], kept[2:-2:4], strict=True) if a != "."]
        if said[said.index("system") + 1] in ("hints", "execution"):
            told_codes += 1
            assert set(notes) <= {("_", "")}
        else:
            assert set(notes) <= {("_", "_")}
    assert told_codes > 20


def test_lies_are_written_after() -> None:
    followed, lied = 0, 0
    for said, whole, _ in page(replace(CLEAN, lies=1.0))[60:]:
        at = said.index("system") + 1
        told_slots = [said[at + 1 + i : at + 5 + i] for i in range(0, 28, 4)]
        if said[at] == "answer":
            assert whole[-1] == told_slots[0][3]
            lied += whole[-1] != whole[-3]
            continue
        for i, (choice, _, _, result) in enumerate(told_slots):
            if choice != ".":
                assert whole[4 * i] == choice
                followed += 1
            assert result in (".", *whole[4 * i + 3 : 4 * i + 4])
    assert followed > 100 and lied > 4


def test_p_in_part_is_as_controls_show_it() -> None:
    for share, blank_choice in (("masked", True), ("alone", False)):
        for said, whole, kept in page(replace(CLEAN, **{share: 1.0}))[60:]:
            at, user = said.index("system") + 1, said.index("user") + 1
            x = said[user : user + 30]
            if said[at] not in ("hints", "execution"):
                assert x[0] in words.DOMAINS and whole == kept
                continue
            assert (set(said[at + 1 : at + 29 : 4]) == {"."}) == blank_choice
            if share == "masked":
                assert x[0] in words.DOMAINS and whole == kept
                continue
            assert set(x) == {"."} and kept[-2:] == whole[-2:]
            execution = said[at] == "execution"
            for i in range(0, len(whole) - 2, 4):
                last = i == len(whole) - 6
                assert kept[i] == whole[i] and kept[i + 2] == whole[i + 2]
                assert kept[i + 1] == (whole[i + 1] if execution else "")
                assert kept[i + 3] == (whole[i + 3] if execution and not last else "")
    halves = 0
    for said, whole, kept in page(replace(CLEAN, halved=1.0))[60:]:
        at = said.index("system") + 1
        if said[at] in ("hints", "execution"):
            steps = (len(whole) - 2) // 4
            told_choices = [word != "." for word in said[at + 1 : at + 29 : 4]]
            assert told_choices == [i < (steps + 1) // 2 for i in range(7)] and whole == kept
            halves += 1
    assert halves > 20


def test_shares_of_p_in_part_add_up() -> None:
    found = page(replace(CLEAN, masked=0.2, halved=0.2, alone=0.2), batch=800)[400:]
    codes = [said for said, _, _ in found if said[said.index("system") + 1] in ("hints", "execution")]
    alone = sum(said[said.index("user") + 1] == "." for said in codes) / len(codes)
    masked = sum(set(s[s.index("system") + 2 : s.index("system") + 30 : 4]) == {"."} for s in codes) / len(codes)
    assert abs(alone - 0.2) < 0.08 and abs(masked - 0.2) < 0.08


def test_minds_of_a_pair_read_the_same_problems() -> None:
    first, second = (page(mind=mind) for mind in (STUDENT, replace(STUDENT, right=(0.5, 0.5))))
    for (a, _, _), (b, _, _) in zip(first, second, strict=True):
        assert a[a.index("user") :] == b[b.index("user") :]


def test_every_class_that_is_read_is_empty_by_design_or_holds_four_cells() -> None:
    sizes = planner.class_sizes(STUDENT, TEACHER)
    assert sizes["result"] == {Class.BOTH: 166, Class.TEACHER_ONLY: 24, Class.STUDENT_ONLY: 10, Class.NEITHER: 0}
    pooled = {each: sizes["letter"][each] + sizes["threshold"][each] for each in Class}
    assert pooled == {Class.BOTH: 219, Class.TEACHER_ONLY: 14, Class.STUDENT_ONLY: 4, Class.NEITHER: 13}
    for draw in range(tables.DRAWS):
        for mind in MINDS.values():
            planner.beliefs(draw, mind)  # fits the cells, and no kind of p is idle


def test_small_knows_less_than_the_student_everywhere() -> None:
    for name, (low, high) in STUDENT.mistaken.items():
        small_low, small_high = SMALL_MIND.mistaken[name]
        assert small_low <= low and small_high > high
    assert SMALL_MIND.depth < STUDENT.depth < TEACHER.depth
    sizes = planner.class_sizes(SMALL_MIND, STUDENT)
    assert all(by[Class.STUDENT_ONLY] == 0 for by in sizes.values())
    assert MODELS == ("trunk", "truth", "teacher", "student", "student_uncalibrated", "small")


def trained(work: Path, until: int) -> dict[str, torch.Tensor]:
    """A trunk up to a step, as if killed there."""
    for found, made in pretrain.train_trunk(SMALL, DRAW, 0, work):
        if found.step == until:
            return {name: weight.clone() for name, weight in made.state_dict().items()}
    raise AssertionError


def test_a_killed_trunk_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    uncut = trained(tmp_path / "whole", 6)
    half = trained(tmp_path / "cut", 4)
    resumed = trained(tmp_path / "cut", 6)
    assert all(torch.equal(uncut[name], resumed[name]) for name in uncut)
    assert any(not torch.equal(half[name], resumed[name]) for name in half)
    ((last, again),) = list(pretrain.train_trunk(SMALL, DRAW, 0, tmp_path / "cut"))
    assert last.step == 6 and last.loss is None
    assert all(torch.equal(uncut[name], weight) for name, weight in again.state_dict().items())


def test_problems_of_the_trunk_get_longer(tmp_path: Path) -> None:
    assert [RECIPE.difficulty(step) for step in (0, 99, 100, 199, 200, 399)] == [
        (1, 3), (1, 3), (1, 5), (1, 5), (3, 7), (3, 7),
    ]  # fmt: skip


def test_minds_decay_deterministically() -> None:
    def losses(name: str) -> list[float]:
        made = pretrain.build(SMALL, 3)
        return [loss for _, loss in pretrain.train_mind(made, SMALL, DRAW, name, MINDS[name])]

    assert losses("teacher") == losses("teacher") != losses("student")


def test_a_mind_is_learnt_where_it_decays() -> None:
    """A few steps on one p that tells everything move mass to it."""
    made = pretrain.build(SMALL, 3)
    batch = rows.page(replace(SMALL, batch=8), DRAW, (1, 1), Random(0), KNOWING)[1]
    first = float(pretrain.loss_of(made, batch).detach())
    optims = pretrain.descent.optimisers(made, 0.01, 0.004)
    for _ in range(10):
        pretrain._step(made, optims, [batch], SMALL, 1.0)
    assert float(pretrain.loss_of(made, batch).detach()) < 0.7 * first


def test_right_answers_are_counted_by_domain(of: measure.Asked) -> None:
    written = [scribe.write(each, KNOW) for each in of.problems]
    assert measure.right(of, written) == dict.fromkeys(words.DOMAINS, 100.0)
    other = next(digit for digit in words.DIGITS if digit != written[0][-1])
    broken = [[*written[0][:-1], other], *written[1:]]
    assert measure.right(of, broken)["general"] == pytest.approx(200 / 3)
    assert measure.right(of, [[], *written[1:]])["general"] == pytest.approx(200 / 3)
    assert measure.mean(measure.right(of, broken)) == pytest.approx(800 / 9)


def test_wanted_words_go_on_from_what_is_written(of: measure.Asked) -> None:
    for each in of.problems:
        reference = scribe.write(each, KNOW)
        wanted = measure.wanted(each, reference, DRAW)
        assert [WORDS[i] if i >= 0 else "" for i in wanted[:-2]] == [
            "" if i % 4 == 2 else word for i, word in enumerate(reference[:-2])
        ]
        assert wanted[-2] == -1 and WORDS[wanted[-1]] == reference[-1]
        other = next(digit for digit in words.DIGITS if digit != reference[3])
        moved = measure.wanted(each, [*reference[:3], other, *reference[4:]], DRAW)
        assert moved[:7] == wanted[:7] and WORDS[moved[7]] == KNOW("result", (reference[5], other))
        flipped = words.CHOICES[reference[0] == "A"]
        assert WORDS[measure.wanted(each, [flipped, *reference[1:]], DRAW)[1]] == each.slots[0].op(flipped)


def test_whole_responses_have_the_form_of_one(of: measure.Asked) -> None:
    each = of.problems[0]
    reference = scribe.write(each, KNOW)
    assert measure.is_whole(each, reference)
    for i in (0, 1, 3, len(reference) - 2, len(reference) - 1):
        assert not measure.is_whole(each, [*reference[:i], "k1", *reference[i + 1 :]])
    assert not measure.is_whole(each, reference[:-1]) and not measure.is_whole(each, [])
    assert measure.is_whole(each, [*reference[:2], "A", *reference[3:]])  # notes may be anything


def test_scored_is_the_librarys_forward(model: Qwen3ForCausalLM, of: measure.Asked) -> None:
    written = [scribe.write(each, KNOW) for each in of.problems]
    logp, best = measure.scored(model, of, "hints", written)
    for row in (0, 4):
        each = of.problems[row]
        p = problems.privileged_text(each, problems.honest(each, "hints", KNOW))
        ids = [*prompt(each.text, p), *(IDS[word] for word in written[row]), IDS[EOS]]
        with torch.no_grad():
            theirs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        n = len(written[row]) + 1
        picked = theirs[-n - 1 : -1]
        expected = picked.gather(-1, torch.tensor(ids[-n:])[:, None])[:, 0]
        assert torch.allclose(logp[row, :n], expected, atol=1e-5) and (logp[row, n:] == 0).all()
        assert torch.equal(best[row, :n], picked.argmax(-1))


def test_judged_tokens_are_those_of_whole_samples(
    model: Qwen3ForCausalLM, of: measure.Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HarnessError, match="none of 9 samples of the student is a whole response"):
        measure.judged(model, model, of, "hints")
    written = [scribe.write(each, KNOW) for each in of.problems]
    monkeypatch.setattr(measure, "responses", lambda *_, **__: [["A"], *written[1:]])
    found = measure.judged(model, pretrain.build(SMALL, 5).eval(), of, "hints")
    steps = [len(each.slots) for each in of.problems[1:]]
    assert len(found.advantage) == sum(4 * n + 3 for n in steps)  # answer marker, answer and end
    assert found.judged.sum() == sum(3 * n + 1 for n in steps)
    assert not (measure.judged(model, model, of, "hints").advantage).any()
    _, best = measure.scored(model, measure.Asked(problems=of.problems[1:], draw=DRAW), "hints", written[1:])
    hits = [
        int(best[row, i]) == wanted
        for row, each in enumerate(of.problems[1:])
        for i, wanted in enumerate([*measure.wanted(each, written[1 + row], DRAW), -1])
    ]
    assert found.student.tolist() == hits


def test_what_a_false_p_tells_is_looked_for_where_it_would_stand(
    of: measure.Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obeys(_: object, asked: measure.Asked, tells: list[problems.Told]) -> list[list[str]]:
        return [scribe.write(a, KNOW, t) for a, t in zip(asked.problems, tells, strict=True)]

    monkeypatch.setattr(measure, "responses", obeys)
    for kind, sort in measure.FALSE.items():
        found = measure.followed(None, of, kind)  # pyright: ignore[reportArgumentType]
        assert found[sort] == 100.0 and Sort.CODE not in found
    monkeypatch.setattr(measure, "responses", lambda *_: [scribe.write(a, KNOW) for a in of.problems])
    for kind, sort in measure.FALSE.items():
        assert measure.followed(None, of, kind)[sort] < 90  # pyright: ignore[reportArgumentType]


def test_classes_and_codes_are_read_along_right_traces(model: Qwen3ForCausalLM) -> None:
    many = measure.asked(DRAW, n=40, split="validation")
    found = measure.by_class(model, many, STUDENT, TEACHER)
    steps = sum(len(each.slots) for each in many.problems)
    assert sum(each["n"] for key, each in found.items() if key.startswith("result")) == steps
    assert sum(each["n"] for key, each in found.items() if not key.startswith("result")) == steps
    assert {"result, both", "result, teacher_only", "choice, both", "plan, both", "plan, teacher_only"} <= set(found)
    written = [scribe.write(each, KNOW) for each in many.problems]
    found_mass = []
    for logp, _ in measure._distributions(model, many, Privilege.NONE, written):
        mass = logp[:, :, [IDS[code] for code in words.CODES]].exp().sum(-1)
        found_mass += [
            float(mass[row, 4 * i + 2])
            for row, each in enumerate(many.problems)
            for i, slot in enumerate(each.slots)
            if slot.words[1] == "?"
        ]
    assert measure.code_mass(model, many) == pytest.approx(sum(found_mass) / len(found_mass))


def test_a_told_code_is_read_at_its_own_note(model: Qwen3ForCausalLM) -> None:
    many = measure.asked(DRAW, n=40, split="validation")
    written, found = [scribe.write(each, KNOW) for each in many.problems], []
    for logp, _ in measure._distributions(model, many, words.HINTS, written):
        found += [
            float(logp[row, 4 * i + 2, IDS[slot.code]].exp())
            for row, each in enumerate(many.problems)
            for i, slot in enumerate(each.slots)
            if slot.words[1] == "?"
        ]
    assert len(found) > 20 and measure.code_read(model, many, words.HINTS) == pytest.approx(
        100 * sum(found) / len(found)
    )


def test_results_are_read_where_all_before_is_right(model: Qwen3ForCausalLM, of: measure.Asked) -> None:
    written = [scribe.write(each, KNOW) for each in of.problems]
    _, best = measure.scored(model, of, Privilege.NONE, written)
    hits = [
        int(best[row, at]) == IDS[words_of[at]]
        for row, words_of in enumerate(written)
        for at in range(3, len(words_of) - 2, 4)
        if of.problems[row].domain == "coding"
    ]
    assert measure.results_right(model, of)["coding"] == pytest.approx(100 * sum(hits) / len(hits))
