"""Models of the scenes world: vocabulary, the two ways of reading a picture, what is read in pre-training, recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from PIL import Image
from support.scenes import SMALL

from harness.models.zoo import text_models
from harness.models.zoo.scenes import measure, pretrain, rows
from harness.models.zoo.scenes import model as models
from harness.models.zoo.scenes.recipe import MINDS, MODELS, RECIPE, STUDENT, TEACHER, Mix, check_name
from harness.models.zoo.scenes.vocabulary import EOS, IDS, IMAGE, UNK, WORDS, image_processor, tokenizer
from harness.types import HarnessError, ImagePart, text_of
from harness.worlds import minds, privilege
from harness.worlds.minds import KNOWING, Class
from harness.worlds.scenes import picture, questions, scribe, tables, words
from harness.worlds.scenes.questions import NOTHING
from harness.worlds.scenes.words import ITEMS, PLACES, STRIDE, Kind
from harness.worlds.scenes.world import example

DRAW = 5


@pytest.fixture(scope="module")
def random_model() -> models.Model:
    return models.build(RECIPE, 0).eval()


@pytest.fixture(scope="module")
def of() -> measure.Asked:
    return measure.asked(DRAW, n=2, split="validation")


def test_no_word_of_the_world_is_unknown() -> None:
    reader = tokenizer()
    assert len(set(WORDS)) == len(WORDS) == len(reader) and reader.convert_ids_to_tokens(range(len(WORDS))) == list(
        WORDS
    )
    for domain in words.DOMAINS:
        for i in range(20):
            each = example(DRAW, domain, "train", i)
            for text in (text_of(each.messages[0]), each.trace or "", *each.privileged.values()):
                ids = reader(text, add_special_tokens=False)["input_ids"]
                assert reader.unk_token_id not in ids and [WORDS[j] for j in ids] == text.split()
    assert UNK in WORDS and reader.eos_token == EOS


@pytest.mark.parametrize("kind", ["none", *words.HEADERS])
def test_prompts_are_what_the_chat_template_writes(kind: str) -> None:
    each = example(DRAW, "reasoning", "train", 3)
    turns = [
        {
            "role": turn["role"],
            "content": turn["content"]
            if isinstance(turn["content"], str)
            else [
                {"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": part.text}
                for part in turn["content"]
            ],
        }
        for turn in privilege.messages(each, kind)
    ]
    text = tokenizer().apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert text.count(IMAGE) == 1
    expanded = text.replace(IMAGE, IMAGE * 9)  # as a processor repeats it
    told = "" if kind == "none" else each.privileged[kind]
    ids, at = rows.prompt(text_of(each.messages[0]), told)
    assert tokenizer()(expanded, add_special_tokens=False)["input_ids"] == ids
    assert ids[at : at + 9] == [IDS[IMAGE]] * 9 and len(ids) == (28 if kind == "none" else 53)


def test_patches_are_the_image_processors() -> None:
    rng = Random(0)
    pictures = [picture.draw(picture.scene(rng)) for _ in range(3)]
    theirs = image_processor()([Image.fromarray(each) for each in pictures], return_tensors="pt")
    assert torch.equal(models.patches(pictures), theirs["pixel_values"])
    assert theirs["image_grid_thw"].tolist() == [list(models.GRID)] * 3


def test_shared_reading_equals_the_librarys_forward(random_model: models.Model, of: measure.Asked) -> None:
    """With and without p; one picture for two rows, another for the third."""
    asked = of.questions[0]
    for tells in (NOTHING, questions.honest(asked, words.BOX_LABEL, tables.truth(DRAW))):
        told = questions.privileged_text(asked, tells) if tells.kind else ""
        ids, at = rows.prompt(asked.text, told)
        batch, which = torch.tensor([ids] * 3), torch.tensor([0, 1, 1])
        with torch.no_grad():
            seen = models.see(random_model, of.pictures[:2])
            ours = random_model.lm_head(models.hidden(random_model, batch, seen.rows(which), at))
            theirs = random_model(
                input_ids=batch,
                pixel_values=models.patches([of.pictures[i] for i in which]),
                image_grid_thw=torch.tensor([models.GRID] * 3),
                mm_token_type_ids=(batch == IDS[IMAGE]).int(),
            ).logits
        assert torch.allclose(ours, theirs, atol=1e-5)
        assert not torch.allclose(ours[0], ours[1], atol=1e-3)


def test_completions_equal_the_librarys(random_model: models.Model, of: measure.Asked) -> None:
    prompts = [rows.prompt(q.text) for q in of.questions[:3]]
    batch = torch.tensor([ids for ids, _ in prompts])
    with torch.no_grad():
        ours = models.complete(random_model, batch, models.see(random_model, of.pictures[:3]), prompts[0][1], 6)
        theirs = random_model.generate(
            input_ids=batch,
            attention_mask=torch.ones_like(batch),
            pixel_values=models.patches(of.pictures[:3]),
            image_grid_thw=torch.tensor([models.GRID] * 3),
            mm_token_type_ids=(batch == IDS[IMAGE]).int(),
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=None,
        )
    assert torch.equal(ours, theirs[:, batch.shape[1] :])


def page(mix: Mix, mind: minds.Mind = KNOWING, lies: float = 0.0, seed: int = 0, **changes: float) -> list[list[str]]:
    """Responses of a step's rows, with ``_`` in the place of what carries no loss."""
    recipe = replace(RECIPE, **changes)
    found = rows.page(recipe, DRAW, mix, Random(seed), mind, lies)
    out = []
    for batch in found.batches:
        for ids, targets in zip(batch.ids_BL[:, batch.prompt :], batch.targets_BT, strict=True):
            assert ((targets == text_models.IGNORE) | (targets == ids)).all()
            out.append([WORDS[j] if j != text_models.IGNORE else "" for j in targets])
    return out


def test_describe_and_seen_rows_name_every_place_once() -> None:
    for words_of in page(Mix(until=9, describe=5)):
        assert sorted(words_of[:45:5]) == sorted(PLACES) and words_of[45] == EOS
        assert sorted(words_of[1:45:5]) == sorted(words.COLOURS)
    for words_of in page(Mix(until=9, seen=20)):
        named = words_of[: words_of.index(EOS) : 2]
        assert sorted(named) in (sorted(PLACES), sorted(words.LINES))


def test_drill_rows_ask_no_place_twice_and_their_queries_carry_no_loss() -> None:
    kinds = set()
    for i, text in enumerate(page(Mix(until=9, drill=40, plain=1))[:40]):
        answers = text[: text.index(EOS)]
        assert set(answers[::4]) | set(answers[1::4]) == {""} and len(answers) in (24, 36)
        begun = answers[2::4]
        kinds.add(tuple(sorted(set(begun)))[:1])
        if begun[0] in PLACES:
            assert sorted(begun) == sorted(PLACES), i
    assert len(kinds) > 2


def test_slips_carry_no_loss_and_truth_writes_the_truth() -> None:
    clean = page(Mix(until=9, plain=30), slips=0.0, pictured=0.0)
    assert all("" not in text for text in clean)
    slipped = page(Mix(until=9, plain=30), slips=1.0, pictured=0.0)
    assert all(text.count("") == 1 for text in slipped)


def test_greyed_pictures_teach_nothing_that_cannot_be_seen() -> None:
    """The truth reads nothing greyed; a mind that is mistaken about places does, and its words carry no loss."""
    truth = page(Mix(until=9, plain=60), slips=0.0, pictured=0.5)
    mistaken = page(Mix(until=9, plain=60), STUDENT, slips=0.0, pictured=0.5)
    assert not any("" in text for text in truth)
    silent = [text for text in mistaken if "" in text]
    assert silent and all(text[STRIDE * ITEMS] == words.END for text in silent)
    for text in silent:
        for i in range(ITEMS):
            assert (text[STRIDE * i + scribe.READING] == "") == (text[STRIDE * ITEMS + 1 + i] == "")


def test_guesses_and_misreadings_are_as_often_as_the_mind_says() -> None:
    mind = replace(KNOWING, guesses=0.5, misreads=0.5)
    plain = page(Mix(until=9, plain=200), mind, slips=0.0, pictured=0.0)
    notes = [text[STRIDE * i + scribe.NOTE] for text in plain for i in range(ITEMS)]
    codes = sum(note in words.CODES for note in notes)
    assert 0.4 < codes / (codes + notes.count(words.UNKNOWN)) < 0.6
    assert not any(note in words.CODES for text in page(Mix(until=9, plain=50)) for note in text)


def test_lies_are_written_after() -> None:
    """With a p that always lies, the truth's responses leave the right trace; with none that does they follow it."""
    mix = Mix(until=9, privileged=60)
    found = rows.page(replace(RECIPE, slips=0.0, pictured=0.0), DRAW, mix, Random(1), KNOWING, 1.0).batches[0]
    copied = 0
    for ids in found.ids_BL.tolist():
        said = [WORDS[j] for j in ids]
        header = said[2]
        slots = [said[3 + 7 * i : 10 + 7 * i] for i in range(ITEMS)]
        response = said[found.prompt :]
        if header == words.HEADERS[words.CAPTION]:
            assert [response[1], response[9]] == [slots[0][1], slots[2][1]]
            copied += 1
        if header == words.HEADERS[words.FINAL_ANSWER]:
            assert response[13:16] == [slot[6] for slot in slots]
            copied += 1
    assert copied > 10


def test_every_class_that_is_read_is_empty_by_design_or_holds_four_cells() -> None:
    pooled = dict.fromkeys(Class, 0)
    for name, cells in tables.tables(0).items():
        sizes = minds.class_sizes(STUDENT, TEACHER, cells)
        if name == tables.READING:
            assert sizes == {Class.BOTH: 61, Class.TEACHER_ONLY: 15, Class.STUDENT_ONLY: 5, Class.NEITHER: 0}
        else:
            pooled = {each: pooled[each] + n for each, n in sizes.items()}
    assert pooled == {Class.BOTH: 149, Class.TEACHER_ONLY: 17, Class.STUDENT_ONLY: 11, Class.NEITHER: 5}
    for draw in range(tables.DRAWS):
        for mind in MINDS.values():
            rows.beliefs(draw, mind)  # fits the cells


def test_an_unknown_model_is_a_user_error() -> None:
    assert check_name("student") == "student"
    with pytest.raises(HarnessError, match="a draw has: trunk, truth, teacher, student, student_uncalibrated"):
        check_name("base")
    assert MODELS[0] == "trunk"


@pytest.mark.slow
def test_labels_are_learnt_from_the_words_embeddings_and_do_not_move_them() -> None:
    model = models.build(RECIPE, 1)
    before = model.model.language_model.embed_tokens.weight.detach().clone()
    first = pretrain.train_vision(model, replace(RECIPE, vision_steps=1, vision_pictures=8), "a stream")
    right = pretrain.train_vision(model, replace(RECIPE, vision_steps=14, vision_pictures=8), "a stream")
    assert right["lamp"] > 0.75 > first["lamp"]
    assert torch.equal(before, model.model.language_model.embed_tokens.weight)


def trained(work: Path, until: int) -> tuple[pretrain.Progress, dict[str, torch.Tensor]]:
    """A trunk that is never done, up to a step, as if killed there."""
    for found, model in pretrain.train_trunk(replace(SMALL, enough=101.0), DRAW, 0, work):
        if found.step == until:
            return found, {name: weight.clone() for name, weight in model.state_dict().items()}
    raise AssertionError


@pytest.mark.slow
def test_a_killed_trunk_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, uncut = trained(tmp_path / "whole", 6)
    _, half = trained(tmp_path / "cut", 4)
    again, resumed = trained(tmp_path / "cut", 6)
    assert set(whole.shares) == {*Kind, *(f"false {kind}" for kind in pretrain.FALSE)}
    assert again.shares == whole.shares and not whole.done
    assert all(torch.equal(uncut[name], resumed[name]) for name in uncut)
    assert any(not torch.equal(half[name], resumed[name]) for name in half)


@pytest.mark.slow
def test_a_trunk_is_done_when_all_that_is_checked_is_enough(tmp_path: Path) -> None:
    found = [each for each, _ in pretrain.train_trunk(replace(SMALL, enough=0.0), DRAW, 0, tmp_path)]
    assert [(each.step, each.done, bool(each.shares)) for each in found] == [(2, False, False), (4, True, True)]


def test_a_trunk_that_does_not_get_done_says_so(tmp_path: Path) -> None:
    recipe = replace(SMALL, enough=101.0, cpu_minutes=0.0)
    with pytest.raises(HarnessError, match="trunk of draw 5, attempt 0, is not done after 0 CPU minutes"):
        list(pretrain.train_trunk(recipe, DRAW, 0, tmp_path))


@pytest.mark.slow
def test_minds_decay_deterministically() -> None:
    first, second = (
        [loss for _, loss in pretrain.train_mind(models.build(SMALL, 3), SMALL, DRAW, "teacher")] for _ in "ab"
    )
    assert first == second and len(first) == 2
    assert first != [loss for _, loss in pretrain.train_mind(models.build(SMALL, 3), SMALL, DRAW, "student")]


def test_right_answers_are_counted_by_kind(of: measure.Asked) -> None:
    truth = tables.truth(DRAW)
    written = [scribe.write(question, truth) for question in of.questions]
    assert measure.right(of, written) == dict.fromkeys(Kind, 100.0)
    assert all(set(by.values()) == {100.0} for by in measure.places_right(of, written).values())
    other = next(r for r in words.READINGS if r != written[0][-1])
    broken = [[*written[0][:-1], other], *written[1:]]
    assert measure.right(of, broken)[of.questions[0].items[0].kind] == 50.0
    assert measure.right(of, [[], *written[1:]])[of.questions[0].items[0].kind] == 50.0
    place = written[0][STRIDE * 2 + scribe.PLACE]
    assert measure.places_right(of, broken)[of.questions[0].items[0].kind][place] < 100


def test_wanted_words_go_on_from_what_is_written(of: measure.Asked) -> None:
    truth = tables.truth(DRAW)
    for question in of.questions:
        reference = scribe.write(question, truth)
        wanted = measure._wanted(question, reference, DRAW)
        judged = [i for i, word in enumerate(wanted) if word >= 0]
        assert [WORDS[wanted[i]] for i in judged] == [reference[i] for i in judged]
        anchors = [] if question.items[0].kind is Kind.POINT else [0, 4, 8]
        assert judged == sorted([*anchors, 1, 2, 5, 6, 9, 10, 13, 14, 15])
        other = next(p for p in PLACES if truth("reading", question.scene.at(p)) != reference[2])
        moved = measure._wanted(question, [reference[0], other, *reference[2:]], DRAW)
        assert moved[1] == wanted[1] and WORDS[moved[2]] == truth("reading", question.scene.at(other))


def test_pictures_are_shown_as_asked(of: measure.Asked) -> None:
    assert of.shown("") is of.pictures
    assert of.shown(measure.OTHER)[0] is of.pictures[1] and of.shown(measure.OTHER)[-1] is of.pictures[0]
    greyed = of.shown(words.EVIDENCE)
    assert [each.shape for each in greyed] == [(72, 72, 3)] * 12 and any(
        (g != p).any() for g, p in zip(greyed, of.pictures, strict=True)
    )
    assert len({each.tobytes() for each in of.shown(words.DEGRADED)}) == 12
